"""Tables of a root, a device bucket at a time, so that memory is bounded by the largest bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
import pyarrow as pa

from data_contracts import Table
from pipeline.engine.store import ALL, Store


def bucket_frames(store: Store, table: Table, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows of each device bucket that has any, over all dates; every device is in one frame."""
    for bucket in buckets_of(store, table):
        frame = read_bucket(store, table, bucket, columns)
        if len(frame):
            yield frame


def buckets_of(store: Store, *tables: Table) -> list[int]:
    """Return the device buckets in which any of the tables has a shard, in order."""
    return sorted({key.bucket for table in tables for key in store.keys(table) if key.bucket is not None})


def read_bucket(store: Store, table: Table, bucket: int, columns: Sequence[str]) -> pd.DataFrame:
    """Return the rows of one device bucket over all dates; none where there is no shard."""
    parts = [store.read(table, key, columns) for key in store.keys(table, bucket)]
    schema = pa.schema([table.schema.field(name) for name in columns])
    rows = pa.concat_tables(parts) if parts else schema.empty_table()
    return rows.to_pandas(date_as_object=False, split_blocks=True)


def read_whole(store: Store, table: Table, columns: Sequence[str] | None = None) -> pd.DataFrame | None:
    """Return the rows of a table that is one shard, reference data or a result of the study; None without one."""
    if not store.has(table, ALL):
        return None
    return store.read(table, ALL, columns).to_pandas(date_as_object=False)


def count_rows(store: Store, table: Table) -> int:
    """Return the rows of a table from what its shards say of themselves."""
    footers = (store.footer(table, key) for key in store.keys(table))
    return sum(footer.n_rows for footer in footers if footer)
