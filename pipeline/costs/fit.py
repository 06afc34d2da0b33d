"""Costs fitted to measured runs: of each stage, seconds a piece of work and a million rows, rows and bytes.

All are non-negative least squares (scipy's), each run weighing alike, whatever its size: more rows never cost less.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from pipeline.costs.facts import MILLION, RunFacts, Task
from pipeline.costs.schedule import schedule
from pipeline.engine.outlook import PART, READ, SHARD
from pipeline.engine.statics import STATICS
from pipeline.engine.store import is_dated
from pipeline.stage import STAGES

STATIC, INGEST, DATES, BUCKETS, GATHER, MEETING, WHOLE = (
    "static",
    "ingest",
    "dates",
    "buckets",
    "gather",
    "meeting",
    "whole",
)
TINY_S = 1e-6
"""Shorter pieces count as this long where their ratio is asked for."""
MAX_SPREAD = 1.0
"""A piece rarely takes longer than e times the average; measured spreads above that are of very short pieces."""


class StepCost(NamedTuple):
    """What one kind of work in a stage costs."""

    fixed_s: float
    s_per_million: float
    rows: tuple[float, ...]
    """Rows it reads in the whole study, for each of the drivers of a `Scale`."""
    rows_per_piece: float
    """Measured; decides how many pieces of files there are."""
    spread: float
    """Standard deviation of the logarithm of measured over fitted seconds."""


class StageCost(NamedTuple):
    """What a stage costs."""

    move: str
    steps: dict[str, StepCost]
    between_s: tuple[float, float]
    """Seconds beside the work on shards: fixed, and a million rows. Of an exchange they are shared by the workers."""
    alone_s: float
    """Seconds in which one process finishes a gathered table, for each bucket."""
    rows_out: tuple[float, ...]
    """Rows of the table, for each of the drivers of a `Scale`."""
    bytes_per_row: float
    scratch_bytes_per_row: float


class Costs(NamedTuple):
    """What runs cost on the machine on which they were measured."""

    stages: dict[str, StageCost]
    measured_on: dict[str, Any]
    """Machine, commit, date, sizes of the runs, the errors of the check, and in `preliminary` why not to rely on it."""

    def error(self) -> float | None:
        """Return the largest error of a whole run that was foretold without runs of its size; None: not checked."""
        errors = [abs(e) for e in self.measured_on.get("errors", {}).values()]
        return max(errors) if errors else None


def move_of(stage: str) -> str:
    """Return how the work of a stage is laid out."""
    if stage in STATICS:
        return STATIC
    if stage == "pings":
        return INGEST
    declared = STAGES[stage]
    if declared.is_whole or declared.is_gather or declared.meet:
        return WHOLE if declared.is_whole else GATHER if declared.is_gather else MEETING
    return DATES if is_dated(declared.writes) else BUCKETS


def fit_costs(runs: Sequence[RunFacts], measured_on: dict[str, Any] | None = None) -> Costs:
    """Return the costs that foretell the runs best."""
    names = list(dict.fromkeys(name for run in runs for name in run.stages))
    return Costs({name: _fit_stage(name, [r for r in runs if name in r.stages]) for name in names}, measured_on or {})


def _fit_stage(name: str, runs: Sequence[RunFacts]) -> StageCost:
    move = move_of(name)
    steps = (READ, SHARD) if move == INGEST else (PART,) if move == GATHER else (SHARD,)
    known = {step: [(r, r.tasks[name][step]) for r in runs if step in r.tasks.get(name, {})] for step in steps}
    shards = [(r, r.tasks[name][SHARD]) for r in runs if SHARD in r.tasks.get(name, {})]
    reads = known.get(READ, [])
    rows_out = sum(t.n_rows_out for _, t in shards)
    return StageCost(
        move,
        {step: _fit_step([r for r, _ in mine], [t for _, t in mine]) for step, mine in known.items() if mine},
        _fit_between(name, move, runs),
        _mean([t.own_s / r.n_buckets for r, t in shards]) if move == GATHER else 0.0,
        _fit_rows([r for r, _ in shards], [t.n_rows_out for _, t in shards]),
        sum(t.written_bytes for _, t in shards) / rows_out if rows_out else 0.0,
        sum(t.written_bytes for _, t in reads) / max(1, sum(t.n_rows_out for _, t in reads)),
    )


def _fit_step(runs: Sequence[RunFacts], tasks: Sequence[Task]) -> StepCost:
    """Fit seconds to rows, piece by piece, and the rows of all pieces to the size of the study."""
    rows = np.concatenate([np.array(t.n_rows_in) / MILLION for t in tasks])
    seconds = np.concatenate([np.array(t.seconds) for t in tasks])
    weight = np.concatenate(
        [np.full(len(t.seconds), 1.0 / (max(TINY_S, np.mean(t.seconds)) * len(t.seconds) ** 0.5)) for t in tasks]
    )
    fixed, slope = _nnls(np.column_stack([np.ones(rows.size), rows]) * weight[:, None], seconds * weight)
    fitted = np.maximum(TINY_S, fixed + slope * rows)
    spread = float(np.std(np.log(np.maximum(TINY_S, seconds) / fitted)))
    totals = [sum(t.n_rows_in) for t in tasks]
    return StepCost(fixed, slope, _fit_rows(runs, totals), float(rows.mean() * MILLION), min(MAX_SPREAD, spread))


def _fit_rows(runs: Sequence[RunFacts], n_rows: Sequence[float]) -> tuple[float, ...]:
    """Fit rows to the drivers of the size of a study, in relative terms."""
    if not runs:
        return (0.0, 0.0, 0.0, 0.0)
    drivers = np.array([run.scale.drivers() for run in runs])
    weight = 1.0 / np.maximum(1.0, np.array(n_rows, float))
    return _nnls(drivers * weight[:, None], np.array(n_rows, float) * weight)


def _fit_between(name: str, move: str, runs: Sequence[RunFacts]) -> tuple[float, float]:
    """Fit what a stage took beside the work on its shards; of an exchange, of all workers together."""
    found, rows = [], []
    for run in runs:
        tasks = run.tasks.get(name, {})
        share = run.n_threads if move in (INGEST, MEETING) else 1
        found.append(max(0.0, run.stages[name] - _scheduled(move, tasks, run)) * share)
        rows.append(sum(tasks[SHARD].n_rows_in) / MILLION if SHARD in tasks else 0.0)
    weight = 1.0 / np.maximum(0.01, np.array(found))
    fixed, slope = _nnls(np.column_stack([np.ones(len(rows)), rows]) * weight[:, None], np.array(found) * weight)
    return fixed, slope


def _scheduled(move: str, tasks: dict[str, Task], run: RunFacts) -> float:
    """Return what the measured pieces of work of a stage take, one after the other on each worker."""
    if move == INGEST:
        return sum(schedule(task.seconds, run.n_threads) for task in tasks.values())
    if move == GATHER:
        alone = tasks[SHARD].own_s if SHARD in tasks else 0.0
        return alone + (schedule(tasks[PART].seconds, run.n_threads) if PART in tasks else 0.0)
    if SHARD not in tasks:
        return 0.0
    seconds = np.array(tasks[SHARD].seconds)
    if move == DATES:
        # Which bucket a shard is of is not kept: buckets are alike, being hashes of devices.
        seconds = np.full(run.n_buckets, seconds.sum() / run.n_buckets)
    return schedule(seconds, run.n_threads)


def _nnls(matrix: np.ndarray, wanted: np.ndarray) -> tuple[float, ...]:
    """Solve with columns brought to one size, or large numbers would drown small ones."""
    size = np.maximum(np.linalg.norm(matrix, axis=0), np.finfo(float).tiny)
    return tuple(float(x) for x in nnls(matrix / size, wanted)[0] / size)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def costs_to_dict(costs: Costs) -> dict[str, Any]:
    """Return plain values, from which `costs_from_dict` makes the same costs again."""
    stages = {
        name: {**cost._asdict(), "steps": {step: s._asdict() for step, s in cost.steps.items()}}
        for name, cost in costs.stages.items()
    }
    return {"measured_on": costs.measured_on, "stages": stages}


def costs_from_dict(values: dict[str, Any]) -> Costs:
    """Return the costs that were made plain values."""
    return Costs({name: _stage_from(stage) for name, stage in values["stages"].items()}, values["measured_on"])


def _stage_from(values: dict[str, Any]) -> StageCost:
    steps = {name: StepCost(**{**s, "rows": tuple(s["rows"])}) for name, s in values["steps"].items()}
    pairs = {name: tuple(values[name]) for name in ("between_s", "rows_out")}
    return StageCost(**{**values, **pairs, "steps": steps})


def shipped_costs() -> Costs:
    """Return the costs that come with the project, measured as `measured_on` says."""
    return costs_from_dict(json.loads((files("pipeline.costs") / "measured.json").read_text()))
