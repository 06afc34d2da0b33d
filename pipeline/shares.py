"""Shares of groups: of each area, and of the population."""

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
