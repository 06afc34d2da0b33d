"""`employment`: who works, works away, or has lost the job, week by week."""

from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from data_contracts import EMPLOYMENT, EMPLOYMENT_SCORES, JOBS, PRESENCE, SECTOR_ABSENCE
from pipeline.params import Params
from pipeline.sectors import NO_WAVE, UNKNOWN, Assignment, SectorWeights, sector_weights, waves_of
from pipeline.stage import stage
from pipeline.study import StudyError


class EmploymentParams(Params):
    """From which probability on somebody at risk is said to be without the job. Defaults are ours."""

    not_employed_from: float = Field(default=0.5, ge=0, le=1)
    """At risk with at least this probability of job loss: not employed."""
    remote_below: float = Field(default=0.5, ge=0, le=1)
    """At risk with less than this: works away. Between the two the status is unknown."""
    scores: Literal["sectors", "learned", "mean"] = "sectors"
    """Where the probability of somebody at risk is from: absence and telework of the sectors; a trained model
    (`employment_scores`); the mean of both. Who is not at risk keeps 0 (ours)."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.remote_below > self.not_employed_from:
            raise ValueError("remote_below exceeds not_employed_from: a probability would be both")
        return self

    def takes(self, table: str) -> bool:
        """Return whether a table is read: learned scores only where they are asked for."""
        return table != EMPLOYMENT_SCORES.name or self.scores != "sectors"


NO_SCORES = (
    "name one that fills employment_scores in `models` (`sojourn models` lists them), or set scores to 'sectors'"
)


@stage(
    reads=(PRESENCE, JOBS, SECTOR_ABSENCE, EMPLOYMENT_SCORES),
    writes=EMPLOYMENT,
    params=EmploymentParams,
    needs=("seed",),
)
def employment(
    presence: pd.DataFrame,
    jobs: pd.DataFrame,
    sector_absence: pd.DataFrame,
    employment_scores: pd.DataFrame,
    seed: int,
    params: EmploymentParams,
) -> pd.DataFrame:
    """Return probability of job loss and status per device with a baseline workplace and week.

    P_u = a_u sum_s w_us P_s: nothing for a device that is not at risk, else the mean over its industries of the
    probability that somebody at risk in the industry has lost the job (method page 2.5, reconstruction [I]), taken from
    the wave of telework that the absence began with. Weeks not observed, and absences too young to judge, are unknown.
    `sector_absence` says how industries are assigned. The learned scores, where asked for, take the place of that mean
    or are averaged with it (ours). StudyError where somebody at risk has none.
    """
    devices = presence.drop_duplicates("device_id")
    device_id = devices["device_id"].to_numpy()
    assignment: Assignment = "fractional" if sector_absence.empty else sector_absence["assignment"].iloc[0]
    weights = sector_weights(jobs, devices["work_tract_geoid"], device_id, assignment, seed)
    of_row = np.searchsorted(device_id, presence["device_id"].to_numpy())
    is_at_risk = presence["is_at_risk"].to_numpy()
    of_sectors = _loss_of_sectors(presence, sector_absence, weights.names)
    if_at_risk = (weights.weight[of_row] * of_sectors).sum(axis=1)
    if params.scores != "sectors":
        learned = _learned(presence, is_at_risk, employment_scores)
        if_at_risk = learned if params.scores == "learned" else (if_at_risk + learned) / 2
    loss = np.where(is_at_risk, if_at_risk, 0.0)
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


def _learned(presence: pd.DataFrame, is_at_risk: np.ndarray, employment_scores: pd.DataFrame) -> np.ndarray:
    """Return the learned score of each row of PRESENCE, missing where there is none; somebody at risk must have one."""
    key = ["device_id", "window_started"]
    scores = pd.Series(
        employment_scores["loss_score"].to_numpy(np.float64), pd.MultiIndex.from_frame(employment_scores[key])
    )
    found = scores.reindex(pd.MultiIndex.from_frame(presence[key])).to_numpy(np.float64)
    n_missing = int(np.isnan(found[is_at_risk]).sum())
    if n_missing:
        raise StudyError(f"{EMPLOYMENT_SCORES.name} has no score for {n_missing:,} device-weeks at risk: {NO_SCORES}")
    return found


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
