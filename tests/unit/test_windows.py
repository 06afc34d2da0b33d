"""Windows of local dates: weeks begin on Monday, the study is one window."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.stages  # noqa: F401
from pipeline.kernels.grouping import group_starts
from pipeline.stage import STAGES
from pipeline.study import Study
from pipeline.windows import WindowParams, in_windows, window_starts
from tests.day_rows import make_day_visits
from tests.measure_rows import make_ends, run_measure


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


def test_sliding_windows_begin_at_the_study_and_lie_wholly_inside_it():
    study = Study(name="s", start=date(2020, 1, 1), end=date(2020, 1, 20), zone="UTC", sources=())
    params = WindowParams(windows=("sliding",), sliding_days=10, sliding_step_days=4)
    rows = pd.DataFrame({"date": pd.date_range("2019-12-31", "2020-01-21"), "row": range(22)})
    found = in_windows(rows, "sliding", study, params)
    held = found.groupby("window_started")["date"].agg(["min", "max", "size"])
    assert held.index.strftime("%d").tolist() == ["01", "05", "09"]
    assert (held["min"] == held.index).all() and (held["size"] == 10).all()
    # of the 19th and 20th no whole window holds them
    assert held["max"].dt.day.tolist() == [10, 14, 18]
    assert found["row"].is_monotonic_increasing


@given(st.lists(st.integers(-1, 41), max_size=8), st.integers(1, 50), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_a_row_is_in_every_sliding_window_that_holds_its_date(days, length, step):
    study = Study(name="s", start=date(2020, 1, 1), end=date(2020, 2, 9), zone="UTC", sources=())
    params = WindowParams(windows=("sliding",), sliding_days=length, sliding_step_days=step)
    first = np.datetime64("2020-01-01", "D")
    rows = pd.DataFrame({"date": (first + np.array(days, np.int64)).astype("datetime64[s]"), "row": range(len(days))})
    found = in_windows(rows, "sliding", study, params)
    starts = [s for s in range(0, 40, step) if s + length <= 40]
    expected = [(row, s) for row, day in enumerate(days) for s in starts if s <= day < s + length]
    assert [
        (r, (s - pd.Timestamp("2020-01-01")).days) for r, s in zip(found["row"], found["window_started"], strict=True)
    ] == expected


VISITS = [(device, minute, 30, minute % 7, None, 0) for device in (1, 2) for minute in range(60, 40 * 1440, 1500)]


DRAWN = {"n_routines", "routine_share", "routine_length"}
"""What hangs on random streams, which each kind of window has its own of."""


@pytest.mark.parametrize("name", sorted(s for s in STAGES if issubclass(STAGES[s].params, WindowParams)))
def test_a_sliding_window_as_long_as_a_week_is_that_week(name):
    """Every table of measures: windows of 7 days every 7 days from a Monday on are the weeks."""
    declared, visits = STAGES[name], make_day_visits(VISITS)
    study = Study(name="s", start=date(2020, 1, 6), end=date(2020, 2, 16), zone="UTC", sources=())
    params = declared.params(windows=("week", "sliding"), sliding_days=7, sliding_step_days=7)
    found = run_measure(declared, visits, study, params, make_ends({1: (0, 1), 2: (0, 1)}))
    kinds = [found[found["window"] == kind].drop(columns="window") for kind in ("week", "sliding")]
    assert len(kinds[0]) > 10
    drawn = [c for c in kinds[0] if c in DRAWN]
    pd.testing.assert_frame_equal(*(kind.drop(columns=drawn).reset_index(drop=True) for kind in kinds))
