"""What PRESENCE says of the weeks around a week: the features of `employment_scores`."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.kernels.weekdays import WEEK_DAYS

PRESENCE_COLUMNS = ("device_id", "window_started", "n_observed_days", "is_observed", "work_dwell_s", "expected_visits",
                    "visit_ratio", "hours_ratio", "is_absent", "has_new_work")  # fmt: skip
"""What is read of PRESENCE. Its verdicts on absences (at risk, undecided, since when) are not: they look ahead."""
MOST_RATIO = 2.0
"""Ratios above this tell no more (ours)."""
HOUR_S = 3_600.0
SINGLE = ("is_in_record", "is_observed", "visit_ratio", "hours_ratio", "days_observed", "is_absent", "has_new_work")
SUMMARY = ("weeks_absent_so_far", "weeks_absent_to_come", "observed_share", "mean_visit_ratio", "is_back_later",
           "log_expected_visits", "log_work_hours", "log_weeks_before")  # fmt: skip


class PresenceRows(NamedTuple):
    """One row per device and week of PRESENCE, in order of both."""

    device_id: NDArray[np.int64]
    monday: NDArray[np.int64]
    """Days since 1970."""
    features: NDArray[np.float32]
    is_observed: NDArray[np.bool_]
    """The week itself."""
    is_absent: NDArray[np.bool_]
    n_observed: NDArray[np.int64]
    """Observed weeks in the window."""
    n_absent: NDArray[np.int64]
    """Length of the absence that the week is part of, as far as the window reaches; 0 where it is part of none."""


def feature_names(weeks_before: int, weeks_after: int) -> list[str]:
    """Return the names of the features in their order; a week after is +1, +2, ..."""
    offsets = range(-weeks_before, weeks_after + 1)
    return [f"{name}{offset:+d}" for name in SINGLE for offset in offsets] + list(SUMMARY)


def presence_rows(presence: pd.DataFrame, weeks_before: int, weeks_after: int) -> PresenceRows:
    """Return the features of each row of PRESENCE: its own week, those before it and those after it.

    Weeks that are not in the record are zero and marked; ratios are 0 where the week is not observed, at most
    MOST_RATIO elsewhere. With `weeks_after` of 0 no feature looks ahead but through what PRESENCE itself knows from the
    whole study: the baseline, and which places are workplaces.
    """
    presence = presence.sort_values(["device_id", "window_started"], ignore_index=True)
    device = presence["device_id"].to_numpy(np.int64)
    monday = presence["window_started"].to_numpy().astype("datetime64[D]").astype(np.int64)
    at = _window(device, monday, np.arange(-weeks_before, weeks_after + 1))
    week = {name: np.where(at >= 0, values[at], 0.0) for name, values in _of_weeks(presence).items()}
    observed, absent = week["is_observed"] > 0, week["is_absent"] > 0
    back, ahead = slice(weeks_before, None, -1), slice(weeks_before, None)
    so_far, to_come = _run(observed[:, back], absent[:, back]), _run(observed[:, ahead], absent[:, ahead])
    is_away = (so_far > 0) & (to_come > 0)
    n_absent = np.where(is_away, so_far + to_come - absent[:, weeks_before], 0)
    n_observed = observed.sum(axis=1)
    is_back = (observed & ~absent)[:, weeks_before + 1 :].any(axis=1)
    summary = (
        so_far,
        to_come,
        n_observed / (at >= 0).sum(axis=1),
        week["visit_ratio"].sum(axis=1) / np.maximum(n_observed, 1),
        is_back,
        np.log1p(presence["expected_visits"].to_numpy(np.float64)),
        np.log1p(presence["work_dwell_s"].to_numpy(np.float64) / HOUR_S),
        np.log1p(_weeks_before(device)),
    )
    features = np.concatenate([*(week[name] for name in SINGLE), np.stack(summary, axis=1)], axis=1)
    return PresenceRows(
        device,
        monday,
        features.astype(np.float32),
        presence["is_observed"].to_numpy(np.bool_),
        presence["is_absent"].to_numpy(np.bool_),
        n_observed,
        n_absent,
    )


def _window(device: NDArray[np.int64], monday: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row of each week around each row, -1 where the device has none: shape (rows, offsets)."""
    n = device.size
    if not n:
        return np.zeros((0, offsets.size), np.int64)
    first, last = int(monday.min()), int(monday.max())
    number = np.cumsum(np.concatenate(([0], device[1:] != device[:-1])))
    span = (last - first) // WEEK_DAYS + 1
    key = number * span + (monday - first) // WEEK_DAYS
    week = ((monday - first) // WEEK_DAYS)[:, None] + offsets
    wanted = (number * span)[:, None] + week
    at = np.minimum(np.searchsorted(key, wanted), n - 1)
    return np.where((week >= 0) & (week < span) & (key[at] == wanted), at, -1)


def _of_weeks(presence: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return what is told of each week by itself, by the names of SINGLE."""
    is_observed = presence["is_observed"].to_numpy(np.bool_)

    def ratio(name: str) -> NDArray[np.float64]:
        return np.where(is_observed, np.minimum(presence[name].to_numpy(np.float64, na_value=0.0), MOST_RATIO), 0.0)

    return {
        "is_in_record": np.ones(len(presence)),
        "is_observed": is_observed.astype(float),
        "visit_ratio": ratio("visit_ratio"),
        "hours_ratio": ratio("hours_ratio"),
        "days_observed": presence["n_observed_days"].to_numpy(np.float64) / WEEK_DAYS,
        "is_absent": presence["is_absent"].to_numpy(np.float64),
        "has_new_work": presence["has_new_work"].to_numpy(np.float64),
    }


def _run(observed: NDArray[np.bool_], absent: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the absent weeks from the first column on up to a week at work; unobserved ones neither count nor end."""
    is_on = np.logical_and.accumulate(~(observed & ~absent), axis=1)
    return (is_on & absent).sum(axis=1)


def _weeks_before(device: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many rows of its device stand before each."""
    first = np.concatenate(([True], device[1:] != device[:-1]))[: device.size]
    return np.arange(device.size) - np.maximum.accumulate(np.where(first, np.arange(device.size), 0))
