"""Official unemployment rates and claims to the table `official_rates`.

- LAUS, the BLS's Excel file of states by month: the unemployment rate, seasonally adjusted, in per cent of the
  labour force. It also holds areas that are parts of states under codes of other lengths (037 is Los Angeles County
  where 37 is North Carolina; 51000 is New York city); these are left out, and counted.
- UI claims as Opportunity Insights publish them, states by week that ends on Saturday: initial and
  continued claims per 100 people of the state's labour force of 2019 (their data dictionary). Counts over
  rates are indeed one number of people a state in all weeks, within 5 % of what LAUS now says of 2019.
  "Combined" claims are no share of anybody in places: 71.5 per 100 in Arizona in June 2020. Hence "regular" (ours).
"""

import logging
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts import OFFICIAL_RATES
from pipeline.references import OfficialRates
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import members_digest
from pipeline.sources.numbers import MISSING_TEXTS
from pipeline.sources.pieces import expand
from pipeline.sources.reference_files import find_reference, read_columns

LOG = logging.getLogger(__name__)
STATE_DIGITS = 2
PER_CENT = 100.0
NOT_AVAILABLE = (*MISSING_TEXTS, "-", "–", "—", ".")
HEADER_WORDS = ("year", "month", "rate")
CLAIMS = {"initial_claims": "initclaims_rate", "continued_claims": "contclaims_rate"}
"""Series → how its columns begin; regular or combined follows."""
CLAIMS_KEYS = ("statefips", "year", "month", "day_endofweek")
Notes = Counter[str]
"""What was left out, and how often."""


def read_official_rates(rates: OfficialRates, folder: Path) -> pa.Table:
    """Return OFFICIAL_RATES in key order; the metadata counts rows left out.

    Values are shares: per cent of the files over 100. A month begins on its first, a week on the Monday before the
    day that ends it. Values that are not available have no row. SourceError names the file and
    what is wrong: no header, a value that is no number, a date that is none, a period that is there twice.
    """
    parts, notes = [], Notes()
    if rates.laus_path is not None:
        for path in find_reference(rates.laus_path, folder, "official rates"):
            parts.append(_read_laus(path, notes))
    if rates.claims_path is not None:
        for path in find_reference(rates.claims_path, folder, "official rates"):
            parts.append(_read_claims(path, rates.claims, notes))
    found = pd.concat(parts, ignore_index=True)
    if found.empty:
        raise SourceError("official_rates: the files hold no rate of a state")
    n_repeated = int(found.duplicated(list(OFFICIAL_RATES.key), keep=False).sum())
    if n_repeated:
        raise SourceError(f"official_rates: {n_repeated} of {len(found)} rows share region, series and period")
    LOG.info("official rates: %d values; %s", len(found), ", ".join(f"{name} {n}" for name, n in notes.items()))
    table = pa.Table.from_pandas(found[OFFICIAL_RATES.names], preserve_index=False).cast(OFFICIAL_RATES.schema)
    table = table.sort_by([(name, "ascending") for name in OFFICIAL_RATES.key])
    return table.replace_schema_metadata({name: str(n) for name, n in notes.items()})


def official_rates_digest(rates: OfficialRates, folder: Path) -> str:
    """Return a hash of the contents of the files of official rates."""
    paths = [path for path in (rates.laus_path, rates.claims_path) if path is not None]
    return members_digest([file for path in paths for file in expand(path, folder)])


def _read_laus(path: Path, notes: Notes) -> pd.DataFrame:
    """Return the monthly rates of states, as shares."""
    try:
        sheet = pd.read_excel(path, header=None, dtype=str, na_filter=False)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: not readable as an Excel file ({type(error).__name__})") from None
    first, places = _find_header(sheet, path)
    body = sheet.iloc[first:]
    # A lost leading zero is put back; were all codes numbers, 037 would become 37, which is there twice: an error.
    code = body[0].str.strip().str.replace(r"^([0-9])$", r"0\1", regex=True)
    is_area = code.str.fullmatch(r"[0-9]+") & body[places["year"]].str.strip().ne("")
    is_state = is_area & (code.str.len() == STATE_DIGITS)
    notes["n_laus_lines_without_area"] += int((~is_area).sum())
    notes["n_laus_rows_below_states"] += int((is_area & ~is_state).sum())
    states = body[is_state]
    months = _to_days(states[places["year"]], states[places["month"]], None, path)
    values, n_missing = _to_shares(states[places["rate"]], "rate", path)
    notes["n_laus_not_available"] += n_missing
    return _rows(code[is_state], "laus_rate", "month", months, values)


def _find_header(sheet: pd.DataFrame, path: Path) -> tuple[int, dict[str, int]]:
    """Return the first row below the header, and the columns of year, month and rate."""
    words = sheet.head(50).apply(lambda column: column.str.strip().str.casefold())
    for row in range(len(words)):
        places = {
            word: int(np.argmax(words.iloc[row] == word)) for word in HEADER_WORDS if word in set(words.iloc[row])
        }
        if len(places) == len(HEADER_WORDS):
            return row + 1, places
    raise SourceError(f"{path}: no header with {', '.join(HEADER_WORDS)} in the first sheet")


def _read_claims(path: Path, kind: str, notes: Notes) -> pd.DataFrame:
    """Return the weekly initial and continued claims of states, as shares of the labour force of 2019."""
    columns = [f"{start}_{kind}" for start in CLAIMS.values()]
    data = read_columns(path, [*CLAIMS_KEYS, *columns], None, None, "claims").to_pandas()
    data = data.astype(object).where(data.notna(), "").astype(str)
    ends = _to_days(data["year"], data["month"], data["day_endofweek"], path)
    mondays = ends - ((ends.astype(np.int64) + 3) % 7)  # 1970-01-01 was a Thursday
    states = data["statefips"].str.strip()
    n_bad = int((~states.str.fullmatch(r"[0-9]{1,2}")).sum())
    if n_bad:
        raise SourceError(f"{path}: column statefips holds no state in {n_bad} of {len(data)} rows")
    parts = []
    for series, column in zip(CLAIMS, columns, strict=True):
        values, n_missing = _to_shares(data[column], column, path)
        notes[f"n_{series}_not_available"] += n_missing
        parts.append(_rows(states.str.zfill(STATE_DIGITS), series, "week", mondays, values))
    return pd.concat(parts, ignore_index=True)


def _to_days(years: "pd.Series[str]", months: "pd.Series[str]", days: "pd.Series[str] | None", path: Path) -> NDArray:
    """Return dates, the first of the month where there are no days; SourceError where one is none."""
    parts = {"year": years, "month": months, "day": days if days is not None else "1"}
    numbers = pd.DataFrame(parts, index=years.index).apply(pd.to_numeric, errors="coerce")
    dates = pd.to_datetime(numbers, errors="coerce")
    n_bad = int(dates.isna().sum())
    if n_bad:
        raise SourceError(f"{path}: the date is none in {n_bad} of {len(dates)} rows")
    return dates.to_numpy().astype("datetime64[D]")


def _to_shares(texts: "pd.Series[str]", name: str, path: Path) -> tuple[NDArray[np.float64], int]:
    """Return (percentages over 100, NaN where not available, how many are not)."""
    texts = texts.str.strip()
    is_missing = texts.isin(NOT_AVAILABLE).to_numpy()
    values = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    is_bad = ~is_missing & ~((values >= 0) & (values <= PER_CENT))
    if is_bad.any():
        raise SourceError(f"{path}: {name} is no percentage in {int(is_bad.sum())} of {len(texts)} rows")
    return np.where(is_missing, np.nan, values / PER_CENT), int(is_missing.sum())


def _rows(
    regions: "pd.Series[str]", series: str, window: str, starts: NDArray, values: NDArray[np.float64]
) -> pd.DataFrame:
    """Return rows of OFFICIAL_RATES where there is a value."""
    rows = {
        "region_geoid": regions.to_numpy(),
        "series": series,
        "window": window,
        "window_started": starts.astype("datetime64[s]"),
        "value": values,
    }
    return pd.DataFrame(rows)[~np.isnan(values)]
