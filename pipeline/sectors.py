"""Industries of devices, from the jobs of the area they work in: one definition for every stage that needs them."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from pipeline.kernels.keyed_random import keyed_uniform

Assignment = Literal["fractional", "draw"]
UNKNOWN = "unknown"
"""Sector of devices whose workplace lies in no area with jobs on file; of all where a study has no jobs."""
NO_WAVE = "none"
"""Wave of telework of absences that did not begin with one."""
STREAM = "sectors"
"""Name of the stream of random numbers that draws are made with."""


def waves_of(since_on: pd.Series, started_on: np.ndarray, finished_on: np.ndarray) -> np.ndarray:
    """Return the wave of telework that each absence began with, counted from 1; 0 for none.

    `since_on`: Monday of each absence's first week, missing where there is none. A wave takes in the absences that
    began from its `started_on` to its `finished_on`, both Mondays; waves do not overlap.
    """
    since = since_on.to_numpy()
    found = np.zeros(since.size, np.int64)
    for k, (first, last) in enumerate(zip(started_on, finished_on, strict=True)):
        found[(first <= since) & (since <= last)] = k + 1
    return found


class SectorWeights(NamedTuple):
    """How probable it is that each device works in each industry."""

    names: list[str]
    """Industries of the jobs in the order of their names, and last UNKNOWN."""
    weight: np.ndarray
    """Shape (n_devices, n_sectors); rows sum to 1."""


def sector_weights(
    jobs: pd.DataFrame, tract_geoid: pd.Series, device_id: np.ndarray, assignment: Assignment, seed: int
) -> SectorWeights:
    """Return the industries of devices that work in these areas: w of the method (page 2.5, reconstruction [I]).

    "fractional": the shares of the industries in the jobs (JOBS) of the area. "draw": all weight on one, drawn with
    those shares, the same for a device whatever else is computed. `tract_geoid` and `device_id` have an entry for each
    device. An area without jobs, or none, gives UNKNOWN.
    """
    table = jobs[jobs["n_jobs"] > 0].pivot_table("n_jobs", "tract_geoid", "sector", "sum", fill_value=0.0, sort=True)
    shares = table.to_numpy(np.float64)
    shares = shares / shares.sum(axis=1, keepdims=True)
    row = table.index.get_indexer(tract_geoid)
    weight = np.zeros((row.size, shares.shape[1] + 1))
    weight[row >= 0, :-1] = shares[row[row >= 0]]
    weight[row < 0, -1] = 1.0
    if assignment == "draw":
        weight = _draw(weight, keyed_uniform(device_id, STREAM, seed))
    return SectorWeights([*map(str, table.columns), UNKNOWN], weight)


def _draw(weight: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return all weight of each row on one column: the first whose running sum exceeds the chance."""
    running = np.cumsum(weight, axis=1)
    running[:, -1] = 1.0  # rounding may leave the sum below it
    return np.eye(weight.shape[1])[(running <= chance[:, None]).sum(axis=1)]


def telework_shares(names: list[str], jobs: pd.DataFrame, telework: pd.DataFrame) -> np.ndarray:
    """Return the share of each industry's jobs that can be done at home, in the order of `names`.

    An industry without a figure counts as 0: nobody is expected to work away. UNKNOWN is the mean over the industries
    with a figure, weighted by all jobs of the study, or equally where a study has no jobs; 0 where it has no telework.
    """
    share = telework.set_index("sector")["telework_share"].astype(np.float64)
    n_jobs = jobs.groupby("sector")["n_jobs"].sum().reindex(share.index).fillna(0.0).to_numpy(np.float64)
    if not n_jobs.sum() > 0:
        n_jobs = np.ones(len(share))
    mean = float(np.average(share, weights=n_jobs)) if len(share) else 0.0
    return np.array([mean if name == UNKNOWN else share.get(name, 0.0) for name in names])
