"""What commands print of stages and shards."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from pipeline.engine.plan import ShardReport
from pipeline.engine.run import StageSummary
from pipeline.options import print_json

STATES = ("current", "stale", "missing", "waiting")


def show_summaries(summaries: list[StageSummary], as_json: bool) -> None:
    """Print what each stage did, and the balance of rows."""
    if as_json:
        print_json([s._asdict() for s in summaries])
        return
    grid = Grid("table", "shards", "rows", "seconds", title="What ran", title_justify="left")
    for s in summaries:
        shards = ", ".join(f"{n:,} {state}" for state, n in sorted(s.shards.items())) or "none"
        grid.add_row(s.stage, shards, f"{s.n_rows:,}", f"{s.seconds:.1f}")
    console = Console()
    console.print(grid)
    for s in summaries:
        print_joins(s.details.get("joins", []))
        if s.stage == "pings":
            console.print(balance_line(s.details), highlight=False)
        if s.details.get("n_suppressed"):
            console.print(f"{s.stage}: {s.details['n_suppressed']:,} rows left out, too few devices", highlight=False)


def print_joins(joins: list[dict[str, Any]]) -> None:
    """Print how reference tables join, in words."""
    for join in joins:
        Console().print(join["words"], highlight=False, markup=False, soft_wrap=True)


def balance_line(counts: dict[str, Any]) -> str:
    """Return the balance of rows in words: read = accepted + duplicates + rejected."""
    reasons = ", ".join(f"{reason} {n:,}" for reason, n in counts["reasons"].items())
    return (
        f"{counts['n_read']:,} rows read from {counts['n_files']:,} files = {counts['n_pings']:,} pings "
        f"+ {counts['n_duplicates']:,} duplicates + {counts['n_rejected']:,} rejected"
        + (f" ({reasons})" if reasons else "")
    )


def show_states(reports: list[ShardReport], as_json: bool, only_due: bool = False) -> None:
    """Print states of shards: counts a table, then what is due and why."""
    due = [r for r in reports if r.state != "current"]
    if as_json:
        print_json([r._asdict() for r in (due if only_due else reports)])
        return
    grid = Grid("table", *STATES, "why")
    for table in dict.fromkeys(r.table for r in reports):
        mine = [r for r in reports if r.table == table]
        n = Counter(r.state for r in mine)
        why = Counter(reason for r in mine for reason in r.why)
        reasons = ", ".join(f"{reason} ({k})" for reason, k in why.most_common(3))
        grid.add_row(table, *(f"{n[s]:,}" for s in STATES), reasons)
    Console().print(grid)
