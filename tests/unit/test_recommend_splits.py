"""What is learnt from and what is looked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.splitting import (
    ANY,
    DAY_US,
    EVERY_NEW,
    NEW,
    split_check_ins,
    validation_split,
)
from pipeline.study import StudyError
from tests.check_in_rows import make_check_ins
from tests.naive_recommend import first_new_places

TWO_WEEKS = RecommendParams()
# Places 0 to 4; the last day is 30, so the hold-out begins with day 16. Person 3 comes only then.
ROWS = [
    (0, 0, 1), (0, 1, 2), (0, 0, 16), (0, 4, 17), (0, 2, 18), (0, 3, 19), (0, 2, 20),
    (1, 2, 3), (1, 3, 15), (1, 2, 30),
    (2, 1, 4),
    (3, 1, 29),
]  # fmt: skip


def pairs(targets):
    return list(zip(targets.person.tolist(), targets.place.tolist(), strict=True))


def test_the_last_days_are_held_out():
    split = split_check_ins(make_check_ins(ROWS), TWO_WEEKS)
    assert split.now_us == 16 * DAY_US
    assert len(split.training) == 5
    # Place 4 is outside of the catalogue: nobody was there before. Person 0 goes to 0 again, then to 2, which is new.
    assert split.is_catalogued.tolist() == [True, True, True, True, False]
    assert pairs(split.targets[NEW]) == [(0, 2), (3, 1)]
    assert pairs(split.targets[EVERY_NEW]) == [(0, 2), (0, 3), (3, 1)]
    assert pairs(split.targets[ANY]) == [(0, 0), (1, 2), (3, 1)]
    assert split.counts == {
        "n_training": 5, "n_held_out": 7, "n_held_out_outside_catalogue": 1, "n_people_training": 3,
        "n_people_held_out": 3, "n_people_any_target": 3, "n_people_new_target": 2, "n_new_targets": 3,
        "n_people_cold": 1, "n_places_catalogue": 4, "n_places_cold": 0, "n_hidden": 0,
    }  # fmt: skip


def test_a_table_of_places_brings_cold_places_into_the_catalogue():
    split = split_check_ins(make_check_ins(ROWS, told=[4]), TWO_WEEKS)
    assert pairs(split.targets[NEW]) == [(0, 4), (3, 1)]
    assert (split.counts["n_places_cold"], split.counts["n_held_out_outside_catalogue"]) == (1, 0)


def test_a_second_file_holds_out_person_by_person():
    rows = [(0, 0, 1), (0, 1, 2, True), (1, 1, 50), (1, 0, 60, True), (1, 1, 61, True)]
    split = split_check_ins(make_check_ins(rows), TWO_WEEKS)
    assert len(split.training) == 2
    assert split.now_us == 50 * DAY_US + 1
    assert pairs(split.targets[NEW]) == pairs(split.targets[ANY]) == [(0, 1), (1, 0)]


def test_validation_lies_inside_training():
    check_ins = make_check_ins(ROWS)
    inner = validation_split(split_check_ins(check_ins, TWO_WEEKS), check_ins, TWO_WEEKS)
    assert inner.now_us == 2 * DAY_US
    assert inner.training["at_us"].max() < 2 * DAY_US
    rows = [(0, 0, 1), (0, 1, 2), (0, 0, 3), (0, 2, 9, True), (1, 2, 5)]
    check_ins = make_check_ins(rows)
    inner = validation_split(split_check_ins(check_ins, TWO_WEEKS), check_ins, TWO_WEEKS)
    # Of person 0 the last new place of training is 1, of person 1 it is 2, which nobody else visits.
    assert inner.training[["person", "place"]].to_numpy().tolist() == [[0, 0]]
    assert pairs(inner.targets[NEW]) == []
    inner = validation_split(split_check_ins(make_check_ins(rows, told=[1]), TWO_WEEKS), check_ins, TWO_WEEKS)
    assert not len(inner.targets[NEW].person)


def test_hidden_people_and_places_are_cold():
    rows = [(p, q, d) for p in range(30) for q in range(10) for d in (1, 20)]
    params = RecommendParams(hidden_share=0.3)
    check_ins = make_check_ins(rows, told=range(10))
    split = split_check_ins(check_ins, params)
    assert split.counts["n_hidden"] > 0 and split.counts["n_people_cold"] > 0 and split.counts["n_places_cold"] > 0
    same = split_check_ins(make_check_ins(rows[::-1], told=range(10)), params)
    np.testing.assert_array_equal(split.training, same.training)
    # A person who is not hidden has only hidden places to find.
    warm = np.isin(split.targets[NEW].person, split.training["person"])
    assert not np.isin(split.targets[NEW].place[warm], split.training["place"]).any()


def test_nothing_to_learn_or_to_find_is_told():
    with pytest.raises(StudyError, match="--holdout-days"):
        split_check_ins(make_check_ins([(0, 0, 1), (0, 1, 2)]), TWO_WEEKS)
    with pytest.raises(StudyError, match="--holdout-days"):
        split_check_ins(make_check_ins([(0, 0, 1), (0, 0, 20)]), TWO_WEEKS)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 40)), min_size=1, max_size=40))
def test_first_new_places_are_those_of_the_slow_way(rows):
    rows = sorted(set(rows))
    cut = max(day for *_, day in rows) - 14
    training, held_out = [r for r in rows if r[2] < cut], [r for r in rows if r[2] >= cut]
    expected = first_new_places(training, held_out, {place for _, place, _ in training})
    if not expected:
        with pytest.raises(StudyError):
            split_check_ins(make_check_ins(rows), TWO_WEEKS)
        return
    found = split_check_ins(make_check_ins(rows), TWO_WEEKS)
    assert dict(pairs(found.targets[NEW])) == expected
