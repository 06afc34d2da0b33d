"""Familiar locations: the rule counted by hand, in the kernel and through the stage."""

from datetime import date

import numpy as np
import pytest

from data_contracts import CAPACITY
from pipeline.kernels.capacity import count_familiar
from pipeline.stages.capacity import CapacityParams, capacity
from pipeline.study import Study
from tests.stay_rows import empty, make_stays, places_and_visits, through_contract

STUDY = Study(name="s", start=date(2024, 1, 1), end=date(2024, 3, 31), zone="UTC", sources=())
DAY, WEEK = 24 * 60, 7 * 24 * 60


def count(visits, window_weeks=2, min_visits=2, min_dwell_us=10, is_mean_of_seen_weeks=True):
    """Counts of one device from (week, location, dwell)."""
    week, location, dwell = np.array(visits, np.int64).reshape(-1, 3).T
    start = np.array([0, week.size])
    return count_familiar(start, location, week, dwell, window_weeks, min_visits, min_dwell_us, is_mean_of_seen_weeks)


def test_a_location_becomes_familiar_and_is_forgotten():
    visits = [(0, 1, 50), (1, 1, 1), (1, 2, 60), (2, 2, 60), (3, 3, 5), (5, 3, 5)]
    found = count(visits)
    assert found.week.tolist() == [0, 1, 2, 3, 5]
    # Once is not twice; 51 in two weeks; 120 in two weeks and place 1 was once in them; only once in the window.
    assert found.n_familiar.tolist() == [0, 1, 1, 0, 0]
    assert found.n_added.tolist() == [0, 1, 1, 0, 0]
    assert found.n_dropped.tolist() == [0, 0, 1, 1, 0]


def test_the_mean_is_over_weeks_seen_or_over_all():
    visits = [(0, 1, 7), (0, 1, 8)]
    assert count(visits).n_familiar.tolist() == [1]
    assert count(visits, is_mean_of_seen_weeks=False).n_familiar.tolist() == [0]
    # A week of silence in the window: 20 in two weeks of three.
    visits = [(0, 1, 10), (2, 1, 10)]
    assert count(visits, window_weeks=3).n_familiar.tolist() == [0, 1]
    assert count(visits, window_weeks=3, is_mean_of_seen_weeks=False).n_familiar.tolist() == [0, 0]


def test_a_location_may_cease_to_be_familiar_by_weeks_without_it():
    visits = [(0, 1, 8), (0, 1, 8), (1, 2, 1)]
    assert count(visits).n_familiar.tolist() == [1, 0]
    assert count(visits).n_dropped.tolist() == [0, 1]


def test_no_dwell_asked_still_needs_a_visit():
    found = count([(0, 1, 0), (9, 2, 0)], min_visits=1, min_dwell_us=0)
    assert found.n_familiar.tolist() == [1, 1]
    assert found.n_dropped.tolist() == [0, 1]


def test_devices_do_not_mix_and_none_is_none():
    start, two = np.array([0, 1, 1, 2]), np.array([4, 4])
    found = count_familiar(start, two, np.array([7, 7]), np.array([99, 99]), 5, 2, 1, True)
    assert found.device.tolist() == [0, 2]
    assert found.n_familiar.tolist() == [0, 0]
    none = np.empty(0, np.int64)
    assert count_familiar(np.array([0]), none, none, none, 5, 2, 1, True).week.size == 0


def test_bad_arrays_are_refused():
    one = np.array([1])
    with pytest.raises(ValueError, match="same rows"):
        count_familiar(np.array([0, 2]), one, one, one, 5, 2, 1, True)
    with pytest.raises(ValueError, match="decreases"):
        count([(1, 1, 1), (0, 1, 1)])
    with pytest.raises(ValueError, match="dwell"):
        count([(1, 1, -1)])
    with pytest.raises(ValueError, match="window_weeks"):
        count([(1, 1, 1)], window_weeks=0)


def test_stage():
    """Home every week of four; a café for 15 minutes twice in the first week: 30 minutes, enough for three weeks."""
    home = [(k * WEEK, k * WEEK + 600, 0.0, False) for k in range(4)]
    cafe = [(DAY, DAY + 15, 500.0, False), (2 * DAY, 2 * DAY + 15, 500.0, False)]
    _, visits = places_and_visits(make_stays(sorted(home + cafe)))
    found = through_contract(capacity(visits, STUDY, CapacityParams()), CAPACITY.name)
    assert [str(day.date()) for day in found["window_started"]] == [f"2024-01-{d:02}" for d in (1, 8, 15, 22)]
    assert found["n_familiar"].tolist() == [1, 2, 2, 1]
    assert found["n_added"].tolist() == [1, 1, 0, 0]
    assert found["n_dropped"].tolist() == [0, 0, 0, 1]
    short = capacity(visits, STUDY, CapacityParams(window_weeks=1))
    assert short["n_familiar"].tolist() == [1, 0, 0, 0]


def test_stage_without_visits():
    found = capacity(empty("visits"), STUDY, CapacityParams())
    assert len(through_contract(found, CAPACITY.name)) == 0
