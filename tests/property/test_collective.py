"""Flows and visits of places against their naive twins, whatever the buckets; what is shown tells of no few devices."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cell_suppression import hide_differences
from pipeline.stages import od_flows as flows_module
from pipeline.stages import place_visits as places_module
from tests.collective_rows import STUDY, buckets_of, make_homes, make_trips, together, windows_of
from tests.day_rows import make_day_visits
from tests.naive_collective import naive_flows, naive_is_told, naive_lines, naive_places
from tests.stay_rows import empty

AREAS = ("a", "b", "c")
trip_rows = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.sampled_from(AREAS),
        st.sampled_from(AREAS),
        st.integers(0, 20),
        st.integers(0, 23),
        st.integers(0, 5000),
    ),
    max_size=25,
)


@pytest.fixture
def everything(monkeypatch):
    """Rows of any number of devices are shown."""
    monkeypatch.setattr(flows_module, "MIN_DEVICES", 1)
    monkeypatch.setattr(places_module, "MIN_DEVICES", 1)


def flows(trips, n_buckets=1, **params):
    chosen = flows_module.OdFlowParams(**params)
    parts = [flows_module.od_flows(part, STUDY, chosen) for part in buckets_of(trips, n_buckets)]
    return flows_module._finish(together(parts), STUDY, chosen)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(("windows", "hours"), [(("study", "week"), True), (("month", "day"), False)])
def test_flows_are_those_of_the_twin_whatever_the_buckets(windows, hours):
    @given(trip_rows)
    @settings(max_examples=3, deadline=None)
    def check(rows):
        found = flows(make_trips(rows), windows=windows, hours=hours)
        labelled = [(*row[:4], f"{row[4]:02d}", row[5]) for row in rows]
        expected = naive_flows(labelled, windows_of(windows), hours)
        assert len(found) == len(expected)
        for row in found.itertuples():
            key = (row.origin_area, row.destination_area, (row.window, row.window_started.date()), row.day_hour)
            n_trips, n_devices, way_m = expected[key]
            assert (row.n_trips, row.n_devices) == (n_trips, n_devices)
            np.testing.assert_allclose(row.distance_mean_m, way_m / n_trips, atol=1e-3)
        pd.testing.assert_frame_equal(flows(make_trips(rows), 3, windows=windows, hours=hours), found)

    check()


@pytest.mark.usefixtures("everything")
@given(trip_rows.filter(len))
@settings(max_examples=4, deadline=None)
def test_flows_of_days_and_of_areas_add_up_to_those_of_the_study(rows):
    found = flows(make_trips(rows), windows=("study", "day"))
    inside = found[(found["origin_area"] != "all") & (found["destination_area"] != "all")]
    n_all = found[(found["origin_area"] == "all") & (found["destination_area"] == "all")]
    for kind in ("study", "day"):
        for table in (inside, n_all):
            assert table.loc[table["window"] == kind, "n_trips"].sum() == len(rows)


# (device, place, day, hours)
visit_rows = st.lists(
    st.tuples(st.integers(1, 6), st.integers(0, 2), st.integers(0, 15), st.integers(0, 9)), max_size=20
)
HOMES = {1: "h0", 2: "h0", 3: "h1", 4: "h2", 5: None}
GROUPS = {"h0": 0, "h1": 1}


def make_visits(rows):
    if not rows:
        return empty("visits")
    visits = make_day_visits([(who, 1440 * day + k, 60 * h, p, None, 0) for k, (who, p, day, h) in enumerate(rows)])
    return visits.assign(tract_geoid=visits["tract_geoid"].str[-1], dwell_s=[3600.0 * h for *_, h in order(rows)])


def order(rows):
    return [row for _, row in sorted((((row[0], 1440 * row[2] + k)), row) for k, row in enumerate(rows))]


def places(visits, n_buckets=1, **params):
    demographics, weights = panel()
    chosen = places_module.PlaceVisitParams(n_groups=2, segregation_group="rich", **params)
    homes = make_homes({who: area for who, area in HOMES.items() if area})
    parts = [
        places_module.place_visits(part, homes, demographics, weights, STUDY, chosen)
        for part in buckets_of(visits, n_buckets)
    ]
    return places_module._finish(together(parts), demographics, weights, STUDY, chosen)


def panel():
    """Demographics and weights in which h0 is of the lower half, h1 of the upper, and h2 unknown."""
    demographics = pd.DataFrame(
        [
            (area, "income", group, n)
            for area, rich in (("h0", 1.0), ("h1", 9.0))
            for group, n in (("rich", rich), ("poor", 5.0))
        ],
        columns=["tract_geoid", "axis", "group", "n_persons"],
    )
    weights = pd.DataFrame({"home_tract_geoid": ["h0", "h1", "h2"], "n_devices": [2, 2, 1]})
    return demographics.astype({"tract_geoid": "str", "axis": "str", "group": "str"}), weights


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("least", [1, 2])
def test_visits_of_places_are_those_of_the_twin_whatever_the_buckets(monkeypatch, least):
    monkeypatch.setattr(places_module, "MIN_DEVICES", least)
    # Which rows are shown is another test's.
    monkeypatch.setattr(places_module, "hide_differences", lambda table, *_: table)

    @given(visit_rows)
    @settings(max_examples=4, deadline=None)
    def check(rows):
        check_places(rows, least)

    check()


def check_places(rows, least):
    visits = make_visits(rows)
    found = places(visits)
    homes = {who: area for who, area in HOMES.items() if area}
    named = [(who, str(place), day, h) for who, place, day, h in rows]
    expected = naive_places(named, homes, GROUPS, windows_of(("study", "week")), 2, least)
    assert len(found) == len(expected)
    for row in found.itertuples():
        numbers = expected[row.area, (row.window, row.window_started.date())]
        given_ = (row.n_visits, row.n_devices, row.dwell_hours, row.visitor_entropy_bits, row.home_entropy_bits)
        wanted = [np.nan if number is None else number for number in numbers]
        np.testing.assert_allclose([*given_, row.segregation], wanted, atol=1e-6)
    pd.testing.assert_frame_equal(places(visits, 4), found)


cells = st.dictionaries(
    st.tuples(st.sampled_from(AREAS), st.sampled_from(AREAS), st.integers(0, 15)),
    st.integers(1, 20),
    min_size=1,
    max_size=14,
)


@given(cells, st.sampled_from([("study", "week", "day"), ("study",), ("month", "day")]))
@settings(max_examples=25, deadline=None)
def test_no_line_of_what_is_shown_tells_of_few_devices(base, kinds):
    counted = naive_flows(
        [(f"{key} {k}", *key[:2], key[2], "all", 0) for key, n in base.items() for k in range(n)],
        windows_of(kinds),
        False,
    )
    n_of = {(o, d, window): n for (o, d, window, _), (_, n, _) in counted.items()}
    frame = pd.DataFrame(
        [(o, d, kind, pd.Timestamp(started), n, n) for (o, d, (kind, started)), n in n_of.items()],
        columns=["origin_area", "destination_area", "window", "window_started", "n_devices", "n_trips"],
    )
    shown = hide_differences(frame, ["origin_area", "destination_area"], "n_trips", 10)
    keys = {(r.origin_area, r.destination_area, (r.window, r.window_started.date())) for r in shown.itertuples()}
    parents = dict(zip(kinds[1:], kinds, strict=False))
    of = windows_of(kinds)

    def parent(window):
        day = (window[1] - STUDY.start).days
        return next((w for w in of(day) if w[0] == parents.get(window[0])), None)

    assert not naive_is_told(n_of, keys, naive_lines(n_of, parent), 10)
    if all(n >= 10 for n in n_of.values()):
        assert len(shown) == len(frame)
