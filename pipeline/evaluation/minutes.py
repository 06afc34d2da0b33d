"""Minutes of stop and move: of a truth told ping by ping, and of one told as stays."""

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.periods import Periods
from pipeline.evaluation.scores import count_by_group

MINUTE_US = 60_000_000


def count_minutes_of_pings(
    device: NDArray[np.int64],
    at_us: NDArray[np.int64],
    is_stop: NDArray[np.bool_],
    is_found: NDArray[np.bool_],
    n_devices: int,
) -> NDArray[np.int64]:
    """Return Counts of minutes per device, of shape (n_devices, 4), from pings with a true label each.

    A clock minute counts where it holds a ping. It is a stop, truly or as found, when at least half of
    its pings are; both are asked of the same pings, so that a minute seen only in part is judged by the
    part seen. Pings (number of the device from 0, time in µs) are sorted by device and time.
    """
    minute = at_us // MINUTE_US
    is_start = np.ones(minute.size, np.bool_)
    is_start[1:] = (device[1:] != device[:-1]) | (minute[1:] != minute[:-1])
    start = np.flatnonzero(is_start)
    if not start.size:
        return np.zeros((n_devices, 4), np.int64)
    n_pings = np.diff(np.append(start, minute.size))
    truth, found = (2 * np.add.reduceat(label.astype(np.int64), start) >= n_pings for label in (is_stop, is_found))
    return count_by_group(device[start], truth, found, n_devices)


def count_minutes_of_stays(
    spans: Periods, truth: Periods, found: Periods, observed: Periods | None = None
) -> NDArray[np.int64]:
    """Return Counts of minutes per span, of shape (number of spans, 4), from true stays.

    A span is the time in which a device's stays are known. All clock minutes wholly inside it count, those
    without a ping too: the truth knows them, and bridging a silence or not is part of what is judged.
    With `observed` (instants of pings, as Periods of no length) only those that hold a ping count. A
    minute is a stop when stays cover at least half of it.
    """
    counts = np.zeros((spans.device_id.size, 4), np.int64)
    for k, (device, started_us, finished_us, _) in enumerate(zip(*spans, strict=True)):
        minute = np.arange(-(-started_us // MINUTE_US), finished_us // MINUTE_US)
        if observed is not None:
            minute = np.intersect1d(minute, observed.only(int(device)).started_us // MINUTE_US)
        is_stop, is_found = (_covers_half(stays.only(int(device)), minute) for stays in (truth, found))
        counts[k] = count_by_group(np.zeros(minute.size, np.int64), is_stop, is_found, 1)[0]
    return counts


def _covers_half(stays: Periods, minute: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which minutes (whole minutes since 1970) stays of one device cover at least by half."""
    start_us = minute * MINUTE_US
    covered_us = covered_until(stays, start_us + MINUTE_US) - covered_until(stays, start_us)
    return 2 * covered_us >= MINUTE_US


def covered_until(stays: Periods, at_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how long before each instant (µs) one device was in a stay; overlapping stays count once."""
    if not stays.device_id.size:
        return np.zeros(at_us.size, np.int64)
    reach = np.maximum.accumulate(stays.finished_us)
    is_start = np.append(True, stays.started_us[1:] > reach[:-1])
    started = stays.started_us[is_start]
    finished = reach[np.append(np.flatnonzero(is_start)[1:] - 1, reach.size - 1)]
    before = np.cumsum(finished - started) - (finished - started)
    k = np.searchsorted(started, at_us, "right") - 1
    inside = np.minimum(at_us, finished[k]) - started[k]
    return np.where(k < 0, 0, before[k] + inside)
