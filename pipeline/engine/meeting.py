"""The meeting: a table kept per device bucket that is made of rows of all devices.

Three steps and two shuffles in one graph: the stage's function says of each bucket's rows where they meet,
`meet` is called on what came together there, and `finish` on what of it belongs to the devices of one bucket. As any
device may have met any other, each shard is made from the inputs of all buckets, and all are made together; those
that are current all the same (the run was killed between two of them) are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pipeline.engine.cluster import Step
from pipeline.engine.metering import Cost, metered
from pipeline.engine.origins import Origins
from pipeline.engine.outlook import Outlook
from pipeline.engine.plan import (
    Input,
    ShardReport,
    Work,
    check_code,
    expected_parts,
    facts,
    inputs_of,
    read_frames,
    remove_shard,
    to_arrow,
    visit_whole,
)
from pipeline.engine.store import ALL, ShardKey
from pipeline.engine.trouble import RunError, named
from pipeline.stage import MEETS_AT

Exchange = Callable[..., Iterator[pd.DataFrame]]
"""A cluster's `exchange`."""
ROWS_PER_PART = 200_000
"""Rows of the first table for each part of the first shuffle: large enough to be cheap, small against memory."""
BUCKET = "bucket"


def visit_meeting(work: Work, exchange: Exchange | None) -> Iterator[ShardReport]:
    """Bring all shards of a table that is made of all devices together up to date, and report each.

    RunError without an `exchange`, which a dry run does not need.
    """
    stage, inputs = work.stage, inputs_of(work, ALL)
    buckets = sorted({key.bucket for table, key in inputs if table is stage.reads[0] and key.bucket is not None})
    for key in work.store.keys(stage.writes):
        if key.bucket not in buckets:
            yield from remove_shard(work, key)
    look = work if work.is_dry else replace(work, outlook=Outlook(), origins=Origins(work.store))
    found = [report for bucket in buckets for report in visit_whole(look, ShardKey(bucket=bucket), inputs=inputs)]
    stale = {bucket: report for bucket, report in zip(buckets, found, strict=True) if report.state != "current"}
    yield from (report for report in found if work.is_dry or report.state == "current")
    if stale and not work.is_dry:
        if exchange is None:
            raise RunError(f"{stage.name}: devices of different buckets meet on a cluster only")
        yield from _meet(work, exchange, inputs, stale)


def _meet(
    work: Work, exchange: Exchange, inputs: Sequence[Input], stale: dict[int, ShardReport]
) -> Iterator[ShardReport]:
    """Compute the rows of all buckets together; write and report the shards that are not current."""
    first = work.stage.reads[0]
    footers = [work.store.footer(table, key) for table, key in inputs if table is first]
    buckets = sorted({key.bucket for table, key in inputs if table is first and key.bucket is not None})
    made_from = expected_parts(work, ALL, inputs, None)
    rows = _rows_of(work, None, None)
    met = _met(work, None, rows)
    write = partial(_write, work, made_from, frozenset(stale))
    steps = [
        Step(MEETS_AT, 1 + sum(f.n_rows for f in footers if f) // ROWS_PER_PART, partial(_met, work, met), met),
        Step(BUCKET, len(buckets), write, write(met)),
    ]
    waiting = dict(stale)
    for reports in exchange(partial(_rows_of, work, rows), buckets, rows, steps):
        for made in reports.itertuples(index=False):
            report = waiting.pop(made.bucket)
            yield report._replace(state="computed", n_rows=made.n_rows, cost=made.cost)
    # Nobody of these met anybody: a shard without rows says so.
    for bucket, report in waiting.items():
        n_rows, cost = _write_bucket(work, made_from, bucket, met)
        yield report._replace(state="computed", n_rows=n_rows, cost=cost)


def _rows_of(work: Work, like: pd.DataFrame | None, bucket: int | None) -> pd.DataFrame:
    """Return what the stage makes of a bucket's rows, shaped `like` that; of no bucket, a frame without rows."""
    check_code(work)
    key = ShardKey(bucket=bucket)
    inputs = [] if bucket is None else inputs_of(work, key)
    with named(f"{work.stage.name}, rows of {'no bucket' if bucket is None else key.path}"):
        rows = work.stage(*read_frames(work, work.stage.reads, inputs), *facts(work, key), work.params)
    return _checked(work, rows, like)


def _met(work: Work, like: pd.DataFrame | None, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what comes of rows that came together, and the bucket of each device in it."""
    check_code(work)
    with named(f"{work.stage.name}, rows that meet"):
        met = work.stage.meet(rows, work.params)  # type: ignore[misc]
    bucket = met["device_id"].to_numpy().astype(np.uint64) % np.uint64(work.settings.n_buckets)
    return _checked(work, met.assign(**{BUCKET: bucket.astype(np.int64)}), like)


def _checked(work: Work, rows: pd.DataFrame, like: pd.DataFrame | None) -> pd.DataFrame:
    """Return rows; RunError where their columns or types are not those of other parts."""
    if like is not None and not rows.dtypes.equals(like.dtypes):
        raise RunError(f"{work.stage.name}: the parts of some buckets differ in their columns or types")
    return rows


def _write(work: Work, made_from: dict[str, Any], stale: frozenset[int], rows: pd.DataFrame) -> pd.DataFrame:
    """Write the shards of those buckets among `rows` that are not current; return one row a shard."""
    check_code(work)
    mine = rows[rows[BUCKET].isin(stale)].groupby(BUCKET, sort=True)
    written = [(bucket, *_write_bucket(work, made_from, int(bucket), part)) for bucket, part in mine]
    types = {BUCKET: "int64", "n_rows": "int64", "cost": "object"}
    return pd.DataFrame(written, columns=list(types)).astype(types)


def _write_bucket(work: Work, made_from: dict[str, Any], bucket: int, rows: pd.DataFrame) -> tuple[int, Cost]:
    """Finish and write a shard; return its rows and what that cost, the meeting before it not counted."""
    key = ShardKey(bucket=bucket)
    with metered() as meter, named(f"{work.stage.name}/{key.path}"):
        meter.add_rows(len(rows), int(rows.memory_usage(index=False).sum()))
        result = work.stage.finish(rows.drop(columns=BUCKET), work.params)  # type: ignore[misc]
        footer = work.store.write(work.stage.writes, key, to_arrow(result), made_from)
    return footer.n_rows, meter.cost()
