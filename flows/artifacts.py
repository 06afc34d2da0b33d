"""What the page of a flow run shows: tables of counts, and links to what the run left behind.

Counts, states, seconds and the paths that the run was given; never an id, a coordinate or the name
of a source file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_table_artifact

from pipeline.engine.run import StageSummary

STAGES_KEY, ROWS_KEY, TABLES_KEY, RECORD_KEY, REPORT_KEY = (
    "sojourn-stages",
    "sojourn-rows",
    "sojourn-tables",
    "sojourn-record",
    "sojourn-report",
)
"""Keys of the artifacts: Prefect shows all artifacts of one key as versions of one page."""
SHARD_STATES = ("computed", "current", "removed")


def show_counts(title: str, summaries: Sequence[StageSummary]) -> None:
    """Attach a table of what each stage did and, where pings were loaded, the balance of all rows read."""
    create_table_artifact(stage_rows(summaries), STAGES_KEY, f"{title}: what each stage did")
    for summary in summaries:
        if summary.stage == "pings":
            create_table_artifact(balance_rows(summary.details), ROWS_KEY, f"{title}: rows of all loads of this root")


def show_links(title: str, root: str, record: str, report: Path | None) -> None:
    """Attach links to the tables, to the run's own record and, where one was written, to the report."""
    create_link_artifact(root, "tables", TABLES_KEY, f"{title}: root of all tables")
    create_link_artifact(record, "run record", RECORD_KEY, f"{title}: what the root itself knows of this run")
    if report:
        create_link_artifact(report.resolve().as_uri(), "report", REPORT_KEY, f"{title}: report")


def stage_rows(summaries: Sequence[StageSummary]) -> list[dict[str, Any]]:
    """Return a row per stage: its shards by state, rows and seconds."""
    states = [*SHARD_STATES, *sorted({state for s in summaries for state in s.shards} - set(SHARD_STATES))]
    return [
        {
            "stage": s.stage,
            **{f"shards {state}": s.shards.get(state, 0) for state in states},
            "rows": s.n_rows,
            "seconds": round(s.seconds, 1),
        }
        for s in summaries
    ]


def balance_rows(counts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the balance of a root, a row per count: read = accepted + duplicates + rejected."""
    rows = {
        "source files": counts["n_files"],
        "rows read": counts["n_read"],
        "accepted": counts["n_pings"],
        "duplicates": counts["n_duplicates"],
        "rejected": counts["n_rejected"],
    } | {f"rejected: {reason}": n for reason, n in counts["reasons"].items()}
    return [{"rows": name, "count": n} for name, n in rows.items()]
