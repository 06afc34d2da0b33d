"""Worked examples of stays by density. Along the equator 1e-7 degrees are 1.11 cm, so 60 m are 5,396 units."""

import math

import numpy as np
import pytest

from pipeline.kernels.geodesy import E7_RADIANS, EARTH_RADIUS_M, haversine_m
from pipeline.kernels.stay_density import dense_stays
from pipeline.kernels.stay_states import no_open_stays

UNITS_PER_M = 1 / (E7_RADIANS * EARTH_RADIUS_M)
DAY_US = 86_400_000_000
DEFAULTS = {
    "roam_m": 60.0,
    "dwell_s": 300,
    "gap_s": 3600,
    "reach_s": 300,
    "density_share": 0.5,
    "day_end_us": 10**17,
    "is_last": True,
}
DAY = {"is_last": False, "day_end_us": DAY_US}


def detect(rows, open_stays=None, **params):
    """Stays of rows (device_id, seconds, lon_e7, lat_e7)."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    device_id, seconds, lon, lat = columns
    return dense_stays(
        np.array(device_id, np.int64),
        np.array([round(s * 1e6) for s in seconds], np.int64),
        np.array(lon, np.int32),
        np.array(lat, np.int32),
        no_open_stays() if open_stays is None else open_stays,
        **(DEFAULTS | params),
    )


def east(device_id, minutes_and_metres):
    """Rows along the equator from (minutes, metres east)."""
    return [(device_id, 60 * m, round(x * UNITS_PER_M), 0) for m, x in minutes_and_metres]


def at(metres, first_min, last_min):
    """A ping a minute at one place, both ends included."""
    return [(m, metres) for m in range(first_min, last_min + 1)]


def spans_min(stays):
    return [
        (int(d), s / 60e6, f / 60e6)
        for d, s, f in zip(stays.device_id, stays.started_at, stays.finished_at, strict=True)
    ]


def arrays(seconds, x_m, y_m):
    """One device's columns."""
    lon, lat = (np.rint(np.asarray(v) * UNITS_PER_M).astype(np.int32) for v in (x_m, y_m))
    return np.zeros(lon.size, np.int64), np.rint(np.asarray(seconds) * 1e6).astype(np.int64), lon, lat


def spans_of(columns, **params):
    stays, _ = dense_stays(*columns, no_open_stays(), **(DEFAULTS | params))
    return [(s / 1e6, f / 1e6) for s, f in zip(stays.started_at, stays.finished_at, strict=True)]


ERRAND = at(0, 0, 10) + [(m, 300 * (m - 10)) for m in range(11, 20)] + at(3000, 20, 30)


def test_two_stays_and_the_way_between():
    stays, still_open = detect(east(7, ERRAND))
    assert spans_min(stays) == [(7, 0, 10), (7, 20, 30)]
    assert stays.n_pings.tolist() == [11, 11]
    assert stays.max_gap_s.tolist() == [60, 60]
    assert stays.lon.tolist() == [0, round(3000 * UNITS_PER_M) / 1e7]
    assert still_open.device_id.size == 0


def test_pings_near_a_core_belong_and_lengthen_the_stay():
    # 40 m from the place, on the way in and out: near core fixes although hardly core themselves.
    rows = east(7, [(0, 900), (1, 600), (2, 300), (3, 40), *at(0, 4, 12), (13, -40), (14, -300), (15, -600)])
    stays, _ = detect(rows)
    assert spans_min(stays) == [(7, 3, 13)]
    assert stays.n_pings.tolist() == [11]


@pytest.mark.parametrize("step_s", [1, 10, 60, 300, 900])
@pytest.mark.parametrize("speed_m_per_s", [1.2, 8.0])
def test_neither_walk_nor_ride_is_a_stay(step_s, speed_m_per_s):
    seconds = np.arange(0, 7200, step_s)
    assert spans_of(arrays(seconds, seconds * speed_m_per_s, 0 * seconds)) == []


def test_an_outlier_is_bridged_and_takes_no_part():
    rows = east(7, [*at(0, 0, 9), (10, 1000), *at(0, 11, 20)])
    stays, _ = detect(rows)
    assert spans_min(stays) == [(7, 0, 20)]
    assert (stays.n_pings.tolist(), stays.lon.tolist(), stays.max_gap_s.tolist()) == ([20], [0], [60])


def test_an_absence_is_bridged_up_to_the_reach():
    stays, _ = detect(east(7, at(0, 0, 20) + at(500, 21, 23) + at(0, 24, 40)))
    assert spans_min(stays) == [(7, 0, 40)]
    assert stays.n_pings.tolist() == [38]
    # Ten minutes from the last core fix here to the next: the absence is a stay of its own.
    rows = east(7, at(0, 0, 20) + at(500, 21, 29) + at(0, 30, 40))
    assert spans_min(detect(rows)[0]) == [(7, 0, 20), (7, 21, 29), (7, 30, 40)]
    # With ten minutes' reach it is none.
    assert spans_min(detect(rows, reach_s=600)[0]) == [(7, 0, 40)]


def test_a_wrong_fix_between_two_silences_is_bridged():
    rows = east(7, [(0, 0), (20, 0), (40, 5000), (60, 0), (80, 0)])
    stays, _ = detect(rows)
    assert spans_min(stays) == [(7, 0, 80)]
    assert (stays.n_pings.tolist(), stays.max_gap_s.tolist()) == ([4], [1200])


def test_a_fix_is_core_at_exactly_the_share():
    # The fixes stand for half a minute, a minute and half a minute: 1.5 of 2 are near the first two.
    rows = east(7, [(0, 0), (1, 0), (2, 900)])
    rules = {"reach_s": 120, "dwell_s": 0}
    assert spans_min(detect(rows, density_share=0.25, **rules)[0]) == [(7, 0, 1), (7, 2, 2)]
    assert spans_min(detect(rows, density_share=0.75, **rules)[0]) == [(7, 0, 1)]
    assert spans_min(detect(rows, density_share=0.7501, **rules)[0]) == []


def test_places_that_alternate_are_one_stay_where_each_has_its_share():
    rows = east(7, [(m, 100 * (m % 2)) for m in range(31)])
    stays, _ = detect(rows, density_share=0.4)
    assert spans_min(stays) == [(7, 0, 30)]
    assert stays.n_pings.tolist() == [31]
    assert spans_min(detect(rows, density_share=0.6)[0]) == []


def test_a_ping_near_two_groups_goes_to_the_earlier():
    # The fix of minute 11 is far off; the ping a second later is between the two places.
    odd = [(7, 660, round(1000 * UNITS_PER_M), 0), (7, 661, round(50 * UNITS_PER_M), 0)]
    rows = east(7, at(0, 0, 10)) + odd + east(7, at(100, 12, 22))
    assert spans_min(detect(rows)[0]) == [(7, 0, 661 / 60), (7, 12, 22)]


def test_distance_duration_and_reach_are_inclusive():
    rows = [(1, 0, 0, 0), (1, 300, 5000, 0)]
    roam_m = haversine_m(0.0, 0.0, 5000 / 1e7, 0.0)
    assert len(detect(rows, roam_m=roam_m)[0].lon) == 1
    assert len(detect(rows, roam_m=math.nextafter(roam_m, 0))[0].lon) == 0
    assert len(detect(rows, roam_m=roam_m, dwell_s=300.000001)[0].lon) == 0
    # Between the two home fixes lie 240 s away from home.
    rows = east(7, at(0, 0, 9) + at(900, 10, 12) + at(0, 13, 22))
    assert spans_min(detect(rows, reach_s=240, density_share=0.4)[0]) == [(7, 0, 22)]
    assert len(detect(rows, reach_s=239.9, density_share=0.4)[0].lon) == 2


def test_a_silence_closes_the_stay_at_its_last_ping_and_is_not_dwell():
    rows = east(7, [(0, 0), (10, 0), (70.001, 0), (80, 0)])
    assert spans_min(detect(rows)[0]) == [(7, 0, 10), (7, 70.001, 80)]
    assert spans_min(detect(rows, gap_s=math.inf)[0]) == [(7, 0, 80)]
    assert spans_min(detect(east(7, [(0, 0), (60, 0)]))[0]) == [(7, 0, 60)]


def test_two_pings_a_year_apart():
    rows = east(7, [(0, 0), (525_600, 0)])
    assert spans_min(detect(rows)[0]) == []
    far = detect(rows, gap_s=math.inf)[0]
    assert spans_min(far) == [(7, 0, 525_600)] and far.max_gap_s.tolist() == [31_536_000]


def test_the_antimeridian_is_no_border():
    rows = [(1, 0, 1_799_999_000, 0), (1, 200, -1_799_999_000, 0), (1, 400, -1_799_998_000, 0)]
    stays, _ = detect(rows)
    assert stays.lon.tolist() == [pytest.approx(-180 + 2000 / 3 / 1e7, abs=1e-12)]
    assert stays.n_pings.tolist() == [3]


@pytest.mark.parametrize("sign", [1, -1])
def test_around_a_pole_the_mean_is_the_pole(sign):
    lat = sign * (900_000_000 - round(20 * UNITS_PER_M))
    stays, _ = detect([(1, 100 * k, -1_800_000_000 + k * 900_000_000, lat) for k in range(4)])
    assert stays.n_pings.tolist() == [4]
    assert stays.lat.tolist() == [pytest.approx(sign * 90, abs=1e-10)]


def test_empty_input_gives_empty_output():
    stays, still_open = detect([])
    assert all(column.size == 0 for column in stays)
    assert still_open.device_id.size == 0 and still_open.kept_start.tolist() == [0]


def test_devices_do_not_share_stays_and_ids_may_be_any_integers():
    rows = east(-(2**63), [(0, 0), (6, 0)]) + east(-1, [(7, 0), (9, 0)]) + east(2**63 - 1, [(9, 0), (15, 0)])
    assert spans_min(detect(rows)[0]) == [(-(2**63), 0, 6), (2**63 - 1, 9, 15)]


def test_a_stay_over_midnight_is_carried_by_its_totals():
    _, still_open = detect(east(7, at(0, 1380, 1439)), **DAY)
    assert still_open.is_qualified.tolist() == [True]
    # Settled is what is more than 15 minutes before the last ping; kept are ten minutes before that, and one.
    assert still_open.n_pings.tolist() == [1424 - 1380]
    assert (still_open.kept_at / 60e6).tolist() == list(range(1413, 1440))
    stays, left = detect(east(7, at(0, 1440, 1445)), still_open)
    assert spans_min(stays) == [(7, 1380, 1445)]
    assert stays.n_pings.tolist() == [66]
    assert left.device_id.size == 0


def test_what_has_not_lasted_is_carried_as_pings():
    _, still_open = detect(east(7, at(900, 1420, 1430) + at(0, 1435, 1439)), **DAY)
    assert still_open.is_qualified.tolist() == [False]
    assert (still_open.started_at / 60e6).tolist() == [1420]
    stays, _ = detect(east(7, at(0, 1440, 1441)), still_open)
    assert spans_min(stays) == [(7, 1420, 1430), (7, 1435, 1441)]


def test_a_device_silent_for_too_long_is_closed_without_a_ping():
    rows = east(7, [(1300, 0), (1306, 0)]) + east(8, [(1400, 0), (1430, 0)])
    stays, still_open = detect(rows, **DAY)
    assert spans_min(stays) == [(7, 1300, 1306)]
    assert still_open.device_id.tolist() == [8]
    stays, still_open = detect([], still_open, is_last=False, day_end_us=2 * DAY_US)
    assert spans_min(stays) == [(8, 1400, 1430)]
    assert still_open.device_id.size == 0


def test_without_a_gap_rule_a_silent_device_is_carried_until_the_study_ends():
    stays, still_open = detect(east(7, [(0, 0), (6, 0)]), gap_s=math.inf, **DAY)
    for day in (2, 3):
        assert stays.lon.size == 0 and still_open.device_id.tolist() == [7]
        stays, still_open = detect([], still_open, gap_s=math.inf, is_last=False, day_end_us=day * DAY_US)
    assert spans_min(detect([], still_open, gap_s=math.inf)[0]) == [(7, 0, 6)]


def test_a_year_in_one_place_carries_the_last_minutes():
    rng = np.random.default_rng(0)
    state, n_stays = no_open_stays(), 0
    for day in range(365):
        seconds = day * 86_400 + 60 * np.arange(1440)
        columns = arrays(seconds, *rng.normal(0, 10, (2, 1440)))
        today = {"is_last": False, "day_end_us": (day + 1) * DAY_US}
        stays, state = dense_stays(*columns, state, **(DEFAULTS | today))
        n_stays += stays.lon.size
        assert state.kept_at.size <= 27
    assert n_stays == 0 and state.n_pings[0] > 0.99 * 365 * 1440


def drifting(seed, n, sigma_m, memory_s):
    """Errors of positions, a second apart, that are forgotten over `memory_s`."""
    rng = np.random.default_rng(seed)
    keep = math.exp(-1 / memory_s)
    errors = rng.normal(0, sigma_m, (2, n))
    for k in range(1, n):
        errors[:, k] = keep * errors[:, k - 1] + math.sqrt(1 - keep * keep) * errors[:, k]
    return errors


@pytest.mark.parametrize("every_s", [1, 10, 30, 60])
def test_noise_with_a_memory_is_bridged_whatever_the_rate(every_s):
    # Three hours here, ten minutes' walk of 720 m, three hours there.
    seconds = np.arange(22_200)
    way = np.interp(seconds, [0, 10_800, 11_400, 22_200], [0, 0, 720, 720])
    x, y = drifting(5, seconds.size, 20, 60)
    columns = arrays(seconds, way + x, y)
    spans = spans_of([c[::every_s] for c in columns])
    assert len(spans) == 2
    edges = [*spans[0], *spans[1]]
    assert np.allclose(edges, [0, 10_800, 11_400, 22_200], atol=150)


MILLION = np.arange(1_000_000)
# Seconds, metres, and the pings in stays: of metres 0 to 999 those below 60 are near the first.
PILES = {
    "one place": (MILLION / 115, MILLION * 0, 1_000_000),
    "one place over a year": (MILLION * 31.5, MILLION * 0, 1_000_000),
    "one instant": (MILLION * 0, MILLION % 1000, 60_000),
    "two places in turn": (MILLION / 115, MILLION % 2 * 1000, 500_000),
    "within 60 m": (MILLION / 115, MILLION * 7919 % 60, 1_000_000),
}


@pytest.mark.parametrize("pile", PILES)
def test_a_million_pings_of_one_device(pile):
    seconds, x_m, n_pings = PILES[pile]
    stays, _ = dense_stays(*arrays(seconds, x_m, 0 * x_m), no_open_stays(), **(DEFAULTS | {"dwell_s": 0}))
    assert stays.n_pings.tolist() == [n_pings]


def test_inputs_are_left_alone_and_may_be_read_only():
    rows = east(7, ERRAND)
    columns = [np.array(c, dt) for c, dt in zip(zip(*rows, strict=True), ("i8", "i8", "i4", "i4"), strict=True)]
    columns[1] *= 1_000_000
    for column in columns:
        column.flags.writeable = False
    stays, _ = dense_stays(*columns, no_open_stays(), **DEFAULTS)
    assert stays.n_pings.tolist() == [11, 11]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"roam_m": 0}, "roam_m"),
        ({"roam_m": math.nan}, "roam_m"),
        ({"roam_m": 60_000}, "roam_m"),
        ({"dwell_s": -1}, "dwell_s"),
        ({"dwell_s": math.inf}, "dwell_s"),
        ({"gap_s": 0}, "gap_s"),
        ({"reach_s": 19.9}, "reach_s"),
        ({"reach_s": math.nan}, "reach_s"),
        ({"reach_s": 7201}, "reach_s"),
        ({"density_share": 0}, "density_share"),
        ({"density_share": 1.01}, "density_share"),
        ({"density_share": math.nan}, "density_share"),
    ],
)
def test_parameters_out_of_range_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        detect(east(7, ERRAND), **params)


def test_unsorted_pings_are_refused():
    rows = east(7, ERRAND)
    with pytest.raises(ValueError, match="goes back"):
        detect(rows[::-1])
    with pytest.raises(ValueError, match="device_id"):
        detect(east(8, [(0, 0)]) + east(7, [(0, 0)]))
    _, still_open = detect(rows, is_last=False, day_end_us=0)
    with pytest.raises(ValueError, match="goes back"):
        detect(rows, still_open)
    with pytest.raises(ValueError, match="same length"):
        dense_stays(np.zeros(1, "i8"), *(np.zeros(2, "i8") for _ in "abc"), no_open_stays(), **DEFAULTS)
