"""Worked examples of changes from baseline, and of rows that are left out because a difference would tell of few."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.small_differences import without_small_differences
from pipeline.stages.region_changes import RegionChangeParams, region_changes
from pipeline.study import Study
from tests.stay_rows import empty, through_contract

STUDY = Study(name="changes", start="2020-01-06", end="2020-03-29", zone="UTC", sources=())
MONDAYS = pd.date_range("2020-01-06", periods=12, freq="7D")
KEY = ["region_geoid", "axis", "group", "date", "measure"]


def make_sums(rows):
    """region_day from (region, group, date, measure, devices, total); the axis of a group is income."""
    columns = ["region_geoid", "group", "date", "measure", "n_devices", "total"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["axis"] = np.where(frame["group"] == "all", "all", "income")
    frame = frame.astype({"total": float, "axis": "str"}).sort_values(KEY, ignore_index=True)
    return through_contract(
        frame[["region_geoid", "axis", "group", "date", "measure", "n_devices", "total"]], "region_day"
    )


def changes(rows, **params):
    found = region_changes(make_sums(rows), STUDY, RegionChangeParams(**params))
    return through_contract(found[found["n_devices"] >= 10], "region_changes").set_index(KEY)


def test_a_day_is_compared_with_the_median_of_its_weekday():
    # 20 devices on Mondays with 2, 3, 9 and 4 visits each in the baseline: the median is 3.5
    visits = [2, 3, 9, 4, 7, 0]
    rows = [("01", "all", day, "visits", 20, 20 * v) for day, v in zip(MONDAYS, visits, strict=False)]
    rows += [("01", "all", day + pd.Timedelta(days=1), "visits", 20, 20 * 5) for day in MONDAYS[:5]]
    found = changes(rows, max_zero_share=0.1).loc["01", "all", "all"].reset_index("measure", drop=True)
    assert found["mean"].loc[MONDAYS[:6]].tolist() == visits
    assert (found["baseline"].loc[MONDAYS[:6]] == 3.5).all()
    assert found.loc[MONDAYS[4], "log_change"] == pytest.approx(np.log(2))
    assert np.isnan(found.loc[MONDAYS[5], "log_change"]), "nothing has no logarithm"
    assert found.loc[MONDAYS[4] + pd.Timedelta(days=1), "log_change"] == 0


def test_a_series_that_is_often_zero_has_no_changes():
    # 12 Mondays, 2 of them without a visit; the region beside it has 1 such
    visits = {"01": [2] * 8 + [0, 2, 0, 2], "02": [2] * 9 + [0, 2, 2]}
    rows = [(r, "all", day, "visits", 20, 20 * v) for r in visits for day, v in zip(MONDAYS, visits[r], strict=True)]
    found = changes(rows, max_zero_share=0.1)["log_change"]
    assert found.loc["01"].isna().all() and found.loc["02"].notna().sum() == 11
    assert changes(rows, max_zero_share=2 / 12)["log_change"].loc["01"].notna().sum() == 10
    assert changes(rows)["log_change"].isna().all()


def test_a_weekday_needs_enough_days_with_enough_devices():
    rows = [("01", "all", day, "visits", n, n * 2) for day, n in zip(MONDAYS, [20, 9, 9, 9, 20], strict=False)]
    assert changes(rows)["baseline"].isna().all()
    assert (changes(rows, min_baseline_days=1)["baseline"] == 2).all()
    rows[2] = ("01", "all", MONDAYS[2], "visits", 10, 40)
    found = changes(rows)
    assert (found["baseline"] == 3).all() and len(found) == 3


def test_the_baseline_may_be_another_span():
    rows = [("01", "all", day, "visits", 20, 20 * (k + 1)) for k, day in enumerate(MONDAYS)]
    found = changes(rows, baseline_start=date(2020, 2, 3), baseline_end=date(2020, 2, 16))
    assert (found["baseline"] == 5.5).all()


def test_local_dates_outside_the_study_are_left_out():
    days = [*MONDAYS, MONDAYS[0] - pd.Timedelta(days=7), pd.Timestamp("2020-03-30")]
    found = changes([("01", "all", day, "visits", 20, 40) for day in days])
    assert list(found.index.get_level_values("date")) == list(MONDAYS)


def test_everybody_else_is_all_less_the_group():
    rows = []
    for k, day in enumerate(MONDAYS):
        low, rest = (30 * 2, 50 * 4) if k < 4 else (30 * 1, 50 * 1)
        rows += [("01", "all", day, "visits", 80, low + rest), ("01", "low", day, "visits", 30, low)]
    found = changes(rows).loc["01", "income", "low", MONDAYS[6], "visits"]
    assert found["log_change"] == pytest.approx(np.log(1 / 2))
    assert found["log_change_others"] == pytest.approx(np.log(1 / 4))
    assert changes(rows).loc["01", "all"]["log_change_others"].isna().all()


def test_everybody_else_is_not_known_on_days_on_which_the_group_is_not_shown():
    # On the second Monday the group has 9 devices: with it the others' baseline would tell its sum.
    days = [(MONDAYS[k], *devices) for k, devices in ((0, (30, 60)), (1, (9, 123)), (2, (30, 60)), (5, (30, 60)))]
    rows = [("01", "all", day, "visits", 100, 400) for day, *_ in days]
    rows += [("01", "low", *of_day[:1], "visits", *of_day[1:]) for of_day in days]
    found = changes(rows).loc["01", "income", "low", MONDAYS[5], "visits"]
    assert found["log_change_others"] == pytest.approx(np.log((340 / 70) / (340 / 70)))
    assert changes(rows[1:2] + rows[3:4] + rows[4:])["log_change_others"].isna().all()


def test_zeros_count_on_published_days_of_the_group_and_of_everybody_else_alike():
    # Two days of 9 devices without a visit are nobody's business.
    visits = [(20, 40)] * 6 + [(9, 0)] * 2 + [(20, 40)] * 4
    rows = [("01", "all", day, "visits", *of_day) for day, of_day in zip(MONDAYS, visits, strict=True)]
    assert changes(rows)["log_change"].notna().sum() == 10
    # Everybody else has none on 4 of 12 days, the group on no day.
    rows = []
    for k, day in enumerate(MONDAYS):
        rows += [("01", "all", day, "visits", 80, 60 + 100 * (k % 3 > 0)), ("01", "low", day, "visits", 30, 60)]
    found = changes(rows, max_zero_share=0.3).loc["01", "income"]
    assert found["log_change"].notna().all() and found["log_change_others"].isna().all()
    assert changes(rows, max_zero_share=0.34).loc["01", "income"]["log_change_others"].notna().sum() == 8


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"baseline_start": date(2020, 1, 1)}, "must be inside the study"),
        ({"baseline_end": date(2020, 4, 1)}, r"the baseline \(2020-01-06 to 2020-04-01\) must be inside"),
        ({"baseline_start": date(2020, 3, 20), "baseline_end": date(2020, 4, 1)}, "must be inside the study"),
    ],
)
def test_a_baseline_outside_the_study_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        RegionChangeParams(**params).check_study(STUDY)


def test_a_baseline_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="before baseline_start"):
        RegionChangeParams(baseline_start=date(2020, 2, 1), baseline_end=date(2020, 1, 20))
    RegionChangeParams().check_study(STUDY)
    short = Study(name="short", start="2020-01-06", end="2020-01-12", zone="UTC", sources=())
    RegionChangeParams().check_study(short)
    assert RegionChangeParams().baseline(short) == (short.start, short.end)


def shown(rows):
    """(region, group) of the rows of one day and measure that are published."""
    found = without_small_differences(make_sums([(*row[:2], MONDAYS[0], "visits", *row[2:]) for row in rows]), 10)
    found = found[found["n_devices"] >= 10]
    return set(zip(found["region_geoid"], found["group"], strict=True))


def test_a_group_of_all_but_a_few_is_left_out():
    assert shown([("01", "all", 50, 100), ("01", "low", 42, 90)]) == {("01", "all")}
    assert shown([("01", "all", 50, 100), ("01", "low", 40, 90)]) == {("01", "all"), ("01", "low")}
    assert shown([("01", "all", 50, 100), ("01", "low", 50, 100)]) == {("01", "all"), ("01", "low")}


def test_of_groups_that_may_lie_inside_each_other_the_smaller_is_left_out():
    everybody = ("01", "all", 200, 400)
    assert shown([everybody, ("01", "low", 50, 100), ("01", "poor", 45, 95)]) == {("01", "all"), ("01", "low")}
    # A smaller group with a larger sum does not lie inside.
    both = {("01", "all"), ("01", "low"), ("01", "poor")}
    assert shown([everybody, ("01", "low", 50, 100), ("01", "poor", 45, 120)]) == both


def test_two_groups_that_leave_a_few_out_are_not_both_shown():
    everybody = ("01", "all", 100, 400)
    assert shown([everybody, ("01", "high", 55, 220), ("01", "low", 40, 170)]) == {("01", "all"), ("01", "high")}
    assert shown([everybody, ("01", "high", 55, 220), ("01", "low", 45, 180)]) >= {("01", "high"), ("01", "low")}


def test_regions_that_leave_a_few_out_of_everywhere_are_not_all_shown():
    everywhere = ("all", "all", 100, 400)
    assert shown([everywhere, ("01", "all", 60, 200), ("02", "all", 37, 190)]) == {("all", "all"), ("01", "all")}
    # One of 5 is hidden by the store, so the next must be hidden with it.
    rows = [everywhere, ("01", "all", 60, 200), ("02", "all", 35, 150), ("03", "all", 5, 50)]
    assert shown(rows) == {("all", "all"), ("01", "all")}
    assert shown([everywhere, ("01", "all", 60, 200), ("02", "all", 40, 200)]) >= {("01", "all"), ("02", "all")}


def test_a_group_left_out_of_a_region_is_not_told_by_everywhere():
    # low of 02 is left out: 55 - 50 = 5 others. Everywhere less 01 would be it.
    rows = [("all", "all", 155, 400), ("01", "all", 100, 250), ("02", "all", 55, 150)]
    rows += [("all", "low", 90, 240), ("01", "low", 40, 100), ("02", "low", 50, 140)]
    assert shown(rows) == {("all", "all"), ("01", "all"), ("02", "all"), ("01", "low")}


def test_groups_that_leave_a_few_out_together_are_not_all_shown():
    thirds = [("01", "g1", 20, 330), ("01", "g2", 21, 320), ("01", "g3", 22, 310)]
    assert shown([("01", "all", 67, 1000), *thirds]) == {("01", "all"), ("01", "g2"), ("01", "g3")}
    assert shown([("01", "all", 75, 1000), *thirds]) == {("01", "all"), ("01", "g1"), ("01", "g2"), ("01", "g3")}
    # Two that fill a third but for 4 devices.
    halves = [("01", "g1", 20, 320), ("01", "g2", 21, 310), ("01", "g3", 45, 690)]
    assert shown([("01", "all", 200, 1000), *halves]) == {("01", "all"), ("01", "g2"), ("01", "g3")}


def test_a_group_left_out_beside_another_is_not_told_by_everywhere():
    # poor of 02 is left out: 50 - 47 = 3 of low. Everywhere less 01 would be it.
    rows = [("all", "all", 400, 800), ("01", "all", 200, 400), ("02", "all", 200, 400)]
    rows += [("all", "low", 110, 220), ("01", "low", 60, 120), ("02", "low", 50, 100)]
    rows += [("all", "poor", 87, 174), ("01", "poor", 40, 80), ("02", "poor", 47, 94)]
    assert shown(rows) == {(r, "all") for r in ("all", "01", "02")} | {("all", "low"), ("01", "low"), ("02", "low")} | {
        ("01", "poor")
    }


def test_of_a_region_whose_everybody_is_left_out_no_group_is_shown():
    # 3 devices of no region: 02 is hidden with them, and low of it would tell of 5 of the 20.
    rows = [("all", "all", 80, 240), ("01", "all", 60, 180), ("02", "all", 17, 51)]
    rows += [("all", "low", 45, 135), ("01", "low", 30, 90), ("02", "low", 15, 45)]
    assert shown(rows) == {("all", "all"), ("01", "all"), ("01", "low")}


def test_nothing_has_no_changes():
    found = region_changes(empty("region_day"), STUDY, RegionChangeParams())
    assert through_contract(found, "region_changes").empty
