"""`panel_weights`: how much the devices of each home area count, so that together they are like the population.

Two weights are made. The first restores the population's spread over areas, the second its shares of sex, age,
income, race and education as well. Nothing is known of the person with the device: it belongs to the groups of its
home area in their shares there, and all devices of an area weigh the same.
"""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import DEMOGRAPHICS, HOME_WORK, PANEL_WEIGHTS, TRACTS
from pipeline.homes import baseline_homes
from pipeline.kernels.raking import bounded, rake, weighted_excess
from pipeline.params import Params
from pipeline.shares import shares_of_areas, shares_of_population
from pipeline.stage import stage

Axis = Literal["sex", "age", "income", "race", "education"]


class PanelWeightParams(Params):
    """How devices are weighted. All defaults are ours."""

    min_area_devices: int = Field(default=5, ge=1)
    """Devices from which a home area is weighted by itself; areas of fewer, or none, are pooled. On simulated panels of
    real tracts (`bench_panel_weights`) 10 left twice the bias of 5, and fewer than 5 gained nothing (ours)."""
    pool_digits: tuple[int, ...] = (5, 2)
    """Leading digits of an area's id that say with which other small areas it is pooled: county, then state of a Census
    id. Pools still too small are pooled with all such areas left. (): at once with all small areas, for ids whose
    digits mean nothing (ours)."""
    least_weight: float = Field(default=0.2, gt=0, le=1)
    """Weights are trimmed to this from below, in units of the mean weight, 1 (ours)."""
    most_weight: float = Field(default=5.0, ge=1)
    """Weights are trimmed to this from above; what is cut is shared out among the others in proportion (ours)."""
    axes: tuple[Axis, ...] = ("sex", "age", "income", "race", "education")
    """What to rake on, as far as demographics have it."""
    raking_slack: float = Field(default=1e-4, gt=0, le=0.1)
    """Difference of shares that is left for each unit of a group's term in the logarithm of weights: what makes the
    answer unique where groups depend on each other or cannot all be met (ours)."""
    max_raked_gap: float = Field(default=0.005, gt=0)
    """Largest difference between a group's weighted share and the population's with which raking counts as done: half
    a percentage point (ours). Beyond it there are no raked weights, and raked_gap says how far off they were."""


def _finish(
    parts: pd.DataFrame, tracts: pd.DataFrame, demographics: pd.DataFrame, params: PanelWeightParams
) -> pd.DataFrame:
    """Return one row a home area from the counts of all buckets: its devices, population and weights.

    - Area weight: the population's share of the area (or pool) by the devices' share, then trimmed. Shares are of what
      lies in pools with a device. Where an area's population is unknown its devices weigh 1 before trimming, as if
      they were sampled like the rest; where no population is known, nothing does.
    - Raked weight: the area weight moved as little as need be to meet the population's shares of groups, within the
      same bounds (`kernels.raking.rake`). An area without figures of an axis counts as like the population there.
    """
    population = tracts.set_index("tract_geoid")["population"].astype(float)
    n_devices = parts.groupby("home_tract_geoid", sort=True)["n_devices"].sum()
    pool, weight = _area_weights(n_devices, population, params)
    raked, gap = _raked_weights(n_devices, weight, population, demographics, params)
    return pd.DataFrame(
        {
            "home_tract_geoid": n_devices.index,
            "n_devices": n_devices.to_numpy(dtype=np.int64),
            "population": population.reindex(n_devices.index).to_numpy(),
            "pool_geoid": pd.Series(pool.to_numpy(), dtype="str"),
            "area_weight": weight.to_numpy(),
            "raked_weight": raked.to_numpy(),
            "raked_gap": np.full(len(n_devices), gap),
        }
    )[PANEL_WEIGHTS.names]


@stage(reads=(HOME_WORK, TRACTS, DEMOGRAPHICS), writes=PANEL_WEIGHTS, params=PanelWeightParams, finish=_finish)
def panel_weights(
    home_work: pd.DataFrame, tracts: pd.DataFrame, demographics: pd.DataFrame, params: PanelWeightParams
) -> pd.DataFrame:
    """Return the number of devices by area of the baseline home, of one bucket; `_finish` makes the weights."""
    homes = baseline_homes(home_work)
    n_devices = homes.dropna(subset="tract_geoid").groupby("tract_geoid", sort=True)["device_id"].nunique()
    return n_devices.rename_axis("home_tract_geoid").rename("n_devices").reset_index()


def _area_weights(
    n_devices: pd.Series, population: pd.Series, params: PanelWeightParams
) -> tuple[pd.Series, pd.Series]:
    """Return pool and trimmed weight by home area, indexed like `n_devices`: NaN where nothing is known."""
    known = population[population.notna()]
    devices = n_devices.reindex(known.index, fill_value=0)
    pool = pool_areas(devices, params.min_area_devices, params.pool_digits)
    people_in, devices_in = known.groupby(pool).sum(), devices.groupby(pool).sum()
    people_in, devices_in = people_in[devices_in > 0], devices_in[devices_in > 0]
    if not people_in.sum() > 0:
        nothing = pd.Series(np.nan, index=n_devices.index)
        return nothing.astype("str"), nothing
    ratio = (people_in / people_in.sum()) / (devices_in / devices_in.sum())
    pool = pool.reindex(n_devices.index)
    weight = pool.map(ratio).astype(float).fillna(1.0)
    trimmed = bounded(n_devices.to_numpy(), weight.to_numpy(), params.least_weight, params.most_weight)
    return pool, pd.Series(trimmed, index=n_devices.index)


def pool_areas(n_devices: pd.Series, min_devices: int, digits: tuple[int, ...]) -> pd.Series:
    """Return for each area (index of `n_devices`) the pool it is weighted in: its own id, or leading digits and a *.

    Areas of fewer than `min_devices` are put together by the longest `digits` first; pools still too small go on to
    the next, and what is left at the end is one pool, "*", however small. The * keeps a pool apart from an area whose
    whole id is those digits.
    """
    ids = pd.Series(n_devices.index, index=n_devices.index, dtype="str")
    pool = ids
    for length in (*sorted(digits, reverse=True), 0):
        is_small = n_devices.groupby(pool).transform("sum") < min_devices
        pool = pool.where(~is_small, ids.str[:length] + "*")
    return pool


def _raked_weights(
    n_devices: pd.Series,
    weight: pd.Series,
    population: pd.Series,
    demographics: pd.DataFrame,
    params: PanelWeightParams,
) -> tuple[pd.Series, float]:
    """Return raked weights by home area and the largest gap they leave; NaN where there is nothing to rake to."""
    shares = shares_of_areas(demographics[demographics["axis"].isin(params.axes)])
    aims = shares_of_population(shares, population).dropna()
    nothing = pd.Series(np.nan, index=n_devices.index)
    if aims.empty or weight.isna().all():
        return nothing, np.nan
    excess = (shares[aims.index].reindex(n_devices.index) - aims).fillna(0.0).to_numpy()
    bounds = params.least_weight, params.most_weight
    raked = rake(n_devices.to_numpy(), weight.to_numpy(), excess, *bounds, params.raking_slack)
    gap = float(np.abs(weighted_excess(n_devices.to_numpy(), raked, excess)).max())
    return (nothing if gap > params.max_raked_gap else pd.Series(raked, index=n_devices.index)), gap
