"""Functions of time that hardly ever change, found once per quarter of an hour that occurs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

US_PER_S = 1_000_000
QUARTER_US = 900 * US_PER_S
MAX_SPAN = 1 << 22
"""Quarters in a table of all between first and last: 120 years, 4 MB of marks."""


def by_quarter(at_us: NDArray[np.int64], find: Callable[[int], int]) -> NDArray[np.int64]:
    """Return ``find(t)`` for every t of `at_us`, calling `find` for few of them.

    `find` maps µs to an integer and changes at whole seconds only, at most once in a quarter of an
    hour: so does the offset of a time zone. It is asked at both ends of each quarter that occurs,
    and once per second that occurs in the quarters whose ends disagree. (Most zones change at full
    quarters. Not all do: St. John's changed a minute after midnight until 2011.)
    """
    codes, quarters = _distinct(at_us // QUARTER_US)
    found = np.array([find(int(q) * QUARTER_US) for q in quarters], np.int64)
    at_end = np.array([find((int(q) + 1) * QUARTER_US - 1) for q in quarters], np.int64)
    values = found[codes]
    does_change = found != at_end
    if does_change.any():
        rows = np.flatnonzero(does_change[codes])
        second_codes, seconds = _distinct(at_us[rows] // US_PER_S)
        values[rows] = np.array([find(int(s) * US_PER_S) for s in seconds], np.int64)[second_codes]
    return values


def _distinct(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (code of each value, distinct values in order); by a table where they lie close together."""
    if not len(values) or values.max() - values.min() >= MAX_SPAN:
        distinct, codes = np.unique(values, return_inverse=True)
        return codes, distinct
    first = values.min()
    shifted = values - first
    does_occur = np.zeros(shifted.max() + 1, np.bool_)
    does_occur[shifted] = True
    places = np.flatnonzero(does_occur)
    code_of = np.zeros(len(does_occur), np.int64)
    code_of[places] = np.arange(len(places))
    return code_of[shifted], places + first
