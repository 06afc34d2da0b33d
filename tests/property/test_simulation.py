from datetime import date, timedelta

import numpy as np
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.geodesy import haversine_m
from pipeline.simulation import CityParams, simulate_bucket, study_span_s
from pipeline.simulation.bucket import draw_bucket, time_order
from pipeline.simulation.city import degrees_of
from pipeline.simulation.faults import CLEAN
from pipeline.simulation.random_streams import next_bits
from pipeline.simulation.sampling import advance
from tests.naive import naive_advance, naive_position, naive_splitmix64, naive_time_order

cities = st.builds(
    CityParams,
    seed=st.integers(0, 2**63 - 1),
    n_devices=st.integers(1, 12),
    n_days=st.integers(1, 5),
    start=st.dates(date(2019, 1, 1), date(2022, 12, 31)),
    zone=st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland"]),
    centre_lon=st.floats(-180, 179.9),
    centre_lat=st.floats(-70, 70),
    radius_m=st.floats(2_000, 40_000),
    pings_per_day=st.floats(5, 800),
    employed_share=st.floats(0, 1),
    chain_share=st.floats(0, 1),
    outings_per_free_day=st.floats(0.1, 3),
    explore_rho=st.floats(0, 1),
    n_places=st.integers(50, 300),
    n_workplaces=st.integers(20, 100),
    faults=st.floats(0, 0.1),
)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_random_bits_are_those_of_the_naive_generator(start):
    state = np.array([start], np.uint64)
    assert [int(next_bits(state)) for _ in range(5)] == naive_splitmix64(start, 5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**31 - 1) | st.integers(0, 5) | st.integers(65_530, 65_540)))
def test_time_order_is_the_stable_order(seconds):
    assert time_order(np.array(seconds, np.int32)).tolist() == naive_time_order(seconds)


@settings(max_examples=50, deadline=None)
@given(
    weights=st.lists(st.sampled_from([0.0, 1.0, 4.0]), min_size=1, max_size=5),
    spent_s=st.floats(0, 59),
    gap=st.floats(0.01, 500),
)
def test_a_gap_ends_where_small_steps_end(weights, spent_s, gap):
    minute, spent = advance(np.array(weights), 0, spent_s, gap)
    slow = naive_advance(weights, 0, spent_s, gap)
    if minute == len(weights):  # past the end; the steps may stop just short of it
        left = sum((60 - (spent_s if k == 0 else 0)) * weight for k, weight in enumerate(weights))
        assert gap >= left
        assert slow is None or slow > 60 * len(weights) - 0.1 or gap - left < 0.1
    else:
        assert slow is not None and abs(minute * 60 + spent - slow) < 0.1


@settings(max_examples=40, deadline=None)
@given(cities)
def test_stays_and_trips_are_a_partition_of_the_study(params):
    opened_s, closed_s = study_span_s(params)
    stays = simulate_bucket(params, 0, 1).stays
    started = pc.divide(stays["started_at"].cast("int64"), 1_000_000).to_numpy()
    finished = pc.divide(stays["finished_at"].cast("int64"), 1_000_000).to_numpy()
    devices = np.array(stays["device_id"].to_pylist())
    is_first = np.concatenate([[True], devices[1:] != devices[:-1]])
    is_last = np.concatenate([is_first[1:], [True]])
    assert is_first.sum() == params.n_devices
    assert (started[is_first] == opened_s).all() and (finished[is_last] <= closed_s).all()
    assert (finished > started).all()
    trips_s = (started[1:] - finished[:-1])[~is_first[1:]]
    assert (trips_s >= params.trip_overhead_s).all()
    whole = ~is_last & ~is_first
    assert (finished - started)[whole].min(initial=300) >= 300
    place = stays["place_id"].to_numpy()
    moved = place[1:] != place[:-1]
    assert moved[~is_first[1:]].all()  # two stays in a row are never at one place


@settings(max_examples=40, deadline=None)
@given(cities)
def test_trips_keep_to_the_speed_of_their_length(params):
    diaries = draw_bucket(params, 0, 1).diaries
    is_trip = np.ones(diaries.started_s.size - 1, bool)
    is_trip[diaries.first[1:-1] - 1] = False
    length_m = np.hypot(np.diff(diaries.x_m), np.diff(diaries.y_m))[is_trip]
    seconds = (diaries.started_s[1:] - diaries.finished_s[:-1])[is_trip] - params.trip_overhead_s
    usual = np.where(
        length_m < params.walk_below_m,
        params.walk_speed_m_per_s,
        np.where(length_m < params.drive_above_m, params.bus_speed_m_per_s, params.drive_speed_m_per_s),
    )
    assert (length_m <= 6.0 * params.radius_m).all()
    ratio = (seconds + 1) / np.maximum(length_m / usual, 1.0)
    assert (ratio > np.exp(-6 * params.trip_log_spread)).all()
    assert ((seconds - 1) < np.exp(6 * params.trip_log_spread) * length_m / usual + 1).all()


@settings(max_examples=25, deadline=None)
@given(cities)
def test_clean_pings_lie_where_the_naive_diary_puts_the_person(params):
    params = params.model_copy(update={"trip_bow": 0.0, "n_devices": min(params.n_devices, 4), "pings_per_day": 30.0})
    drawn = draw_bucket(params, 0, 1)
    diaries, pings = drawn.diaries, drawn.pings
    for row in np.nonzero(pings.kind == CLEAN)[0]:
        mine = slice(*diaries.first[pings.owner[row] : pings.owner[row] + 2])
        columns = (diaries.started_s, diaries.finished_s, diaries.x_m, diaries.y_m)
        own = list(zip(*(column[mine].tolist() for column in columns), strict=True))
        x, y, is_still = naive_position(own, int(pings.reported_s[row]))
        lon, lat = degrees_of(params, np.array([x]), np.array([y]))
        away_m = haversine_m(lon[0], lat[0], pings.lon_e7[row] / 1e7, pings.lat_e7[row] / 1e7)
        assert away_m <= 5.0 * pings.accuracy_m[row] + 0.1
        assert is_still or own[0][1] <= pings.reported_s[row]


@settings(max_examples=20, deadline=None)
@given(cities, st.integers(2, 5))
def test_people_do_not_depend_on_the_number_of_buckets(params, n_buckets):
    whole = simulate_bucket(params, 0, 1)
    parts = [simulate_bucket(params, bucket, n_buckets) for bucket in range(n_buckets)]
    assert sum(part.counts["rows"] for part in parts) == whole.counts["rows"]
    people = {row["device_id"]: row for row in whole.people.to_pylist()}
    for part in parts:
        assert all(people[row["device_id"]] == row for row in part.people.to_pylist())
        mine = pc.is_in(whole.stays["device_id"], value_set=part.people["device_id"].combine_chunks())
        assert whole.stays.filter(mine).to_pylist() == part.stays.to_pylist()


@settings(max_examples=20, deadline=None)
@given(cities, st.integers(1, 3))
def test_a_longer_study_begins_like_a_shorter_one(params, more):
    longer = params.model_copy(update={"n_days": params.n_days + more})
    _, closed_s = study_span_s(params)
    short, long = draw_bucket(params, 0, 1).diaries, draw_bucket(longer, 0, 1).diaries
    for k in range(params.n_devices):
        mine = slice(short.first[k], short.first[k + 1])
        ahead = slice(long.first[k], long.first[k] + short.first[k + 1] - short.first[k])
        assert (short.started_s[mine] == long.started_s[ahead])[short.started_s[mine] < closed_s].all()
        assert (short.place[mine] == long.place[ahead])[short.started_s[mine] < closed_s].all()


def test_a_study_can_start_and_end_across_changes_of_clocks():
    for start in (date(2020, 3, 8), date(2020, 11, 1)):
        params = CityParams(n_devices=40, start=start - timedelta(days=1), n_days=3, pings_per_day=100)
        stays = simulate_bucket(params, 0, 1).stays.to_pandas()
        work = stays[stays.purpose == "work"].started_at.dt.tz_convert(params.zone)
        assert len(work) > 10 and work.dt.hour.between(4, 16).all()
