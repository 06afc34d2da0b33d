"""Times of every spelling to instants."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from pipeline.sources import SourceError
from pipeline.sources.times import to_times
from pipeline.study import Source
from tests.naive import naive_utc_us

BAD = "bad"


def settle(values: list, dtype: pa.DataType | None = None, **fields) -> list:
    """Each instant as a datetime, None where missing, BAD where unreadable."""
    times = to_times(pa.array(values, dtype), Source(path="x", **fields))
    assert not (times.is_missing & times.is_bad).any()
    found = []
    for us, is_missing, is_bad in zip(times.values, times.is_missing, times.is_bad, strict=True):
        instant = datetime.fromtimestamp(us // 10**6, UTC).replace(microsecond=int(us % 10**6))
        found.append(None if is_missing else BAD if is_bad else instant)
    return found


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


NOON = at(2024, 1, 5, 12)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-05T12:00:00Z", NOON),
        ("2024-01-05 12:00:00+00", NOON),
        ("2024-01-05T14:00:00+02:00", NOON),
        ("2024-01-05T07:00:00-0500", NOON),
        ("2024-01-05 12:00:00 UTC", NOON),
        ("2024-01-05 12:00:00.000 +0000", NOON),
        ("2024-01-05t12:00:00z", NOON),
        (" 2024-01-05T12:00Z ", NOON),
        ("2024-01-05T12:00:00", at(2024, 1, 5, 17)),  # local: New York
        ("2024-01-05 12:00:00.5", at(2024, 1, 5, 17, 0, 0, 500_000)),
        ("2024-01-05 12:00:00,5", at(2024, 1, 5, 17, 0, 0, 500_000)),
        ("2024-01-05 12:00:00.178999901", at(2024, 1, 5, 17, 0, 0, 178_999)),
        ("2024-01-05", at(2024, 1, 5, 5)),
        ("2024-03-10T02:30:00", BAD),  # the clocks jumped over it
        ("2024-11-03T01:30:00", BAD),  # it happened twice
        ("2024-11-03T01:30:00-04:00", at(2024, 11, 3, 5, 30)),
        ("2024-03-10T03:00:00", at(2024, 3, 10, 7)),
        ("2024-13-05T12:00:00Z", BAD),
        ("2024-01-05T25:00:00Z", BAD),
        ("05/01/2024 12:00", BAD),
        ("1704456000", BAD),
        ("yesterday", BAD),
        ("", None),
        ("nan", None),
        (None, None),
    ],
)
def test_iso_texts_alone_and_among_others(text, instant):
    alone = settle([text], pa.string(), time_zone="America/New_York")
    mixed = settle([text, "?", "2024-01-05T12:00:00Z", "2024-01-05T07:00:00"], time_zone="America/New_York")
    assert alone == [instant]
    assert mixed == [instant, BAD, NOON, NOON]


def test_numbers_in_every_unit():
    s = 1_704_456_000
    for unit, factor in (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        assert settle([s * factor, None], time_unit=unit) == [NOON, None]
        assert settle([float(s * factor), None], time_unit=unit) == [NOON, None]
        assert settle([str(s * factor), "", "x"], time_unit=unit) == [NOON, None, BAD]
    assert settle([s + 0.25], time_unit="s") == [at(2024, 1, 5, 12, 0, 0, 250_000)]
    assert settle([f"{s}.25"], time_unit="s") == [at(2024, 1, 5, 12, 0, 0, 250_000)]
    assert settle([-1], time_unit="ns") == [at(1969, 12, 31, 23, 59, 59, 999_999)]


def test_numbers_of_another_unit_are_bad_and_not_another_year():
    assert settle([1_704_456_000_000_000, 1_704_456_000], time_unit="s") == [BAD, NOON]
    assert settle([1e18, -1e300], time_unit="s") == [BAD, BAD]
    assert settle([float("inf"), float("nan")], time_unit="s") == [BAD, None]


def test_timestamps_with_and_without_zone():
    naive = datetime(2024, 1, 5, 7)
    for unit in ("s", "ms", "us", "ns"):
        assert settle([naive, None], pa.timestamp(unit), time_zone="America/New_York") == [NOON, None]
        assert settle([NOON, None], pa.timestamp(unit, "Asia/Tokyo"), time_zone="America/New_York") == [
            NOON,
            None,
        ]


def test_a_format_with_and_without_zone():
    tokyo = {"time_zone": "Asia/Tokyo"}
    assert settle(["05/01/2024 21:00", "x", ""], time_format="%d/%m/%Y %H:%M", **tokyo) == [NOON, BAD, None]
    assert settle(["05/01/2024 14:00 +0200"], time_format="%d/%m/%Y %H:%M %z", **tokyo) == [NOON]
    local = {"time_zone": "America/New_York", "time_format": "%Y%m%d%H%M"}
    assert settle(["202411030130", "202411030330"], **local) == [BAD, at(2024, 11, 3, 8, 30)]


def test_no_time_at_all():
    assert settle([None, None], pa.null()) == [None, None]
    with pytest.raises(SourceError, match="time_unit"):
        settle([1])


@pytest.mark.parametrize(
    "zone", ["Europe/Amsterdam", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Asia/Gaza"]
)
def test_local_times_agree_with_the_naive_twin(zone):
    rng = np.random.default_rng(3)
    # 2011 has changes a minute past midnight in St. John's and Gaza; 1986 gave Nepal its offset.
    starts = np.array([datetime(y, 1, 1, tzinfo=UTC).timestamp() for y in (1985, 1986, 2011, 2024)], np.int64)
    local_s = rng.choice(starts, 300) + rng.integers(0, 366 * 86_400, 300)
    edges = datetime(2011, 3, 13, 0, 1, tzinfo=UTC).timestamp() + np.arange(-600, 4800, 20)
    local_us = np.concatenate([local_s, edges.astype(np.int64)]) * 1_000_000
    times = to_times(pa.array(local_us, pa.timestamp("us")), Source(path="x", time_zone=zone))
    expected = [naive_utc_us(int(us), zone) for us in local_us]
    assert times.is_bad.tolist() == [us is None for us in expected]
    assert [int(v) for v, e in zip(times.values, expected, strict=True) if e is not None] == [
        e for e in expected if e is not None
    ]
