"""Scores of a two-class labelling, stop or move, and the two things needed to get there: labels and thinning."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.thinning import thin_sorted

US_PER_S = 1_000_000


class Scores(NamedTuple):
    """How well found labels agree with true ones; each class is scored as if it were the positive one.

    What has nothing to divide by is NaN: the precision of a class never found, the recall of a class
    that is not there, the F1 of a class neither there nor found. `macro_f1` is the mean of the defined
    ones of the two. `mcc` is 0 where all labels found are alike, as an uninformed guess deserves, and
    NaN where the truth holds one class only.
    """

    n: int
    """Number of items, whatever their weights."""
    precision_stop: float
    recall_stop: float
    f1_stop: float
    precision_move: float
    recall_move: float
    f1_move: float
    macro_f1: float
    mcc: float
    accuracy: float


class Counts(NamedTuple):
    """Cross table of true and found labels: numbers of items, or their weights."""

    hit: float
    """Stop, and found as one."""
    miss: float
    """Stop, found as move."""
    false_stop: float
    """Move, found as stop."""
    true_move: float
    """Move, and found as one."""


def score_labels(
    is_stop: NDArray[np.bool_], is_found: NDArray[np.bool_], weight: NDArray[np.float64] | None = None
) -> Scores:
    """Return the scores of `is_found` against the truth `is_stop`, both True for stop.

    Arrays of shape (n,); `weight` says how much each item counts, by default 1, and only its ratios
    matter. ValueError where shapes differ or a weight is negative or not finite.
    """
    truth, found = np.asarray(is_stop, np.bool_), np.asarray(is_found, np.bool_)
    w = np.ones(truth.shape) if weight is None else np.asarray(weight, np.float64)
    if not truth.shape == found.shape == w.shape:
        raise ValueError(f"shapes differ: {truth.shape} true, {found.shape} found, {w.shape} weights")
    if not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError("weights must be finite and not negative")
    cells = np.bincount(2 * truth.ravel() + found.ravel(), w.ravel(), 4)
    return score_counts(Counts(cells[3], cells[2], cells[1], cells[0]))._replace(n=truth.size)


def score_counts(counts: Counts) -> Scores:
    """Return the scores of a cross table of true and found labels."""
    hit, miss, false_stop, true_move = (float(value) for value in counts)
    f1_stop, f1_move = _f1(hit, false_stop, miss), _f1(true_move, miss, false_stop)
    return Scores(
        round(sum(counts)),
        ratio(hit, hit + false_stop),
        ratio(hit, hit + miss),
        f1_stop,
        ratio(true_move, true_move + miss),
        ratio(true_move, true_move + false_stop),
        f1_move,
        mean_of_defined((f1_stop, f1_move)),
        _mcc(hit, miss, false_stop, true_move),
        ratio(hit + true_move, hit + miss + false_stop + true_move),
    )


def count_by_group(
    group: NDArray[np.int64], is_stop: NDArray[np.bool_], is_found: NDArray[np.bool_], n_groups: int
) -> NDArray[np.int64]:
    """Return Counts, one row for each group 0..n_groups-1, as an array of shape (n_groups, 4).

    `group`, `is_stop` and `is_found` have shape (n,), an entry for each item.
    """
    cell = np.where(is_stop, np.where(is_found, 0, 1), np.where(is_found, 2, 3))
    return np.bincount(4 * group + cell, minlength=4 * n_groups).reshape(n_groups, 4)


def ratio(part: float, whole: float) -> float:
    """Return part / whole, NaN where there is no whole."""
    return part / whole if whole else math.nan


def mean_of_defined(values: tuple[float, ...] | list[float]) -> float:
    """Return the mean of those values that are not NaN, NaN where all are."""
    defined = [value for value in values if not math.isnan(value)]
    return ratio(sum(defined), len(defined))


def _f1(hit: float, false_alarm: float, miss: float) -> float:
    return ratio(2 * hit, 2 * hit + false_alarm + miss)


def _mcc(hit: float, miss: float, false_stop: float, true_move: float) -> float:
    """Return the correlation of two labellings (Matthews 1975) from the four weights of their cross table."""
    n_stop, n_move = hit + miss, false_stop + true_move
    if not n_stop or not n_move:
        return math.nan
    n_found, n_left = hit + false_stop, miss + true_move
    if not n_found or not n_left:
        return 0.0
    # Two roots, each of like with like: then a perfect answer scores exactly 1.
    spread = math.sqrt(n_stop * n_found) * math.sqrt(n_move * n_left)
    return max(-1.0, min(1.0, (hit * true_move - miss * false_stop) / spread))


def labels_of(
    device_id: NDArray[np.int64],
    at_us: NDArray[np.int64],
    stays_device_id: NDArray[np.int64],
    started_us: NDArray[np.int64],
    finished_us: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which pings lie inside a stay of their device, its first and last instant included.

    Pings (device, time in µs) of shape (n,), stays of shape (m,), each in any order; stays may touch
    or overlap. ValueError where a stay finishes before it starts.
    """
    if (finished_us < started_us).any():
        raise ValueError("a stay finishes before it starts")
    n_stays, n_pings = len(started_us), len(at_us)
    # At one instant stays begin before pings are asked and end after: then a ping is inside when more
    # stays have begun than ended.
    step = np.repeat(np.array([1, 0, -1], np.int64), [n_stays, n_pings, n_stays])
    device = np.concatenate([stays_device_id, device_id, stays_device_id])
    at = np.concatenate([started_us, at_us, finished_us])
    order = np.lexsort((-step, at, device))
    n_open = np.empty(order.size, np.int64)
    n_open[order] = np.cumsum(step[order])
    return n_open[n_stays : n_stays + n_pings] > 0


def thin(device_id: NDArray[np.int64], at_us: NDArray[np.int64], every_s: float) -> NDArray[np.bool_]:
    """Return which pings stay when a device reports at most every `every_s` seconds.

    Kept are a device's first ping and each that is at least `every_s` later than the last one kept;
    0 keeps all. Pings of shape (n,), sorted by device and time (µs). ValueError where they are not.
    """
    device_id, at_us = np.ascontiguousarray(device_id, np.int64), np.ascontiguousarray(at_us, np.int64)
    is_same = device_id[1:] == device_id[:-1]
    if (device_id[1:] < device_id[:-1]).any() or (is_same & (at_us[1:] < at_us[:-1])).any():
        raise ValueError("pings must be sorted by device and time")
    return thin_sorted(device_id, at_us, round(every_s * US_PER_S))
