"""`Periods`: stays as flat arrays, whether true or found, and what overlaps what."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

US_PER_S = 1_000_000


class Periods(NamedTuple):
    """Stays of several devices, sorted by device and start; times in µs since 1970."""

    device_id: NDArray[np.int64]
    started_us: NDArray[np.int64]
    finished_us: NDArray[np.int64]
    place: NDArray[np.int64]
    """Number of the place; -1 where none is known."""

    @property
    def length_us(self) -> NDArray[np.int64]:
        """Finish minus start."""
        return self.finished_us - self.started_us

    def take(self, rows: NDArray[np.generic]) -> "Periods":
        """Return some of the stays: a mask or their numbers, in rising order."""
        return Periods(*(column[rows] for column in self))

    def only(self, device_id: int) -> "Periods":
        """Return the stays of one device."""
        rows = self.of(device_id)
        return Periods(*(column[rows] for column in self))

    def of(self, device_id: int) -> slice:
        """Return where the stays of one device are."""
        first, stop = (np.searchsorted(self.device_id, np.int64(device_id), side) for side in ("left", "right"))
        return slice(int(first), int(stop))


class Overlaps(NamedTuple):
    """Pairs of a stay of one list and one of another that share time, by numbers in their lists."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    shared_us: NDArray[np.int64]


def sorted_periods(
    device_id: NDArray[np.int64],
    started_us: NDArray[np.int64],
    finished_us: NDArray[np.int64],
    place: NDArray[np.int64] | None = None,
) -> Periods:
    """Return stays in any order as Periods; ValueError where one finishes before it starts."""
    if (finished_us < started_us).any():
        raise ValueError("a stay finishes before it starts")
    order = np.lexsort((finished_us, started_us, device_id))
    where = np.full(order.size, -1, np.int64) if place is None else place.astype(np.int64)
    return Periods(device_id[order], started_us[order], finished_us[order], where[order])


def periods_of_frame(stays: pd.DataFrame, place: str | None = None) -> Periods:
    """Return the stays of a frame with device_id, started_at, finished_at (UTC) and perhaps a place column."""
    started_us, finished_us = (
        stays[name].astype("datetime64[us, UTC]").astype("int64").to_numpy() for name in ("started_at", "finished_at")
    )
    where = None if place is None else stays[place].to_numpy(np.int64)
    return sorted_periods(stays["device_id"].to_numpy(np.int64), started_us, finished_us, where)


def join_abutting(stays: Periods) -> Periods:
    """Return stays with those joined that begin the instant the one before, of the same device, finishes."""
    if not stays.device_id.size:
        return stays
    is_first = np.ones(stays.device_id.size, np.bool_)
    is_first[1:] = (np.diff(stays.device_id) != 0) | (stays.started_us[1:] != stays.finished_us[:-1])
    is_last = np.append(is_first[1:], True)
    return stays.take(is_first)._replace(finished_us=stays.finished_us[is_last])


def overlaps(left: Periods, right: Periods, overlap_s: float = 0.0) -> Overlaps:
    """Return the pairs of stays of one device that share at least `overlap_s` seconds.

    Of a stay shorter than that, all of it must be shared. Both ends belong to a stay, so stays that
    only touch share an instant, which counts where `overlap_s` is 0.
    """
    pairs = [np.empty((3, 0), np.int64)]
    for device in np.intersect1d(left.device_id, right.device_id).tolist():
        found = _overlaps_of_device(left.only(device), right.only(device), round(overlap_s * US_PER_S))
        pairs.append(found + np.array([[left.of(device).start], [right.of(device).start], [0]]))
    return Overlaps(*np.concatenate(pairs, axis=1))


def _overlaps_of_device(left: Periods, right: Periods, overlap_us: int) -> NDArray[np.int64]:
    """Return (left, right, shared µs) of one device's pairs, as an array of shape (3, n)."""
    # Candidates of a stay: from the first that may still last at its start to the last begun by its end.
    first = np.searchsorted(np.maximum.accumulate(right.finished_us), left.started_us, "left")
    stop = np.searchsorted(right.started_us, left.finished_us, "right")
    n_each = np.maximum(stop - first, 0)
    i = np.repeat(np.arange(n_each.size), n_each)
    j = np.arange(i.size) - np.repeat(np.cumsum(n_each) - n_each, n_each) + np.repeat(first, n_each)
    shared = np.minimum(left.finished_us[i], right.finished_us[j]) - np.maximum(left.started_us[i], right.started_us[j])
    needed = np.minimum(overlap_us, np.minimum(left.length_us[i], right.length_us[j]))
    is_pair = (shared >= 0) & (shared >= needed)
    return np.stack([i[is_pair], j[is_pair], shared[is_pair]])
