"""The gather: one table of the study, made of all device buckets.

The stage's function runs once per bucket, on the cluster. The parts it returns are small whatever the
number of devices, so they come back to this process, where `finish` makes the table of them and one
shard is written. Parts are not kept: where one bucket changed, those of all buckets are made again.
That is reading and summing what is computed already, while kept parts would be a second kind of shard,
without a contract, that has to be vouched for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pandas as pd

from pipeline.engine.meeting import Exchange, visit_meeting
from pipeline.engine.metering import metered, note_part
from pipeline.engine.outlook import PART
from pipeline.engine.plan import (
    Input,
    RunMap,
    ShardReport,
    Work,
    check_code,
    facts,
    inputs_of,
    read_frames,
    to_arrow,
    visit_shards,
    visit_whole,
)
from pipeline.engine.store import ALL, Footer, ShardKey, is_dated
from pipeline.engine.trouble import RunError, named


def visit_table(work: Work, run_map: RunMap, exchange: Exchange | None = None) -> Iterator[ShardReport]:
    """Bring every shard of the stage's table up to date, buckets side by side, and report each.

    `exchange` is a cluster's; a dry run needs none.
    """
    if work.stage.is_gather:
        parts: list[ShardReport] = []
        yield from visit_whole(work, ALL, partial(_gather, run_map, parts))
        yield from parts
        return
    if work.stage.is_whole:
        yield from visit_whole(work, ALL)
        return
    if work.stage.meet:
        yield from visit_meeting(work, exchange)
        return
    for reports in run_map(partial(visit_shards, work), range(work.settings.n_buckets)):
        yield from reports


def count_reports(work: Work) -> int:
    """Return how many reports `visit_table` will make, dates on which nothing was measured left out."""
    if work.stage.is_whole:
        return 1
    keys = work.store.keys(work.stage.reads[0])
    if is_dated(work.stage.writes):
        return len(keys)
    buckets = {found.bucket for _, found in inputs_of(work, ALL) if found.bucket is not None}
    return len(buckets) + work.stage.is_gather


def _gather(
    run_map: RunMap,
    reports: list[ShardReport],
    work: Work,
    key: ShardKey,
    inputs: Sequence[Input],
    before: ShardKey | None,
    made_from: dict[str, Any],
) -> Footer:
    """Make the parts of all buckets that have input, finish them and write the table; return its footer.

    `reports` takes what each part cost.
    """
    stage = work.stage
    buckets = sorted({found.bucket for _, found in inputs if found.bucket is not None})
    parts = {}
    for bucket, part, report in run_map(partial(_part, work), buckets):
        parts[bucket] = part
        reports.append(report)
        note_part(report.cost)
    single = read_frames(work, [table for table in stage.reads if table.shard.is_single], inputs)
    together = _together(stage.name, [parts[bucket] for bucket in buckets])
    result = stage.finish(together, *single, *facts(work, key), work.params)  # type: ignore[misc]
    return work.store.write(stage.writes, key, to_arrow(result), made_from)


def _part(work: Work, bucket: int) -> tuple[int, pd.DataFrame, ShardReport]:
    """Return the number of a bucket, what the stage makes of its rows, and what that cost."""
    check_code(work)
    key = ShardKey(bucket=bucket)
    with metered() as meter, named(f"{work.stage.name}, part of {key.path}"):
        tables = read_frames(work, work.stage.reads, inputs_of(work, key))
        part = work.stage(*tables, *facts(work, key), work.params)
    name = work.stage.writes.name
    return bucket, part, ShardReport(name, key.path, "computed", (), len(part), cost=meter.cost(), step=PART)


def _together(stage: str, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all parts; RunError where parts differ in what they hold.

    An empty part says nothing, and need not know the types that rows would have had.
    """
    filled = [part for part in parts if len(part)] or parts[:1]
    if any(not part.dtypes.equals(filled[0].dtypes) for part in filled):
        raise RunError(f"{stage}: the parts of some buckets differ in their columns or types")
    return pd.concat(filled, ignore_index=True)
