"""Tables of a root, a device bucket at a time, so that memory is bounded by the largest bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
import pyarrow as pa

from data_contracts import Table
from pipeline.engine.store import Store


def bucket_frames(store: Store, table: Table, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows of each device bucket that has any, over all dates; every device is in one frame."""
    for bucket in sorted({key.bucket for key in store.keys(table) if key.bucket is not None}):
        parts = [store.read(table, key, columns) for key in store.keys(table, bucket)]
        frame = pa.concat_tables(parts).to_pandas(date_as_object=False, split_blocks=True)
        if len(frame):
            yield frame


def count_rows(store: Store, table: Table) -> int:
    """Return the rows of a table from what its shards say of themselves."""
    footers = (store.footer(table, key) for key in store.keys(table))
    return sum(footer.n_rows for footer in footers if footer)
