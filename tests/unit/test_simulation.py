import collections
import hashlib
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline.kernels.geodesy import haversine_m
from pipeline.simulation import (
    KINDS,
    CityParams,
    raw_dates,
    simulate_bucket,
    study_span_s,
    suggest_n_buckets,
)
from pipeline.simulation.bucket import draw_bucket
from pipeline.simulation.clock import study_clock, utc_at
from pipeline.simulation.faults import CLEAN, SPIKE
from pipeline.simulation.random_streams import next_bits, normal_pair, open_stream, pick, uniform
from pipeline.simulation.schedules import MAX_STAYS_PER_DAY, draw_diaries
from pipeline.simulation.sectors import SECTORS
from tests.naive import naive_splitmix64

SMALL = CityParams(n_devices=30, n_days=3, pings_per_day=200, faults=0.03)
TOWN = CityParams(n_devices=150, n_days=14, pings_per_day=150)


@pytest.fixture(scope="module")
def town():
    return simulate_bucket(TOWN, 0, 1)


@pytest.fixture(scope="module")
def town_stays(town):
    stays = town.stays.to_pandas()
    return stays.assign(length_s=(stays.finished_at - stays.started_at).dt.total_seconds())


def sorted_rows(frame):
    return frame.sort_values(list(frame.columns)).reset_index(drop=True)


# --- random streams -----------------------------------------------------------------------------------


def test_splitmix64_gives_its_published_outputs():
    state = np.array([1234567], np.uint64)
    got = [int(next_bits(state)) for _ in range(3)]
    assert got == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert got == naive_splitmix64(1234567, 3)


def test_streams_differ_by_seed_owner_and_number():
    def first(seed, owner, stream):
        state = np.empty(1, np.uint64)
        open_stream(state, np.uint64(seed), owner, stream)
        return int(next_bits(state))

    keys = [(seed, owner, stream) for seed in range(12) for owner in range(12) for stream in range(12)]
    assert len({first(*key) for key in keys}) == len(keys)
    assert first(3, 5, 7) == first(3, 5, 7)


def test_uniform_and_normal_numbers_have_their_moments():
    state = np.array([7], np.uint64)
    uniforms = np.array([uniform(state) for _ in range(20_000)])
    normals = np.array([normal_pair(state) for _ in range(20_000)])
    assert uniforms.min() > 0.0 and uniforms.max() < 1.0
    assert abs(uniforms.mean() - 0.5) < 0.01
    assert np.abs(normals.mean(axis=0)).max() < 0.03
    assert np.abs(np.cov(normals.T) - np.eye(2)).max() < 0.04


def test_pick_follows_the_weights_within_its_range():
    state = np.array([11], np.uint64)
    running = np.cumsum([5.0, 1.0, 0.0, 3.0, 9.0])
    drawn = collections.Counter(int(pick(state, running, 1, 4)) for _ in range(8_000))
    assert set(drawn) == {1, 3}
    assert drawn[3] / 8_000 == pytest.approx(0.75, abs=0.02)


# --- parameters and clock -----------------------------------------------------------------------------


def test_params_refuse_unknown_names_bad_zones_and_changes():
    with pytest.raises(ValidationError, match="pings_per_hour"):
        CityParams(pings_per_hour=3)
    with pytest.raises(ValidationError, match="not an IANA zone"):
        CityParams(zone="Mars/Olympus")
    with pytest.raises(ValidationError, match="frozen"):
        SMALL.seed = 3


@pytest.mark.parametrize(
    ("zone", "start", "n_days", "hours"),
    [
        ("America/New_York", date(2020, 3, 8), 1, 23),
        ("America/New_York", date(2020, 11, 1), 1, 25),
        ("Asia/Kolkata", date(2020, 3, 8), 2, 48),
        ("Europe/Berlin", date(2021, 3, 27), 3, 71),
    ],
)
def test_study_span_has_short_and_long_days(zone, start, n_days, hours):
    opened_s, closed_s = study_span_s(CityParams(zone=zone, start=start, n_days=n_days))
    assert closed_s - opened_s == hours * 3_600
    assert datetime.fromtimestamp(opened_s, ZoneInfo(zone)).replace(tzinfo=None) == datetime(*start.timetuple()[:3])


def test_raw_dates_are_the_utc_dates_of_the_study():
    west = CityParams(start=date(2020, 1, 6), n_days=2)
    assert raw_dates(west) == [date(2020, 1, 6), date(2020, 1, 7), date(2020, 1, 8)]
    east = west.model_copy(update={"zone": "Asia/Tokyo"})
    assert raw_dates(east) == [date(2020, 1, 5), date(2020, 1, 6), date(2020, 1, 7)]
    assert raw_dates(west.model_copy(update={"zone": "UTC"})) == [date(2020, 1, 6), date(2020, 1, 7)]


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"])
@pytest.mark.parametrize("start", [date(2020, 3, 5), date(2020, 3, 26), date(2020, 10, 22), date(2020, 10, 30)])
def test_utc_at_agrees_with_zoneinfo(zone, start):
    clock = study_clock(CityParams(zone=zone, start=start, n_days=5))
    for day in range(5):
        for clock_s in range(3 * 3_600 + 60, 27 * 3_600, 1_800):  # changes of clocks happen before 3:01
            local = datetime(start.year, start.month, start.day) + timedelta(days=day, seconds=clock_s)
            if local.hour * 60 + local.minute <= 180:
                continue
            assert utc_at(clock, day, clock_s) == int(local.replace(tzinfo=ZoneInfo(zone)).timestamp())


def test_suggest_n_buckets_holds_about_five_million_pings():
    assert suggest_n_buckets(CityParams(n_devices=10_000, n_days=10, pings_per_day=1_000)) == 20
    assert suggest_n_buckets(SMALL) == 1


# --- buckets and seeds --------------------------------------------------------------------------------


def test_buckets_are_a_partition_of_the_same_city():
    whole = simulate_bucket(SMALL, 0, 1)
    parts = [simulate_bucket(SMALL, bucket, 4) for bucket in range(4)]
    for name in ("pings", "stays", "people"):
        together = pd.concat([getattr(part, name).to_pandas().astype({"device_id": str}) for part in parts])
        alone = getattr(whole, name).to_pandas().astype({"device_id": str})
        pd.testing.assert_frame_equal(sorted_rows(together), sorted_rows(alone))
    totals = sum((collections.Counter(part.counts) for part in parts), collections.Counter())
    assert dict(totals) == {key: count for key, count in whole.counts.items() if count}


@pytest.mark.parametrize(("bucket", "n_buckets"), [(3, 3), (-1, 3), (0, 0)])
def test_a_bucket_that_does_not_exist_is_refused(bucket, n_buckets):
    with pytest.raises(ValueError, match="is not one of"):
        simulate_bucket(SMALL, bucket, n_buckets)


def test_an_empty_bucket_and_a_dark_city_have_all_columns():
    full = simulate_bucket(SMALL, 0, 1)
    empty = simulate_bucket(SMALL, 30, 31)
    dark = simulate_bucket(SMALL.model_copy(update={"dark_day_share": 1.0}), 0, 1)
    assert empty.counts["people"] == empty.counts["stays"] == empty.counts["rows"] == 0
    assert dark.counts["people"] == 30 and dark.counts["rows"] == 0 and dark.counts["stays"] > 90
    for bucket in (empty, dark):
        assert [table.schema for table in bucket[:3]] == [table.schema for table in full[:3]]


def test_more_devices_leave_the_first_ones_unchanged():
    ids = simulate_bucket(SMALL, 0, 1).people["device_id"].to_pylist()
    larger = simulate_bucket(SMALL.model_copy(update={"n_devices": 45}), 0, 1)
    stays = larger.stays.to_pandas()
    expected = simulate_bucket(SMALL, 0, 1).stays.to_pandas()
    pd.testing.assert_frame_equal(stays[stays.device_id.isin(ids)].reset_index(drop=True), expected)


def test_another_seed_is_another_city():
    one, other = simulate_bucket(SMALL, 0, 1), simulate_bucket(SMALL.model_copy(update={"seed": 1}), 0, 1)
    assert not set(one.people["device_id"].to_pylist()) & set(other.people["device_id"].to_pylist())
    assert not np.isin(one.people["home_lon"], other.people["home_lon"]).any()


def test_device_ids_are_32_hexadecimal_digits(town):
    ids = town.people["device_id"].to_pylist()
    assert len(set(ids)) == TOWN.n_devices
    assert all(len(text) == 32 and int(text, 16) >= 0 for text in ids)


def test_the_city_of_a_seed_is_as_it_ever_was():
    """Whatever is added to the simulation: what is not asked for changes nothing."""
    bucket = simulate_bucket(SMALL, 0, 1)
    pings = bucket.pings.to_pandas().dropna(subset=["timestamp", "latitude", "longitude"])
    columns = [
        pings.timestamp, (pings.latitude * 1e7).round(), (pings.longitude * 1e7).round(),
        bucket.stays["started_at"].cast("int64"), bucket.stays["finished_at"].cast("int64"), bucket.stays["place_id"],
        bucket.people["home_place_id"],
    ]  # fmt: skip
    digest = hashlib.blake2b(digest_size=8)
    for column in columns:
        digest.update(np.asarray(column).astype(np.int64).tobytes())
    assert digest.hexdigest() == "467780165bb42425"


# --- truth --------------------------------------------------------------------------------------------


def test_people_agree_with_their_stays(town, town_stays):
    people = town.people.to_pandas().set_index("device_id")
    stays = town_stays.join(people, on="device_id")
    home, work = stays[stays.purpose == "home"], stays[stays.purpose == "work"]
    assert (home.place_id == home.home_place_id).all()
    assert (home[["lon", "lat"]].to_numpy() == home[["home_lon", "home_lat"]].to_numpy()).all()
    assert work.is_employed.all() and (work.place_id == work.work_place_id).all()
    assert (work[["lon", "lat"]].to_numpy() == work[["work_lon", "work_lat"]].to_numpy()).all()
    jobless = people[~people.is_employed]
    assert jobless[["work_lon", "work_lat", "work_place_id", "sector"]].isna().all(axis=None)
    assert set(people.sector.dropna()) <= {sector.naics for sector in SECTORS}
    assert town_stays.groupby("place_id")[["lon", "lat"]].nunique().eq(1).all(axis=None)


def test_work_happens_on_planned_days_only():
    drawn = draw_bucket(TOWN, 0, 1)
    diaries, owner = drawn.diaries, np.repeat(np.arange(TOWN.n_devices), np.diff(drawn.diaries.first))
    at_work = diaries.purpose == 1
    day = (diaries.started_s[at_work] - drawn.clock.opened_s) // 86_400  # no change of clocks in this study
    planned = set(zip(*map(np.ndarray.tolist, np.nonzero(drawn.people.works)), strict=True))
    assert set(zip(owner[at_work].tolist(), day.tolist(), strict=True)) == planned
    office = drawn.people.is_employed & ~np.array([s.has_rota for s in SECTORS])[drawn.people.jobs.sector]
    weekend = [5, 6, 12, 13]  # the study starts on a Monday
    assert not drawn.people.works[office][:, weekend].any()
    assert drawn.people.works[:, weekend].any()


def test_clearing_the_work_plan_from_a_day_on_is_a_job_loss():
    drawn = draw_bucket(TOWN, 0, 1)
    works = drawn.people.works.copy()
    works[:, 7:] = False
    after = draw_diaries(TOWN, drawn.clock, drawn.city, drawn.people._replace(works=works))
    lost_s = drawn.clock.opened_s + 7 * 86_400
    before = drawn.diaries

    def rows(diaries, early):
        owner = np.repeat(np.arange(TOWN.n_devices), np.diff(diaries.first))
        kept = (diaries.started_s < lost_s) == early
        return set(zip(*(column[kept].tolist() for column in (owner, diaries.started_s, diaries.place)), strict=True))

    assert rows(after, early=True) == rows(before, early=True)
    assert (after.started_s[after.purpose == 1] < lost_s).all()
    assert (before.started_s[before.purpose == 1] >= lost_s).any()


def test_a_start_one_week_later_shifts_the_truth_by_a_week():
    later = SMALL.model_copy(update={"start": SMALL.start + timedelta(days=7)})
    now, then = simulate_bucket(SMALL, 0, 1).stays.to_pandas(), simulate_bucket(later, 0, 1).stays.to_pandas()
    week = pd.Timedelta(days=7)
    pd.testing.assert_frame_equal(
        now.assign(started_at=now.started_at + week, finished_at=now.finished_at + week), then
    )


def test_errands_follow_exploration_and_preferential_return():
    def new_share(**changes):
        stays = simulate_bucket(TOWN.model_copy(update=changes), 0, 1).stays.to_pandas()
        errands = stays[stays.purpose == "errand"]
        return errands.groupby("device_id").place_id.nunique().sum() / len(errands)

    assert new_share(explore_rho=1.0, explore_gamma=0.0) == 1.0
    usual = new_share()
    assert new_share(explore_rho=0.0) < usual / 2
    assert new_share(explore_gamma=0.6) < usual < new_share(explore_gamma=0.0) <= 0.75


def test_the_busiest_habits_stay_within_the_diary():
    busy = TOWN.model_copy(
        update={"outings_per_free_day": 3.0, "chain_share": 1.0, "lunch_share": 1.0, "after_work_share": 1.0,
                "evening_share": 1.0, "errand_max_s": 600, "pings_per_day": 1.0}
    )  # fmt: skip
    drawn = draw_bucket(busy, 0, 1)
    most = np.diff(drawn.diaries.first).max()
    assert 5 * busy.n_days < most <= MAX_STAYS_PER_DAY * busy.n_days


def test_the_town_lives_plausibly(town, town_stays):
    days = TOWN.n_devices * TOWN.n_days
    shares = town_stays.groupby("purpose").length_s.sum() / (days * 86_400)
    radii_km = []
    for _, stays in town_stays.groupby("device_id"):
        middle = np.average(stays[["lon", "lat"]], weights=stays.length_s, axis=0)
        away = [haversine_m(*middle, lon, lat) for lon, lat in zip(stays.lon, stays.lat, strict=True)]
        radii_km.append(np.sqrt(np.average(np.square(away), weights=stays.length_s)) / 1_000)
    trip_share = 1 - shares.sum()
    print(
        f"share of time {shares.round(3).to_dict()} trips {trip_share:.3f}; "
        f"{len(town_stays) / days:.1f} stays a day; radius of gyration {np.median(radii_km):.1f} km; "
        f"{town.counts['rows'] / days:.0f} pings a day"
    )
    assert 0.55 < shares["home"] < 0.85
    assert 0.08 < shares["work"] < 0.25
    assert 0.02 < shares["errand"] < 0.15
    assert 0.01 < trip_share < 0.08
    assert 3.0 < len(town_stays) / days < 6.0
    assert 1.0 < np.median(radii_km) < 6.0
    assert 5 < town_stays.groupby("device_id").place_id.nunique().median() < 40
    assert town.counts["rows"] / days == pytest.approx(TOWN.pings_per_day, rel=0.25)


def test_everybody_sleeps_at_home(town_stays):
    opened_s, _ = study_span_s(TOWN)
    at = pd.to_datetime([opened_s + day * 86_400 + 3 * 3_600 for day in range(TOWN.n_days)], unit="s", utc=True)
    home = town_stays[town_stays.purpose == "home"]
    asleep = sum(((home.started_at <= when) & (home.finished_at > when)).sum() for when in at)
    assert asleep == TOWN.n_devices * TOWN.n_days


# --- pings --------------------------------------------------------------------------------------------


def test_a_person_pings_at_its_own_rate_whatever_the_silences():
    for changes in ({}, {"night_silence_share": 1.0, "silences_per_day": 4.0}, {"moving_boost": 20.0}):
        params = TOWN.model_copy(update={"rate_log_spread": 0.0, "n_devices": 60, "faults": 0.0, **changes})
        rows = simulate_bucket(params, 0, 1).counts["rows"]
        assert rows == pytest.approx(60 * 14 * params.pings_per_day, rel=0.03)


def test_faults_replace_pings_and_move_no_other():
    clean = draw_bucket(SMALL.model_copy(update={"faults": 0.0}), 0, 1).pings
    faulty = draw_bucket(SMALL, 0, 1).pings
    good = faulty.kind <= SPIKE
    before = set(zip(*(column.tolist() for column in clean[:-1]), strict=True))
    after = set(zip(*(column[good].tolist() for column in faulty[:-1]), strict=True))
    assert after < before
    assert len(before) - len(after) == (~good).sum() - (faulty.kind == KINDS.index("duplicate")).sum()


def test_bursts_and_silences_make_gaps_of_seconds_and_hours(town):
    pings = town.pings.to_pandas().dropna()
    gaps_s = pings.groupby("device_id", observed=True).timestamp.diff().dropna()
    assert gaps_s.quantile(0.5) < 60
    assert gaps_s.quantile(0.999) > 4 * 3_600
    local_hour = (pings.timestamp + pings.tz_offset_s) // 3_600 % 24
    night, day = local_hour.between(1, 4).mean() / 4, local_hour.between(9, 18).mean() / 10
    assert 0 < night < 0.8 * day


def test_accuracy_is_the_radius_that_holds_two_thirds_of_positions():
    drawn = draw_bucket(TOWN.model_copy(update={"noise_memory_s": 1e-3, "faults": 0.0, "spike_share": 0.0}), 0, 1)
    people, pings = drawn.people, drawn.pings
    params_at_home = simulate_bucket(TOWN, 0, 1).people.to_pandas()
    asleep = (pings.received_s % 86_400) // 3_600 == 3  # local time: the study opens at midnight
    owner = pings.owner[asleep]
    away_m = np.array(
        [
            haversine_m(lon, lat, lon_e7 / 1e7, lat_e7 / 1e7)
            for lon, lat, lon_e7, lat_e7 in zip(
                params_at_home.home_lon.to_numpy()[owner], params_at_home.home_lat.to_numpy()[owner],
                pings.lon_e7[asleep], pings.lat_e7[asleep], strict=True,
            )
        ]
    )  # fmt: skip
    assert people.person.size == TOWN.n_devices and away_m.size > 3_000
    assert (away_m <= pings.accuracy_m[asleep]).mean() == pytest.approx(0.68, abs=0.03)


def test_tz_offset_follows_daylight_saving_and_can_be_left_out():
    params = CityParams(n_devices=20, start=date(2020, 3, 7), n_days=3, pings_per_day=300, faults=0.0)
    pings = simulate_bucket(params, 0, 1).pings.to_pandas()
    zone = ZoneInfo(params.zone)
    expected = [datetime.fromtimestamp(t, zone).utcoffset().total_seconds() for t in pings.timestamp]
    assert pings.tz_offset_s.tolist() == expected and set(expected) == {-18_000, -14_400}
    without = simulate_bucket(params.model_copy(update={"has_tz_offset": False}), 0, 1).pings
    assert without.column_names == [name for name in pings.columns if name != "tz_offset_s"]


def test_spikes_and_terrible_accuracies_are_far_off_and_clean_rows_are_not():
    params = SMALL.model_copy(update={"spike_share": 0.05, "faults": 0.5})
    drawn = draw_bucket(params, 0, 1)
    homes = simulate_bucket(params, 0, 1).people.to_pandas()
    asleep = (drawn.pings.received_s % 86_400) // 3_600 == 3
    for kind, low_m, high_m in (
        (CLEAN, 0, 500),
        (SPIKE, 200, 3_200),
        (KINDS.index("terrible_accuracy"), 1_200, 21_000),
    ):
        rows = np.nonzero(asleep & (drawn.pings.kind == kind))[0]
        assert rows.size > 0
        for row in rows:
            home = homes.iloc[drawn.pings.owner[row]]
            lon, lat = drawn.pings.lon_e7[row] / 1e7, drawn.pings.lat_e7[row] / 1e7
            assert low_m <= haversine_m(home.home_lon, home.home_lat, lon, lat) <= high_m
