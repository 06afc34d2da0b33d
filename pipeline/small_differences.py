"""Rows of sums that may be published beside each other, so that no difference of them tells of a few devices.

Sums of a part are as good as published where those of the whole and of the other parts are. Looked at are the
differences that there can be between rows of one day and measure:

- everybody less one to three groups of a region, and a group less one or two others. Which devices are in which group
  is not known here; what is told by counts and sums of all days is, of groups that lie apart inside another, that
  together they have no more devices and no larger sum than that on any day;
- everything less all regions that are shown, of a group: the devices of those not shown, and of none;
- what those regions are found to have of a group in this way, beside their rows of another group and of everybody.

Differences of more rows than these are not looked at, nor sums to which few of the devices counted contribute.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

EVERYBODY = EVERYWHERE = "all"
ROUNDING = 1e-9
"""Relative error of sums that are equal but for rounding."""
DAY = ["date", "measure"]
GROUP = ["axis", "group"]
WHOLE = f"{EVERYBODY}\0{EVERYBODY}"
"""Label of everybody."""
MOST_PARTS = {"everybody": 3, "group": 2}
"""How many groups at once are taken from a row."""


def without_small_differences(sums: pd.DataFrame, min_devices: int) -> pd.DataFrame:
    """Return the rows of REGION_DAY that may be published together; of two parts the smaller is left out.

    Rows of fewer than `min_devices` devices stay: they are not published whatever their neighbours are.
    """
    if sums.empty:
        return sums
    names = [WHOLE, *sorted(set(_labels(sums)) - {WHOLE})]
    told, inside = np.zeros(len(sums), bool), {}
    for region, at in sums.groupby("region_geoid", sort=True).indices.items():
        told[at], inside[str(region)] = _told_by_groups(sums.iloc[at], names, min_devices)
    shown = sums[~told]
    shown = shown[~_is_told_by_regions(shown, min_devices)]
    shown = shown[~_is_of_hidden_region(sums, shown)]
    return shown[~_is_told_by_both(sums, shown, names, inside, min_devices)].sort_index()


def _labels(rows: pd.DataFrame) -> "pd.Series[str]":
    return rows["axis"] + "\0" + rows["group"]


def _is_few(n_devices: np.ndarray, min_devices: int) -> np.ndarray:
    return (n_devices > 0) & (n_devices < min_devices)


class _Inside(NamedTuple):
    """What may lie inside what in a region, everybody being 0."""

    one: np.ndarray
    """Whole × part: the part may lie inside the whole."""
    two: np.ndarray
    """Part × part: both may lie apart from each other inside everybody."""


def _told_by_groups(rows: pd.DataFrame, names: list[str], min_devices: int) -> tuple[np.ndarray, _Inside]:
    """Return which rows of a region tell of few devices beside those of other groups, and what may lie inside what."""
    day = rows.groupby(DAY, sort=False).ngroup().to_numpy()
    group = pd.Index(names).get_indexer(_labels(rows))
    n, total = (np.zeros((len(names), day.max() + 1), kind) for kind in (np.int32, np.float64))
    n[group, day], total[group, day] = rows["n_devices"], rows["total"]
    is_of_groups = (n[1:] > 0).any(axis=0)
    of_all, n, total = n.shape, n[:, is_of_groups], total[:, is_of_groups]
    has_everybody = bool((group == 0).any())
    told, inside = np.zeros(n.shape, bool), _Inside(*np.zeros((2, len(names), len(names)), bool))
    for whole, parts in _differences(np.unique(group), has_everybody):
        # Most parts are together larger than the whole, which their sums over all days tell at once.
        parts = parts[n[parts].sum(axis=(1, 2)) <= n[whole].sum()] if whole else parts
        is_inside = _are_inside(n, total, whole, parts)
        if parts.shape[1] == 1:
            inside.one[whole, parts[:, 0]] = is_inside
        elif parts.shape[1] == 2 and whole == 0:
            inside.two[parts[:, 0], parts[:, 1]] = inside.two[parts[:, 1], parts[:, 0]] = is_inside
        parts = parts[is_inside]
        of, when = np.nonzero(_is_few(n[whole] - n[parts].sum(axis=1), min_devices))
        smallest = n[parts[of], when[:, None]].argmin(axis=1)
        told[parts[of, smallest], when] = True
    is_told = np.zeros(of_all, bool)
    is_told[:, is_of_groups] = told
    return is_told[group, day] & (rows["n_devices"] >= min_devices).to_numpy(), inside


def _are_inside(n: np.ndarray, total: np.ndarray, whole: int, parts: np.ndarray) -> np.ndarray:
    """Return which parts (one row each) are together no more than the whole on any day."""
    is_inside = (n[whole] >= n[parts].sum(axis=1)).all(axis=1)
    sums = total[parts[is_inside]].sum(axis=1)
    is_inside[is_inside] = (sums <= total[whole] + ROUNDING * (total[whole] + sums)).all(axis=1)
    return is_inside


def _differences(there: np.ndarray, has_everybody: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (whole, parts taken from it at once, one row each), some hundreds at a time."""
    groups = [int(k) for k in there if k != 0]
    for whole in [0, *groups] if has_everybody else groups:
        others = [k for k in groups if k != whole]
        for n_parts in range(1, MOST_PARTS["group" if whole else "everybody"] + 1):
            for at in range(len(others) - n_parts + 1):
                following = combinations(others[at + 1 :], n_parts - 1)
                yield whole, np.array([(others[at], *rest) for rest in following])


def _is_told_by_regions(rows: pd.DataFrame, min_devices: int) -> np.ndarray:
    """Return which rows of regions would tell of few devices in none of the regions shown."""
    keys = [*GROUP, *DAY]
    whole = rows.loc[rows["region_geoid"] == EVERYWHERE, [*keys, "n_devices"]]
    is_region = (rows["region_geoid"] != EVERYWHERE).to_numpy()
    regions = rows.loc[is_region, ["region_geoid", *keys, "n_devices"]].assign(at=np.flatnonzero(is_region))
    regions = regions.merge(whole, on=keys, suffixes=("", "_whole"))
    regions = regions.sort_values(["n_devices", "region_geoid"], kind="stable", ignore_index=True)
    siblings = regions.groupby(keys, sort=False)["n_devices"]
    # Devices that are not shown if this row is the next to be: those of no region, and of smaller ones.
    n_hidden = regions["n_devices_whole"] - siblings.transform("sum") + siblings.cumsum() - regions["n_devices"]
    is_told = _is_few(n_hidden.to_numpy(), min_devices) & (regions["n_devices"] >= min_devices).to_numpy()
    found = np.zeros(len(rows), bool)
    found[regions.loc[is_told, "at"]] = True
    return found


def _is_of_hidden_region(sums: pd.DataFrame, shown: pd.DataFrame) -> np.ndarray:
    """Return which rows are of a region and day of which everybody, though known, is not shown: nor may a group be."""
    keys = ["region_geoid", *DAY]
    of_everybody = sums[(sums["axis"] == EVERYBODY) & ~sums.index.isin(shown.index)]
    return pd.MultiIndex.from_frame(shown[keys]).isin(pd.MultiIndex.from_frame(of_everybody[keys]))


class _Grid(NamedTuple):
    """Devices of one measure by group, region and date, everybody and everywhere being 0."""

    n: np.ndarray
    is_shown: np.ndarray


def _grid(rows: pd.DataFrame, names: list[str], regions: list[str], is_shown: np.ndarray) -> tuple[_Grid, tuple]:
    """Return the rows of one measure as a grid, and where in it each row is."""
    at = (
        pd.Index(names).get_indexer(_labels(rows)),
        pd.Index(regions).get_indexer(rows["region_geoid"]),
        pd.factorize(rows["date"])[0],
    )
    shape = (len(names), len(regions), int(at[2].max()) + 1)
    grid = _Grid(np.zeros(shape, np.int64), np.zeros(shape, bool))
    grid.n[at], grid.is_shown[at] = rows["n_devices"], is_shown
    return grid, at


def _is_told_by_both(
    sums: pd.DataFrame, shown: pd.DataFrame, names: list[str], inside: dict[str, _Inside], min_devices: int
) -> np.ndarray:
    """Return which rows of everywhere and a group tell of few devices in the regions where the group is not shown.

    What these have of the group is everywhere's row less those of the other regions.
    """
    regions = [EVERYWHERE, *sorted(set(inside) - {EVERYWHERE})]
    if len(regions) == 1:
        return np.zeros(len(shown), bool)
    may_be = _Inside(*(np.array(part) for part in zip(*(inside[region] for region in regions[1:]), strict=True)))
    is_published = (sums["n_devices"] >= min_devices).to_numpy() & sums.index.isin(shown.index)
    is_told = pd.Series(False, index=sums.index)
    for _, rows in sums.groupby("measure", sort=False).indices.items():
        grid, at = _grid(sums.iloc[rows], names, regions, is_published[rows])
        told = np.zeros(grid.n.shape, bool)
        for group in range(1, len(names)):
            told[group, 0] = _is_told_by_rest(grid, group, may_be, min_devices)
        is_told.iloc[rows] = told[at]
    return (is_told[shown.index] & (shown["n_devices"] >= min_devices)).to_numpy()


def _is_told_by_rest(grid: _Grid, group: int, may_be: _Inside, min_devices: int) -> np.ndarray:
    """Return on which dates a group's row of everywhere tells of few devices beside rows of its hidden regions."""
    n, hidden = grid.n[:, 1:], (grid.n > 0)[:, 1:] & ~grid.is_shown[:, 1:]
    here = hidden[group]
    n_nowhere = grid.n[0, 0] - n[0].sum(axis=0)
    of_group = (n[group] * here).sum(axis=0)
    is_told = np.zeros(here.shape[1], bool)
    for other in range(len(n)):
        if other == group:
            continue
        of_other = (n[other] * here).sum(axis=0)
        # The other's own hidden regions, which may be more.
        rest_of_other = np.where((hidden[other] >= here).all(axis=0), (n[other] * hidden[other]).sum(axis=0), of_other)
        beyond = n_nowhere if other == 0 else 0
        for rest, is_inside in (
            (of_other - of_group, may_be.one[:, other, group]),
            (of_other + beyond - of_group, may_be.one[:, other, group]),
            (rest_of_other + beyond - of_group, may_be.one[:, other, group]),
            (of_group - of_other, may_be.one[:, group, other]),
            ((n[0] * here).sum(axis=0) - of_group - of_other, may_be.two[:, group, other]),
        ):
            is_told |= (~here | is_inside[:, None]).all(axis=0) & _is_few(rest, min_devices)
    return is_told & here.any(axis=0)
