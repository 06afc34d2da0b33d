"""Measures of range against their naive twins, and what rotation, order, windows and weeks leave unchanged."""

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.extent import largest_distances
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.moves import distances_from, jump_lengths, waiting_times
from pipeline.stage import STAGES
from pipeline.stages import distances, gyration, visit_frequencies  # noqa: F401
from pipeline.study import Study
from tests.day_rows import naive_visits, position_of
from tests.measure_rows import make_homes, make_visits_with_dwell, run_measure
from tests.naive import naive_great_circle_m
from tests.naive_range import (
    naive_distances,
    naive_frequencies,
    naive_jumps_m,
    naive_k_gyration,
    naive_largest_m,
    naive_windows,
)
from tests.property.test_measure_kernels import groups, seeds
from tests.property.test_trips import days, rows_of

STUDY = Study(name="s", start=date(2020, 1, 6), end=date(2020, 2, 2), zone="UTC", sources=())
KINDS = ("study", "week", "sliding")
SLIDING = {"sliding_days": 10, "sliding_step_days": 3}


@given(groups())
@settings(max_examples=80, deadline=None)
def test_kernels_equal_their_twins(rows):
    start, lon, lat, *_ = rows
    point_lon, point_lat = lon[:1].repeat(start.size - 1), lat[:1].repeat(start.size - 1)
    if lon.size == 0:
        point_lon, point_lat = np.zeros((2, start.size - 1))
    jump, largest = jump_lengths(start, lon, lat), largest_distances(start, lon, lat)
    away = distances_from(start, lon, lat, point_lon, point_lat)
    for g in range(start.size - 1):
        k = slice(start[g], start[g + 1])
        own = list(zip(lon[k].tolist(), lat[k].tolist(), strict=True))
        if not own:
            assert np.isnan(largest[g])
            continue
        assert np.isnan(jump[start[g]])
        np.testing.assert_allclose(jump[k][1:], naive_jumps_m(own), rtol=1e-9, atol=1e-6)
        assert largest[g] == pytest.approx(naive_largest_m(own), rel=1e-9, abs=1e-6)
        expected = [naive_great_circle_m(*p, point_lon[g], point_lat[g]) for p in own]
        np.testing.assert_allclose(away[k], expected, rtol=1e-9, atol=1e-6)


@given(st.lists(st.lists(st.integers(-(10**15), 10**15), max_size=5), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_waiting_times_are_differences(times):
    times = [sorted(own) for own in times]
    start = np.cumsum([0, *map(len, times)])
    found = waiting_times(start, np.concatenate(times).astype(np.int64))
    for own, first in zip(times, start, strict=False):
        waits = [np.nan, *((b - a) / 1e6 for a, b in pairwise(own))] if own else []
        np.testing.assert_array_equal(found[first : first + len(own)], waits)


def turned(lon, lat, rotation):
    phi, lam = np.radians(lat), np.radians(lon)
    x, y, z = rotation @ np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


@given(seeds, st.sampled_from([1e-3, 0.2, 2.0, 60.0]))
@settings(max_examples=40, deadline=None)
def test_turning_the_sphere_keeps_distances(seed, spread):
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(-spread, spread, (2, 12))
    start = np.array([0, 5, 12])
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    there = turned(lon, lat, rotation)
    for kernel in (jump_lengths, largest_distances):
        np.testing.assert_allclose(kernel(start, *there), kernel(start, lon, lat), rtol=1e-7, atol=1e-6)


@given(seeds, st.sampled_from(["circle", "square", "two towns", "line", "one point"]), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_the_largest_distance_of_shapes_hard_to_prune(seed, shape, n):
    """Against all pairs, in numpy; and whatever the order of rows."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    x, y = {
        "circle": lambda: (np.cos(angle), np.sin(angle)),
        "square": lambda: tuple(rng.uniform(-1, 1, (2, n))),
        "two towns": lambda: (rng.choice([-20.0, 20.0], n) + 0.05 * np.cos(angle), 0.05 * np.sin(angle)),
        "line": lambda: (np.round(angle, 1), np.zeros(n)),
        "one point": lambda: (np.zeros(n), np.zeros(n)),
    }[shape]()
    lon, lat = 179.9 + x, 50 + y
    phi, lam = np.radians(lat), np.radians(lon)
    h = np.sin(np.subtract.outer(phi, phi) / 2) ** 2
    h += np.multiply.outer(np.cos(phi), np.cos(phi)) * np.sin(np.subtract.outer(lam, lam) / 2) ** 2
    expected = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(h)).max()
    order = rng.permutation(n)
    for own in ((lon, lat), (lon[order], lat[order])):
        assert largest_distances(np.array([0, n]), *own)[0] == pytest.approx(expected, rel=1e-9, abs=1e-6)


def run(name, rows, study=STUDY, homes=(), **params):
    declared = STAGES[name]
    params = declared.params(windows=KINDS, **SLIDING, **params)
    return run_measure(declared, make_visits_with_dwell(rows), study, params, make_homes(homes))


def windows_of(kind):
    return naive_windows(kind, STUDY.start, STUDY.end, *SLIDING.values())


def compare(found, expected, kind, keys):
    """The rows of a kind are those expected, by key; columns from n_visits on."""
    own = found[found["window"] == kind]
    first = own.columns.get_loc(keys[-1]) + 1
    assert len(own) == len(expected)
    for row in own.itertuples(index=False):
        key = tuple(getattr(row, k).date() if k == "window_started" else getattr(row, k) for k in keys)
        values = [np.nan if v is None else v for v in expected[key]]
        np.testing.assert_allclose(np.array(row[first:], float), values, rtol=1e-9, atol=1e-6)


@given(days, st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4)), max_size=3, unique_by=lambda home: home[0]))
@settings(max_examples=12, deadline=None)
def test_distances_are_those_of_the_twin(drawn, homes):
    rows = rows_of(drawn)
    visited = {(device, place) for device, _, _, place, *_ in rows}
    homes = [home for home in homes if home in visited]
    found = run("distances", rows, homes=[(*home, 1) for home in homes])
    positions = {device: position_of(place) for device, place in homes}
    for kind in KINDS:
        expected = naive_distances(naive_visits(rows), windows_of(kind), positions)
        compare(found, expected, kind, ("device_id", "window_started"))


@given(days)
@settings(max_examples=12, deadline=None)
def test_frequencies_are_those_of_the_twin(drawn):
    rows = rows_of(drawn)
    found = run("visit_frequencies", rows)
    for kind in KINDS:
        expected = naive_frequencies(naive_visits(rows), windows_of(kind))
        compare(found, expected, kind, ("device_id", "window_started", "location_id"))


@given(days, st.integers(1, 3))
@settings(max_examples=12, deadline=None)
def test_k_radii_are_those_of_the_twin(drawn, k):
    rows = rows_of(drawn)
    found = run("gyration", rows, k=k)
    for kind in KINDS:
        expected = naive_k_gyration(naive_visits(rows), windows_of(kind), k)
        own = found[["device_id", "window", "window_started", "k_gyration_m", "k_gyration_dwell_m"]]
        compare(own, expected, kind, ("device_id", "window_started"))
    ranges = found["gyration_m"] > 0
    assert found.loc[~ranges, "is_returner"].isna().all()
    half = found.loc[ranges, "gyration_m"] / 2
    assert (found.loc[ranges, "is_returner"].astype(bool) == (found.loc[ranges, "k_gyration_m"] > half)).all()


@given(days)
@settings(max_examples=10, deadline=None)
def test_trips_of_weeks_sum_to_those_of_the_study(drawn):
    found = run("distances", rows_of(drawn))
    sums = {
        kind: found[found["window"] == kind].groupby("device_id")[["n_visits", "n_trips", "distance_m"]].sum()
        for kind in ("study", "week")
    }
    pd.testing.assert_frame_equal(sums["study"], sums["week"])
    study = found[found["window"] == "study"]
    assert (study["n_trips"] == study["n_visits"] - 1).all()
    # of a window with one visit and a trip into it, the trip is longer than what the window holds
    assert (study["max_distance_m"] >= study["jump_max_m"].fillna(0) * (1 - 1e-12)).all()


@pytest.mark.parametrize("name", ["distances", "visit_frequencies", "gyration"])
def test_whole_weeks_later_the_measures_are_the_same(name):
    rng = np.random.default_rng(1)
    rows = rows_of([tuple(rng.integers((1, 0, 0, 0), (4, 2000, 600, 5)).tolist()) for _ in range(30)])
    later = STUDY.model_copy(update={"start": STUDY.start + timedelta(14), "end": STUDY.end + timedelta(14)})
    moved = [(device, start + 14 * 1440, *rest) for device, start, *rest in rows]
    here, there = run(name, rows, homes=[(1, rows[0][3], 1)]), run(name, moved, later, [(1, rows[0][3], 1)])
    back = (there["window_started"] - pd.Timedelta(days=14)).astype(here["window_started"].dtype)
    pd.testing.assert_frame_equal(there.assign(window_started=back), here)


@pytest.mark.parametrize("name", ["distances", "visit_frequencies", "gyration"])
def test_a_device_alone_is_measured_as_among_others(name):
    rng = np.random.default_rng(2)
    rows = rows_of([tuple(rng.integers((1, 0, 0, 0), (4, 2000, 600, 5)).tolist()) for _ in range(30)])
    together = run(name, rows)
    apart = pd.concat([run(name, [row for row in rows if row[0] == device]) for device in (1, 2, 3)], ignore_index=True)
    pd.testing.assert_frame_equal(apart, together)
