"""`home_work`: the places that are homes and workplaces of a device, by span of days."""

from datetime import date, timedelta
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from data_contracts import HOME_WORK, VISITS
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.howde import HowdeDays, HowdeRules, howde_days
from pipeline.kernels.place_roles import (
    PlaceDays,
    RoleRows,
    Weighing,
    Windows,
    hold_roles,
    move_night_work,
    place_days,
    weigh_places,
)
from pipeline.kernels.weekdays import WEEK_DAYS
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import monday_of, to_dates

HOUR_S = 3_600
DAY_S = 86_400
EPOCH = date(1970, 1, 1)
ROLES = ("home", "work")


class RoleWeights(Params):
    """What the log odds of a role, against neither home nor work, gain by each number known of a place (ours)."""

    intercept: float
    """Log odds of a place of which nothing is seen."""
    day_share: float
    """Per share of the days seen on which it was visited."""
    night_share: float
    """Per share of the night hours seen that were spent there."""
    working_share: float
    """Per share of the working hours seen that were spent there."""
    own_working_share: float
    """Per share of its own time that falls in working hours."""
    log_hours: float
    """Per unit of ln(1 + hours seen there in the window)."""

    def numbers(self) -> np.ndarray:
        """Return the weights in the order of the kernel."""
        return np.array(list(self.model_dump().values()), np.float64)


class HowdeParams(Params):
    """Settings of HoWDe 2.0.0 under our names and with its defaults (method page 2.3, V-code)."""

    home_window_days: int = Field(default=28, ge=1)
    """Half of them, rounded down, lie on either side of the day: 28 are 29 days."""
    work_window_days: int = Field(default=42, ge=1)
    """The same of work: 42 are 43 days."""
    min_hours_share: float = Field(default=0.4, ge=0, le=1)
    """C_hours: least share of a day's hours with a place, for the day to count."""
    min_home_days_share: float = Field(default=0.4, ge=0, le=1)
    """C_days_H: least share of days with data in a window of home."""
    min_work_days_share: float = Field(default=0.5, ge=0, le=1)
    """C_days_W: the same of work."""
    min_home_hours: float = Field(default=0.7, ge=0, le=1)
    """f_hours_H: least mean share of night hours at home."""
    min_work_hours: float = Field(default=0.4, ge=0, le=1)
    """f_hours_W: least mean share of working hours at work."""
    min_work_days: float = Field(default=0.6, ge=0, le=1)
    """f_days_W: least share of days with a visit to work."""
    home_until_hour: int = Field(default=6, ge=0, le=23)
    """Last hour of the night's end that counts for home, closed at both ends: 0 to 6 are seven hours."""
    home_from_hour: int = Field(default=24, ge=0, le=24)
    """First hour of the night's beginning; 24: there is none."""
    work_from_hour: int = Field(default=9, ge=0, le=23)
    """First hour of work."""
    work_until_hour: int = Field(default=17, ge=0, le=23)
    """Last hour of work, closed at both ends."""
    min_stop_s: int = Field(default=60, ge=0)
    """Visits, cut at midnight, count when longer than this (s)."""
    is_past_only: bool = False
    """Windows are the whole number of days before the day, and the day: 28 are 29 days."""


class HomeWorkParams(Params):
    """How homes and workplaces are found."""

    method: Literal["logit", "howde"] = "logit"
    """logit: places weighed in a window (ours, `kernels.place_roles`); howde: HoWDe 2.0.0, its quirks included."""
    window_weeks: int = Field(default=13, ge=1, le=105)
    """logit: weeks that a week is judged from, itself among them (ours)."""
    is_past_only: bool = False
    """logit: these weeks end with the week they are for; else they lie half before and half after it."""
    night_hours: tuple[float, float] = (0.0, 7.0)
    """logit: local clock hours, from and until, that say most of home (hours of HoWDe)."""
    working_hours: tuple[float, float] = (9.0, 17.0)
    """logit: local clock hours of Monday to Friday that say most of work (ours; HoWDe counts until 18)."""
    min_days: int = Field(default=2, ge=1)
    """logit: a place seen on fewer days of the window has no role (ours)."""
    home: RoleWeights = RoleWeights(
        intercept=-5.0, day_share=4.0, night_share=1.5, working_share=4.0, own_working_share=-3.0, log_hours=1.0
    )
    """logit: weights of home (ours, rounded from the fit of `tests.benchmarks.choose_home_work_defaults`)."""
    work: RoleWeights = RoleWeights(
        intercept=-5.5, day_share=6.0, night_share=-8.0, working_share=3.5, own_working_share=2.5, log_hours=0.8
    )
    """logit: weights of work (ours, from the same fit)."""
    night_work_share: float | None = Field(default=0.65, ge=0, le=1)
    """logit: a second home with so much of its time at night is the workplace, if there is none (ours)."""
    unseen: tuple[float, float, float, float] = (2.0, 3.0, 1.0, 1.0)
    """logit: days, night hours, working hours and own hours added as unseen, so that little seen says little (ours)."""
    home_reached: float = Field(default=0.85, ge=0, le=1)
    """logit: probability of home that a place must have in one window to be found at all (ours)."""
    home_held: float = Field(default=0.4, ge=0, le=1)
    """logit: probability of home from which a place found is home in a window (ours)."""
    work_reached: float = Field(default=0.55, ge=0, le=1)
    """logit: the same of work, in one window (ours)."""
    work_held: float = Field(default=0.3, ge=0, le=1)
    """logit: the same of work, in each window (ours)."""
    howde: HowdeParams = HowdeParams()
    """howde: its settings."""
    baseline_start: date | None = None
    """First local date of the baseline against which absence is measured; None: the study's first date."""
    baseline_end: date | None = None
    """Last local date of the baseline; None: the last of eight weeks (ours)."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for name in ("night_hours", "working_hours"):
            if not all(0 <= hour <= 24 for hour in getattr(self, name)):
                raise ValueError(f"{name}: clock hours lie between 0 and 24")
        if self.home_held > self.home_reached or self.work_held > self.work_reached:
            raise ValueError("a probability that is to be held may not exceed the one to be reached")
        return self

    def baseline(self, study: Study) -> tuple[date, date]:
        """Return the first and last local date of the baseline."""
        start = self.baseline_start or study.start
        return start, self.baseline_end or min(start + timedelta(days=8 * WEEK_DAYS - 1), study.end)

    def check_study(self, study: Study) -> None:
        """Raise ValueError where the baseline is empty or not within the study, a day at either end apart."""
        start, end = self.baseline(study)
        if end < start:
            raise ValueError(f"the baseline ends ({end}) before it starts ({start})")
        # Local dates may lie a day beside the study's, which are UTC.
        if start < study.start - timedelta(days=1) or end > study.end + timedelta(days=1):
            raise ValueError(f"the baseline ({start} to {end}) is not within the study ({study.start} to {study.end})")


@stage(reads=(VISITS,), writes=HOME_WORK, params=HomeWorkParams, needs=("study",))
def home_work(visits: pd.DataFrame, study: Study, params: HomeWorkParams) -> pd.DataFrame:
    """Return one row per device, span of local days, role and place that has the role then.

    Spans of ``moving`` are weeks (`method` logit), or the days in a row for which HoWDe names one place; ``baseline``
    is the declared one, judged from its own days alone. Several places may be homes, or workplaces, at once: `rank` 1
    is the most probable. `n_days` and `share` are of the window of days the row was judged from. `confidence` is the
    logit's probability; of HoWDe, which gives none, the score that it compares with its threshold.
    """
    first, last = ((day - EPOCH).days for day in params.baseline(study))
    pieces = _local(visits)
    if params.method == "logit":
        found = [_weigh(pieces, first, last, params)]
    else:
        found = [_howde_spells(pieces, params), _howde_baseline(pieces, first, last, params)]
    return _rows(pd.concat(found, ignore_index=True), visits)


def _local(visits: pd.DataFrame) -> pd.DataFrame:
    """Return device number, place and local clock seconds of every visit, by the offset at its start to its end.

    So a visit over a change of the clocks ends an hour off, once or twice a year.
    """
    started_s, finished_s = (
        visits[name].astype("int64").to_numpy() // 1_000_000 + visits["utc_offset_s"].to_numpy()
        for name in ("started_at", "finished_at")
    )
    starts = group_starts(visits["device_id"].to_numpy())
    return pd.DataFrame(
        {
            "device": np.repeat(np.arange(starts.size - 1), np.diff(starts)),
            "place": visits["location_id"].to_numpy().astype(np.int64),
            "started_s": started_s,
            "finished_s": finished_s,
        }
    )


def _weigh(pieces: pd.DataFrame, first: int, last: int, params: HomeWorkParams) -> pd.DataFrame:
    """Return the places of the logit: week by week, and in the baseline."""
    device, place, started_s, finished_s = _columns(pieces, "device", "place", "started_s", "finished_s")
    night, working = _seconds(params.night_hours), _seconds(params.working_hours)
    days = place_days(device, place, started_s, finished_s, night, working)
    if not days.day.size:
        return _nothing()
    monday = int(monday_of(days.day.min()))
    n_weeks = int(days.day.max() - monday) // WEEK_DAYS + 1
    back = params.window_weeks - 1 if params.is_past_only else (params.window_weeks - 1) // 2
    weeks = Windows(monday, n_weeks, WEEK_DAYS, back * WEEK_DAYS, (params.window_weeks - 1 - back) * WEEK_DAYS)
    held, reached = (params.home_held, params.work_held), (params.home_reached, params.work_reached)
    weighing = Weighing(params.home.numbers(), params.work.numbers(), np.array(params.unseen), params.min_days)
    moving = weigh_places(days, weeks, weighing, min(held))
    is_inside = (days.day >= first) & (days.day <= last)
    baseline = weigh_places(
        PlaceDays(*(column[is_inside] for column in days)),
        Windows(first, 1, last - first + 1, 0, 0),
        weighing,
        min(reached),
    )
    start = monday + moving.window * WEEK_DAYS
    begin, end = (np.full(baseline.window.size, day) for day in (first, last))
    return pd.concat(
        [
            _found("moving", start, start + WEEK_DAYS - 1, moving, _roles(moving, reached, held, params)),
            _found("baseline", begin, end, baseline, _roles(baseline, reached, reached, params)),
        ]
    )


def _roles(
    rows: RoleRows, reached: tuple[float, float], held: tuple[float, float], params: HomeWorkParams
) -> "tuple[np.ndarray, np.ndarray]":
    """Return which rows are homes, and which are workplaces."""
    found = hold_roles(rows, reached, held, params.is_past_only)
    return found if params.night_work_share is None else move_night_work(rows, *found, params.night_work_share)


def _columns(frame: pd.DataFrame, *names: str) -> list[np.ndarray]:
    return [frame[name].to_numpy() for name in names]


def _seconds(hours: tuple[float, float]) -> tuple[int, int]:
    return int(hours[0] * HOUR_S), int(hours[1] * HOUR_S)


def _nothing() -> pd.DataFrame:
    names = ("device", "place", "start", "end", "n_days", "share", "confidence", "span", "role")
    return pd.DataFrame({name: np.empty(0) for name in names})


def _found(
    span: str, start: np.ndarray, end: np.ndarray, rows: RoleRows, has_role: "tuple[np.ndarray, np.ndarray]"
) -> pd.DataFrame:
    """Return one row per place and role of the logit that were found."""
    is_night_work = rows.home > rows.work  # such a workplace is known by its nights
    work = (
        np.where(is_night_work, nights, days)
        for nights, days in (
            (rows.night_days, rows.working_days),
            (rows.night_share, rows.working_share),
            (rows.home, rows.work),
        )
    )
    values = ((rows.night_days, rows.night_share, rows.home), tuple(work))
    frames = []
    for role, is_found, (n_days, share, confidence) in zip(ROLES, has_role, values, strict=True):
        columns = {"device": rows.device, "place": rows.place, "start": start, "end": end,
                   "n_days": n_days, "share": share, "confidence": confidence}  # fmt: skip
        frames.append(
            pd.DataFrame({name: column[is_found] for name, column in columns.items()}).assign(span=span, role=role)
        )
    return pd.concat(frames)


def _howde(pieces: pd.DataFrame, params: HomeWorkParams) -> HowdeDays:
    starts = np.searchsorted(pieces["device"], np.arange(pieces["device"].max() + 2 if len(pieces) else 1))
    started_s, finished_s, place = _columns(pieces, "started_s", "finished_s", "place")
    rules = HowdeRules(**params.howde.model_dump())
    return howde_days(starts.astype(np.int64), started_s, finished_s, place, rules)


def _by_role(days: HowdeDays) -> pd.DataFrame:
    """Return one row per device, day and role for which HoWDe names a place."""
    frames = []
    for role in ROLES:
        place, hours, n_days, n_valid = (
            getattr(days, name.format(role)) for name in ("{}", "{}_hours", "{}_n_days", "{}_n_valid")
        )
        frame = pd.DataFrame({"device": days.device, "day": days.day, "place": place, "share": hours,
                              "n_days": n_days, "n_valid": n_valid}).assign(role=role)  # fmt: skip
        frames.append(frame[place >= 0])
    found = pd.concat(frames, ignore_index=True)
    visited = found["n_days"] / found["n_valid"]
    # HoWDe decides on home by hours, and on work by days where it can.
    return found.assign(
        confidence=np.where(found["role"] == "home", found["share"], np.maximum(visited, found["share"]))
    )


def _howde_spells(pieces: pd.DataFrame, params: HomeWorkParams) -> pd.DataFrame:
    """Return the runs of local days on which HoWDe names one place; `n_days`, `share`, `confidence` are each best."""
    days = _by_role(_howde(pieces, params)).sort_values(["device", "role", "day"], ignore_index=True)
    keys = [days[name].to_numpy() for name in ("device", "role", "place")]
    run = group_starts(*keys, days["day"].to_numpy() - np.arange(len(days)))
    number = np.repeat(np.arange(run.size - 1), np.diff(run))
    return _merge(days, number).assign(span="moving")


def _howde_baseline(pieces: pd.DataFrame, first: int, last: int, params: HomeWorkParams) -> pd.DataFrame:
    """Return the place that HoWDe, given the baseline's visits alone, names on most days, per device and role."""
    from_s, until_s = first * DAY_S, (last + 1) * DAY_S
    inside = pieces[(pieces["started_s"] < until_s) & (pieces["finished_s"] > from_s)].reset_index(drop=True)
    inside = inside.assign(
        started_s=inside["started_s"].clip(lower=from_s), finished_s=inside["finished_s"].clip(upper=until_s)
    )
    days = _by_role(_howde(inside, params))
    places = _merge(days, days.groupby(["device", "role", "place"]).ngroup().to_numpy())
    n_named = days.groupby(["device", "role", "place"]).size().to_numpy()
    order = np.lexsort((places["place"], -n_named, places["role"], places["device"]))
    return places.iloc[order].drop_duplicates(["device", "role"]).assign(start=first, end=last, span="baseline")


def _merge(days: pd.DataFrame, number: np.ndarray) -> pd.DataFrame:
    """Return one row for each `number` of days."""
    return days.groupby(number).agg(
        device=("device", "first"), place=("place", "first"), role=("role", "first"), start=("day", "min"),
        end=("day", "max"), n_days=("n_days", "max"), share=("share", "max"), confidence=("confidence", "max"),
    )  # fmt: skip


def _rows(found: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return what was found as rows of HOME_WORK."""
    found = found.sort_values(
        ["device", "span", "role", "start", "confidence", "place"],
        ascending=[True] * 4 + [False, True],
        ignore_index=True,
    )
    span = group_starts(*(found[name].to_numpy() for name in ("device", "span", "role", "start")))
    places = visits.drop_duplicates(["device_id", "location_id"])
    rows = pd.DataFrame(
        {
            "device_id": visits["device_id"].unique()[found["device"].to_numpy(np.int64)],
            "span": found["span"].astype("str"),
            "window_started": to_dates(found["start"].to_numpy(np.int64)),
            "window_finished": to_dates(found["end"].to_numpy(np.int64)),
            "role": found["role"].astype("str"),
            "rank": (np.arange(len(found)) - np.repeat(span[:-1], np.diff(span)) + 1).astype(np.int16),
            "location_id": found["place"].to_numpy().astype(np.int32),
            "n_days": found["n_days"].to_numpy(np.int64),
            "share": np.clip(found["share"].to_numpy(float), 0, 1),
            "confidence": np.clip(found["confidence"].to_numpy(float), 0, 1),
        }
    )
    rows = rows.merge(places[["device_id", "location_id", "tract_geoid"]], "left", ["device_id", "location_id"])
    return rows[HOME_WORK.names]
