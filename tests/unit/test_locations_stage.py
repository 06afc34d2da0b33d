"""Locations and visits of stays made by hand: what counts, what merges, what is kept apart."""

import pandas as pd
import pytest
import shapely
from shapely.geometry import box

from pipeline.stages.locations import LocationParams, locations
from tests.stay_rows import LAT0, LON0, METRE_LAT, MONDAY_S, as_times, empty, make_stays, places_and_visits

HOME, WORK = 0.0, 5_000.0
DAY = [
    (0, 60, HOME, False),
    (60, 420, HOME, True),  # a silence that ended where it began
    (420, 480, HOME, False),
    (510, 700, WORK, False),
    (705, 900, WORK, False),  # 5 minutes outside
    (915, 990, WORK, False),  # 15 minutes outside
    (1020, 1100, HOME, False),
]


def tracts_of(**shapes):
    ids = sorted(shapes)
    return pd.DataFrame(
        {
            "tract_geoid": pd.Series(ids, dtype="str"),
            "population": 1.0,
            "geometry": shapely.to_wkb([shapes[i] for i in ids]),
        }
    )


def test_a_day_by_hand():
    places, found = places_and_visits(make_stays(DAY))
    assert places["location_id"].tolist() == [0, 1]
    assert places["n_stays"].tolist() == [4, 3]
    assert places["n_inferred_stays"].tolist() == [1, 0]
    assert places["n_visits"].tolist() == [2, 2]
    assert places["dwell_s"].tolist() == [560 * 60, 465 * 60]
    assert places["inferred_s"].tolist() == [360 * 60, 0]
    assert places["bridged_s"].tolist() == [0, 300]
    assert places["first_at"].tolist() == list(as_times([MONDAY_S, MONDAY_S + 510 * 60]))
    assert places["last_at"].tolist() == list(as_times([MONDAY_S + 1100 * 60, MONDAY_S + 990 * 60]))
    assert places["tract_geoid"].isna().all()

    assert found["location_id"].tolist() == [0, 1, 1, 0]
    assert found["n_stays"].tolist() == [3, 2, 1, 1]
    assert found["dwell_s"].tolist() == [480 * 60, 390 * 60, 75 * 60, 80 * 60]
    assert found["inferred_s"].tolist() == [360 * 60, 0, 0, 0]
    assert found["bridged_s"].tolist() == [0, 300, 0, 0]
    assert found["is_inferred"].tolist() == [False] * 4
    assert found["is_new"].tolist() == [True, True, False, False]
    assert found["hour_of_week"].tolist() == [0, 8, 15, 17]
    # The pings about the silence are those of the stays before and after it.
    assert found["n_pings"].tolist() == [20, 20, 10, 10]
    # A bridged break is a silence inside the visit.
    assert found["max_gap_s"].tolist() == [360 * 60, 300, 120, 120]
    assert found["poi_id"].isna().all() and found["poi_probability"].isna().all()
    assert found["candidate_poi_ids"].map(len).tolist() == [0] * 4


@pytest.mark.parametrize(("merge_gap_s", "n_visits"), [(0, [2, 3]), (299, [2, 3]), (300, [2, 2]), (900, [2, 1])])
def test_breaks_up_to_the_limit_are_bridged(merge_gap_s, n_visits):
    places, found = places_and_visits(make_stays(DAY), location_params={"merge_gap_s": merge_gap_s})
    assert places["n_visits"].tolist() == n_visits
    assert len(found) == sum(n_visits)
    assert places["dwell_s"].sum() == found["dwell_s"].sum()


def test_a_stay_elsewhere_ends_a_visit_however_short_the_break():
    stays = make_stays([(0, 60, HOME, False), (61, 66, WORK, False), (67, 90, HOME, False)])
    _, found = places_and_visits(stays, location_params={"merge_gap_s": 1e6})
    assert found["location_id"].tolist() == [0, 1, 0]
    # So does one that belongs to no place.
    stays = make_stays([(0, 60, HOME, False), (61, 66, WORK, False), (67, 90, HOME, False)])
    _, found = places_and_visits(stays, location_params={"merge_gap_s": 1e6, "min_samples": 2})
    assert found["location_id"].tolist() == [0, 0]


UNSEEN = [(0, 200, WORK, True), (210, 300, HOME, False), (300, 500, HOME, True), (600, 900, WORK * 2, True)]


@pytest.mark.parametrize(
    ("choice", "n_stays", "n_inferred", "is_inferred"),
    [
        ("anywhere", [1, 2, 1], [1, 1, 1], [True, False, True]),
        ("known", [2], [1], [False]),
        ("none", [1], [0], [False]),
    ],
)
def test_which_inferred_stays_count(choice, n_stays, n_inferred, is_inferred):
    places, found = places_and_visits(make_stays(UNSEEN), location_params={"inferred_stays": choice})
    assert places["location_id"].tolist() == list(range(len(n_stays)))
    assert places["n_stays"].tolist() == n_stays
    assert places["n_inferred_stays"].tolist() == n_inferred
    assert found["is_inferred"].tolist() == is_inferred
    assert found.loc[found["is_inferred"], "n_pings"].tolist() == [2] * sum(is_inferred)


def test_a_stay_that_is_left_out_is_as_if_it_were_not_there():
    stays = make_stays([(0, 60, HOME, False), (62, 64, WORK, True), (66, 90, HOME, False)])
    _, found = places_and_visits(stays, location_params={"inferred_stays": "known"})
    assert found["n_stays"].tolist() == [2]
    assert found["bridged_s"].tolist() == [360]


def test_the_centre_is_that_of_the_observed_stays():
    stays = make_stays([(0, 9, 0.0, False), (10, 19, 20.0, False), (20, 99, 50.0, True), (100, 120, WORK, True)])
    places, _ = places_and_visits(stays)
    assert (places["lat"] - LAT0).to_numpy() / METRE_LAT == pytest.approx([10.0, WORK], abs=1e-6)
    assert places["radius_m"].to_numpy() == pytest.approx([10.0, 0.0], abs=1e-6)


def test_areas_cover_touch_overlap_or_are_near():
    near = LAT0 + 100 * METRE_LAT
    tracts = tracts_of(
        b=box(LON0, LAT0 - 1, LON0 + 1, LAT0),  # its corner is the place
        c=box(LON0 - 1, LAT0 - 1, LON0 + 1, LAT0 + 10 * METRE_LAT),
        d=box(LON0 - 1, near, LON0 + 1, near + 1e-3),
    )
    stays = make_stays([(0, 9, 0.0, False), (10, 19, 99.0, False), (20, 29, 5_000.0, False)])
    for distance_m, expected in ((0, ["b", None, None]), (0.9, ["b", None, None]), (1.1, ["b", "d", None])):
        places, found = places_and_visits(stays, tracts, location_params={"max_tract_distance_m": distance_m})
        assert [None if pd.isna(t) else t for t in places["tract_geoid"]] == expected
        assert [None if pd.isna(t) else t for t in found["tract_geoid"]] == expected
    # Between two, the nearer one; at the same distance the smaller id.
    tracts = tracts_of(
        y=box(LON0 + 0.01, LAT0 - 1, LON0 + 0.02, LAT0 + 1), x=box(LON0 - 0.02, LAT0 - 1, LON0 - 0.01, 41)
    )
    places, _ = places_and_visits(stays.iloc[:1], tracts, location_params={"max_tract_distance_m": 2_000})
    assert places["tract_geoid"].tolist() == ["x"]


def test_local_time_of_the_week():
    stays = make_stays([(0, 9, 0.0, False), (24 * 60 * 6 + 30, 24 * 60 * 6 + 60, 0.0, False)], utc_offset_s=-18_000)
    _, found = places_and_visits(stays)
    # Sunday 19:00, and Saturday 19:30 six days on.
    assert found["hour_of_week"].tolist() == [6 * 24 + 19, 5 * 24 + 19]
    assert found["date"].dt.strftime("%m-%d").tolist() == ["12-31", "01-06"]


def test_nothing_in_nothing_out_and_inputs_stay_as_they_are():
    places, found = places_and_visits(empty("stays"))
    assert places.empty and found.empty
    stays = make_stays(DAY)
    before = stays.copy(deep=True)
    places, _ = places_and_visits(stays, location_params={"min_samples": 9})
    assert places.empty
    locations(stays, empty("tracts"), LocationParams(inferred_stays="known"))
    pd.testing.assert_frame_equal(stays, before)


def test_a_chain_of_stays_is_one_place_by_density_and_several_by_network():
    """Stays 50 m apart over a kilometre: DBSCAN reaches from one to the next, communities do not."""
    chain = make_stays([(100 * k, 100 * k + 50, 50.0 * k, False) for k in range(21)])
    assert places_and_visits(chain)[0]["n_stays"].tolist() == [21]
    cut = places_and_visits(chain, location_params={"method": "network"})[0]
    assert cut["n_stays"].sum() == 21
    assert len(cut) >= 5 and cut["radius_m"].max() < 150


def test_nodes_larger_than_links_are_refused():
    with pytest.raises(ValueError, match="node_m"):
        LocationParams(method="network", link_m=20.0, node_m=30.0)
