"""Routines: scores worked out by hand, planted sequences, and what is refused."""

import math

import numpy as np
import pytest

from pipeline.kernels.keyed_random import keyed_bits
from pipeline.kernels.pattern_scores import expected_of, odds_of, score_of
from pipeline.kernels.place_sequences import place_sequences
from pipeline.kernels.routines import find_routines

STREAM = keyed_bits(np.arange(1), "test", 1)
N_SHUFFLES, N_ABOVE = 199, 3
# A week of work with a gym and a bar after it on four days, among errands that never recur in the same order.
HOME, WORK, GYM, BAR = 0, 1, 2, 3
WEEK = [
    *(HOME, WORK, GYM, BAR, HOME, 4, HOME, WORK, GYM, BAR, 5, HOME, 6, WORK, GYM, BAR, HOME, 7, 4, 6),
    *(HOME, 5, 7, HOME, WORK, GYM, BAR, HOME, 6, 5, 4, 7, 5, 6, 4, HOME, 7, 6, 5, HOME),
]


def found_in(sequence, **settings):
    """Routines of one sequence as lists of places, and what they cover."""
    given = {"n_shuffles": N_SHUFFLES, "n_above": N_ABOVE, "has_repeats": False} | settings
    sequences = place_sequences(np.array([0, len(sequence)]), np.array(sequence), not given["has_repeats"])
    found = find_routines(sequences.start, sequences.symbol, STREAM, **given)
    patterns = [sequence[a : a + n] for a, n in zip(found.start, found.length, strict=True)]
    return patterns, found


def test_a_routine_among_errands():
    patterns, found = found_in(WEEK)
    assert patterns == [[WORK, GYM, BAR]]
    assert found.n_occurrences.tolist() == [4]
    assert found.is_covered.sum() == 12
    assert [WEEK[k] for k in np.flatnonzero(found.is_covered)] == [WORK, GYM, BAR] * 4


def test_an_order_that_is_forced_is_no_routine():
    """Home and work in turn: there is no other order of these places in which none follows itself but the reverse."""
    assert found_in([0, 1] * 20)[0] == []
    # Where places may follow themselves the same sequence is one of 1e11 orders, and nothing but routine.
    assert found_in([0, 1] * 20, has_repeats=True)[0] != []


def test_short_sequences_have_none():
    for sequence in ([], [0], [0, 1], [0, 1, 0], [0, 1, 0, 1]):
        assert found_in(sequence)[0] == []


def test_occurrences_of_a_better_routine_do_not_count_again():
    """The rules of a week that repeats itself nest; each visit is explained once."""
    week = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    patterns, found = found_in(week * 8)
    assert len(patterns) == 1
    assert len(patterns[0]) % 10 == 0
    assert found.n_occurrences[0] * found.length[0] == found.is_covered.sum()


def test_expected_counts_where_places_may_follow_themselves():
    """0 0 1 1 ...: shares of a half, 19 pairs: 0 1 is expected 19 / 4 times."""
    odds = odds_of(np.repeat([0, 1], 10), True)
    log_expected, spread = expected_of(np.repeat([0, 1], 10), 9, 2, odds)
    assert math.exp(log_expected) == pytest.approx(4.75)
    assert spread == pytest.approx((1 - 0.475) ** 2)
    assert score_of(8, log_expected, spread) == pytest.approx(math.sqrt(2 * (8 * math.log(8 / 4.75) - 3.25)) / 0.525)
    assert score_of(4, log_expected, spread) == 0


def test_occurrences_that_overlap_are_expected_once():
    """0 0 occurs in a run of three once: 19 / 4, each followed by another half of the time."""
    odds = odds_of(np.repeat([0, 1], 10), True)
    assert math.exp(expected_of(np.repeat([0, 1], 10), 0, 2, odds)[0]) == pytest.approx(4.75 / 1.5)


def test_expected_pairs_of_places_that_never_follow_themselves():
    """Three places alike: each of six pairs a sixth of the time, 29 / 6."""
    sequence = np.tile([0, 1, 2], 10)
    assert math.exp(expected_of(sequence, 0, 2, odds_of(sequence, False))[0]) == pytest.approx(29 / 6)


def test_places_are_numbered_in_order_of_appearance():
    sequences = place_sequences(np.array([0, 5, 5, 8]), np.array([9, 9, -4, 9, 7, 5, 5, 5]), True)
    assert sequences.start.tolist() == [0, 4, 4, 5]
    assert sequences.symbol.tolist() == [0, 1, 0, 2, 0]
    assert sequences.n_visits.tolist() == [2, 1, 1, 1, 3]
    kept = place_sequences(np.array([0, 5, 5, 8]), np.array([9, 9, -4, 9, 7, 5, 5, 5]), False)
    assert kept.symbol.tolist() == [0, 0, 1, 0, 2, 0, 0, 0]
    assert kept.start.tolist() == [0, 5, 5, 8]


def test_what_disagrees_is_refused():
    start, symbol = np.array([0, 2]), np.array([0, 1])
    with pytest.raises(ValueError, match="same rows"):
        find_routines(start, symbol[:1], STREAM, 19, 0, False)
    with pytest.raises(ValueError, match="n_above"):
        find_routines(start, symbol, STREAM, 19, 19, False)
    with pytest.raises(ValueError, match="follow themselves"):
        find_routines(start, np.array([0, 0]), STREAM, 19, 0, False)
    with pytest.raises(ValueError, match="same rows"):
        place_sequences(start, symbol[:1], True)
