"""What one measured run tells: its size, the seconds of its stages, and what each piece of work in them cost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow.compute as pc

from data_contracts import COVERAGE
from pipeline.engine.records import read_runs
from pipeline.engine.run import count_pings
from pipeline.engine.shard_records import read_shard_records
from pipeline.engine.store import Store
from pipeline.study import StudyError, parse_date

MILLION = 1e6


class Scale(NamedTuple):
    """How large a study is."""

    n_pings: float
    n_devices: float
    n_days: int

    def drivers(self) -> tuple[float, float, float, float]:
        """Return what rows of tables grow with: nothing, then millions of devices, of their days, of pings."""
        return 1.0, self.n_devices / MILLION, self.n_devices * self.n_days / MILLION, self.n_pings / MILLION


class Task(NamedTuple):
    """Work of one kind in one stage of one run, piece by piece."""

    n_rows_in: tuple[float, ...]
    seconds: tuple[float, ...]
    n_rows_out: int
    written_bytes: int
    own_s: float
    """Processor time of the piece that took longest: of a gathered table, that of finishing it."""


class RunFacts(NamedTuple):
    """A measured run."""

    scale: Scale
    n_buckets: int
    n_threads: int
    n_processes: int
    stages: dict[str, float]
    """Seconds of each stage that computed something, in order."""
    tasks: dict[str, dict[str, Task]]
    """Stage → step (read, part, shard) → its work."""


def facts_of_root(root: Path) -> RunFacts:
    """Return what the run that computed most on a root tells; StudyError where none has finished and computed stays."""
    finished = [run for run in read_runs(root) if run["state"] == "finished" and "n_threads" in run]
    best = max(finished, key=_n_computed, default=None)
    if best is None or _n_computed(best) == 0:
        raise StudyError(f"{root}: no finished run there computed anything, so nothing is known of what one costs")
    records = read_shard_records(root, best["run_id"])
    counts = count_pings(Store(root))
    n_days = (parse_date(best["study"]["end"]) - parse_date(best["study"]["start"])).days + 1
    return RunFacts(
        Scale(counts.n_read, _n_devices(Store(root)), n_days),
        best["n_buckets"],
        best["n_threads"],
        max(1, records["worker"].nunique()),
        {s["stage"]: s["seconds"] for s in best["stages"] if s["shards"].get("computed")},
        {str(stage): _tasks(mine) for stage, mine in records.groupby("stage")},
    )


def _n_computed(run: dict) -> int:
    return sum(stage["shards"].get("computed", 0) for stage in run["stages"])


def _n_devices(store: Store) -> int:
    """Return the devices with coverage: bucket by bucket, since each is in one of them."""
    keys = store.keys(COVERAGE)
    n_devices = 0
    for bucket in sorted({key.bucket for key in keys if key.bucket is not None}):
        seen: set[int] = set()
        for key in (k for k in keys if k.bucket == bucket):
            seen.update(pc.unique(store.read(COVERAGE, key, ["device_id"])["device_id"]).to_pylist())
        n_devices += len(seen)
    return n_devices


def _tasks(records: pd.DataFrame) -> dict[str, Task]:
    return {str(step): _task(mine) for step, mine in records.groupby("step")}


def _task(records: pd.DataFrame) -> Task:
    longest = records["duration_s"].to_numpy().argmax()
    return Task(
        tuple(records["n_rows_in"].astype(float)),
        tuple(records["duration_s"]),
        int(records["n_rows_out"].sum()),
        int(records["written_bytes"].sum()),
        float(records["cpu_s"].iloc[longest]),
    )


def facts_to_dict(facts: RunFacts) -> dict:
    """Return plain values, from which `facts_from_dict` makes the same facts again."""
    tasks = {s: {step: task._asdict() for step, task in steps.items()} for s, steps in facts.tasks.items()}
    return {**facts._asdict(), "scale": facts.scale._asdict(), "tasks": tasks}


def facts_from_dict(values: dict) -> RunFacts:
    """Return the facts that were made plain values."""
    tasks = {s: {step: _task_of(task) for step, task in steps.items()} for s, steps in values["tasks"].items()}
    return RunFacts(**{**values, "scale": Scale(**values["scale"]), "tasks": tasks})


def _task_of(values: dict) -> Task:
    return Task(**{**values, "n_rows_in": tuple(values["n_rows_in"]), "seconds": tuple(values["seconds"])})


def sizes(facts: Iterable[RunFacts]) -> list[float]:
    """Return the distinct sizes of runs, in raw rows, the smallest first."""
    return sorted({f.scale.n_pings for f in facts})
