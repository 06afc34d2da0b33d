"""Which stays make one visit, and where in a table the stays of a list stand."""

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel


def begins_visit(
    place: NDArray[np.int64], started_at: NDArray[np.int64], finished_at: NDArray[np.int64], merge_gap_us: int
) -> NDArray[np.bool_]:
    """Return for every stay whether a visit begins with it, and not with a stay before it.

    Stays are in time order per device, `place` numbers their places over all devices, times are µs. A stay
    goes on with the visit of the stay just before it when both are at one place and at most
    `merge_gap_us` lie between them: trackintel's ``merge_staypoints``, where a stay elsewhere stands for the trip.
    """
    begins = np.ones(place.size, np.bool_)
    begins[1:] = (place[1:] != place[:-1]) | (started_at[1:] - finished_at[:-1] > merge_gap_us)
    return begins


def find_stays(
    device_start: NDArray[np.int64],
    started_at: NDArray[np.int64],
    device: NDArray[np.int64],
    wanted_at: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the row of the stay of each device (its number) that started at each time.

    Device d owns rows ``device_start[d]:device_start[d + 1]``, by rising start. ValueError where
    there is no such stay.
    """
    row = _find_stays(device_start, started_at, device, wanted_at)
    if (row < 0).any():
        raise ValueError(f"{int((row < 0).sum())} of {row.size} stays are not there")
    return row


@kernel
def _find_stays(device_start, started_at, device, wanted_at):
    row = np.full(wanted_at.size, -1, np.int64)
    for k in range(wanted_at.size):
        low, end = device_start[device[k]], device_start[device[k] + 1]
        high = end
        while low < high:
            middle = (low + high) // 2
            if started_at[middle] < wanted_at[k]:
                low = middle + 1
            else:
                high = middle
        if low < end and started_at[low] == wanted_at[k]:
            row[k] = low
    return row
