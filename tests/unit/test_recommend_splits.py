"""What is learnt from and what is looked for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.recommendation.lists import rank_targets
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.simple_rules import Data, Popularity
from pipeline.evaluation.recommendation.splitting import (
    ANY,
    DAY_US,
    EVERY_NEW,
    EVERY_RARE,
    NEW,
    RARE,
    TARGETS,
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
    assert split.is_catalogued.tolist() == [True, True, True, True]
    assert pairs(split.targets[NEW]) == [(0, 2), (3, 1)]
    assert pairs(split.targets[EVERY_NEW]) == [(0, 2), (0, 3), (3, 1)]
    assert pairs(split.targets[ANY]) == [(0, 0), (1, 2), (3, 1)]
    assert split.counts == {
        "n_training": 5, "n_held_out": 7, "n_held_out_outside_catalogue": 1, "n_people_training": 3,
        "n_people_held_out": 3, "n_people_any_target": 3, "n_people_new_target": 2, "n_new_targets": 3,
        "n_people_cold": 1, "n_places_catalogue": 4, "n_places_cold": 0, "n_hidden": 0, "n_record": 5,
        "n_people_rare_target": 0, "n_rare_targets": 0,
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
    outer = split_check_ins(make_check_ins(ROWS), TWO_WEEKS)
    first_us = outer.training["at_us"].min()
    inner = validation_split(outer, TWO_WEEKS)
    # A fourth of a training span of less than eight weeks, or the days of the hold-out.
    assert inner.now_us == int(outer.now_us - (outer.now_us - first_us) / 4)
    assert first_us <= inner.training["at_us"].max() < inner.now_us
    day = RecommendParams(holdout_days=1.0)
    assert validation_split(outer, day).now_us == outer.now_us - DAY_US
    rows = [(0, 0, 1), (0, 1, 2), (0, 0, 3), (0, 2, 9, True), (1, 2, 5)]
    inner = validation_split(split_check_ins(make_check_ins(rows), TWO_WEEKS), TWO_WEEKS)
    # Of person 0 the last new place of training is 1, of person 1 it is 2, which nobody else visits.
    assert inner.training[["person", "place"]].to_numpy().tolist() == [[0, 0]]
    assert pairs(inner.targets[NEW]) == []
    inner = validation_split(split_check_ins(make_check_ins(rows, told=[1]), TWO_WEEKS), TWO_WEEKS)
    assert pairs(inner.targets[NEW]) == [(0, 1)]


def test_hidden_people_and_places_are_cold():
    rows = [(p, (p + q) % 10, 1) for p in range(30) for q in range(7)] + [
        (p, q, 20) for p in range(30) for q in range(10)
    ]
    params = RecommendParams(hidden_share=0.3)
    check_ins = make_check_ins(rows, told=range(10))
    split = split_check_ins(check_ins, params)
    assert split.counts["n_hidden"] > 0 and split.counts["n_people_cold"] > 0 and split.counts["n_places_cold"] > 0
    same = split_check_ins(make_check_ins(rows[::-1], told=range(10)), params)
    np.testing.assert_array_equal(split.training, same.training)
    # Hidden or not: who was at a place before does not find it as a new one.
    assert sorted(pairs(split.targets[EVERY_NEW])) == [
        (p, q) for p in range(30) for q in range(10) if (q - p) % 10 >= 7
    ]


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
    known = sorted({place for _, place, _ in training})
    assert {person: known[place] for person, place in pairs(found.targets[NEW])} == expected


KINDS = ["Food", "Food", "Food", "Shop", "Shop", None]


def test_lists_of_the_rare_type_hold_that_type_alone():
    rows = [(0, 0, 1), (1, 1, 1), (1, 2, 2), (2, 3, 1), (2, 4, 2), (0, 1, 20), (0, 4, 21), (0, 3, 22), (1, 0, 20)]
    rows += [(3, 3, 19)]
    split = split_check_ins(make_check_ins(rows, category=KINDS[:5]), RecommendParams(rare_share=0.3))
    assert split.world.place_type.tolist() == [1, 1, 1, 0, 0]
    # Person 1 has no new shop. Lists of new places hold all.
    assert pairs(split.targets[RARE]) == [(0, 4), (3, 3)]
    assert pairs(split.targets[EVERY_RARE]) == [(0, 4), (0, 3), (3, 3)]
    assert split.targets[RARE].may_list.tolist() == [False, False, False, True, True]
    assert split.targets[NEW].may_list.all()
    assert split.counts["n_people_rare_target"] == 2 and split.counts["n_rare_targets"] == 3
    listed = rank_targets(Far(), split, TARGETS, 10)
    assert listed[RARE].rank.tolist() == [1, 2]  # places 4 and 3, of warm and of cold people
    assert listed[RARE].is_listed.tolist() == [[False, False, False, True, True]] * 2
    assert listed[NEW].is_listed[1].tolist() == [True, True, True, True, True]


class Far:
    """Recommends the places of high numbers."""

    def scores(self, people):
        return np.tile(np.arange(5.0), (len(people), 1))


def test_all_methods_learn_from_the_same_days_and_visited_is_of_all_days():
    """Person 0 was at place 0 long ago: nothing is learnt of that, but place 0 is not new, nor in the list."""
    rows = [(0, 0, 1), (0, 1, 150), (1, 0, 150), (1, 2, 150), (2, 3, 1), (0, 0, 198), (0, 2, 199), (2, 1, 200)]
    split = split_check_ins(make_check_ins(rows), TWO_WEEKS)
    assert split.training["at_us"].min() >= split.now_us - 90 * DAY_US
    assert split.training[["person", "place"]].to_numpy().tolist() == [[0, 1], [1, 0], [1, 2]]
    assert pairs(split.targets[NEW]) == [(0, 2), (2, 1)]
    assert split.is_warm.tolist() == [True, True, False]
    assert split.world.n_places == 3  # place 3 was visited before only
    listed = rank_targets(Popularity(Data(split, TWO_WEEKS, None)), split, [NEW], 10)[NEW]
    assert listed.is_listed[1].tolist() == [False, False, True]
    everything = split_check_ins(make_check_ins(rows), RecommendParams(training_days=0))
    assert len(everything.training) == 5 and everything.is_warm.all()
    inner = validation_split(everything, TWO_WEEKS)
    assert len(inner.training) == 5


def test_with_a_second_file_days_count_back_from_everybodys_own_end():
    rows = [(0, 0, 1), (0, 1, 99), (0, 2, 100), (0, 0, 101, True), (0, 3, 102, True), (1, 3, 500), (1, 2, 501, True)]
    split = split_check_ins(make_check_ins(rows), TWO_WEEKS)
    # Place 0, which training does not have, has no number: the others move up.
    assert split.training[["person", "place"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 2]]
    assert split.training.groupby("person")["at_us"].max().tolist() == [split.now_us - 1] * 2


def test_the_hold_out_tells_nothing_of_places():
    """Check-ins of the hold-out that tell other categories, and places that only they have, change nothing."""
    rows = [(0, 0, 1), (1, 1, 1), (1, 2, 2), (0, 1, 20), (0, 2, 21), (2, 0, 21)]
    fields = {"category": ["Food", "Food", "Shop"], "name": ["a", "b", "c"]}
    plain = make_check_ins(rows, **fields)
    other = make_check_ins([*rows, (1, 3, 19), (2, 4, 21)], category=[*fields["category"], "Art", "Art"], name=None)
    late = other.rows["at_us"] >= 7 * DAY_US
    other.rows.loc[late, "category"] = "Museum > Art"
    other.rows.loc[~late, "name"] = other.rows["place"].map(dict(enumerate(fields["name"])))
    wide = RecommendParams(rare_share=0.1)
    one, two = split_check_ins(plain, wide), split_check_ins(other, wide)
    pd.testing.assert_frame_equal(one.world.places, two.world.places)
    assert one.world.place_type.tolist() == two.world.place_type.tolist() == [1, 1, 0]
    pd.testing.assert_frame_equal(one.training, two.training)
    assert pairs(one.targets[NEW]) == pairs(two.targets[NEW])
    # A table of places does tell.
    told = split_check_ins(
        make_check_ins([*rows, (2, 4, 21)], told=[3, 4], category=[*fields["category"], "Art", "Art"]), wide
    )
    assert told.world.places["category"].tolist() == ["Food", "Food", "Shop", "Art", "Art"]
