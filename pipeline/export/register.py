"""The register of exports under a root: every row that was ever released, exact, so that none is told twice unlike.

It stays inside: what leaves may be in steps. One file a table, written before what leaves is: a process killed between
the two has registered rows that nobody saw, which hides more later, never less.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts import Table
from pipeline.engine.store import StoreError, atomic_file
from pipeline.export.vintages import FIRST, LAST

FOLDER = "_exports"


def register_path(root: Path, table: Table) -> Path:
    """Return where the register of a table is or would be."""
    return root / FOLDER / f"{table.name}.parquet"


def read_register(root: Path, table: Table) -> pd.DataFrame:
    """Return the rows released so far with the first and the last vintage that had them; none: an empty frame."""
    path = register_path(root, table)
    schema = pa.schema([*table.schema.remove_metadata(), pa.field(FIRST, pa.int32()), pa.field(LAST, pa.int32())])
    if not path.exists():
        return schema.empty_table().to_pandas(date_as_object=False)
    found = pq.read_table(path, partitioning=None, use_threads=False)
    if found.schema.names != schema.names:
        raise StoreError(
            f"{path} was written under another contract of {table.name}: what was released before cannot be compared; "
            "export from another root, or move the register away and answer for the difference"
        )
    return found.to_pandas(date_as_object=False)


def registered(past: pd.DataFrame, rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the register with `rows` as its last vintage; unchanged where they already are."""
    n_vintages = int(past[LAST].max()) + 1 if len(past) else 0
    latest = past[past[LAST] == n_vintages - 1]
    if n_vintages and len(latest) == len(rows) and _equal(latest, rows, table):
        return past
    new = rows.assign(**{FIRST: n_vintages, LAST: n_vintages})
    # A row that goes on from the vintage before is one row of the register.
    both = pd.concat([past, new.astype(past.dtypes.to_dict())], ignore_index=True) if n_vintages else new
    number = both.groupby(table.names, dropna=False, sort=False).ngroup()
    goes_on = both[LAST].isin([n_vintages - 1, n_vintages])
    first = both[FIRST].where(~goes_on, both[FIRST].where(goes_on).groupby(number).transform("min"))
    last = both[LAST].where(~goes_on, both[LAST].where(goes_on).groupby(number).transform("max"))
    both = both.assign(**{FIRST: first.astype("int32"), LAST: last.astype("int32")}).drop_duplicates(ignore_index=True)
    return both.sort_values([*table.key, FIRST], ignore_index=True)


def _equal(latest: pd.DataFrame, rows: pd.DataFrame, table: Table) -> bool:
    key = list(table.key)
    one, other = (frame[table.names].sort_values(key, ignore_index=True) for frame in (latest, rows))
    return bool(one.equals(other.astype(one.dtypes.to_dict())))


def write_register(root: Path, table: Table, released: pd.DataFrame) -> None:
    """Write the register of a table, all or nothing."""
    schema = pa.schema([*table.schema.remove_metadata(), pa.field(FIRST, pa.int32()), pa.field(LAST, pa.int32())])
    with atomic_file(register_path(root, table)) as file:
        pq.write_table(pa.Table.from_pandas(released, schema=schema, preserve_index=False), file, compression="zstd")
