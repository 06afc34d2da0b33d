"""`presence`: how much of its usual work each device still does, week by week, and since when it is away from it."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import COVERAGE, HOME_WORK, PRESENCE, VISITS
from pipeline.homes import baseline_homes, baseline_workplaces
from pipeline.kernels.job_loss import ABSENT, BACK, LASTING, UNDECIDED, UNSEEN, Absences, follow_absence
from pipeline.kernels.presence import (
    HOUR_US,
    DayPieces,
    day_rates,
    distances_m,
    expected,
    sum_by_cell,
    time_between,
    weekly,
)
from pipeline.kernels.weekdays import WEEK_DAYS
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.visit_days import SECOND_US, day_pieces
from pipeline.windows import monday_of, to_dates, to_days

WORK_DAYS = 5


class PresenceParams(Params):
    """When a week counts as observed and as absent, and what makes an absence last. All defaults are ours."""

    min_observed_hours: int = Field(default=3, ge=1, le=24)
    """A local day is observed when it has pings in so many clock hours (of UTC, `coverage`) ..."""
    min_visit_hours: float = Field(default=16.0, gt=0, le=24)
    """... or when the device is known to be at some place for so many hours of it, inferred stays included."""
    min_observed_days: int = Field(default=3, ge=1, le=7)
    """A week with fewer observed days is not judged."""
    apart_weekends: bool = True
    """Expect of a Saturday or Sunday what such days hold in the baseline, not what the mean day holds."""
    same_place_m: float = Field(default=150.0, ge=0)
    """Other locations whose centre is so near (m) to the baseline workplace are part of it, unless they are a home."""
    max_visit_ratio: float = Field(default=0.25, ge=0)
    """A week is absent when visits to the workplace are at most this share of those expected, ..."""
    max_hours_ratio: float = Field(default=0.25, ge=0)
    """... and hours there at most this share. More hours than this of a whole usual week end an absence even in a week
    that is not observed."""
    persistence_weeks: int = Field(default=3, ge=1)
    """An absence counts from so many absent weeks on, back to its first week; shorter ones are leave and illness."""
    min_missed_visits: float = Field(default=4.6, ge=0)
    """It must also miss so many visits, those expected less those made: a Poisson number of mean 4.6 is zero once in a
    hundred times."""
    max_unobserved_weeks: int = Field(default=4, ge=0)
    """Unobserved weeks neither break nor lengthen an absence, unless there are more than these in a row."""
    new_work_confidence: float = Field(default=0.5, ge=0, le=1)
    """A place that `home_work` takes for a workplace (span moving), as probable as this, at any time of the study may
    be the new workplace: the weeks around a change are too few to know it by."""
    new_work_hours_ratio: float = Field(default=0.25, gt=0)
    """It is, in weeks in which hours there are at least this share of those of a whole usual week at the old one."""
    new_work_day_hours: float = Field(default=4.0, gt=0, le=24)
    """So is any place that is no home where weekdays hold so many hours between `day_from` and `day_to`, ..."""
    new_work_days: int = Field(default=2, ge=1, le=5)
    """... on so many weekdays of a week, ..."""
    new_work_weeks: int = Field(default=2, ge=1)
    """... for so many weeks in a row, ..."""
    new_work_baseline_share: float = Field(default=0.5, gt=0, le=1)
    """... unless it was as regular in so large a share of the observed weeks of the baseline: then it is not new. A
    second job of the baseline that `home_work` takes for a workplace still keeps its holder at work."""
    day_from: float = Field(default=6.0, ge=0, le=24)
    """Local clock hour from which on a stay may be work at a place that is not known as a workplace."""
    day_to: float = Field(default=20.0, ge=0, le=24)
    """Local clock hour up to which it may."""


class _Grid(NamedTuple):
    """Devices with a baseline workplace × local days of whole weeks."""

    device_id: np.ndarray
    first_day: int
    """Days since 1970 of the first Monday."""
    n_weeks: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.device_id.size, self.n_weeks * WEEK_DAYS

    @property
    def kind(self) -> np.ndarray:
        """1 on Saturdays and Sundays, else 0."""
        return (np.arange(self.shape[1]) % WEEK_DAYS >= WORK_DAYS).astype(np.int64)

    def row_of(self, device_id: np.ndarray) -> np.ndarray:
        """Return the row of each device, -1 for those without a baseline workplace."""
        if not self.device_id.size:
            return np.full(device_id.size, -1)
        row = np.minimum(np.searchsorted(self.device_id, device_id), self.device_id.size - 1)
        return np.where(self.device_id[row] == device_id, row, -1)

    def cell_of(self, row: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Return the number of each device row × day, -1 outside."""
        column = day - self.first_day
        is_inside = (row >= 0) & (column >= 0) & (column < self.shape[1])
        return np.where(is_inside, row * self.shape[1] + column, -1)

    def sum(self, cell: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return sums of whole numbers per device and day."""
        return sum_by_cell(cell, values, self.shape[0] * self.shape[1]).reshape(self.shape)


class _Week(NamedTuple):
    """What is known of each device and week; shape (n_devices, n_weeks)."""

    n_observed_days: np.ndarray
    n_work_visits: np.ndarray
    work_us: np.ndarray
    expected_visits: np.ndarray
    is_observed: np.ndarray
    visit_ratio: np.ndarray
    hours_ratio: np.ndarray
    usual_us: np.ndarray
    """Time at work in a whole usual week; shape (n_devices, 1)."""
    is_baseline: np.ndarray
    """Whether the week holds a day of the baseline."""


@stage(reads=(VISITS, COVERAGE, HOME_WORK), writes=PRESENCE, params=PresenceParams, needs=("study",))
def presence(
    visits: pd.DataFrame, coverage: pd.DataFrame, home_work: pd.DataFrame, study: Study, params: PresenceParams
) -> pd.DataFrame:
    """Return presence at the baseline workplace per device and week, and the absences it makes up.

    One row per device with a baseline workplace and Monday-week that holds a date of the study. Ratios are visits and
    hours on observed days of the week over those expected: the number of observed days times the mean over observed
    days of the baseline, weekdays and weekends apart (method page 2.5, reconstruction [I]; observed days are ours). A
    visit counts on the local day it starts on; its hours are cut at local midnights. The baseline is the span of the
    baseline rows of `home_work`; its own weeks have rows like all others. Weeks at the edges of the study hold fewer
    days and are judged if enough of them were observed. The table looks back: an absence that lasts long enough puts
    the device at risk from its first week on, and `known_on` says when it had lasted long enough, the earliest after
    the baseline. No date of the study could have had the table as it is: places, workplaces and what a week usually
    holds are known from all of it.
    """
    homes = baseline_homes(home_work).set_index("device_id")
    baseline = baseline_workplaces(home_work).sort_values("device_id", ignore_index=True)
    grid = _grid_of(baseline, study)
    seen = visits.assign(row=grid.row_of(visits["device_id"].to_numpy()))
    seen = seen[seen["row"] >= 0].reset_index(drop=True)
    seen["role"] = _roles(seen, baseline, home_work, params)
    pieces = day_pieces(seen)
    week = _weeks(seen, pieces, coverage, baseline, grid, params)
    is_absent = week.is_observed & (week.visit_ratio <= params.max_visit_ratio)
    is_absent &= week.hours_ratio <= params.max_hours_ratio
    has_new_work = _new_work(seen, pieces, home_work, grid, week, params)
    is_back = (week.is_observed & ~is_absent) | has_new_work | (week.work_us > params.max_hours_ratio * week.usual_us)
    is_absent &= ~is_back
    state = np.where(is_back, BACK, np.where(is_absent, ABSENT, UNSEEN)).astype(np.int8)
    start = np.arange(grid.shape[0] + 1) * grid.n_weeks
    missed = np.where(week.is_observed, week.expected_visits * np.maximum(1 - week.visit_ratio, 0), 0.0)
    limits = params.persistence_weeks, params.min_missed_visits, params.max_unobserved_weeks
    absences = follow_absence(start, state.ravel(), missed.ravel(), *limits)
    return _rows(grid, homes, baseline, week, is_absent, has_new_work, absences)


def _grid_of(baseline: pd.DataFrame, study: Study) -> _Grid:
    first, last = (int(np.datetime64(day, "D").astype(np.int64)) for day in (study.start, study.end))
    monday = monday_of(first)
    return _Grid(baseline["device_id"].to_numpy(), monday, (last - monday) // WEEK_DAYS + 1)


def _roles(seen: pd.DataFrame, baseline: pd.DataFrame, home_work: pd.DataFrame, params: PresenceParams) -> np.ndarray:
    """Return of every visit whether it is to the baseline workplace ("work"), to a home at any time, or elsewhere."""
    place = seen[["device_id", "location_id"]]
    homes = home_work.loc[home_work["role"] == "home", ["device_id", "location_id"]].drop_duplicates()
    is_home = _is_among(place, homes)
    work_id = baseline["location_id"].to_numpy()[seen["row"].to_numpy()]
    is_work = place["location_id"].to_numpy() == work_id
    centre = seen.loc[is_work].drop_duplicates("row").set_index("row").reindex(range(len(baseline)))
    lon, lat = (centre[name].to_numpy()[seen["row"].to_numpy()] for name in ("lon", "lat"))
    apart_m = distances_m(seen["lon"].to_numpy(), seen["lat"].to_numpy(), lon, lat)
    is_work |= (apart_m <= params.same_place_m) & ~is_home
    return np.where(is_work, "work", np.where(is_home, "home", "other"))


def _is_among(rows: pd.DataFrame, wanted: pd.DataFrame) -> np.ndarray:
    """Return which rows occur in `wanted`, whose columns they share and which holds each row once."""
    names = list(wanted.columns)
    found = rows[names].merge(wanted, on=names, how="left", indicator="is_in")
    return (found["is_in"] == "both").to_numpy()


def _weeks(
    seen: pd.DataFrame,
    pieces: DayPieces,
    coverage: pd.DataFrame,
    baseline: pd.DataFrame,
    grid: _Grid,
    params: PresenceParams,
) -> _Week:
    """Return observation, presence and expectation by week."""
    row, is_work = seen["row"].to_numpy(), (seen["role"] == "work").to_numpy()
    piece_cell = grid.cell_of(row[pieces.row], pieces.day)
    length_us = pieces.finish_us - pieces.start_us
    visits = grid.sum(grid.cell_of(row, to_days(seen["date"])), is_work.astype(np.int64))
    work_us = grid.sum(piece_cell, np.where(is_work[pieces.row], length_us, 0))
    covered = grid.cell_of(grid.row_of(coverage["device_id"].to_numpy()), to_days(coverage["date"]))
    hours = grid.sum(covered, coverage["hours_observed"].to_numpy().astype(np.int64))
    is_seen = hours >= params.min_observed_hours
    is_seen |= grid.sum(piece_cell, length_us) >= params.min_visit_hours * HOUR_US
    kind = grid.kind if params.apart_weekends else np.zeros_like(grid.kind)
    day = np.arange(grid.shape[1]) + grid.first_day
    first, last = (to_days(baseline[name])[:, None] for name in ("window_started", "window_finished"))
    return _compare(visits, work_us, is_seen, (first <= day) & (day <= last), kind, params)


def _compare(
    visits: np.ndarray,
    work_us: np.ndarray,
    is_seen: np.ndarray,
    is_baseline: np.ndarray,
    kind: np.ndarray,
    params: PresenceParams,
) -> _Week:
    """Return by week what was seen beside what was to be expected; arrays of shape (n_devices, n_days)."""
    rates = day_rates(visits, work_us, is_seen & is_baseline, kind, 2)
    n_observed_days = weekly(is_seen)
    due_visits, due_hours = (expected(rate, is_seen, kind) for rate in rates)
    is_observed = (n_observed_days >= params.min_observed_days) & (due_visits > 0) & (due_hours > 0)
    visit_ratio, hours_ratio = (
        np.divide(weekly(np.where(is_seen, values, 0)), due * unit, out=np.full(due.shape, np.nan), where=is_observed)
        for values, due, unit in ((visits, due_visits, 1), (work_us, due_hours, HOUR_US))
    )
    usual_week = np.bincount(kind[:WEEK_DAYS], minlength=rates.hours.shape[1])
    usual_us = (rates.hours * usual_week).sum(axis=1, keepdims=True) * HOUR_US
    n_work_visits, total_us, in_baseline = weekly(visits), weekly(work_us), weekly(is_baseline) > 0
    return _Week(
        n_observed_days, n_work_visits, total_us, due_visits, is_observed, visit_ratio, hours_ratio, usual_us,
        in_baseline,
    )  # fmt: skip


def _new_work(
    seen: pd.DataFrame,
    pieces: DayPieces,
    home_work: pd.DataFrame,
    grid: _Grid,
    week: _Week,
    params: PresenceParams,
) -> np.ndarray:
    """Return in which weeks another place is a workplace, new or a second one: shape (n_devices, n_weeks)."""
    is_other = (seen["role"] == "other").to_numpy()[pieces.row]
    row = pieces.row[is_other]
    day = pieces.day[is_other] - grid.first_day
    days = pd.DataFrame(
        {
            "row": seen["row"].to_numpy()[row],
            "location_id": seen["location_id"].to_numpy()[row],
            "day": day,
            "time_us": (pieces.finish_us - pieces.start_us)[is_other],
            "day_us": np.where(
                day % WEEK_DAYS < WORK_DAYS, time_between(pieces, params.day_from, params.day_to)[is_other], 0
            ),
        }
    )
    days = days[(day >= 0) & (day < grid.shape[1])]
    found = np.zeros((grid.shape[0], grid.n_weeks), np.bool_)
    for rows, weeks in (
        _known_workplaces(days, home_work, grid, week, params),
        _regular_places(days, grid, week, params),
    ):
        found[rows, weeks] = True
    return found


def _known_workplaces(
    days: pd.DataFrame, home_work: pd.DataFrame, grid: _Grid, week: _Week, params: PresenceParams
) -> tuple[np.ndarray, np.ndarray]:
    """Return (device row, week) of work at places elsewhere that are a workplace of `home_work` at some time."""
    is_moving = (home_work["span"] == "moving") & (home_work["role"] == "work")
    moving = home_work[is_moving & (home_work["confidence"] >= params.new_work_confidence)]
    row = grid.row_of(moving["device_id"].to_numpy())
    places = pd.DataFrame({"row": row, "location_id": moving["location_id"].to_numpy()}).drop_duplicates()
    at = days[_is_among(days, places)]
    keys = [at["row"], at["location_id"], (at["day"] // WEEK_DAYS).rename("week")]
    spent = at["time_us"].groupby(keys).sum().reset_index()
    is_enough = spent["time_us"].to_numpy() >= params.new_work_hours_ratio * week.usual_us[spent["row"], 0]
    return spent["row"].to_numpy()[is_enough], spent["week"].to_numpy()[is_enough]


def _regular_places(
    days: pd.DataFrame, grid: _Grid, week: _Week, params: PresenceParams
) -> tuple[np.ndarray, np.ndarray]:
    """Return (device row, week) of regular weekday presence by day at one place that is no home, and new."""
    by_day = days["day_us"].groupby([days["row"], days["location_id"], days["day"]]).sum().reset_index()
    by_day = by_day[by_day["day_us"] >= params.new_work_day_hours * HOUR_US]
    keys = [by_day["row"], by_day["location_id"], (by_day["day"] // WEEK_DAYS).rename("week")]
    by_week = by_day.groupby(keys).size().rename("n_days").reset_index()
    by_week = by_week[by_week["n_days"] >= params.new_work_days]
    by_week = by_week[_is_in_run(by_week, params.new_work_weeks)]
    row, at = by_week["row"].to_numpy(), by_week["week"].to_numpy()
    n_before = by_week.assign(n=week.is_baseline[row, at]).groupby(["row", "location_id"])["n"].transform("sum")
    n_baseline = (week.is_baseline & week.is_observed).sum(axis=1)
    is_old = n_before.to_numpy() >= np.maximum(params.new_work_baseline_share * n_baseline[row], 1)
    return row[~is_old], at[~is_old]


def _is_in_run(by_week: pd.DataFrame, min_weeks: int) -> np.ndarray:
    """Return which rows (row, location_id, week; in this order) are part of so many weeks in a row at one place."""
    place, week = by_week[["row", "location_id"]].to_numpy(), by_week["week"].to_numpy()
    is_next = np.zeros(week.size, np.bool_)
    is_next[1:] = (place[1:] == place[:-1]).all(axis=1) & (np.diff(week) == 1)
    run = np.cumsum(~is_next) - 1
    return np.bincount(run)[run] >= min_weeks if run.size else is_next


def _rows(
    grid: _Grid,
    homes: pd.DataFrame,
    baseline: pd.DataFrame,
    week: _Week,
    is_absent: np.ndarray,
    has_new_work: np.ndarray,
    absences: Absences,
) -> pd.DataFrame:
    """Return the rows of PRESENCE."""
    device = np.repeat(np.arange(grid.shape[0]), grid.n_weeks)
    monday = grid.first_day + WEEK_DAYS * np.tile(np.arange(grid.n_weeks), grid.shape[0])
    home_tract = homes["tract_geoid"].reindex(grid.device_id)
    baseline_over = monday_of(to_days(baseline["window_finished"])) + WEEK_DAYS
    return pd.DataFrame(
        {
            "device_id": grid.device_id[device],
            "window_started": to_dates(monday),
            "home_tract_geoid": home_tract.array.take(device),
            "work_location_id": baseline["location_id"].to_numpy()[device],
            "work_tract_geoid": baseline["tract_geoid"].array.take(device),
            "n_observed_days": week.n_observed_days.ravel(),
            "is_observed": week.is_observed.ravel(),
            "n_work_visits": week.n_work_visits.ravel(),
            "work_dwell_s": week.work_us.ravel() / SECOND_US,
            "expected_visits": week.expected_visits.ravel(),
            "visit_ratio": week.visit_ratio.ravel(),
            "hours_ratio": week.hours_ratio.ravel(),
            "is_absent": is_absent.ravel(),
            "has_new_work": has_new_work.ravel(),
            "is_at_risk": absences.verdict == LASTING,
            "is_undecided": absences.verdict == UNDECIDED,
            "absent_since_on": _dates_at(monday, absences.since),
            "known_on": np.maximum(_dates_at(monday + WEEK_DAYS, absences.known), to_dates(baseline_over)[device]),
        }
    )


def _dates_at(days: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return local dates of the rows named by `at`, from days since 1970; missing where it is below 0."""
    return np.where(at >= 0, to_dates(days[at]), np.datetime64("NaT", "s"))
