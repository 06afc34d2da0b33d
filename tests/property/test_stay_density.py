"""Stays by density against their naive twin, and the invariances a stay must have."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.stay_density import dense_stays
from pipeline.kernels.stay_states import Stays, no_open_stays
from tests.naive import naive_distance_m
from tests.naive_density import naive_dense_stays

WEEK_US = 7 * 86_400 * 1_000_000
TURN_E7 = 3_600_000_000
FOREVER_US = 10**17
# (lon, lat) in 1e-7 degrees: a city, the antimeridian, the far north, both poles, the origin.
CENTRES = [
    (1_163_000_000, 399_000_000),
    (1_799_999_000, -170_000_000),
    (-300_000_000, 835_000_000),
    (200_000_000, 899_995_000),
    (-700_000_000, -899_999_000),
    (0, 0),
]
# A few places near and far and a few steps of time, so that the device comes back, alternates, is alone
# between silences, and has equal places, equal times, and silences of exactly gap_s.
PLACES_E7 = [(0, 0), (0, 0), (0, 0), (700, -1), (3_000, 3_000), (-4_000, 2_000), (9_000, 0), (40_000, 40_000)]
STEPS_S = [0, 0.3, 1, 5, 10, 20, 30, 60, 60, 100, 150, 300, 900, 3600, 3600.001, 9000]


@st.composite
def pings(draw, max_pings=45):
    """Columns (device_id, at_us, lon_e7, lat_e7), sorted."""
    n = draw(st.integers(0, max_pings))
    lon0, lat0 = draw(st.sampled_from(CENTRES))
    places = draw(st.lists(st.sampled_from(PLACES_E7), min_size=1, max_size=4))
    steps = st.sampled_from(draw(st.lists(st.sampled_from(STEPS_S), min_size=1, max_size=4)))
    at = np.array(draw(st.lists(steps, min_size=n, max_size=n)), float).cumsum() + draw(st.integers(-20, 20))
    place = np.array(draw(st.lists(st.sampled_from(places), min_size=n, max_size=n)), np.int64).reshape(n, 2)
    devices = np.sort(np.array(draw(st.lists(st.sampled_from([3, 3, 3, -5, 4]), min_size=n, max_size=n)), np.int64))
    stretch = 1 if abs(lat0) < 800_000_000 else round(1 / math.cos(math.radians(min(abs(lat0), 899_000_000) / 1e7)))
    lon = (lon0 + place[:, 0] * stretch + TURN_E7 // 2) % TURN_E7 - TURN_E7 // 2
    # Over the pole and down the other side.
    lat = lat0 + place[:, 1]
    lon = np.where(abs(lat) > 900_000_000, lon - np.sign(lon) * TURN_E7 // 2, lon)
    lat = np.where(abs(lat) > 900_000_000, np.sign(lat) * 1_800_000_000 - lat, lat)
    return devices, np.rint(at * 1e6).astype(np.int64), lon.astype(np.int32), lat.astype(np.int32)


@st.composite
def rules(draw):
    return {
        "roam_m": draw(st.sampled_from([1.0, 40.0, 60.0, 200.0, 5_000.0])),
        "dwell_s": draw(st.sampled_from([0, 60, 300, 600])),
        "gap_s": draw(st.sampled_from([300, 3600, math.inf])),
        "reach_s": draw(st.sampled_from([20, 60, 120.000001, 300, 900])),
        "density_share": draw(st.sampled_from([0.1, 1 / 3, 0.5, 0.6, 1])),
    }


def whole(columns, rules):
    stays, still_open = dense_stays(*columns, no_open_stays(), day_end_us=FOREVER_US, is_last=True, **rules)
    assert still_open.device_id.size == 0
    return stays


def by_date(columns, rules, midnights):
    """The stays of consecutive calls, cut at the given times."""
    parts = []
    state = no_open_stays()
    at = columns[1]
    for begin, end in itertools.pairwise([-FOREVER_US, *midnights, FOREVER_US]):
        today = [c[(at >= begin) & (at < end)] for c in columns]
        stays, state = dense_stays(*today, state, day_end_us=end, is_last=end == FOREVER_US, **rules)
        parts.append(stays)
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((joined[1], joined[0]))
    return Stays(*(column[order] for column in joined))


def assert_bit_equal(a, b):
    for mine, theirs in zip(a, b, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.tobytes() == theirs.tobytes()


def in_degrees(columns):
    device_id, at, lon, lat = (c.tolist() for c in columns)
    return [(d, t, x / 1e7, y / 1e7) for d, t, x, y in zip(device_id, at, lon, lat, strict=True)]


def assert_equal_to_twin(columns, rules):
    stays = whole(columns, rules)
    expected = naive_dense_stays(in_degrees(columns), **rules)
    for name in ("device_id", "started_at", "finished_at", "n_pings", "max_gap_s"):
        assert getattr(stays, name).tolist() == [s[name] for s in expected]
    for lon, lat, one in zip(stays.lon, stays.lat, expected, strict=True):
        # The polar plane and the unit vectors part by the square of the extent over the radius.
        tolerance_m = 1e-6 if abs(one["anchor_lat"]) <= 89 else 1e-4 + rules["roam_m"] * 1e-6
        assert naive_distance_m(lon, lat, one["lon"], one["lat"]) <= tolerance_m
    return stays


@settings(max_examples=200, deadline=None)
@given(columns=pings(), rules=rules())
def test_equal_to_the_naive_twin(columns, rules):
    assert_equal_to_twin(columns, rules)


@settings(max_examples=200, deadline=None)
@given(columns=pings(max_pings=90), rules=rules(), data=st.data())
def test_cutting_the_span_at_any_midnights_changes_nothing(columns, rules, data):
    end = int(columns[1].max(initial=0)) + 10_000_000_000
    midnights = data.draw(st.lists(st.integers(-30_000_000, end), max_size=8, unique=True).map(sorted))
    assert_bit_equal(by_date(columns, rules, midnights), whole(columns, rules))


@settings(max_examples=60, deadline=None)
@given(columns=pings(max_pings=90), rules=rules())
def test_a_call_for_every_ping_changes_nothing(columns, rules):
    assert_bit_equal(by_date(columns, rules, np.unique(columns[1]).tolist()), whole(columns, rules))


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
    times[k : k + 1] = 3
    stays = whole(columns, rules)
    repeated = whole([np.repeat(c, times) for c in columns], rules)
    same = repeated._replace(n_pings=stays.n_pings, lon=stays.lon, lat=stays.lat)
    assert_bit_equal(same, stays)
    extra = repeated.n_pings - stays.n_pings
    assert extra.sum() in (0, 2) and set(extra.tolist()) <= {0, 2}


@settings(max_examples=60, deadline=None)
@given(columns=pings(), rules=rules(), device=st.sampled_from([-5, 3, 4]))
def test_a_device_is_independent_of_the_others(columns, rules, device):
    stays = whole(columns, rules)
    alone = whole([c[columns[0] == device] for c in columns], rules)
    assert_bit_equal(alone, Stays(*(c[stays.device_id == device] for c in stays)))


@settings(max_examples=60, deadline=None)
@given(columns=pings(), rules=rules())
def test_stays_of_a_device_do_not_overlap(columns, rules):
    stays = whole(columns, rules)
    is_same = stays.device_id[1:] == stays.device_id[:-1]
    assert np.all(stays.started_at[1:][is_same] > stays.finished_at[:-1][is_same])


def walk(seed, n, spread_m, lat_deg, step_s):
    """A device that drifts about a place and now and then goes elsewhere: distances around roam_m."""
    rng = np.random.default_rng(seed)
    unit = 6_371_000 * math.radians(1e-7)
    place = rng.normal(0, 90, (5, 2))[np.minimum(4, rng.geometric(0.5, n // 25 + 1) - 1).repeat(25)[:n]]
    where = place + rng.normal(0, spread_m, (n, 2))
    lon = (where[:, 0] / unit / math.cos(math.radians(lat_deg))).astype(np.int32)
    lat = (lat_deg * 1e7 + where[:, 1] / unit).astype(np.int32)
    at = np.cumsum(rng.choice([0, 1, 7, 20, 600], n, p=[0.05, 0.3, 0.4, 0.2, 0.05]) * step_s)
    return np.zeros(n, np.int64), (at * 1_000_000).astype(np.int64), lon, lat


@pytest.mark.parametrize("lat_deg", [0.0, 47.0, -80.0])
@pytest.mark.parametrize(("spread_m", "step_s"), [(8.0, 1), (20.0, 3), (40.0, 1), (25.0, 10)])
def test_long_days_equal_the_naive_twin(lat_deg, spread_m, step_s):
    columns = walk(round(spread_m), 500, spread_m, lat_deg, step_s)
    for share in (0.3, 0.5, 0.7):
        rules = {"roam_m": 50.0, "dwell_s": 120, "gap_s": 3600, "reach_s": 180, "density_share": share}
        stays = assert_equal_to_twin(columns, rules)
        end = int(columns[1][-1])
        assert_bit_equal(by_date(columns, rules, list(range(10**8, end, end // 37))), stays)
