"""Windows of local dates in which measures are taken: one definition for every table of measures."""

from datetime import date
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from pipeline.kernels.grouping import group_starts
from pipeline.kernels.weekdays import EPOCH_WEEKDAY, WEEK_DAYS
from pipeline.params import Params

WindowKind = Literal["study", "month", "week", "day"]
Days = TypeVar("Days", int, np.ndarray)


class WindowParams(Params):
    """Which windows a measure is taken in."""

    windows: tuple[WindowKind, ...] = Field(default=("study", "week"), min_length=1)
    """Kinds of window; weeks begin on Monday. A visit belongs whole to the window in which it starts (ours)."""

    @field_validator("windows")
    @classmethod
    def _once_each(cls, windows: tuple[WindowKind, ...]) -> tuple[WindowKind, ...]:
        if len(set(windows)) != len(windows):
            raise ValueError("each kind of window once")
        return windows


def window_starts(dates: pd.Series, kind: WindowKind, study_start: date) -> pd.Series:
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
    """Visits in order of device, window and place, and what tables of measures say of each device × window."""

    visits: pd.DataFrame
    start: np.ndarray
    """Where each device × window begins, and the number of visits last."""
    place: np.ndarray
    """Location of each visit, int64."""
    columns: dict[str, Any]
    """device_id, window, window_started, n_visits, n_locations."""


def visits_by_window(visits: pd.DataFrame, kind: WindowKind, study_start: date) -> VisitWindows:
    """Return the visits by device and window of one kind; a visit belongs whole to the window in which it starts."""
    visits = visits.assign(window_started=window_starts(visits["date"], kind, study_start))
    visits = visits.sort_values(["device_id", "window_started", "location_id"], kind="stable", ignore_index=True)
    device, window = visits["device_id"].to_numpy(), visits["window_started"].to_numpy()
    place = visits["location_id"].to_numpy().astype(np.int64)
    start = group_starts(device, window)
    place_start = group_starts(device, window, place)[:-1]
    columns = {
        "device_id": device[start[:-1]],
        "window": pd.Series([kind] * (start.size - 1), dtype="str"),
        "window_started": window[start[:-1]],
        "n_visits": np.diff(start),
        "n_locations": np.diff(np.searchsorted(place_start, start)),
    }
    return VisitWindows(visits, start, place, columns)
