"""Worked examples: matching of stays, minutes, truths, places."""

import math

import numpy as np
import pytest

from pipeline.evaluation.locations import adjusted_rand, evaluate_locations
from pipeline.evaluation.matching import count_stays, match_stays
from pipeline.evaluation.minutes import count_minutes_of_pings, count_minutes_of_stays
from pipeline.evaluation.periods import join_abutting, sorted_periods
from pipeline.evaluation.stays import evaluate_stays
from pipeline.evaluation.truth import MOVE, STOP, UNKNOWN, truth_of_labels, truth_of_stays

MIN = 60_000_000


def periods(*stays):
    """Stays (device, start, finish, place) in minutes."""
    rows = np.array(stays, np.float64).reshape(-1, 4)
    return sorted_periods(
        rows[:, 0].astype(np.int64), *(np.rint(rows[:, k] * MIN).astype(np.int64) for k in (1, 2)), rows[:, 3]
    )


def test_found_missed_split_merged_and_false():
    true = periods(
        (1, 0, 30, 0),  # found, start 2 min late, finish 5 min early
        (1, 40, 70, 1),  # split into two
        (1, 80, 100, 2), (1, 102, 120, 3),  # merged into one
        (1, 200, 220, 4),  # missed
        (1, 240, 243, 5),  # too short to be asked for
        (2, 0, 30, 0),  # another device's, missed
    )  # fmt: skip
    found = periods(
        (1, 2, 25, -1), (1, 40, 50, -1), (1, 60, 70, -1), (1, 80, 120, -1),
        (1, 150, 160, -1),  # false
        (1, 238, 250, -1),  # over a short one: not false
        (1, 199, 200.5, -1),  # half a minute of a true stay is not enough to be of it
    )  # fmt: skip
    counts = count_stays(match_stays(true, found, overlap_s=60, min_stay_s=300))
    assert (counts.n_true, counts.n_found, counts.n_missed, counts.n_split) == (6, 4, 2, 1)
    assert (counts.n_detected, counts.n_false, counts.n_merged, counts.n_matched) == (7, 2, 1, 1)
    assert counts.start_error_s == (120, 120, 120) and counts.finish_error_s == (-300, -300, -300)
    other = count_stays(match_stays(true, found, 60, 300), device_id=2)
    assert (other.n_true, other.n_missed, other.n_detected) == (1, 1, 0)
    assert math.isnan(other.start_error_s.median_s)


def test_a_minute_of_pings_is_what_half_of_them_are():
    # Minute 0: 2 of 3 stop, none found; minute 1: 1 of 2 stop, found; minute 7 of device 1: move, found.
    device = np.array([0, 0, 0, 0, 0, 1])
    at = np.array([0, 10, 20, 60, 70, 420]) * 1_000_000
    is_stop = np.array([1, 1, 0, 1, 0, 0], bool)
    is_found = np.array([0, 0, 1, 1, 1, 1], bool)
    counts = count_minutes_of_pings(device, at, is_stop, is_found, 3)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_minutes_without_a_ping_count_where_the_stays_are_known():
    span, true = periods((1, 0.5, 10, -1)), periods((1, 0.5, 4.5, 0), (1, 8, 10, 1))
    found = periods((1, 1, 4.4, -1), (1, 3, 4.45, -1))
    # Whole minutes 1 to 9: stop in 1, 2, 3, 4 (30 s), 8, 9; found in 1, 2, 3.
    assert count_minutes_of_stays(span, true, found).tolist() == [[3, 3, 0, 3]]
    seen = periods((1, 1, 1, -1), (1, 4.2, 4.2, -1), (1, 4.9, 4.9, -1), (1, 7, 7, -1), (2, 8, 8, -1))
    assert count_minutes_of_stays(span, true, found, seen).tolist() == [[1, 1, 0, 1]]


def test_true_stays_of_labels_end_at_a_move_a_place_a_silence_and_a_device():
    at = np.array([0, 1, 2, 3, 4, 5, 70, 71, 0, 1]) * MIN
    place = np.array([0, 0, -2, 0, -1, 0, 0, 1, 1, -1])
    truth = truth_of_labels(np.array([1] * 8 + [2] * 2), at, place, gap_s=3600)
    stays = [(d, a // MIN, b // MIN, p) for d, a, b, p in zip(*truth.stays, strict=True)]
    assert stays == [(1, 0, 3, 0), (1, 5, 5, 0), (1, 70, 70, 0), (1, 71, 71, 1), (2, 0, 0, 1)]
    assert truth.label.tolist() == [STOP, STOP, UNKNOWN, STOP, MOVE, STOP, STOP, STOP, STOP, MOVE]


def test_a_table_of_stays_knows_nothing_before_the_first_after_the_last_and_of_others():
    device, at = np.array([1, 1, 1, 1, 1, 2]), np.array([0, 10, 25, 40, 60, 10]) * MIN
    truth = truth_of_stays(device, at, periods((1, 5, 20, 0), (1, 30, 50, 1), (3, 0, 60, 0)))
    assert truth.label.tolist() == [UNKNOWN, STOP, MOVE, STOP, UNKNOWN, UNKNOWN]
    assert [column.tolist() for column in truth.spans[:3]] == [[1], [5 * MIN], [50 * MIN]]
    assert truth.stays.device_id.tolist() == [1, 1]


def test_true_stays_that_nobody_could_have_found_are_not_missed():
    truth = truth_of_stays(np.array([1, 1]), np.array([10, 20]) * MIN, periods((1, 0, 15, 0), (1, 40, 60, 1)))
    counts = evaluate_stays(truth, periods()).stays
    assert (counts.n_true, counts.n_missed) == (1, 1)


def test_pings_are_those_kept_and_minutes_all():
    at = np.arange(0, 20, 0.5) * MIN
    truth = truth_of_labels(np.ones(at.size, int), at.astype(np.int64), np.where(at < 10 * MIN, 0, -1), 3600)
    is_kept = np.arange(at.size) % 10 == 0
    result = evaluate_stays(truth, periods((1, 0, 5, -1)), is_kept)
    assert (result.pings.pooled.n, result.minutes.pooled.n) == (4, 20)
    assert result.pings.pooled.accuracy == 1
    # Minutes 0 to 4 are found, and minute 5, of which one of two pings is.
    assert result.minutes.pooled.recall_stop == pytest.approx(6 / 10)
    assert result.minutes.always_stop.macro_f1 == pytest.approx(1 / 3)
    assert result.minutes.never_stop.macro_f1 == pytest.approx(1 / 3)


def test_devices_come_by_the_number_of_their_pings():
    device = np.array([5, 7, 7, 7])
    truth = truth_of_labels(device, np.array([0, 0, 1, 2]) * MIN, np.array([0, 0, -1, 0]), 3600)
    result = evaluate_stays(truth, periods((5, 0, 0, -1)))
    assert [(d.rank, d.pings.n, d.pings.accuracy) for d in result.devices] == [(1, 3, 1 / 3), (2, 1, 1.0)]
    assert "device_id" not in repr(result)


def test_the_adjusted_rand_index_of_a_worked_example():
    # Hubert and Arabie's form: 2 pairs together in both, 2 in the truth, 4 as found, of 10.
    true, found = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1])
    assert adjusted_rand(true, found) == pytest.approx((2 - 2 * 4 / 10) / ((2 + 4) / 2 - 2 * 4 / 10))
    assert adjusted_rand(true, true + 9) == 1
    assert adjusted_rand(true, np.zeros(5, int)) == 0
    assert math.isnan(adjusted_rand(true[:1], true[:1]))


def test_places_of_stays_and_of_minutes():
    true = periods((1, 0, 30, 4), (1, 40, 60, 9), (1, 70, 90, 4), (1, 100, 120, -1), (1, 130, 160, 9))
    # Found: the first in two parts, of which the longer speaks; the last was missed.
    found = periods((1, 0, 10, 2), (1, 10.5, 30, 0), (1, 40, 60, 1), (1, 70, 90, 0), (1, 100, 120, 5))
    result = evaluate_locations(true, found)
    (device,) = result.devices
    assert (device.n_places_true, device.n_places_found, device.n_stays) == (2, 4, 3)
    assert device.ari_stays == result.stays.mean == 1
    assert result.share_of_stays == 3 / 4
    # Of 30 + 20 + 20 + 30 minutes the last 30 are missed; of minute 10 the middle is in the second part.
    assert device.n_minutes == 70 and result.share_of_minutes == 70 / 100
    truth_of_minutes = np.repeat([4, 9, 4], [30, 20, 20])
    found_of_minutes = np.repeat([2, 0, 1, 0], [10, 20, 20, 20])
    assert device.ari_minutes == pytest.approx(adjusted_rand(truth_of_minutes, found_of_minutes))


def test_true_stays_without_end_count_while_observed_and_the_last_begun_of_several():
    true = periods((1, 0, 30, 4), (1, 5, 10, 9), (1, 40, 10**9, 4))
    found = periods((1, 0, 30, 0), (1, 40, 70, 0))
    (device,) = evaluate_locations(true, found, spans=periods((1, 2, 60, -1))).devices
    assert (device.n_true_minutes, device.n_minutes, device.n_true_stays) == (28 + 20, 28 + 20, 3)
    truth_of_minutes = np.repeat([4, 9, 4], [3, 5, 40])
    assert device.ari_minutes == pytest.approx(adjusted_rand(truth_of_minutes, np.zeros(48, int)))


def test_a_found_stay_that_hardly_touches_the_span_of_truth_is_not_judged():
    at = np.arange(0, 101, 10) * MIN
    truth = truth_of_stays(np.ones(at.size, int), at, periods((1, 20, 40, 0), (1, 60, 80, 1)))
    counts = evaluate_stays(truth, periods((1, 0, 20.5, -1), (1, 80, 100, -1), (1, 45, 50, -1))).stays
    assert (counts.n_detected, counts.n_false, counts.n_missed) == (1, 1, 2)
    # Half a minute of truth at its edge is all of a true stay of half a minute.
    truth = truth_of_stays(np.ones(at.size, int), at, periods((1, 20, 20.5, 0), (1, 60, 80, 1)))
    counts = evaluate_stays(truth, periods((1, 0, 20.5, -1)), min_stay_s=0).stays
    assert (counts.n_detected, counts.n_false, counts.n_found) == (1, 0, 1)


def test_found_stays_that_abut_are_one_stay():
    at = np.arange(0, 101, 10) * MIN
    truth = truth_of_stays(np.ones(at.size, int), at, periods((1, 10, 50, 0), (1, 60, 80, 1)))
    found = periods((1, 11, 20, -1), (1, 20, 40, -1), (1, 40, 49, -1), (1, 60, 80, -1), (2, 80, 90, -1))
    counts = evaluate_stays(truth, found).stays
    assert (counts.n_detected, counts.n_found, counts.n_split, counts.n_matched) == (2, 2, 0, 2)
    assert counts.start_error_s.median_s == 30 and counts.finish_error_s.median_s == -30
    assert [column.tolist() for column in join_abutting(found)[:3]] == [
        [1, 1, 2], [11 * MIN, 60 * MIN, 80 * MIN], [49 * MIN, 80 * MIN, 90 * MIN]
    ]  # fmt: skip
