"""A run that has not happened: the work of each stage, laid out as the engine would lay it out, on so many workers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipeline.costs.facts import Scale
from pipeline.costs.fit import (
    BUCKETS,
    DATES,
    GATHER,
    INGEST,
    MEETING,
    MILLION,
    Costs,
    StageCost,
    StepCost,
)
from pipeline.costs.schedule import schedule, uneven
from pipeline.engine.outlook import PART, READ, SHARD

EXCHANGE_COPIES = 3.5
"""Scratch while pings are exchanged, in sizes of the blocks read: these, and what the shuffle keeps, which is not
compressed (3.0 to 3.5 times measured at 20 M to 1 B rows)."""
ROWS_PER_WAVE = 100_000_000
"""Rows that are exchanged at a time, as many as `Settings.wave_bytes` of Parquet hold."""


class StageTime(NamedTuple):
    """What one stage would take."""

    stage: str
    seconds: float
    work_s: float
    """Of all workers together."""
    alone_s: float
    """The longest chain of work, and what one process does: more workers do not help."""
    n_tasks: int
    n_rows_out: float
    written_bytes: float


class Foretold(NamedTuple):
    """What a run would take."""

    n_workers: int
    n_buckets: int
    stages: tuple[StageTime, ...]
    scratch_bytes: float

    @property
    def seconds(self) -> float:
        """Of the whole run, stages one after the other."""
        return sum(s.seconds for s in self.stages)

    @property
    def core_s(self) -> float:
        """Seconds of work of all workers together; they are idle for the rest."""
        return sum(s.work_s for s in self.stages)

    @property
    def table_bytes(self) -> float:
        """Size of all tables."""
        return sum(s.written_bytes for s in self.stages)


def simulate(costs: Costs, scale: Scale, n_buckets: int, n_workers: int) -> Foretold:
    """Return what a run of that size would take on workers of one thread each."""
    stages = tuple(_stage_time(name, cost, scale, n_buckets, n_workers) for name, cost in costs.stages.items())
    scratch = max((c.scratch_bytes_per_row for c in costs.stages.values()), default=0.0)
    return Foretold(n_workers, n_buckets, stages, scratch * min(scale.n_pings, ROWS_PER_WAVE) * EXCHANGE_COPIES)


def _stage_time(name: str, cost: StageCost, scale: Scale, n_buckets: int, n_workers: int) -> StageTime:
    laid = [_lay_out(cost, step, scale, n_buckets) for step in cost.steps]
    wall = sum(schedule(pieces, n_workers) for pieces in laid)
    longest = sum(float(pieces.max(initial=0.0)) for pieces in laid)
    rows = _rows(cost.steps[SHARD].rows, scale) / MILLION if SHARD in cost.steps else 0.0
    between = cost.between_s[0] + cost.between_s[1] * rows
    is_shared = cost.move in (INGEST, MEETING)
    alone = cost.alone_s * n_buckets + (0.0 if is_shared else between)
    rows_out = _rows(cost.rows_out, scale)
    return StageTime(
        name,
        wall + alone + (between / n_workers if is_shared else 0.0),
        sum(float(pieces.sum()) for pieces in laid) + alone + (between if is_shared else 0.0),
        longest + alone,
        sum(len(pieces) for pieces in laid),
        rows_out,
        rows_out * cost.bytes_per_row,
    )


def _lay_out(cost: StageCost, step: str, scale: Scale, n_buckets: int) -> np.ndarray:
    """Return the seconds of each piece of work that no other waits for."""
    known, rows = cost.steps[step], _rows(cost.steps[step].rows, scale)
    if step == READ:
        n = max(1, math.ceil(rows / max(1.0, known.rows_per_piece)))
    elif cost.move == INGEST:
        n = scale.n_days * n_buckets
    elif cost.move == DATES:
        # A bucket's dates come one after the other: their unevenness evens out.
        shard_s = _seconds(known, rows / (scale.n_days * n_buckets))
        return uneven(shard_s * scale.n_days, n_buckets, known.spread / scale.n_days**0.5)
    elif step == PART or cost.move in (BUCKETS, MEETING, GATHER):
        n = n_buckets
    else:
        n = 1
    return uneven(_seconds(known, rows / n), n, known.spread)


def _seconds(cost: StepCost, n_rows: float) -> float:
    return cost.fixed_s + cost.s_per_million * n_rows / MILLION


def _rows(per_driver: tuple[float, ...], scale: Scale) -> float:
    return float(np.dot(per_driver, scale.drivers()))
