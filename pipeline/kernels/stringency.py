"""Stringency of policies: the index of the Oxford COVID-19 Government Response Tracker (OxCGRT)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

INDICATORS = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "h1")
"""What the index is the mean of: closures and other containment C1 to C8, and information campaigns H1."""
HIGHEST = np.array([3, 3, 2, 4, 2, 3, 2, 4, 2], dtype=np.float64)
"""Highest level of each indicator."""
HAS_FLAG = np.array([True] * 7 + [False, True])
"""Whether an indicator says if the policy is general (1) or holds in a part of the region only (0)."""
TARGETED = 0.5
"""By how much of a level a policy that is not general counts less."""
PER_CENT = 100.0


def stringency(levels: ArrayLike, flags: ArrayLike) -> NDArray[np.float64]:
    """Return the stringency, 0 to 100, of each row of levels and flags: float64 of shape (n,).

    Both have the shape (n, 9), in the order of `INDICATORS`; flags are 1 or 0, and those of a level of 0 and of C8
    are not looked at. NaN where a level is missing, or the flag of a policy that is there. ValueError for a level that
    the indicator does not have, or a flag that is neither.

    OxCGRT's equation as on the method page (3.5): 100 (v - (F - f) / 2) / N of an indicator, 0 where v is 0, and the
    mean of the nine. How OxCGRT itself goes on where indicators are missing is not on that page, hence NaN.
    """
    level, flag = (np.asarray(given, dtype=np.float64) for given in (levels, flags))
    _check(level, flag)
    less = np.where(HAS_FLAG, TARGETED * (1 - flag), 0.0)
    parts = np.where(level == 0, 0.0, PER_CENT * (level - less) / HIGHEST)
    index: NDArray[np.float64] = parts.mean(axis=1)
    return index


def _check(level: NDArray[np.float64], flag: NDArray[np.float64]) -> None:
    wanted = (len(level), len(INDICATORS))
    if level.shape != wanted or flag.shape != wanted:
        raise ValueError(f"levels and flags have the shape (n, {len(INDICATORS)}), not {level.shape} and {flag.shape}")
    is_level = np.isnan(level) | ((level >= 0) & (level <= HIGHEST) & (level % 1 == 0))
    is_flag = np.isnan(flag) | (flag == 0) | (flag == 1)
    n_bad = int((~is_level | ~is_flag).sum())
    if n_bad:
        raise ValueError(f"{n_bad} of {level.size} indicators have a level or flag that OxCGRT does not know")
