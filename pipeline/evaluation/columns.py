"""Single columns of source files, row by row as the readers of pings count rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.sources import SourceError
from pipeline.sources.delimited import find_layout, read_text
from pipeline.sources.numbers import blank_to_null, plain
from pipeline.sources.streams import open_stream
from pipeline.study import Source

BLOCK_ROWS = 500_000


class Block(NamedTuple):
    """Rows of some columns, and how many rows between them cannot be read."""

    row_number: NDArray[np.int64]
    columns: dict[str, pa.Array]
    n_malformed: int


def read_columns(path: Path, source: Source, names: list[str]) -> Iterator[Block]:
    """Yield the columns `names` by name, in order, in blocks.

    Rows are numbered from 1 as in RAW_PINGS; rows that cannot be read are left out and counted. Columns of delimited
    text are text. SourceError where the file has no such column or is not what `source` says.
    """
    if source.format == "parquet":
        yield from _of_parquet(path, names)
    elif source.format == "delimited":
        yield from _of_text(path, source, names)
    else:
        raise SourceError(f"{path}: files of format {source.format} hold no columns of labels")


def _of_text(path: Path, source: Source, names: list[str]) -> Iterator[Block]:
    layout, checked = find_layout(path, source, dict(zip(names, names, strict=True)))
    for block in read_text(open_stream(path), layout, list(dict.fromkeys([*names, checked])), path):
        yield Block(block.row_number, {name: block.columns[name] for name in names}, len(block.malformed))


def _of_parquet(path: Path, names: list[str]) -> Iterator[Block]:
    n_before = 0
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in names if name not in file.schema_arrow.names]
            if missing:
                raise SourceError(
                    f"{path}: no column {', '.join(missing)}; it has {', '.join(file.schema_arrow.names)}"
                )
            for batch in file.iter_batches(BLOCK_ROWS, columns=list(dict.fromkeys(names))):
                rows = np.arange(n_before + 1, n_before + batch.num_rows + 1, dtype=np.int64)
                n_before += batch.num_rows
                yield Block(rows, {name: batch.column(name) for name in names}, 0)
    except (pa.ArrowException, OSError):
        raise SourceError(f"{path}: not a readable Parquet file") from None


def to_texts(column: pa.Array) -> pa.Array:
    """Return a column as trimmed text, null where there is nothing; 1.0 is written 1."""
    column = plain(column)
    if pa.types.is_floating(column.type):
        is_whole = pc.fill_null(pc.and_(pc.is_finite(column), pc.equal(pc.floor(column), column)), False)
        whole = pc.if_else(is_whole, column, None).cast(pa.int64(), safe=False)
        column = pc.coalesce(whole.cast(pa.string()), column.cast(pa.string()))
    return blank_to_null(column.cast(pa.string()))
