"""How good found stays are: pings and minutes of stop and move, and stays matched with true ones."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.matching import StayCounts, count_stays, match_stays
from pipeline.evaluation.minutes import count_minutes_of_pings, count_minutes_of_stays
from pipeline.evaluation.periods import Periods, join_abutting, overlaps, sorted_periods
from pipeline.evaluation.scores import (
    Counts,
    Scores,
    count_by_group,
    labels_of,
    mean_of_defined,
    score_counts,
)
from pipeline.evaluation.truth import STOP, UNKNOWN, GroundTruth


class DeviceMeans(NamedTuple):
    """Means over devices, each weighing one; devices where a figure is not defined are left out of it."""

    n_devices: int
    f1_stop: float
    f1_move: float
    macro_f1: float
    mcc: float


class Scored(NamedTuple):
    """Scores of all items of all devices, and what they are worth: those of answers that need no data."""

    pooled: Scores
    mean_over_devices: DeviceMeans
    always_stop: Scores
    never_stop: Scores


class DeviceResult(NamedTuple):
    """Scores of one device, named by its rank in pings of known label: ids are never told."""

    rank: int
    pings: Scores
    minutes: Scores
    stays: StayCounts


class StaysResult(NamedTuple):
    """How good the stays found in one set of pings are."""

    pings: Scored
    """Over the pings the stays were found in."""
    minutes: Scored
    """Over all minutes of known truth: the same at every thinning."""
    observed_minutes: Scored
    """Over those minutes that hold a ping at full rate; the same as `minutes` where the truth is a label per ping."""
    stays: StayCounts
    devices: tuple[DeviceResult, ...]


def evaluate_stays(
    truth: GroundTruth,
    found: Periods,
    is_kept: NDArray[np.bool_] | None = None,
    overlap_s: float = 60.0,
    min_stay_s: float = 300.0,
) -> StaysResult:
    """Return how good the stays `found` are, which were found in the pings `is_kept` (default: all).

    `is_kept` has an entry for each ping of `truth`. Stays are matched as `match_stays` says, for which found
    stays that abut (an observed one, an inferred silence, an observed one) are one.
    """
    devices = truth.devices
    is_known = truth.label != UNKNOWN
    device = np.searchsorted(devices, truth.device_id[is_known])
    at_us, is_stop = truth.at_us[is_known], truth.label[is_known] == STOP
    is_found = labels_of(truth.device_id[is_known], at_us, found.device_id, found.started_us, found.finished_us)
    kept = slice(None) if is_kept is None else is_kept[is_known]
    pings = count_by_group(device[kept], is_stop[kept], is_found[kept], devices.size)
    if truth.spans is None:
        minutes = observed = count_minutes_of_pings(device, at_us, is_stop, is_found, devices.size)
    else:
        instants = sorted_periods(truth.device_id, truth.at_us, truth.at_us)
        minutes = count_minutes_of_stays(truth.spans, truth.stays, found)
        observed = count_minutes_of_stays(truth.spans, truth.stays, found, instants)
    matching = match_stays(truth.stays, _judged(truth, join_abutting(found), overlap_s), overlap_s, min_stay_s)
    by_pings = np.argsort(-np.bincount(device, minlength=devices.size), kind="stable")
    results = tuple(
        DeviceResult(
            rank + 1,
            score_counts(Counts(*pings[k])),
            score_counts(Counts(*minutes[k])),
            count_stays(matching, int(devices[k])),
        )
        for rank, k in enumerate(by_pings)
    )
    return StaysResult(score(pings), score(minutes), score(observed), count_stays(matching), results)


def _judged(truth: GroundTruth, found: Periods, overlap_s: float) -> Periods:
    """Return the found stays of which the truth says something.

    Where it is told as stays, those that share enough with the span it is known for: of less, that it is
    false would be the only thing to say.
    """
    if truth.spans is not None:
        told = [overlaps(found, known, overlap_s).left for known in (truth.spans, truth.stays)]
        return found.take(np.unique(np.concatenate(told)))
    is_known = truth.label != UNKNOWN
    device, at = truth.device_id[is_known], truth.at_us[is_known]
    return found.take(np.unique(overlaps(found, sorted_periods(device, at, at)).left))


def score(counts: NDArray[np.int64]) -> Scored:
    """Return the scores of Counts by device, an array of shape (n_devices, 4)."""
    hit, miss, false_stop, true_move = (float(value) for value in counts.sum(axis=0))
    each = [score_counts(Counts(*row)) for row in counts if row.sum()]

    def mean(name: str) -> float:
        return mean_of_defined([getattr(scores, name) for scores in each]) if each else math.nan

    return Scored(
        score_counts(Counts(hit, miss, false_stop, true_move)),
        DeviceMeans(len(each), *(mean(name) for name in DeviceMeans._fields[1:])),
        score_counts(Counts(hit + miss, 0.0, false_stop + true_move, 0.0)),
        score_counts(Counts(0.0, hit + miss, 0.0, false_stop + true_move)),
    )
