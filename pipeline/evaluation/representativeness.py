"""Who is in the panel beside who is in the population: shares of groups by weighting, and what weights cost."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.kernels.raking import effective_size
from pipeline.shares import shares_of_areas, shares_of_population

WEIGHTS = {"unweighted": None, "area": "area_weight", "raked": "raked_weight"}
"""Share of the sample → column of PANEL_WEIGHTS it is weighted by."""


class PanelSize(NamedTuple):
    """How many devices a panel is worth."""

    n_devices: int
    """Devices with a baseline home inside an area."""
    n_areas: int
    """Areas with such a device."""
    population_covered: float
    """Share of the population that lives in these areas; NaN where no population is known."""
    effective: dict[str, float]
    """Unweighted, area, raked → as many equal devices would be as certain (Kish); NaN where there are no weights."""
    raked_gap: float
    """Largest difference between a group's shares that raking leaves; NaN where there is nothing to rake to."""


def compare_groups(panel_weights: pd.DataFrame, tracts: pd.DataFrame, demographics: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each group in the population and in the sample: one row an axis and group.

    Columns axis, group, population, unweighted, area, raked: shares (1), each axis adding up to 1. A device belongs to
    the groups of its home area in their shares there; shares of the sample are over devices whose area has figures of
    the axis. NaN where weights are not known. No rows without demographics or without residents.
    """
    shares = shares_of_areas(demographics)
    population = tracts.set_index("tract_geoid")["population"].astype(float)
    aims = shares_of_population(shares, population).dropna()
    at_homes = shares[aims.index].reindex(panel_weights["home_tract_geoid"])
    found = {name: _weighted_shares(at_homes, device_weights(panel_weights, name)) for name in WEIGHTS}
    table = pd.DataFrame({"population": aims, **found}, index=aims.index)
    return table.rename_axis(["axis", "group"]).reset_index()


def panel_size(panel_weights: pd.DataFrame, tracts: pd.DataFrame) -> PanelSize:
    """Return how many devices the panel has and how many it is worth under each weighting."""
    population = tracts.set_index("tract_geoid")["population"].astype(float)
    total = population.sum()
    gap = panel_weights["raked_gap"].astype(float)
    return PanelSize(
        n_devices=int(panel_weights["n_devices"].sum()),
        n_areas=len(panel_weights),
        population_covered=float(population.reindex(panel_weights["home_tract_geoid"]).sum() / total)
        if total > 0
        else np.nan,
        effective={name: _effective(panel_weights, name) for name in WEIGHTS},
        raked_gap=float(gap.iloc[0]) if len(gap) else np.nan,
    )


def device_weights(panel_weights: pd.DataFrame, name: str) -> np.ndarray:
    """Return the weight of each area's devices together: NaN where there is none."""
    column = WEIGHTS[name]
    each = 1.0 if column is None else panel_weights[column].to_numpy(dtype=float)
    return panel_weights["n_devices"].to_numpy(dtype=float) * each


def _weighted_shares(at_homes: pd.DataFrame, weight: np.ndarray) -> pd.Series:
    """Return the mean of areas' shares, over the areas with figures of the axis; NaN for a missing weight."""
    known = at_homes.notna().mul(weight, axis=0)
    total = known.sum(skipna=False)
    return (at_homes.fillna(0.0) * known).sum(skipna=False) / total.where(total > 0)


def _effective(panel_weights: pd.DataFrame, name: str) -> float:
    weight, n_devices = device_weights(panel_weights, name), panel_weights["n_devices"].to_numpy(dtype=float)
    if np.isnan(weight).any():
        return np.nan
    return float(effective_size(weight.sum(), (weight * weight / n_devices).sum()))
