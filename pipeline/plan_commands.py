"""`sojourn plan`: what a run would do and take, and what a run of another size would take on other machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as Grid

from pipeline.costs import Costs, Foretold, Scale, facts_of_root, fit_costs, shipped_costs, simulate
from pipeline.engine.forecast import FILES
from pipeline.engine.records import read_runs
from pipeline.engine.run import status
from pipeline.options import AsJson, Root, Sets, StudyFile, print_json, read_study
from pipeline.settings import MAX_BUCKETS, Settings
from pipeline.study import StudyError
from pipeline.time_left import in_words

PINGS_PER_SHARD = 400_000
"""Pings of one date and bucket where `--buckets` leaves it to us: as the exchange gathers them, and little memory."""
GIB, HOUR_S = 2**30, 3600.0
ASSUMPTIONS = (
    "workers of one thread each on machines like those measured, as many as are asked for, none of them lost",
    "storage and network keep up: what they took at the measured sizes grows with rows and is shared by workers alike",
    "devices are spread over buckets evenly and report alike; parameters and kinds of table are those measured",
    "every stage waits for the one before; what one process does alone is not shared",
)

WhatIf = Annotated[bool, typer.Option("--what-if", help="Of a study that is not there, of the size given.")]
Pings = Annotated[float | None, typer.Option(help="Raw rows, for example 27e9 (with --what-if).")]
Days = Annotated[int | None, typer.Option(min=1, help="Days (with --what-if).")]
Devices = Annotated[float | None, typer.Option(help="Devices; default: as many pings a device and day as measured.")]
Workers = Annotated[list[int] | None, typer.Option("--workers", min=1, help="Workers of one thread (repeatable).")]
BucketCount = Annotated[int | None, typer.Option("--buckets", min=1, max=MAX_BUCKETS, help="Files per date.")]
FromRoot = Annotated[
    bool, typer.Option("--own-costs", help="Costs from the runs on --root, not those that we measured.")
]


def plan(
    study_file: StudyFile = None,
    root: Root = Path("tables"),
    what_if: WhatIf = False,
    pings: Pings = None,
    days: Days = None,
    devices: Devices = None,
    workers: Workers = None,
    buckets: BucketCount = None,
    own_costs: FromRoot = False,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Say what a run would do and how long it would take; with --what-if, what a run of another size would take."""
    if what_if:
        if pings is None or days is None:
            raise StudyError("--what-if needs --pings and --days, for example --pings 27e9 --days 270 --workers 64")
        costs = fit_costs([facts_of_root(root)]) if own_costs else shipped_costs()
        scale = Scale(pings, devices or pings / days / measured_rate(costs, root if own_costs else None), days)
        n_buckets = buckets or min(MAX_BUCKETS, max(1, round(pings / days / PINGS_PER_SHARD)))
        foretold = [simulate(costs, scale, n_buckets, n) for n in workers or [1, 16, 64]]
        _tell_json(costs, scale, foretold) if as_json else _tell(costs, scale, foretold)
        return
    due = due_stages(study_file, root, buckets, sets)
    print_json(due) if as_json else _tell_due(due)


def measured_rate(costs: Costs, root: Path | None) -> float:
    """Return pings a device and day of the measured runs."""
    sizes = [facts_of_root(root).scale._asdict()] if root else costs.measured_on["sizes"]
    return max(s["n_pings"] / s["n_devices"] / s["n_days"] for s in sizes)


def due_stages(
    study_file: Path | None, root: Path, buckets: int | None, sets: list[str] | None
) -> list[dict[str, Any]]:
    """Return for each stage the shards that are due, and the seconds that so many took in the earlier runs of the root.

    `n_waiting` shards are computed only if what they wait for comes out different; `seconds` leave them out,
    `seconds_at_most` count them. Both are None where the root has computed no shard of the stage yet.
    """
    study = read_study(study_file, sets)
    given = {} if buckets is None else {"n_buckets": buckets}
    reports = status(study, Settings(root=root, **given))
    seconds = seconds_a_shard(root)
    told = []
    for table in dict.fromkeys(r.table for r in reports):
        mine = [r for r in reports if r.table == table]
        n_due = sum(r.state in ("stale", "missing") for r in mine)
        n_waiting = sum(r.state == "waiting" for r in mine)
        each = None if table == FILES else seconds.get(table)
        times = (None, None) if each is None else (n_due * each, (n_due + n_waiting) * each)
        counts = {"n_shards": len(mine), "n_due": n_due, "n_waiting": n_waiting}
        told.append({"table": table, **counts, "seconds": times[0], "seconds_at_most": times[1]})
    return told


def seconds_a_shard(root: Path) -> dict[str, float]:
    """Return the seconds of a whole stage for each shard it computed, over all finished runs of a root."""
    n_shards: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for run in read_runs(root):
        for stage in run["stages"]:
            if run["state"] == "finished" and (n := stage["shards"].get("computed", 0)):
                n_shards[stage["stage"]] = n_shards.get(stage["stage"], 0) + n
                seconds[stage["stage"]] = seconds.get(stage["stage"], 0.0) + stage["seconds"]
    return {name: seconds[name] / n for name, n in n_shards.items()}


def _tell_due(due: list[dict[str, Any]]) -> None:
    grid = Grid("table", "shards", "due", "waiting", "time", "at most")
    for row in due:
        times = ["" if row[name] is None else in_words(row[name]) for name in ("seconds", "seconds_at_most")]
        grid.add_row(row["table"], *(f"{row[name]:,}" for name in ("n_shards", "n_due", "n_waiting")), *times)
    console = Console()
    console.print(grid)
    known = [row for row in due if row["seconds"] is not None]
    least, most = (sum(row[name] for row in known) for name in ("seconds", "seconds_at_most"))
    is_whole = all(row in known or row["table"] == FILES or not row["n_due"] + row["n_waiting"] for row in due)
    words = "in all" if is_whole else "for stages that ran on this root before; for the others see --what-if"
    console.print(f"about {in_words(least)}, at most {in_words(most)}, {words}", highlight=False)


def _tell_json(costs: Costs, scale: Scale, foretold: Sequence[Foretold]) -> None:
    runs = [
        {
            "n_workers": f.n_workers,
            "n_buckets": f.n_buckets,
            "seconds": f.seconds,
            "core_s": f.core_s,
            "table_bytes": f.table_bytes,
            "scratch_bytes": f.scratch_bytes,
            "stages": [s._asdict() for s in f.stages],
        }
        for f in foretold
    ]
    measured = {name: value for name, value in costs.measured_on.items() if name != "sizes"}
    print_json({"scale": scale._asdict(), "runs": runs, "error": costs.error(), "measured_on": measured})


def _tell(costs: Costs, scale: Scale, foretold: Sequence[Foretold]) -> None:
    console = Console()
    title = f"{scale.n_pings:,.0f} raw rows, {scale.n_days} days, {scale.n_devices:,.0f} devices"
    heads = [f"{f.n_workers} worker{'s' * (f.n_workers > 1)}" for f in foretold]
    grid = Grid("", *heads, title=f"{title}, {foretold[0].n_buckets} buckets", title_justify="left")
    grid.add_row("time", *(_hours(f.seconds) for f in foretold))
    grid.add_row("core hours at work", *(_hours(f.core_s) for f in foretold))
    grid.add_row("workers at work", *(f"{f.core_s / f.seconds / f.n_workers:.0%}" for f in foretold))
    grid.add_row("tables", *(_gib(f.table_bytes) for f in foretold))
    grid.add_row("scratch", *(_gib(f.scratch_bytes) for f in foretold))
    last = foretold[-1]
    for s in sorted(last.stages, key=lambda s: -s.seconds)[:8]:
        times = (next(t for t in f.stages if t.stage == s.stage) for f in foretold)
        grid.add_row(s.stage, *(_hours(t.seconds) for t in times))
    console.print(grid)
    slowest = max(last.stages, key=lambda s: s.seconds)
    console.print(
        f"On {last.n_workers} workers {slowest.stage} takes longest: {slowest.seconds / last.seconds:.0%} of the time, "
        f"{_hours(slowest.alone_s)} of it however many workers there are; of all stages that is "
        f"{_hours(sum(s.alone_s for s in last.stages))}.",
        highlight=False,
        soft_wrap=True,
    )
    _tell_trust(console, costs, scale)


def _tell_trust(console: Console, costs: Costs, scale: Scale) -> None:
    error, on = costs.error(), costs.measured_on
    trust = (
        "not checked against runs of other sizes"
        if error is None
        else f"runs of sizes left out of the fit were foretold within {error:.0%}"
    )
    where = f"measured on {on['machine']}, {on['date']}, {on['commit']}" if on else "from the runs on this root"
    console.print(f"Costs {where}; {trust}.", highlight=False, soft_wrap=True)
    if "preliminary" in on:
        console.print(f"PRELIMINARY: {on['preliminary']}", highlight=False, soft_wrap=True)
    if on:
        console.print(how_far(scale, max(s["n_pings"] for s in on["sizes"])), highlight=False, soft_wrap=True)
    for words in ASSUMPTIONS:
        console.print(f"- {words}", highlight=False, soft_wrap=True)


def how_far(scale: Scale, largest: float) -> str:
    """Return words for how far a size lies beyond the largest run measured, of so many raw rows."""
    words = f"The largest run measured had {largest:,.0f} raw rows; "
    times = scale.n_pings / largest
    if times <= 1:
        return f"{words}this size lies within."
    return f"{words}this is an extrapolation of {times:,.1f} times, which no run has checked."


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR_S:,.1f} h" if seconds >= HOUR_S else in_words(seconds)


def _gib(n_bytes: float) -> str:
    return f"{n_bytes / GIB:,.1f} GiB"
