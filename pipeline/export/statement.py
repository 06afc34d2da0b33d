"""The statement of protection that lies beside an export: what was done to the rows, and what it does not do.

It says nothing of rows that did not leave: how many there are may hang on one device.
"""

from typing import Any

import pyarrow as pa

from data_contracts import SIGNIFICANT_DIGITS, Table
from pipeline.export.protection import exact, shortened, stepped
from pipeline.export.vintages import has_dates

NOT_PROTECTED = (
    "A hidden row is one of few devices, or stands beside one: that much is told.",
    "Values are not negative, so what a margin leaves bounds each row hidden inside it from above.",
    "Who knows all but a few of the devices behind a row can subtract them. Nothing here is noise: for a guarantee "
    "against any knowledge use `sojourn export --epsilon`.",
    "In a large table with margins, sums of several hidden rows that follow from many shown ones are looked for with "
    "bounded effort: some that stand for few devices may be left.",
    "Rows that are added later may rest on dates before them (baselines, homes, weights), which may be known better by "
    "then: such values are told coarsely, twice.",
    "Other tables of the same devices, and exports from other roots, are not looked at.",
)
ONCE = "What was released is final: a later export of the root tells these rows again, byte for byte, and no other."
LATER = (
    "What was released is final: a later export of the root tells these rows again, byte for byte, and adds rows only "
    "of windows that begin after the last local date of every window released before. A window that the end of the "
    "study cut short stays so."
)
SAME = "A later export that was made with other parameters, contracts, areas or start of the study is refused."


def make_statement(table: Table, n_rows: int, span: dict[str, str], files: dict[str, str]) -> dict[str, Any]:
    """Return the statement as plain values: `files` is the SHA-256 of each file by name, `span` that of the study."""
    return {
        "table": table.name,
        "row": table.row,
        "study": span,
        "files": files,
        "min_devices": table.min_devices,
        "n_rows": n_rows,
        "rounded_to": stepped(table),
        "significant_digits": dict.fromkeys(shortened(table), SIGNIFICANT_DIGITS),
        "exact": [*table.key, *exact(table), *_words(table)],
        "top_coded_at": {c.name: c.top_code for c in table.columns if c.top_code is not None},
        "rules": [
            f"Every row stands for at least {table.min_devices} devices. Rows of fewer are left out, and rows that the "
            "table's stage found to tell of these beside others.",
            LATER if has_dates(table) else ONCE,
            SAME,
            *([f"The contract: {table.notes}"] if table.notes else []),
        ],
        "not_protected": list(NOT_PROTECTED),
    }


def _words(table: Table) -> list[str]:
    """Return the columns beside the key that are no numbers."""
    kinds = (pa.types.is_integer, pa.types.is_floating)
    return [c.name for c in table.columns if c.name not in table.key and not any(kind(c.dtype) for kind in kinds)]


def to_markdown(statement: dict[str, Any]) -> str:
    """Return the statement for people to read."""
    span = statement["study"]
    steps = [f"{name} to multiples of {step:g}" for name, step in statement["rounded_to"].items()]
    digits = [f"{name} to {n} significant digits" for name, n in statement["significant_digits"].items()]
    tops = [f"{name} at {top:,.0f}" for name, top in statement["top_coded_at"].items()]
    return "\n".join(
        [
            f"# What protects `{statement['table']}`",
            "",
            f"One row per {statement['row']}. Study {span['name']}, {span['start']} to {span['end']}; rows of the "
            f"whole study are to {span['whole_study_end']}.",
            "",
            "| | |",
            "|---|---|",
            f"| devices behind every row | {statement['min_devices']} or more |",
            f"| rows | {statement['n_rows']:,} |",
            f"| rounded | {', '.join([*steps, *digits]) or 'none'} |",
            f"| as they are | {', '.join(statement['exact'])} |",
            f"| values cut off at the top | {', '.join(tops) or 'none'} |",
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
