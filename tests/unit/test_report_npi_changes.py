"""What the page says of changes from baseline: weeks, policies, orders, spans, regions, categories."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from pipeline.report.npi_changes import (
    WEEK,
    choose_categories,
    choose_span,
    dissolve_areas,
    mean_changes,
    orders_of,
    summarize_changes,
    weekly_changes,
    weekly_stringency,
)
from tests import response_root

MONDAY = pd.Timestamp("2020-03-02")


def changes_of(*rows):
    """Changes of everybody: (region, days after the Monday, log change)."""
    frame = pd.DataFrame(rows, columns=["region_geoid", "day", "log_change"])
    frame = frame.assign(date=MONDAY + pd.to_timedelta(frame["day"], unit="D"), measure="visits", n_devices=10)
    return frame.assign(axis="all", group="all", baseline=1.0)


def test_a_week_is_the_mean_of_its_days_and_gaps_stay_gaps():
    days = [("36", day, 0.1 * day) for day in (0, 3, 6)] + [("36", 7, 9.0), ("36", 8, 9.0)]
    days += [("36", day, -0.3) for day in (14, 15, 16)]
    weeks = weekly_changes(changes_of(*days))
    assert weeks["week"].tolist() == [MONDAY + k * WEEK for k in range(3)]
    assert weeks["change"].tolist() == pytest.approx([0.3, np.nan, -0.3], nan_ok=True)
    assert weeks["region_geoid"].tolist() == ["36"] * 3


def test_a_weekly_series_needs_one_day_a_week():
    assert weekly_changes(changes_of(("36", 0, 0.1), ("36", 7, 0.2)))["change"].tolist() == [0.1, 0.2]
    assert weekly_changes(changes_of(("36", 0, np.nan))).empty


def test_groups_are_not_in_the_weeks_of_everybody():
    changes = changes_of(*[("36", day, 0.1) for day in range(3)])
    both = pd.concat([changes, changes.assign(axis="age", group="old", log_change=5.0)])
    assert weekly_changes(both)["change"].tolist() == pytest.approx([0.1])


def test_policies_are_of_the_longest_id_that_begins_the_region():
    weeks = weekly_changes(changes_of(*[(region, day, 0.1) for region in ("36061", "50001") for day in range(3)]))
    held = {"3": 10.0, "36": 20.0, "04": 30.0}
    policies = pd.DataFrame({"region_geoid": list(held), "date": MONDAY, "stringency": list(held.values())})
    found = weekly_stringency(policies, weeks, ["36061", "50001"]).set_index("region_geoid")["stringency"]
    assert found.to_dict() == {"36061": 20.0}


def test_stringency_of_everywhere_is_the_mean_by_devices():
    changes = changes_of(*[(region, day, 0.1) for region in ("all", "04013", "36061", "50001") for day in range(3)])
    devices = changes["region_geoid"].map({"all": 50, "04013": 10, "36061": 30, "50001": 10})
    weeks = weekly_changes(changes.assign(n_devices=devices))
    dates = pd.DataFrame({"date": [MONDAY, MONDAY + pd.Timedelta(days=1)]})
    policies = pd.concat([dates.assign(region_geoid="04", stringency=[0.0, 40.0]),
                          dates.assign(region_geoid="36", stringency=80.0)])  # fmt: skip
    found = weekly_stringency(policies, weeks, ["04013", "36061", "50001"]).set_index("region_geoid")["stringency"]
    assert found.to_dict() == {"04013": 20.0, "36061": 80.0, "all": pytest.approx((10 * 20 + 30 * 80) / 40)}


def test_a_study_without_regions_has_the_only_policies_there_are():
    weeks = weekly_changes(changes_of(*[("all", day, 0.1) for day in range(3)]))
    policies = pd.DataFrame({"region_geoid": ["36"], "date": [MONDAY], "stringency": [80.0]})
    assert weekly_stringency(policies, weeks, [])["stringency"].tolist() == [80.0]
    two = pd.concat([policies, policies.assign(region_geoid="04")])
    assert weekly_stringency(two, weeks, []).empty
    assert weekly_stringency(None, weeks, []).empty


def test_orders_of_one_date_come_last():
    days = pd.to_datetime(["2020-03-16", "2020-03-16", "2020-03-20", "2020-03-24", None])
    orders = pd.DataFrame(
        {"region_geoid": ["04", "36", "04", "36", "50"], "order": ["ban"] * 2 + ["stay home"] * 3, "ordered_on": days}
    )
    found = orders_of(orders, ["04013", "36061", "50001"], most=1)
    assert found.values.tolist() == [
        ["04013", "stay home", days[2]], ["36061", "stay home", days[3]], ["all", "stay home", days[2]],
    ]  # fmt: skip
    assert set(orders_of(orders, ["36061"], most=5)["order"]) == {"ban", "stay home"}
    assert orders_of(None, ["36061"]).empty


def test_a_region_whose_own_row_has_no_date_was_not_ordered_with_its_state():
    days = pd.to_datetime(["2020-03-31", None, "2020-03-25"])
    orders = pd.DataFrame({"region_geoid": ["04", "04013", "04019"], "order": "stay home", "ordered_on": days})
    found = orders_of(orders, ["04013", "04019", "04021"]).set_index("region_geoid")["ordered_on"]
    assert found.to_dict() == {"04019": days[2], "04021": days[0], "all": days[2]}


def test_the_span_of_maps_is_the_first_with_the_strictest_policies():
    weeks = pd.DataFrame({"week": [MONDAY + k * WEEK for k in range(6)], "change": 0.1})
    stringency = pd.DataFrame({"week": weeks["week"], "stringency": [0.0, 50.0, 90.0, 80.0, 90.0, 80.0]})
    span = choose_span(weeks, stringency, n_weeks=2)
    assert (span.first, span.last, span.is_strictest) == (MONDAY + 2 * WEEK, MONDAY + 3 * WEEK, True)
    last = choose_span(weeks, stringency.iloc[:0], n_weeks=2)
    assert (last.first, last.last, last.is_strictest) == (MONDAY + 4 * WEEK, MONDAY + 5 * WEEK, False)
    assert choose_span(weeks.assign(change=np.nan), stringency) is None


def test_a_map_has_the_mean_of_regions_with_half_the_weeks():
    days = [("36061", 7 * week + day, 0.1 * week) for week in range(4) for day in range(3)]
    changes = summarize_changes(changes_of(*days, *[("04013", day, 0.5) for day in range(3)]), None, None)
    found = mean_changes(changes, ["visits"])
    assert found["region_geoid"].tolist() == ["36061"]
    assert found["change"].tolist() == pytest.approx([0.15])


def test_categories_are_those_with_most_visits():
    rows = changes_of(*[("all", 0, 0.0)] * 4)
    rows = rows.assign(
        measure=["visits:venue:A", "visits:venue:B", "minutes:venue:C", "visits:venue:D"],
        baseline=[1.0, 3.0, 9.0, np.nan],
    )
    assert choose_categories(rows) == ["B", "A"]


def test_counties_are_areas_joined_by_their_first_digits():
    areas = gpd.GeoSeries(
        [shapely.box(k, 0, k + 1, 1) for k in range(3)], index=["36061A", "36061B", "04013A"], crs=4326
    )
    found = dissolve_areas(areas, ["36061"])
    assert found.index.tolist() == ["04013", "36061"]
    assert found["36061"].equals(shapely.box(0, 0, 2, 1))


def test_regions_with_most_devices_are_drawn_unless_some_are_asked_for():
    changes = response_root.region_changes()
    found = summarize_changes(changes, None, None)
    assert (len(found.regions), found.n_regions, found.regions[0]) == (6, 8, "40143")
    assert summarize_changes(changes, None, None, ("21067", "99999")).regions == ["21067"]
