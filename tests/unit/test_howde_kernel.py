"""HoWDe 2.0.0 on small lives: every rule that one would not expect, with numbers."""

import numpy as np
import pytest

from pipeline.kernels.howde import DAY_S, NONE, HowdeRules, howde_days

MONDAY = 19_786
"""2024-03-04 as days since 1970."""
HOME, WORK, CAFE = 4, 2, 7
NIGHT = (0.0, 7.0, HOME)
OFFICE = (9.0, 17.0, WORK)


def find(*days, first_day=MONDAY, **rules):
    """Homes and workplaces of consecutive days; each a list of (from hour, to hour, place), None for no stop."""
    stops = [
        (round((first_day + k) * DAY_S + 3600 * a), round((first_day + k) * DAY_S + 3600 * b), place)
        for k, day in enumerate(days)
        for a, b, place in day or []
    ]
    arrays = np.array(stops, np.int64).reshape(-1, 3).T
    return howde_days(np.array([0, len(stops)]), *map(np.ascontiguousarray, arrays), HowdeRules(**rules))


def test_a_week_at_home_and_at_work():
    found = find(*[[NIGHT, OFFICE]] * 5, [NIGHT], [NIGHT])
    assert found.day.tolist() == list(range(MONDAY, MONDAY + 7))
    assert set(found.home.tolist()) == {HOME}
    assert set(found.work.tolist()) == {WORK}
    assert (found.home_hours[0], found.home_n_days[0], found.home_n_valid[0]) == (1.0, 7, 7)
    assert (found.work_hours[0], found.work_n_days[0], found.work_n_valid[0]) == (1.0, 5, 5)


def test_hours_are_closed_at_both_ends():
    """Three of seven bins are enough (3/7 > 0.4), and a stop from one to three o'clock has three."""
    assert find([(1.0, 3.0, HOME)]).home.tolist() == [HOME]
    assert find([(1.0, 2.99, HOME)]).home.tolist() == [NONE]


def test_a_bin_goes_to_the_days_longest_stop_that_touches_it():
    """Ten minutes of a long stop in the hour beat fifty of a short one."""
    found = find([(0.0, 1.1, CAFE), (1.15, 1.9, WORK), (1.9, 7.0, HOME)], min_home_hours=0.5)
    assert found.home.tolist() == [HOME]
    # Home has bins 1 to 6, the café 0: its share of the day is 0.857, to three decimals.
    assert found.home_hours[0] == pytest.approx(0.857, abs=1e-7)


def test_stops_are_cut_at_midnight_and_then_have_to_be_longer_than_a_minute():
    seconds = np.array([0.0, 60.0, 61.0]) / 3600
    assert [find([(0.0, s, HOME)]).day.size for s in seconds] == [0, 0, 1]
    # A minute and a second before midnight, of which the day ends one second early, and a minute after it.
    assert find([(24 - 61 / 3600, 24 + 60 / 3600, HOME)]).day.size == 0
    assert find([(24 - 62 / 3600, 24 + 60 / 3600, HOME)]).day.tolist() == [MONDAY]


def test_stops_at_no_place_do_not_count():
    assert find([(0.0, 7.0, NONE)]).day.size == 0


def test_a_share_of_exactly_seven_tenths_falls_short():
    """Single precision: 0.7 is stored as 0.69999999, 0.6 as 0.60000002."""
    days = [[(0.0, 6.0, HOME if k < 7 else CAFE)] for k in range(10)]
    assert set(find(*days).home.tolist()) == {NONE}
    assert set(find(*days, min_home_hours=0.69).home.tolist()) == {HOME}
    six = [[(0.0, 6.0, HOME if k < 6 else CAFE)] for k in range(10)]
    assert set(find(*six, min_home_hours=0.6).home.tolist()) == {HOME}


def test_a_window_with_just_too_many_missing_days_has_no_home():
    """Of five days with stops three lack the night: 0.6 is not below 1 - 0.4."""
    missing = [(12.0, 13.0, CAFE)]
    assert set(find(*[[NIGHT]] * 2, *[missing] * 3).home.tolist()) == {NONE}
    assert set(find(*[[NIGHT]] * 3, *[missing] * 3).home.tolist()) == {HOME}


def test_days_without_any_stop_are_not_missing():
    found = find([NIGHT], *[None] * 9, [NIGHT])
    assert found.day.tolist() == [MONDAY, MONDAY + 10]
    assert found.home.tolist() == [HOME, HOME]


def test_windows_reach_half_their_length_to_either_side_or_all_of_it_back():
    """28 days: fourteen either way; past only: twenty-eight back."""
    lacking = [(12.0, 13.0, CAFE)]
    days = [lacking, [NIGHT], *[None] * 13, lacking, lacking]
    found = find(*days, min_home_days_share=0.1)
    assert found.home.tolist() == [HOME, HOME, HOME, NONE]
    found = find(*days, *[None] * 12, lacking, lacking, min_home_days_share=0.1, is_past_only=True)
    assert (found.day - MONDAY).tolist() == [0, 1, 15, 16, 29, 30]
    assert found.home.tolist() == [NONE, HOME, HOME, HOME, HOME, NONE]


def test_a_weekday_wholly_at_home_is_missing_from_the_window_of_work():
    """Five days of the week away: two at home leave work, three (0.5 of six rows) take it."""
    at_home = [(0.0, 18.0, HOME)]
    found = find(*[[NIGHT, OFFICE]] * 3, *[at_home] * 2)
    assert set(found.work.tolist()) == {WORK}
    assert found.work_n_valid[0] == 3
    assert found.work_hours[0] == 1.0
    found = find(*[[NIGHT, OFFICE]] * 2, *[at_home] * 3)
    assert set(found.work.tolist()) == {NONE}


def test_weekends_are_never_missing_but_are_counted():
    """Three of five weekdays missing are too many (0.6); of seven days they are not (0.43)."""
    week = [*[[NIGHT, OFFICE]] * 2, *[[(0.0, 18.0, HOME)]] * 3]
    assert set(find(*week).work.tolist()) == {NONE}
    found = find(*week, [NIGHT, OFFICE], [NIGHT, OFFICE])
    assert set(found.work.tolist()) == {WORK}
    assert found.work_n_valid[0] == 2


def test_without_a_home_there_is_no_work():
    assert set(find(*[[OFFICE]] * 5).work.tolist()) == {NONE}


def test_a_place_that_was_home_once_is_work_never():
    """Four weeks of nights at the office make it a home, and no workplace of any other day."""
    nights = [[(0.0, 17.0, WORK)]] * 29
    found = find(*[[NIGHT, OFFICE]] * 40, *nights)
    assert set(found.home.tolist()) == {HOME, WORK, NONE}
    assert set(found.work.tolist()) == {NONE}


def test_work_is_where_most_days_are_else_where_most_hours_are():
    """The café has an hour on each of five days, the office seven on three: 1.0 of the days against 0.6."""
    both = [NIGHT, (9.0, 9.9, CAFE), (10.0, 17.0, WORK)]
    days = [*[both] * 3, *[[NIGHT, (9.0, 9.9, CAFE), (10.0, 17.0, 8)]] * 2]
    found = find(*days)
    assert set(found.work.tolist()) == {CAFE}
    assert found.work_n_days[0] == 5
    assert found.work_hours[0] == pytest.approx(0.111, abs=1e-7)
    found = find(*days, min_work_days=1.01)
    assert set(found.work.tolist()) == {WORK}
    assert found.work_n_days[0] == 3


def test_ties_go_to_more_hours_then_to_the_lower_number():
    day = [NIGHT, (9.0, 12.9, CAFE), (13.0, 17.0, WORK)]
    assert set(find(*[day] * 5).work.tolist()) == {WORK}
    even = [[NIGHT, (9.0, 12.9, CAFE), (14.0, 17.0, WORK)]] * 5
    assert set(find(*even).work.tolist()) == {WORK}
    day = [NIGHT, (9.0, 13.9, CAFE), (14.0, 17.0, WORK)]
    assert set(find(*[day] * 5).work.tolist()) == {CAFE}


def test_devices_do_not_know_of_each_other():
    alone = find(*[[NIGHT, OFFICE]] * 5)
    stops = [(MONDAY + k, *part) for k in range(5) for part in (NIGHT, OFFICE)]
    rows = np.array([(day * DAY_S + a * 3600, day * DAY_S + b * 3600, p) for day, a, b, p in stops * 2], np.int64).T
    both = howde_days(np.array([0, 10, 10, 20]), *map(np.ascontiguousarray, rows))
    assert both.device.tolist() == [0] * 5 + [2] * 5
    for name in ("day", "home", "work", "home_hours", "work_n_days"):
        assert getattr(both, name).tolist() == getattr(alone, name).tolist() * 2


def test_no_stops_no_rows():
    none = np.empty(0, np.int64)
    assert howde_days(np.array([0, 0]), none, none, none).day.size == 0


def test_refuses_what_it_cannot_judge():
    one, start = np.array([0], np.int64), np.array([0, 1])
    with pytest.raises(ValueError, match="the same stops"):
        howde_days(np.array([0, 2]), one, one, one)
    with pytest.raises(ValueError, match="finishes before it starts"):
        howde_days(start, one + 5, one, one)
    for rules in ({"home_until_hour": 24}, {"work_from_hour": 18}, {"home_until_hour": -1}, {"work_until_hour": 24}):
        with pytest.raises(ValueError, match="between 0 and 23"):
            howde_days(start, one, one, one, HowdeRules(**rules))
