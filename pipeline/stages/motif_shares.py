"""`motif_shares`: which motifs days have, over all devices of the study."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import DAILY_MOTIFS, MOTIF_SHARES
from pipeline.kernels.bootstrap import bootstrap_sums
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.sums import group_sums

RARE = "rare"
COUNTS = ["n_devices", "n_days"]
LISTED = "device_ids"
MIN_DEVICES = MOTIF_SHARES.min_devices or 0


class MotifShareParams(Params):
    """How the intervals of shares are made."""

    n_replicates: int = Field(default=200, ge=20, le=10_000)
    """Replicates of the bootstrap over devices (ours)."""
    level: float = Field(default=0.95, gt=0, lt=1)
    """Coverage of the interval: percentiles of the replicates (ours)."""


def _finish(parts: pd.DataFrame, seed: int, params: MotifShareParams) -> pd.DataFrame:
    """Return the shares from the counts of all buckets.

    Motifs of fewer than `min_devices` devices are one row. Where these are fewer than `min_devices` devices together,
    the motif with the fewest devices of all others is in that row too: all days are in one row each, so the row would
    be told by what the others leave. Nothing is published of a study with fewer devices (the store sees to that).
    """
    replicates = _replicates(params)
    sums = group_sums(parts, ["motif"], [*COUNTS, *replicates])
    devices = parts.groupby("motif")[LISTED].agg(lambda lists: {device for one in lists for device in one})
    sums = sums.sort_values(["n_devices", "motif"], kind="stable", ignore_index=True)
    n_rare, n_together = _rare(sums, devices)
    is_rare = np.arange(len(sums)) < n_rare
    n_devices = np.where(is_rare, 0, sums["n_devices"])
    n_devices[:1] = n_together if n_rare else n_devices[:1]
    told = sums.assign(motif=sums["motif"].mask(is_rare, RARE), n_devices=n_devices)
    table = group_sums(told, ["motif"], [*COUNTS, *replicates])
    low, high = _interval(table[replicates].to_numpy(np.float64), params.level)
    share = table["n_days"] / table["n_days"].sum()
    return table.assign(share=share, share_low=low, share_high=high)[MOTIF_SHARES.names]


def _rare(sums: pd.DataFrame, devices: "pd.Series[object]") -> tuple[int, int]:
    """Return how many motifs, from the one with the fewest devices on, are one row, and how many devices they have."""
    n_rare = int((sums["n_devices"] < MIN_DEVICES).sum())
    rare = set().union(*(devices[motif] for motif in sums["motif"][:n_rare]))
    if not 0 < len(rare) < MIN_DEVICES or n_rare == len(sums):
        return n_rare, len(rare)
    more = sums.iloc[n_rare]
    return n_rare + 1, int(more["n_devices"]) + len(rare - devices[more["motif"]])


def _interval(days: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return percentiles of the replicates' shares; replicates in which no device counts are left out."""
    total = days.sum(axis=0)
    shares = days[:, total > 0] / total[total > 0]
    if not shares.size:
        return np.zeros(len(days)), np.ones(len(days))
    tail = (1 - level) / 2
    low, high = np.quantile(shares, [tail, 1 - tail], axis=1)
    return low, high


@stage(reads=(DAILY_MOTIFS,), writes=MOTIF_SHARES, params=MotifShareParams, finish=_finish, needs=("seed",))
def motif_shares(daily_motifs: pd.DataFrame, seed: int, params: MotifShareParams) -> pd.DataFrame:
    """Return days and devices of a bucket by motif, and days in every replicate: a part of the table.

    A share is of device-days: a device with more days weighs more. The interval is a Poisson bootstrap over devices,
    each with all its days (`kernels.bootstrap`).

    How many devices the rare motifs have together is not known from counts, so the devices of motifs that are rare in
    the bucket are listed, with all motifs they have; others are not. Parts grow with motifs, not with devices.
    """
    by_device = daily_motifs.groupby(["motif", "device_id"], as_index=False, sort=True).size()
    by_motif = by_device.groupby("motif", sort=True)
    found = by_motif["size"].agg(n_devices="size", n_days="sum").reset_index()
    is_rare = by_motif["device_id"].transform("size") < MIN_DEVICES
    is_listed = by_device["device_id"].isin(by_device.loc[is_rare, "device_id"])
    listed = by_device[is_listed].groupby("motif")["device_id"].agg(list)
    found[LISTED] = [listed.get(motif, []) for motif in found["motif"]]
    drawn = bootstrap_sums(
        by_device["device_id"].to_numpy(),
        by_motif.ngroup().to_numpy(),
        by_device["size"].to_numpy(np.int64)[:, None],
        len(found),
        MOTIF_SHARES.name,
        seed,
        params.n_replicates,
    )
    return found.join(pd.DataFrame(drawn[:, 0], columns=_replicates(params)))


def _replicates(params: MotifShareParams) -> list[str]:
    return [f"n_days_{k}" for k in range(params.n_replicates)]
