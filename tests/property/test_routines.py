"""Routines against their naive twins and their own invariances."""

from itertools import pairwise

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.kernels.keyed_random import keyed_bits
from pipeline.kernels.pattern_scores import count_of, expected_of, odds_of, places_of, score_of
from pipeline.kernels.place_sequences import place_sequences
from pipeline.kernels.routines import find_routines
from pipeline.kernels.sequence_shuffles import shuffle
from pipeline.kernels.sequitur import sequitur
from tests import naive_routines as naive
from tests.planted_routines import orderless, place_shares, planted

seeds = st.integers(0, 2**32 - 1)
N_SHUFFLES, N_ABOVE = 39, 1


@st.composite
def sequences(draw, min_size=0, max_size=40):
    """(sequence numbered in order of appearance, whether places follow themselves)."""
    rng = np.random.default_rng(draw(seeds))
    n, m, has_repeats = draw(st.integers(min_size, max_size)), draw(st.integers(3, 7)), draw(st.booleans())
    if has_repeats:
        rows = rng.integers(0, m, n)
    elif draw(st.booleans()):
        rows = np.array(orderless(rng, n, place_shares(m, 1.0)), np.int64)
    else:
        rows = np.array(planted(rng, n, place_shares(m, 0.5), [3], 4).sequence, np.int64)
    symbol = place_sequences(np.array([0, rows.size]), rows, False).symbol
    return symbol, has_repeats


def routines_of(symbol, stream, has_repeats, start=None, **settings):
    start = np.array([0, symbol.size]) if start is None else start
    return find_routines(start, symbol, stream, N_SHUFFLES, N_ABOVE, has_repeats, **settings)


@given(sequences(min_size=4))
@settings(max_examples=150, deadline=None)
def test_scores_are_those_of_the_naive_twin(drawn):
    symbol, has_repeats = drawn
    odds, grammar = odds_of(symbol, has_repeats), sequitur(symbol)
    places = places_of(symbol, odds.n_visits)
    ours = []
    for start, length in zip(grammar.start[1:], grammar.length[1:], strict=True):
        log_expected, spread = expected_of(symbol, start, length, odds)
        count = count_of(symbol, start, length, odds.n_visits, places)
        ours.append((score_of(count, log_expected, spread), symbol[start : start + length].tolist()))
    theirs = naive.naive_candidates(symbol.tolist(), not has_repeats)
    assert [pattern for _, pattern in ours] == [pattern for _, pattern in theirs]
    np.testing.assert_allclose([a for a, _ in ours], [b for b, _ in theirs], rtol=1e-6, atol=1e-5)


def naive_answer(sequence, stream, has_repeats):
    """Routines by plain loops over the same shuffled sequences."""
    state, middle = np.array([stream], np.uint64), np.array(sequence)
    shuffle(middle, state, has_repeats)
    best = []
    for _ in range(N_SHUFFLES):
        shuffled = middle.copy()
        shuffle(shuffled, state, has_repeats)
        scores = [score for score, _ in naive.naive_candidates(shuffled.tolist(), not has_repeats)]
        best.append(max(scores, default=0.0))
    cut = sorted(best)[-1 - N_ABOVE] + 1e-6
    return naive.naive_routines(sequence, naive.naive_candidates(sequence, not has_repeats), cut, 2), cut


@given(sequences(min_size=8, max_size=30), seeds)
@settings(max_examples=40, deadline=None)
def test_routines_are_those_of_the_naive_twin(drawn, seed):
    symbol, has_repeats = drawn
    stream = keyed_bits(np.arange(1), "test", seed)
    (patterns, is_taken), cut = naive_answer(symbol.tolist(), stream[0], has_repeats)
    scores = [score for score, _ in naive.naive_candidates(symbol.tolist(), not has_repeats)]
    # Scores within rounding of the cut or of each other may fall either way.
    near = sorted([*scores, cut])
    assume(all(b - a > 1e-5 or b < cut for a, b in pairwise(near)))
    found = routines_of(symbol, stream, has_repeats)
    assert [symbol[a : a + n].tolist() for a, n in zip(found.start, found.length, strict=True)] == patterns
    assert found.is_covered.tolist() == is_taken


@given(sequences(), seeds)
@settings(max_examples=100, deadline=None)
def test_shuffled_sequences_are_of_the_same_places_and_keep_the_rule(drawn, seed):
    symbol, has_repeats = drawn
    shuffled = symbol.copy()
    shuffle(shuffled, np.array([seed], np.uint64), has_repeats)
    assert sorted(shuffled) == sorted(symbol)
    if not has_repeats:
        assert (shuffled[1:] != shuffled[:-1]).all()


def test_shuffled_sequences_are_equally_frequent():
    """All orders of 0 0 1 2 without a repeat, six of them, as often within four standard errors."""
    state, sequence, seen = np.array([7], np.uint64), np.array([0, 1, 0, 2]), {}
    n = 6000
    for _ in range(n):
        shuffle(sequence, state, False)
        seen[tuple(sequence)] = seen.get(tuple(sequence), 0) + 1
    assert len(seen) == 6
    assert max(abs(count - n / 6) for count in seen.values()) < 4 * np.sqrt(n * 5 / 36)


@given(sequences(), sequences(), seeds)
@settings(max_examples=60, deadline=None)
def test_groups_do_not_know_each_other(one, other, seed):
    has_repeats = one[1] or other[1]
    streams = keyed_bits(np.arange(2), "test", seed)
    start = np.array([0, one[0].size, one[0].size + other[0].size])
    both = routines_of(np.concatenate([one[0], other[0]]), streams, has_repeats, start)
    for g, (symbol, _) in enumerate((one, other)):
        alone = routines_of(symbol, streams[g : g + 1], has_repeats)
        here = both.group == g
        assert (both.start[here] - start[g]).tolist() == alone.start.tolist()
        assert both.score[here].tolist() == alone.score.tolist()
        assert both.is_covered[start[g] : start[g + 1]].tolist() == alone.is_covered.tolist()


@given(sequences(), seeds, st.permutations(range(10)))
@settings(max_examples=60, deadline=None)
def test_names_of_places_do_not_matter(drawn, seed, names):
    symbol, has_repeats = drawn
    start = np.array([0, symbol.size])
    renamed = place_sequences(start, np.array(names)[symbol] * 10**15, not has_repeats)
    assert (renamed.symbol == symbol).all()
    assert renamed.n_visits.sum() == symbol.size
