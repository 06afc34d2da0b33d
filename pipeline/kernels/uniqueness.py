"""How many devices a few of one device's points are true of: whom they identify.

A point is a place, or a place in a stretch of time, as a whole number; a device has each of its points once. Who knows
k points of a device can tell it from others where nobody else has all of them. After de Montjoye et al. 2013 (recalled,
unverified). Devices that share a point are found by an index of points, so that the cost follows how many people share
the rarest point known, not the square of the devices; the count stops as soon as it is known to be more than asked for.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel


class PointIndex(NamedTuple):
    """Points by device and devices by point, both as flat arrays with the starts of their runs."""

    start: NDArray[np.int64]
    point: NDArray[np.int64]
    """Points of each device, rising and distinct."""
    holder_start: NDArray[np.int64]
    holder: NDArray[np.int64]
    """Devices that have each point, rising."""

    @property
    def n_points(self) -> NDArray[np.int64]:
        """Distinct points of each device."""
        return np.diff(self.start)


def index_points(device: NDArray[np.int64], point: NDArray[np.int64], n_devices: int) -> PointIndex:
    """Return the index of (device, point) rows in any order, repeated ones once; devices are 0 to n_devices - 1.

    ValueError where a device is out of that range.
    """
    if device.size and not 0 <= device.min() <= device.max() < n_devices:
        raise ValueError("devices must be numbered from 0 to n_devices - 1")
    codes = np.unique(point, return_inverse=True)[1].astype(np.int64)
    order = np.lexsort((codes, device))
    device, codes = device[order], codes[order]
    if device.size:
        is_first = np.r_[True, (np.diff(device) != 0) | (np.diff(codes) != 0)]
        device, codes = device[is_first], codes[is_first]
    start = np.searchsorted(device, np.arange(n_devices + 1))
    by_point = np.argsort(codes, kind="stable")
    n_codes = int(codes.max()) + 1 if codes.size else 0
    return PointIndex(start, codes, np.searchsorted(codes[by_point], np.arange(n_codes + 1)), device[by_point])


@kernel
def n_points_to_be_alone(start, point, holder_start, holder, order, max_points):
    """Return how many of a device's points, taken in `order`, nobody else has all of: int64 a device.

    `order` holds for each device a permutation of its points' positions (0 to their number - 1), laid out as `point`.
    0: even `max_points` of them, or all that there are, are true of another device as well.
    """
    n_devices = start.size - 1
    found = np.zeros(n_devices, np.int64)
    known = np.empty(max_points, np.int64)
    for device in range(n_devices):
        first = start[device]
        for k in range(min(max_points, start[device + 1] - first)):
            known[k] = point[first + order[first + k]]
            if _n_with_all(start, point, holder_start, holder, known[: k + 1], 2) == 1:
                found[device] = k + 1
                break
    return found


@kernel
def fewest_with_points(start, point, holder_start, holder, n_known):
    """Return how many devices, itself included, have all of those `n_known` points of a device that fewest have: int64.

    Every choice of `n_known` of its points is tried, all of its points where it has no more; 0 for a device without
    points. One over this is the risk of scikit-mobility's location attacks.
    """
    n_devices = start.size - 1
    found = np.zeros(n_devices, np.int64)
    for device in range(n_devices):
        own = point[start[device] : start[device + 1]]
        k = min(n_known, own.size)
        if k == 0:
            continue
        chosen = np.arange(k)
        fewest = n_devices
        while True:
            fewest = min(fewest, _n_with_all(start, point, holder_start, holder, own[chosen], fewest))
            at = k - 1
            while at >= 0 and chosen[at] == own.size - k + at:
                at -= 1
            if at < 0 or fewest == 1:
                break
            chosen[at] += 1
            for later in range(at + 1, k):
                chosen[later] = chosen[later - 1] + 1
        found[device] = fewest
    return found


@kernel
def _n_with_all(start, point, holder_start, holder, known, enough):
    """Return how many devices have all known points, or `enough` as soon as there are so many."""
    rarest = known[0]
    for code in known:
        if holder_start[code + 1] - holder_start[code] < holder_start[rarest + 1] - holder_start[rarest]:
            rarest = code
    n_found = 0
    for at in range(holder_start[rarest], holder_start[rarest + 1]):
        own = point[start[holder[at]] : start[holder[at] + 1]]
        has_all = True
        for code in known:
            where = np.searchsorted(own, code)
            if where == own.size or own[where] != code:
                has_all = False
                break
        n_found += has_all
        if n_found >= enough:
            break
    return n_found
