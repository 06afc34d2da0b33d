"""Worked examples of the measures of range: jumps, waits, home, k-radius, frequencies, growth of locations."""

import math
from datetime import date

import numpy as np
import pytest
import statsmodels.api as sm

from pipeline.kernels.exploration import growth_exponents
from pipeline.kernels.extent import largest_distances
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.moves import distances_from, jump_lengths, waiting_times
from pipeline.kernels.ranks import rank_in_groups
from pipeline.stage import STAGES
from pipeline.stages import distances, exploration, gyration, visit_frequencies  # noqa: F401
from pipeline.study import Study
from tests.measure_rows import make_homes, make_visits_with_dwell, run_measure
from tests.stay_rows import empty

STUDY = Study(name="s", start=date(2020, 1, 6), end=date(2020, 1, 19), zone="UTC", sources=())
DEGREE_M = EARTH_RADIUS_M * math.radians(1)
DAY, HOUR = 1440, 60
# Home, 0.01 and 0.03 degrees east of it, on the equator; the last visit is of the second week.
EAST = {0: 0.0, 1: 0.01, 3: 0.03}
WEEK = [(0, 2 * HOUR), (4 * HOUR, HOUR), (8 * HOUR, 3 * HOUR), (DAY, 6 * HOUR), (8 * DAY, 0)]
PLACES = [0, 1, 0, 3, 1]
ROWS = [(1, start, length, place, None, 0) for (start, length), place in zip(WEEK, PLACES, strict=True)]


def visits():
    frame = make_visits_with_dwell(ROWS)
    return frame.assign(lon=frame["location_id"].map(EAST), lat=0.0)


def run(name, rows=None, home_work=None, **params):
    declared = STAGES[name]
    return run_measure(declared, visits() if rows is None else rows, STUDY, declared.params(**params), home_work)


def test_distances_by_study_and_week():
    found = run("distances", home_work=make_homes([(1, 0, 1), (1, 3, 2)]))
    assert found["window"].tolist() == ["study", "week", "week"]
    assert found["n_trips"].tolist() == [4, 3, 1]
    steps = np.array([0.01, 0.01, 0.03, 0.02]) * DEGREE_M
    np.testing.assert_allclose(found["distance_m"], [steps.sum(), steps[:3].sum(), steps[3]])
    np.testing.assert_allclose(found["jump_mean_m"], [steps.mean(), steps[:3].mean(), steps[3]])
    np.testing.assert_allclose(found["jump_median_m"], [0.015 * DEGREE_M, steps[0], steps[3]])
    np.testing.assert_allclose(found["jump_max_m"], [steps[2], steps[2], steps[3]])
    np.testing.assert_allclose(found["max_distance_m"], [0.03 * DEGREE_M, 0.03 * DEGREE_M, 0.0], atol=1e-9)
    # 4 and 4 and 16 hours, then a week: starts to starts, however long the visits
    np.testing.assert_allclose(found["wait_mean_s"], np.array([48, 8, 168]) * 3600)
    np.testing.assert_allclose(found["wait_median_s"], np.array([10, 4, 168]) * 3600)
    np.testing.assert_allclose(found["home_distance_mean_m"], np.array([0.01, 0.01, 0.01]) * DEGREE_M)
    np.testing.assert_allclose(found["home_distance_max_m"], np.array([0.03, 0.03, 0.01]) * DEGREE_M)
    # 2, 1, 3 and 6 hours; of the second week no time
    by_dwell = (0.01 * 1 + 0.03 * 6) / 12 * DEGREE_M
    np.testing.assert_allclose(found["home_distance_dwell_mean_m"], [by_dwell, by_dwell, np.nan])


def test_without_home_or_trip_nothing_is_said():
    found = run("distances", visits().iloc[:1], make_homes([(2, 0, 1)]), windows=("study",)).iloc[0]
    assert (found["n_visits"], found["n_trips"], found["distance_m"], found["max_distance_m"]) == (1, 0, 0, 0)
    unknown = ["jump_mean_m", "jump_max_m", "wait_mean_s", "home_distance_mean_m", "home_distance_dwell_mean_m"]
    assert found[unknown].isna().all()


def test_frequencies_of_the_study():
    found = run("visit_frequencies")
    assert found["location_id"].tolist() == [0, 1, 3]
    assert found["n_visits"].tolist() == [2, 2, 1]
    np.testing.assert_allclose(found["visit_share"], [0.4, 0.4, 0.2])
    np.testing.assert_allclose(found["dwell_s"], np.array([5, 1, 6]) * 3600)
    np.testing.assert_allclose(found["dwell_share"], np.array([5, 1, 6]) / 12)
    # home and the next place have two visits each: home was visited first
    assert found["frequency_rank"].tolist() == [1, 2, 3]
    assert found["recency_rank"].tolist() == [3, 1, 2]
    np.testing.assert_allclose(found["return_time_median_s"], [8 * 3600, (8 * 24 - 4) * 3600, np.nan])


def test_a_window_of_no_time_has_no_shares_of_it():
    found = run("visit_frequencies", windows=("week",))
    assert found["dwell_share"].isna().tolist() == [False, False, False, True]


def test_k_radius_and_returner():
    """Home twice, 0.01 degrees twice, 0.03 once: of the two main places the radius is half their distance."""
    found = run("gyration", windows=("study",)).iloc[0]
    lon = np.array([0.0, 0.01, 0.0, 0.03, 0.01])
    assert found["k_gyration_m"] == pytest.approx(0.005 * DEGREE_M)
    assert found["gyration_m"] == pytest.approx(lon.std() * DEGREE_M)
    # by dwell the two are 0.03 (6 hours) and home (5 hours)
    assert found["k_gyration_dwell_m"] == pytest.approx(0.03 * math.sqrt(30) / 11 * DEGREE_M)
    # 0.0050 against half of 0.0110
    assert not found["is_returner"]
    assert run("gyration", windows=("study",), k=3)["is_returner"].tolist() == [True]


def test_one_place_is_neither_returner_nor_explorer():
    found = run("gyration", visits().iloc[[0]], windows=("study",))
    assert found["k_gyration_m"].tolist() == [0.0]
    assert found["is_returner"].isna().all()


@pytest.mark.parametrize("name", ["distances", "visit_frequencies", "gyration"])
def test_no_visits_have_no_rows(name):
    assert run(name, empty("visits"), windows=("study", "week", "sliding")).empty


def test_growth_is_the_slope_that_statsmodels_finds():
    rng = np.random.default_rng(4)
    places = [rng.integers(0, 12, n) for n in (40, 25, 2, 1)]
    start = np.cumsum([0, *map(len, places)])
    is_first = np.concatenate([[p not in own[:k] for k, p in enumerate(own)] for own in places])
    found = growth_exponents(start, is_first)
    for own, exponent in zip(places[:3], found, strict=False):
        so_far = [len(set(own[: k + 1])) for k in range(own.size)]
        fit = sm.OLS(np.log(so_far), sm.add_constant(np.log(np.arange(1, own.size + 1)))).fit()
        assert exponent == pytest.approx(fit.params[1], rel=1e-10)
    assert np.isnan(found[3])


def test_growth_of_ever_new_places_is_one_and_of_few_visits_unknown():
    rows = [(1, 30 * k, 10, k, None, 0) for k in range(20)]
    found = run("exploration", make_visits_with_dwell(rows), windows=("study",))
    assert found["growth_exponent"].tolist() == [pytest.approx(1.0)]
    for few in ({"growth_min_visits": 21}, {"growth_min_locations": 21}):
        assert run("exploration", make_visits_with_dwell(rows), **few)["growth_exponent"].isna().all()


def test_kernels_by_hand():
    lon, lat, start = np.array([179.99, -179.99, 0.0, 0.0]), np.array([0.0, 0.0, 90.0, -90.0]), np.array([0, 2, 4, 4])
    half_turn_m = 180 * DEGREE_M
    np.testing.assert_allclose(jump_lengths(start, lon, lat), [np.nan, 0.02 * DEGREE_M, np.nan, half_turn_m], rtol=1e-9)
    np.testing.assert_allclose(largest_distances(start, lon, lat), [0.02 * DEGREE_M, half_turn_m, np.nan], rtol=1e-9)
    away = distances_from(start, lon, lat, np.array([180.0, 12.0, 0.0]), np.zeros(3))
    np.testing.assert_allclose(away, np.array([0.01, 0.01, 90, 90]) * DEGREE_M, rtol=1e-9)
    assert waiting_times(start, np.array([0, 1_500_000, 7, 7])).tolist()[1::2] == [1.5, 0.0]
    assert rank_in_groups(np.array([0, 0, 0, 1]), np.array([-1, -2, -2, 5]), np.array([0, 9, 8, 0])).tolist() == [
        3,
        2,
        1,
        1,
    ]


@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_position_that_is_not_a_number_is_not_hidden(row):
    lon = np.array([1.0, 2.0, 3.0])
    lon[row] = np.nan
    assert np.isnan(largest_distances(np.array([0, 3]), lon, np.zeros(3))[0])
    is_missing = np.isnan(jump_lengths(np.array([0, 3]), lon, np.zeros(3)))
    assert is_missing.tolist() == [True, row < 2, row > 0]


def test_arrays_that_do_not_cover_the_same_rows_are_refused():
    start, two, three = np.array([0, 3]), np.zeros(2), np.zeros(3)
    for kernel in (jump_lengths, largest_distances):
        with pytest.raises(ValueError, match="same rows"):
            kernel(start, three, two)
    with pytest.raises(ValueError, match="same rows"):
        waiting_times(np.array([0, 4, 3]), np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="same rows"):
        distances_from(np.array([1, 3]), three, three, two[:1], two[:1])
    with pytest.raises(ValueError, match="one point"):
        distances_from(start, three, three, two, two)
