"""Published series of mobility as changes from a baseline, in the columns of `region_changes`.

- Google's Community Mobility as Opportunity Insights publish it, states by day: fractions by which time at places
  differs from a median day of 3 January to 6 February 2020, already a mean over 7 days (their documentation; it does
  not say whether these are trailing). An answer to a policy is spread over a week by it, and may seem later.
- Descartes Labs' m50 index, states and counties by day: the median over devices of the greatest distance from where
  the day began, in per cent of a median weekday of 17 February to 7 March 2020, not smoothed. Whole numbers, which
  were 0 for weeks where most people stayed at home (New York from 22 March 2020): a logarithm of 0 is none, so that
  "m50_index" lacks just the greatest changes. "m50_index_at_most" takes 0.5 for it, the most that rounds to 0.

Neither says how many devices are behind a row: n_devices is 0.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts import REGION_CHANGES
from pipeline.sources.errors import SourceError
from pipeline.sources.reference_files import find_reference, read_columns, read_numbers

NOT_AVAILABLE = "."
GOOGLE = {
    f"google_{name}": f"gps_{name}"
    for name in (
        "away_from_home",
        "grocery_and_pharmacy",
        "parks",
        "residential",
        "retail_and_recreation",
        "transit_stations",
        "workplaces",
    )
}
"""Measure → column of Opportunity Insights."""
DAY_PARTS = ("year", "month", "day")
STATE_COLUMN = "statefips"
M50, M50_AT_MOST = "m50_index", "m50_index_at_most"
M50_LEVELS = {"state": "1", "county": "2"}
M50_DIGITS = {"state": 2, "county": 5}
ROUNDS_TO_0 = 0.5
PER_CENT = 100.0
EVERYBODY = "all"


def read_google(name: str) -> pd.DataFrame:
    """Return the changes of states by Google's categories. SourceError names the file and what is wrong."""
    parts = []
    for path in find_reference(name, Path.cwd(), "Google mobility"):
        data = _without_dots(read_columns(path, [*DAY_PARTS, STATE_COLUMN, *GOOGLE.values()], None, None, "mobility"))
        numbers = pd.DataFrame({part: read_numbers(data, part, path) for part in DAY_PARTS})
        days = pd.to_datetime(numbers, errors="coerce")
        states = data[STATE_COLUMN].to_pandas().astype("str").str.strip()
        n_bad = int((days.isna() | ~states.str.fullmatch("[0-9]{1,2}").fillna(False)).sum())
        if n_bad:
            raise SourceError(f"{path}: no date or no state in {n_bad} of {len(days)} rows")
        for measure, column in GOOGLE.items():
            values = 1 + read_numbers(data, column, path)
            parts.append(_changes(states.str.zfill(2).to_numpy(), days.to_numpy(), measure, values))
    return _checked(pd.concat(parts, ignore_index=True), name)


def read_m50(name: str, level: str = "state") -> pd.DataFrame:
    """Return the changes of states, or of counties, by the m50 index, with and without the days of 0.

    SourceError names the file and what is wrong.
    """
    parts = []
    for path in find_reference(name, Path.cwd(), "the m50 index"):
        columns = _header(path)
        days = [column for column in columns if column[:2] == "20"]
        wide = read_columns(path, ["admin_level", "fips", *days], None, None, "the m50 index")
        wide = wide.filter(pc.equal(pc.cast(wide["admin_level"], pa.string()), M50_LEVELS[level]))
        if not (days and wide.num_rows):
            raise SourceError(f"{path}: no row of a {level}, or no column of a day, such as 2020-04-05")
        regions = wide["fips"].to_pandas().astype("str").str.zfill(M50_DIGITS[level]).to_numpy()
        index = np.column_stack([read_numbers(wide, day, path) for day in days])
        at = np.repeat(regions, len(days)), np.tile(pd.to_datetime(days).to_numpy(), len(regions))
        values = index.ravel() / PER_CENT
        at_most = np.where(values == 0, ROUNDS_TO_0 / PER_CENT, values)
        parts += [_changes(*at, M50, values), _changes(*at, M50_AT_MOST, at_most)]
    return _checked(pd.concat(parts, ignore_index=True), name)


def _header(path: Path) -> list[str]:
    try:
        return list(map(str, pd.read_csv(path, nrows=0, dtype=str).columns))
    except (ValueError, OSError) as error:
        raise SourceError(f"{path}: not readable as delimited text ({type(error).__name__})") from None


def _without_dots(data: pa.Table) -> pa.Table:
    """Return columns of text with null for ".", which stands for a value that is not available."""
    for k, name in enumerate(data.column_names):
        if pa.types.is_string(data[name].type):
            data = data.set_column(k, name, pc.if_else(pc.equal(data[name], NOT_AVAILABLE), None, data[name]))
    return data


def _changes(regions: np.ndarray, days: np.ndarray, measure: str, values: np.ndarray) -> pd.DataFrame:
    """Return rows of the columns of REGION_CHANGES, `values` being parts of the baseline; those unknown left out."""
    rows = pd.DataFrame(
        {
            "region_geoid": pd.Series(regions, dtype="str"),
            "axis": EVERYBODY,
            "group": EVERYBODY,
            "date": days.astype("datetime64[s]"),
            "measure": measure,
            "n_devices": np.int64(0),
            "mean": values,
            "baseline": 1.0,
            "log_change": np.log(np.where(values > 0, values, np.nan)),
        }
    )
    return rows[rows["mean"].notna()]


def _checked(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    n_repeated = int(rows.duplicated(list(REGION_CHANGES.key), keep=False).sum())
    if n_repeated:
        raise SourceError(f"{name}: {n_repeated} of {len(rows)} values share region, date and measure with another")
    return rows.sort_values(list(REGION_CHANGES.key), ignore_index=True)
