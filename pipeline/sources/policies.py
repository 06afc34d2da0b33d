"""Stringency of policies by region and date to the table `npi_policies`.

OxCGRT publishes US states as an Excel file with a sheet an indicator, a row a state and a column a day (05Apr2020).
Of it either the index is taken as it is, or made anew from the indicators by `pipeline.kernels.stringency`. On its
revision of 28 April 2021 the two agree on all 24,426 states and days that have all indicators, to 0.005, which is
what rounding to two decimals can do.
"""

import logging
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts import NPI_POLICIES
from pipeline.kernels.stringency import HAS_FLAG, INDICATORS, stringency
from pipeline.references import NpiPolicies
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import members_digest
from pipeline.sources.pieces import expand
from pipeline.sources.reference_files import find_reference, read_numbers
from pipeline.sources.region_files import read_dates, read_region_file, read_regions, to_reference
from pipeline.sources.us_states import STATE_FIPS

LOG = logging.getLogger(__name__)
HIGHEST = 100.0
INDEX_SHEET = "stringency_index"
STATE_COLUMN = "region_code"
DAY_FORMAT = "%d%b%Y"


def read_npi_policies(policies: NpiPolicies, folder: Path) -> pa.Table:
    """Return NPI_POLICIES in key order; the metadata counts rows without a stringency, which are left out.

    SourceError names the file and what is wrong: a column that is not there, an id, date or number that is none, a
    stringency outside of 0 to 100, a region and date that are there twice, no stringency at all.
    """
    rows = _read_oxcgrt(policies, folder) if policies.preset else _read_rows(policies, folder)
    is_known = rows["stringency"].notna()
    notes = {"n_without_stringency": int((~is_known).sum())}
    rows = rows[is_known]
    if rows.empty:
        raise SourceError(f"{policies.path}: no stringency of any region")
    LOG.info("%s: %d regions and dates, %d without stringency", policies.path, len(rows), notes["n_without_stringency"])
    return to_reference(rows, NPI_POLICIES, policies.path, notes)


def npi_policies_digest(policies: NpiPolicies, folder: Path) -> str:
    """Return a hash of the contents of the files of policies."""
    return members_digest(expand(policies.path, folder))


def _read_rows(policies: NpiPolicies, folder: Path) -> pd.DataFrame:
    columns = [policies.date_column, policies.stringency_column]
    parts = []
    for path, data in read_region_file(policies, columns, folder, "policies"):
        values = read_numbers(data, policies.stringency_column, path)
        _check_range(values, f"column {policies.stringency_column}", path)
        days = read_dates(data, policies.date_column, policies.date_format, path)
        parts.append(_rows(read_regions(data, policies, path).to_numpy(), days, values))
    return pd.concat(parts, ignore_index=True)


def _read_oxcgrt(policies: NpiPolicies, folder: Path) -> pd.DataFrame:
    """Return the stringency of each state and day of OxCGRT's Excel files."""
    read = _index_of if policies.preset == "oxcgrt_indicators" else _published_index
    parts = []
    for path in find_reference(policies.path, folder, "policies"):
        try:
            with pd.ExcelFile(path) as book:
                index = read(book, path)
        except SourceError:
            raise
        except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
            raise SourceError(f"{path}: not readable as an Excel file ({type(error).__name__})") from None
        states, days = (index.index.get_level_values(k).to_numpy() for k in (0, 1))
        parts.append(_rows(states, days, index.to_numpy()))
    return pd.concat(parts, ignore_index=True)


def _published_index(book: pd.ExcelFile, path: Path) -> "pd.Series[float]":
    """Return the index of each state and day as it is published."""
    index = _indicator(book, INDEX_SHEET, path)
    _check_range(index.to_numpy(), f"sheet {INDEX_SHEET}", path)
    return index


def _index_of(book: pd.ExcelFile, path: Path) -> "pd.Series[float]":
    """Return the index of each state and day, from the levels and flags of its nine indicators."""
    level = pd.DataFrame({name: _indicator(book, _sheet_of(book, name, path), path) for name in INDICATORS})
    with_flag = [name for name, has_flag in zip(INDICATORS, HAS_FLAG, strict=True) if has_flag]
    flag = pd.DataFrame({name: _indicator(book, f"{name}_flag", path) for name in with_flag})
    flag = flag.reindex(index=level.index, columns=level.columns)
    try:
        return pd.Series(stringency(level.to_numpy(), flag.to_numpy()), index=level.index)
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from None


def _sheet_of(book: pd.ExcelFile, indicator: str, path: Path) -> str:
    """Return the sheet of an indicator's levels: its letter and number, and what it is about."""
    found = [str(name) for name in book.sheet_names if str(name).startswith(f"{indicator}_")]
    found = [name for name in found if not name.endswith("_flag")]
    if len(found) != 1:
        raise SourceError(f"{path}: {len(found)} sheets of the indicator {indicator}, where one is needed")
    return found[0]


def _indicator(book: pd.ExcelFile, sheet: str, path: Path) -> "pd.Series[float]":
    """Return the numbers of a sheet by (state, day), NaN where there is none."""
    if sheet not in book.sheet_names:
        raise SourceError(f"{path}: no sheet {sheet}; there are {', '.join(map(str, book.sheet_names))}")
    wide = pd.read_excel(book, sheet_name=sheet, dtype=object)
    if STATE_COLUMN not in wide:
        raise SourceError(f"{path}: no column {STATE_COLUMN} in sheet {sheet}")
    days = pd.to_datetime(pd.Index(map(str, wide.columns)), format=DAY_FORMAT, errors="coerce")
    if days.isna().all():
        raise SourceError(f"{path}: no column of a day, such as 05Apr2020, in sheet {sheet}")
    values = wide.loc[:, ~days.isna()]
    numbers = values.apply(pd.to_numeric, errors="coerce").astype(float)
    n_bad = int((numbers.isna() & values.notna()).to_numpy().sum())
    if n_bad:
        raise SourceError(f"{path}: sheet {sheet} holds no number in {n_bad} of {values.size} cells")
    numbers.index = pd.Index(_states(wide[STATE_COLUMN], sheet, path))
    numbers.columns = days[~days.isna()]
    if numbers.index.has_duplicates or numbers.columns.has_duplicates:
        raise SourceError(f"{path}: a state or day is twice in sheet {sheet}")
    return numbers.stack()


def _states(codes: "pd.Series[str]", sheet: str, path: Path) -> "pd.Series[str]":
    """Return the FIPS code of states that are written as US_NY; SourceError where one is no state."""
    states = codes.astype(str).str.strip().str.removeprefix("US_").map(STATE_FIPS)
    n_bad = int(states.isna().sum())
    if n_bad:
        raise SourceError(
            f"{path}: {STATE_COLUMN} in sheet {sheet} holds no state, such as US_NY, in {n_bad} of {len(codes)} rows"
        )
    return states


def _check_range(values: NDArray[np.float64], what: str, path: Path) -> None:
    n_bad = int(((values < 0) | (values > HIGHEST)).sum())
    if n_bad:
        raise SourceError(f"{path}: {what} is not between 0 and {HIGHEST:g} in {n_bad} of {values.size} places")


def _rows(regions: NDArray, days: NDArray, values: NDArray[np.float64]) -> pd.DataFrame:
    return pd.DataFrame({"region_geoid": regions, "date": days.astype("datetime64[s]"), "stringency": values})
