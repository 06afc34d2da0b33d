"""Routines: a stage's frame counted by hand, its Params, and what changes nothing."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from data_contracts import ROUTINES
from pipeline.stages.routines import RoutineParams, routines
from pipeline.study import Study
from tests.stay_rows import MINUTE, MONDAY_S, as_times, empty, through_contract
from tests.unit.test_routines_kernel import WEEK

START = date(2024, 1, 1)
WEEK_S = 7 * 24 * 60 * MINUTE


def study(start=START):
    return Study(name="s", start=start, end=start + timedelta(days=60), zone="UTC", sources=())


def visits_of(places, first_s=MONDAY_S, step_s=3600, device_id=1):
    """Visits to places one after the other, as far as the stage reads them, with the types it gets."""
    at_s = first_s + np.arange(len(places)) * step_s
    dates = pd.Series((at_s // 86_400).astype("datetime64[D]").astype("datetime64[ms]"))
    return pd.DataFrame(
        {"device_id": device_id, "started_at": as_times(at_s), "date": dates, "location_id": np.array(places)}
    )


def run(visits, start=START, seed=0, **params):
    return through_contract(routines(visits, study(start), seed, RoutineParams(**params)), ROUTINES.name)


def people():
    """Three people: one with a routine, one without, one with a week more."""
    rng = np.random.default_rng(5)
    other = [int(k) for k in rng.integers(0, 9, 60)]
    return pd.concat(
        [
            visits_of(WEEK, device_id=1),
            visits_of(other, step_s=7200, device_id=2),
            visits_of(WEEK + WEEK, step_s=4 * 3600, device_id=3),
        ],
        ignore_index=True,
    )


def test_a_week_with_a_routine():
    """Twelve of 40 visits are work, gym and bar."""
    found = run(visits_of(WEEK), windows=("week",)).iloc[0]
    assert found["window_started"] == pd.Timestamp("2024-01-01")
    assert (found["n_visits"], found["n_locations"], found["n_routines"]) == (40, 8, 1)
    assert found["routine_share"] == pytest.approx(12 / 40)
    assert found["routine_length"] == 3


def test_repeats_are_one_item_but_all_their_visits_count():
    """Every place twice in a row: the same sequence, so the same routine; shares are of visits."""
    twice = run(visits_of(np.repeat(WEEK, 2)), windows=("study",)).iloc[0]
    once = run(visits_of(WEEK), windows=("study",)).iloc[0]
    assert twice["n_visits"] == 80
    for name in ("n_routines", "routine_share", "routine_length"):
        assert twice[name] == once[name]


def test_a_short_window_has_no_routine():
    found = run(visits_of([0, 1, 0, 1, 0, 1, 0, 1, 0]), windows=("week",)).iloc[0]
    assert (found["n_routines"], found["routine_share"]) == (0, 0)
    assert np.isnan(found["routine_length"])
    assert run(visits_of([0] * 30), windows=("week",)).iloc[0]["n_locations"] == 1


def test_windows_without_visits_are_left_out_and_an_empty_bucket_is_an_empty_table():
    found = run(pd.concat([visits_of(WEEK), visits_of(WEEK, MONDAY_S + 3 * WEEK_S)]), windows=("week",))
    assert found["window_started"].tolist() == [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-22")]
    assert len(run(empty("visits"))) == 0


def test_order_of_rows_and_names_of_places_and_other_devices_change_nothing():
    visits = people()
    found = run(visits)
    assert set(found["window"]) == {"study", "month", "week"}
    pd.testing.assert_frame_equal(run(visits.sample(frac=1, random_state=2)), found)
    names = np.random.default_rng(1).permutation(10) + 10**9
    pd.testing.assert_frame_equal(run(visits.assign(location_id=names[visits["location_id"]])), found)
    buckets = [run(visits[visits["device_id"].isin(ids)]) for ids in ([1], [2, 3])]
    pd.testing.assert_frame_equal(pd.concat(buckets, ignore_index=True), found)


def test_whole_weeks_later_everything_is_whole_weeks_later():
    visits, later = people(), timedelta(weeks=5)
    moved = visits.assign(started_at=visits["started_at"] + later, date=visits["date"] + later)
    windows = ("study", "week", "day")
    found, shifted = run(visits, windows=windows), run(moved, START + later, windows=windows)
    assert (shifted["window_started"] == found["window_started"] + later).all()
    pd.testing.assert_frame_equal(shifted.drop(columns="window_started"), found.drop(columns="window_started"))


def test_the_seed_changes_shuffles_only():
    one, other = run(people(), seed=1), run(people(), seed=2)
    same = ["n_visits", "n_locations"]
    pd.testing.assert_frame_equal(one[same], other[same])


def test_the_cut_off_says_how_many_shuffles_may_be_above():
    assert RoutineParams().n_above == 3
    assert RoutineParams(n_shuffles=999).n_above == 21
    assert RoutineParams(z_cutoff=1.6449, n_shuffles=99).n_above == 3
    with pytest.raises(ValidationError, match="needs more than 20 shuffled"):
        RoutineParams(n_shuffles=20)
