"""Contacts of a few people, worked out by hand."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from data_contracts import CONTACTS, conform
from pipeline.stages.contacts import contacts
from tests.contact_rows import FIRST_DAY, contacts_of, home, homes_of, visit, visits_of

CAFE = (-74.0, 40.7)
NORTH_M = 1 / 111_194.93
"""Degrees of latitude in a metre on the sphere of 6,371 km."""


def at(metres: float) -> tuple[float, float]:
    """A place so far north of the café."""
    return CAFE[0], CAFE[1] + metres * NORTH_M


def rows_of(table: pd.DataFrame) -> dict:
    """(device, study day from 0, kind) → people, repeated, s, household, its s."""
    days = table["date"].to_numpy().astype("datetime64[D]").astype(int) - FIRST_DAY
    keys = zip(table["device_id"], days.tolist(), table["place_kind"], strict=True)
    names = ["n_people", "n_repeated", "contact_s", "n_household", "household_s"]
    return dict(zip(keys, map(tuple, table[names].to_numpy().tolist()), strict=True))


def test_two_in_a_cafe_and_one_across_the_street():
    """10 to 11 h and 10:20 to 12 h, 29 m apart: 40 minutes. The third is 31 m from the second, 60 m from the first."""
    visits = visits_of(
        [
            visit(1, 0, 10, 1, *at(0), poi_category="cafe"),
            visit(2, 0, 10 + 1 / 3, 5 / 3, *at(29), poi_category="cafe"),
            visit(3, 0, 10, 4, *at(60)),
        ]
    )
    assert rows_of(contacts_of(visits)) == {(1, 0, "venue"): (1, 0, 2400, 0, 0), (2, 0, "venue"): (1, 0, 2400, 0, 0)}
    wider = rows_of(contacts_of(visits, contact_m=40.0))
    assert wider[3, 0, "other"] == (1, 0, 6000, 0, 0)
    assert wider[2, 0, "venue"] == (2, 0, 8400, 0, 0)


def test_two_who_share_a_home_are_a_household_wherever_they_meet():
    """Both are at home from 18 h to 8 h: 6 h before and 8 h after midnight. Next door is 19 m away, the next 45 m."""
    rows = [visit(d, 0, 18, 14, *at(0)) for d in (1, 2)] + [visit(3, 0, 18, 14, *at(19)), visit(4, 0, 18, 14, *at(45))]
    rows += [visit(d, 1, 34, 1, *at(900)) for d in (1, 2, 4)]
    homes = homes_of([home(d, 0) for d in (1, 2, 3, 4)])
    found = rows_of(contacts_of(visits_of(rows), homes))
    h = 3600.0
    assert found[1, 0, "home"] == (0, 0, 0, 2, 12 * h)
    assert found[1, 1, "home"] == (0, 0, 0, 2, 16 * h)
    assert found[1, 1, "other"] == (1, 0, h, 1, h)
    # 26 m from home 3 to home 4: met, and not of one household.
    assert found[4, 0, "home"] == (1, 0, 6 * h, 0, 0)
    assert found[3, 0, "home"] == (1, 0, 6 * h, 2, 12 * h)
    alone = rows_of(contacts_of(visits_of(rows), homes_of([home(1, 0)])))
    assert alone[1, 0, "home"] == (2, 0, 12 * h, 0, 0)
    moved_out = homes_of([home(1, 0), home(2, 0, last="2020-03-02")])
    after = rows_of(contacts_of(visits_of(rows), moved_out))
    assert (after[1, 0, "home"][3], after[1, 1, "home"][3]) == (1, 0)


def test_somebody_met_at_the_same_place_within_the_days_before_is_met_again():
    """Days 0, 1, 8 and 16 at one place; on day 9 elsewhere. Day 8 is 7 days after day 1, day 16 is 8 after day 8."""
    days = {0: 0, 1: 0, 8: 0, 9: 1, 16: 0}
    visits = visits_of([visit(d, place, day * 24, 2, *at(500 * place)) for d in (1, 2) for day, place in days.items()])
    repeated = {day: row[1] for (device, day, _), row in rows_of(contacts_of(visits)).items() if device == 1}
    assert repeated == {0: 0, 1: 1, 8: 1, 9: 0, 16: 0}
    repeated = {d: row[1] for (device, d, _), row in rows_of(contacts_of(visits, repeat_days=8)).items() if device == 2}
    assert repeated == {0: 0, 1: 1, 8: 1, 9: 0, 16: 1}


def test_time_together_is_summed_over_a_day_and_not_over_days():
    """Twice 3 minutes make a meeting of 6; 3 before midnight and 3 after it make none."""
    twice = [visit(1, 0, 10, 3, *at(0)), *(visit(2, 0, start, 0.05, *at(5)) for start in (10.5, 12))]
    assert rows_of(contacts_of(visits_of(twice)))[1, 0, "other"] == (1, 0, 360, 0, 0)
    across = [visit(1, 0, 20, 10, *at(0)), visit(2, 0, 23.95, 0.1, *at(5))]
    assert rows_of(contacts_of(visits_of(across))) == {}


def test_days_are_those_of_each_device_and_a_change_of_clocks_loses_no_time():
    """5 hours west it is still the day before; a night is cut by the offset it began with (8 March 2020, New York)."""
    visits = visits_of([visit(1, 0, 2, 2, *at(0), utc_offset_s=-18_000), visit(2, 0, 2, 2, *at(0), utc_offset_s=3_600)])
    assert set(rows_of(contacts_of(visits))) == {(1, -1, "other"), (2, 0, "other")}
    night = [visit(d, 0, 6 * 24 - 2 + 5, 12, *at(0), utc_offset_s=-18_000) for d in (1, 2)]
    found = rows_of(contacts_of(visits_of(night)))
    assert [found[1, day, "other"][2] for day in (5, 6)] == [2 * 3600, 10 * 3600]


def test_people_weighted_are_residents_for_each_device_of_their_home_area():
    """1,000 residents for 4 devices, 250 each; an area of weight 0.4 counts 100, one of 2 counts 500, none nobody."""
    tracts = pd.DataFrame({"tract_geoid": ["1", "2", "3"], "population": [100.0, 600.0, 300.0], "geometry": b""})
    weights = pd.DataFrame({"home_tract_geoid": ["1", "2"], "n_devices": [2, 2], "area_weight": [0.4, 2.0]})
    areas = {1: "1", 2: "2", 3: "2"}
    homes = homes_of([home(d, 0, span="baseline", tract_geoid=area) for d, area in areas.items()])
    visits = visits_of([visit(d, 0, 9, 2, *at(0)) for d in (1, 2, 3, 4)])
    table = contacts_of(visits, homes, tracts, weights)
    assert table["n_people"].tolist() == [3, 3, 3, 3]
    assert table["people_weighted"].tolist() == [500 + 500, 100 + 500, 100 + 500, 100 + 500 + 500]
    assert contacts_of(visits, homes)["people_weighted"].isna().all()
    unknown = tracts.assign(population=np.nan)
    assert contacts_of(visits, homes, unknown, weights)["people_weighted"].isna().all()


def test_rows_are_by_kind_of_place():
    rows = [
        visit(d, k, 5 * k, 2, *at(200 * k), poi_category="park" if k == 2 else None) for d in (1, 2) for k in range(4)
    ]
    roles = homes_of([home(1, 0), home(1, 1, role="work"), home(2, 1), home(2, 0, role="work")])
    kinds = contacts_of(visits_of(rows), roles, household_m=0.0)
    assert kinds["place_kind"].tolist() == ["home", "other", "venue", "work"] * 2
    assert kinds["n_people"].tolist() == [1] * 8


def test_visits_that_were_not_observed_count_or_not():
    visits = visits_of([visit(1, 0, 9, 2, *at(0), is_inferred=True), visit(2, 0, 9, 2, *at(0))])
    assert len(contacts_of(visits, is_inferred_counted=True)) == 2
    assert contacts_of(visits, is_inferred_counted=False).empty


def test_in_a_stadium_everybody_meets_those_around_them():
    """A grid of 40 × 40 seats 10 m apart, reach 15 m: 8 neighbours inside, 5 at an edge, 3 in a corner."""
    seats = [(east, north) for east in range(40) for north in range(40)]
    east_m = NORTH_M / np.cos(np.radians(CAFE[1]))
    places = [(CAFE[0] + 10 * east * east_m, CAFE[1] + 10 * north * NORTH_M) for east, north in seats]
    table = contacts_of(visits_of([visit(d, 0, 19, 3, *place) for d, place in enumerate(places)]), contact_m=15.0)
    expected = [{0: 8, 1: 5, 2: 3}[(e in (0, 39)) + (n in (0, 39))] for e, n in seats]
    assert table["n_people"].tolist() == expected
    assert table["contact_s"].tolist() == [n * 3 * 3600 for n in expected]


def test_the_table_keeps_its_contract_with_and_without_rows():
    visits = visits_of([visit(d, 0, 9, 2, *at(0)) for d in (7, -3, 5)])
    for frame in (contacts_of(visits), contacts_of(visits.head(0)), contacts_of(visits.head(1))):
        data = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        assert conform(data, CONTACTS).num_rows == len(frame)
    assert contacts_of(visits)["device_id"].tolist() == [-3, 5, 7]


@pytest.mark.parametrize("fields", [{"contact_m": 251.0}, {"contact_m": 0.0}, {"overlap_s": 0.0}, {"repeat_days": 0}])
def test_params_that_make_no_sense_are_refused(fields):
    with pytest.raises(ValidationError):
        contacts.params(**fields)
