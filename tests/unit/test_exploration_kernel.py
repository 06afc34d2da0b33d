"""Worked examples of exploration counts."""

from datetime import date

import numpy as np
import pytest

from pipeline.kernels.exploration import explore
from pipeline.stage import STAGES
from pipeline.stages.exploration import ExplorationParams
from pipeline.study import Study
from tests.day_rows import make_day_visits
from tests.measure_rows import run_measure
from tests.stay_rows import empty


def test_two_devices_three_windows():
    # device 0: home, work, home | home, shop | shop, work ; device 1: one place, first in window 2, then 4
    location = np.array([10, 20, 10, 10, 30, 30, 20, 10, 10])
    window = np.array([0, 0, 0, 1, 1, 2, 2, 2, 4])
    result = explore(np.array([0, 7, 9]), location, window)
    assert result.device.tolist() == [0, 0, 0, 1, 1]
    assert result.window.tolist() == [0, 1, 2, 2, 4]
    assert result.n_visits.tolist() == [3, 2, 2, 1, 1]
    assert result.n_locations.tolist() == [2, 2, 2, 1, 1]
    assert result.n_new_locations.tolist() == [2, 1, 0, 1, 0]
    assert result.is_new.tolist() == [True, True, False, False, True, False, False, True, False]


def test_no_visits_no_rows():
    result = explore(np.array([0, 0, 0]), np.empty(0, np.int64), np.empty(0, np.int64))
    assert [array.size for array in result] == [0] * 6
    assert explore(np.array([0]), np.empty(0, np.int64), np.empty(0, np.int64)).window.size == 0


def test_a_window_may_fall_back_only_between_devices():
    location = np.array([1, 1])
    assert explore(np.array([0, 1, 2]), location, np.array([5, 3])).window.tolist() == [5, 3]
    with pytest.raises(ValueError, match="time order"):
        explore(np.array([0, 2]), location, np.array([5, 3]))


def test_rows_must_be_covered():
    with pytest.raises(ValueError, match="same rows"):
        explore(np.array([0, 1]), np.array([1, 1]), np.array([0, 0]))


def test_new_locations_of_sliding_windows_are_new_in_the_study():
    """A place a day, then the first again: each window counts those whose first visit it holds."""
    study = Study(name="s", start=date(2020, 1, 6), end=date(2020, 1, 9), zone="UTC", sources=())
    visits = make_day_visits([(1, 1440 * day, 30, place, None, 0) for day, place in enumerate([0, 1, 0, 2])])
    params = ExplorationParams(windows=("sliding",), sliding_days=2, sliding_step_days=1)
    found = run_measure(STAGES["exploration"], visits, study, params)
    assert found["n_locations"].tolist() == [2, 2, 2]
    assert found["n_new_locations"].tolist() == [2, 1, 1]
    assert found["n_locations_so_far"].tolist() == [2, 2, 3]


def test_no_visits_have_no_exploration():
    study = Study(name="s", start=date(2020, 1, 6), end=date(2020, 1, 9), zone="UTC", sources=())
    params = ExplorationParams(windows=("week", "sliding"))
    assert run_measure(STAGES["exploration"], empty("visits"), study, params).empty
