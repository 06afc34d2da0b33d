"""What holds of every evaluation, whatever the pings and stays."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, f1_score, matthews_corrcoef

from pipeline.evaluation.locations import adjusted_rand, evaluate_locations
from pipeline.evaluation.matching import count_stays, match_stays
from pipeline.evaluation.minutes import count_minutes_of_pings, count_minutes_of_stays, covered_until
from pipeline.evaluation.periods import join_abutting, overlaps, sorted_periods
from pipeline.evaluation.scores import labels_of, score_labels, thin
from pipeline.evaluation.stays import evaluate_stays
from pipeline.evaluation.truth import truth_of_labels, truth_of_stays
from tests.naive_evaluation import (
    naive_adjusted_rand,
    naive_is_inside,
    naive_join,
    naive_minutes_of_pings,
    naive_minutes_of_stays,
    naive_overlaps,
    naive_runs,
    naive_stay_counts,
    naive_thin,
)

S = 1_000_000
devices = st.integers(0, 2)
pings = st.lists(st.tuples(devices, st.integers(0, 900)), max_size=40)
stays = st.lists(
    st.tuples(devices, st.integers(0, 900), st.integers(0, 200)).map(lambda s: (s[0], s[1], s[1] + s[2])), max_size=12
)
labels = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30)


def columns(rows, n, scale=S):
    """Arrays of rows of numbers, all but the first column in µs."""
    array = np.array(rows, np.int64).reshape(-1, n)
    return [array[:, 0], *(array[:, k] * scale for k in range(1, n))]


def periods(rows, place=None):
    return sorted_periods(*columns(rows, 3), place)


# --- Scores ---------------------------------------------------------------------------------------


@given(labels)
def test_scores_are_those_of_scikit_learn_where_both_define_them(pairs):
    truth, found = (np.array([pair[k] for pair in pairs], bool) for k in (0, 1))
    scores = score_labels(truth, found)
    for value, name in ((True, "f1_stop"), (False, "f1_move")):
        if (truth == value).any() or (found == value).any():
            assert getattr(scores, name) == pytest.approx(f1_score(truth, found, pos_label=value))
        else:
            assert math.isnan(getattr(scores, name))
    if truth.any() and not truth.all():
        assert scores.mcc == pytest.approx(matthews_corrcoef(truth, found))


@given(labels)
def test_stop_and_move_may_change_names_and_truth_may_change_places_with_found(pairs):
    truth, found = (np.array([pair[k] for pair in pairs], bool) for k in (0, 1))
    scores, renamed, turned = score_labels(truth, found), score_labels(~truth, ~found), score_labels(found, truth)
    same = {"nan_ok": True, "abs": 1e-12}
    assert renamed.macro_f1 == pytest.approx(scores.macro_f1, **same) == pytest.approx(turned.macro_f1, **same)
    assert renamed.mcc == pytest.approx(scores.mcc, **same)
    assert renamed.precision_stop == pytest.approx(scores.precision_move, **same)
    assert turned.precision_stop == pytest.approx(scores.recall_stop, **same)


@given(st.lists(st.booleans(), min_size=1))
def test_a_perfect_answer_scores_one(truth):
    scores = score_labels(np.array(truth), np.array(truth))
    assert scores.macro_f1 == scores.accuracy == 1
    assert scores.mcc == 1 or len(set(truth)) == 1


# --- Labels, thinning, overlaps, minutes against their twins --------------------------------------


@given(pings, stays, st.randoms(use_true_random=False))
def test_labels_are_those_of_the_definition_in_any_order(some_pings, some_stays, random):
    random.shuffle(some_stays)
    found = labels_of(*columns(some_pings, 2), *columns(some_stays, 3))
    assert found.tolist() == naive_is_inside(some_pings, some_stays)


@given(pings, st.integers(0, 300))
@settings(deadline=None)  # compiles at the first call
def test_thinning_is_that_of_the_definition_and_once_is_enough(some_pings, every):
    some_pings.sort()
    device, at = columns(some_pings, 2)
    kept = thin(device, at, every)
    assert kept.tolist() == naive_thin(some_pings, every)
    assert thin(device[kept], at[kept], every).all()


@given(stays, stays, st.sampled_from([0, 1, 60]), st.sampled_from([0, 60]))
def test_overlaps_and_counts_are_those_of_the_definition(true, found, least, min_length):
    true, found = sorted(true), sorted(found)
    pairs = overlaps(periods(true), periods(found), least)
    assert sorted(zip(*(c.tolist() for c in pairs), strict=True)) == [
        (i, j, shared * S) for i, j, shared in naive_overlaps(true, found, least)
    ]
    counts = count_stays(match_stays(periods(true), periods(found), least, min_length))._asdict()
    expected = naive_stay_counts(true, found, least, min_length)
    assert {name: counts[name] for name in expected} == expected


@given(st.lists(st.tuples(devices, st.integers(0, 9), st.integers(0, 5)).map(lambda s: (s[0], s[1], s[1] + s[2]))))
def test_stays_that_abut_are_joined(some):
    some.sort()
    joined = zip(*(column.tolist() for column in join_abutting(periods(some))[:3]), strict=True)
    assert list(joined) == [(d, a * S, b * S) for d, a, b in naive_join(some)]


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=3), stays, stays)
@settings(max_examples=50)
def test_minutes_of_stays_are_those_of_the_definition(ends, true, found):
    spans = [(device, min(pair), max(pair)) for device, pair in enumerate(ends)]
    counts = count_minutes_of_stays(periods(spans), periods(true), periods(found))
    assert counts.tolist() == naive_minutes_of_stays(spans, true, found)


@given(st.lists(st.tuples(devices, st.integers(0, 400), st.booleans(), st.booleans()), max_size=40))
def test_minutes_of_pings_are_those_of_the_definition(some):
    some.sort()
    device, at, *flags = columns(some, 4)
    counts = count_minutes_of_pings(device, at, *(flag.astype(bool) for flag in flags), 3)
    assert counts.tolist() == naive_minutes_of_pings(some, 3)


@given(stays)
def test_time_covered_never_falls_and_ends_at_the_union(some):
    one = periods([(0, start, finish) for _, start, finish in some])
    covered = covered_until(one, np.arange(0, 1200) * S)
    assert (np.diff(covered) >= 0).all() and (np.diff(covered) <= S).all()
    assert covered[-1] == S * len({second for _, start, finish in some for second in range(start, finish)})


@given(st.lists(st.tuples(devices, st.integers(0, 900), st.integers(-3, 1)), max_size=40, unique_by=lambda p: p[:2]))
def test_true_stays_of_labels_are_runs(some):
    some.sort()
    device, at, place = columns(some, 3)
    truth = truth_of_labels(device, at, place // S, 100)
    expected = naive_runs(some, 100)
    found = zip(*(column.tolist() for column in truth.stays), strict=True)
    assert list(found) == [(d, a * S, b * S, p) for d, a, b, p in expected]


# --- Whole evaluations ----------------------------------------------------------------------------

labelled = st.lists(
    st.tuples(devices, st.integers(0, 3000), st.integers(-1, 2)), min_size=1, max_size=60, unique_by=lambda p: p[:2]
)


def labelled_truth(some, shift_s=0):
    device, at, place = columns(sorted(some), 3)
    return truth_of_labels(device, at + shift_s * S, place // S, 600)


@given(labelled)
def test_true_stays_as_an_answer_are_perfect(some):
    truth = labelled_truth(some)
    result = evaluate_stays(truth, truth.stays, overlap_s=0.001, min_stay_s=0)
    for scored in (result.pings, result.minutes, result.observed_minutes):
        assert scored.pooled.accuracy == scored.pooled.macro_f1 == scored.mean_over_devices.macro_f1 == 1
    counts = result.stays
    # An instant between two stays of one device can touch neither: runs of different places share no instant.
    assert counts.n_true == counts.n_found == counts.n_detected == counts.n_matched
    assert counts.n_missed == counts.n_split == counts.n_false == counts.n_merged == 0
    assert counts.n_matched == 0 or counts.start_error_s.median_s == counts.finish_error_s.median_s == 0


@given(labelled, stays, st.integers(-10_000, 10_000).map(lambda minutes: minutes * 60))
def test_a_shift_by_whole_minutes_changes_nothing(some, found, shift_s):
    moved = [(device, start + shift_s, finish + shift_s) for device, start, finish in found]
    here = evaluate_stays(labelled_truth(some), periods(found))
    there = evaluate_stays(labelled_truth(some, shift_s), periods(moved))
    assert repr(here) == repr(there)


@given(stays.filter(bool), stays, st.lists(st.tuples(devices, st.integers(0, 1200)), min_size=1, max_size=30))
def test_devices_are_apart_and_the_pool_is_their_sum(true, found, some_pings):
    device, at = columns(sorted(some_pings), 2)
    truth = truth_of_stays(device, at, periods(true))
    result = evaluate_stays(truth, periods(found))
    assert sum(each.pings.n for each in result.devices) == result.pings.pooled.n
    assert sum(each.minutes.n for each in result.devices) == result.minutes.pooled.n
    assert sum(each.stays.n_detected for each in result.devices) == result.stays.n_detected


# --- Places ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), min_size=2, max_size=30))
def test_the_adjusted_rand_index_is_that_of_scikit_learn_and_of_all_pairs(pairs):
    true, found = (np.array([pair[k] for pair in pairs]) for k in (0, 1))
    assert adjusted_rand(true, found) == pytest.approx(adjusted_rand_score(true, found))
    assert adjusted_rand(true, found) == pytest.approx(naive_adjusted_rand(true.tolist(), found.tolist()))
    assert adjusted_rand(true, found) == adjusted_rand(found, true) == pytest.approx(adjusted_rand(-5 * true, found))


@given(labelled)
def test_true_places_under_other_numbers_are_perfect(some):
    true = labelled_truth(some).stays
    result = evaluate_locations(true, true._replace(place=7 - true.place), min_stay_s=0)
    assert all(value in (1.0,) or math.isnan(value) for value in (result.stays.mean, result.minutes.mean))
    assert result.n_places_true == result.n_places_found
