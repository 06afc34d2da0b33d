"""Inputs made to break stays: each ends in a right answer or a clear refusal, in linear time and bounded memory."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data_contracts import OPEN_STAYS, PINGS, STAYS, conform
from pipeline.stages.pings import PingParams, merge_pings
from pipeline.stages.stays import StayParams, stays
from tests.conftest import all_rows, run_all

DAY_US = 86_400_000_000
START = date(2024, 1, 1)
START_US = (START - date(1970, 1, 1)).days * DAY_US
CRITERIA = ("centroid", "diameter", "anchor", "density")
# The literature's values under every criterion, so that one expectation serves all.
PLAIN = {"roam_m": 100.0, "dwell_s": 300.0, "edge_dwell_s": 300.0, "dwell_s_per_m": 0.0}


def ping_table(at_us, lon, lat, device_id=1):
    """Pings as the stage `pings` makes them from rows in any order."""
    n = len(at_us)
    columns = {
        "device_id": np.broadcast_to(np.asarray(device_id, np.int64), n),
        "tracked_at": pa.array(np.asarray(at_us, np.int64)).cast(PINGS.schema.field("tracked_at").type),
        "lon_e7": np.round(np.broadcast_to(lon, n) * 1e7).astype(np.int32),
        "lat_e7": np.round(np.broadcast_to(lat, n) * 1e7).astype(np.int32),
        "accuracy_m": np.full(n, np.nan, np.float32),
        "utc_offset_s": np.zeros(n, np.int32),
    }
    return merge_pings(pa.table(columns), PingParams())


def find(at_us, lon, lat, device_id=1, **params):
    """Return (stays, rows carried over each midnight) by the stage, date by date, contracts checked."""
    pings = ping_table(at_us, lon, lat, device_id).to_pandas(date_as_object=False)
    chosen = StayParams(**params)
    day = (pings["tracked_at"].astype("int64") // DAY_US).to_numpy()
    found, carried = [], []
    left = OPEN_STAYS.schema.empty_table().to_pandas(date_as_object=False)
    today = int(day.min())
    while today <= day.max() or len(left):
        midnight = pd.Timestamp(0, tz="UTC") + timedelta(days=today + 1)
        is_last = today >= day.max() + 2
        here = pings[day == today].reset_index(drop=True)
        rows, left = stays(here, left, midnight, is_last, chosen)
        found.append(conform(pa.Table.from_pandas(rows, preserve_index=False), STAYS).to_pandas())
        carry = conform(pa.Table.from_pandas(left, preserve_index=False), OPEN_STAYS)
        carried.append(carry.nbytes)
        left = carry.to_pandas(date_as_object=False)
        today += 1
    return pd.concat(found).sort_values(["device_id", "started_at"], ignore_index=True), carried


def hours(rows):
    """(started, finished) in hours since the start, is_inferred."""
    epoch = pd.Timestamp(START, tz="UTC")
    return [
        (round((a - epoch).total_seconds() / 3600, 3), round((b - epoch).total_seconds() / 3600, 3), bool(i))
        for a, b, i in zip(rows["started_at"], rows["finished_at"], rows["is_inferred"], strict=True)
    ]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_all_pings_identical_are_one_ping_and_no_stay(criterion):
    rows, _ = find(np.full(1_000_000, START_US), 116.3, 39.9, criterion=criterion, **PLAIN)
    assert len(rows) == 0


@pytest.mark.parametrize("criterion", CRITERIA)
def test_one_place_for_a_million_pings_is_one_stay(criterion):
    at = START_US + np.arange(1_000_000) * 80_000
    rows, _ = find(at, 116.3, 39.9, criterion=criterion, **PLAIN)
    assert hours(rows) == [(0, 22.222, False)]
    assert rows["n_pings"].tolist() == [1_000_000]
    assert rows["lon"].tolist() == [116.3]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_two_pings_a_year_apart_are_no_stay(criterion):
    rows, carried = find([START_US, START_US + 365 * DAY_US], 116.3, 39.9, criterion=criterion, **PLAIN)
    assert len(rows) == 0
    assert len(carried) >= 365


def test_two_pings_a_day_apart_are_an_inferred_stay_unless_none_is_wanted():
    at = [START_US, START_US + DAY_US]
    rows, _ = find(at, 116.3, 39.9)
    assert hours(rows) == [(0, 24, True)]
    assert rows[["n_pings", "max_gap_s", "lon"]].values.tolist() == [[2, 86_400, 116.3]]
    assert len(find(at, 116.3, 39.9, infer_gap_s=0)[0]) == 0
    assert len(find(at, [116.3, 116.31], 39.9)[0]) == 0


@pytest.mark.parametrize("criterion", CRITERIA)
def test_rows_in_any_order_give_the_same_stays(criterion):
    rng = np.random.default_rng(1)
    at = START_US + np.arange(2_000) * 60_000_000
    lon = 116.3 + np.repeat(rng.normal(0, 0.02, 20), 100) + rng.normal(0, 1e-4, 2_000)
    order = rng.permutation(2_000)
    sorted_rows, _ = find(at, lon, 39.9, criterion=criterion)
    shuffled_rows, _ = find(at[order], lon[order], 39.9, criterion=criterion)
    assert len(sorted_rows) >= 15
    pd.testing.assert_frame_equal(sorted_rows, shuffled_rows)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_many_pings_at_one_time_in_two_places(criterion):
    """Half of the pings of each second are a kilometre off: two places at once are no stay of either, and no error."""
    at = START_US + np.repeat(np.arange(1_200), 2) * 1_000_000
    lon = np.tile([116.3, 116.312], 1_200)
    rows, _ = find(at, lon, 39.9, criterion=criterion, skip_jumps=False, **PLAIN)
    assert (rows["finished_at"] >= rows["started_at"]).all()
    skipped, _ = find(at, lon, 39.9, criterion=criterion, **PLAIN)
    assert len(skipped) <= 1


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize(("lon", "lat"), [(180.0, -17.0), (0.0, 89.9999), (77.0, -89.9999)])
def test_across_the_antimeridian_and_at_the_poles(criterion, lon, lat):
    """Ten metres about a point where degrees of longitude jump or shrink to nothing."""
    at = START_US + np.arange(60) * 60_000_000
    angle = np.arange(60) * 2.399963
    north, east = 10 * np.cos(angle), 10 * np.sin(angle)
    if abs(lat) > 89:
        # Polar coordinates about the pole, 11 m from the middle of the circle.
        x, y = 11.1 + east, north
        lons, lats = np.degrees(np.arctan2(y, x)), np.sign(lat) * (90 - np.hypot(x, y) / 111_195)
    else:
        lons = lon + east / (111_195 * np.cos(np.radians(lat)))
        lats = lat + north / 111_195
    lons = (lons + 180) % 360 - 180
    rows, _ = find(at, lons, lats, criterion=criterion, **PLAIN)
    assert hours(rows) == [(0, 0.983, False)]
    assert 90 - abs(rows["lat"].iloc[0]) < 2e-4 if abs(lat) > 89 else abs(abs(rows["lon"].iloc[0]) - 180) < 1e-5


def test_a_night_of_25_hours_is_one_stay_of_its_true_length(tmp_path, city):
    """In New York the clock goes back on 2024-11-03 at 06:00 UTC: 23:00 to 07:00 local are nine hours."""
    at = pd.date_range("2024-11-03T03:00", "2024-11-03T12:00", freq="5min", tz="UTC")
    path = tmp_path / "night.csv"
    pd.DataFrame({"id": "a", "t": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "x": -73.98, "y": 40.75}).to_csv(path, index=False)
    columns = {"device_id": "id", "tracked_at": "t", "lon": "x", "lat": "y"}
    fields = {"start": date(2024, 11, 2), "end": date(2024, 11, 4), "zone": "America/New_York", "params": {}}
    study = city.study(sources=[{"path": str(path), "columns": columns}], tracts=None, **fields)
    run_all(study, tmp_path / "tables", n_buckets=1)
    rows, visits = (all_rows(tmp_path / "tables", name).to_pandas() for name in ("stays", "visits"))
    assert rows["utc_offset_s"].tolist() == [-4 * 3600]
    assert visits["dwell_s"].tolist() == [9 * 3600]
    assert visits["date"].astype(str).tolist() == ["2024-11-02"]


@pytest.mark.slow
@pytest.mark.parametrize("criterion", CRITERIA)
def test_ten_million_pings_of_one_device_in_a_day(criterion):
    """115 a second, wandering within noise: a stay, in seconds."""
    n = 10_000_000
    rng = np.random.default_rng(2)
    at = START_US + (np.arange(n) * (DAY_US / n)).astype(np.int64)
    lon = 116.3 + rng.normal(0, 5e-5, n)
    rows, _ = find(at, lon, 39.9, criterion=criterion, roam_m=200.0, dwell_s=300.0)
    assert hours(rows)[0][:2] == (0, 24) or criterion != "centroid"
    assert len(rows) >= 1


@pytest.mark.parametrize("criterion", CRITERIA)
def test_who_never_moves_for_a_year_is_carried_in_constant_space(criterion):
    at = START_US + np.arange(366 * 96) * 900_000_000
    rng = np.random.default_rng(3)
    lon = 116.3 + rng.normal(0, 1e-4, at.size)
    rows, carried = find(at, lon, 39.9, criterion=criterion, roam_m=300.0)
    assert len(rows) == 1 or criterion == "density"
    assert rows["n_pings"].sum() > 0.9 * at.size
    assert max(carried[200:360]) <= 2 * max(carried[2:30])
