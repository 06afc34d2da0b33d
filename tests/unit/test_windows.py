"""Windows of local dates: weeks begin on Monday, the study is one window."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.grouping import group_starts
from pipeline.windows import window_starts


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("study", "2019-12-30"), ("month", "2020-02-01"), ("week", "2020-02-24"), ("day", "2020-02-29")],
)
def test_the_window_of_a_saturday(kind, expected):
    dates = pd.Series(pd.to_datetime(["2020-02-29"]))
    assert window_starts(dates, kind, date(2019, 12, 30)).tolist() == [pd.Timestamp(expected)]


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_weeks_begin_on_the_monday_on_or_before(day):
    start = window_starts(pd.Series(pd.to_datetime([day])), "week", day).iloc[0]
    assert start.weekday() == 0
    assert 0 <= (pd.Timestamp(day) - start).days < 7


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=30))
def test_groups_are_runs_of_equal_keys(rows):
    keys = np.array(rows, dtype=np.int64).reshape(-1, 2)
    starts = group_starts(keys[:, 0], keys[:, 1])
    expected = [k for k in range(len(rows)) if k == 0 or rows[k] != rows[k - 1]]
    assert starts.tolist() == [*expected, len(rows)]
