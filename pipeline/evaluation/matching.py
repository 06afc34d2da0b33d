"""True stays against found ones: found, missed, split, merged, false, and by how much the ends are off."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.periods import US_PER_S, Overlaps, Periods, overlaps


class Quartiles(NamedTuple):
    """Quartiles of signed errors in seconds, found minus true; NaN where there are none."""

    q25_s: float
    median_s: float
    q75_s: float


class StayCounts(NamedTuple):
    """How many stays were found, and how well. A found stay "of" a true one overlaps it long enough."""

    n_true: int
    """True stays that count: at least as long as asked for."""
    n_found: int
    """Of these, overlapped by a found stay or more."""
    n_missed: int
    n_split: int
    """Of these, overlapped by two found stays or more."""
    n_detected: int
    """Found stays where the truth is known."""
    n_false: int
    """Of these, overlapping no true stay, however short."""
    n_merged: int
    """Of these, overlapping two true stays or more."""
    n_matched: int
    """Pairs in which each overlaps the other alone; the errors are theirs."""
    start_error_s: Quartiles
    finish_error_s: Quartiles


class Matching(NamedTuple):
    """What is known of each true and each found stay; arrays in the order of the lists compared."""

    truth: Periods
    detected: Periods
    n_of_true: NDArray[np.int64]
    """Found stays that overlap each true one."""
    n_of_detected: NDArray[np.int64]
    """True stays, of those that count, that overlap each found one."""
    is_false: NDArray[np.bool_]
    pairs: Overlaps
    """One-to-one matches."""


def match_stays(truth: Periods, detected: Periods, overlap_s: float, min_stay_s: float) -> Matching:
    """Return how true and found stays overlap by at least `overlap_s` seconds (or all of a shorter stay).

    True stays shorter than `min_stay_s` seconds are not asked for: they are neither found, missed,
    split nor merged, but a found stay that overlaps one is not false.
    """
    every = overlaps(truth, detected, overlap_s)
    counts = np.flatnonzero(truth.length_us >= min_stay_s * US_PER_S)
    is_asked = np.isin(every.left, counts)
    left, right, shared = (column[is_asked] for column in every)
    left = np.searchsorted(counts, left)
    n_of_true = np.bincount(left, minlength=counts.size)
    n_of_detected = np.bincount(right, minlength=detected.device_id.size)
    is_single = (n_of_true[left] == 1) & (n_of_detected[right] == 1)
    is_false = np.bincount(every.right, minlength=detected.device_id.size) == 0
    pairs = Overlaps(left[is_single], right[is_single], shared[is_single])
    return Matching(truth.take(counts), detected, n_of_true, n_of_detected, is_false, pairs)


def count_stays(matching: Matching, device_id: int | None = None) -> StayCounts:
    """Return the counts over all devices, or those of one."""
    truth, detected, pairs = matching.truth, matching.detected, matching.pairs
    mine = _rows(truth, device_id)
    theirs = _rows(detected, device_id)
    n_of_true, n_of_detected = matching.n_of_true[mine], matching.n_of_detected[theirs]
    is_mine = slice(None) if device_id is None else truth.device_id[pairs.left] == device_id
    i, j = pairs.left[is_mine], pairs.right[is_mine]
    return StayCounts(
        n_true=n_of_true.size,
        n_found=int((n_of_true > 0).sum()),
        n_missed=int((n_of_true == 0).sum()),
        n_split=int((n_of_true > 1).sum()),
        n_detected=n_of_detected.size,
        n_false=int(matching.is_false[theirs].sum()),
        n_merged=int((n_of_detected > 1).sum()),
        n_matched=i.size,
        start_error_s=_quartiles(detected.started_us[j] - truth.started_us[i]),
        finish_error_s=_quartiles(detected.finished_us[j] - truth.finished_us[i]),
    )


def _rows(periods: Periods, device_id: int | None) -> slice:
    return slice(None) if device_id is None else periods.of(device_id)


def _quartiles(errors_us: NDArray[np.int64]) -> Quartiles:
    if not errors_us.size:
        return Quartiles(math.nan, math.nan, math.nan)
    return Quartiles(*(float(q) for q in np.quantile(errors_us / US_PER_S, [0.25, 0.5, 0.75])))
