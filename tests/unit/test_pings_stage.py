"""The stage `pings`: every reason by example, offsets, merging, jumps."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from data_contracts import PINGS, RAW_PINGS, REASONS, REJECTED_PINGS, conform
from pipeline.kernels.jumps import jumps
from pipeline.kernels.ordering import radix_order
from pipeline.kernels.quarters import by_quarter
from pipeline.stage import STAGES
from pipeline.stages.pings import ROW, PingParams, merge_pings, pings
from pipeline.study import ColumnMap, Source, Study

NOON = datetime(2024, 3, 10, 12, tzinfo=UTC)
GOOD = {
    "device_id": 1,
    "tracked_at": NOON,
    "lon": 4.9,
    "lat": 52.4,
    "accuracy_m": 10.0,
    "utc_offset_s": 3600,
    "fault": None,
}


def make_study(zone: str = "Europe/Amsterdam", **fields) -> Study:
    source = Source(path="x", columns=ColumnMap(device_id="a", tracked_at="b", lon="c", lat="d"))
    span = {"start": date(2024, 3, 9), "end": date(2024, 3, 11)}
    return Study(**{"name": "s", "zone": zone, "sources": (source,), **span, **fields})


def make_raw(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist([{**GOOD, "row_number": k + 1, **row} for k, row in enumerate(rows)], RAW_PINGS.schema)


def run(*rows: dict, study: Study | None = None, **params) -> tuple[list[dict], list[dict]]:
    raw = make_raw(*rows)
    before = raw.to_pydict()
    accepted, rejected = pings(raw, study or make_study(), PingParams(**params))
    assert raw.to_pydict() == before
    assert accepted.schema.equals(ROW) and rejected.column_names == ["row_number", "reason"]
    return accepted.to_pylist(), rejected.to_pylist()


def reason(row: dict, **params) -> str | None:
    accepted, rejected = run(row, **params)
    assert len(accepted) + len(rejected) == 1
    return rejected[0]["reason"] if rejected else None


def ping(**values) -> dict:
    base = {
        "device_id": 1,
        "tracked_at": NOON,
        "lon_e7": 0,
        "lat_e7": 500_000_000,
        "accuracy_m": 5.0,
        "utc_offset_s": 0,
    }
    return {**base, **values}


def merge(*rows: dict, **params) -> list[dict]:
    merged = merge_pings(pa.Table.from_pylist(list(rows), ROW), PingParams(**params))
    return conform(merged, PINGS).to_pylist()


# --- Reasons -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, None),
        ({"device_id": None}, "missing_device"),
        ({"tracked_at": None}, "missing_time"),
        ({"tracked_at": None, "fault": "bad_time"}, "bad_time"),
        ({"lon": None}, "missing_position"),
        ({"lat": None}, "missing_position"),
        ({"lon": None, "fault": "bad_position"}, "bad_position"),
        ({"lat": 90.0000001}, "latitude_out_of_range"),
        ({"lat": 90.0}, None),
        ({"lon": -180.0000001}, "longitude_out_of_range"),
        ({"lon": -180.0}, None),
        ({"lon": 0.0, "lat": 0.0}, "null_island"),
        ({"lon": -0.0099, "lat": 0.0099}, "null_island"),
        ({"lon": 0.0, "lat": 0.01}, None),
        ({"lon": 0.0, "lat": 52.0}, None),
        ({"tracked_at": datetime(2024, 3, 8, 23, 59, 59, 999_999, UTC)}, "outside_study"),
        ({"tracked_at": datetime(2024, 3, 9, tzinfo=UTC)}, None),
        ({"tracked_at": datetime(2024, 3, 11, 23, 59, 59, 999_999, UTC)}, None),
        ({"tracked_at": datetime(2024, 3, 12, tzinfo=UTC)}, "outside_study"),
        ({"accuracy_m": -1.0}, "bad_accuracy"),
        ({"accuracy_m": float("inf")}, "bad_accuracy"),
        ({"accuracy_m": None, "fault": "bad_accuracy"}, "bad_accuracy"),
        ({"accuracy_m": None}, None),
        ({"utc_offset_s": 50_401}, "bad_utc_offset"),
        ({"utc_offset_s": -50_400}, None),
        ({"utc_offset_s": None, "fault": "bad_utc_offset"}, "bad_utc_offset"),
        (dict.fromkeys(GOOD) | {"fault": "malformed_row"}, "malformed_row"),
        # Several rules broken: the first of REASONS.
        ({"lat": 91.0, "lon": 181.0}, "latitude_out_of_range"),
        ({"device_id": None, "tracked_at": None, "fault": "bad_time"}, "missing_device"),
        ({"tracked_at": None, "lon": None, "fault": "bad_time"}, "bad_time"),
        ({"lon": None, "lat": 91.0, "fault": "bad_position"}, "bad_position"),
        ({"accuracy_m": None, "fault": "bad_accuracy", "lon": 181.0}, "longitude_out_of_range"),
        ({"accuracy_m": -1.0, "utc_offset_s": None, "fault": "bad_utc_offset"}, "bad_accuracy"),
    ],
)
def test_the_reason_of_a_row(row, expected):
    assert reason(row) == expected


def test_accuracy_limit():
    assert reason({"accuracy_m": 100.5}) is None
    assert reason({"accuracy_m": 100.5}, max_accuracy_m=100.0) == "poor_accuracy"
    assert reason({"accuracy_m": 100.0}, max_accuracy_m=100.0) is None
    assert reason({"accuracy_m": None}, max_accuracy_m=100.0) is None
    assert reason({"accuracy_m": -1.0}, max_accuracy_m=100.0) == "bad_accuracy"


def test_null_island_of_no_size_refuses_nothing():
    assert reason({"lon": 0.0, "lat": 0.0}, null_island_deg=0.0) is None


def test_refused_rows_keep_their_numbers_and_meet_the_contract():
    _, rejected = run({}, {"lon": None}, {}, {"device_id": None})
    assert rejected == [
        {"row_number": 2, "reason": "missing_position"},
        {"row_number": 4, "reason": "missing_device"},
    ]
    table = pa.Table.from_pylist([{"file": "f", **row} for row in rejected], REJECTED_PINGS.schema)
    assert conform(table, REJECTED_PINGS).num_rows == 2


def test_no_rows():
    assert run() == ([], [])
    assert merge() == []


def test_declaration():
    declared = STAGES["pings"]
    assert declared.writes is PINGS and declared.rejects is REJECTED_PINGS and declared.finish is merge_pings
    assert set(REASONS) >= {"malformed_row"}
    for bad in (
        {"max_accuracy_m": 0},
        {"max_speed_mps": -1},
        {"null_island_deg": -0.1},
        {"zone_cell_deg": 0},
    ):
        with pytest.raises(ValidationError):
            PingParams(**bad)


# --- Positions and offsets ---------------------------------------------------------------------------


def test_positions_are_rounded_to_1e_7_degrees_and_the_antimeridian_has_one_name():
    rows = [
        {"lon": 4.90000004, "lat": 52.40000006},
        {"lon": 180.0},
        {"lon": 179.99999999},
        {"lon": -179.9999999},
    ]
    accepted, _ = run(*rows)
    assert (accepted[0]["lon_e7"], accepted[0]["lat_e7"]) == (49_000_000, 524_000_001)
    assert [row["lon_e7"] for row in accepted[1:]] == [-1_800_000_000, -1_800_000_000, -1_799_999_999]


def test_offset_of_the_row_else_of_the_study_zone():
    # Clocks in New York went forward on 2024-03-10 at 07:00 UTC.
    at = datetime(2024, 3, 10, 7, tzinfo=UTC)
    rows = [
        {"utc_offset_s": 1800},
        *({"utc_offset_s": None, "tracked_at": at - timedelta(seconds=s)} for s in (1, 0)),
    ]
    accepted, _ = run(*rows, study=make_study("America/New_York"))
    assert [row["utc_offset_s"] for row in accepted] == [1800, -18_000, -14_400]
    accepted, _ = run(*rows[1:], study=make_study("America/New_York"))
    assert [row["utc_offset_s"] for row in accepted] == [-18_000, -14_400]


def test_offset_of_the_zone_at_the_position():
    places = {
        "Amsterdam": (4.9, 52.4, 3600),
        "Kathmandu": (85.32, 27.72, 20_700),
        "Suva": (178.44, -18.14, 43_200),
    }
    places |= {
        "Adak": (-176.65, 51.88, -32_400),
        "open sea": (-30.0, -45.0, -7200),
        "South Pole": (0.0, -90.0, 46_800),
    }
    rows = [{"lon": lon, "lat": lat, "utc_offset_s": None} for lon, lat, _ in places.values()]
    study = make_study("Asia/Tokyo", zone_from_coordinates=True)
    accepted, _ = run(*rows, {"utc_offset_s": 60}, study=study)
    assert [row["utc_offset_s"] for row in accepted] == [offset for _, _, offset in places.values()] + [60]


def test_a_zone_that_changes_within_a_quarter_of_an_hour():
    # St. John's went forward on 2011-03-13 at 00:01, which was 03:31 UTC.
    at = datetime(2011, 3, 13, 3, 31, tzinfo=UTC)
    span = {"start": date(2011, 3, 13), "end": date(2011, 3, 13)}
    rows = [{"utc_offset_s": None, "tracked_at": at - timedelta(microseconds=us)} for us in (1, 0)]
    accepted, _ = run(*rows, study=make_study("America/St_Johns", **span))
    assert [row["utc_offset_s"] for row in accepted] == [-12_600, -9000]


def test_by_quarter_asks_rarely():
    asked = []

    def find(us: int) -> int:
        asked.append(us)
        return us // 2_000_000_000  # changes every 2000 s

    at_us = np.arange(0, 7_200_000_000, 10_000_000)
    assert by_quarter(at_us, find).tolist() == [us // 2_000_000_000 for us in at_us.tolist()]
    # Two ends of 8 quarters, then 90 seconds of each of the three quarters with a change.
    assert len(asked) == 16 + 3 * 90
    assert by_quarter(np.array([0, 2**61]), lambda us: us // 10**15).tolist() == [0, 2**61 // 10**15]
    assert by_quarter(np.zeros(0, np.int64), find).tolist() == []


# --- Merging -----------------------------------------------------------------------------------------


def test_rows_alike_in_the_key_are_one_ping_the_most_accurate():
    rows = [
        ping(accuracy_m=None),
        ping(accuracy_m=7.0),
        ping(accuracy_m=5.0, utc_offset_s=60),
        ping(utc_offset_s=0),
    ]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        (only,) = merge(*[rows[k] for k in order])
        assert (only["accuracy_m"], only["utc_offset_s"]) == (5.0, 0)
    (only,) = merge(ping(accuracy_m=None, utc_offset_s=60), ping(accuracy_m=None))
    assert (only["accuracy_m"], only["utc_offset_s"]) == (None, 0)


def test_zero_accuracy_has_one_sign_whatever_comes_first():
    plus, minus = ping(accuracy_m=0.0), ping(accuracy_m=-0.0)
    for rows in ([plus, minus], [minus, plus], [minus]):
        assert [str(p["accuracy_m"]) for p in merge(*rows)] == ["0.0"]


def test_pings_are_sorted_by_device_time_and_position():
    later = NOON + timedelta(seconds=1)
    rows = [
        ping(device_id=5),
        ping(lat_e7=3),
        ping(lat_e7=2),
        ping(lon_e7=-1),
        ping(tracked_at=later),
        ping(device_id=-9),
    ]
    merged = merge(*rows, max_speed_mps=1e9)
    assert [(p["device_id"], p["tracked_at"], p["lon_e7"], p["lat_e7"]) for p in merged] == [
        (-9, NOON, 0, 500_000_000),
        (1, NOON, -1, 500_000_000),
        (1, NOON, 0, 2),
        (1, NOON, 0, 3),
        (1, later, 0, 500_000_000),
        (5, NOON, 0, 500_000_000),
    ]


def test_merging_again_with_what_was_merged_changes_nothing():
    merged = merge_pings(pa.Table.from_pylist([ping(), ping(lon_e7=4), ping(device_id=3)], ROW), PingParams())
    again = merge_pings(pa.concat_tables([merged, merged]), PingParams())
    assert again.equals(merged)


def test_more_devices_and_time_than_a_key_of_63_bits_holds(monkeypatch):
    monkeypatch.setattr("pipeline.stages.pings.MAX_KEY_BITS", 20)
    rows = [ping(device_id=d, tracked_at=NOON + timedelta(seconds=s)) for d, s in ((2, 9), (1, 5), (2, 3), (1, 5))]
    assert [(p["device_id"], p["tracked_at"].second) for p in merge(*rows)] == [(1, 5), (2, 3), (2, 9)]


def test_jumps_by_example():
    # One degree of latitude is 111,195 m on the sphere of 6,371 km.
    step_e7, at = 10_000_000, [0, 1112, 1112, 2225, 2225]
    rows = [ping(lat_e7=k * step_e7, tracked_at=NOON + timedelta(seconds=s)) for k, s in enumerate(at)]
    # 99.996 m/s; no time at all; 99.9 m/s; no time at all.
    assert [p["is_jump"] for p in merge(*rows)] == [False, False, True, False, True]
    assert [p["is_jump"] for p in merge(*rows, max_speed_mps=99.99)] == [False, True, True, False, True]
    two_devices = [ping(), ping(device_id=2, lat_e7=0)]
    assert [p["is_jump"] for p in merge(*two_devices)] == [False, False]


def test_no_jump_across_the_antimeridian_or_at_the_pole():
    second = NOON + timedelta(seconds=1)
    across = [ping(lon_e7=1_799_999_990), ping(lon_e7=-1_799_999_990, tracked_at=second)]
    pole = [ping(lon_e7=0, lat_e7=900_000_000), ping(lon_e7=900_000_000, lat_e7=900_000_000)]
    for rows in (across, pole):
        assert [p["is_jump"] for p in merge(*rows)] == [False, False]


def test_kernels_on_nothing():
    none = np.zeros(0, np.int64)
    assert jumps(none, none, none.astype(np.int32), none.astype(np.int32), 1.0).tolist() == []
    keys, order = radix_order(none.astype(np.uint64), 20)
    assert keys.tolist() == order.tolist() == []
