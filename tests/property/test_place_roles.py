"""Weighing places for home and work: equal to the plain definition, and blind to what must not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.place_roles import (
    PlaceDays,
    Weighing,
    Windows,
    hold_roles,
    move_night_work,
    place_days,
    weigh_places,
)
from pipeline.stages.home_work import HomeWorkParams
from tests.naive_place_roles import naive_place_days, naive_weigh

DAY_S = 86_400
HOURS = st.integers(0, 86_400 - 1)
NIGHT, WORKING = (0, 7 * 3600), (9 * 3600, 17 * 3600)
WEIGHTS = HomeWorkParams().home.numbers(), HomeWorkParams().work.numbers()
UNSEEN = np.array(HomeWorkParams().unseen)


@st.composite
def visit_lists(draw, n_max=25, longest_s=3 * DAY_S):
    """Visits of up to three devices over four weeks, with gaps between those of one device."""
    visits = []
    for device in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, 3 * DAY_S))
        for _ in range(draw(st.integers(1, n_max))):
            length = draw(st.integers(0, longest_s))
            visits.append((device, draw(st.integers(0, 3)), at, at + length))
            at += length + draw(st.integers(0, DAY_S))
    return visits


def days_of(visits, night=NIGHT, working=WORKING):
    return place_days(*np.array(visits, np.int64).reshape(-1, 4).T, night, working)


def as_dict(days):
    return {(d, day, p): sums for d, day, p, *sums in zip(*(column.tolist() for column in days), strict=True)}


@given(visit_lists(n_max=6, longest_s=9_000), st.tuples(HOURS, HOURS), st.tuples(HOURS, HOURS))
@settings(max_examples=25, deadline=None)
def test_days_equal_a_count_of_seconds(visits, night, working):
    days = as_dict(days_of(visits, night, working))
    assert {key: tuple(sums) for key, sums in days.items()} == naive_place_days(visits, night, working)


@given(visit_lists(), st.integers(1, 14), st.integers(0, 21), st.integers(0, 21), st.floats(0, 0.6), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_probabilities_equal_their_definition(visits, step, back, ahead, least, min_days):
    days = days_of(visits)
    windows = Windows(int(days.day.min()) - 2, 40, step, back, ahead)
    rows = weigh_places(days, windows, Weighing(*WEIGHTS, UNSEEN, min_days), least)
    found = dict(
        zip(
            zip(rows.device.tolist(), rows.window.tolist(), rows.place.tolist(), strict=True),
            zip(rows.home.tolist(), rows.work.tolist(), strict=True),
            strict=True,
        )
    )
    expected = naive_weigh(as_dict(days), windows, *WEIGHTS, min_days, least)
    at_the_edge = {key for key, p in expected.items() if abs(max(p) - least) < 1e-9}
    assert set(found) - at_the_edge == set(expected) - at_the_edge
    for key in set(found) & set(expected):
        assert found[key] == pytest.approx(expected[key], abs=1e-12)


@given(visit_lists(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_visits_does_not_matter(visits, chance):
    shuffled = list(visits)
    chance.shuffle(shuffled)
    for one, other in zip(days_of(visits), days_of(shuffled), strict=True):
        assert np.array_equal(one, other)


@given(visit_lists(), st.integers(1, 50))
@settings(max_examples=40, deadline=None)
def test_whole_weeks_later_is_the_same(visits, weeks):
    later = [(d, p, s + weeks * 7 * DAY_S, f + weeks * 7 * DAY_S) for d, p, s, f in visits]
    weighing = Weighing(*WEIGHTS, UNSEEN, 1)
    rows = weigh_places(days_of(visits), Windows(-3, 30, 7, 14, 14), weighing, 0.1)
    moved = weigh_places(days_of(later), Windows(-3 + 7 * weeks, 30, 7, 14, 14), weighing, 0.1)
    for one, other in zip(rows, moved, strict=True):
        assert np.array_equal(one, other)


@given(visit_lists())
@settings(max_examples=40, deadline=None)
def test_devices_do_not_touch_each_other(visits):
    windows, weighing = Windows(0, 30, 7, 14, 14), Weighing(*WEIGHTS, UNSEEN, 1)
    together = weigh_places(days_of(visits), windows, weighing, 0.1)
    for device in {v[0] for v in visits}:
        alone = weigh_places(days_of([v for v in visits if v[0] == device]), windows, weighing, 0.1)
        is_own = together.device == device
        for one, other in zip(alone, together, strict=True):
            assert np.array_equal(one, other[is_own])


@given(visit_lists(), st.floats(0.1, 0.5), st.floats(0.5, 0.9))
@settings(max_examples=40, deadline=None)
def test_a_role_is_held_only_by_places_that_reached_it(visits, held, reached):
    rows = weigh_places(days_of(visits), Windows(0, 30, 7, 14, 14), Weighing(*WEIGHTS, UNSEEN, 1), 0.0)
    is_home, is_work = hold_roles(rows, (reached, reached), (held, held))
    assert not (is_home & is_work).any()
    for found, p in ((is_home, rows.home), (is_work, rows.work)):
        assert (p[found] >= held).all()
        for device, place in set(zip(rows.device[found].tolist(), rows.place[found].tolist(), strict=True)):
            assert p[(rows.device == device) & (rows.place == place) & found].max() >= reached


@given(visit_lists(), st.floats(0.2, 0.9))
@settings(max_examples=60, deadline=None)
def test_night_work_is_taken_from_second_homes_alone(visits, least):
    rows = weigh_places(days_of(visits), Windows(0, 30, 7, 14, 14), Weighing(*WEIGHTS, UNSEEN, 1), 0.0)
    is_home, is_work = hold_roles(rows, (0.3, 0.3), (0.2, 0.2))
    homes, works = move_night_work(rows, is_home, is_work, least)
    for row in range(rows.device.size):
        beside = [
            k
            for k in range(rows.device.size)
            if (rows.device[k], rows.window[k]) == (rows.device[row], rows.window[row])
        ]
        own = [k for k in beside if is_home[k]]
        is_main = bool(own) and row == min(own, key=lambda k: (-rows.days[k], rows.place[k]))
        moves = (
            is_home[row] and not is_main and not any(is_work[k] for k in beside) and rows.own_night_share[row] >= least
        )
        assert homes[row] == (is_home[row] and not moves)
        assert works[row] == (is_work[row] or moves)


def test_nothing_is_weighed_of_nothing():
    empty = PlaceDays(*(np.empty(0, np.int64) for _ in range(6)))
    rows = weigh_places(empty, Windows(0, 5, 7, 0, 0), Weighing(*WEIGHTS, UNSEEN, 1), 0.0)
    assert rows.device.size == 0
    assert all(found.size == 0 for found in hold_roles(rows, (0.5, 0.5), (0.1, 0.1)))
