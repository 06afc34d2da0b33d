"""Worked examples of the stay kernel. Along the equator 1e-7 degrees are 1.11 cm, so 65 m are 5,846 units."""

import math

import numpy as np
import pytest

from pipeline.kernels.geodesy import E7_RADIANS, EARTH_RADIUS_M, haversine_m
from pipeline.kernels.stay_geometry import is_near, wrapped_e7, yardstick_at
from pipeline.kernels.stays import detect_stays, no_open_stays

UNITS_PER_M = 1 / (E7_RADIANS * EARTH_RADIUS_M)
DEFAULTS = {
    "criterion": "anchor",
    "centre": "mean",
    "roam_m": 65.0,
    "dwell_s": 300,
    "gap_s": 3600,
    "leaves_at_next_ping": False,
    "day_end_us": 10**17,
    "is_last": True,
}


def detect(rows, open_stays=None, **params):
    """Stays of rows (device_id, seconds, lon_e7, lat_e7)."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    device_id, seconds, lon, lat = columns
    return detect_stays(
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


def spans_min(stays):
    return [
        (int(d), s / 60e6, f / 60e6)
        for d, s, f in zip(stays.device_id, stays.started_at, stays.finished_at, strict=True)
    ]


WALK = east(7, [(0, 0), (2, 40), (5, -60), (6, 10), (8, 500), (10, 900), (11, 920), (20, 930)])


def test_a_stay_lasts_from_its_first_to_its_last_ping_inside():
    stays, still_open = detect(WALK)
    assert spans_min(stays) == [(7, 0, 6), (7, 10, 20)]
    assert stays.n_pings.tolist() == [4, 3]
    assert stays.max_gap_s.tolist() == [180, 540]
    assert still_open.device_id.size == 0


def test_leaving_at_the_next_ping_reproduces_the_peers():
    stays, _ = detect(WALK, leaves_at_next_ping=True)
    assert spans_min(stays) == [(7, 0, 8), (7, 10, 20)]


def test_leaving_at_the_next_ping_also_lengthens_the_tested_duration():
    rows = east(7, [(0, 0), (3, 0), (9, 500), (10, 2000)])
    assert spans_min(detect(rows)[0]) == []
    # Even a lone ping becomes a stay this way, as in scikit-mobility.
    assert spans_min(detect(rows, leaves_at_next_ping=True)[0]) == [(7, 0, 9)]
    assert spans_min(detect(rows, leaves_at_next_ping=True, criterion="diameter")[0]) == []


def test_diameter_asks_for_every_pair_and_retries_one_ping_later():
    rows = east(7, [(0, 0), (2, 40), (5, -60), (6, 0), (9, -20), (10, 3), (11, 50), (12, 0)])
    # About the first ping all is within 65 m; 40 and -60 are 100 m apart, and so are -60 and 50.
    assert spans_min(detect(rows)[0]) == [(7, 0, 12)]
    stays, _ = detect(rows, criterion="diameter")
    assert spans_min(stays) == [(7, 5, 10)]
    assert stays.n_pings.tolist() == [4]


def test_distance_and_duration_limits_are_inclusive():
    rows = [(1, 0, 0, 0), (1, 300, 5000, 0)]
    roam_m = haversine_m(0.0, 0.0, 5000 / 1e7, 0.0)
    for criterion in ("anchor", "diameter"):
        assert len(detect(rows, criterion=criterion, roam_m=roam_m)[0].lon) == 1
        assert len(detect(rows, criterion=criterion, roam_m=math.nextafter(roam_m, 0))[0].lon) == 0
        assert len(detect(rows, criterion=criterion, dwell_s=300.000001)[0].lon) == 0


@pytest.mark.parametrize("criterion", ["anchor", "diameter"])
def test_a_silence_closes_the_stay_at_its_last_ping_and_is_not_dwell(criterion):
    rows = east(7, [(0, 0), (10, 0), (70.001, 0), (80, 0)])
    stays, _ = detect(rows, criterion=criterion)
    assert spans_min(stays) == [(7, 0, 10), (7, 70.001, 80)]
    assert spans_min(detect(rows, criterion=criterion, gap_s=math.inf)[0]) == [(7, 0, 80)]
    assert spans_min(detect(rows, criterion=criterion, leaves_at_next_ping=True)[0]) == spans_min(stays)


def test_a_silence_of_exactly_the_limit_is_bridged():
    assert spans_min(detect(east(7, [(0, 0), (60, 0)]))[0]) == [(7, 0, 60)]


def test_centres():
    rows = [(1, 0, 0, 0), (1, 60, 100, 0), (1, 120, 110, 40), (1, 300, 1000, 0)]
    centres = {c: detect(rows, centre=c)[0] for c in ("mean", "median", "medoid")}
    assert (centres["mean"].lon[0], centres["mean"].lat[0]) == (302.5 / 1e7, 10 / 1e7)
    assert (centres["median"].lon[0], centres["median"].lat[0]) == (105 / 1e7, 0)
    assert (centres["medoid"].lon[0], centres["medoid"].lat[0]) == (110 / 1e7, 40 / 1e7)


def test_of_two_pings_the_medoid_is_the_earlier():
    for lat in (0, 456_789_123, -899_999_000):
        rows = [(1, 0, 1_234_567, lat), (1, 400, 1_234_600, lat + 77)]
        stays, _ = detect(rows, centre="medoid")
        assert (stays.lon[0], stays.lat[0]) == (0.1234567, lat / 1e7)


def test_the_antimeridian_is_no_border():
    rows = [(1, 0, 1_799_999_000, 0), (1, 200, -1_799_999_000, 0), (1, 400, -1_799_998_000, 0)]
    for criterion in ("anchor", "diameter"):
        stays, _ = detect(rows, criterion=criterion)
        assert stays.lon.tolist() == [pytest.approx(-180 + 2000 / 3 / 1e7, abs=1e-12)]
        assert stays.n_pings.tolist() == [3]


def test_around_a_pole_the_mean_is_the_pole():
    lat = 900_000_000 - round(20 * UNITS_PER_M)
    rows = [(1, 100 * k, -1_800_000_000 + k * 900_000_000, lat) for k in range(4)]
    for sign in (1, -1):
        turned = [(d, t, lon, sign * y) for d, t, lon, y in rows]
        for criterion in ("anchor", "diameter"):
            for centre in ("mean", "median"):
                stays, _ = detect(turned, criterion=criterion, centre=centre)
                assert stays.lat.tolist() == [pytest.approx(sign * 90, abs=1e-10)]


@pytest.mark.parametrize("criterion", ["anchor", "diameter"])
def test_empty_input_gives_empty_output(criterion):
    stays, still_open = detect([], criterion=criterion)
    assert all(column.size == 0 for column in stays)
    assert still_open.device_id.size == 0 and still_open.kept_start.tolist() == [0]


def test_devices_do_not_share_stays_and_ids_may_be_any_integers():
    rows = east(-(2**63), [(0, 0), (6, 0)]) + east(-1, [(7, 0), (9, 0)]) + east(2**63 - 1, [(9, 0), (15, 0)])
    assert spans_min(detect(rows)[0]) == [(-(2**63), 0, 6), (2**63 - 1, 9, 15)]


DAY = {"is_last": False, "day_end_us": 86_400_000_000}


def test_a_stay_over_midnight_is_carried_by_its_totals():
    evening = east(7, [(1430, 0), (1436, 10)])
    for criterion, n_kept in (("anchor", 0), ("diameter", 2)):
        stays, still_open = detect(evening, criterion=criterion, **DAY)
        assert stays.lon.size == 0
        assert still_open.is_qualified.tolist() == [True]
        assert still_open.n_pings.tolist() == [2]
        assert still_open.kept_lon_e7.size == n_kept
        stays, _ = detect(east(7, [(1445, 20)]), still_open, criterion=criterion)
        assert spans_min(stays) == [(7, 1430, 1445)]
        assert stays.n_pings.tolist() == [3]
        assert stays.max_gap_s.tolist() == [540]


def test_a_window_too_short_to_qualify_is_carried_as_pings():
    _, still_open = detect(east(7, [(1430, 0), (1437, 900), (1439, 930)]), criterion="diameter", **DAY)
    assert still_open.is_qualified.tolist() == [False]
    assert (still_open.kept_at / 60e6).tolist() == [1437, 1439]
    stays, _ = detect(east(7, [(1443, 970), (1445, 975)]), still_open, criterion="diameter")
    assert spans_min(stays) == [(7, 1439, 1445)]


def test_a_device_silent_for_too_long_is_closed_without_a_ping():
    rows = east(7, [(1300, 0), (1306, 0)]) + east(8, [(1400, 0), (1430, 0)])
    for centre in ("mean", "medoid"):
        stays, still_open = detect(rows, centre=centre, **DAY)
        assert spans_min(stays) == [(7, 1300, 1306)]
        assert still_open.device_id.tolist() == [8]
        tomorrow = {"is_last": False, "day_end_us": 2 * 86_400_000_000, "centre": centre}
        stays, still_open = detect([], still_open, **tomorrow)
        assert spans_min(stays) == [(8, 1400, 1430)]
        assert still_open.device_id.size == 0


def test_without_a_gap_rule_a_silent_device_is_carried_until_the_study_ends():
    rows = east(7, [(0, 0), (6, 0)])
    for criterion in ("anchor", "diameter"):
        for centre in ("mean", "median"):
            params = {"criterion": criterion, "centre": centre, "gap_s": math.inf}
            stays, still_open = detect(rows, **params, **DAY)
            for day in (2, 3):
                assert stays.lon.size == 0 and still_open.device_id.tolist() == [7]
                end = {"is_last": False, "day_end_us": day * 86_400_000_000}
                stays, still_open = detect([], still_open, **params, **end)
            stays, still_open = detect([], still_open, **params)
            assert spans_min(stays) == [(7, 0, 6)]


def test_a_year_in_one_place_carries_few_corners():
    rng = np.random.default_rng(0)
    n = 60 * 24 * 365
    lon, lat = rng.normal(0, 8 * UNITS_PER_M, (2, n)).clip(-20 * UNITS_PER_M, 20 * UNITS_PER_M)
    pings = (np.zeros(n, np.int64), np.arange(n) * 60_000_000, lon.astype(np.int32), lat.astype(np.int32))
    params = DEFAULTS | {"criterion": "diameter", "is_last": False, "day_end_us": n * 60_000_000}
    stays, still_open = detect_stays(*pings, no_open_stays(), **params)
    assert stays.lon.size == 0 and still_open.n_pings.tolist() == [n]
    assert still_open.kept_lon_e7.size < 200


@pytest.mark.parametrize("centre", ["mean", "median", "medoid"])
@pytest.mark.parametrize("criterion", ["anchor", "diameter"])
def test_a_million_equal_pings_are_one_stay(criterion, centre):
    n = 1_000_000
    place = (np.full(n, 1_800_000_000 - 1, np.int32), np.full(n, -123_456_789, np.int32))
    pings = (np.ones(n, np.int64), np.arange(n) * 10_000, *place)
    stays, _ = detect_stays(*pings, no_open_stays(), **(DEFAULTS | {"criterion": criterion, "centre": centre}))
    assert stays.n_pings.tolist() == [n]
    assert (stays.lon[0], stays.lat[0]) == (1_799_999_999 / 1e7, -123_456_789 / 1e7)


@pytest.mark.parametrize("criterion", ["anchor", "diameter"])
def test_two_pings_a_year_apart(criterion):
    rows = east(7, [(0, 0), (525_600, 0)])
    assert spans_min(detect(rows, criterion=criterion)[0]) == []
    far = detect(rows, criterion=criterion, gap_s=math.inf)[0]
    assert spans_min(far) == [(7, 0, 525_600)] and far.max_gap_s.tolist() == [31_536_000]


@pytest.mark.parametrize("criterion", ["anchor", "diameter"])
def test_no_dwell_makes_every_place_a_stay(criterion):
    rows = east(7, [(0, 0), (0, 500), (0, 1000), (1, 1000)])
    stays, _ = detect(rows, criterion=criterion, dwell_s=0)
    assert stays.n_pings.tolist() == [1, 1, 2]


def test_inputs_are_left_alone_and_may_be_read_only():
    columns = [np.array(c, dt) for c, dt in zip(zip(*WALK, strict=True), ("i8", "i8", "i4", "i4"), strict=True)]
    for column in columns:
        column.flags.writeable = False
    stays, _ = detect_stays(*columns, no_open_stays(), **(DEFAULTS | {"dwell_s": 0}))
    assert stays.n_pings.sum() == len(WALK)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"criterion": "radius"}, "criterion"),
        ({"centre": "mode"}, "centre"),
        ({"roam_m": 0}, "roam_m"),
        ({"roam_m": math.nan}, "roam_m"),
        ({"roam_m": 60_000}, "roam_m"),
        ({"dwell_s": -1}, "dwell_s"),
        ({"dwell_s": math.inf}, "dwell_s"),
        ({"gap_s": 0}, "gap_s"),
    ],
)
def test_parameters_out_of_range_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        detect(WALK, **params)


@pytest.mark.parametrize("criterion", ["anchor", "diameter"])
def test_unsorted_pings_are_refused(criterion):
    with pytest.raises(ValueError, match="goes back"):
        detect(WALK[::-1], criterion=criterion)
    with pytest.raises(ValueError, match="device_id"):
        detect(east(8, [(0, 0)]) + east(7, [(0, 0)]), criterion=criterion)
    _, still_open = detect(WALK, criterion=criterion, is_last=False, day_end_us=0)
    with pytest.raises(ValueError, match="goes back"):
        detect(WALK, still_open, criterion=criterion)
    with pytest.raises(ValueError, match="same length"):
        detect_stays(np.zeros(1, "i8"), *(np.zeros(2, "i8") for _ in "abc"), no_open_stays(), **DEFAULTS)


def test_the_cheap_distance_test_never_contradicts_haversine():
    rng = np.random.default_rng(1)
    for lat in (0, 1, 123_456_789, -456_000_000, 700_000_000, 850_000_000, 890_000_001, 899_950_000):
        for roam_m in (1.0, 65.0, 200.0, 5_000.0, 50_000.0):
            for _ in range(40):
                near = lat + int(rng.integers(-200_000, 200_001))
                yardstick = yardstick_at(np.int64(near), roam_m)
                angle, length = rng.uniform(0, 2 * np.pi), roam_m * rng.choice([0.2, 0.995, 1, 1.001, 3])
                dlat = round(length * math.sin(angle) * UNITS_PER_M)
                cos = math.cos(math.radians(lat / 1e7))
                dlon = wrapped_e7(round(length * math.cos(angle) * UNITS_PER_M / cos))
                other = min(900_000_000, lat + dlat)
                said = is_near(yardstick, roam_m, lat, dlon, other)
                assert said == (haversine_m(0.0, lat / 1e7, dlon / 1e7, other / 1e7) <= roam_m)
