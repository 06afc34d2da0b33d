"""Worked examples of flows and of visits of places, with numbers that can be followed by hand."""

import fastmob
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline.area_cells import AreaParams, AreaWindowParams, areas_of
from pipeline.cell_suppression import hide_differences
from pipeline.shares import area_quantiles
from pipeline.stages.od_flows import UNIT_M, OdFlowParams, _finish, od_flows
from pipeline.stages.place_visits import UNIT, PlaceVisitParams, place_visits
from pipeline.stages.place_visits import _finish as finish_places
from pipeline.sums import from_fixed, group_sums, to_fixed
from tests.collective_rows import STUDY, make_homes, make_trips
from tests.day_rows import make_day_visits
from tests.stay_rows import empty, through_contract


def flows(rows, **params):
    chosen = OdFlowParams(windows=("study",), **params)
    table = through_contract(_finish(od_flows(make_trips(rows), STUDY, chosen), STUDY, chosen), "od_flows")
    return {(r.origin_area, r.destination_area): (r.n_trips, r.n_devices) for r in table.itertuples()}


def crowd(n, origin, destination, first=0):
    return [(first + k, origin, destination, 0, 8, 1000) for k in range(n)]


def test_flows_of_enough_devices_are_shown_with_their_margins():
    # Twelve go from 11 to 12, one of them twice; ten go back.
    rows = [*crowd(12, "11", "12"), (0, "11", "12", 1, 8, 1000), *crowd(10, "12", "11", first=3)]
    assert flows(rows) == {
        ("11", "12"): (13, 12),
        ("12", "11"): (10, 10),
        ("11", "all"): (13, 12),
        ("12", "all"): (10, 10),
        ("all", "12"): (13, 12),
        ("all", "11"): (10, 10),
        ("all", "all"): (23, 13),
    }


def test_a_flow_of_few_is_hidden_with_one_of_many_in_each_of_its_lines():
    # From a: 20 to b, 15 to c, 3 to d. Nine rows: the three, the three margins by destination, a's, and everywhere.
    rows = [*crowd(20, "a", "b"), *crowd(15, "a", "c", first=30), *crowd(3, "a", "d", first=60)]
    found = flows(rows)
    # a to d is 3; what a's 38 less the 20 to b leave is of 18 devices. The same of everybody's 38.
    assert found == {("a", "b"): (20, 20), ("all", "b"): (20, 20), ("a", "all"): (38, 38), ("all", "all"): (38, 38)}


def test_long_trips_and_trips_that_leave_all_areas_are_not_counted():
    slow = [(k, "a", "b", 0, 8, 1000, 90_000.0) for k in range(12)]
    assert flows(slow) == {}
    assert flows([(k, "a", None, 0, 8, 1000) for k in range(12)]) == {}
    assert flows(crowd(12, "a", "a"), trips_within_areas=False) == {}
    assert flows(crowd(12, "a", "a"))["a", "a"] == (12, 12)


def test_areas_are_leading_digits_or_cells_of_a_resolution():
    lon, lat = pd.Series([-74.0, -74.0, 10.0]), pd.Series([40.7, 40.7, 50.0])
    tract = pd.Series(["36061000100", None, "11001"], dtype="str")
    digits = areas_of(lon, lat, tract, AreaParams(area_digits=5))
    assert digits.fillna("").tolist() == ["36061", "", "11001"]
    cells = areas_of(lon, lat, tract, AreaParams(areas="h3", resolution=7))
    assert cells[0] == cells[1] != cells[2]
    assert cells.str.len().tolist() == [15, 15, 15]
    assert areas_of(lon[:0], lat[:0], tract[:0], AreaParams(areas="h3")).empty


def test_the_entropy_of_visitors_is_that_of_the_peer():
    rows = [
        (who, 60 * k, 30, place, None, 0)
        for k, (who, place) in enumerate(zip([1, 1, 2, 3, 3, 3] * 4, [0, 1] * 12, strict=True))
    ]
    visits = make_day_visits(rows)
    seen = visits[["device_id", "started_at", "lon", "lat"]].set_axis(["uid", "datetime", "lng", "lat"], axis=1)
    theirs = fastmob.uncorrelated_location_entropy(seen).sort_values("lng")["uncorrelated_entropy"]
    params = PlaceVisitParams(windows=("study",))
    part = place_visits(visits, make_homes({}), empty("demographics"), empty("panel_weights"), STUDY, params)
    by_place = group_sums(part[part["area"] != "all"], ["area"], ["n_visits", "n_log2_n"])
    ours = np.log2(by_place["n_visits"]) - from_fixed(by_place["n_log2_n"]) * UNIT / by_place["n_visits"]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_sums_of_ten_million_devices_for_a_year_fit():
    """A bucket of 10,000 devices with four visits a day, told a thousand times."""
    n_visits = 4 * 365
    sums = {"dwell": 1e4 * 365 * 24 / UNIT, "n_log2_n": 1e4 * n_visits * np.log2(n_visits) / UNIT}
    way = {"fixed": 1e4 * n_visits * 12_000 / UNIT_M}
    parts = pd.DataFrame({"area": "all", **{name: to_fixed([each] * 1000) for name, each in (sums | way).items()}})
    total = group_sums(parts, ["area"], [*sums, *way])
    for name, each in (sums | way).items():
        assert from_fixed(total[name])[0] == pytest.approx(1000 * each)


def test_weeks_and_months_are_not_told_beside_each_other():
    with pytest.raises(ValidationError, match="not both weeks and months"):
        AreaWindowParams(windows=("week", "month"))


def test_a_margin_is_hidden_only_where_no_cell_is_left_to_hide():
    cells = pd.DataFrame(
        {
            "area": ["all", "a", "b"],
            "window": "study",
            "window_started": pd.Timestamp("2020-01-06"),
            "n_devices": [25, 22, 4],
            "n_visits": [26, 22, 4],
        }
    )
    assert hide_differences(cells, ["area"], "n_visits", 10)["area"].tolist() == ["all"]
    two = cells.assign(n_devices=[25, 12, 14], n_visits=[26, 12, 14])
    pd.testing.assert_frame_equal(hide_differences(two, ["area"], "n_visits", 10), two)


def test_areas_are_put_into_quarters_of_the_panel_by_a_share():
    demographics = pd.DataFrame(
        [
            (area, "income", group, n)
            for area, k in zip("wxyz", (1, 2, 3, 4), strict=True)
            for group, n in (("high", k), ("low", 5 - k))
        ],
        columns=["tract_geoid", "axis", "group", "n_persons"],
    )
    weights = pd.DataFrame({"home_tract_geoid": list("vwxyz"), "n_devices": [9, 10, 10, 10, 10]})
    quarters = area_quantiles(demographics, weights, "income", "high", 4)
    assert quarters.to_dict() == {"w": 0, "x": 1, "y": 2, "z": 3}
    # Half of the panel in the poorest area: its middle is at a quarter.
    heavy = weights.assign(n_devices=[9, 30, 10, 10, 10])
    assert area_quantiles(demographics, heavy, "income", "high", 4).to_dict() == {"w": 1, "x": 2, "y": 3, "z": 3}
    assert area_quantiles(demographics, weights, "income", "none", 4).empty
    assert area_quantiles(demographics[:0], weights, "age", "high", 4).empty
    assert quarters.dtype == np.int64


def of_homes(n_by_home, hours):
    """Visits of one area and of everywhere, in windows of the study, told with two groups of home areas."""
    rows = [(home, hours[home]) for home, n in n_by_home.items() for _ in range(n)]
    part = pd.DataFrame({"home": [home for home, _ in rows], "dwell": to_fixed(np.array([h for _, h in rows]))})
    part = part.assign(window="study", window_started=pd.Timestamp("2020-01-06"), n_visits=1, n_devices=1, n_log2_n=0)
    income = [(f"h{k}", "income", group, n) for k in (1, 2) for group, n in (("above_3333", k), ("below", 3 - k))]
    demographics = pd.DataFrame(income, columns=["tract_geoid", "axis", "group", "n_persons"])
    weights = pd.DataFrame({"home_tract_geoid": ["h1", "h2"], "n_devices": [10, 10]})
    both = pd.concat([part.assign(area=area) for area in ("x", "all")])
    params = PlaceVisitParams(n_groups=2, windows=("study",))
    return finish_places(both, demographics, weights, STUDY, params).set_index("area").loc["x"]


def test_segregation_does_not_tell_the_hours_of_the_one_visitor_of_a_group():
    # Of two groups the one has (1 / 2 + segregation / 2) of the hours: 37.25 of the one device from h2.
    assert np.isnan(of_homes({"h1": 11, "h2": 1}, {"h1": 1.0, "h2": 37.25})["segregation"])
    two = of_homes({"h1": 11, "h2": 10}, {"h1": 1.0, "h2": 3.3})
    assert two["segregation"] == pytest.approx(abs(33 / 44 - 1 / 2) * 2)
    assert of_homes({"h1": 12}, {"h1": 1.0})["segregation"] == 1.0


def test_home_entropy_does_not_tell_of_home_areas_of_few_visitors():
    hours = dict.fromkeys(("h1", "h2", "h3"), 1.0)
    assert np.isnan(of_homes({"h1": 11, "h2": 1}, hours)["home_entropy_bits"])
    # Five and five are ten from elsewhere.
    assert of_homes({"h1": 10, "h2": 5, "h3": 5}, hours)["home_entropy_bits"] == pytest.approx(1.0)
