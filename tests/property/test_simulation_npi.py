"""Whatever is ordered and whoever answers: diaries stay whole, buckets change nothing, contacts are the twin's."""

import itertools
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.simulation import (
    CityParams,
    Households,
    Outbreak,
    Policies,
    Response,
    find_contacts,
    simulate_bucket,
)
from pipeline.simulation.bucket import draw_lives
from pipeline.simulation.epidemic import delays, draw_infections, draw_reported
from pipeline.simulation.households import home_of
from pipeline.simulation.policies import counties_of
from pipeline.simulation.responses import simulate_response
from pipeline.simulation.schedules import HOME, errand_rules
from tests.naive_npi_city import naive_contacts, naive_kept_stays

START = date(2020, 3, 4)  # a Wednesday; clocks change on the 8th
ZONE = "America/New_York"

coefficients = st.floats(-3, 1)
responses = st.builds(
    Response,
    stringency=coefficients,
    severity=coefficients,
    adaptation=coefficients,
    term=st.sampled_from(["weeks", "log_weeks", "exposure", "forgetting"]),
    stringency_lag_days=st.integers(0, 10),
    severity_lag_days=st.integers(0, 10),
    tilt=st.sampled_from([0.0, 0.5]),
)
cities = st.builds(
    CityParams,
    seed=st.integers(0, 2**63 - 1),
    start=st.just(START),
    n_devices=st.integers(1, 12),
    n_days=st.integers(1, 8),
    n_tracts=st.integers(4, 12),
    n_counties=st.integers(1, 4),
    pings_per_day=st.just(3.0),
    households=st.none() | st.builds(Households, sizes=st.tuples(st.floats(0.1, 1), st.floats(0, 1), st.floats(0, 1))),
    policies=st.builds(Policies, first=st.dates(date(2020, 1, 1), date(2020, 3, 8)), never_share=st.floats(0, 1)),
    outbreak=st.builds(Outbreak, first=st.dates(date(2019, 12, 1), date(2020, 2, 1))),
    response=responses,
)


def stays_of(lives, k):
    """The stays of person k as plain tuples."""
    rows = slice(lives.diaries.first[k], lives.diaries.first[k + 1])
    columns = [column[rows].tolist() for column in lives.diaries[1:]]
    return list(zip(*columns, strict=True))


@settings(max_examples=15, deadline=None)
@given(cities)
def test_outings_left_are_those_of_the_twin(params):
    lives = draw_lives(params, 0, 1)
    free = draw_lives(params.model_copy(update={"response": None}), 0, 1)
    answers = simulate_response(params, lives.areas)
    regions, county = np.unique(counties_of(lives.areas), return_inverse=True)
    eta = answers["eta"].to_numpy().reshape(regions.size, params.n_days)
    for k, person in enumerate(lives.people.person):
        area = lives.people.area[k]
        mine = eta[county[area]] * (1.0 + params.response.tilt * lives.areas.affluence[area])

        def eta_of(at_s, mine=mine):
            day = (pd.Timestamp(at_s, unit="s", tz="UTC").tz_convert(ZONE).date() - START).days
            return mine[min(day, params.n_days - 1)]

        expected = naive_kept_stays(np.uint64(params.seed), person, errand_rules(params), eta_of, stays_of(free, k))
        assert stays_of(lives, k) == expected


@settings(max_examples=15, deadline=None)
@given(cities)
def test_diaries_stay_in_order_and_end_at_home(params):
    lives = draw_lives(params, 0, 1)
    homes = home_of(params, lives.people.person)
    for k, home in enumerate(homes):
        stays = stays_of(lives, k)
        assert stays[0][0] == lives.clock.opened_s and stays[-1][1] >= lives.clock.closed_s
        assert all(stay[1] >= stay[0] for stay in stays)
        assert all(after[0] >= before[1] for before, after in itertools.pairwise(stays))
        assert stays[-1][3] == HOME
        offset = lives.city.place_x_m.size + lives.city.work_x_m.size
        assert {stay[2] for stay in stays if stay[3] == HOME} == {offset + home}


@settings(max_examples=10, deadline=None)
@given(cities, st.integers(2, 4))
def test_buckets_change_nothing(params, n_buckets):
    n_buckets = min(n_buckets, params.n_devices)
    whole = simulate_bucket(params, 0, 1)
    parts = [simulate_bucket(params, bucket, n_buckets) for bucket in range(n_buckets)]
    for name in ("stays", "people"):
        joined = pa.concat_tables([getattr(part, name) for part in parts]).to_pandas()
        keys = ["device_id", "started_at"] if name == "stays" else ["device_id"]
        expected = getattr(whole, name).to_pandas()
        pd.testing.assert_frame_equal(
            joined.sort_values(keys, ignore_index=True), expected.sort_values(keys, ignore_index=True)
        )


@settings(max_examples=100, deadline=None)
@given(
    st.builds(
        Outbreak,
        first=st.just(START),
        reproduction=st.floats(0.1, 8),
        slowing=st.floats(0, 3),
        noise=st.floats(0, 1),
        arrivals_per_100k=st.floats(0.1, 1e4),
    ),
    st.lists(st.floats(0, 100), min_size=1, max_size=60),
    st.integers(-5, 70),
    st.integers(1, 100_000),
    st.integers(0, 2**32),
)
def test_nobody_is_infected_twice_nor_before_infections_arrive(outbreak, stringency, arrives, population, seed):
    infections = draw_infections(outbreak, np.array(stringency), arrives, population, np.random.default_rng(seed))
    assert infections.size == len(stringency) and (infections >= 0).all()
    assert infections.sum() <= population and infections[: max(arrives, 0)].sum() == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=60),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 6),
    st.integers(0, 2**32),
)
def test_reports_are_of_infections_and_weekends_only_put_them_off(infections, share, weekend_share, first, seed):
    counted, chances = np.array(infections), delays(2.0, 4.0, 14)
    weekday = (first + np.arange(counted.size)) % 7
    all_at_once, put_off = (
        draw_reported(counted, share, chances, weekday, kept, np.random.default_rng(seed))
        for kept in (1.0, weekend_share)
    )
    assert (put_off >= 0).all() and all_at_once[0] == 0
    known, told = np.cumsum(all_at_once), np.cumsum(put_off)
    assert (known <= np.concatenate([[0], np.cumsum(counted)[:-1]])).all()
    assert (told <= known).all() and (told == known)[weekday < 5].all()


@st.composite
def true_stays(draw):
    """Stays of a few people at a few places, those of one person one after the other, over a change of clocks."""
    opened = pd.Timestamp(START, tz=ZONE).tz_convert("UTC")
    rows = []
    for person in range(draw(st.integers(0, 4))):
        at_s = draw(st.integers(0, 40_000))
        for _ in range(draw(st.integers(0, 6))):
            place = draw(st.integers(0, 2))
            lasted_s = draw(st.integers(1, 200_000))
            start, end = (opened + timedelta(seconds=second) for second in (at_s, at_s + lasted_s))
            rows.append((f"device-{person}", start, end, place, ("errand", "work", "home")[place]))
            at_s += lasted_s + draw(st.integers(0, 40_000))
    columns = ["device_id", "started_at", "finished_at", "place_id", "purpose"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"place_id": "int64", "device_id": "str", "purpose": "str"})


def as_table(frame):
    times = pa.timestamp("us", tz="UTC")
    schema = pa.schema(
        [("device_id", pa.string()), ("started_at", times), ("finished_at", times), ("place_id", pa.int64()),
         ("purpose", pa.string())]
    )  # fmt: skip
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)


def who_lives_where(home_of):
    columns = {"device_id": pa.array(home_of, pa.string()), "home_place_id": pa.array(home_of.values(), pa.int64())}
    return pa.table(columns)


@settings(max_examples=100, deadline=None)
@given(true_stays(), st.lists(st.integers(2, 4), min_size=4, max_size=4), st.randoms())
def test_contacts_are_those_of_the_twin_in_any_order_of_stays(frame, homes, random):
    """Also of people who meet elsewhere than at the one home, or at the home of one of them or of somebody else."""
    order = list(range(len(frame)))
    random.shuffle(order)
    home_of = {f"device-{person}": home for person, home in enumerate(homes)}
    people, params = who_lives_where(home_of), CityParams(start=START, zone=ZONE)
    found = find_contacts(params, as_table(frame.iloc[order]), people).to_pandas()
    expected = naive_contacts(ZONE, frame, home_of)
    keys = list(zip(found.device_a, found.device_b, found.date, found.place_kind, found.place_id, strict=True))
    values = zip(found.overlap_s, found.longest_s, found.is_household, strict=True)
    assert dict(zip(keys, values, strict=True)) == expected and len(found) == len(expected)


def test_contacts_of_a_worked_example():
    """Two meet twice at an errand; two live together over a midnight, and meet at an errand of both as well."""
    rows = [
        ("b", "2020-03-04 10:00", "2020-03-04 11:00", 7, "errand"),
        ("a", "2020-03-04 10:30", "2020-03-04 10:45", 7, "errand"),
        ("a", "2020-03-04 10:50", "2020-03-04 12:00", 7, "errand"),
        ("c", "2020-03-04 20:00", "2020-03-05 02:00", 9, "home"),
        ("a", "2020-03-04 23:00", "2020-03-05 06:00", 9, "home"),
        ("b", "2020-03-04 20:00", "2020-03-05 06:00", 10, "home"),
        ("d", "2020-03-04 11:00", "2020-03-04 13:00", 7, "errand"),
        ("c", "2020-03-04 11:30", "2020-03-04 12:30", 7, "errand"),
    ]
    frame = pd.DataFrame(rows, columns=["device_id", "started_at", "finished_at", "place_id", "purpose"])
    for name in ("started_at", "finished_at"):
        frame[name] = pd.to_datetime(frame[name]).dt.tz_localize(ZONE).dt.tz_convert("UTC")
    people = who_lives_where({"a": 9, "b": 10, "c": 9, "d": 11, "elsewhere": 12})
    found = find_contacts(CityParams(start=START, zone=ZONE), as_table(frame), people).to_pylist()
    short = [tuple(row.values()) for row in found]
    first, second = date(2020, 3, 4), date(2020, 3, 5)
    assert short == [
        ("a", "b", first, "venue", 7, 1_500, 900, False),
        ("a", "c", first, "venue", 7, 1_800, 1_800, True),
        ("a", "c", first, "home", 9, 3_600, 3_600, True),
        ("a", "c", second, "home", 9, 7_200, 7_200, True),
        ("a", "d", first, "venue", 7, 3_600, 3_600, False),
        ("c", "d", first, "venue", 7, 3_600, 3_600, False),
    ]
    with pytest.raises(ValueError, match="people: no home of 1 of 4 devices in the stays"):
        find_contacts(CityParams(), as_table(frame), people.filter(pc.not_equal(people["device_id"], "d")))


@pytest.mark.parametrize("n_people", [0, 1])
def test_nobody_meets_alone(n_people):
    at = pd.Timestamp("2020-03-04 12:00", tz="UTC")
    rows = [("a", at, at + pd.Timedelta(hours=1), 1, "home")] * n_people
    frame = pd.DataFrame(rows, columns=["device_id", "started_at", "finished_at", "place_id", "purpose"])
    assert find_contacts(CityParams(start=START), as_table(frame), who_lives_where({"a": 1})).num_rows == 0
