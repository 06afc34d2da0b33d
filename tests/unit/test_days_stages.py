"""Worked examples of `venues`, `device_days` and the kinds of place."""

import numpy as np

from pipeline.params import NoParams
from pipeline.place_kinds import place_kinds
from pipeline.stages.device_days import device_days
from pipeline.stages.venues import VenueParams, venues
from tests.day_rows import make_day_coverage, make_day_visits, make_roles
from tests.stay_rows import empty, through_contract

HOUR, DAY = 60, 1440
NIGHT = [
    (1, 18 * HOUR, 14 * HOUR, 0, None, 0),  # home from six in the evening to eight
    (1, DAY + 9 * HOUR, 3 * HOUR, 1, "Office", 0),
    (1, DAY + 12 * HOUR + 5, 40, 2, "Food", 0),
    (1, DAY + 13 * HOUR, 4 * HOUR, 1, "Office", 0),
    (1, DAY + 17 * HOUR + 30, 60, 3, None, 0),
]
ROLES = [(1, 0, 0, 6, "home"), (1, 1, 0, 6, "work"), (1, 1, 0, 6, "home")]


def test_a_place_is_home_before_work_and_work_before_venue_and_only_in_its_span():
    visits = make_day_visits(NIGHT)
    assert list(place_kinds(visits, make_roles(ROLES[:2]))) == ["home", "work", "venue", "work", "other"]
    assert list(place_kinds(visits, make_roles(ROLES))) == ["home", "home", "venue", "home", "other"]
    assert list(place_kinds(visits, make_roles([(1, 1, 2, 6, "work")]))) == [
        "other",
        "venue",
        "venue",
        "venue",
        "other",
    ]
    assert list(place_kinds(visits, make_roles([(2, 1, 0, 6, "work")]))).count("work") == 0
    assert list(place_kinds(visits, empty("home_work"))) == ["other", "venue", "venue", "venue", "other"]
    baseline = make_roles(ROLES[1:2]).assign(span="baseline")
    assert "work" not in place_kinds(visits, baseline)


def test_venues_of_a_night_a_day_at_work_and_a_lunch():
    found = through_contract(venues(make_day_visits(NIGHT), make_roles(ROLES[:2]), VenueParams()), "venues")
    rows = [(r.date.day, r.place_kind, r.poi_category, r.n_visits, r.dwell_s / 3600) for r in found.itertuples()]
    assert rows == [
        (6, "home", "", 1, 6.0),
        (7, "home", "", 0, 8.0),
        (7, "other", "", 1, 1.0),
        (7, "venue", "Food", 1, 40 / 60),
        (7, "work", "", 2, 7.0),
    ]


def test_visits_of_which_nothing_was_observed_can_be_left_out():
    visits = make_day_visits(NIGHT)
    visits.loc[0, "is_inferred"] = True
    found = venues(visits, make_roles(ROLES[:2]), VenueParams(is_inferred_counted=False))
    assert set(found["place_kind"]) == {"work", "venue", "other"}


def test_a_day_at_home_counts_with_a_radius_of_zero_and_a_day_nowhere_has_none():
    rows = [(1, 0, 3 * DAY, 0, None, 0), (1, 3 * DAY + 60, 60, 1, None, 0)]
    found = device_days(make_day_coverage({(1, 1), (1, 3), (1, 4), (2, 0)}), make_day_visits(rows), NoParams())
    found = through_contract(found, "device_days")
    assert found["n_visits"].tolist() == [0, 1, 0, 0]
    assert found["n_locations"].tolist() == [1, 1, 0, 0]
    assert found["dwell_s"].tolist() == [DAY * 60.0, 3600.0, 0.0, 0.0]
    np.testing.assert_array_equal(found["gyration_m"], [0.0, 0.0, np.nan, np.nan])
    assert found["distance_m"].round(-1).tolist() == [0.0, 1120.0, 0.0, 0.0]


def test_two_places_for_equal_times_lie_half_their_distance_from_the_centre():
    rows = [(1, 0, 60, 0, None, 0), (1, 90, 60, 1, None, 0)]
    found = device_days(make_day_coverage({(1, 0)}), make_day_visits(rows), NoParams())
    np.testing.assert_allclose(2 * found["gyration_m"], found["distance_m"])


def test_nobody_gives_empty_tables():
    nothing = empty("visits")
    assert through_contract(venues(nothing, empty("home_work"), VenueParams()), "venues").empty
    found = device_days(make_day_coverage({(1, 0)}), nothing, NoParams())
    assert through_contract(found, "device_days")["dwell_s"].tolist() == [0.0]
    assert through_contract(device_days(empty("coverage"), nothing, NoParams()), "device_days").empty
