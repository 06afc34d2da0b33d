"""The statement of protection that lies beside an export: what was done to the rows, and what it does not do."""

from typing import Any, NamedTuple

from data_contracts import Table
from pipeline.export.protection import ExportParams

NOT_PROTECTED = (
    "A hidden row is one of few devices, or stands beside one: that much is told.",
    "Values are not negative, so what a margin leaves bounds each row hidden inside it from above.",
    "Who knows all but a few of the devices behind a row can subtract them. Nothing here is noise: for a guarantee "
    "against any knowledge use `sojourn export --epsilon`.",
    "Rows of groups, places or windows that share devices are compared within the table by its stage, not over two "
    "exports; let released rows be final (--final) where that matters.",
    "Other tables of the same devices, and exports from other roots, are not looked at.",
)


class Counts(NamedTuple):
    """Rows of an export."""

    n_rows: int
    n_left_out: int
    """Left out when the table was written, too few devices being behind them."""
    n_primary: int
    n_complementary: int
    n_kept: int
    n_held_back: int
    n_top_coded: int
    """Values, not rows."""


def make_statement(
    table: Table, params: ExportParams, least: int, counts: Counts, span: dict[str, str], files: dict[str, str]
) -> dict[str, Any]:
    """Return the statement as plain values: `files` is the SHA-256 of each file by name, `span` that of the study."""
    return {
        "table": table.name,
        "row": table.row,
        "study": span,
        "files": files,
        "min_devices": least,
        "rows": counts._asdict(),
        "rounded_to": {c.name: c.round_to for c in table.columns if c.round_to} if params.is_rounded else {},
        "top_coded_at": {c.name: c.top_code for c in table.columns if c.top_code is not None},
        "is_final": params.is_final,
        "rules": [
            f"Every row stands for at least {least} devices. Rows of fewer are left out (primary), and rows that would "
            "tell of these beside others (complementary).",
            f"A row released before is renewed only where its number of devices is {least} or more away from that of "
            "every vintage of it; else it stays as it was (kept)."
            if not params.is_final
            else "Rows released before stay as they were, and no row is added beside them.",
            *(
                [
                    "A region released before is renewed only where all that is shown in it is renewed or unchanged "
                    f"and what is not shown there is nothing or changed by {least}; new rows inside it are held back."
                ]
                if table.partitions and not params.is_final
                else []
            ),
            *([f"The contract: {table.notes}"] if table.notes else []),
        ],
        "not_protected": list(NOT_PROTECTED),
    }


def to_markdown(statement: dict[str, Any]) -> str:
    """Return the statement for people to read."""
    rows, span = statement["rows"], statement["study"]
    steps = [f"{name} to multiples of {step}" for name, step in statement["rounded_to"].items()]
    tops = [f"{name} at {top:,.0f}" for name, top in statement["top_coded_at"].items()]
    return "\n".join(
        [
            f"# What protects `{statement['table']}`",
            "",
            f"One row per {statement['row']}. Study {span['name']}, {span['start']} to {span['end']}.",
            "",
            "| | |",
            "|---|---|",
            f"| devices behind every row | {statement['min_devices']} or more |",
            f"| rows | {rows['n_rows']:,} |",
            f"| left out when the table was made, too few devices | {rows['n_left_out']:,} |",
            f"| hidden in the export: primary, complementary | {rows['n_primary']:,}, {rows['n_complementary']:,} |",
            f"| kept as released before | {rows['n_kept']:,} |",
            f"| held back | {rows['n_held_back']:,} |",
            f"| counts rounded | {', '.join(steps) or 'none'} |",
            f"| values cut off at the top | {', '.join(tops) or 'none'}; {rows['n_top_coded']:,} values |",
            "",
            "Rounded counts of parts need not add up to the rounded count of the whole.",
            "",
            "## Rules",
            "",
            *(f"- {rule}" for rule in statement["rules"]),
            "",
            "## What this does not protect against",
            "",
            *(f"- {line}" for line in statement["not_protected"]),
            "",
            "## Files",
            "",
            *(f"- `{name}`: SHA-256 `{digest}`" for name, digest in statement["files"].items()),
            "",
        ]
    )
