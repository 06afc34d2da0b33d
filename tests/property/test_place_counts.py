"""Places of groups, their rows and the moves between them: by hand, and against their naive twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.place_counts import (
    count_moves,
    count_places,
    distinct_places,
    frequency_ranks,
    main_places,
    most_first,
    recency_ranks,
    rows_of_places,
)
from tests import naive_place_counts as naive

sequences = st.lists(st.lists(st.integers(-3, 5).map(lambda name: name * 10**15), max_size=25), min_size=1, max_size=4)
"""Rows of groups, in order of time: few places, with any numbers for names."""


def together(groups):
    """(group_start, place)"""
    start = np.cumsum([0, *(len(rows) for rows in groups)])
    return start, np.concatenate(groups).astype(np.int64)


def test_places_and_moves_by_hand():
    """7 8 7 7 9 8 and 8: 7 has three rows, 8 two; 7 to 8 and back, 7 to 9, 9 to 8. The second group never moves."""
    start, place = together([[7, 8, 7, 7, 9, 8], [8]])
    found = count_places(start, place)
    assert found.start.tolist() == [0, 3, 4]
    assert found.first.tolist() == [0, 1, 4, 6]
    assert found.n_rows.tolist() == [3, 2, 1, 1]
    assert main_places(found, 1).tolist() == [True, False, False, True]
    assert frequency_ranks(found).tolist() == [1, 2, 3, 1]
    rows = rows_of_places(start, place, found)
    assert recency_ranks(found, rows).tolist() == [3, 1, 2, 1]
    assert rows.at.tolist() == [0, 1, 0, 0, 2, 1, 3]
    assert rows.before.tolist() == [-1, -1, 0, 2, -1, 1, -1]
    assert rows.last.tolist() == [3, 5, 4, 6]
    night = count_places(start, place, np.array([0, 0, 0, 0, 1, 0, 0], bool))
    assert night.n_rows.tolist() == [0, 0, 1, 0]
    assert place[night.first[main_places(night, 1)]].tolist() == [9, 8]
    moves = count_moves(start, place)
    assert moves.start.tolist() == [0, 4, 4]
    assert [(place[k - 1], place[k]) for k in moves.first] == [(7, 8), (8, 7), (7, 9), (9, 8)]
    assert moves.n_moves.tolist() == [1, 1, 1, 1]


@given(sequences, st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_places_are_those_of_the_naive_twin(groups, k):
    start, place = together(groups)
    found = count_places(start, place)
    assert distinct_places(start, place).tolist() == np.diff(found.start).tolist()
    at = rows_of_places(start, place, found)
    names = [(g, name) for g, rows in enumerate(groups) for name in rows]
    assert at.at.tolist() == [list(dict.fromkeys(names)).index(name) for name in names]
    assert (at.before.tolist(), at.last.tolist()) == naive.naive_rows_before(names)
    order, is_main = place[found.first[most_first(found)]], main_places(found, k)
    for g, rows in enumerate(groups):
        here = slice(found.start[g], found.start[g + 1])
        places = zip(place[found.first[here]], found.first[here] - start[g], found.n_rows[here], strict=True)
        assert list(places) == naive.naive_places(rows)
        assert order[here].tolist() == naive.naive_order(rows)
        assert set(place[found.first[here]][is_main[here]]) == set(naive.naive_order(rows)[:k])


@given(sequences)
@settings(max_examples=100, deadline=None)
def test_moves_are_those_of_the_naive_twin(groups):
    start, place = together(groups)
    found = count_moves(start, place)
    for g, rows in enumerate(groups):
        here = slice(found.start[g], found.start[g + 1])
        pairs = [(place[k - 1], place[k]) for k in found.first[here]]
        assert dict(zip(pairs, found.n_moves[here], strict=True)) == naive.naive_moves(rows)
        assert pairs == list(naive.naive_moves(rows))


def test_many_places_and_groups_of_any_size():
    """The table of places grows and is used anew: all new, one place, all new again, no rows."""
    groups = [list(range(0, 7000 * 2**40, 2**40)), [5] * 3000, list(range(900)), []]
    found = count_places(*together(groups))
    assert np.diff(found.start).tolist() == [7000, 1, 900, 0]
    assert found.n_rows.sum() == 10_900
    assert found.n_rows[7000] == 3000
    with pytest.raises(ValueError, match="same rows"):
        count_moves(np.array([0, 3]), np.arange(4))
