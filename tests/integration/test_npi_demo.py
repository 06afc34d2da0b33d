"""The study of policies in an artificial city: its files are read as declared, and agree with each other."""

import filecmp
import json
from datetime import date

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.demo import make_npi_study
from pipeline.npi_drivers import drivers
from pipeline.simulation import CityParams, npi_scenario, write_npi
from pipeline.simulation.city import CATEGORIES
from pipeline.simulation.npi_files import PRIVATE
from pipeline.sources.areas import read_areas
from pipeline.sources.demographics import read_demographics
from pipeline.sources.epidemic import read_epidemic
from pipeline.sources.orders import read_npi_orders
from pipeline.sources.pois import read_pois
from pipeline.sources.policies import read_npi_policies

SMALL = {"pings_per_day": 2.0, "n_counties": 4, "n_tracts": 24, "n_places": 400}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_npi_study(tmp_path_factory.mktemp("npi"), 60, 70, **SMALL)


def read(study, reader, section):
    return reader(getattr(study, section), study.folder).to_pandas(date_as_object=False)


def truth(study, table):
    return pd.concat([pd.read_parquet(path) for path in sorted((study.folder / "city/truth" / table).glob("*"))])


def test_every_county_has_policies_orders_and_an_epidemic_on_every_date(study):
    tracts = read(study, read_areas, "tracts")
    counties = set(tracts["tract_geoid"].str[:5])
    policies, epidemic = read(study, read_npi_policies, "npi_policies"), read(study, read_epidemic, "epidemic")
    orders = read(study, read_npi_orders, "npi_orders")
    assert counties == set(policies["region_geoid"]) == set(epidemic["region_geoid"]) == set(orders["region_geoid"])
    assert len(counties) == 4 and orders["ordered_on"].isna().sum() == 2
    assert policies["stringency"].max() > 50 and (policies.groupby("region_geoid")["stringency"].nunique() >= 2).all()
    found = drivers(policies, epidemic, counties, study.start, study.end, npi_scenario().response.driver_params)
    answers = pd.read_csv(study.folder / "city/truth/response.csv", dtype={"region_geoid": str, "cluster": str})
    in_study = found[found["date"] < pd.Timestamp(study.end)].reset_index(drop=True)
    for term in ("stringency", "severity", "weeks"):
        assert in_study[term].to_numpy() == pytest.approx(answers[term].to_numpy(), abs=1e-9)


def test_the_baseline_is_all_that_comes_before_the_first_order(study):
    orders = read(study, read_npi_orders, "npi_orders")
    for stage in ("home_work", "region_changes"):
        assert study.params[stage] == {"baseline_start": study.start, "baseline_end": date(2020, 2, 16)}
    assert orders["ordered_on"].min() >= pd.Timestamp(2020, 2, 17)
    answers = pd.read_csv(study.folder / "city/truth/response.csv", parse_dates=["date"])
    assert (answers.loc[answers["date"] < "2020-02-17", "keep_share"] > 0.97).all()


def test_places_of_interest_are_the_errand_places_but_for_homes(study):
    pois = read(study, read_pois, "pois").set_index("poi_id")
    assert set(pois["poi_category"]) == {kind.name for kind in CATEGORIES} - {PRIVATE}
    stays = truth(study, "stays")
    errands = stays[stays["purpose"] == "errand"]
    errands = errands.assign(poi_id="place-" + errands["place_id"].astype(str))
    at = errands.join(pois, on="poi_id", suffixes=("", "_poi"))
    venues = at[at["poi_category"].notna()]
    assert 0.6 < len(venues) / len(errands) < 0.95
    assert np.allclose(venues[["lon", "lat"]], venues[["lon_poi", "lat_poi"]], atol=1e-7)
    assert (pois["weight"] > 0).all() and pois["usual_dwell_s"].between(900, 6_000).all()


def test_truth_of_homes_and_contacts_is_that_of_the_stays(study):
    households, contacts = truth(study, "households"), truth(study, "contacts")
    assert len(households) == households["device_id"].nunique() == 60
    home = households.set_index("device_id")["household_id"]
    is_one_home = home[contacts["device_a"]].to_numpy() == home[contacts["device_b"]].to_numpy()
    assert (contacts["is_household"] == is_one_home).all() and is_one_home.any()
    others = contacts[~contacts["is_household"]]
    assert set(others["place_kind"]) <= {"work", "venue"} and len(others) > 0
    assert (contacts["device_a"] < contacts["device_b"]).all()
    assert not contacts.duplicated(["device_a", "device_b", "date", "place_id"]).any()
    assert contacts["overlap_s"].between(1, 25 * 3_600).all() and (contacts["longest_s"] <= contacts["overlap_s"]).all()
    people = read_people(study)
    assert people.groupby("household_id")[["home_lon", "home_lat"]].nunique().eq(1).all(axis=None)


def read_people(study):
    return truth(study, "people").merge(truth(study, "households"), on="device_id")


def test_a_study_has_demographics_and_the_truth_of_the_response(study):
    assert set(read(study, read_demographics, "demographics")["axis"]) >= {"age", "income", "race"}
    found = json.loads((study.folder / "city/truth/response.json").read_text())
    assert found["log_effects"] == {"stringency": -0.9, "severity": -0.15, "adaptation": 0.35}
    assert found["adaptation_term"] == "weeks" and found["work"] == 0.5 and 0.0 <= found["share_clipped"] < 0.1


def test_equal_params_give_byte_equal_files(study, tmp_path):
    again = make_npi_study(tmp_path, 60, 70, **SMALL)
    names = [path.relative_to(study.folder) for path in sorted(study.folder.rglob("*")) if path.is_file()]
    compared = [name for name in names if name.name != "study.toml"]  # it names its folder
    assert len(compared) > 70 + 10
    assert all(filecmp.cmp(study.folder / name, again.folder / name, shallow=False) for name in compared)
    assert pq.read_table(tmp_path / "city/truth/contacts").num_rows > 0


def test_a_city_without_an_epidemic_has_no_such_files(tmp_path):
    with pytest.raises(ValueError, match="nobody in this city answers to anything"):
        write_npi(CityParams(), tmp_path)
