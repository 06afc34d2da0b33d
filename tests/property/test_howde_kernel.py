"""HoWDe of random lives against its definition, and what must hold whatever the stops; scores against counting."""

import math

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.home_work import FOUND_COLUMNS, ROLES, STOP_COLUMNS, score_home_work
from pipeline.kernels.howde import DAY_S, NONE, HowdeRules, howde_days
from tests.naive_home_work import naive_home_work_scores, naive_howde

FIRST_DAY = -4
"""Days before 1970 are days too."""


@st.composite
def lives(draw):
    """Stops (start, finish, place) of one person in some weeks: nights and days at few places, and odd ones."""
    stops = []
    for day in range(FIRST_DAY, FIRST_DAY + draw(st.integers(1, 24))):
        for a, b in draw(st.sampled_from([[], [(0, 7)], [(0, 7), (9, 17)], [(0, 2), (2, 8)], [(9, 13), (13, 17)]])):
            stops.append((day * DAY_S + a * 3600, day * DAY_S + b * 3600, draw(st.integers(0, 2))))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(FIRST_DAY * DAY_S, (FIRST_DAY + 20) * DAY_S))
        length = draw(st.sampled_from([0, 60, 61, 3600, 30_000, 200_000]))
        stops.append((start, start + length, draw(st.integers(-1, 3))))
    return stops


@st.composite
def rules(draw):
    return HowdeRules(
        home_window_days=draw(st.sampled_from([1, 2, 7, 28])),
        work_window_days=draw(st.sampled_from([1, 3, 14, 42])),
        min_hours_share=draw(st.sampled_from([0.1, 0.4, 1.0])),
        min_home_days_share=draw(st.sampled_from([0.0, 0.4, 0.5])),
        min_work_days_share=draw(st.sampled_from([0.0, 0.5, 0.8])),
        min_home_hours=draw(st.sampled_from([0.3, 0.5, 0.7])),
        min_work_hours=draw(st.sampled_from([0.2, 0.4])),
        min_work_days=draw(st.sampled_from([0.3, 0.6, 1.0])),
        home_from_hour=draw(st.sampled_from([21, 24])),
        is_past_only=draw(st.booleans()),
    )


def run(people, rule):
    start = np.append(0, np.cumsum([len(stops) for stops in people]))
    rows = np.array([stop for stops in people for stop in stops], np.int64).reshape(-1, 3).T
    return howde_days(start, *map(np.ascontiguousarray, rows), rule)


@given(st.lists(lives(), min_size=1, max_size=3), rules())
@settings(max_examples=200, deadline=None)
def test_equals_the_definition(people, rule):
    found = run(people, rule)
    expected = [(d, day, *row) for d, stops in enumerate(people) for day, row in naive_howde(stops, rule).items()]
    expected.sort(key=lambda row: row[:2])
    assert list(zip(found.device.tolist(), found.day.tolist(), strict=True)) == [row[:2] for row in expected]
    assert found.home.tolist() == [home for _, _, home, _, _, _ in expected]
    assert found.work.tolist() == [work for _, _, _, _, work, _ in expected]


@given(lives(), rules())
@settings(max_examples=100, deadline=None)
def test_support_is_what_the_rules_ask_for(stops, rule):
    found = run([stops], rule)
    has_home, has_work = found.home != NONE, found.work != NONE
    assert (found.home_hours[has_home] >= rule.min_home_hours - 1e-6).all()
    assert np.isnan(found.home_hours[~has_home]).all()
    assert np.isnan(found.work_hours[~has_work]).all()
    for has, n_days, n_valid in (
        (has_home, found.home_n_days, found.home_n_valid),
        (has_work, found.work_n_days, found.work_n_valid),
    ):
        assert (n_days[has] >= 1).all()
        assert (n_days[~has] == 0).all()
        assert (n_days <= n_valid).all()
    by_days = found.work_n_days[has_work] / found.work_n_valid[has_work] >= rule.min_work_days - 1e-6
    assert (by_days | (found.work_hours[has_work] >= rule.min_work_hours - 1e-6)).all()
    assert not set(found.work[has_work].tolist()) & set(found.home[has_home].tolist())
    assert has_home.any() or not has_work.any()


@given(lives(), st.integers(-6, 6))
@settings(max_examples=60, deadline=None)
def test_weeks_later_is_the_same_life(stops, n_weeks):
    shift = n_weeks * 7 * DAY_S
    here, there = run([stops], HowdeRules()), run([[(a + shift, b + shift, p) for a, b, p in stops]], HowdeRules())
    assert (here.home.tolist(), here.work.tolist()) == (there.home.tolist(), there.work.tolist())
    assert (here.day + 7 * n_weeks).tolist() == there.day.tolist()


@given(lives(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_stops_may_come_in_any_order(stops, random):
    # Of stops equally long the first given has the hour, so these stay in order.
    shuffled = sorted(stops, key=lambda stop: (stop[1] - stop[0], random.random()))
    in_order = {length: [s for s in stops if s[1] - s[0] == length] for length in {b - a for a, b, _ in stops}}
    shuffled = [in_order[b - a].pop(0) for a, b, _ in shuffled]
    here, there = run([stops], HowdeRules()), run([shuffled], HowdeRules())
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(here, there, strict=True))


# --- Scores -------------------------------------------------------------------------------------------


@st.composite
def labelled(draw):
    """Stops of two devices with labels, and found rows at places where they stop."""
    stops, found = [], []
    for _ in range(draw(st.integers(1, 8))):
        start = draw(st.integers(0, 3 * DAY_S))
        finish = start + draw(st.sampled_from([0, 1, 3600, DAY_S, 2 * DAY_S]))
        label = draw(st.sampled_from(["home", "work", "other"]))
        stops.append((draw(st.integers(1, 2)), draw(st.integers(0, 2)), start, finish, label))
    for _ in range(draw(st.integers(0, 5))):
        device, place = draw(st.sampled_from([stop[:2] for stop in stops]))
        first = draw(st.integers(-1, 4))
        found.append((device, draw(st.sampled_from(ROLES)), first, first + draw(st.integers(0, 3)), place))
    return stops, found


@given(labelled())
@settings(max_examples=200, deadline=None)
def test_scores_equal_counting(case):
    stops, found = case
    frame = pd.DataFrame(found, columns=FOUND_COLUMNS)
    for name in ("window_started", "window_finished"):
        frame[name] = pd.to_datetime(frame[name].astype("int64"), unit="D")
    scores = score_home_work(pd.DataFrame(stops, columns=STOP_COLUMNS), frame)
    for role in ROLES:
        ours, (time, places, right, undetected) = getattr(scores, role), naive_home_work_scores(stops, found, role)
        _same(ours.time[:2], time)
        _same(ours.places[:2], places)
        _same((ours.right_share, ours.undetected_share), (right, undetected))


def _same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert math.isnan(a) if b is None else abs(a - float(b)) < 1e-12
