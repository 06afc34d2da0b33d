"""How far a study's span may move before a row of a file is judged otherwise, against judging every row."""

from datetime import date, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.spans import DAY_US, EPOCH, Reach, joined, reach_of
from pipeline.study import Study

FIRST = date(2020, 1, 1)
DAY_0 = (FIRST - EPOCH).days


def study(start: int, end: int) -> Study:
    source = {"path": "x.csv", "columns": {"device_id": "d", "tracked_at": "t", "lon": "x", "lat": "y"}}
    span = {"start": FIRST + timedelta(days=start), "end": FIRST + timedelta(days=end)}
    return Study.from_dict({"name": "x", "zone": "UTC", "sources": [source], **span})


spans = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)
times = st.lists(st.none() | st.integers(-10 * DAY_US, 30 * DAY_US), max_size=6)


def column(at_us: list[int | None]) -> pa.ChunkedArray:
    moved = [None if at is None else DAY_0 * DAY_US + at for at in at_us]
    return pa.chunked_array([pa.array(moved, pa.timestamp("us", "UTC"))])


def is_within(at_us: int | None, span: list[int]) -> bool | None:
    return None if at_us is None else span[0] <= at_us // DAY_US <= span[1]


@given(times, times, spans, spans)
def test_a_reach_fits_another_span_where_it_judges_every_row_alike(first, second, span, other):
    reach = joined(reach_of(column(part), study(*span)) for part in (first, second))
    is_alike = all(is_within(at, span) == is_within(at, other) for at in first + second)
    assert reach.fits(study(*other)) == is_alike


def test_a_file_without_times_fits_every_span():
    assert joined([]) == Reach()
    assert reach_of(column([None]), study(0, 0)).fits(study(3, 9))


def test_the_last_microsecond_of_the_end_is_within():
    assert reach_of(column([DAY_US - 1, DAY_US]), study(0, 0)) == Reach(None, DAY_0, DAY_0, DAY_0 + 1)
