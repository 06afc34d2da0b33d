"""Lists, ranks and figures: worked examples, and the slow way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.recommendation.comparing import (
    FAILS,
    HOLDS,
    UNDECIDED,
    compare_people,
    compare_seeds,
    mean_with_interval,
)
from pipeline.evaluation.recommendation.lists import rank_targets
from pipeline.evaluation.recommendation.orderings import find_orderings
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.scoring import Ranks, score_ranks, strata_of
from pipeline.evaluation.recommendation.splitting import ANY, EVERY_NEW, NEW, TARGETS
from pipeline.models.places.ranked_lists import NOTHING, coverage, find_ranks, hits, reciprocal_ranks, top_places
from tests import naive_recommend as naive
from tests.check_in_rows import make_check_ins, split_data

PARAMS = RecommendParams(n_resamples=200)


class Fixed:
    """The same scores for all, or none for some."""

    def __init__(self, scores, silent=()):
        self._scores, self._silent = np.asarray(scores, float), set(silent)

    def scores(self, people):
        return np.array([self._scores * (np.nan if p in self._silent else 1) for p in people.tolist()])


def test_figures_of_four_ranks():
    rank = np.array([1, 4, 11, 0])
    assert hits(rank, 10).mean() == 0.5
    assert reciprocal_ranks(rank).mean() == pytest.approx((1 + 1 / 4 + 1 / 11) / 4)
    assert coverage(np.array([True, True, False, True]), np.array([True, False, True, True])) == pytest.approx(2 / 3)


def test_lists_leave_out_what_was_visited_and_what_is_unknown():
    # Training: person 0 at 0 and 1, person 1 at 1, 2 and 3. Hold-out: 0 goes to 2, 1 to 0, 2 (cold) to 1.
    rows = [(0, 0, 1), (0, 1, 2), (1, 1, 1), (1, 2, 2), (1, 3, 2), (0, 2, 20), (1, 0, 20), (2, 1, 20), (0, 4, 19)]
    data = split_data(make_check_ins(rows))
    # Of equal popularity are 0, 2 and 3; nobody was at 4 in training, so it has no number.
    listed = rank_targets(Fixed([9, 8, 1, 7]), data.split, [NEW], 2)[NEW]
    # 0: 3, 2 → rank 2. 1: 0 → rank 1. 2 (nothing visited): 0, 1 → rank 2. Place 4 is in no list.
    assert listed.rank.tolist() == [2, 1, 2]
    assert listed.is_listed.tolist() == [[True, True, False, False], [True, False, True, True]]  # of cold, of warm
    silent = rank_targets(Fixed([9, 8, 1, 7], {2}), data.split, [NEW, ANY], 2)
    assert silent[NEW].n_without_answer.tolist() == [1, 0]
    assert silent[NEW].rank.tolist() == [2, 1, 1]  # the most popular place is 1
    assert silent[ANY].rank.tolist() == [0, 1, 1]
    assert rank_targets(Fixed([9, 8, 1, 7]), data.split, [ANY], 4)[ANY].rank.tolist() == [4, 1, 2]


def test_equal_scores_go_by_popularity_then_number():
    order = np.array([2, 0, 1, 3])
    assert top_places(np.array([[1.0, 1.0, 1.0, 2.0]]), order, 3).tolist() == [[3, 2, 0]]
    assert top_places(np.array([[-np.inf, 1.0, -np.inf, -np.inf]]), order, 3).tolist() == [[1, NOTHING, NOTHING]]
    assert find_ranks(np.array([[1, NOTHING], [3, 2]]), np.array([1, 0])).tolist() == [1, 0]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n_places=st.integers(1, 8), n_listed=st.integers(1, 9))
def test_ranks_are_those_of_the_slow_way(data, n_places, n_listed):
    numbers = st.lists(st.integers(0, 3), min_size=n_places, max_size=n_places)
    scores, popularity = data.draw(numbers), data.draw(numbers)
    allowed = [p for p in range(n_places) if data.draw(st.booleans())]
    target = data.draw(st.integers(0, n_places - 1))
    order = np.lexsort((np.arange(n_places), -np.array(popularity)))
    row = np.array([s if p in allowed else -np.inf for p, s in enumerate(scores)], float)
    listed = top_places(row[None], order, n_listed)
    expected = naive.recommend(scores, popularity, allowed, n_listed)
    assert [p for p in listed[0].tolist() if p != NOTHING] == expected
    rank = find_ranks(listed, np.array([target]))
    assert rank.tolist() == [naive.rank(expected, target)]
    assert hits(rank, 3).mean() == naive.hit_rate(rank.tolist(), 3)
    assert reciprocal_ranks(rank).mean() == naive.mean_reciprocal_rank(rank.tolist())


def test_people_count_alike_whatever_the_number_of_their_places():
    """Person 0 has three places of which the seeds hit 2 and 1; person 1 has one, hit by the second seed only."""
    rank = np.array([[1, 2, 0, 0], [10, 11, 0, 5]])
    is_listed = np.array([[[False, False, False], [True, True, False]], [[False, False, True], [True, False, False]]])
    may_list, is_warm = np.ones(3, bool), np.array([True, True, True, False])
    ranks = Ranks(rank, np.array([0, 0, 0, 1]), is_warm, is_listed, may_list, np.array([1, 0]))
    assert ranks.hits(10).ravel().tolist() == pytest.approx([2 / 3, 0, 1 / 3, 1])
    assert ranks.reciprocal().mean(axis=0).tolist() == pytest.approx([(1 + 1 / 2 + 1 / 10 + 1 / 11) / 6, (1 / 5) / 2])
    strata = {"second": np.array([False, False, False, True]), "nobody": np.zeros(4, bool)}
    scores = score_ranks(ranks, strata, PARAMS)
    assert scores.hr.value == 0.5 and scores.n_seeds == 2
    assert scores.hr_by_seed == pytest.approx([(2 / 3 + 0) / 2, (1 / 3 + 1) / 2])
    assert scores.coverage_by_seed == pytest.approx([2 / 3, 2 / 3]) and scores.n_without_answer == 1
    warm, cold = (score_ranks(ranks.of_kind(kind), {}, PARAMS) for kind in ("warm", "cold"))
    assert warm.coverage_by_seed == pytest.approx([2 / 3, 1 / 3]) and cold.coverage_by_seed == pytest.approx([0, 1 / 3])
    assert (warm.n_people, warm.n_without_answer, cold.n_people, cold.n_without_answer) == (1, 0, 1, 1)
    assert warm.hr.value == 0.5 and cold.hr.value == 0.5 and cold.hr_by_seed == [0, 1]
    assert scores.parts["second"].n_people == 1 and scores.parts["second"].hr.value == 0.5
    assert scores.parts["nobody"].n_people == 0 and math.isnan(scores.parts["nobody"].hr.value)


def test_kinds_of_targets():
    # Places: 0, 1 food; 2 shop, 3 of no kind. Person 0 knows food; 1 is cold. Place 3 is told and nobody was there.
    categories = ["Food > Bar", "Food > Cafe", "Shop", None]
    rows = [(0, 0, 1), (2, 1, 1), (2, 2, 1), (3, 2, 1), (0, 1, 20), (0, 2, 21), (0, 3, 22), (1, 0, 20)]
    data = split_data(make_check_ins(rows, told=[3], category=categories), RecommendParams(popular_share=0.25))
    targets = data.split.targets[EVERY_NEW]
    assert list(zip(targets.person.tolist(), targets.place.tolist(), strict=True)) == [(0, 1), (0, 2), (0, 3), (1, 0)]
    kinds = {name: of.tolist() for name, of in strata_of(data, targets).items()}
    assert kinds == {
        "cold_place": [False, False, True, False],
        "new_kind": [False, True, False, False],
        "long_tail": [True, False, True, True],  # the most visited quarter is place 2
    }


def test_verdicts():
    random = np.random.default_rng(0)
    worse = random.random(300)
    for shift, verdict in ((0.2, HOLDS), (-0.2, FAILS), (0.0, UNDECIDED)):
        noise = random.normal(0, 0.1, 300)
        difference, found = compare_people((worse + shift + noise - noise.mean())[None], worse[None], PARAMS)
        assert found == verdict and difference.low < difference.value < difference.high
        assert difference.value == pytest.approx(shift)
    figure, verdict = compare_seeds(np.array([0.5, 0.6]), np.array([0.4]))
    assert (figure, verdict) == (pytest.approx((0.15, 0.1, 0.2)), HOLDS)
    assert compare_seeds(np.array([0.5, 0.3]), np.array([0.4]))[1] == UNDECIDED
    assert compare_seeds(np.array([0.3, 0.2]), np.array([0.4]))[1] == FAILS
    assert compare_seeds(np.array([0.3]), np.array([0.4]))[1] == UNDECIDED


def test_an_interval_is_about_two_standard_errors_wide_and_the_same_again():
    values = (np.arange(400) % 2).astype(float)[None]
    found = mean_with_interval(values, RecommendParams())
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(4 * 0.5 / 20, rel=0.1)
    assert mean_with_interval(values, RecommendParams()) == found
    assert all(math.isnan(value) for value in mean_with_interval(np.zeros((2, 0)), PARAMS))


def test_an_interval_holds_the_variance_by_seeds():
    """People differ by nothing, seeds by much: an interval over people alone would be a point."""
    by_seed = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    values = np.repeat(by_seed[:, None], 50, axis=1)
    found = mean_with_interval(values, RecommendParams())
    assert found.value == pytest.approx(0.3)
    assert found.high - found.low == pytest.approx(2 * 1.96 * by_seed.std() / 5**0.5, rel=0.15)
    difference, verdict = compare_people(values, np.full((1, 50), 0.25), PARAMS)
    assert verdict == UNDECIDED and difference.low < 0 < difference.high
    _, verdict = compare_people(values, np.full((1, 50), 0.05), PARAMS)
    assert verdict == HOLDS


@settings(max_examples=20, deadline=None)
@given(data=st.data(), n_people=st.integers(1, 6), n_seeds=st.integers(1, 3))
def test_resampled_means_are_those_of_the_slow_way(data, n_people, n_seeds):
    numbers = st.lists(st.floats(0, 1), min_size=n_people, max_size=n_people)
    values = np.array([data.draw(numbers) for _ in range(n_seeds)])
    found = mean_with_interval(values, PARAMS)
    expected = naive.resampled_interval(values.tolist(), PARAMS.n_resamples, PARAMS.confidence)
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_claim_is_judged_by_its_people_and_their_lists():
    """The paper's are of warm people and lists of the rare type; the same of all places are ours."""

    def ranks(warm, cold):
        listed = np.zeros((1, 2, 3), bool)
        return Ranks(np.array([[warm] * 20 + [cold]]), np.arange(21), np.arange(21) < 20, listed, np.ones(3, bool),
                     np.zeros(2, int))  # fmt: skip

    full, towers = ranks(1, 0), ranks(0, 1)
    run = {target: {"two_tower_hgnn": full, "two_towers": towers} for target in TARGETS}
    found = {(o.target, o.people, o.metric): o for o in find_orderings(run, PARAMS)}
    assert found["rare", "warm", "hr"].claim == "paper" and found["rare", "warm", "hr"].verdict == HOLDS
    assert found["rare", "warm", "hr"].n_people == 20
    assert found["rare", "cold", "hr"].claim == "paper" and found["rare", "cold", "hr"].verdict == FAILS
    assert {found[target, "warm", "hr"].claim for target in ("new", "every_new", "every_rare")} == {"ours"}
