"""Rows of sums that may be published beside each other, so that no difference of them tells of a few devices.

Sums of a part are as good as published where those of the whole and of the other parts are. Looked at are the
differences that there can be between rows of one day and measure:

- everybody less a group, of a region;
- a group less another that may lie inside it, and everybody less two groups that may not overlap. Which devices are in
  which group is not known here; what is told by counts and sums of all days is, of groups of which one lies inside
  the other, that it has no more devices and no larger sum on any day;
- everything less all regions that are shown, of a group: the devices of those not shown, and of none;
- everything less those regions, less the same of a group: what would be left of a group that was left out above.

Differences of more rows than these are not looked at.
"""

from itertools import combinations

import numpy as np
import pandas as pd

EVERYBODY = EVERYWHERE = "all"
ROUNDING = 1e-9
"""Relative error of sums that are equal but for rounding."""
DAY = ["date", "measure"]
GROUP = ["axis", "group"]


def without_small_differences(sums: pd.DataFrame, min_devices: int) -> pd.DataFrame:
    """Return the rows of REGION_DAY that may be published together; of two parts the smaller is left out.

    Rows of fewer than `min_devices` devices stay: they are not published whatever their neighbours are.
    """
    if sums.empty:
        return sums
    parts = [rows[~_is_told_by_groups(rows, min_devices)] for _, rows in sums.groupby("region_geoid", sort=True)]
    shown = pd.concat(parts)
    shown = shown[~_is_told_by_regions(shown, min_devices)]
    return shown[~_is_told_by_both(sums, shown, min_devices)].sort_index()


def _is_few(n_devices: np.ndarray, min_devices: int) -> np.ndarray:
    return (n_devices > 0) & (n_devices < min_devices)


def _is_told_by_groups(rows: pd.DataFrame, min_devices: int) -> np.ndarray:
    """Return which rows of a region tell of few devices beside those of other groups."""
    day = rows.groupby(DAY, sort=False).ngroup().to_numpy()
    label = rows["axis"] + "\0" + rows["group"]
    group, names = pd.factorize(label, sort=True)
    n, total = np.zeros((2, len(names), day.max() + 1))
    n[group, day], total[group, day] = rows["n_devices"], rows["total"]
    everybody = np.flatnonzero(names == f"{EVERYBODY}\0{EVERYBODY}")
    is_told = np.zeros(n.shape, bool)
    others = [k for k in range(len(names)) if k not in everybody]
    for a in others if everybody.size else []:
        is_told[a] |= _is_few(n[everybody[0]] - n[a], min_devices)
    for a, b in combinations(others, 2):
        smaller = np.where(n[a] < n[b], a, b)
        told = _may_be_inside(n, total, a, b) & _is_few(np.abs(n[a] - n[b]), min_devices)
        if everybody.size:
            told |= _may_be_apart(n, total, a, b, everybody[0]) & _is_few(n[everybody[0]] - n[a] - n[b], min_devices)
        is_told[smaller[told], np.flatnonzero(told)] = True
    return is_told[group, day] & (rows["n_devices"] >= min_devices).to_numpy()


def _may_be_inside(n: np.ndarray, total: np.ndarray, a: int, b: int) -> bool:
    slack = ROUNDING * (total[a] + total[b])
    return any(
        bool((n[x] <= n[y]).all() and (total[x] <= total[y] + slack).all() and (n[x] != n[y]).any())
        for x, y in ((a, b), (b, a))
    )


def _may_be_apart(n: np.ndarray, total: np.ndarray, a: int, b: int, whole: int) -> bool:
    slack = ROUNDING * total[whole]
    return bool((n[a] + n[b] <= n[whole]).all() and (total[a] + total[b] <= total[whole] + slack).all())


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


def _is_told_by_both(sums: pd.DataFrame, shown: pd.DataFrame, min_devices: int) -> np.ndarray:
    """Return which rows of everywhere and a group tell of few devices beside everybody in the regions not shown."""
    is_shown = shown["n_devices"] >= min_devices
    regions = shown[is_shown & (shown["region_geoid"] != EVERYWHERE) & (shown["axis"] != EVERYBODY)]
    everybody = sums[sums["axis"] == EVERYBODY]
    regions = regions.merge(everybody[["region_geoid", *DAY, "n_devices"]], on=["region_geoid", *DAY])
    rest = (regions["n_devices_y"] - regions["n_devices_x"]).groupby([regions[name] for name in [*GROUP, *DAY]]).sum()
    is_group = (shown["region_geoid"] == EVERYWHERE) & (shown["axis"] != EVERYBODY)
    whole = everybody[everybody["region_geoid"] == EVERYWHERE].set_index(DAY)["n_devices"]
    groups = shown[is_group]
    n_all = whole.reindex(pd.MultiIndex.from_frame(groups[DAY])).to_numpy()
    n_rest = rest.reindex(pd.MultiIndex.from_frame(groups[[*GROUP, *DAY]]), fill_value=0).to_numpy()
    is_told = _is_few(n_all - groups["n_devices"].to_numpy() - n_rest, min_devices)
    found = np.zeros(len(shown), bool)
    found[np.flatnonzero(is_group.to_numpy())] = is_told & is_shown[is_group].to_numpy()
    return found
