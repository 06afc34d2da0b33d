"""Visits cut at full local hours: where a device was in each hour."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.grouping import group_starts
from pipeline.kernels.presence import HOUR_US


class HourPieces(NamedTuple):
    """Parts of visits that lie in one local clock hour each, in the order of the visits."""

    row: NDArray[np.int64]
    """Which visit the piece is of."""
    hour: NDArray[np.int64]
    """Local hours since 1970."""
    spent_us: NDArray[np.int64]
    """Time in that hour: more than 0, at most an hour."""


def cut_at_hours(started_us: NDArray[np.int64], finished_us: NDArray[np.int64]) -> HourPieces:
    """Return the parts of visits by local clock hour; an instant has none.

    Arrays of shape (n,) in local µs since 1970. ValueError where a visit finishes before it starts.
    """
    if (finished_us < started_us).any():
        raise ValueError("a visit finishes before it starts")
    first = started_us // HOUR_US
    n_each = np.where(finished_us > started_us, -(-finished_us // HOUR_US) - first, 0)
    row = np.repeat(np.arange(n_each.size), n_each)
    hour = np.arange(row.size) - np.repeat(np.cumsum(n_each) - n_each, n_each) + first[row]
    begin = np.maximum(started_us[row], hour * HOUR_US)
    return HourPieces(row, hour, np.minimum(finished_us[row], (hour + 1) * HOUR_US) - begin)


class HourPlaces(NamedTuple):
    """The place of each hour of a device: the one with most time in it."""

    device: NDArray[np.int64]
    hour: NDArray[np.int64]
    place: NDArray[np.int64]


def places_of_hours(
    device: NDArray[np.int64], hour: NDArray[np.int64], place: NDArray[np.int64], spent_us: NDArray[np.int64]
) -> HourPlaces:
    """Return the place with most time in each device × hour, in that order; of equal times the place first numbered."""
    order = np.lexsort((place, hour, device))
    device, hour, place, spent_us = (values[order] for values in (device, hour, place, spent_us))
    start = group_starts(device, hour, place)[:-1]
    total = np.add.reduceat(spent_us, start) if start.size else spent_us
    device, hour, place = device[start], hour[start], place[start]
    hour_start = group_starts(device, hour)
    most = np.maximum.reduceat(total, hour_start[:-1]) if start.size else total
    is_most = np.flatnonzero(total == np.repeat(most, np.diff(hour_start)))
    # The first of those in each hour.
    first = is_most[np.searchsorted(is_most, hour_start[:-1])]
    return HourPlaces(device[first], hour[first], place[first])
