"""`sector_absence`: the share of each industry's workers that stays away, week by week, beside those who can."""

import itertools
from datetime import date
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from data_contracts import JOBS, PRESENCE, SECTOR_ABSENCE, TELEWORK
from pipeline.kernels.job_loss import loss_probability
from pipeline.params import Params
from pipeline.sectors import Assignment, sector_weights, telework_shares
from pipeline.stage import stage
from pipeline.sums import from_fixed, group_sums, to_fixed

WEEK_DAYS = 7


class TeleworkSpan(Params):
    """Local dates on which telework is taken up otherwise than usual."""

    start: date
    """First date."""
    end: date
    """Last date."""
    uptake: float = Field(ge=0, le=1)
    """Share of those able to work at home who do so all the time."""

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"end ({self.end}) is before start ({self.start})")
        return self


class SectorAbsenceParams(Params):
    """How industries are assigned, and how many of their workers are expected to work away."""

    assignment: Assignment = "fractional"
    """A device's industry: "fractional", the shares of the jobs in the area of its workplace; "draw", one of them."""
    reading: Literal[1, 2] = 1
    """Of the formula (method page 2.5): 1, absent beside able to telework; 2, observed beside expected presence."""
    telework_uptake: float = Field(default=1.0, ge=0, le=1)
    """Share of those able to work at home who do, on dates outside `telework_spans`. 1 is the formula as documented;
    then an industry shows no loss until more of it is absent than can telework, so in ordinary times set 0."""
    telework_spans: tuple[TeleworkSpan, ...] = ()
    """Dates with another uptake, such as a lockdown; they may not overlap. A week takes the mean over its days."""
    prior_devices: float = Field(default=5.0, ge=0)
    """The share at risk is drawn to that of all industries in the week as if so many more devices had it (ours); 0: the
    plain share, which is noise where few devices may work in an industry."""

    @field_validator("telework_spans")
    @classmethod
    def _apart(cls, spans: tuple[TeleworkSpan, ...]) -> tuple[TeleworkSpan, ...]:
        ordered = sorted(spans, key=lambda span: span.start)
        for one, other in itertools.pairwise(ordered):
            if other.start <= one.end:
                raise ValueError(f"two spans hold {other.start}")
        return spans

    def uptake_on(self, day: date) -> float:
        """Return the uptake on one local date."""
        return next((s.uptake for s in self.telework_spans if s.start <= day <= s.end), self.telework_uptake)


def _finish(
    parts: pd.DataFrame, jobs: pd.DataFrame, telework: pd.DataFrame, seed: int, params: SectorAbsenceParams
) -> pd.DataFrame:
    """Return the rows of SECTOR_ABSENCE from the sums of all buckets."""
    sums = group_sums(parts, ["window_started", "sector"], ["n_devices", "weight", "at_risk"])
    weight, at_risk = (from_fixed(sums[name]) for name in ("weight", "at_risk"))
    total = group_sums(parts, ["window_started"], ["weight", "at_risk"]).set_index("window_started")
    usual = (total["at_risk"] / total["weight"]).reindex(sums["window_started"]).to_numpy(np.float64)
    share = (at_risk + params.prior_devices * usual) / (weight + params.prior_devices)
    names = sorted(set(sums["sector"]))
    able = dict(zip(names, telework_shares(names, jobs, telework), strict=True))
    away = np.array([able[name] for name in sums["sector"]]) * _uptake(sums["window_started"], params)
    return pd.DataFrame(
        {
            "window_started": sums["window_started"],
            "sector": sums["sector"],
            "n_devices": sums["n_devices"],
            "assignment": pd.Series([params.assignment] * len(sums), dtype="str"),
            "weight": weight,
            "at_risk_share": share,
            "telework_share": away,
            "loss_probability": loss_probability(share, away, params.reading),
        }
    )


def _uptake(window_started: pd.Series, params: SectorAbsenceParams) -> np.ndarray:
    """Return the mean uptake over the days of each week."""
    weeks, at = np.unique(window_started.to_numpy().astype("datetime64[D]"), return_inverse=True)
    days = [week + np.arange(WEEK_DAYS) for week in weeks]
    means = [sum(params.uptake_on(day) for day in week.tolist()) / WEEK_DAYS for week in days]
    return np.array(means, np.float64)[at]


@stage(
    reads=(PRESENCE, JOBS, TELEWORK),
    writes=SECTOR_ABSENCE,
    params=SectorAbsenceParams,
    finish=_finish,
    needs=("seed",),
)
def sector_absence(
    presence: pd.DataFrame, jobs: pd.DataFrame, telework: pd.DataFrame, seed: int, params: SectorAbsenceParams
) -> pd.DataFrame:
    """Return per week and industry the weight of devices and of those at risk, in fixed point: a part of the table.

    r of the method is the share of an industry's weight that is at risk among devices observed in the week; a device
    whose absence is undecided counts as not observed. R is the share of its jobs that can be done at home times the
    uptake of telework in the week. P = 1 - min(R / r, 1) (method page 2.5, reported second hand [S]; definitions are
    reconstructions [I]). Without `jobs` all devices are of the sector unknown; without `telework` R is 0, so everyone
    at risk has lost the job.
    """
    known = presence[presence["is_observed"] & ~presence["is_undecided"]]
    devices = known.drop_duplicates("device_id")
    device_id = devices["device_id"].to_numpy()
    names, weight = sector_weights(jobs, devices["work_tract_geoid"], device_id, params.assignment, seed)
    weeks, week = np.unique(known["window_started"].to_numpy(), return_inverse=True)
    of_row = np.searchsorted(device_id, known["device_id"].to_numpy())
    is_at_risk = known["is_at_risk"].to_numpy()
    fixed = to_fixed(weight)
    sums = np.zeros((3, weeks.size, len(names)), np.int64)
    np.add.at(sums[0], week, (fixed > 0)[of_row])
    np.add.at(sums[1], week, fixed[of_row])
    np.add.at(sums[2], week[is_at_risk], fixed[of_row[is_at_risk]])
    at_week, at_sector = np.nonzero(sums[0])
    n_devices, total, at_risk = sums[:, at_week, at_sector]
    sector = pd.Series([names[k] for k in at_sector], dtype="str")
    columns = {"window_started": weeks[at_week], "sector": sector}
    return pd.DataFrame(columns | {"n_devices": n_devices, "weight": total, "at_risk": at_risk})
