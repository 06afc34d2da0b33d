"""The stay kernel against its naive twin, and the invariances a stay must have."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.stays import Stays, detect_stays, no_open_stays
from tests.naive import naive_distance_m, naive_stays

WEEK_US = 7 * 86_400 * 1_000_000
TURN_E7 = 3_600_000_000
# (lon, lat) in 1e-7 degrees: a city, the antimeridian, the far north, both poles, the origin.
CENTRES = [
    (1_163_000_000, 399_000_000),
    (1_799_999_000, -170_000_000),
    (-300_000_000, 835_000_000),
    (200_000_000, 899_995_000),
    (-700_000_000, -899_999_000),
    (0, 0),
]
# Few different steps in place and time, so that equal places, equal times, equal distances, distances
# near roam_m and silences of exactly gap_s are all common.
STEPS_E7 = [0, 0, 0, 1, 700, -700, 2_000, -3_000, 6_000, 40_000]
STEPS_S = [0, 30, 60, 60, 60, 100, 150, 300, 3600, 3601, 9000]


@st.composite
def pings(draw, max_pings=40):
    """Columns (device_id, at_us, lon_e7, lat_e7), sorted."""
    n = draw(st.integers(0, max_pings))
    lon0, lat0 = draw(st.sampled_from(CENTRES))
    steps = st.tuples(st.sampled_from(STEPS_S), st.sampled_from(STEPS_E7), st.sampled_from(STEPS_E7))
    walk = np.array(draw(st.lists(steps, min_size=n, max_size=n)), np.int64).reshape(n, 3).cumsum(axis=0)
    devices = np.sort(np.array(draw(st.lists(st.sampled_from([-5, 3, 4]), min_size=n, max_size=n)), np.int64))
    stretch = 1 if abs(lat0) < 800_000_000 else round(1 / math.cos(math.radians(min(abs(lat0), 899_000_000) / 1e7)))
    lon = (lon0 + walk[:, 1] * stretch + TURN_E7 // 2) % TURN_E7 - TURN_E7 // 2
    # Over the pole and down the other side.
    lat = lat0 + walk[:, 2]
    lon = np.where(abs(lat) > 900_000_000, lon - np.sign(lon) * TURN_E7 // 2, lon)
    lat = np.where(abs(lat) > 900_000_000, np.sign(lat) * 1_800_000_000 - lat, lat)
    return devices, walk[:, 0] * 1_000_000, lon.astype(np.int32), lat.astype(np.int32)


@st.composite
def rules(draw, **fixed):
    free = {
        "criterion": draw(st.sampled_from(["anchor", "diameter"])),
        "centre": draw(st.sampled_from(["mean", "median", "medoid"])),
        "roam_m": draw(st.sampled_from([1.0, 40.0, 65.0, 200.0, 5_000.0])),
        "dwell_s": draw(st.sampled_from([0, 60, 300, 600])),
        "gap_s": draw(st.sampled_from([300, 3600, math.inf])),
        "leaves_at_next_ping": draw(st.booleans()),
    }
    return free | fixed


def whole(columns, rules):
    stays, still_open = detect_stays(*columns, no_open_stays(), day_end_us=10**17, is_last=True, **rules)
    assert still_open.device_id.size == 0
    return stays


def by_date(columns, rules, midnights):
    """The stays of consecutive calls, cut at the given times."""
    parts = []
    state = no_open_stays()
    at = columns[1]
    for begin, end in itertools.pairwise([-1, *midnights, 10**17]):
        today = [c[(at >= begin) & (at < end)] for c in columns]
        is_last = end == 10**17
        stays, state = detect_stays(*today, state, day_end_us=end, is_last=is_last, **rules)
        parts.append(stays)
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((joined[1], joined[0]))
    return Stays(*(column[order] for column in joined))


def assert_bit_equal(a, b):
    for mine, theirs in zip(a, b, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.tobytes() == theirs.tobytes()


def seconds_and_degrees(columns):
    device_id, at, lon, lat = (c.tolist() for c in columns)
    return [(d, t / 1e6, x / 1e7, y / 1e7) for d, t, x, y in zip(device_id, at, lon, lat, strict=True)]


def assert_same_centre(centre, lon, lat, expected, roam_m):
    anchor_lat = expected["members"][0][2]
    if centre == "medoid":
        mean_lon, mean_lat = expected["mean"]
        nearest_m = naive_distance_m(mean_lon, mean_lat, expected["lon"], expected["lat"])
        assert naive_distance_m(mean_lon, mean_lat, lon, lat) <= nearest_m * (1 + 1e-3) + 1e-3
        assert any(naive_distance_m(lon, lat, *p[1:]) < 1e-6 for p in expected["members"])
    elif centre == "mean" or abs(anchor_lat) <= 89:
        # The polar plane and the unit vectors part by the square of the extent over the radius.
        tolerance_m = 1e-6 if abs(anchor_lat) <= 89 else 1e-4 + roam_m * 1e-6
        assert naive_distance_m(lon, lat, expected["lon"], expected["lat"]) <= tolerance_m


@settings(max_examples=150, deadline=None)
@given(columns=pings(), rules=rules())
def test_equal_to_the_naive_twin(columns, rules):
    stays = whole(columns, rules)
    rows = seconds_and_degrees(columns)
    expected = naive_stays(rows, **rules)
    means = naive_stays(rows, **(rules | {"centre": "mean"}))
    assert stays.device_id.tolist() == [s["device_id"] for s in expected]
    assert (stays.started_at / 1e6).tolist() == [s["started_at"] for s in expected]
    assert (stays.finished_at / 1e6).tolist() == [s["finished_at"] for s in expected]
    assert stays.n_pings.tolist() == [s["n_pings"] for s in expected]
    assert stays.max_gap_s.tolist() == [s["max_gap_s"] for s in expected]
    for lon, lat, one, mean in zip(stays.lon, stays.lat, expected, means, strict=True):
        assert_same_centre(rules["centre"], lon, lat, one | {"mean": (mean["lon"], mean["lat"])}, rules["roam_m"])


@settings(max_examples=150, deadline=None)
@given(columns=pings(), rules=rules(), data=st.data())
def test_cutting_the_span_at_any_midnights_changes_nothing(columns, rules, data):
    end = int(columns[1].max(initial=0)) + 10_000_000_000
    midnights = data.draw(st.lists(st.integers(0, end), max_size=6, unique=True).map(sorted))
    assert_bit_equal(by_date(columns, rules, midnights), whole(columns, rules))


@settings(max_examples=60, deadline=None)
@given(columns=pings(), rules=rules(), weeks=st.integers(-3000, 3000))
def test_shifting_all_times_shifts_the_stays(columns, rules, weeks):
    stays = whole(columns, rules)
    device_id, at, lon, lat = columns
    shifted = whole((device_id, at + weeks * WEEK_US, lon, lat), rules)
    back = shifted._replace(
        started_at=shifted.started_at - weeks * WEEK_US, finished_at=shifted.finished_at - weeks * WEEK_US
    )
    assert_bit_equal(back, stays)


@settings(max_examples=60, deadline=None)
@given(columns=pings(), rules=rules(), turn_e7=st.integers(-TURN_E7 // 2, TURN_E7 // 2 - 1))
def test_turning_the_earth_moves_the_stays_along(columns, rules, turn_e7):
    stays = whole(columns, rules)
    device_id, at, lon, lat = columns
    turned_lon = (lon.astype(np.int64) + turn_e7 + TURN_E7 // 2) % TURN_E7 - TURN_E7 // 2
    turned = whole((device_id, at, turned_lon.astype(np.int32), lat), rules)
    assert_bit_equal(turned._replace(lon=stays.lon), stays)
    moved = (turned.lon - stays.lon - turn_e7 / 1e7 + 180) % 360 - 180
    assert np.all(np.abs(moved) < 1e-11)


@settings(max_examples=60, deadline=None)
@given(columns=pings(), rules=rules(), data=st.data())
def test_a_repeated_ping_changes_only_counts_and_centre(columns, rules, data):
    """Duplicates are dropped before this kernel; should one remain, no stay begins or ends elsewhere."""
    n = columns[0].size
    k = data.draw(st.integers(0, max(0, n - 1)))
    times = np.ones(n, np.int64)
    times[k : k + 1] = 2
    if rules["dwell_s"] == 0:
        return
    stays = whole(columns, rules)
    repeated = whole([np.repeat(c, times) for c in columns], rules)
    same = repeated._replace(n_pings=stays.n_pings, lon=stays.lon, lat=stays.lat)
    assert_bit_equal(same, stays)
    extra = repeated.n_pings - stays.n_pings
    assert extra.sum() in (0, 1) and set(extra.tolist()) <= {0, 1}


@settings(max_examples=60, deadline=None)
@given(columns=pings(), rules=rules(), start=st.sampled_from([-5, 3, 4]))
def test_a_device_is_independent_of_the_others(columns, rules, start):
    stays = whole(columns, rules)
    alone = whole([c[columns[0] == start] for c in columns], rules)
    assert_bit_equal(alone, Stays(*(c[stays.device_id == start] for c in stays)))


def crowd(seed, n, spread_m, lat_deg):
    """A dense device drifting about a place: long windows, wide hulls, distances around roam_m."""
    rng = np.random.default_rng(seed)
    unit = 6_371_000 * math.radians(1e-7)
    drift = np.cumsum(rng.normal(0, spread_m / 60, (n, 2)), axis=0) + rng.uniform(-1, 1, (n, 2)) * spread_m
    lon = (drift[:, 0] / unit / math.cos(math.radians(lat_deg))).astype(np.int32)
    lat = (lat_deg * 1e7 + drift[:, 1] / unit).astype(np.int32)
    return np.zeros(n, np.int64), np.cumsum(rng.integers(1, 20, n)) * 1_000_000, lon, lat


@pytest.mark.parametrize("lat_deg", [0.0, 47.0, -80.0])
@pytest.mark.parametrize("spread_m", [12.0, 25.0, 32.0, 60.0])
def test_long_diameter_windows_equal_the_naive_twin(lat_deg, spread_m):
    columns = crowd(round(spread_m), 500, spread_m, lat_deg)
    rules = {"criterion": "diameter", "centre": "mean", "roam_m": 65.0, "dwell_s": 300, "gap_s": 3600}
    rules["leaves_at_next_ping"] = False
    stays = whole(columns, rules)
    expected = naive_stays(seconds_and_degrees(columns), **rules)
    assert (stays.started_at / 1e6).tolist() == [s["started_at"] for s in expected]
    assert stays.n_pings.tolist() == [s["n_pings"] for s in expected]
    assert_bit_equal(by_date(columns, rules, list(range(10**8, 10**10, 7 * 10**8))), stays)


def test_pings_in_a_line_and_on_a_circle_equal_the_naive_twin():
    k = np.arange(300)
    shapes = {
        "parallel": ((k * 7919) % 5001, k * 0),
        "meridian": (k * 0, (k * 7919) % 5001),
        "circle": (2900 * np.cos(k), 2900 * np.sin(k)),
        "two places": (k % 2 * 3000, k % 2 * 3000),
    }
    for (x, y), lat in itertools.product(shapes.values(), (0, 600_000_000)):
        lon = (x / math.cos(math.radians(lat / 1e7))).astype(np.int32)
        columns = (k * 0, k * 10_000_000, lon, (lat + y).astype(np.int32))
        for roam_m in (55.0, 60.0, 64.0, 65.0, 80.0):
            rules = {"criterion": "diameter", "centre": "mean", "roam_m": roam_m, "dwell_s": 100, "gap_s": 60}
            rules["leaves_at_next_ping"] = False
            expected = naive_stays(seconds_and_degrees(columns), **rules)
            assert whole(columns, rules).n_pings.tolist() == [s["n_pings"] for s in expected]
