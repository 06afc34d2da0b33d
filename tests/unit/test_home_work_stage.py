"""`home_work` on lives that can be read off: office workers, two homes, a new job, a baseline, HoWDe beside it."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from data_contracts import HOME_WORK, conform
from pipeline.engine.plan import params_of, to_arrow
from pipeline.kernels.howde import HowdeRules
from pipeline.kernels.place_roles import Weighing, Windows, place_days, weigh_places
from pipeline.stages.home_work import HomeWorkParams, HowdeParams, home_work
from pipeline.study import Study, StudyError

STUDY = Study.from_dict({"name": "x", "start": "2020-01-06", "end": "2020-06-28", "zone": "UTC", "sources": []})
MONDAY = pd.Timestamp("2020-01-06")
N_DAYS = 175
HOME, WORK, CAFE, SECOND, NEW = 0, 1, 2, 3, 4


def day_of(device, day, parts, offset_s=0):
    """Visits of one local day: (place, from hour, to hour)."""
    midnight = MONDAY + pd.Timedelta(days=day)
    return [
        {
            "device_id": device,
            "started_at": (midnight + pd.Timedelta(hours=start) - pd.Timedelta(seconds=offset_s)).tz_localize("UTC"),
            "finished_at": (midnight + pd.Timedelta(hours=stop) - pd.Timedelta(seconds=offset_s)).tz_localize("UTC"),
            "utc_offset_s": offset_s,
            "location_id": place,
            "tract_geoid": f"0100{place}",
        }
        for place, start, stop in parts
    ]


def life(device, plan, offset_s=0, n_days=N_DAYS):
    return [row for day in range(n_days) for row in day_of(device, day, plan(day), offset_s)]


def table(*lives):
    frame = pd.DataFrame([row for rows in lives for row in rows])
    times = {name: frame[name].astype("datetime64[us, UTC]") for name in ("started_at", "finished_at")}
    return frame.assign(**times).astype({"tract_geoid": "str", "location_id": "int32"})


def office(day):
    if day % 7 >= 5:
        return [(HOME, 0, 12), (CAFE, 13, 15), (HOME, 16, 24)]
    return [(HOME, 0, 8), (WORK, 9, 17), (HOME, 18, 24)]


def run(*lives, **params):
    found = home_work(table(*lives), STUDY, HomeWorkParams(**params))
    conform(to_arrow(found.sort_values(list(HOME_WORK.key), ignore_index=True)), HOME_WORK)
    return found


def places(found, role, span="moving", rank=1):
    chosen = found[(found["role"] == role) & (found["span"] == span) & (found["rank"] == rank)]
    return chosen.set_index("window_started")["location_id"]


@pytest.mark.parametrize("method", ["logit", "howde"])
@pytest.mark.parametrize("offset_s", [0, -18_000, 34_200])
def test_an_office_worker_has_one_home_and_one_workplace(method, offset_s):
    found = run(life(7, office, offset_s), method=method)
    assert set(places(found, "home")) == {HOME}
    assert set(places(found, "work")) == {WORK}
    assert found["rank"].max() == 1
    assert set(found["tract_geoid"]) == {"01000", "01001"}


def test_weeks_are_mondays_and_numbers_are_those_of_the_window():
    found = run(life(7, office), window_weeks=3)
    moving = found[found["span"] == "moving"]
    assert set(moving["window_started"].dt.day_of_week) == {0}
    assert ((moving["window_finished"] - moving["window_started"]).dt.days == 6).all()
    inner = moving[moving["window_started"] == "2020-02-03"].set_index("role")
    assert inner.loc["home", "n_days"] == 21  # nights
    assert inner.loc["work", "n_days"] == 15  # working days
    assert inner.loc["home", "share"] == pytest.approx(1.0)
    assert inner.loc["work", "share"] == pytest.approx(1.0)


def test_confidence_is_the_probability_worked_out_by_hand():
    found = run(life(7, office), window_weeks=1)
    week = found[(found["span"] == "moving") & (found["window_started"] == "2020-02-03")].set_index("role")
    # Home: 7 of 7 days, 49 of 49 night hours, none of 40 working hours, 5 * 14 + 2 * 20 = 110 hours of its own.
    numbers = [7 / 9, 49 / 52, 0 / 41, 0 / 111, np.log(111)]
    odds = [
        np.exp(w[0] + np.dot(w[1:], numbers))
        for w in (HomeWorkParams().home.numbers(), HomeWorkParams().work.numbers())
    ]
    assert week.loc["home", "confidence"] == pytest.approx(odds[0] / (1 + sum(odds)))
    # Work: 5 of 7 days, 40 of 40 working hours, all of its own 40.
    numbers = [5 / 9, 0, 40 / 41, 40 / 41, np.log(41)]
    odds = [
        np.exp(w[0] + np.dot(w[1:], numbers))
        for w in (HomeWorkParams().home.numbers(), HomeWorkParams().work.numbers())
    ]
    assert week.loc["work", "confidence"] == pytest.approx(odds[1] / (1 + sum(odds)))


def test_two_homes_are_both_found_and_ranked():
    def plan(day):
        if day % 7 >= 5:
            return [(SECOND, 0, 24)]
        return [(HOME, 0, 8), (WORK, 9, 17), (HOME, 18, 24)]

    found = run(life(7, plan))
    assert set(places(found, "home")) == {HOME}
    assert set(places(found, "home", rank=2)) == {SECOND}
    assert set(places(found, "work")) == {WORK}


def night_nurse(day):
    if day % 7 in (0, 1, 2, 3):
        return [(WORK, 0, 6.5), (HOME, 7, 21), (WORK, 22, 24)] if day % 7 else [(HOME, 0, 21), (WORK, 22, 24)]
    return [(WORK, 0, 6.5), (HOME, 7, 24)] if day % 7 == 4 else [(HOME, 0, 24)]


def test_a_place_of_nights_alone_is_a_workplace_and_not_a_second_home():
    found = run(life(7, night_nurse))
    assert set(places(found, "home")) == {HOME}
    assert set(places(found, "work")) == {WORK}
    assert set(places(found, "work", "baseline")) == {WORK}
    week = found[(found["role"] == "work") & (found["window_started"] == "2020-03-09")].iloc[0]
    assert week["n_days"] == 52  # nights of 13 weeks
    nights_h = 4 * 6.5, 7 * 7 - 4 * 0.5  # spent there, and seen: half an hour is walked
    assert week["share"] == pytest.approx(nights_h[0] / nights_h[1])
    without = run(life(7, night_nurse), night_work_share=None)
    assert set(without["location_id"]) == {HOME, WORK}
    assert set(without["role"]) == {"home"}


def test_days_at_home_do_not_hide_the_workplace():
    def part_time(day):
        return office(day) if day % 7 < 1 else [(HOME, 0, 24)]

    assert set(places(run(life(7, part_time)), "work")) == {WORK}
    assert len(places(run(life(7, part_time), method="howde"), "work")) == 0


def test_a_change_of_job_moves_the_workplace_and_not_the_baseline():
    def plan(day):
        parts = office(day)
        return [(NEW, *hours) if place == WORK and day >= 91 else (place, *hours) for place, *hours in parts]

    found = run(life(7, plan), window_weeks=5)
    work = places(found, "work")
    assert set(work[work.index < "2020-03-16"]) == {WORK}
    assert set(work[work.index > "2020-04-27"]) == {NEW}
    baseline = places(found, "work", "baseline")
    assert baseline.to_dict() == {pd.Timestamp("2020-01-06"): WORK}
    late = run(life(7, plan), baseline_start=date(2020, 5, 4), baseline_end=date(2020, 5, 31))
    assert places(late, "work", "baseline").to_dict() == {pd.Timestamp("2020-05-04"): NEW}
    assert set(late.loc[late["span"] == "baseline", "window_finished"]) == {pd.Timestamp("2020-05-31")}


def test_a_past_only_window_does_not_know_the_future():
    def plan(day):  # two hours a week at what becomes the job
        if day < 91:
            return office(day) if day % 7 != 2 else [(HOME, 0, 8), (NEW, 9, 11), (WORK, 11, 17), (HOME, 18, 24)]
        return [(NEW if place == WORK else place, *hours) for place, *hours in office(day)]

    past = {"window_weeks": 5, "is_past_only": True}
    whole, cut = run(life(7, plan), **past), run(life(7, plan, n_days=70), **past)
    one, other = (found[found["span"] == "moving"] for found in (whole, cut))
    one = one[one["window_started"] < "2020-03-16"]
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))
    around = run(life(7, plan), window_weeks=5)
    is_early = (around["span"] == "moving") & (around["window_started"] < "2020-03-16")
    assert NEW in set(around.loc[is_early, "location_id"])


@pytest.mark.parametrize("method", ["logit", "howde"])
def test_devices_are_apart_and_an_empty_bucket_is_empty(method):
    both = run(life(3, office), life(9, lambda day: [(HOME, 0, 24)]), method=method)
    alone = run(life(3, office), method=method)
    pd.testing.assert_frame_equal(both[both["device_id"] == 3].reset_index(drop=True), alone)
    assert set(both.loc[both["device_id"] == 9, "role"]) == {"home"}
    nothing = home_work(table(life(3, office)).iloc[:0], STUDY, HomeWorkParams(method=method))
    assert nothing.empty
    conform(to_arrow(nothing), HOME_WORK)


def test_howde_spells_are_days_in_a_row_of_one_place():
    found = run(life(7, office), method="howde")
    moving = found[found["span"] == "moving"]
    assert len(moving[moving["role"] == "home"]) == 1
    days = moving[moving["role"] == "home"].iloc[0]
    assert (days["window_started"], days["window_finished"]) == (MONDAY, MONDAY + pd.Timedelta(days=N_DAYS - 1))


def test_params_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match="held may not exceed"):
        HomeWorkParams(home_held=0.9, home_reached=0.5)
    with pytest.raises(ValueError, match="between 0 and 24"):
        HomeWorkParams(night_hours=(20, 28))


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ({"baseline_end": "2019-01-01"}, "before it starts"),
        ({"baseline_start": "2021-01-01", "baseline_end": "2021-03-01"}, "not within the study"),
        ({"baseline_end": "2020-07-30"}, "not within the study"),
    ],
)
def test_a_baseline_that_the_study_cannot_have_is_refused_before_anything_runs(dates, message):
    with pytest.raises(StudyError, match=message):
        params_of(STUDY.model_copy(update={"params": {"home_work": dates}}))


def test_the_baseline_is_eight_weeks_or_the_study_if_that_is_shorter():
    assert HomeWorkParams().baseline(STUDY) == (date(2020, 1, 6), date(2020, 3, 1))
    short = STUDY.model_copy(update={"end": date(2020, 1, 19)})
    assert HomeWorkParams().baseline(short) == (date(2020, 1, 6), date(2020, 1, 19))


@pytest.mark.parametrize("method", ["logit", "howde"])
def test_a_device_seen_after_the_baseline_alone_has_no_baseline(method):
    late = [row for row in life(7, office) if row["started_at"] >= pd.Timestamp("2020-04-01", tz="UTC")]
    alone, beside = run(late, method=method), run(late, life(9, office), method=method)
    assert set(alone["span"]) == {"moving"}
    pd.testing.assert_frame_equal(beside[beside["device_id"] == 7].reset_index(drop=True), alone)


def test_settings_of_howde_have_its_defaults():
    assert HowdeRules(**HowdeParams().model_dump()) == HowdeRules()


def test_a_night_that_begins_in_the_evening_counts_on_both_sides_of_midnight():
    eight_to_ten = np.array([[0], [0], [20 * 3600], [34 * 3600]])
    days = place_days(*eight_to_ten, (22 * 3600, 6 * 3600), (9 * 3600, 17 * 3600))
    assert days.night_s.tolist() == [2 * 3600, 6 * 3600]
    assert days.total_s.tolist() == [4 * 3600, 10 * 3600]
    assert days.working_s.tolist() == [0, 3600]


def test_windows_of_a_device_end_where_it_was_last_seen():
    visits = np.array([[0, 0, 20 * 86_400, 20 * 86_400 + 60], [0, 0, 30 * 86_400, 30 * 86_400 + 60]]).T
    days = place_days(*visits, (0, 25_200), (32_400, 61_200))
    weighing = Weighing(np.zeros(6), np.zeros(6), np.ones(4), 1)
    rows = weigh_places(days, Windows(0, 20, 7, 70, 70), weighing, 0.0)
    assert rows.window.tolist() == [2, 3, 4]
    assert rows.home == pytest.approx([1 / 3] * 3)
