"""Places of interest in a whole run: loaded, shown, joined, and stale when their file changes."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from data_contracts import STAYS, VISITS
from pipeline.catalog import load
from pipeline.engine.run import status
from pipeline.engine.trace import trace
from pipeline.references import Areas, Pois
from pipeline.settings import Settings
from pipeline.sources import read_areas, read_pois
from pipeline.stages.locations import LocationParams, locations
from pipeline.stages.visits import VisitParams, visits
from tests.conftest import all_rows, run_all
from tests.stay_rows import as_times, through_contract

SECTION = {"id_column": "id", "category_column": "kind", "lon_column": "x", "lat_column": "y"}


def write_pois(path, homes):
    """A place of interest 15 m north of each of some locations."""
    frame = pd.DataFrame(
        {
            "id": [f"p{k:03d}" for k in range(len(homes))],
            "kind": np.where(np.arange(len(homes)) % 2, "café", "gym"),
            "x": homes["lon"],
            "y": homes["lat"] + 15 / 111_195,
            "minutes": 60,
        }
    )
    frame.to_csv(path, index=False)


def states(study, root):
    reports = status(study, Settings(root=root, n_buckets=3))
    return {report.table: report.state for report in reports}


def test_a_run_with_places_of_interest(city, tmp_path):
    root, path = tmp_path / "t", tmp_path / "pois.csv"
    run_all(city.study(), root)
    without = all_rows(root, "visits")
    assert without["poi_id"].null_count == without.num_rows
    homes = all_rows(root, "locations").to_pandas().sort_values("n_visits").tail(20)
    write_pois(path, homes)
    study = city.study(pois={"path": str(path), "usual_dwell_column": "minutes", **SECTION})
    assert states(study, root)["pois"] == "missing"

    summaries = run_all(study, root)
    assert list(summaries)[:2] == ["tracts", "pois"]
    assert summaries["pois"].shards == {"computed": 1} and summaries["pois"].n_rows == 20
    # Places reach visits and what follows from them, nothing before.
    assert set(summaries["locations"].shards) == {"current"}
    assert set(summaries["visits"].shards) == {"computed"}
    found = all_rows(root, "visits")
    same = [name for name in VISITS.names if "poi" not in name and "candidate" not in name]
    assert found.select(same).equals(without.select(same))
    at_home = found.to_pandas().merge(homes[["device_id", "location_id"]])
    assert at_home["poi_distance_m"].max() < 15.1
    assert set(at_home["poi_category"]) == {"café", "gym"}
    assert len(load("pois", root=root, geometry=True)) == 20

    inputs = trace(root, "visits", None, 1)["inputs"]
    assert any(node["name"].startswith("pois/") and node["n_rows"] == 20 for node in inputs)
    assert set(states(study, root).values()) == {"current"}
    write_pois(path, homes.iloc[:9])
    changed = {table for table, state in states(study, root).items() if state != "current"}
    assert {"pois", "visits", "gyration", "exploration", "entropy", "capacity", "home_work"} <= changed
    assert not {"pings", "coverage", "stays", "locations"} & changed
    # A study that does not declare them does not see them.
    run_all(city.study(), root)
    assert all_rows(root, "visits").equals(without)


@pytest.fixture(scope="module")
def check_ins(shared_data):
    """Real check-ins of New York as stays of ten minutes; those within another's minutes left out."""
    parts = [pd.read_csv(shared_data / f"foursquare_nyc/{part}_NYC.csv.gz") for part in ("val", "test")]
    rows = pd.concat(parts)
    at_s = pd.to_datetime(rows["utc_time"], utc=True).astype("datetime64[s, UTC]").astype("int64").to_numpy()
    frame = pd.DataFrame(
        {
            "device_id": rows["user_id"].to_numpy(),
            "at_s": at_s,
            "lon": rows["longitude"].to_numpy(),
            "lat": rows["latitude"].to_numpy(),
            "venue": rows["venue_id"].to_numpy(),
            "utc_offset_s": rows["timezone_offset"].to_numpy(np.int32) * 60,
        }
    ).sort_values(["device_id", "at_s"], ignore_index=True)
    gap_s = frame.groupby("device_id")["at_s"].diff()
    frame = frame[~(gap_s < 600)].reset_index(drop=True)
    stays = frame.assign(
        started_at=as_times(frame["at_s"]),
        finished_at=as_times(frame["at_s"] + 60),
        n_pings=1,
        max_gap_s=60.0,
        is_inferred=False,
    )
    return frame, through_contract(stays[STAYS.names], "stays")


def test_check_ins_of_new_york_with_its_tracts_and_venues(shared_data, check_ins):
    frame, stays = check_ins
    areas = Areas(path="nyc_tracts_2020/nyc_census_tracts.geojson.gz", id_column="GEOID")
    tracts = read_areas(areas, shared_data).to_pandas()
    pois = read_pois(
        Pois(
            path="foursquare_nyc/poi_metadata_NYC.csv.gz",
            id_column="venue_id",
            category_column="category",
            lon_column="longitude",
            lat_column="latitude",
        ),
        shared_data,
    ).to_pandas()
    places = through_contract(locations(stays, tracts, LocationParams(eps_m=1.0, merge_gap_s=0)), "locations")
    found = through_contract(visits(stays, places, pois, VisitParams()), "visits")
    assert len(found) == len(frame) > 25_000
    # 81 % of the check-ins are in the city, as counted with geopandas when the data came.
    assert found["tract_geoid"].notna().mean() == pytest.approx(0.81, abs=0.02)
    shapes = gpd.GeoSeries.from_wkb(tracts["geometry"], crs="EPSG:4326")
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(places["lon"], places["lat"]), crs="EPSG:4326")
    peer = points.sjoin(gpd.GeoDataFrame(tracts[["tract_geoid"]], geometry=shapes), how="left", predicate="intersects")
    peer = peer.sort_values("tract_geoid").groupby(level=0)["tract_geoid"].first().reindex(points.index)
    assert places["tract_geoid"].fillna("").tolist() == peer.fillna("").tolist()
    # Where people said they were is among the candidates, and mostly the most probable one.
    has_venue = frame["venue"].isin(pois["poi_id"]).to_numpy()
    among = [venue in ids for venue, ids in zip(frame["venue"], found["candidate_poi_ids"], strict=True)]
    assert np.mean(np.array(among)[has_venue]) > 0.9
    assert (found["poi_id"].to_numpy() == frame["venue"].to_numpy())[has_venue].mean() > 0.8
