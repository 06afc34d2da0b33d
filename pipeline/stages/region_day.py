"""`region_day`: sums of what devices did on a day, by the region and groups of their home areas."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import (
    CONTACTS,
    DEMOGRAPHICS,
    DEVICE_DAYS,
    HOME_WORK,
    PANEL_WEIGHTS,
    REGION_DAY,
    ROUTINES,
    VENUES,
)
from pipeline.day_measures import UNKNOWN_OF_SOME, day_values, is_of_category, unit_of
from pipeline.params import Params
from pipeline.shares import high_areas
from pipeline.stage import stage
from pipeline.sums import from_fixed, group_sums, to_fixed

EVERYBODY = "all"
OBSERVED = "visits"
"""A measure that every observed device has."""
KEY = list(REGION_DAY.key)
PLACE = [name for name in KEY if name != "measure"]
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
    parts: pd.DataFrame, demographics: pd.DataFrame, panel_weights: pd.DataFrame, params: RegionDayParams
) -> pd.DataFrame:
    """Return the sums of all buckets.

    What nobody of a bucket did has no rows there, and the devices of the bucket count all the same.
    """
    sums = _with_zeros(group_sums(parts, KEY, SUMS))
    total = from_fixed(sums["fixed"].to_numpy(np.int64)) * sums["measure"].map(unit_of).to_numpy(np.float64)
    return sums.assign(total=total)[REGION_DAY.names]


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
    reads=(DEVICE_DAYS, VENUES, CONTACTS, ROUTINES, HOME_WORK, DEMOGRAPHICS, PANEL_WEIGHTS),
    writes=REGION_DAY,
    params=RegionDayParams,
    finish=_finish,
)
def region_day(
    device_days: pd.DataFrame,
    venues: pd.DataFrame,
    contacts: pd.DataFrame,
    routines: pd.DataFrame,
    home_work: pd.DataFrame,
    demographics: pd.DataFrame,
    panel_weights: pd.DataFrame,
    params: RegionDayParams,
) -> pd.DataFrame:
    """Return the sums of a bucket by region, group, day and measure, in fixed point: a part of the table.

    Every measure is a mean over the devices observed enough on the day, so that what changes is what people do and not
    how many report (`day_measures.day_values`). A device is of the region and the groups of its baseline home's area;
    one without, and every device of a study without baseline or areas, is in the region "all" alone. Categories of
    venues are told apart for everybody, not for groups.
    """
    days = _observed(device_days, params)
    cells = _Cells(days, home_work)
    groups = high_areas(demographics, panel_weights, params.top_share)
    memberships = [(EVERYBODY, EVERYBODY, None)]
    memberships += [(axis, group, set(found["area"])) for (axis, group), found in groups.groupby(["axis", "group"])]
    known = bool(panel_weights["area_weight"].notna().any())
    found = [_empty()]
    for measure, values in day_values(days, venues, contacts, routines, known):
        by_area = cells.sums(values / unit_of(measure))
        for axis, group, areas in memberships[: 1 if is_of_category(measure) else None]:
            for rows in _by_region(by_area, areas, params.region_digits):
                found.append(rows.assign(axis=axis, group=group, measure=measure))
    part = pd.concat(found, ignore_index=True)
    return group_sums(part.astype(dict.fromkeys(("region_geoid", "axis", "group", "measure"), "str")), KEY, SUMS)


def _observed(device_days: pd.DataFrame, params: RegionDayParams) -> pd.DataFrame:
    days = device_days[device_days["hours_observed"] >= params.min_hours_observed]
    n_days = days.groupby("device_id")["date"].transform("size")
    return days[n_days >= params.min_days].reset_index(drop=True)


class _Cells:
    """Home area × day of device-days; missing areas are a cell of their own."""

    def __init__(self, days: pd.DataFrame, home_work: pd.DataFrame) -> None:
        is_home = (home_work["span"] == "baseline") & (home_work["role"] == "home") & (home_work["rank"] == 1)
        homes = home_work[is_home].set_index("device_id")["tract_geoid"]
        keys = pd.DataFrame({"area": days["device_id"].map(homes).astype("str"), "date": days["date"]})
        groups = keys.groupby(["area", "date"], dropna=False, sort=True)
        self._cell = groups.ngroup().to_numpy()
        self._keys = keys.drop_duplicates().sort_values(["area", "date"], ignore_index=True)

    def sums(self, values: np.ndarray) -> pd.DataFrame:
        """Return area, date, n_devices and fixed (the sum in fixed point) of the values that are known."""
        known = ~np.isnan(values)
        n_devices, fixed = np.zeros((2, len(self._keys)), np.int64)
        np.add.at(n_devices, self._cell[known], 1)
        np.add.at(fixed, self._cell[known], to_fixed(values[known]))
        return self._keys.assign(n_devices=n_devices, fixed=fixed)[n_devices > 0]


def _by_region(by_area: pd.DataFrame, areas: set[str] | None, digits: int) -> Iterator[pd.DataFrame]:
    """Yield the sums of some areas (None: all, and those without one) over everything, and by region."""
    chosen = by_area if areas is None else by_area[by_area["area"].isin(areas)]
    yield group_sums(chosen.assign(region_geoid=EVERYBODY), ["region_geoid", "date"], SUMS)
    if digits:
        inside = chosen[chosen["area"].notna()]
        yield group_sums(inside.assign(region_geoid=inside["area"].str[:digits]), ["region_geoid", "date"], SUMS)


def _empty() -> pd.DataFrame:
    dates = pd.Series([], dtype="datetime64[ms]")
    numbers = pd.Series([], dtype="int64")
    return pd.DataFrame(
        {"region_geoid": pd.Series([], dtype="str"), "date": dates, "n_devices": numbers, "fixed": numbers}
    )
