"""Rows to their shards: the exchange of accepted rows, and their merging into what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather

from data_contracts import PINGS
from pipeline.engine.cluster import Cluster, Step
from pipeline.engine.files import whole_source
from pipeline.engine.metering import metered
from pipeline.engine.numbering import numbering, shard_key
from pipeline.engine.plan import ShardReport, Work, check_code
from pipeline.engine.store import ShardKey
from pipeline.engine.trouble import named

ROWS_PER_PART = 400_000
"""Rows that one task of the exchange gathers or sends: large enough to be cheap, small against memory (ours)."""

Item = TypeVar("Item")
Gone = dict[str, dict[str, int]]
"""Path of a shard → batch → rows it would bring there, were their devices not withdrawn."""
Merge = Callable[[ShardKey, pd.DataFrame], ShardReport]
"""Merges gathered rows into one shard."""


class Block(NamedTuple):
    """Accepted rows of one batch, waiting in a scratch file for the exchange."""

    path: Path
    batch_index: int
    n_rows: int


def cut(items: Sequence[Item], size: Callable[[Item], int], limit: int) -> list[list[Item]]:
    """Return the items in order, in groups of at most `limit` in all; a larger item is a group of its own."""
    groups: list[list[Item]] = []
    room = 0
    for item in items:
        room -= size(item)
        if room < 0 or not groups:
            groups.append([])
            room = limit - size(item)
        groups[-1].append(item)
    return groups


def exchange_rows(
    work: Work, cluster: Cluster, blocks: list[Block], reached: Counter[str], merge: Merge, waiting: set[str]
) -> Iterator[ShardReport]:
    """Bring rows to their shards and `merge` them; shards that wait and got none are merged with none."""
    n_parts = max(1, min(len(reached), reached.total() // ROWS_PER_PART))
    write = partial(_write_shards, work, merge)
    groups = cut(blocks, lambda block: block.n_rows, ROWS_PER_PART)
    meta = _read_group([])
    steps = [Step("shard", n_parts, write, _reports([]))]
    for reports in cluster.exchange(_read_group, groups, meta, steps) if groups else ():
        for row in reports.itertuples(index=False):
            waiting.discard(row.path)
            why = (row.why,) if row.why else ()
            yield ShardReport(row.table, row.path, row.state, why, row.n_rows, cost=row.cost)
    yield from cluster.map(partial(_merge_none, work, merge), sorted(waiting))


def _read_group(blocks: list[Block]) -> pd.DataFrame:
    """Return the rows of some blocks, each with the number of its batch; of none, an empty frame of that shape."""
    fields = [f for f in PINGS.schema.remove_metadata() if f.name != "is_jump"] + [pa.field("shard", pa.int32())]
    parts = [feather.read_table(whole_source(block.path)).select([f.name for f in fields]) for block in blocks]
    frame = pa.concat_tables([pa.schema(fields).empty_table(), *parts]).to_pandas()
    frame["tracked_at"] = frame["tracked_at"].astype("int64")
    batch = np.repeat([block.batch_index for block in blocks], [block.n_rows for block in blocks])
    return frame.assign(batch=batch.astype(np.int32))


def _reports(reports: list[ShardReport]) -> pd.DataFrame:
    frame = pd.DataFrame(reports, columns=ShardReport._fields)
    return frame.assign(why=["; ".join(r.why) for r in reports]).astype(
        {"n_rows": "int64", "n_suppressed": "int64", "cost": "object"}
    )


def _write_shards(work: Work, merge: Merge, rows: pd.DataFrame) -> pd.DataFrame:
    """Merge gathered rows into their shards; return one report a shard."""
    check_code(work)
    key = numbering(work).key
    return _reports([merge(key(int(shard)), part) for shard, part in rows.groupby("shard", sort=True)])


def _merge_none(work: Work, merge: Merge, path: str) -> ShardReport:
    """Note in a shard which batches would bring it rows, were these not of withdrawn devices."""
    check_code(work)
    return merge(shard_key(path), _read_group([]))


def merge_rows(
    work: Work, batch_ids: list[str], spoilt: frozenset[str], gone: Gone, key: ShardKey, rows: pd.DataFrame
) -> ShardReport:
    """Merge rows of some batches into one shard, those it holds already left out."""
    store = work.store
    footer = None if key.path in spoilt else store.footer(PINGS, key)
    made_from = footer.made_from if footer else {"batches": {}}
    brought = made_from["batches"]
    is_new = [k for k, batch_id in enumerate(batch_ids) if batch_id not in brought]
    rows = rows[rows["batch"].isin(is_new)]
    withdrawn = Counter({b: n for b, n in gone.get(key.path, {}).items() if b not in brought})
    if rows.empty and not withdrawn:
        return ShardReport(PINGS.name, key.path, "current", (), footer.n_rows if footer else 0)
    added = Counter({batch_ids[int(k)]: int(n) for k, n in rows["batch"].value_counts().items()}) + withdrawn
    n_withdrawn = made_from.get("withdrawn", 0) + withdrawn.total()
    note = {"withdrawn": n_withdrawn} if n_withdrawn else {}
    with metered() as meter, named(f"{PINGS.name}/{key.path}"):
        meter.add_rows(len(rows), int(rows.memory_usage(index=False).sum()))
        data = to_rows(rows.drop(columns=["shard", "batch"]))
        if brought:
            data = pa.concat_tables([store.read(PINGS, key).drop_columns("is_jump"), data.cast(PINGS.schema.remove(6))])
        merged = work.stage.finish(data, work.params)  # type: ignore[misc]
        footer = store.write(PINGS, key, merged, {"batches": {**brought, **added}, **note})
    why = (f"{len(added)} source files",)
    return ShardReport(PINGS.name, key.path, "computed", why, footer.n_rows, cost=meter.cost())


def to_rows(rows: pd.DataFrame) -> pa.Table:
    """Return rows that went through an exchange, with times in microseconds as numbers, as arrow has them."""
    data = pa.Table.from_pandas(rows, preserve_index=False)
    at = data["tracked_at"].cast(PINGS.schema.field("tracked_at").type)
    return data.set_column(data.schema.get_field_index("tracked_at"), "tracked_at", at).replace_schema_metadata(None)
