"""Files with a region in every row, as policies, orders and counts of cases come: ids, dates, repeated rows."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts import Table
from pipeline.references import DateFormat, RegionFile
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import text_ids
from pipeline.sources.numbers import MISSING_TEXTS
from pipeline.sources.reference_files import find_reference, read_columns, read_numbers

ISO_DATE = "%Y-%m-%d"
LAST_ORDINAL = date.max.toordinal()


def read_region_file(
    section: RegionFile, columns: Sequence[str], folder: Path, what: str
) -> list[tuple[Path, pa.Table]]:
    """Return each file of a section with its region column and others; SourceError where there is none, or no row."""
    parts = []
    for path in find_reference(section.path, folder, what):
        data = read_columns(path, [section.region_column, *columns], section.delimiter, None, what)
        if data.num_rows == 0:
            raise SourceError(f"{path}: no rows")
        parts.append((path, data))
    return parts


def read_regions(data: pa.Table, section: RegionFile, path: Path) -> "pd.Series[str]":
    """Return the ids of regions as text, leading zeros put back; SourceError where one is missing or no such number."""
    ids = text_ids(data[section.region_column].to_pandas(), path, "rows").str.strip()
    if section.region_digits is None:
        return ids
    is_bad = ~ids.str.fullmatch(rf"[0-9]{{1,{section.region_digits}}}")
    if is_bad.any():
        raise SourceError(
            f"{path}: column {section.region_column} holds no number of {section.region_digits} digits in "
            f"{int(is_bad.sum())} of {len(ids)} rows"
        )
    return ids.str.zfill(section.region_digits)


def with_region(data: pa.Table, section: RegionFile) -> pa.Table:
    """Return the rows that have an id of a region at all."""
    ids = data[section.region_column].to_pandas()
    if pd.api.types.is_object_dtype(ids) or pd.api.types.is_string_dtype(ids):
        ids = ids.where(~ids.astype("str").str.strip().isin(MISSING_TEXTS))
    return data.filter(pa.array(ids.notna()))


def read_dates(data: pa.Table, name: str, date_format: DateFormat, path: Path) -> NDArray[np.datetime64]:
    """Return a column as dates, none missing: datetime64[D]; SourceError where a value is no date as `date_format`."""
    days = read_optional_dates(data, name, date_format, path)
    n_missing = int(np.isnat(days).sum())
    if n_missing:
        raise SourceError(f"{path}: column {name} is missing in {n_missing} of {days.size} rows")
    return days


def read_optional_dates(data: pa.Table, name: str, date_format: DateFormat, path: Path) -> NDArray[np.datetime64]:
    """Return a column as dates, NaT where there is none: datetime64[D]; SourceError where a value is no date.

    Of several formats all values are of one: the first that they can be of.
    """
    values = data[name].to_pandas()
    if pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values):
        values = values.astype("str").str.strip()
    elif not pd.api.types.is_datetime64_any_dtype(values) and not values.isna().all():
        raise SourceError(f"{path}: column {name} holds numbers, not dates")
    forms = (date_format,) if isinstance(date_format, str) else date_format or (ISO_DATE,)
    n_bad = []
    for form in forms:
        found = pd.to_datetime(values, format=form, errors="coerce")
        n_bad.append(int((found.isna() & values.notna()).sum()))
        if not n_bad[-1]:
            return found.to_numpy().astype("datetime64[D]")
    words = " or ".join(forms) if date_format else "YYYY-MM-DD"
    raise SourceError(f"{path}: column {name} holds no date of the form {words} in {min(n_bad)} of {len(values)} rows")


def read_ordinals(data: pa.Table, name: str, path: Path) -> NDArray[np.datetime64]:
    """Return a column of Python's day numbers as dates, NaT where there is none; SourceError where one is no such."""
    numbers = read_numbers(data, name, path)
    is_bad = ~np.isnan(numbers) & ~((numbers >= 1) & (numbers <= LAST_ORDINAL) & (numbers % 1 == 0))
    if is_bad.any():
        raise SourceError(f"{path}: column {name} holds no day number in {int(is_bad.sum())} of {numbers.size} rows")
    since_1970 = np.nan_to_num(numbers, nan=0.0).astype(np.int64) - date(1970, 1, 1).toordinal()
    days = since_1970.astype("datetime64[D]")
    days[np.isnan(numbers)] = np.datetime64("NaT")
    return days


def to_reference(rows: pd.DataFrame, table: Table, what: str, notes: dict[str, int]) -> pa.Table:
    """Return rows as a reference table in key order, `notes` in its metadata; SourceError for a key that is twice."""
    n_repeated = int(rows.duplicated(list(table.key), keep=False).sum())
    if n_repeated:
        raise SourceError(f"{what}: {n_repeated} of {len(rows)} rows share {' and '.join(table.key)} with another row")
    found = pa.Table.from_pandas(rows[table.names], preserve_index=False).cast(table.schema)
    found = found.sort_by([(name, "ascending") for name in table.key])
    return found.replace_schema_metadata({name: str(n) for name, n in notes.items()})
