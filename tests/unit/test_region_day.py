"""`region_day`: sums against the slow twin, additivity, buckets, who counts, what nobody did."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.day_measures import is_of_category, unit_of
from pipeline.stages.region_day import RegionDayParams, _finish, region_day
from pipeline.study import Study
from tests.day_rows import as_date, day_of
from tests.employment_rows import home_work_row
from tests.naive_days import naive_region_day
from tests.stay_rows import empty, through_contract

AREAS = ["01001000100", "01001000200", "01003000100"]
PARAMS = RegionDayParams(min_days=1, top_share=0.5)
STUDY = Study(name="days", start="2020-01-06", end="2020-01-18", zone="UTC", sources=())
"""A whole week from Monday and one that lacks its Sunday."""
DEMOGRAPHICS = pd.DataFrame(
    {
        "tract_geoid": np.repeat(AREAS, 2),
        "axis": "income",
        "group": ["high", "low"] * 3,
        "n_persons": [8.0, 2.0, 1.0, 9.0, 2.0, 8.0],
    }
)
HIGH = {("income", "high"): {AREAS[0]}, ("income", "low"): {AREAS[1], AREAS[2]}}
"""Of the panel of 4, 1 and 3 the area with most of high is half, the two with most of low are the other half."""
WEIGHTS = pd.DataFrame({"home_tract_geoid": AREAS, "n_devices": [4, 1, 3], "area_weight": [1.0, 1.0, 1.0]})


def make_days(rows):
    """DEVICE_DAYS from (device, day, hours observed, visits, minutes, metres, radius or NaN)."""
    frame = pd.DataFrame(rows, columns=["device_id", "day", "hours", "n", "minutes", "metres", "radius"])
    return pd.DataFrame(
        {
            "device_id": frame["device_id"].astype("int64"),
            "date": pd.Series([day_of(day) for day in frame["day"]], dtype="datetime64[ms]"),
            "hours_observed": frame["hours"].astype("int8"),
            "n_visits": frame["n"].astype("int64"),
            "n_locations": frame["n"].astype("int64"),
            "dwell_s": frame["minutes"] * 60.0,
            "distance_m": frame["metres"].astype(float),
            "gyration_m": frame["radius"].astype(float),
        }
    ).sort_values(["device_id", "date"], ignore_index=True)


def make_venues(rows):
    """VENUES from (device, day, kind, category, visits, minutes)."""
    frame = pd.DataFrame(rows, columns=["device_id", "day", "place_kind", "poi_category", "n_visits", "minutes"])
    return pd.DataFrame(
        {
            "device_id": frame["device_id"].astype("int64"),
            "date": pd.Series([day_of(day) for day in frame["day"]], dtype="datetime64[ms]"),
            "place_kind": frame["place_kind"].astype("str"),
            "poi_category": frame["poi_category"].astype("str"),
            "n_visits": frame["n_visits"].astype("int64"),
            "dwell_s": frame["minutes"] * 60.0,
        }
    )


def make_contacts(rows):
    """CONTACTS from (device, day, kind, people, persons, repeated, minutes, household minutes)."""
    names = ["device_id", "day", "place_kind", "n_people", "people_weighted", "n_repeated", "minutes", "household"]
    frame = pd.DataFrame(rows, columns=names)
    dates = pd.Series([day_of(day) for day in frame["day"]], dtype="datetime64[ms]")
    found = frame.assign(
        date=dates, contact_s=frame["minutes"] * 60.0, household_s=frame["household"] * 60.0, n_household=0
    )
    return through_contract(found[[*empty("contacts").columns]], "contacts") if rows else empty("contacts")


def make_homes(homes):
    rows = [home_work_row("home", 0, device_id=device, tract_geoid=area) for device, area in sorted(homes.items())]
    return through_contract(pd.DataFrame(rows).astype({"tract_geoid": "str", "location_id": "int32"}), "home_work")


def table_of(
    days, venues=(), contacts=(), homes=None, routines=None, entropy=None, n_buckets=1, params=PARAMS, weights=WEIGHTS
):
    """REGION_DAY as {(region, axis, group, date, measure): (devices, total)}."""
    whole = DEMOGRAPHICS, weights, STUDY
    frames = (
        make_days(days),
        make_venues(list(venues)),
        make_contacts(list(contacts)),
        empty("routines") if routines is None else routines,
        empty("entropy") if entropy is None else entropy,
        make_homes(homes or {1: AREAS[0]}),
    )
    parts = [
        region_day(*(f[f["device_id"] % n_buckets == b].reset_index(drop=True) for f in frames), *whole, params)
        for b in range(n_buckets)
    ]
    filled = [part for part in parts if len(part)] or parts[:1]
    found = through_contract(_finish(pd.concat(filled, ignore_index=True), *whole, params), "region_day")
    keys = zip(
        found["region_geoid"], found["axis"], found["group"], found["date"].dt.date, found["measure"], strict=True
    )
    return dict(zip(keys, zip(found["n_devices"], found["total"], strict=True), strict=True))


HOMES = {1: AREAS[0], 2: AREAS[1], 3: AREAS[2], 4: None}
DAYS = [
    (1, 0, 10, 3, 600, 2000, 500),
    (2, 0, 10, 1, 900, 0, np.nan),
    (3, 0, 9, 2, 300, 800, 90),
    (4, 0, 8, 5, 60, 7, 8),
]


def test_sums_by_region_group_and_day():
    found = table_of(DAYS, homes=HOMES)
    monday = date(2020, 1, 6)
    assert found["all", "all", "all", monday, "visits"] == (4, 11.0)
    assert found["01001", "all", "all", monday, "visits"] == (2, 4.0)
    assert found["01003", "all", "all", monday, "minutes"] == (1, 300.0)
    assert found["01001", "all", "all", monday, "gyration_m"] == pytest.approx((1, 500.0))
    assert found["all", "income", "high", monday, "distance_m"] == pytest.approx((1, 2000.0))
    assert ("01003", "income", "high", monday, "visits") not in found


def test_who_is_observed_too_little_or_too_seldom_does_not_count():
    days = [*DAYS, (1, 1, 7, 9, 9, 9, 9), (2, 1, 8, 1, 1, 1, 1)]
    monday, tuesday = date(2020, 1, 6), date(2020, 1, 7)
    assert table_of(days, homes=HOMES)["all", "all", "all", tuesday, "visits"] == (1, 1.0)
    twice = table_of(days, homes=HOMES, params=RegionDayParams(min_days=2))
    assert twice["all", "all", "all", monday, "visits"] == (1, 1.0)


def test_what_somebody_did_has_a_zero_for_all_others_and_a_radius_has_not():
    venues = [(1, 0, "venue", "Food", 2, 50.0)]
    found = table_of(DAYS, venues, homes=HOMES, n_buckets=4)
    monday = date(2020, 1, 6)
    assert found["all", "all", "all", monday, "visits:venue:Food"] == (4, 2.0)
    assert found["01003", "all", "all", monday, "minutes:venue"] == (1, 0.0)
    assert found["all", "all", "all", monday, "gyration_m"] == pytest.approx((3, 598.0))
    assert ("all", "income", "high", monday, "visits:venue") in found
    assert ("all", "income", "high", monday, "visits:venue:Food") not in found


def test_contacts_by_kind_and_weighted_where_the_population_is_known():
    contacts = [(1, 0, "home", 0, 0.0, 0, 0.0, 600.0), (1, 0, "work", 3, 30.0, 1, 45.0, 0.0)]
    monday = date(2020, 1, 6)
    found = table_of(DAYS, contacts=contacts, homes=HOMES)
    assert found["01001", "all", "all", monday, "contacts"] == (2, 3.0)
    assert found["01001", "all", "all", monday, "contacts:work"] == (2, 3.0)
    assert found["01001", "all", "all", monday, "contacts_weighted"] == (2, 30.0)
    assert found["01001", "all", "all", monday, "contact_minutes"] == (2, 45.0)
    assert found["01001", "all", "all", monday, "repeated_contacts"] == (2, 1.0)
    assert found["01001", "all", "all", monday, "household_minutes"] == (2, 600.0)
    unknown = table_of(DAYS, contacts=contacts, homes=HOMES, weights=WEIGHTS.assign(area_weight=np.nan))
    assert ("01001", "all", "all", monday, "contacts_weighted") not in unknown


def test_routines_and_entropy_of_a_week_count_on_its_days():
    windows = {
        "device_id": [1, 1, 1],
        "window": ["study", "week", "week"],
        "window_started": pd.Series([day_of(0), day_of(0), day_of(7)], dtype="datetime64[ms]"),
    }
    routines = pd.DataFrame({**windows, "n_routines": [8, 2, 3], "routine_share": 0.5, "routine_length": np.nan})
    entropy = pd.DataFrame({**windows, "entropy_rate_bits": [2.5, 1.5, 0.5], "predictability": 0.75})
    days = [(1, day, 10, 1, 1, 1, 1) for day in (0, 6, 7)]
    found = table_of(days, routines=routines, entropy=entropy)
    assert found["all", "all", "all", as_date(6), "entropy_rate_bits"] == (1, 1.5)
    assert ("all", "all", "all", as_date(7), "predictability") not in found
    assert found["all", "all", "all", as_date(6), "n_routines"] == (1, 2.0)
    # The week of day 7 is cut by the study's end.
    assert ("all", "all", "all", as_date(7), "n_routines") not in found
    assert ("all", "all", "all", as_date(0), "routine_length") not in found


def test_whoever_meets_everybody_meets_as_many_when_half_of_them_report_no_more():
    """Four phones in one office on days 0 to 2, two on day 3; one without enough hours to count can still be met."""
    hours = {(4, day): 2 for day in range(3)}
    days = [
        (d, day, hours.get((d, day), 10), 1, 60, 0, 0) for day in range(4) for d in (1, 2, 3, 4) if day < 3 or d < 3
    ]
    n_others = {0: 3, 1: 3, 2: 3, 3: 1}
    contacts = [(d, day, "work", n_others[day], 0.0, 0, 60.0, 5.0) for d, day, *_ in sorted(days)]
    found = table_of(days, contacts=contacts, n_buckets=3)
    assert [found["all", "all", "all", as_date(day), "contacts"] for day in range(4)] == [(3, 9.0)] * 3 + [(2, 6.0)]
    assert found["all", "all", "all", as_date(3), "contacts:work"] == (2, 6.0)
    assert found["all", "all", "all", as_date(3), "contact_minutes"] == (2, 360.0)
    # Of those who live together it is not how many report that counts.
    assert found["all", "all", "all", as_date(3), "household_minutes"] == pytest.approx((2, 10.0))
    assert {key[4] for key in found}.isdisjoint({"reporting"})


def test_units_of_sums_and_what_is_of_a_category():
    assert [unit_of(m) for m in ("distance_m", "minutes:work", "contacts", "visits")] == [1000.0, 60.0, 1.0, 1.0]
    assert [is_of_category(m) for m in ("visits", "visits:venue", "visits:venue:Food")] == [False, False, True]


rows = st.lists(
    st.tuples(
        st.integers(1, 8), st.integers(0, 3), st.integers(6, 24), st.integers(0, 9), st.integers(0, 1440),
        st.floats(0, 1e6), st.one_of(st.just(np.nan), st.floats(0, 1e6)),
    ),
    min_size=1, max_size=20, unique_by=lambda r: r[:2],
)  # fmt: skip
homes = st.fixed_dictionaries({device: st.sampled_from([*AREAS, None]) for device in range(1, 9)})


@settings(deadline=None, max_examples=12)
@given(rows, homes, st.integers(1, 5))
def test_the_table_is_that_of_the_slow_twin_whatever_the_buckets(days, homes, n_buckets):
    found = table_of(days, homes=homes, n_buckets=n_buckets)
    assert found == table_of(days, homes=homes)
    seen = [row for row in days if row[2] >= PARAMS.min_hours_observed]
    values = {
        name: {(row[0], as_date(row[1])): None if np.isnan(row[at]) else float(row[at]) for row in seen}
        for name, at in (("visits", 3), ("minutes", 4), ("distance_m", 5), ("gyration_m", 6))
    }
    expected = naive_region_day(values, homes, HIGH, 5)
    found = {key: row for key, row in found.items() if key[4] in values}
    assert found.keys() == expected.keys()
    for key, (n, total) in expected.items():
        assert found[key][0] == n
        assert found[key][1] == pytest.approx(total, abs=1e-5)


@settings(deadline=None, max_examples=12)
@given(rows, homes)
def test_regions_and_whoever_has_none_add_up_to_all(days, homes):
    found = table_of(days, homes=homes)
    nowhere = {row[0] for row in days if homes[row[0]] is None}
    outside = table_of([row for row in days if row[0] in nowhere], homes=homes) if nowhere else {}
    for (region, axis, group, day, measure), (n, total) in found.items():
        if region == "all" and axis == "all":
            key = axis, group, day, measure
            parts = [found.get((r, *key), (0, 0.0)) for r in ("01001", "01003")] + [
                outside.get(("all", *key), (0, 0.0))
            ]
            assert sum(p[0] for p in parts) == n
            assert sum(p[1] for p in parts) == pytest.approx(total, abs=1e-5)
