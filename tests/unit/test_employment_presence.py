"""Presence at work of one device, made by hand: what is expected, what is absent, what lasts, what is new work."""

import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.presence import DAY_US, HOUR_US, cut_at_midnights, time_between
from pipeline.stages.presence import PresenceParams, presence
from tests.employment_rows import (
    HOME,
    MONDAY,
    NEXT_DOOR,
    OTHER,
    WORK,
    home_work_row,
    make_coverage,
    make_home_work,
    make_study,
    make_visits,
    presence_of,
    week_of,
)


def weeks_at_work(weeks, **kwargs):
    return [visit for week in weeks for visit in week_of(week, **kwargs)]


def monday(week):
    return pd.Timestamp(MONDAY + np.timedelta64(7 * week, "D"))


def at_risk(found):
    return np.flatnonzero(found["is_at_risk"]).tolist()


# --- The kernel ---------------------------------------------------------------------------------------


def test_visits_are_cut_at_midnights():
    started = np.array([9 * HOUR_US, 22 * HOUR_US, 24 * HOUR_US, 5 * DAY_US])
    finished = np.array([17 * HOUR_US, 54 * HOUR_US, 48 * HOUR_US, 5 * DAY_US])
    pieces = cut_at_midnights(started, finished)
    assert pieces.row.tolist() == [0, 1, 1, 1, 2, 3]
    assert pieces.day.tolist() == [0, 0, 1, 2, 1, 5]
    hours = (pieces.finish_us - pieces.start_us) / HOUR_US
    assert hours.tolist() == [8, 2, 24, 6, 24, 0]
    assert (time_between(pieces, 6, 20) / HOUR_US).tolist() == [8, 0, 14, 0, 14, 0]
    with pytest.raises(ValueError, match="before it starts"):
        cut_at_midnights(finished[:1], started[:1])


# --- Ratios -------------------------------------------------------------------------------------------


def test_a_usual_week_is_one():
    found = presence_of(weeks_at_work(range(6)), 6)
    assert found["visit_ratio"].tolist() == [1.0] * 6
    assert found["hours_ratio"].tolist() == [1.0] * 6
    assert found["expected_visits"].tolist() == [5.0] * 6
    assert found["n_work_visits"].tolist() == [5] * 6
    assert found["work_dwell_s"].tolist() == [5 * 8 * 3_600.0] * 6
    assert found["window_started"].tolist() == [monday(k) for k in range(6)]
    assert not found[["is_absent", "is_at_risk", "is_undecided", "has_new_work"]].any(axis=None)
    assert found[["absent_since_on", "known_on"]].isna().all(axis=None)
    assert set(found["work_tract_geoid"]) == {"tract of work"} and set(found["home_tract_geoid"]) == {"tract of home"}


def test_half_the_visits_twice_as_long():
    rows = weeks_at_work(range(4)) + week_of(4, days=[0, 2], hours=10.0)
    found = presence_of(rows, 5)
    assert found["visit_ratio"][4] == pytest.approx(2 / 5)
    assert found["hours_ratio"][4] == pytest.approx(20 / 40)


def test_only_observed_days_are_expected_to_hold_work():
    days = [*range(28), 28, 29, 30, 33, 34]  # of the last week Thursday and Friday are missing
    found = presence_of(weeks_at_work(range(4)) + week_of(4, days=range(3)), 5, make_coverage(days))
    assert found["n_observed_days"][4] == 5
    assert found["expected_visits"][4] == pytest.approx(3.0)
    assert found["visit_ratio"][4] == pytest.approx(1.0)
    # With one rate for all days, 5/7 a day, five days would hold 3.57.
    found = presence_of(
        weeks_at_work(range(4)) + week_of(4, days=range(3)), 5, make_coverage(days), params={"apart_weekends": False}
    )
    assert found["visit_ratio"][4] == pytest.approx(3 / (5 * 5 / 7))


def test_too_few_observed_days():
    days = [*range(28), 28, 29]
    found = presence_of(weeks_at_work(range(4)), 5, make_coverage(days))
    assert found["is_observed"].tolist() == [True] * 4 + [False]
    assert found[["visit_ratio", "hours_ratio"]].iloc[4].isna().all()
    assert not found["is_absent"][4]
    found = presence_of(weeks_at_work(range(4)), 5, make_coverage(days), params={"min_observed_days": 2})
    assert found["is_absent"][4] and found["visit_ratio"][4] == 0


def test_a_weekend_alone_says_nothing_of_somebody_who_works_on_weekdays():
    days = [*range(28), 33, 34]
    found = presence_of(weeks_at_work(range(4)), 5, make_coverage(days), params={"min_observed_days": 2})
    assert not found["is_observed"][4]


def test_days_are_observed_by_hours_with_pings_or_by_hours_at_known_places():
    coverage = make_coverage(range(35), hours=2)
    rows = weeks_at_work(range(5))
    assert presence_of(rows, 5, coverage)["n_observed_days"].tolist() == [0] * 5
    at_home = [(day, 17.5, 15.0, HOME) for day in range(35)]  # with work: 8 + 6.5 + 8.5 hours a day, from the second on
    found = presence_of(rows + at_home, 5, coverage)
    assert found["n_observed_days"].tolist() == [4, 5, 5, 5, 5]
    assert presence_of(rows, 5, coverage, params={"min_observed_hours": 2})["n_observed_days"].tolist() == [7] * 5


def test_night_shifts_over_the_end_of_the_week():
    rows = [(7 * week + 6, 22.0, 8.0, WORK) for week in range(5)]  # Sunday 22:00 to Monday 6:00
    found = presence_of(rows, 6, params={"max_hours_ratio": 0.1})
    assert found["n_work_visits"].tolist() == [1] * 5 + [0]
    assert (found["work_dwell_s"] / 3_600).tolist() == [2, 8, 8, 8, 8, 6]


def test_local_time_is_that_of_the_visit():
    rows = [(7 * week + 6, 23.0, 2.0, WORK) for week in range(5)]
    for offset_s in (-36_000, 36_000):
        found = presence_of(rows, 6, utc_offset_s=offset_s)
        assert (found["work_dwell_s"] / 3_600).tolist() == [1, 2, 2, 2, 2, 1]


def test_a_location_next_door_is_the_workplace_too():
    rows = weeks_at_work(range(4)) + week_of(4, place=NEXT_DOOR)
    assert presence_of(rows, 5)["visit_ratio"][4] == 1
    assert presence_of(rows, 5, params={"same_place_m": 100})["visit_ratio"][4] == 0
    home_next_door = make_home_work(home_work_row("home", NEXT_DOOR, "moving"))
    assert presence_of(rows, 5, home_work=home_next_door)["visit_ratio"][4] == 0


# --- Absences -----------------------------------------------------------------------------------------


def test_an_absence_counts_from_its_first_week_once_it_lasts():
    found = presence_of(weeks_at_work(range(4)), 7)
    assert at_risk(found) == [4, 5, 6]
    assert found["absent_since_on"][4:].tolist() == [monday(4)] * 3
    assert found["known_on"][4:].tolist() == [monday(7)] * 3
    assert found["known_on"][:4].isna().all()


def test_an_absence_within_the_baseline_is_known_after_it_at_the_earliest():
    baseline = make_home_work().assign(window_finished=monday(9) + pd.Timedelta(days=2))  # a Wednesday
    found = presence_of(weeks_at_work(range(4)), 12, home_work=baseline)
    assert at_risk(found) == list(range(4, 12))
    assert found["known_on"][4:].tolist() == [monday(10)] * 8
    assert found["known_on"][:4].isna().all()


def test_visits_made_are_not_missed():
    rows = weeks_at_work(range(4)) + [visit for week in range(4, 8) for visit in week_of(week, days=[0])]
    found = presence_of(rows, 8, params={"min_missed_visits": 15})
    assert found["is_absent"].tolist() == [False] * 4 + [True] * 4
    assert at_risk(found) == [4, 5, 6, 7]
    assert found["known_on"][4] == monday(8)  # 16 of 20 visits are missing, after three weeks 12 of 15 were


def test_leave_is_no_loss_and_a_young_absence_is_undecided():
    found = presence_of(weeks_at_work([0, 1, 2, 3, 6, 7]), 10)
    assert at_risk(found) == []
    assert found["is_absent"].tolist() == [False] * 4 + [True] * 2 + [False] * 2 + [True] * 2
    assert found["is_undecided"].tolist() == [False] * 8 + [True] * 2
    assert found["absent_since_on"][4:6].tolist() == [monday(4)] * 2


def test_return_ends_it_and_another_absence_begins_anew():
    found = presence_of(weeks_at_work([0, 1, 2, 3, 7]), 12)
    assert at_risk(found) == [4, 5, 6, 8, 9, 10, 11]
    assert found["absent_since_on"][8] == monday(8)


def test_weeks_not_observed_neither_break_nor_lengthen_an_absence():
    days = [day for day in range(84) if not 35 <= day < 56]  # weeks 5, 6 and 7 are silent
    found = presence_of(weeks_at_work(range(4)), 12, make_coverage(days))
    assert at_risk(found) == [4, 8, 9, 10, 11]
    assert found["known_on"][4] == monday(10)
    found = presence_of(weeks_at_work(range(4)), 12, make_coverage(days), params={"max_unobserved_weeks": 2})
    assert at_risk(found) == [8, 9, 10, 11]
    assert found["is_undecided"][4]


def test_hours_at_work_end_an_absence_even_in_a_week_not_observed():
    days = [day for day in range(70) if not 42 <= day < 49]
    rows = weeks_at_work(range(4)) + week_of(6, days=[1, 3])
    found = presence_of(rows, 10, make_coverage(days))
    assert not found["is_observed"][6]
    assert at_risk(found) == [7, 8, 9]


def test_a_week_at_work_again_is_not_absent_though_its_observed_days_hold_none():
    days = [day for day in range(70) if day not in (42, 43)]  # of week 6 Monday and Tuesday are missing
    rows = weeks_at_work(range(4)) + week_of(6, days=[0, 1])
    found = presence_of(rows, 10, make_coverage(days))
    assert found["is_observed"][6] and found["visit_ratio"][6] == 0
    assert not found["is_absent"][6]
    assert (found["is_absent"] == found["absent_since_on"].notna()).all()


def test_somebody_who_works_once_a_week_must_be_missed_longer():
    rows = weeks_at_work(range(4), days=[2])
    found = presence_of(rows, 8)
    assert found["expected_visits"].tolist() == pytest.approx([1.0] * 8)
    assert found["is_undecided"].tolist() == [False] * 4 + [True] * 4  # four visits missing, 4.6 needed
    found = presence_of(rows, 9)
    assert at_risk(found) == [4, 5, 6, 7, 8]
    assert found["known_on"][4] == monday(9)


# --- New work -----------------------------------------------------------------------------------------


def test_regular_weekdays_elsewhere_are_new_work():
    rows = weeks_at_work(range(4)) + weeks_at_work(range(7, 10), place=OTHER)
    found = presence_of(rows, 10)
    assert np.flatnonzero(found["has_new_work"]).tolist() == [7, 8, 9]
    assert at_risk(found) == [4, 5, 6]


@pytest.mark.parametrize(
    "rows",
    [
        weeks_at_work(range(4, 10), place=OTHER, days=[1]),  # one day a week
        weeks_at_work(range(4, 10), place=OTHER, hours=3.0),  # short
        weeks_at_work(range(4, 10), place=OTHER, hour=20.0, hours=10.0),  # by night
        weeks_at_work(range(4, 10), place=OTHER, days=[5, 6]),  # at weekends
        weeks_at_work([4, 6, 8], place=OTHER),  # never two weeks in a row
        weeks_at_work(range(4, 10), place=HOME),
    ],
)
def test_what_is_no_new_work(rows):
    found = presence_of(weeks_at_work(range(4)) + rows, 10)
    assert not found["has_new_work"].any()
    assert at_risk(found) == [4, 5, 6, 7, 8, 9]


def test_a_place_as_regular_in_the_baseline_is_not_new():
    partner = weeks_at_work(range(10), place=OTHER, days=[3, 4])
    found = presence_of(weeks_at_work(range(4), days=[0, 1, 2]) + partner, 10)
    assert not found["has_new_work"].any()
    assert at_risk(found) == [4, 5, 6, 7, 8, 9]
    second_job = make_home_work(home_work_row("work", OTHER, "moving", n_weeks=10, rank=2))
    found = presence_of(weeks_at_work(range(4), days=[0, 1, 2]) + partner, 10, home_work=second_job)
    assert found["has_new_work"].all() and not found["is_absent"].any()


def test_new_work_that_began_late_in_the_baseline_is_new():
    eight = make_home_work().assign(window_finished=monday(8) - pd.Timedelta(days=1))
    rows = weeks_at_work(range(6)) + weeks_at_work(range(6, 12), place=OTHER)
    found = presence_of(rows, 12, home_work=eight)
    assert np.flatnonzero(found["has_new_work"]).tolist() == list(range(6, 12))
    found = presence_of(rows, 12, home_work=eight, params={"new_work_baseline_share": 0.25})
    assert not found["has_new_work"].any()


def test_a_moving_workplace_counts_in_weeks_with_hours_there():
    nights = weeks_at_work(range(6, 10), place=OTHER, hour=21.0, hours=9.0)
    moving = home_work_row("work", OTHER, "moving", first_week=8, n_weeks=1, rank=2)
    found = presence_of(weeks_at_work(range(4)) + nights, 10, home_work=make_home_work(moving))
    assert np.flatnonzero(found["has_new_work"]).tolist() == [6, 7, 8, 9]
    seldom = weeks_at_work(range(6, 10), place=OTHER, hour=21.0, hours=9.0, days=[1])  # 9 of 40 hours
    found = presence_of(weeks_at_work(range(4)) + seldom, 10, home_work=make_home_work(moving))
    assert not found["has_new_work"].any()
    doubtful = home_work_row("work", OTHER, "moving", first_week=4, n_weeks=5, confidence=0.4)
    found = presence_of(weeks_at_work(range(4)) + nights, 10, home_work=make_home_work(doubtful))
    assert not found["has_new_work"].any()


# --- Edges --------------------------------------------------------------------------------------------


def test_devices_without_a_baseline_workplace_have_no_rows():
    homes = make_home_work().query("role == 'home'").reset_index(drop=True)
    assert presence_of(weeks_at_work(range(4)), 4, home_work=homes).empty
    assert presence_of(weeks_at_work(range(4)), 4, home_work=homes.iloc[:0]).empty


def test_a_baseline_that_was_not_observed_expects_nothing():
    found = presence_of(weeks_at_work(range(6)), 6, make_coverage(range(28, 42)))
    assert not found["is_observed"].any() and not found["is_at_risk"].any()
    assert found["expected_visits"].tolist() == [0.0] * 6


def test_devices_do_not_touch_each_other():
    lives = {
        1: weeks_at_work(range(4)),
        5: weeks_at_work(range(9)) + weeks_at_work(range(5, 9), place=NEXT_DOOR),
        9: weeks_at_work(range(4), days=[1, 2]) + weeks_at_work(range(6, 9), place=OTHER),
        12: weeks_at_work(range(9), place=HOME),  # without a baseline workplace
    }
    visits = {device: make_visits(rows, device, utc_offset_s=3_600 * device) for device, rows in lives.items()}
    coverage = {device: make_coverage(range(device, 63), device) for device in lives}
    places = {device: make_home_work().assign(device_id=device) for device in lives}
    places[12] = places[12][places[12]["role"] == "home"]

    def found(devices):
        frames = (
            pd.concat([tables[d] for d in devices]).reset_index(drop=True) for tables in (visits, coverage, places)
        )
        return presence(*frames, make_study(9), PresenceParams())

    alone = pd.concat([found([device]) for device in lives], ignore_index=True)
    assert alone["device_id"].unique().tolist() == [1, 5, 9]
    pd.testing.assert_frame_equal(found(list(lives)), alone, check_exact=True, check_dtype=False)
