"""`region_day`: sums of what devices did on a day, by the region and groups of their home areas."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import (
    CONTACTS,
    DEMOGRAPHICS,
    DEVICE_DAYS,
    ENTROPY,
    HOME_WORK,
    PANEL_WEIGHTS,
    REGION_DAY,
    ROUTINES,
    VENUES,
)
from pipeline.day_measures import UNKNOWN_OF_SOME, day_values, is_of_category, is_of_others, unit_of
from pipeline.homes import baseline_homes
from pipeline.params import Params
from pipeline.shares import high_areas
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.sums import from_fixed, group_sums, to_fixed
from pipeline.windows import WEEK_DAYS

EVERYBODY = "all"
OBSERVED = "visits"
"""A measure that every observed device has."""
REPORTING = "reporting"
"""Not a measure: the devices of a bucket with any ping on a day, which others can meet."""
KEY = list(REGION_DAY.key)
PLACE = [name for name in KEY if name != "measure"]
PLACE_DAY = ["region_geoid", "date"]
SUMS = ["n_devices", "fixed"]


class RegionDayParams(Params):
    """Whose days count, and which regions and groups there are. All defaults are ours."""

    min_hours_observed: int = Field(default=8, ge=1, le=24)
    """A device counts on a local day when it has pings in so many clock hours (of UTC, `coverage`): of others it is not
    known what they did."""
    min_days: int = Field(default=14, ge=1)
    """Devices with fewer such days in the study count on none: they come and go, and with them what a region looks
    like."""
    region_digits: int = Field(default=5, ge=0, le=15)
    """Leading digits of the home area's id that name its region: 5 is a county. 0: no region but "all"."""
    top_share: float = Field(default=0.25, gt=0, lt=1)
    """Devices in a group: those whose home area is among the areas with the highest share of it, in which this share of
    the panel lives. Of areas and not of persons."""


def _finish(
    parts: pd.DataFrame, demographics: pd.DataFrame, panel_weights: pd.DataFrame, study: Study, params: RegionDayParams
) -> pd.DataFrame:
    """Return the sums of all buckets.

    What nobody of a bucket did has no rows there, and the devices of the bucket count all the same.
    """
    sums = group_sums(parts, KEY, SUMS)
    is_measure = sums["measure"] != REPORTING
    n_others = sums[~is_measure].set_index("date")["n_devices"] - 1
    sums = _with_zeros(sums[is_measure])
    total = from_fixed(sums["fixed"].to_numpy(np.int64)) * sums["measure"].map(unit_of).to_numpy(np.float64)
    as_usual = sums["date"].map(n_others.median() / n_others.clip(lower=1)).where(sums["measure"].map(is_of_others), 1)
    return sums.assign(total=total * as_usual.to_numpy(np.float64))[REGION_DAY.names]


def _with_zeros(sums: pd.DataFrame) -> pd.DataFrame:
    """Return the sums with every observed device behind each measure that is known of all, and rows where all had 0."""
    observed = sums.loc[sums["measure"] == OBSERVED, [*PLACE, "n_devices"]]
    found = [sums[sums["measure"].isin(UNKNOWN_OF_SOME)]]
    for measure, rows in sums.groupby("measure", sort=False):
        if measure not in UNKNOWN_OF_SOME:
            places = observed[observed["axis"] == EVERYBODY] if is_of_category(measure) else observed
            filled = places.merge(rows[[*PLACE, "fixed"]], on=PLACE, how="left").fillna({"fixed": 0})
            found.append(filled.assign(measure=measure))
    return pd.concat(found).astype({"measure": "str", "fixed": "int64"}).sort_values(KEY, ignore_index=True)


@stage(
    reads=(DEVICE_DAYS, VENUES, CONTACTS, ROUTINES, ENTROPY, HOME_WORK, DEMOGRAPHICS, PANEL_WEIGHTS),
    writes=REGION_DAY,
    params=RegionDayParams,
    needs=("study",),
    finish=_finish,
)
def region_day(
    device_days: pd.DataFrame,
    venues: pd.DataFrame,
    contacts: pd.DataFrame,
    routines: pd.DataFrame,
    entropy: pd.DataFrame,
    home_work: pd.DataFrame,
    demographics: pd.DataFrame,
    panel_weights: pd.DataFrame,
    study: Study,
    params: RegionDayParams,
) -> pd.DataFrame:
    """Return the sums of a bucket by region, group, day and measure, in fixed point: a part of the table.

    Every measure is a mean over the devices observed enough on the day, so that what changes is what people do and not
    how many report (`day_measures.day_values`). A device is of the region and the groups of its baseline home's area;
    one without, and every device of a study without baseline or areas, is in the region "all" alone. Categories of
    venues are told apart for everybody, not for groups.

    Contacts are told as if on each day as many devices had reported as on the study's median day: half the phones meet
    half the phones. That phones are lost everywhere alike, and not those of people who meet many, is assumed. Routines
    and entropy are those of weeks wholly inside the study; shorter ones are less predictable for being short.
    """
    days = _observed(device_days, params)
    known = bool(panel_weights["area_weight"].notna().any())
    routines, entropy = _whole_weeks(routines, study), _whole_weeks(entropy, study)
    by_area = _by_area(days, home_work, day_values(days, venues, contacts, routines, entropy, known))
    groups = high_areas(demographics, panel_weights, params.top_share)
    found = [_reporting(device_days), _by_region(by_area, params.region_digits)]
    told = [name for name in by_area.measures if not is_of_category(name)]
    for (axis, group), rows in groups.groupby(["axis", "group"], sort=True):
        inside = by_area._replace(keys=by_area.keys[by_area.keys["area"].isin(rows["area"])])
        found.append(_by_region(inside._replace(measures=told), params.region_digits, axis, group))
    return pd.concat(found, ignore_index=True)


def _observed(device_days: pd.DataFrame, params: RegionDayParams) -> pd.DataFrame:
    days = device_days[device_days["hours_observed"] >= params.min_hours_observed]
    n_days = days.groupby("device_id")["date"].transform("size")
    return days[n_days >= params.min_days].reset_index(drop=True)


def _reporting(device_days: pd.DataFrame) -> pd.DataFrame:
    """Return how many devices have any ping by day, in rows like those of sums."""
    dates = device_days.loc[device_days["hours_observed"] > 0, "date"]
    n_devices = dates.groupby(dates).size()
    everybody = dict.fromkeys(("region_geoid", "axis", "group"), EVERYBODY)
    rows = pd.DataFrame({**everybody, "date": n_devices.index, "measure": REPORTING, "n_devices": n_devices.to_numpy()})
    return rows.assign(fixed=0).astype(
        {**dict.fromkeys((*everybody, "measure"), "str"), "date": "datetime64[ms]", "n_devices": "int64"}
    )


def _whole_weeks(windows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the measures of weeks that begin and end inside the study."""
    first, last = pd.Timestamp(study.start), pd.Timestamp(study.end) - pd.Timedelta(days=WEEK_DAYS - 1)
    return windows[windows["window_started"].between(first, last)]


class _Sums(NamedTuple):
    """Sums by home area and day, missing areas an area of their own."""

    keys: pd.DataFrame
    """area, date; the index says in which row of the sums."""
    measures: list[str]
    sums: pd.DataFrame
    """For each measure the devices (n_devices, measure) and the sum in fixed point (fixed, measure): int64."""


def _by_area(days: pd.DataFrame, home_work: pd.DataFrame, values: Iterator[tuple[str, np.ndarray]]) -> _Sums:
    """Return the sums of values of device-days by the area of the baseline home and day."""
    homes = baseline_homes(home_work).set_index("device_id")["tract_geoid"]
    keys = pd.DataFrame({"area": days["device_id"].map(homes).astype("str"), "date": days["date"]})
    cell = keys.groupby(["area", "date"], dropna=False, sort=True).ngroup().to_numpy()
    keys = keys.drop_duplicates().sort_values(["area", "date"], ignore_index=True)
    sums = {}
    for measure, found in values:
        is_known = ~np.isnan(found)
        n_devices, fixed = np.zeros((2, len(keys)), np.int64)
        np.add.at(n_devices, cell[is_known], 1)
        np.add.at(fixed, cell[is_known], to_fixed(found[is_known] / unit_of(measure)))
        sums["n_devices", measure], sums["fixed", measure] = n_devices, fixed
    return _Sums(keys, [measure for name, measure in sums if name == "fixed"], pd.DataFrame(sums, index=keys.index))


def _by_region(by_area: _Sums, digits: int, axis: str = EVERYBODY, group: str = EVERYBODY) -> pd.DataFrame:
    """Return the sums over all areas, and over those of each region, one row a measure that somebody has."""
    region = by_area.keys["area"].str[:digits] if digits else by_area.keys["area"].where(False)
    keys = pd.concat([by_area.keys.assign(region_geoid=region).dropna(), by_area.keys.assign(region_geoid=EVERYBODY)])
    columns = [(name, measure) for name in SUMS for measure in by_area.measures]
    names = [f"{name} {measure}" for name, measure in columns]
    sums = group_sums(keys[PLACE_DAY].join(by_area.sums[columns].set_axis(names, axis=1)), PLACE_DAY, names)
    n_devices, fixed = np.split(sums[names].to_numpy(np.int64), 2, axis=1)
    row, measure = np.nonzero(n_devices)
    return pd.DataFrame(
        {
            "region_geoid": sums["region_geoid"].astype("str").to_numpy()[row],
            "axis": pd.Series([axis] * row.size, dtype="str"),
            "group": pd.Series([group] * row.size, dtype="str"),
            "date": sums["date"].to_numpy().astype("datetime64[ms]")[row],
            "measure": pd.Series(by_area.measures, dtype="str").to_numpy()[measure],
            "n_devices": n_devices[row, measure],
            "fixed": fixed[row, measure],
        }
    ).astype({"region_geoid": "str", "measure": "str"})
