"""Worked examples of stays about their running mean. Along the equator a metre is 89.9 units of 1e-7 degrees."""

import numpy as np
import pytest

from pipeline.kernels.geodesy import E7_RADIANS, EARTH_RADIUS_M
from pipeline.kernels.silences import still_silences
from pipeline.kernels.stay_centroid import CentroidRules, weight_of
from pipeline.kernels.stay_centroid_sweep import centroid_stays, no_open_centroids
from pipeline.kernels.stay_geometry import Track

UNITS_PER_M = 1 / (E7_RADIANS * EARTH_RADIUS_M)
MINUTE_US = 60_000_000
RULES = CentroidRules(
    roam_m=100.0,
    dwell_us=15 * MINUTE_US,
    edge_dwell_us=2 * MINUTE_US,
    gap_us=60 * MINUTE_US,
    spread_m=20.0,
    dwell_us_per_m=300e6,
    noise_share=0.0,
    bridge_us=5 * MINUTE_US,
    bridge_share=0.0,
    max_bridge_us=30 * MINUTE_US,
    far_m=300.0,
    far_bridge_us=3 * MINUTE_US,
    is_left_at_next_ping=False,
    is_weighted=False,
)


def detect(rows, accuracy_m=None, **changes):
    """Stays of rows (minute, metres east, metres north) of one device at the equator."""
    minute, x, y = (np.array(column, float) for column in zip(*rows, strict=True))
    at = np.round(minute * MINUTE_US).astype(np.int64)
    lon, lat = (np.round(v * UNITS_PER_M).astype(np.int32) for v in (x, y))
    accuracy = None if accuracy_m is None else np.array(accuracy_m, np.float32)
    device = np.full(at.size, 7)
    rules = RULES._replace(**changes)
    stays, _ = centroid_stays(device, Track(at, lon, lat), accuracy, no_open_centroids(), rules, 10**17, True)
    return stays


def spans(stays):
    return [(a / MINUTE_US, b / MINUTE_US) for a, b in zip(stays.started_at, stays.finished_at, strict=True)]


def still(minutes, x=0.0, y=0.0):
    return [(m, x, y) for m in minutes]


WALK_THERE = [(m, -80.0 * (10 - m), 0.0) for m in range(10)]
WALK_AWAY = [(m, 80.0 * (m - 30), 0.0) for m in range(31, 41)]


def test_a_stay_between_two_walks():
    """80 m a minute: the pings at -160 and -80 m have their mean 120 m away, the one at +80 m is within 100 m."""
    stays = detect([*WALK_THERE, *still(range(10, 31)), *WALK_AWAY])
    assert spans(stays) == [(10, 31)]
    assert stays.n_pings.tolist() == [22]
    assert stays.max_gap_s.tolist() == [60]
    assert stays.lon[0] * 1e7 / UNITS_PER_M == pytest.approx(80 / 22, abs=0.02)


def test_an_outlier_is_bridged_and_takes_no_part():
    rows = [*WALK_THERE, *still(range(10, 20)), (20, 5_000.0, 0.0), *still(range(21, 31)), *WALK_AWAY]
    stays = detect(rows)
    assert spans(stays) == [(10, 31)]
    assert stays.n_pings.tolist() == [21]
    assert stays.max_gap_s.tolist() == [60]  # the outlier was no silence


def test_a_step_out_is_bridged_up_to_its_time_and_less_far_away():
    def out(metres, minutes):
        away = [(20 + k, metres, 0.0) for k in range(1, minutes)]
        back = still(range(20 + minutes, 41))
        return spans(detect([*still(range(21)), *away, *back]))

    assert out(200.0, 5) == [(0, 40)]
    assert out(200.0, 8) == [(0, 20), (28, 40)]
    assert out(400.0, 3) == [(0, 40)]
    assert out(400.0, 6) == [(0, 20), (26, 40)]


def test_a_lone_wrong_ping_is_bridged_however_sparse_pings_are():
    for every in (1, 5, 15, 50):
        rows = [
            *still(range(0, 5 * every, every)),
            (5 * every, 350.0, 0.0),
            *still(range(6 * every, 11 * every, every)),
        ]
        assert spans(detect(rows)) == [(0, 10 * every)]
    # So is one after a silence: what was not seen is no absence.
    rows = [*still(range(31)), (70, 120.0, 0.0), *still(range(71, 131))]
    assert spans(detect(rows)) == [(0, 130)]


def test_longer_stays_bridge_more_where_a_share_is_given():
    rows = [*still(range(41)), *[(40 + k, 200.0, 0.0) for k in range(1, 11)], *still(range(51, 61))]
    assert spans(detect(rows)) == [(0, 40), (51, 60)]  # nine minutes between the two are too few
    assert spans(detect(rows, bridge_share=0.3)) == [(0, 60)]


def test_a_loose_stay_must_last_longer():
    """On a circle of 40 m the spread is about 40 m: 15 minutes and 20 times 5 minutes more, or 115 minutes."""

    def strolls(minutes):
        there = [(m, -80.0 * (10 - m) - 40.0, 0.0) for m in range(9)]
        circle = [(9 + k / 2, -40 * np.cos(k), 40 * np.sin(k)) for k in range(2 * minutes)]
        away = [(9 + minutes + k, 500.0 * k + 500, 0.0) for k in range(6)]
        return len(detect([*there, *circle, *away]).lon)

    assert strolls(105) == 0
    assert strolls(125) == 1


def test_one_ping_of_the_departure_does_not_spoil_a_still_stay():
    """Half an hour at one spot and a last ping 90 m away: on average 3 m, where the root mean square is 16 m."""
    rows = [(-5 + k, -500.0 * (5 - k), 0.0) for k in range(5)]
    rows += [*still(range(31)), (31, 90.0, 0.0), *[(32 + k, 500.0 * k + 500, 0.0) for k in range(5)]]
    assert spans(detect(rows, spread_m=5.0)) == [(0, 31)]


def test_the_error_that_accuracies_state_is_noise():
    """A radius of 45 m with 68 % of positions is a deviation of 29.8 m per axis, about the scatter drawn here."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 30, (2, 60))
    rows = [(-20 + k, -3_000.0 + 150 * k, 0.0) for k in range(19)]
    rows += [(k / 2, x, y) for k, (x, y) in enumerate(noise.T)]
    rows += [(31 + k, 500.0 * k + 500, 0.0) for k in range(6)]

    def found(accuracy_m, noise_share):
        return len(detect(rows, accuracy_m=[accuracy_m] * len(rows), roam_m=150.0, noise_share=noise_share).lon)

    assert found(45.0, 1.0) == 1
    assert found(45.0, 0.0) == found(float("nan"), 1.0) == found(5.0, 1.0) == 0


def test_one_fix_of_a_far_mast_makes_no_stroll_a_stay():
    """A quarter of a metre a second: 24 minutes within 100 m of the mean of a slow walk."""
    rows = [(k / 4, 3.75 * k, 0.0) for k in range(200)]
    accuracy_m = [5.0] * 200
    assert len(detect(rows, accuracy_m=accuracy_m, edge_dwell_us=RULES.dwell_us, noise_share=1.0).lon) == 0
    accuracy_m[20] = 1_000.0
    assert len(detect(rows, accuracy_m=accuracy_m, edge_dwell_us=RULES.dwell_us, noise_share=1.0).lon) == 0


def test_at_the_edge_of_what_was_seen_less_time_is_enough():
    leaves = [*still((0, 1, 2, 3)), *[(4 + k, 500.0 * k + 500, 0.0) for k in range(5)]]
    assert spans(detect(leaves)) == [(0, 3)]
    passes = [(-5 + k, -500.0 * (5 - k), 0.0) for k in range(5)]
    assert spans(detect([*passes, *leaves])) == []
    after_silence = [(-100 + k, -500.0 * (5 - k), 0.0) for k in range(5)]
    assert spans(detect([*after_silence, *leaves])) == [(0, 3)]


def test_a_silence_ends_a_stay_and_the_next_ping_begins_another():
    rows = [*still(range(16)), *still(range(80, 96))]
    assert spans(detect(rows)) == [(0, 15), (80, 95)]
    assert spans(detect(rows, gap_us=2 * 60 * MINUTE_US)) == [(0, 95)]


def test_leaving_at_the_next_ping():
    rows = [*still(range(21)), (22, 500.0, 0.0), (23, 1_000.0, 0.0), (24, 1_500.0, 0.0), (25, 2_000.0, 0.0)]
    assert spans(detect(rows)) == [(0, 20)]
    assert spans(detect(rows, is_left_at_next_ping=True)) == [(0, 22)]


def test_a_centre_weighted_by_accuracy():
    """Two pings of 10 m accuracy at 0 and one of 20 m at 90 m: weights 4, 4 and 1 put the centre at 10 m."""
    rows = [(0, 0.0, 0.0), (1, 0.0, 0.0), (20, 90.0, 0.0)]
    stays = detect(rows, accuracy_m=[10, 10, 20], spread_m=100.0, is_weighted=True)
    assert stays.lon[0] * 1e7 / UNITS_PER_M == pytest.approx(10.0, abs=0.02)
    assert detect(rows, spread_m=100.0).lon[0] * 1e7 / UNITS_PER_M == pytest.approx(30.0, abs=0.02)
    assert weight_of(1.0) == weight_of(3.0)
    assert weight_of(float("nan")) == weight_of(30.0)


def test_unsorted_pings_are_refused():
    track = Track(np.array([5, 4]), np.zeros(2, np.int32), np.zeros(2, np.int32))
    for device_id, words in (([1, 1], "goes back"), ([2, 1], "not sorted")):
        with pytest.raises(ValueError, match=words):
            centroid_stays(np.array(device_id), track, None, no_open_centroids(), RULES, 10**17, True)


def test_columns_of_different_lengths_are_refused():
    track = Track(np.zeros(2, np.int64), np.zeros(2, np.int32), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="same length"):
        centroid_stays(np.zeros(2, np.int64), track, None, no_open_centroids(), RULES, 10**17, True)
    track = track._replace(lat_e7=np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="each ping"):
        centroid_stays(np.zeros(2, np.int64), track, np.zeros(1), no_open_centroids(), RULES, 10**17, True)


def test_pings_before_those_carried_are_refused():
    def one(at, state):
        track = Track(np.array([at]), np.zeros(1, np.int32), np.zeros(1, np.int32))
        return centroid_stays(np.array([1]), track, None, state, RULES, at + 1, False)[1]

    with pytest.raises(ValueError, match="goes back"):
        one(10, one(20, no_open_centroids()))


def test_a_silence_is_still_if_it_ends_where_it_began():
    at = np.array([0, 90, 300, 2_000, 2_100]) * MINUTE_US
    lon = np.round(np.array([0, 60, 60, 60, 500]) * UNITS_PER_M).astype(np.int32)
    device = np.array([1, 1, 1, 1, 1])
    limits = (60 * MINUTE_US, 24 * 60 * MINUTE_US)
    # 90 min over 60 m and 210 min over 0 m; 1,700 min are too long, and 100 min over 440 m too far.
    assert still_silences(device, at, lon, np.zeros(5, np.int32), *limits, 100.0).tolist() == [0, 1]
    assert still_silences(device, at, lon, np.zeros(5, np.int32), *limits, 50.0).tolist() == [1]
    assert still_silences(np.arange(5), at, lon, np.zeros(5, np.int32), *limits, 100.0).tolist() == []
    north = np.round(np.array([0, 60, 60, 60, 500]) * UNITS_PER_M).astype(np.int32)
    assert still_silences(device, at, np.zeros(5, np.int32), north, *limits, 50.0).tolist() == [1]
