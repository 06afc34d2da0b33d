"""New cases and deaths by region and date to the table `epidemic`.

Cumulative counts, as of the New York Times, become new ones: what a region has more than on the date before that it
has. Where a count was corrected downwards that is negative, and stays so; a mean over days sets it right. What a
region's first row counts is new on that date only where it is declared that there was nothing before (`zero_from`);
else it is of nobody knows how many days, and the date is left out.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts import EPIDEMIC
from pipeline.references import Epidemic, Population
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import members_digest
from pipeline.sources.pieces import expand
from pipeline.sources.reference_files import read_area_file, read_numbers
from pipeline.sources.region_files import read_dates, read_region_file, read_regions, to_reference, with_region

LOG = logging.getLogger(__name__)
COUNTS = ["new_cases", "new_deaths"]
KEY = ["region_geoid", "date"]
DAY = np.timedelta64(1, "D")
WEEK_DAYS = 7
FEW = {"new_cases": 100, "new_deaths": 10}
"""So many may have been counted at once when a region's counts begin (ours)."""
TIMES_THE_WEEK = 10
"""More than `FEW`, and than so many times the mean day of the week that follows, was not counted in a day (ours)."""


def read_epidemic(epidemic: Epidemic, folder: Path) -> pa.Table:
    """Return EPIDEMIC in key order; the metadata counts what was left out, filled up or corrected.

    A row without a count is left out, or without an id (cases of no known county, and in the Times' file of counties
    all of the City of New York), as is a region of which no population is known, and the first date of cumulative
    counts that may have begun before. SourceError names the file and what is wrong: a column that is not there, an id,
    date or number that is none, a cumulative count below 0 or one that began before it is declared to, a population
    below 1, a region and date that are there twice.
    """
    counts, n_without_region = _read_counts(epidemic, folder)
    n_without_counts = int(counts[COUNTS].isna().any(axis=1).sum())
    notes = {"n_without_region": n_without_region, "n_without_counts": n_without_counts}
    counts = counts.dropna(subset=COUNTS).sort_values(KEY, ignore_index=True)
    _check_once(counts, epidemic)
    if epidemic.counts == "cumulative":
        counts = _to_new(counts, epidemic)
    if epidemic.population is not None:
        counts["population"] = _residents(counts["region_geoid"], epidemic.population, folder)
    without = sorted(counts.loc[counts["population"].isna(), "region_geoid"].unique())
    counts = counts.dropna(subset=["population"])
    if counts.empty:
        raise SourceError(f"{epidemic.path}: no region with counts and population")
    before = _zeros_before(counts, epidemic)
    is_new = counts["new_cases"].notna()
    counts = counts[is_new]
    if counts.empty:
        raise SourceError(f"{epidemic.path}: no region with cumulative counts of two dates, of which new ones are made")
    notes |= {
        "n_first_cumulative": int((~is_new).sum()),
        "n_regions_without_population": len(without),
        "n_corrections": int((counts[COUNTS] < 0).any(axis=1).sum()),
        "n_zero_rows_before_the_first": len(before),
    }
    LOG.info("%s: %d regions and dates; %s", epidemic.path, len(counts), notes)
    return to_reference(pd.concat([before, counts], ignore_index=True), EPIDEMIC, epidemic.path, notes)


def epidemic_digest(epidemic: Epidemic, folder: Path) -> str:
    """Return a hash of the contents of the files of cases, deaths and population."""
    patterns = [epidemic.path, *([epidemic.population.path] if epidemic.population else [])]
    return members_digest([file for pattern in patterns for file in expand(pattern, folder)])


def _read_counts(epidemic: Epidemic, folder: Path) -> tuple[pd.DataFrame, int]:
    """Return the rows of all files, and how many more have no region.

    Columns: region, date, counts as they are, and population where it is a column.
    """
    named = {"new_cases": epidemic.cases_column, "new_deaths": epidemic.deaths_column}
    if epidemic.population is None:
        named["population"] = epidemic.population_column or "population"
    parts, n_without_region = [], 0
    for path, rows in read_region_file(epidemic, [epidemic.date_column, *named.values()], folder, "cases and deaths"):
        data = with_region(rows, epidemic)
        n_without_region += rows.num_rows - data.num_rows
        columns: dict[str, object] = {
            "region_geoid": read_regions(data, epidemic, path).to_numpy(),
            "date": read_dates(data, epidemic.date_column, epidemic.date_format, path).astype("datetime64[s]"),
        }
        columns |= {name: read_numbers(data, column, path) for name, column in named.items()}
        parts.append(pd.DataFrame(columns))
        _check_amounts(parts[-1], epidemic, path)
    return pd.concat(parts, ignore_index=True), n_without_region


def _check_amounts(counts: pd.DataFrame, epidemic: Epidemic, path: Path) -> None:
    if epidemic.counts == "cumulative":
        n_bad = int((counts[COUNTS] < 0).any(axis=1).sum())
        if n_bad:
            raise SourceError(f"{path}: a cumulative count is below 0 in {n_bad} of {len(counts)} rows")
    if "population" in counts:
        n_bad = int((counts["population"] < 1).sum())
        if n_bad:
            raise SourceError(f"{path}: the population is below 1 in {n_bad} of {len(counts)} rows")


def _check_once(counts: pd.DataFrame, epidemic: Epidemic) -> None:
    n_repeated = int(counts.duplicated(KEY, keep=False).sum())
    if n_repeated:
        raise SourceError(f"{epidemic.path}: {n_repeated} of {len(counts)} rows share region and date with another row")


def _to_new(counts: pd.DataFrame, epidemic: Epidemic) -> pd.DataFrame:
    """Return counts since the region's date before; `counts` in order of region and date.

    Those of a region's first row as they are where it had none before, NaN where that is not declared: without
    `zero_from`, or where the row is of a date before it.
    """
    before = counts.groupby("region_geoid")[COUNTS].shift(fill_value=0.0)
    new = counts.assign(**{name: counts[name] - before[name] for name in COUNTS})
    is_first = ~counts.duplicated("region_geoid")
    if epidemic.zero_from is None:
        return new.assign(**{name: new[name].where(~is_first) for name in COUNTS})
    is_begin = is_first & (counts["date"] >= pd.Timestamp(epidemic.zero_from))
    _check_begins(counts[is_begin], counts, epidemic)
    return new.assign(**{name: new[name].where(~is_first | is_begin) for name in COUNTS})


def _check_begins(begins: pd.DataFrame, counts: pd.DataFrame, epidemic: Epidemic) -> None:
    """Raise SourceError where first rows count too much for a day, as in a file that begins amid an epidemic."""
    first = begins.set_index("region_geoid")
    later = counts[counts["region_geoid"].isin(first.index)]
    days = (later["date"].to_numpy() - first["date"].reindex(later["region_geoid"]).to_numpy()) // DAY
    week = later[(days >= 1) & (days <= WEEK_DAYS)].drop_duplicates("region_geoid", keep="last")
    week = week.set_index("region_geoid")
    first = first.loc[week.index]
    mean = week[COUNTS].sub(first[COUNTS]).div((week["date"] - first["date"]) / DAY, axis=0)
    is_too_much = ((first[COUNTS] > pd.Series(FEW)) & (first[COUNTS] > TIMES_THE_WEEK * mean)).any(axis=1)
    if is_too_much.any():
        one = first[is_too_much].iloc[0]
        raise SourceError(
            f"{epidemic.path}: {int(is_too_much.sum())} of {len(begins)} regions have too much in their first row to "
            f"be of one day, the first {one.name} on {one['date']:%Y-%m-%d} with {one['new_cases']:,.0f} cases and "
            f"{one['new_deaths']:,.0f} deaths; a file is needed that begins earlier, or no zero_from, nor a preset "
            "that has one: the first date is then left out"
        )


def _residents(regions: "pd.Series[str]", population: Population, folder: Path) -> NDArray[np.float64]:
    """Return the residents of the areas whose ids begin with each region's, NaN where there is none.

    Where the file has rows of areas and of what is in them, as of a state and its counties, the former alone count.
    """
    columns = [population.population_column]
    areas, amounts = read_area_file(population, population.id_column, columns, folder, "population")
    residents = amounts[population.population_column]
    n_missing = int(residents.isna().sum())
    if n_missing:
        raise SourceError(f"{population.path}: the population is missing in {n_missing} of {len(residents)} rows")
    sums: dict[str, float] = {}
    for n_digits in sorted(regions.str.len().unique()):
        is_counted = (areas.str.len() >= n_digits) & ~_is_inside_another(areas, n_digits)
        sums |= residents[is_counted].groupby(areas[is_counted].str[:n_digits]).sum().to_dict()
    found: NDArray[np.float64] = regions.map(sums).to_numpy(dtype=float)
    return np.where(found >= 1, found, np.nan)


def _is_inside_another(areas: "pd.Series[str]", n_digits: int) -> NDArray[np.bool_]:
    """Return which areas have an id that begins with another's of so many digits or more."""
    lengths = areas.str.len()
    is_inside = np.zeros(len(areas), np.bool_)
    for length in sorted(lengths[lengths >= n_digits].unique()):
        is_inside |= ((lengths > length) & areas.str[:length].isin(set(areas))).to_numpy()
    return is_inside


def _zeros_before(counts: pd.DataFrame, epidemic: Epidemic) -> pd.DataFrame:
    """Return a row without cases for each date from `zero_from` to the region's first row; `counts` in key order."""
    first = counts.drop_duplicates("region_geoid")
    if epidemic.zero_from is None:
        return counts.iloc[:0]
    start = np.datetime64(epidemic.zero_from, "s")
    n_days = np.maximum((first["date"].to_numpy() - start) // DAY, 0).astype(np.int64)
    rows = first.loc[first.index.repeat(n_days)].reset_index(drop=True)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(n_days) - n_days, n_days)
    return rows.assign(date=(start + nth * DAY).astype("datetime64[s]"), new_cases=0.0, new_deaths=0.0)
