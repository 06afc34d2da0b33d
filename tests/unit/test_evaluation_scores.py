"""Worked examples of scores, labels and thinning."""

import math

import numpy as np
import pytest

from pipeline.evaluation.scores import labels_of, score_labels, thin

S = 1_000_000


def test_a_worked_example():
    # 6 pings in a stop and 4 on the move; one of the stop is missed, two of the move are false stops.
    truth = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0], bool)
    found = np.array([1, 1, 1, 1, 1, 0, 1, 1, 0, 0], bool)
    scores = score_labels(truth, found)
    assert scores.n == 10
    assert scores.precision_stop == pytest.approx(5 / 7)
    assert scores.recall_stop == pytest.approx(5 / 6)
    assert scores.f1_stop == pytest.approx(10 / 13)
    assert scores.precision_move == pytest.approx(2 / 3)
    assert scores.recall_move == pytest.approx(2 / 4)
    assert scores.f1_move == pytest.approx(4 / 7)
    assert scores.macro_f1 == pytest.approx((10 / 13 + 4 / 7) / 2)
    assert scores.mcc == pytest.approx((5 * 2 - 1 * 2) / math.sqrt(6 * 4 * 7 * 3))
    assert scores.accuracy == pytest.approx(0.7)


def test_a_weight_of_two_is_a_ping_twice():
    truth, found = np.array([1, 1, 0, 0], bool), np.array([1, 0, 0, 1], bool)
    weight = np.array([2.0, 1.0, 3.0, 1.0])
    times = weight.astype(int)
    heavy, repeated = score_labels(truth, found, weight), score_labels(truth.repeat(times), found.repeat(times))
    assert heavy.n == 4 and repeated.n == 7
    assert heavy[1:] == pytest.approx(repeated[1:])


def test_always_stop_has_no_precision_of_move_and_no_correlation():
    scores = score_labels(np.array([1, 1, 1, 0], bool), np.ones(4, bool))
    assert scores.f1_stop == pytest.approx(6 / 7)
    assert math.isnan(scores.precision_move) and scores.recall_move == 0 and scores.f1_move == 0
    assert scores.macro_f1 == pytest.approx(3 / 7)
    assert scores.mcc == 0


def test_a_class_neither_there_nor_found_is_left_out_of_the_mean():
    scores = score_labels(np.ones(3, bool), np.array([1, 1, 1], bool))
    assert math.isnan(scores.f1_move) and scores.macro_f1 == 1
    assert math.isnan(scores.mcc)


def test_no_pings_give_no_figures():
    scores = score_labels(np.zeros(0, bool), np.zeros(0, bool))
    assert scores.n == 0 and all(math.isnan(value) for value in scores[1:])


@pytest.mark.parametrize("weight", [np.ones(3), np.array([1.0, -1.0]), np.array([1.0, math.nan])])
def test_weights_that_make_no_sense_are_refused(weight):
    with pytest.raises(ValueError):
        score_labels(np.ones(2, bool), np.ones(2, bool), weight)


def test_both_ends_are_inside_and_another_device_is_not():
    device = np.array([1, 1, 1, 1, 2, 1])
    at = np.array([9, 10, 20, 21, 15, 15]) * S
    inside = labels_of(device, at, np.array([1]), np.array([10 * S]), np.array([20 * S]))
    assert inside.tolist() == [False, True, True, False, False, True]


def test_stays_may_touch_overlap_and_come_in_any_order():
    started, finished = np.array([30, 0, 5, 40]), np.array([40, 10, 7, 50])
    at = np.array([8, 20, 40, 45, 10, 11, 51])
    inside = labels_of(np.ones(7, int), at, np.ones(4, int), started, finished)
    assert inside.tolist() == [True, False, True, True, True, False, False]


def test_an_instant_is_a_stay_and_a_reversed_one_is_refused():
    assert labels_of(np.array([1]), np.array([5]), np.array([1]), np.array([5]), np.array([5])).tolist() == [True]
    with pytest.raises(ValueError, match="before it starts"):
        labels_of(np.array([1]), np.array([5]), np.array([1]), np.array([6]), np.array([5]))


def test_thinning_counts_from_the_last_ping_kept():
    at = np.array([0, 40, 60, 100, 119, 121, 500, 0, 59]) * S
    device = np.array([1, 1, 1, 1, 1, 1, 1, 2, 2])
    assert thin(device, at, 60).tolist() == [True, False, True, False, False, True, True, True, False]
    assert thin(device, at, 0).all()


def test_thinning_refuses_pings_out_of_order():
    with pytest.raises(ValueError, match="sorted"):
        thin(np.array([1, 1]), np.array([2, 1]), 60)
