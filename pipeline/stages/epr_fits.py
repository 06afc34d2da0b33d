"""`epr_fits`: how new places become rarer, and how jumps and dwell are distributed, over all devices."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import EPR_FITS, TRIPS, VISITS
from pipeline.kernels.bootstrap import bootstrap_sums
from pipeline.kernels.truncated_power import fit_exploration, fit_truncated_power
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.sums import group_sums

KEY = ["quantity", "bin"]
COUNTS = ["n", "n_new"]
DEVICES = -1
"""Bin that counts the devices of a quantity."""
LEAST_PLACES = 2
"""From the only place so far every move leads to a new one, whatever the law."""
PARAMETERS = {
    "exploration": ("rho", "gamma"),
    "jump": ("jump_exponent", "jump_cutoff"),
    "dwell": ("dwell_exponent", "dwell_cutoff"),
}
KM, HOUR_S = 1000.0, 3600.0


class EprParams(Params):
    """Which moves, jumps and dwell count, and how intervals are made."""

    max_places: int = Field(default=300, ge=10, le=10_000)
    """Moves of a device that has been to more places are left out (ours)."""
    jump_km: tuple[float, float] = (1.0, 1000.0)
    """Shortest and longest jump: what is shorter is as much the size of places as a jump (ours)."""
    dwell_hours: tuple[float, float] = (1.0, 168.0)
    """Shortest and longest dwell: shorter stays are found only in part (ours)."""
    bins_per_decade: int = Field(default=10, ge=3, le=100)
    """Bins of jumps and dwell in a factor of ten (ours)."""
    n_replicates: int = Field(default=100, ge=20, le=10_000)
    """Replicates of the bootstrap over devices (ours)."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Coverage of the interval: percentiles of the replicates (ours)."""

    def edges(self, quantity: str) -> np.ndarray:
        """Return where bins of a quantity begin and the last one ends."""
        low, high = self.jump_km if quantity == "jump" else self.dwell_hours
        n_bins = max(round(np.log10(high / low) * self.bins_per_decade), 3)
        return np.geomspace(low, high, n_bins + 1)


def _finish(parts: pd.DataFrame, seed: int, params: EprParams) -> pd.DataFrame:
    """Return the fits to the sums of all buckets; no rows of a quantity without observations."""
    drawn = [f"{name}_{k}" for name in COUNTS for k in range(params.n_replicates)]
    sums = group_sums(parts, KEY, [*COUNTS, *drawn]) if len(parts) else parts
    found = [_fitted(quantity, sums, params) for quantity in PARAMETERS]
    return pd.concat(found, ignore_index=True).sort_values("parameter", ignore_index=True)[EPR_FITS.names]


def _fitted(quantity: str, sums: pd.DataFrame, params: EprParams) -> pd.DataFrame:
    """Return the two parameters of a quantity with intervals."""
    rows = sums[(sums["quantity"] == quantity) & (sums["bin"] != DEVICES)]
    devices = sums.loc[(sums["quantity"] == quantity) & (sums["bin"] == DEVICES), "n"].sum()
    drawn = [_estimates(quantity, rows, f"_{k}", params) for k in range(params.n_replicates) if rows[f"n_{k}"].sum()]
    names = PARAMETERS[quantity] if len(rows) and drawn else ()
    tail = (1 - params.level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0) if names else np.empty((2, 0))
    return pd.DataFrame(
        {
            "parameter": pd.Series(names, dtype="str"),
            "n_devices": np.full(len(names), devices, np.int64),
            "n_observations": np.full(len(names), rows["n"].sum(), np.int64),
            "estimate": np.array(_estimates(quantity, rows, "", params) if names else (), np.float64),
            "estimate_low": low,
            "estimate_high": high,
        }
    )


def _estimates(quantity: str, rows: pd.DataFrame, which: str, params: EprParams) -> tuple[float, float]:
    n = rows[f"n{which}"].to_numpy()
    if quantity == "exploration":
        return fit_exploration(rows["bin"].to_numpy(), n, rows[f"n_new{which}"].to_numpy())
    edges = params.edges(quantity)
    counts = np.zeros(edges.size - 1, np.int64)
    counts[rows["bin"].to_numpy()] = n
    return fit_truncated_power(counts, edges)


@stage(reads=(VISITS, TRIPS), writes=EPR_FITS, params=EprParams, needs=("seed",), finish=_finish)
def epr_fits(visits: pd.DataFrame, trips: pd.DataFrame, seed: int, params: EprParams) -> pd.DataFrame:
    """Return the counts of a bucket that fits are made of, by quantity and bin: a part of the table.

    After Song et al. 2010 (recalled, unverified): a move leads to a new place with probability rho S^-gamma, S being
    the places the device has been to. Fitted to moves by maximum likelihood, where they fit the growth of S with
    time. Visits to the place of the visit before are no moves, and the move from the first place is none
    of the fit, as it can only lead to a new one. S begins with the record, so that a short one counts
    places as new that were not.
    """
    rows = pd.concat(
        [
            _moves(visits, params),
            _binned("jump", trips["device_id"], trips["distance_m"] / KM, params),
            _binned("dwell", visits["device_id"], visits["dwell_s"] / HOUR_S, params),
        ],
        ignore_index=True,
    )
    devices = rows[["device_id", "quantity"]].drop_duplicates().assign(bin=DEVICES, n=1, n_new=0)
    rows = group_sums(pd.concat([rows, devices]), ["device_id", *KEY], COUNTS)
    keys = rows[KEY].drop_duplicates().sort_values(KEY, ignore_index=True)
    group = rows.groupby(KEY, sort=True).ngroup().to_numpy().astype(np.int64)
    values = rows[COUNTS].to_numpy(np.int64)
    device = rows["device_id"].to_numpy(np.int64)
    drawn = bootstrap_sums(device, group, values, len(keys), EPR_FITS.name, seed, params.n_replicates)
    plain = np.zeros((len(keys), len(COUNTS)), np.int64)
    np.add.at(plain, group, values)
    names = [*COUNTS, *(f"{name}_{k}" for name in COUNTS for k in range(params.n_replicates))]
    sums = np.concatenate([plain, drawn.reshape(len(keys), len(COUNTS) * params.n_replicates)], axis=1)
    return pd.concat([keys, pd.DataFrame(sums, columns=names)], axis=1)


def _moves(visits: pd.DataFrame, params: EprParams) -> pd.DataFrame:
    """Return the moves of devices: places so far as the bin, whether the next one is new."""
    device, is_new = visits["device_id"], visits["is_new"].astype("int64")
    n_places = is_new.groupby(device).cumsum() - is_new
    before = visits["location_id"].groupby(device).shift()
    is_move = before.notna() & (before != visits["location_id"]) & n_places.between(LEAST_PLACES, params.max_places)
    rows = pd.DataFrame({"device_id": device, "quantity": "exploration", "bin": n_places, "n": 1, "n_new": is_new})
    return _typed(rows[is_move])


def _binned(quantity: str, device: pd.Series, values: pd.Series, params: EprParams) -> pd.DataFrame:
    """Return the values of devices that lie within the bins, by bin."""
    edges = params.edges(quantity)
    at = np.searchsorted(edges, values.to_numpy(), side="right") - 1
    rows = pd.DataFrame({"device_id": device, "quantity": quantity, "bin": at, "n": 1, "n_new": 0})
    return _typed(rows[(at >= 0) & (at < edges.size - 1)])


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype({"quantity": "str", **dict.fromkeys(("device_id", "bin", *COUNTS), "int64")})
