"""OxCGRT's states, the order dates of US counties and the Times' counts, as they are published."""

from datetime import date

import pytest

from data_contracts import EPIDEMIC, NPI_ORDERS, NPI_POLICIES, conform
from pipeline.references import Epidemic, NpiOrders, NpiPolicies
from pipeline.sources import read_epidemic, read_npi_orders, read_npi_policies

OXCGRT = "oxcgrt_us/OxCGRTUS_timeseries_all.xlsx"
PEOPLE = {
    "path": "us_county_acs/acs2017_county_data.csv.gz",
    "id_column": "CountyId",
    "population_column": "TotalPop",
    "id_digits": 5,
}


def frame_of(table, contract):
    return conform(table.replace_schema_metadata(None), contract).to_pandas(date_as_object=True)


def policies(shared_data, preset):
    rows = frame_of(read_npi_policies(NpiPolicies(path=OXCGRT, preset=preset), shared_data), NPI_POLICIES)
    return rows.set_index(["region_geoid", "date"])["stringency"]


def test_the_index_from_its_indicators_is_the_published_one(shared_data):
    published, ours = (policies(shared_data, preset) for preset in ("oxcgrt_index", "oxcgrt_indicators"))
    fifth = [published[state, date(2020, 4, 5)] for state in ("04", "21", "36", "40")]
    assert fifth == [62.04, 90.74, 82.41, 79.63]
    assert (len(published), len(ours)) == (24467, 24426)
    assert (ours - published.reindex(ours.index)).abs().max() < 0.005  # which is rounded to two decimals
    assert published.index.levels[0].size == 51


def test_orders_of_counties_and_their_states(shared_data):
    section = NpiOrders(path="us_county_npi/interventions.csv.gz", preset="county_npi")
    rows = frame_of(read_npi_orders(section, shared_data), NPI_ORDERS)
    at_home = rows[rows["order"] == "stay at home"].set_index("region_geoid")["ordered_on"]
    assert (at_home["36061"], at_home["01"], len(at_home)) == (date(2020, 3, 22), date(2020, 4, 4), 3272)
    assert set(at_home.index.str.len()) == {2, 5}
    assert at_home.isna().sum() == 3272 - 2696


def test_counts_of_states_add_up_to_the_last_ones(shared_data):
    section = Epidemic(path="nyt_covid/us-states.csv.gz", preset="nyt_states", population=PEOPLE)
    rows = frame_of(read_epidemic(section, shared_data), EPIDEMIC)
    # 50 states, Washington and Puerto Rico: the file of residents has no other islands.
    assert rows["region_geoid"].nunique() == 52
    new_york = rows[rows["region_geoid"] == "36"].set_index("date")
    assert new_york["population"].iloc[0] == pytest.approx(19_798_228)
    assert new_york.loc[: date(2020, 4, 10), "new_deaths"].sum() == 10_162
    assert (new_york["new_cases"].sum(), new_york["new_deaths"].sum()) == (6_805_271, 80_109)
    assert new_york.index[0] == date(2020, 1, 1) and new_york["new_cases"].iloc[0] == 0
