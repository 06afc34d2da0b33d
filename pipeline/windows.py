"""Windows of local dates in which measures are taken: one definition for every table of measures."""

from datetime import date
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from pipeline.params import Params

WindowKind = Literal["study", "month", "week", "day"]
Days = TypeVar("Days", int, np.ndarray)
WEEK_DAYS = 7
EPOCH_WEEKDAY = 3
"""Days from a Monday to 1970-01-01, a Thursday."""


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


def group_starts(*keys: np.ndarray) -> np.ndarray:
    """Return where runs of equal keys begin, and the number of rows last: int64 of length runs + 1."""
    n = keys[0].size
    is_first = np.zeros(n, dtype=bool)
    is_first[:1] = True
    for key in keys:
        is_first[1:] |= key[1:] != key[:-1]
    return np.append(np.flatnonzero(is_first), n).astype(np.int64)
