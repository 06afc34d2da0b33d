"""Shares of groups: of each area, and of the population; and which areas are high in a group."""

import numpy as np
import pandas as pd


def shares_of_areas(demographics: pd.DataFrame) -> pd.DataFrame:
    """Return each group's share of its axis by area: one row an area, columns (axis, group), NaN where unknown.

    A group that an area with figures of the axis does not list has a share of 0; an axis that adds up to nothing
    there is unknown.
    """
    persons = demographics.set_index(["tract_geoid", "axis", "group"])["n_persons"].unstack(["axis", "group"])
    persons = persons.sort_index(axis=1)
    total = persons.T.groupby(level="axis").sum().T.reindex(columns=persons.columns.get_level_values("axis"))
    total.columns = persons.columns
    return persons.fillna(0.0) / total.where(total > 0)


def shares_of_population(shares: pd.DataFrame, population: pd.Series) -> pd.Series:
    """Return each group's share in the population: the areas' shares, weighted by their residents.

    `shares` as of `shares_of_areas`, `population` by area. An axis is averaged over the areas where it and the number
    of residents are known; NaN where there is none. Residents weigh, not the persons of the axis, so that education,
    counted for adults alone, says what is expected of a device, like every other axis.
    """
    weight = shares.notna().mul(population.reindex(shares.index).fillna(0.0), axis=0)
    total = weight.sum()
    return (shares.fillna(0.0) * weight).sum() / total.where(total > 0)


def high_areas(demographics: pd.DataFrame, panel_weights: pd.DataFrame, top_share: float) -> pd.DataFrame:
    """Return the areas that are high in each group: axis, group, area.

    Areas are ordered by the group's share of the axis; those at the top are taken until `top_share` of the panel's
    devices live in them, areas with equal shares together. An area with the lowest share of all is never high, so that
    a group that is spread evenly, or found in a few areas only, does not come out as everybody. A group that an area
    with figures of the axis does not list has a share of 0 there.
    """
    n_devices = panel_weights.set_index("home_tract_geoid")["n_devices"].rename_axis("area")
    shares = shares_of_areas(demographics).reindex(n_devices.index)
    found = [pd.DataFrame({"axis": [], "group": [], "area": []}, dtype="str")]
    for axis, group in shares.columns:
        rows = pd.DataFrame({"share": shares[axis, group], "n_devices": n_devices}).dropna().reset_index()
        found.append(_top(rows, top_share).assign(axis=axis, group=group) if len(rows) else found[0])
    return pd.concat(found, ignore_index=True)[["axis", "group", "area"]]


def _top(rows: pd.DataFrame, top_share: float) -> pd.DataFrame:
    rows = rows.sort_values(["share", "area"], ascending=[False, True])
    n_above = rows["n_devices"].cumsum().to_numpy()
    last = np.searchsorted(n_above, top_share * n_above[-1])
    return rows[(rows["share"] >= rows["share"].iloc[last]) & (rows["share"] > rows["share"].min())]


def area_quantiles(
    demographics: pd.DataFrame, panel_weights: pd.DataFrame, axis: str, group: str, n_quantiles: int
) -> pd.Series:
    """Return the quantile of each home area by a group's share there, 0 the lowest: int64 by area.

    Quantiles are of the panel's devices, each of as many as can be: an area is where the middle one of its devices is,
    areas with equal shares together. Areas without figures of the axis, and all where no area lists the group, are
    left out.
    """
    n_devices = panel_weights.set_index("home_tract_geoid")["n_devices"].rename_axis("area")
    shares = shares_of_areas(demographics[demographics["axis"] == axis])
    if (axis, group) not in shares.columns:
        return pd.Series([], index=n_devices.index[:0], dtype="int64")
    rows = pd.DataFrame({"share": shares[axis, group].reindex(n_devices.index), "n_devices": n_devices}).dropna()
    n_equal = rows.groupby("share")["n_devices"].sum()
    middle = (n_equal.cumsum() - n_equal / 2) / n_equal.sum()
    return rows["share"].map((middle * n_quantiles).astype("int64"))
