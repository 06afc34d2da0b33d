"""`sector_absence`: the share of each industry's workers that stays away, week by week, beside those who can."""

import itertools
from datetime import date, timedelta
from typing import Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from data_contracts import JOBS, PRESENCE, SECTOR_ABSENCE, TELEWORK
from pipeline.kernels.job_loss import Waves, loss_probability, telework_waves
from pipeline.kernels.weekdays import WEEK_DAYS
from pipeline.params import Params
from pipeline.sectors import NO_WAVE, Assignment, sector_weights, telework_shares, waves_of
from pipeline.stage import stage
from pipeline.sums import from_fixed, group_sums, to_fixed
from pipeline.windows import monday_of, to_dates, to_days

EPOCH = date(1970, 1, 1)


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
    """How industries are assigned, and how many of their workers are expected to work away. All defaults are ours."""

    assignment: Assignment = "fractional"
    """A device's industry: "fractional", the shares of the jobs in the area of its workplace (method page 2.5,
    reconstruction [I]); "draw", one of them (ours)."""
    reading: Literal[1, 2] = 1
    """Of the formula (method page 2.5): 1, absent beside able to telework; 2, observed beside expected presence."""
    telework_uptake: float = Field(default=1.0, ge=0, le=1)
    """Share of those able to work at home who do, on dates outside `telework_spans` (ours). 1 is the formula as
    reconstructed (reading 1, method page 2.5 [I]); then an industry shows no loss until more of it is absent than can
    telework, so in ordinary times set 0."""
    telework_spans: tuple[TeleworkSpan, ...] = ()
    """Dates with another uptake, such as a lockdown; they may not overlap. A week takes the mean over its days."""
    absences: Literal["by_wave", "together"] = "by_wave"
    """"by_wave": telework explains absences that began as its uptake rose above `telework_uptake`, no others (ours; the
    same as "together" without such spans); "together": any absence may be telework, the formula as reconstructed
    (reading 1, method page 2.5 [I])."""
    wave_lead_weeks: int = Field(default=1, ge=0)
    """by_wave: also absences that began so many weeks before: who is seen seldom is dated too early (ours)."""
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


class _Uptake(NamedTuple):
    """The uptake of telework in consecutive weeks that hold all spans, and its waves."""

    first: int
    """Days since 1970 of the first Monday."""
    waves: Waves
    rest: np.ndarray
    """Uptake that no wave accounts for."""

    @property
    def mondays(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last Monday of each wave."""
        return to_dates(self.first + WEEK_DAYS * self.waves.first), to_dates(self.first + WEEK_DAYS * self.waves.last)

    @property
    def names(self) -> list[str]:
        """Of all absences that belong to no wave, and of the waves."""
        return [NO_WAVE, *map(str, self.mondays[0].astype("datetime64[D]"))]


def _uptake(params: SectorAbsenceParams) -> _Uptake:
    """Return the uptake from where the first wave can begin to the week after the last span."""
    days = [day for span in params.telework_spans for day in (span.start, span.end)] or [EPOCH]
    low, high = ((day - EPOCH).days for day in (min(days), max(days)))
    first = monday_of(low) - WEEK_DAYS * (1 + params.wave_lead_weeks)
    n_weeks = (high - first) // WEEK_DAYS + 2
    daily = np.array([params.uptake_on(EPOCH + timedelta(days=first + k)) for k in range(n_weeks * WEEK_DAYS)])
    # The formula's second reading compares presence, which has no waves.
    is_by_wave = params.absences == "by_wave" and params.reading == 1
    rest = np.minimum(daily, params.telework_uptake) if is_by_wave else daily
    excess, other = (part.reshape(n_weeks, WEEK_DAYS).mean(axis=1) for part in (daily - rest, rest))
    return _Uptake(first, telework_waves(excess, params.wave_lead_weeks), other)


def _finish(
    parts: pd.DataFrame, jobs: pd.DataFrame, telework: pd.DataFrame, seed: int, params: SectorAbsenceParams
) -> pd.DataFrame:
    """Return the rows of SECTOR_ABSENCE from the sums of all buckets."""
    uptake = _uptake(params)
    at_risk = [f"at_risk_{k}" for k in range(len(uptake.names))]
    sums = group_sums(parts, ["window_started", "sector"], ["n_devices", "weight", *at_risk])
    total = group_sums(parts, ["window_started"], ["weight", *at_risk]).set_index("window_started")
    names = sorted(set(sums["sector"]))
    able = dict(zip(names, telework_shares(names, jobs, telework), strict=True))
    weight = from_fixed(sums["weight"])
    tables = []
    for k, name in enumerate(uptake.names):
        usual = (total[at_risk[k]] / total["weight"]).reindex(sums["window_started"]).to_numpy(np.float64)
        share = (from_fixed(sums[at_risk[k]]) + params.prior_devices * usual) / (weight + params.prior_devices)
        away = np.array([able[sector] for sector in sums["sector"]], np.float64)
        away *= _level(sums["window_started"], uptake, k, params)
        tables.append(
            sums[["window_started", "sector", "n_devices"]].assign(
                wave=pd.Series([name] * len(sums), dtype="str"),
                wave_started_on=_monday(uptake.mondays[0], k),
                wave_finished_on=_monday(uptake.mondays[1], k),
                assignment=pd.Series([params.assignment] * len(sums), dtype="str"),
                weight=weight,
                at_risk_share=share,
                telework_share=away,
                loss_probability=loss_probability(share, away, params.reading),
            )
        )
    table = pd.concat(tables)[SECTOR_ABSENCE.names]
    has_begun = table["wave_started_on"].isna() | (table["wave_started_on"] <= table["window_started"])
    return table[has_begun].sort_values(list(SECTOR_ABSENCE.key), ignore_index=True)


def _monday(mondays: np.ndarray, k: int) -> np.datetime64:
    """Return the Monday of wave k - 1; missing for what belongs to none."""
    return mondays[k - 1] if k else np.datetime64("NaT", "s")


def _level(window_started: pd.Series, uptake: _Uptake, k: int, params: SectorAbsenceParams) -> np.ndarray:
    """Return in each row's week the uptake that wave k - 1 accounts for; k of 0: all that no wave does."""
    week = (to_days(window_started) - uptake.first) // WEEK_DAYS
    is_inside = (week >= 0) & (week < uptake.rest.size)
    at = np.where(is_inside, week, 0)
    if k:
        return np.where(is_inside, uptake.waves.uptake[at, k - 1], 0.0)
    return np.where(is_inside, uptake.rest[at], params.telework_uptake)


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
    uptake of telework in the week. P = 1 - min(R / r, 1) (method page 2.5, reported second hand [S]; what r and R are
    is reconstructed, reading 1 [I]). Where telework spread in waves, r, R and P are of the absences that began with
    each wave, and of all others (ours). Added up over waves, they are r and R of all absences, but in the lead weeks,
    where R of a wave is already that of its first week. Without `jobs` all devices are of the sector unknown; without
    `telework` R is 0, so everyone at risk has lost the job.
    """
    known = presence[presence["is_observed"] & ~presence["is_undecided"]]
    devices = known.drop_duplicates("device_id")
    device_id = devices["device_id"].to_numpy()
    names, weight = sector_weights(jobs, devices["work_tract_geoid"], device_id, params.assignment, seed)
    weeks, week = np.unique(known["window_started"].to_numpy(), return_inverse=True)
    of_row = np.searchsorted(device_id, known["device_id"].to_numpy())
    fixed = to_fixed(weight)
    n_devices, total = (np.zeros((weeks.size, len(names)), np.int64) for _ in range(2))
    np.add.at(n_devices, week, (fixed > 0)[of_row])
    np.add.at(total, week, fixed[of_row])
    at_week, at_sector = np.nonzero(n_devices)
    columns = {
        "window_started": weeks[at_week],
        "sector": pd.Series([names[k] for k in at_sector], dtype="str"),
        "n_devices": n_devices[at_week, at_sector],
        "weight": total[at_week, at_sector],
    }
    uptake = _uptake(params)
    wave = np.where(known["is_at_risk"], waves_of(known["absent_since_on"], *uptake.mondays), -1)
    for k in range(len(uptake.names)):
        at_risk = np.zeros_like(total)
        np.add.at(at_risk, week[wave == k], fixed[of_row[wave == k]])
        columns[f"at_risk_{k}"] = at_risk[at_week, at_sector]
    return pd.DataFrame(columns)
