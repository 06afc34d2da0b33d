"""`employment`: who works, works away, or has lost the job, week by week."""

from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from data_contracts import EMPLOYMENT, JOBS, PRESENCE, SECTOR_ABSENCE
from pipeline.params import Params
from pipeline.sectors import NO_WAVE, UNKNOWN, Assignment, SectorWeights, sector_weights, waves_of
from pipeline.stage import stage


class EmploymentParams(Params):
    """From which probability on somebody at risk is said to be without the job. Defaults are ours."""

    not_employed_from: float = Field(default=0.5, ge=0, le=1)
    """At risk with at least this probability of job loss: not employed."""
    remote_below: float = Field(default=0.5, ge=0, le=1)
    """At risk with less than this: works away. Between the two the status is unknown."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.remote_below > self.not_employed_from:
            raise ValueError("remote_below exceeds not_employed_from: a probability would be both")
        return self


@stage(reads=(PRESENCE, JOBS, SECTOR_ABSENCE), writes=EMPLOYMENT, params=EmploymentParams, needs=("seed",))
def employment(
    presence: pd.DataFrame, jobs: pd.DataFrame, sector_absence: pd.DataFrame, seed: int, params: EmploymentParams
) -> pd.DataFrame:
    """Return probability of job loss and status per device with a baseline workplace and week.

    P_u = a_u sum_s w_us P_s: nothing for a device that is not at risk, else the mean over its industries of the
    probability that somebody at risk in the industry has lost the job (method page 2.5, reconstruction [I]), taken from
    the wave of telework that the absence began with. Weeks not observed, and absences too young to judge, are unknown.
    `sector_absence` says how industries are assigned.
    """
    devices = presence.drop_duplicates("device_id")
    device_id = devices["device_id"].to_numpy()
    assignment: Assignment = "fractional" if sector_absence.empty else sector_absence["assignment"].iloc[0]
    weights = sector_weights(jobs, devices["work_tract_geoid"], device_id, assignment, seed)
    of_row = np.searchsorted(device_id, presence["device_id"].to_numpy())
    is_at_risk = presence["is_at_risk"].to_numpy()
    of_sectors = _loss_of_sectors(presence, sector_absence, weights.names)
    loss = np.where(is_at_risk, (weights.weight[of_row] * of_sectors).sum(axis=1), 0.0)
    loss = np.minimum(loss, 1.0)  # weights sum to one but for rounding
    loss[~presence["is_observed"].to_numpy() | presence["is_undecided"].to_numpy()] = np.nan
    status = _status(loss, is_at_risk, params)
    is_lost = status == "not_employed"
    return pd.DataFrame(
        {
            **presence[["device_id", "window_started", "home_tract_geoid"]],
            "sector": _main_sector(weights).take(of_row),
            **presence[["visit_ratio", "hours_ratio", "is_at_risk", "is_undecided"]],
            "loss_probability": loss,
            "status": pd.Series(status, dtype="str"),
            "lost_on": presence["absent_since_on"].where(is_lost),
            "known_on": presence["known_on"].where(is_lost),
        }
    )


def _loss_of_sectors(presence: pd.DataFrame, sector_absence: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Return P_s of each row's week and wave: shape (n_rows, n_sectors), 0 where nobody of the sector was observed."""
    table = sector_absence.pivot(index=["window_started", "wave"], columns="sector", values="loss_probability")
    table = table.reindex(columns=names).fillna(0.0)
    keys = pd.MultiIndex.from_arrays([presence["window_started"], _wave(presence["absent_since_on"], sector_absence)])
    return table.reindex(keys).fillna(0.0).to_numpy(np.float64)


def _wave(absent_since_on: pd.Series, sector_absence: pd.DataFrame) -> pd.Series:
    """Return the name of the wave of telework that each absence began with."""
    waves = sector_absence[["wave", "wave_started_on", "wave_finished_on"]].dropna().drop_duplicates()
    number = waves_of(absent_since_on, waves["wave_started_on"].to_numpy(), waves["wave_finished_on"].to_numpy())
    return pd.Series([NO_WAVE, *waves["wave"]], dtype="str").take(number)


def _status(loss: np.ndarray, is_at_risk: np.ndarray, params: EmploymentParams) -> np.ndarray:
    """Return the status of each row; what is at risk and on neither side of the thresholds is unknown."""
    rules = [
        np.isnan(loss),
        ~is_at_risk,
        loss >= params.not_employed_from,
        loss < params.remote_below,
    ]
    return np.select(rules, ["unknown", "employed", "not_employed", "remote"], "unknown")


def _main_sector(weights: SectorWeights) -> pd.api.extensions.ExtensionArray:
    """Return the most probable industry of each device, the first by name of equals; missing where unknown."""
    names = np.array([None if name == UNKNOWN else name for name in weights.names], dtype=object)
    return pd.Series(names[weights.weight.argmax(axis=1)], dtype="str").array
