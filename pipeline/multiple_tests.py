"""P-values of many tests at once."""

import numpy as np
from numpy.typing import NDArray


def holm(p_value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values corrected by Holm's rule, at most 1; NaN stays NaN and counts as a test.

    The running maximum of (n - rank) p over rising p. statsmodels gives the same bytes, but collects the garbage
    of the whole process at each call, which took nine tenths of the time of an event study of few people.
    """
    order = np.argsort(p_value)
    adjusted = np.empty(len(p_value))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_value[order] * np.arange(len(p_value), 0, -1)), 1.0)
    return adjusted
