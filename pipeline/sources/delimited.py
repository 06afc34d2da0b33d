"""Delimited text (CSV and its kin), plain or compressed, as a stream of blocks.

All fields are read as text and understood value by value, so a bad value costs its row and not
the file. A row with a wrong number of fields comes out with the fault "malformed_row". Row numbers
count data rows from 1: header and blank lines are not counted.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from pipeline.sources.errors import SourceError
from pipeline.sources.numbers import MISSING_TEXTS
from pipeline.sources.pieces import Piece, file_stem
from pipeline.sources.rows import ROLES, RowReader, malformed_rows
from pipeline.sources.streams import open_stream
from pipeline.study import Source

PARSE_BYTES = 8 << 20
"""Text parsed at a time, some 100,000 rows."""
HEADER_BYTES = 1 << 16
NUMBER_START = re.compile(r"^[+-]?[.\d]")
MAX_NAME = 64


class Layout(NamedTuple):
    """How a stream of delimited text is laid out."""

    delimiter: str
    names: list[str] | None
    """Column names where the text carries none; None: its first line does."""
    skip_lines: int = 0


class TextBlock(NamedTuple):
    """Rows of text: wanted columns, number of each row, and the numbers of the malformed rows between."""

    columns: dict[str, pa.Array]
    row_number: NDArray[np.int64]
    malformed: NDArray[np.int64]


def read_blocks(piece: Piece, key: bytes, block_rows: int) -> Iterator[pa.Table]:
    """Yield the rows of a delimited file as RAW_PINGS, in order, at most `block_rows` at a time."""
    source = piece.source
    reader = RowReader(source, key)
    wanted = wanted_columns(source)
    layout, checked = find_layout(piece.path, source, wanted)
    device = device_name(piece)
    for block in read_text(
        open_stream(piece.path), layout, list(dict.fromkeys([*wanted.values(), checked])), piece.path
    ):
        columns = {role: block.columns[name] for role, name in wanted.items()}
        yield from raw_blocks(reader, TextBlock(columns, block.row_number, block.malformed), device, block_rows)


def raw_blocks(reader: RowReader, block: TextBlock, device: str | None, block_rows: int) -> Iterator[pa.Table]:
    """Yield RAW_PINGS of a block of text (columns by role), malformed rows in their places."""
    raw = reader.to_raw_pings(block.columns, block.row_number, device)
    if len(block.malformed):
        raw = pa.concat_tables([raw, malformed_rows(block.malformed)]).sort_by("row_number")
    for start in range(0, raw.num_rows, block_rows):
        yield raw.slice(start, block_rows)


def wanted_columns(source: Source) -> dict[str, str]:
    """Return role → column name of the columns that `source` maps."""
    named = {role: getattr(source.columns, role) for role in ROLES}
    if source.device_from != "column":
        del named["device_id"]
    return {role: name for role, name in named.items() if name is not None}


def device_name(piece: Piece) -> str | None:
    """Return the id that all rows of a file share, None where a column holds ids."""
    source = piece.source
    if source.device_from == "column":
        return None
    return file_stem(piece.path) if source.device_from == "file_stem" else source.device_name


def read_text(stream: pa.NativeFile, layout: Layout, wanted: list[str], path: Path) -> Iterator[TextBlock]:
    """Yield the `wanted` columns of a stream of delimited text, all as text.

    SourceError, never with a row's contents, where the text ends within compressed data or a
    quoted field, or a row is longer than PARSE_BYTES.
    """
    rows = _RowCounter(layout)
    last_value = None
    try:
        for batch in _open(stream, layout, wanted, rows):
            yield rows.number(batch)
            last_value = batch.column(batch.num_columns - 1)[-1] if batch.num_rows else last_value
        # A stray quote swallows the lines after it, which would be lost unseen: its row is malformed
        # and holds line breaks, or the quote opened in the last field of all.
        if rows.has_open_quote or _has_line_break(last_value):
            raise SourceError(f"{path}: a quote is opened and not closed, perhaps near row {rows.n_seen}")
        if len(left := rows.take_rest()):
            yield TextBlock({name: pa.nulls(0, pa.string()) for name in wanted}, np.zeros(0, np.int64), left)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        if rows.n_seen == 0 and "cannot infer number of columns" in str(error):
            return  # a header and nothing below it
        reason = "a row is too long; is a quote left open?" if "straddling" in str(error) else "not delimited text"
        raise SourceError(f"{path}: {reason}, somewhere after row {rows.n_seen}") from None
    except OSError:
        raise SourceError(f"{path}: the compressed file is truncated or damaged, after row {rows.n_seen}") from None


def _open(stream: pa.NativeFile, layout: Layout, wanted: list[str], rows: "_RowCounter") -> pacsv.CSVStreamingReader:
    return pacsv.open_csv(
        stream,
        # One thread: Arrow numbers the rows it cannot parse only then, and tasks run side by side anyway.
        read_options=pacsv.ReadOptions(
            use_threads=False, block_size=PARSE_BYTES, skip_rows=layout.skip_lines, column_names=layout.names
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=rows.note_malformed
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(wanted, pa.string()),
            include_columns=wanted,
            strings_can_be_null=True,
            null_values=list(MISSING_TEXTS),
            check_utf8=False,
        ),
    )


class _RowCounter:
    """Gives rows their numbers: Arrow says which lines it skipped, the rest are counted."""

    def __init__(self, layout: Layout) -> None:
        self._lines_before = layout.skip_lines + (layout.names is None)
        self._malformed: list[int] = []
        self.n_seen = 0
        self.has_open_quote = False

    def note_malformed(self, row: pacsv.InvalidRow) -> str:
        self._malformed.append(row.number - self._lines_before)
        self.has_open_quote |= "\n" in row.text
        return "skip"

    def number(self, batch: pa.RecordBatch) -> TextBlock:
        first = self.n_seen + 1
        malformed = np.array(self._malformed, np.int64)
        numbers = np.arange(first, first + batch.num_rows + len(malformed), dtype=np.int64)
        numbers = numbers[~np.isin(numbers, malformed)][: batch.num_rows] if len(malformed) else numbers
        last = int(numbers[-1]) if batch.num_rows else self.n_seen
        # Malformed rows after the batch's last row belong to the next batch, or to the end.
        between = malformed[malformed < last]
        self._malformed = malformed[malformed > last].tolist()
        self.n_seen = last
        columns = {name: batch.column(k) for k, name in enumerate(batch.schema.names)}
        return TextBlock(columns, numbers, between)

    def take_rest(self) -> NDArray[np.int64]:
        rest = np.array(self._malformed, np.int64)
        self._malformed = []
        self.n_seen += len(rest)
        return rest


def _has_line_break(value: pa.Scalar | None) -> bool:
    return value is not None and value.is_valid and b"\n" in value.as_buffer().to_pybytes()


def find_layout(path: Path, source: Source, wanted: dict[str, str]) -> tuple[Layout, str]:
    """Return the layout of a file and the name of its last column, once all wanted columns are there."""
    names, described = column_names(path, source)
    missing = [name for name in wanted.values() if name not in names]
    if missing:
        raise SourceError(f"{path}: no column {', '.join(missing)}; {described}")
    repeated = [name for name in wanted.values() if names.count(name) > 1]
    if repeated:
        raise SourceError(f"{path}: column {', '.join(repeated)} occurs twice")
    return Layout(source.delimiter, None if source.has_header else names), names[-1]


def column_names(path: Path, source: Source) -> tuple[list[str], str]:
    """Return the names of a file's columns, and what an error may say of them; SourceError where there are none."""
    first = _first_fields(path, source.delimiter)
    names = first if source.has_header else [str(k) for k in range(len(first))]
    return names, _describe(names, source)


def _first_fields(path: Path, delimiter: str) -> list[str]:
    try:
        start = open_stream(path).read(HEADER_BYTES)
    except OSError:
        raise SourceError(f"{path}: the compressed file is truncated or damaged") from None
    lines = start.decode("utf-8-sig", errors="replace").splitlines()
    line = next((line for line in lines if line), None)
    if line is None:
        raise SourceError(f"{path}: the file is empty")
    return next(csv.reader([line], delimiter=delimiter))


def _describe(names: list[str], source: Source) -> str:
    """Return what to say of a file's columns, unless its first line is data, which must not be said."""
    if source.has_header and any(NUMBER_START.match(name) or len(name) > MAX_NAME for name in names):
        return "its first line looks like data: a file without a header needs has_header = false"
    hint = f"; is the delimiter {source.delimiter!r}?" if len(names) == 1 else ""
    return f"it has {', '.join(names)}{hint}"
