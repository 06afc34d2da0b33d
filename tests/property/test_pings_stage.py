"""The stage `pings` beside its naive twins, on rows of every kind."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts import PINGS, RAW_PINGS, REASONS, conform
from pipeline.kernels.ordering import radix_order
from pipeline.stages.pings import ROW, PingParams, merge_pings, pings
from pipeline.study import ColumnMap, Source, Study
from tests.naive import naive_merge_pings, naive_reason

START, END = date(2024, 3, 9), date(2024, 3, 11)
DAY = datetime(2024, 3, 10, tzinfo=UTC)
STUDY = Study(
    name="s",
    start=START,
    end=END,
    zone="America/New_York",
    sources=(Source(path="x", columns=ColumnMap(device_id="a", tracked_at="b", lon="c", lat="d")),),
)
FAULTS = {
    "bad_time": "tracked_at",
    "bad_position": "lon",
    "bad_accuracy": "accuracy_m",
    "bad_utc_offset": "utc_offset_s",
}
TIMES = st.datetimes(datetime(2024, 3, 8), datetime(2024, 3, 13), timezones=st.just(UTC))
FEW = settings(max_examples=150, deadline=None)


def or_none(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(st.just(None), values, values, values)


@st.composite
def raw_rows(draw) -> dict:
    """A row as a reader makes it: a fault goes with a null in its column."""
    row = {
        "device_id": draw(or_none(st.integers(-(2**63), 2**63 - 1))),
        "tracked_at": draw(or_none(st.datetimes(datetime(2024, 3, 8), datetime(2024, 3, 13), timezones=st.just(UTC)))),
        "lon": draw(or_none(st.one_of(st.floats(-200, 200), st.sampled_from([0.0, 180.0, -180.0, 0.00999])))),
        "lat": draw(or_none(st.one_of(st.floats(-100, 100), st.sampled_from([0.0, 90.0, -90.0, 0.00999])))),
        "accuracy_m": draw(or_none(st.one_of(st.floats(-1, 200, width=32), st.just(float("inf"))))),
        "utc_offset_s": draw(or_none(st.integers(-60_000, 60_000))),
        "fault": None,
    }
    fault = draw(st.sampled_from([None, None, None, "malformed_row", *FAULTS]))
    if fault == "malformed_row":
        return dict.fromkeys(row) | {"fault": fault}
    if fault is None or (fault == "bad_position" and row["lat"] is None):
        return row
    return row | {FAULTS[fault]: None, "fault": fault}


@FEW
@given(st.lists(raw_rows(), max_size=12), st.sampled_from([None, 50.0]), st.sampled_from([0.0, 0.01]))
def test_every_row_is_accepted_or_refused_for_the_first_rule_it_breaks(rows, max_accuracy_m, null_island_deg):
    raw = pa.Table.from_pylist([{**row, "row_number": k + 1} for k, row in enumerate(rows)], RAW_PINGS.schema)
    params = PingParams(max_accuracy_m=max_accuracy_m, null_island_deg=null_island_deg)
    accepted, rejected = pings(raw, STUDY, params)
    assert accepted.num_rows + rejected.num_rows == len(rows)
    expected = [naive_reason(row, START, END, max_accuracy_m, null_island_deg) for row in rows]
    assert rejected.to_pylist() == [{"row_number": k + 1, "reason": r} for k, r in enumerate(expected) if r]
    kept = [row for row, r in zip(rows, expected, strict=True) if r is None]
    for row, found in zip(kept, accepted.to_pylist(), strict=True):
        assert (found["device_id"], found["tracked_at"]) == (row["device_id"], row["tracked_at"])
        assert abs(found["lat_e7"] / 1e7 - row["lat"]) < 1e-7
        assert min(abs(found["lon_e7"] / 1e7 - row["lon"]), abs(found["lon_e7"] / 1e7 - row["lon"] + 360)) < 1e-7
        assert found["accuracy_m"] == row["accuracy_m"]
        local = row["tracked_at"].astimezone(ZoneInfo("America/New_York"))
        stated = row["utc_offset_s"]
        assert found["utc_offset_s"] == (local.utcoffset().total_seconds() if stated is None else stated)
    conform(merge_pings(accepted, params), PINGS)
    assert set(rejected["reason"].to_pylist()) <= set(REASONS)


@st.composite
def ping_rows(draw) -> dict:
    """A ping of a small world, so that keys repeat."""
    return {
        "device_id": draw(st.sampled_from([-5, 0, 2**62])),
        "tracked_at": DAY + timedelta(seconds=draw(st.sampled_from([0, 1, 50, 86_399]))),
        "lon_e7": draw(st.sampled_from([-1_800_000_000, 0, 7, 1_799_999_999])),
        "lat_e7": draw(st.sampled_from([-900_000_000, 0, 9])),
        "accuracy_m": draw(st.sampled_from([None, 0.0, -0.0, 3.5])),
        "utc_offset_s": draw(st.sampled_from([-3600, 0])),
    }


def merge(rows: list[dict]) -> pa.Table:
    return merge_pings(pa.Table.from_pylist(rows, ROW), PingParams())


@FEW
@given(st.lists(ping_rows(), max_size=25))
def test_merge_is_the_naive_twin(rows):
    merged = conform(merge(rows), PINGS)
    assert merged.to_pylist() == naive_merge_pings(rows, PingParams().max_speed_mps)


@FEW
@given(st.lists(ping_rows(), max_size=25), st.randoms(use_true_random=False), st.integers(0, 25))
def test_order_repetition_and_succession_of_merges_change_nothing(rows, chance, cut):
    merged = merge(rows)
    shuffled = rows + rows[:cut]
    chance.shuffle(shuffled)
    assert merge(shuffled).equals(merged)
    in_two = pa.concat_tables([merge(rows[:cut]), merge(rows[cut:])])
    assert merge_pings(in_two, PingParams()).equals(merged)
    one_after_the_other = pa.concat_tables(
        [merge(rows[:cut]).drop_columns("is_jump"), pa.Table.from_pylist(rows[cut:], ROW)]
    )
    assert merge_pings(one_after_the_other, PingParams()).equals(merged)


@FEW
@given(st.lists(st.integers(0, 2**40), max_size=60), st.integers(0, 3))
def test_radix_order_is_a_stable_sort(keys, n_copies):
    keys = np.array(keys * (n_copies + 1), np.uint64)
    found, order = radix_order(keys, 41)
    expected = np.argsort(keys, kind="stable")
    assert order.tolist() == expected.tolist()
    assert found.tolist() == keys[expected].tolist()
