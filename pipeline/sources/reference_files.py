"""Files of reference data, as places of interest, census tables and official series come: columns, numbers, areas."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.paths import join, open_bytes, stamp_of
from pipeline.references import AreaFile
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import read_geo_frame, text_ids
from pipeline.sources.numbers import MISSING_TEXTS, to_numbers
from pipeline.sources.pieces import expand
from pipeline.sources.streams import open_stream

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": ","}
PARQUET_ENDINGS = (".parquet", ".pq", ".parq")
NO_ESTIMATE = (-222222222, -333333333, -555555555, -666666666, -888888888, -999999999)
"""What the Census Bureau's ACS tables hold where there is no estimate (recalled, not looked up)."""
TRACT_DIGITS = 11
DIVIDED_TRACT_DIGITS = (11, 12, 15)
"""Digits of the ids that begin with a census tract's: a tract's, a block group's, a block's."""
BLOCK_ID_COLUMNS = ("w_geocode", "h_geocode", "bgrp")
"""Columns in which LODES and the files made of it keep blocks and block groups, never tracts."""


def find_reference(pattern: str, folder: Path, what: str) -> list[Path]:
    """Return the files that a name or glob stands for; SourceError where there is none, or one is empty."""
    files = expand(pattern, folder)
    if not files:
        raise SourceError(f"{join(folder, pattern)}: no such file of {what}")
    for path in files:
        if not stamp_of(path)[0]:
            raise SourceError(f"{path}: the file is empty")
    return files


def read_columns(path: Path, wanted: Sequence[str], delimiter: str | None, layer: str | None, what: str) -> pa.Table:
    """Return some columns of a file, in the order wanted; those of delimited text as text, null where they are empty.

    The ending says the format, once a .gz is taken off: delimited text, Parquet, else what geopandas
    reads. SourceError names the file and the columns that are not there.
    """
    kind = _ending(path)
    if kind in DELIMITERS:
        data = _read_text(path, wanted, delimiter or DELIMITERS[kind])
    elif kind in PARQUET_ENDINGS:
        data = _read_parquet(path, what)
    else:
        return select_from_frame(read_geo_frame(path, layer, what), wanted, path)
    return data.select(_found(data.column_names, wanted, path))


def select_from_frame(frame: pd.DataFrame, wanted: Sequence[str], path: Path) -> pa.Table:
    """Return columns of a frame, geometry not among them; SourceError names those that are not there."""
    names = [str(name) for name, dtype in frame.dtypes.items() if dtype != "geometry"]
    return pa.Table.from_pandas(pd.DataFrame(frame[_found(names, wanted, path)]), preserve_index=False)


def _found(names: Sequence[str], wanted: Sequence[str], path: Path) -> list[str]:
    """Return the columns wanted, each once; SourceError names those that are missing or there twice."""
    wanted = list(dict.fromkeys(wanted))
    missing = [name for name in wanted if name not in names]
    if missing:
        raise SourceError(f"{path}: no column {', '.join(missing)}; it has {', '.join(names)}")
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise SourceError(f"{path}: column {', '.join(twice)} occurs twice")
    return wanted


def _ending(path: Path) -> str:
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def _read_text(path: Path, wanted: Sequence[str], delimiter: str) -> pa.Table:
    try:
        return pacsv.read_csv(
            open_stream(path),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()),
                strings_can_be_null=True,
                null_values=list(MISSING_TEXTS),
            ),
        )
    except pa.ArrowInvalid:
        raise SourceError(f"{path}: not delimited text with the same number of fields in every row") from None
    except OSError:
        raise SourceError(f"{path}: the compressed file is truncated or damaged") from None


def _read_parquet(path: Path, what: str) -> pa.Table:
    try:
        return pq.read_table(open_bytes(path))
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: not readable as {what} ({type(error).__name__})") from None


def read_numbers(data: pa.Table, name: str, path: Path) -> NDArray[np.float64]:
    """Return a column as numbers, NaN where it has none; SourceError where a value is no number."""
    try:
        numbers = to_numbers(data[name].combine_chunks(), name)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None
    n_bad = int(numbers.is_bad.sum())
    if n_bad:
        raise SourceError(f"{path}: column {name} holds no number in {n_bad} of {data.num_rows} rows")
    return np.where(numbers.is_missing, np.nan, numbers.values)


def read_amounts(data: pa.Table, name: str, path: Path) -> NDArray[np.float64]:
    """Return a column of counts or shares, NaN where there is no estimate; SourceError where one is below 0."""
    values = read_numbers(data, name, path)
    values = np.where(np.isin(values, NO_ESTIMATE), np.nan, values)
    n_bad = int((values < 0).sum())
    if n_bad:
        raise SourceError(f"{path}: column {name} is below 0 in {n_bad} of {data.num_rows} rows")
    return values


def read_area_file(
    section: AreaFile, id_column: str, columns: Sequence[str], folder: Path, what: str
) -> "tuple[pd.Series[str], pd.DataFrame]":
    """Return (ids of areas, amounts by column) of every row of the files a section names, by full id.

    An id may be longer than its area's (block groups of a tract), so areas may recur; ids may not,
    so that a file that is there twice, or of two years, is not added up.
    """
    ids, frames = [], []
    for path in find_reference(section.path, folder, what):
        data = read_columns(path, [id_column, *columns], section.delimiter, section.layer, what)
        if data.num_rows == 0:
            raise SourceError(f"{path}: no rows")
        ids.append(_full_ids(data[id_column], section, path))
        frames.append(pd.DataFrame({name: read_amounts(data, name, path) for name in dict.fromkeys(columns)}))
    full, amounts = pd.concat(ids, ignore_index=True), pd.concat(frames, ignore_index=True)
    n_repeated = int(full.duplicated(keep=False).sum())
    if n_repeated:
        raise SourceError(f"{section.path}: {n_repeated} of {len(full)} rows share their {id_column} with another row")
    order = full.argsort(kind="stable")
    full, amounts = full.iloc[order].reset_index(drop=True), amounts.iloc[order].reset_index(drop=True)
    return _cut(full, section, id_column), amounts


def _full_ids(column: pa.ChunkedArray, section: AreaFile, path: Path) -> "pd.Series[str]":
    ids = text_ids(column.to_pandas(), path, "rows").str.strip()
    if section.id_digits is None:
        return ids
    is_bad = ~ids.str.fullmatch(rf"[0-9]{{1,{section.id_digits}}}")
    if is_bad.any():
        raise SourceError(f"{path}: {int(is_bad.sum())} of {len(ids)} ids are no numbers of {section.id_digits} digits")
    return ids.str.zfill(section.id_digits)


def _cut(ids: "pd.Series[str]", section: AreaFile, id_column: str) -> "pd.Series[str]":
    """Return the leading digits that are the area's; SourceError where they may be another's, zeros having been lost.

    Seen by ids of different lengths, or shorter than the area's. Where the area is a tract (11 digits), also by a
    length that neither tracts nor block groups nor blocks have (a block's 14), and by 11 characters in a column that
    holds blocks or block groups: those of a block group without its zero, unless ``id_digits`` says otherwise. Ids of
    other areas that have all lost a zero and are still long enough cannot be told.
    """
    if not section.area_digits:
        return ids
    lengths = sorted(ids.str.len().unique())
    if len(lengths) > 1 or not _may_begin_with_area(lengths[0], section, id_column):
        found = ", ".join(map(str, lengths))
        raise SourceError(
            f"{section.path}: {id_column} has {found} characters where the first {section.area_digits} are the area's; "
            "were leading zeros lost (id_digits)?"
        )
    return ids.str[: section.area_digits]


def _may_begin_with_area(length: int, section: AreaFile, id_column: str) -> bool:
    if section.area_digits != TRACT_DIGITS:
        return length >= section.area_digits
    is_short_block_group = (
        length == TRACT_DIGITS and section.id_digits is None and id_column.lower() in BLOCK_ID_COLUMNS
    )
    return length in DIVIDED_TRACT_DIGITS and not is_short_block_group
