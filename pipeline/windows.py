"""Windows of local dates in which measures are taken: one definition for every table of measures."""

from datetime import date
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from data_contracts import VISITS
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.place_counts import PlaceCounts, count_places
from pipeline.kernels.weekdays import EPOCH_WEEKDAY, WEEK_DAYS
from pipeline.params import Params
from pipeline.study import Study

CalendarKind = Literal["study", "month", "week", "day"]
"""Kinds of window that share no date: a local date is in one of each."""
WindowKind = Literal[CalendarKind, "sliding"]
MEASURED = ("device_id", "started_at", "date", "location_id", "lon", "lat", "dwell_s", "is_new")
"""What measures are made of."""
Days = TypeVar("Days", int, np.ndarray)


class WindowParams(Params):
    """Which windows a measure is taken in."""

    windows: tuple[WindowKind, ...] = Field(default=("study", "week"), min_length=1)
    """Kinds of window; weeks begin on Monday. A visit belongs whole to the window in which it starts (ours)."""
    sliding_days: int = Field(default=28, ge=1)
    """"sliding": local dates of a window (ours: as many of each weekday, and enough visits for most measures)."""
    sliding_step_days: int = Field(default=7, ge=1)
    """"sliding": dates from the start of a window to that of the next, the first being the study's (ours)."""

    @field_validator("windows")
    @classmethod
    def _once_each(cls, windows: tuple[WindowKind, ...]) -> tuple[WindowKind, ...]:
        if len(set(windows)) != len(windows):
            raise ValueError("each kind of window once")
        return windows


def window_starts(dates: pd.Series, kind: CalendarKind, study_start: date) -> pd.Series:
    """Return the first local date of the window of each local date: datetime64[s], midnight.

    The study is one window that begins at `study_start`, whatever the local date.
    """
    days = dates.to_numpy().astype("datetime64[D]")
    if kind == "study":
        starts = np.full(days.shape, np.datetime64(study_start, "D"))
    elif kind == "month":
        starts = days.astype("datetime64[M]").astype("datetime64[D]")
    elif kind == "week":
        starts = monday_of(days.astype(np.int64)).astype("datetime64[D]")
    else:
        starts = days
    return pd.Series(starts.astype("datetime64[s]"), index=dates.index)


def in_windows(rows: pd.DataFrame, kind: WindowKind, study: Study, params: WindowParams) -> pd.DataFrame:
    """Return the rows with `window_started`, one for each window of the kind that holds their local `date`.

    Sliding windows begin at the study's start and every `sliding_step_days` after it, and only those that end within
    the study are made: a row is in several where they overlap, in none where no whole one holds it. Rows stay in
    their order; those of one row stand together.
    """
    if kind != "sliding":
        return rows.assign(window_started=window_starts(rows["date"], kind, study.start))
    length, step = params.sliding_days, params.sliding_step_days
    since = to_days(rows["date"]) - _day_of(study.start)
    n_windows = max((_day_of(study.end) + 1 - _day_of(study.start) - length) // step + 1, 0)
    first = np.maximum(-((length - 1 - since) // step), 0)
    last = np.minimum(since // step, n_windows - 1)
    n_each = np.maximum(last - first + 1, 0)
    number = np.repeat(first - np.cumsum(n_each) + n_each, n_each) + np.arange(n_each.sum())
    repeated = rows.iloc[np.repeat(np.arange(len(rows)), n_each)].reset_index(drop=True)
    return repeated.assign(window_started=to_dates(_day_of(study.start) + number * step))


def _day_of(day: date) -> int:
    """Return a date as days since 1970."""
    return (day - date(1970, 1, 1)).days


def monday_of(day: Days) -> Days:
    """Return the Monday of the week of each day, both in days since 1970."""
    return day - (day + EPOCH_WEEKDAY) % WEEK_DAYS


def to_days(dates: pd.Series) -> np.ndarray:
    """Return local dates, none missing, as days since 1970: int64."""
    return dates.to_numpy().astype("datetime64[D]").astype(np.int64)


def to_dates(days: np.ndarray) -> np.ndarray:
    """Return days since 1970 as local dates: datetime64[s], midnight."""
    return days.astype("datetime64[D]").astype("datetime64[s]")


class VisitWindows(NamedTuple):
    """Visits in order of device, window and time, and what tables of measures say of each device × window."""

    visits: pd.DataFrame
    start: np.ndarray
    """Where each device × window begins, and the number of visits last."""
    place: np.ndarray
    """Location of each visit, int64."""
    places: PlaceCounts
    """Locations of each device × window, in order of their first visit."""
    columns: dict[str, Any]
    """device_id, window, window_started, n_visits, n_locations."""

    def groups(self) -> np.ndarray:
        """Return which device × window each visit is of, numbered from 0."""
        return np.repeat(np.arange(self.start.size - 1), np.diff(self.start))

    def groups_of_places(self) -> np.ndarray:
        """Return which device × window each device × window × location is of."""
        return np.repeat(np.arange(self.start.size - 1), self.columns["n_locations"])


def visits_by_window(visits: pd.DataFrame, kind: WindowKind, study: Study, params: WindowParams) -> VisitWindows:
    """Return the visits by device and window of one kind; a visit belongs whole to the window in which it starts.

    `visits` are in order of device and time, as the table is. Of its columns only MEASURED are kept, and all that are
    not of VISITS.
    """
    # Lists of places of interest and ids of areas would cost more to repeat and to order than all the rest.
    kept = [name for name in visits if name in MEASURED or name not in VISITS.names]
    visits = by_device_and_date(in_windows(visits[kept], kind, study, params), "window_started").reset_index(drop=True)
    place = visits["location_id"].to_numpy().astype(np.int64)
    device, window = visits["device_id"].to_numpy(), visits["window_started"].to_numpy()
    start = group_starts(device, window)
    places = count_places(start, place)
    columns = {
        "device_id": device[start[:-1]],
        "window": pd.Series([kind] * (start.size - 1), dtype="str"),
        "window_started": window[start[:-1]],
        "n_visits": np.diff(start),
        "n_locations": np.diff(places.start),
    }
    return VisitWindows(visits, start, place, places, columns)


def by_device_and_date(rows: pd.DataFrame, date_name: str) -> pd.DataFrame:
    """Return the rows in order of device and a date, those alike in both in the order they have."""
    device, day = rows["device_id"].to_numpy(), to_days(rows[date_name])
    is_later = (device[1:] > device[:-1]) | ((device[1:] == device[:-1]) & (day[1:] >= day[:-1]))
    # Mostly they are: the local date of a traveller may step back, and sliding windows overlap.
    return rows if is_later.all() else rows.take(np.lexsort((day, device)))
