"""The Markdown artifact of a run: counts, states and seconds; never an id, a coordinate or a file's name."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from prefect.artifacts import create_markdown_artifact

from pipeline.engine.run import StageSummary
from pipeline.study import Study

KEY = "sojourn-run"
"""Key of the artifact: Prefect shows all artifacts of one key as versions of one page."""
SHARD_STATES = ("computed", "current", "removed")


def publish(study: Study, dates: Sequence[date], summaries: Sequence[StageSummary]) -> None:
    """Attach the description of a finished run to the flow run that is going on."""
    create_markdown_artifact(describe(study, dates, summaries), key=KEY, description=f"What a run of {study.name} did")


def describe(study: Study, dates: Sequence[date], summaries: Sequence[StageSummary]) -> str:
    """Return Markdown: the balance of all rows read where the run loaded pings, then a line per stage."""
    parts = [f"# {study.name}, {dates[0]} to {dates[-1]}"]
    parts += [_balance(s.details) for s in summaries if s.stage == "pings"]
    return "\n\n".join([*parts, _stages(summaries)]) + "\n"


def _balance(counts: dict[str, Any]) -> str:
    rows = [
        ("source files", counts["n_files"]),
        ("rows read", counts["n_read"]),
        ("accepted", counts["n_pings"]),
        ("duplicates", counts["n_duplicates"]),
        ("rejected", counts["n_rejected"]),
    ]
    rows += [(f"rejected: {reason}", n) for reason, n in counts["reasons"].items()]
    return "## Rows, all loads of this root\n\n" + _table(("", "count"), rows)


def _stages(summaries: Sequence[StageSummary]) -> str:
    states = [*SHARD_STATES, *sorted({state for s in summaries for state in s.shards} - set(SHARD_STATES))]
    rows = [(s.stage, *(s.shards.get(x, 0) for x in states), s.n_rows, f"{s.seconds:.1f}") for s in summaries]
    return "## Stages\n\n" + _table(("stage", *(f"shards {x}" for x in states), "rows", "seconds"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
