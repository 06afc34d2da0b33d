"""Thinning: which pings a device would have reported had it reported less often."""

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel


@kernel
def thin_sorted(device_id: NDArray[np.int64], at_us: NDArray[np.int64], every_us: int) -> NDArray[np.bool_]:
    """Return which pings are kept: a device's first, then each at least `every_us` after the last one kept.

    Pings of shape (n,), sorted by device and time in µs.
    """
    is_kept = np.zeros(at_us.size, np.bool_)
    last = 0
    for k in range(at_us.size):
        if k == 0 or device_id[k] != device_id[k - 1] or at_us[k] - at_us[last] >= every_us:
            is_kept[k] = True
            last = k
    return is_kept
