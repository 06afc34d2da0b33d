"""Sums that do not depend on the order of what is added: fixed point numbers in int64.

A floating sum changes its last digits with the order of its terms, and so with the number of device buckets. Integers
do not: what is gathered over buckets is brought to fixed point first, summed within each bucket, and the sums of the
buckets are summed again. Fixed point is exact from there on; bringing a number to it moves it by at most 2**-31.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

SCALE = 2**30
"""Units of fixed point in one: steps of about 1e-9, and numbers and sums below 2**33, 8.6e9 (ours)."""
LIMIT = 2.0**63
"""Where int64 ends."""


def to_fixed(values: npt.ArrayLike) -> np.ndarray:
    """Return numbers as fixed point, rounded to the nearest 1 / `SCALE`: int64 of the same shape.

    ValueError for a number that is not finite or missing, OverflowError for one of 2**33 or more: sum hours rather
    than seconds.
    """
    given = np.asarray(values, dtype=np.float64)
    n_bad = np.count_nonzero(~np.isfinite(given))
    if n_bad:
        raise ValueError(f"{n_bad} of {given.size} values are not finite: they have no fixed point")
    n_large = np.count_nonzero(np.abs(given) >= LIMIT / SCALE)
    if n_large:
        raise OverflowError(f"{n_large} of {given.size} values are {LIMIT / SCALE:.2g} or more: use a larger unit")
    return np.rint(given * SCALE).astype(np.int64)


def from_fixed(values: npt.ArrayLike) -> np.ndarray:
    """Return fixed point numbers as float64 of the same shape, each the nearest to the exact value.

    TypeError where `values` are no integers, and so no fixed point.
    """
    fixed = np.asarray(values)
    if fixed.dtype.kind not in "iu":
        raise TypeError(f"fixed point numbers are integers, not {fixed.dtype}")
    return fixed.astype(np.float64) / SCALE


def group_sums(frame: pd.DataFrame, by: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Return the exact sum of integer columns per group: columns `by` and `columns` (int64), in the order of `by`.

    A missing value in `by` is a group of its own, the last. Sums of the sums of parts are the sums of the whole,
    however it is cut, so one call in a stage's function and one in its `finish` add up all buckets; without rows
    there are no groups, and the types stay. TypeError where a column holds no integers or booleans (floats go through
    `to_fixed`), OverflowError where the amounts of a group add up to more than int64 holds.
    """
    for name, dtype in frame[list(columns)].dtypes.items():
        if dtype.kind not in "ib":
            raise TypeError(f"column {name} is {dtype}: only signed integers add up exactly, use to_fixed")
    values = frame[list(columns)].astype(np.int64)
    keys = [frame[name] for name in by]
    groups = values.groupby(keys, dropna=False, observed=True, sort=True)
    sizes = values.astype(np.float64).abs().groupby(keys, dropna=False, observed=True, sort=True).sum()
    too_large = [str(name) for name in sizes.columns[(sizes >= LIMIT).any()]]
    if too_large:
        raise OverflowError(f"sums of {', '.join(too_large)} do not fit int64: use a larger unit")
    return groups.sum().reset_index()
