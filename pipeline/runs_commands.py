"""`sojourn runs`: what ran on a root, and what each stage and its shards cost."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table as Grid

from pipeline.engine.records import read_runs
from pipeline.engine.shard_records import read_shard_records
from pipeline.options import AsJson, Root, print_json
from pipeline.study import StudyError

N_SLOWEST = 5
"""Shards shown of those that took longest (ours)."""
MIB = 2**20

RunId = Annotated[str | None, typer.Option("--run", help="Tell of this run by stage: its id, or `last`.")]


def runs(root: Root = Path("tables"), run_id: RunId = None, as_json: AsJson = False) -> None:
    """List the runs on a root, or say what the stages of one took: shards, rows, seconds, bytes, memory."""
    known = read_runs(root)
    if run_id is None:
        print_json([_row(run) for run in known]) if as_json else _print_runs(known)
        return
    found = [run for run in known if run["run_id"] == run_id] or (known[-1:] if run_id == "last" else [])
    if not found:
        raise StudyError(f"no run {run_id!r} on {root}; sojourn runs lists them")
    records = read_shard_records(root, found[0]["run_id"])
    stages = by_stage(found[0], records)
    if as_json:
        print_json({**_row(found[0]), "stages": stages, "slowest": slowest(records)})
    else:
        _print_run(found[0], stages, slowest(records))


def by_stage(run: dict[str, Any], records: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what each stage of a run took: seconds of the whole stage, and sums over its computed shards."""
    told = []
    for stage in run["stages"]:
        mine = records[records["stage"] == stage["stage"]]
        shards = mine[mine["step"] == "shard"]
        n_rows_in = int((mine[mine["step"] == "read"] if stage["stage"] == "pings" else shards)["n_rows_in"].sum())
        told.append(
            {
                "stage": stage["stage"],
                "shards": stage["shards"],
                "n_rows_in": n_rows_in,
                "n_rows_out": int(shards["n_rows_out"].sum()),
                "seconds": stage["seconds"],
                "rows_per_s": n_rows_in / stage["seconds"] if stage["seconds"] else 0.0,
                "cpu_s": float(mine["cpu_s"].sum()),
                "read_bytes": int(shards["read_bytes"].sum()),
                "written_bytes": int(shards["written_bytes"].sum()),
                "peak_memory_bytes": int(mine["peak_memory_bytes"].max()) if len(mine) else None,
            }
        )
    return told


def slowest(records: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the shards and parts that took longest."""
    columns = ["stage", "step", "shard", "duration_s", "n_rows_in", "worker"]
    return records.nlargest(N_SLOWEST, "duration_s")[columns].to_dict("records")


def _row(run: dict[str, Any]) -> dict[str, Any]:
    names = ("run_id", "command", "state", "started_at", "finished_at", "host", "pid", "error")
    return {name: run[name] for name in names} | {"seconds": _seconds(run), "n_stages": len(run["stages"])}


def _seconds(run: dict[str, Any]) -> float | None:
    if run["finished_at"] is None:
        return None
    return (datetime.fromisoformat(run["finished_at"]) - datetime.fromisoformat(run["started_at"])).total_seconds()


def _print_runs(known: list[dict[str, Any]]) -> None:
    grid = Grid("run", "command", "state", "started", "seconds", "stages", "error")
    for run in known:
        seconds = _seconds(run)
        told = "" if seconds is None else f"{seconds:,.0f}"
        cells = (run["run_id"], run["command"], run["state"], run["started_at"], told, str(len(run["stages"])))
        grid.add_row(*cells, run["error"] or "")
    Console().print(grid if known else "no run on this root yet")


def _print_run(run: dict[str, Any], stages: list[dict[str, Any]], longest: list[dict[str, Any]]) -> None:
    title = f"{run['run_id']} {run['command']}: {run['state']}"
    heads = ("stage", "computed", "rows in", "rows out", "seconds", "rows/s", "read MiB", "written MiB", "peak MiB")
    grid = Grid(*heads, title=title, title_justify="left")
    for s in stages:
        peak = "" if s["peak_memory_bytes"] is None else f"{s['peak_memory_bytes'] / MIB:,.0f}"
        counts = (s["shards"].get("computed", 0), s["n_rows_in"], s["n_rows_out"])
        rates = (f"{s['seconds']:,.1f}", f"{s['rows_per_s']:,.0f}")
        sizes = (f"{s['read_bytes'] / MIB:,.1f}", f"{s['written_bytes'] / MIB:,.1f}", peak)
        grid.add_row(s["stage"], *(f"{n:,}" for n in counts), *rates, *sizes)
    console = Console()
    console.print(grid)
    for r in longest:
        line = (
            f"{r['stage']}/{r['shard']} ({r['step']}): {r['duration_s']:.2f} s, {r['n_rows_in']:,} rows, {r['worker']}"
        )
        console.print(line, highlight=False, soft_wrap=True)
