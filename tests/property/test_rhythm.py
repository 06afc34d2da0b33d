"""`regularity` and `commutes` against their slow twins, worked examples, and what must not change them."""

from datetime import date, timedelta
from statistics import median

import fastmob
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.local_hours import cut_at_hours
from pipeline.stages.commutes import CommuteParams, commutes
from pipeline.stages.regularity import RegularityParams, regularity
from pipeline.study import Study
from tests.day_rows import make_day_visits, naive_visits, position_of
from tests.measure_rows import make_ends, run_measure
from tests.naive_days import distance_m
from tests.naive_rhythm import naive_commutes, naive_regularity
from tests.naive_trips import naive_trips
from tests.stay_rows import empty

DAY, WEEK = 1440, 7 * 1440
OFFSETS = {1: -18_000, 2: 0, 3: 19_800}
KINDS = ("study", "week", "sliding")


def make_study(shift_weeks=0):
    start = date(2020, 1, 6) + timedelta(weeks=shift_weeks)
    return Study(name="s", start=start, end=start + timedelta(days=45), zone="UTC", sources=())


STUDY = make_study()


@st.composite
def histories(draw):
    """Visits of three devices over some weeks, one after the other, some of no length or over midnights."""
    rows = []
    for device, offset in OFFSETS.items():
        at = draw(st.integers(0, DAY))
        for _ in range(draw(st.integers(0, 12))):
            at += draw(st.sampled_from([0, 15, 119, 121, 600, DAY, WEEK - 500]))
            length = draw(st.sampled_from([0, 5, 90, 500, 3000]))
            rows.append((device, at, length, draw(st.integers(0, 3)), None, offset))
            at += length + 1
    return rows or [(1, 0, 10, 0, None, 0)]


places = st.one_of(st.none(), st.integers(0, 3))
roles = st.dictionaries(st.sampled_from(list(OFFSETS)), st.tuples(places, places))


def regularity_of(rows, ends, study=STUDY, kinds=KINDS, **params):
    made = RegularityParams(windows=kinds, **params)
    return run_measure(regularity, make_day_visits(rows), study, made, make_ends(ends))


def rows_of(found, *names):
    keys = zip(found["device_id"], found["window"], found["window_started"].dt.date, strict=True)
    values = found[list(names)].astype(object).where(found[list(names)].notna(), None)
    return dict(zip(keys, values.itertuples(index=False, name=None), strict=True))


@given(histories(), roles, st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_regularity_is_that_of_the_twin(rows, ends, min_weeks):
    found = regularity_of(rows, ends, min_weeks=min_weeks)
    homes = {device: home for device, (home, _) in ends.items() if home is not None}
    expected = naive_regularity(naive_visits(rows), homes, KINDS, STUDY, min_weeks)
    told = rows_of(found, "n_hours", "n_hours_of_week", "regularity", "home_share")
    assert {key: row[:2] for key, row in told.items()} == {key: row[:2] for key, row in expected.items()}
    for key, row in expected.items():
        assert told[key][2:] == pytest.approx(row[2:], abs=1e-12)


@given(histories(), roles, st.integers(1, 30))
@settings(max_examples=5, deadline=None)
def test_whole_weeks_later_and_bucket_by_bucket_all_is_the_same(rows, ends, shift):
    """Measures of devices apart are those of devices together, bit for bit."""
    whole = regularity_of(rows, ends)
    alone = [regularity_of([r for r in rows if r[0] == device], ends) for device in sorted({r[0] for r in rows})]
    pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), whole, check_exact=True)
    later = regularity_of([(d, at + shift * WEEK, *rest) for d, at, *rest in rows], ends, make_study(shift))
    shifted = whole["window_started"] + pd.Timedelta(weeks=shift)
    pd.testing.assert_frame_equal(later, whole.assign(window_started=shifted.dt.as_unit("ms")), check_exact=True)


def test_regularity_by_hand():
    """Mondays 8 to 10: work, work, elsewhere; a Tuesday hour once. Hour 8 and hour 9 have 2/3, hour 10 is not seen."""
    weeks = [(1, week * WEEK + 8 * 60, 120, place, None, 0) for week, place in enumerate((1, 1, 2))]
    found = regularity_of([*weeks, (1, DAY, 60, 0, None, 0)], {1: (0, 1)}, kinds=("study", "week"))
    assert found[["n_hours", "n_hours_of_week"]].to_numpy().tolist() == [[7, 2], [3, 0], [2, 0], [2, 0]]
    np.testing.assert_allclose(found["regularity"], [2 / 3, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(found["home_share"], [1 / 7, 1 / 3, 0, 0])


def test_an_hour_is_where_most_of_it_is_spent():
    """20 minutes at 2, 25 in two parts at 1; of equal times the lower number; a week later the same hour at 1."""
    first = [(1, 0, 15, 1, None, 0), (1, 16, 20, 2, None, 0), (1, 40, 10, 1, None, 0)]
    second = [(1, 60, 20, 3, None, 0), (1, 90, 20, 1, None, 0)]
    later = [(1, WEEK, 120, 1, None, 0)]
    found = regularity_of([*first, *second, *later], {}, kinds=("study",))
    assert found[["n_hours", "n_hours_of_week", "regularity"]].to_numpy().tolist() == [[4, 2, 1.0]]
    assert found["home_share"].isna().all()


def test_hours_are_cut_and_instants_have_none():
    hour = 3_600_000_000
    pieces = cut_at_hours(np.array([hour // 2, 5, -hour]), np.array([2 * hour + 1, 5, 0]))
    assert pieces.row.tolist() == [0, 0, 0, 2]
    assert pieces.hour.tolist() == [0, 1, 2, -1]
    assert pieces.spent_us.tolist() == [hour // 2, hour, 1, hour]
    with pytest.raises(ValueError, match="finishes before"):
        cut_at_hours(np.array([1]), np.array([0]))


def test_fastmob_calls_another_thing_regularity():
    """Always the same shop at the same hour, and the same shop at any hour: to fastmob both are 1 - 1 / 4."""
    steady = [(1, week * WEEK + 600, 60, 0, None, 0) for week in range(4)]
    swapped = [
        (2, week * WEEK + at, 60, place, None, 0) for week in range(2) for at, place in ((0, week), (60, 1 - week))
    ]
    visits = make_day_visits([*steady, *swapped])
    theirs = fastmob.regularity(visits, user_id_col="device_id", location_id_col="location_id")
    assert theirs["regularity"].tolist() == [0.75, 0.5]
    ours = regularity_of([*steady, *swapped], {}, kinds=("study",))
    assert ours["regularity"].tolist() == [1.0, 0.5]


def commutes_of(rows, ends, study=STUDY, kinds=KINDS):
    params = CommuteParams(windows=kinds)
    return run_measure(commutes, make_day_visits(rows), study, params, make_ends(ends))


@given(histories(), roles)
@settings(max_examples=20, deadline=None)
def test_commutes_are_those_of_the_twin(rows, ends):
    visited = {(device, place) for device, _, _, place, *_ in rows}
    both = {d: e for d, e in ends.items() if {(d, e[0]), (d, e[1])} <= visited}
    found = commutes_of(rows, both)
    expected = naive_commutes(naive_trips(naive_visits(rows)), both, KINDS, STUDY, 7200)
    names = ["n_trips", "n_to_work", "to_work_median_s", "n_to_home", "to_home_median_s"]
    told = rows_of(found, *names)
    assert told == {
        key: (n, *(value for s in ways for value in (len(s), median(s) if s else None)))
        for key, (n, *ways) in expected.items()
    }
    for row in found.itertuples():
        home, work = (position_of(place) for place in both[row.device_id])
        assert row.home_work_distance_m == pytest.approx(distance_m(home, work), rel=1e-9)


@given(histories(), st.integers(1, 30))
@settings(max_examples=5, deadline=None)
def test_commutes_whole_weeks_later_and_bucket_by_bucket_are_the_same(rows, shift):
    visited = {device: sorted({r[3] for r in rows if r[0] == device}) for device in {r[0] for r in rows}}
    ends = {device: (own[0], own[-1]) for device, own in visited.items()}
    whole = commutes_of(rows, ends)
    alone = [commutes_of([r for r in rows if r[0] == device], ends) for device in sorted(visited)]
    pd.testing.assert_frame_equal(pd.concat(alone, ignore_index=True), whole, check_exact=True)
    later = commutes_of([(d, at + shift * WEEK, *rest) for d, at, *rest in rows], ends, make_study(shift))
    shifted = whole["window_started"] + pd.Timedelta(weeks=shift)
    pd.testing.assert_frame_equal(later, whole.assign(window_started=shifted.dt.as_unit("ms")), check_exact=True)


def test_commutes_by_hand():
    """Home 0, work 1: 30 and 50 minutes there, once by way of a shop, once over a silence of three hours; 40 back."""
    rows = [
        (1, 0, 450, 0, None, 0),
        (1, 480, 480, 1, None, 0),
        (1, 1000, 870, 0, None, 0),
        (1, 1920, 60, 1, None, 0),
        (1, 1990, 5, 2, None, 0),
        (1, 2000, 10, 0, None, 0),
        (1, 2190, 10, 1, None, 0),
        (2, 0, 10, 0, None, 0),
        (2, 20, 10, 1, None, 0),
    ]
    found = commutes_of(rows, {1: (0, 1), 2: (0, None)}, kinds=("study", "day"))
    assert found["window"].tolist() == ["day", "day", "study"]
    assert found["n_trips"].tolist() == [2, 4, 6]
    assert found["n_to_work"].tolist() == [1, 1, 2]
    assert found["n_to_home"].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(found["to_work_median_s"], [1800, 3000, 2400])
    np.testing.assert_array_equal(found["to_home_median_s"], [2400, np.nan, 2400])
    # 0.01 degrees of longitude and 0.001 of latitude.
    np.testing.assert_allclose(found["home_work_distance_m"], 111_194.93 * np.hypot(0.01, 0.001), rtol=1e-6)


def test_without_visits_or_without_homes_there_is_little_to_say():
    nothing = empty("visits")
    assert run_measure(regularity, nothing, STUDY, RegularityParams(), make_ends({})).empty
    assert run_measure(commutes, nothing, STUDY, CommuteParams(), make_ends({1: (0, 1)})).empty
    assert commutes_of([(1, 0, 10, 0, None, 0), (1, 20, 10, 1, None, 0)], {}).empty
    assert regularity_of([(1, 0, 0, 0, None, 0)], {}).empty
