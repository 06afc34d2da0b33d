"""Parquet files, in pieces of whole row groups, as a stream of blocks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.paths import is_remote, open_bytes, stamp_of
from pipeline.sources.delimited import device_name, wanted_columns
from pipeline.sources.errors import SourceError
from pipeline.sources.numbers import is_text
from pipeline.sources.pieces import Piece
from pipeline.sources.rows import RowReader
from pipeline.study import Source

PIECE_ROWS = 2_000_000


def split(path: Path, source: Source) -> list[Piece]:
    """Return pieces of whole row groups, each of PIECE_ROWS rows or the fewest groups above it."""
    with _open(path) as file:
        rows = [file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)]
    cuts, n_rows = [0], 0
    for group, n in enumerate(rows):
        n_rows += n
        if n_rows >= PIECE_ROWS and group + 1 < len(rows):
            cuts.append(group + 1)
            n_rows = 0
    parts = list(zip(cuts, [*cuts[1:], len(rows)], strict=True))
    return [Piece(path, source, k, len(parts), sum(rows[: part[0]]), part) for k, part in enumerate(parts)]


def read_blocks(piece: Piece, key: bytes, block_rows: int) -> Iterator[pa.Table]:
    """Yield the rows of a piece as RAW_PINGS, in order, at most `block_rows` at a time."""
    reader = RowReader(piece.source, key)
    wanted = wanted_columns(piece.source)
    n_before = piece.first_row
    with _open(piece.path, wanted.get("device_id")) as file:
        _check_columns(file.schema_arrow.names, wanted, piece.path)
        for batch in _batches(file, piece, list(dict.fromkeys(wanted.values())), block_rows):
            columns = {role: batch.column(name) for role, name in wanted.items()}
            row_number = np.arange(n_before + 1, n_before + batch.num_rows + 1, dtype=np.int64)
            n_before += batch.num_rows
            yield reader.to_raw_pings(columns, row_number, device_name(piece))


def _open(path: Path, id_column: str | None = None) -> pq.ParquetFile:
    """Return an open file, ids as the dictionary they are stored with; SourceError where it is none."""
    try:
        if not stamp_of(path)[0]:
            raise SourceError(f"{path}: the file is empty")
        file = pq.ParquetFile(_place(path), page_checksum_verification=True)
        if id_column in file.schema_arrow.names and is_text(file.schema_arrow.field(id_column).type):
            file.close()
            file = pq.ParquetFile(_place(path), read_dictionary=[id_column], page_checksum_verification=True)
        return file
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: {_reason(error, 'not a readable Parquet file')}") from None


def _place(path: Path) -> Any:
    """Return what pyarrow opens: a name on a disk, which it may map, else a stream that fetches what is read."""
    return open_bytes(path) if is_remote(path) else path


def column_names(path: Path) -> tuple[list[str], str]:
    """Return the names of a file's columns, and what an error may say of them; SourceError where it cannot be read."""
    with _open(path) as file:
        return file.schema_arrow.names, _describe(file.schema_arrow.names)


def _describe(names: list[str]) -> str:
    return f"it has {', '.join(names)}"


def _check_columns(names: list[str], wanted: dict[str, str], path: Path) -> None:
    missing = [name for name in wanted.values() if name not in names]
    if missing:
        raise SourceError(f"{path}: no column {', '.join(missing)}; {_describe(names)}")


def _batches(file: pq.ParquetFile, piece: Piece, names: list[str], block_rows: int) -> Iterator[pa.RecordBatch]:
    groups = list(range(*piece.part)) if piece.part else None
    try:
        yield from file.iter_batches(block_rows, row_groups=groups, columns=names, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{piece.path}: {_reason(error, 'a part of the Parquet file is damaged')}") from None


def _reason(error: Exception, otherwise: str) -> str:
    """Return why a file cannot be read: the operating system's or the store's word, which pyarrow's errors lack."""
    return getattr(error, "strerror", None) or otherwise
