"""Frames of the peers: their own readers and validators take ours, and ours come back."""

import subprocess

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
import trackintel
import trackintel.io

from data_contracts import STAYS
from pipeline.catalog import load
from pipeline.engine.store import ShardKey, Store
from pipeline.exchange import (
    from_skmob,
    from_skmob_flows,
    from_trackintel,
    to_locations,
    to_positionfixes,
    to_skmob,
    to_skmob_flows,
    to_staypoints,
    to_tours,
    to_trajectory_lines,
    to_trajectory_points,
    to_trips,
)
from pipeline.params import NoParams
from pipeline.reference.environment import location, python_of
from pipeline.stages.trips import trips
from tests.stay_rows import MONDAY_S, as_times, make_stays, places_and_visits, through_contract

PINGS = pd.DataFrame(
    {
        "device_id": [2, 1, 1],
        "tracked_at": as_times([MONDAY_S, MONDAY_S + 60, MONDAY_S]),
        "lon_e7": np.array([-740_000_000, 100_000_000, 100_010_000], np.int32),
        "lat_e7": np.array([400_000_000, 500_000_000, 500_000_000], np.int32),
        "accuracy_m": np.float32([5, 6, 7]),
    }
)


@pytest.fixture(scope="module")
def day():
    """Two devices that go home, to work and home again: (locations, visits, trips)."""
    rows = [(0, 60, 0, False), (90, 500, 5000, False), (530, 900, 0, False)]
    stays = pd.concat([make_stays(rows, device_id=1), make_stays(rows, device_id=2)], ignore_index=True)
    locations, visits = places_and_visits(stays)
    return locations, visits, through_contract(trips(visits, NoParams()), "trips")


def test_pings_are_a_trajdataframe_and_come_back():
    found = to_skmob(PINGS)
    assert found.columns.tolist() == ["uid", "datetime", "lat", "lng", "accuracy_m"]
    assert found["uid"].tolist() == [1, 1, 2]
    assert found["datetime"].dtype == "datetime64[ns]"
    assert found.iloc[0][["lat", "lng"]].tolist() == [50.0, 10.001]
    back = from_skmob(found)
    assert back["tracked_at"].tolist() == PINGS.sort_values(["device_id", "tracked_at"])["tracked_at"].tolist()


def test_a_frame_without_uid_is_one_device():
    found = from_skmob(to_skmob(PINGS).drop(columns="uid"))
    assert found["device_id"].tolist() == [0, 0, 0]


def test_visits_keep_their_end(day):
    found = to_skmob(day[1])
    assert (found["leaving_datetime"] > found["datetime"]).all()
    back = from_skmob(found)
    pd.testing.assert_series_equal(back["finished_at"], day[1]["finished_at"])


def test_fastmob_takes_them(day):
    import fastmob

    assert len(fastmob.jump_lengths(to_skmob(day[1]))) == 2


def test_rows_without_a_position_are_refused():
    with pytest.raises(ValueError, match="no position"):
        to_skmob(pd.DataFrame({"device_id": [1], "tracked_at": as_times([0]), "lon": [np.nan], "lat": [1.0]}))
    with pytest.raises(ValueError, match="missing: device_id"):
        to_skmob(PINGS.drop(columns="device_id"))
    with pytest.raises(ValueError, match="tracked_at"):
        to_skmob(PINGS.drop(columns="tracked_at"))


def _flows():
    tiles = gpd.GeoDataFrame(
        {"area": ["01", "02"]}, geometry=[shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)], crs="EPSG:4326"
    )
    names = ["origin_area", "destination_area", "n_trips"]
    flows = pd.DataFrame([("01", "02", 12), ("01", "all", 40), ("02", "02", 10)], columns=names)
    return to_skmob_flows(flows, tiles, *names, "area")


def test_flows_lose_their_margins_and_come_back():
    flows, tessellation = _flows()
    assert flows.to_numpy().tolist() == [["01", "02", 12], ["02", "02", 10]]
    assert tessellation.columns.tolist() == ["tile_ID", "geometry"]
    assert from_skmob_flows(flows).columns.tolist() == ["origin_tile_id", "destination_tile_id", "flow"]


CHECK = """
import sys, geopandas, pandas, skmob
folder = sys.argv[1]
rows = skmob.TrajDataFrame(pandas.read_parquet(folder + "/rows.parquet"))
assert rows._is_trajdataframe(), rows.dtypes
flows = pandas.read_parquet(folder + "/flows.parquet")
found = skmob.FlowDataFrame(flows, tessellation=geopandas.read_parquet(folder + "/tiles.parquet"))
assert found._is_flowdataframe() and found.get_flow("01", "02") == 12
"""


@pytest.mark.oracle
def test_scikit_mobility_takes_both(tmp_path, reference, day):
    flows, tessellation = _flows()
    to_skmob(day[1]).select_dtypes(["number", "datetime"]).to_parquet(tmp_path / "rows.parquet", index=False)
    flows.to_parquet(tmp_path / "flows.parquet", index=False)
    tessellation.to_parquet(tmp_path / "tiles.parquet", schema_version="0.4.0")
    command = [str(python_of(location())), "-I", "-W", "ignore", "-c", CHECK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_trackintel_takes_positionfixes_and_they_come_back():
    found = to_positionfixes(PINGS)
    trackintel.Positionfixes(found)
    trackintel.io.read_positionfixes_gpd(found)
    back = from_trackintel(found)
    assert back[["lon", "lat"]].to_numpy().tolist() == [[-74.0, 40.0], [10.0, 50.0], [10.001, 50.0]]
    assert back["tracked_at"].tolist() == PINGS["tracked_at"].tolist()


def test_trackintel_takes_staypoints_locations_and_trips(day):
    locations, visits, ways = day
    staypoints, places = to_staypoints(visits), to_locations(locations)
    trackintel.Staypoints(staypoints)
    trackintel.Locations(places)
    trackintel.io.read_staypoints_gpd(staypoints, geom_col="geometry")
    # both number locations alike
    centre = places.loc[staypoints["location_id"], "center"].to_numpy()
    assert shapely.equals(centre, staypoints.geometry.to_numpy()).all()
    found = to_trips(ways, staypoints)
    trackintel.Trips(found)
    assert found[["origin_staypoint_id", "destination_staypoint_id"]].to_numpy().tolist() == [
        [0, 1],
        [1, 2],
        [3, 4],
        [4, 5],
    ]


def test_trackintel_finds_the_tour_home_work_home(day):
    _, visits, ways = day
    staypoints = to_staypoints(visits)
    _, tours = trackintel.Trips(to_trips(ways, staypoints)).generate_tours(staypoints=staypoints, max_nr_gaps=0)
    assert tours["user_id"].tolist() == [1, 2]
    ours = tours.rename(columns={"user_id": "device_id"})
    trackintel.Tours(to_tours(ours))


def test_a_trip_without_its_visits_is_refused(day):
    with pytest.raises(ValueError, match="no visit"):
        to_trips(day[2], to_staypoints(day[1].iloc[1:]))


def test_positions_without_a_crs_are_refused():
    with pytest.raises(ValueError, match="CRS"):
        from_trackintel(gpd.GeoDataFrame({"user_id": [1]}, geometry=[shapely.Point(0, 0)]))


def test_points_have_their_time_as_index_and_lines_a_row_a_day():
    points = to_trajectory_points(PINGS)
    assert points.index.name == "t"
    assert points.index.tz is None
    assert points["device_id"].tolist() == [1, 1, 2]
    lines = to_trajectory_lines(PINGS)
    assert lines["device_id"].tolist() == [1]
    assert list(lines.geometry[0].coords) == [(10.001, 50.0), (10.0, 50.0)]
    assert lines.loc[0, "finished_at"] - lines.loc[0, "started_at"] == pd.Timedelta(minutes=1)
    assert len(to_trajectory_lines(PINGS.iloc[:1])) == 0


def test_duckdb_and_geopandas_open_what_is_written(tmp_path):
    stays = make_stays([(0, 60, 0, False), (90, 500, 5000, False)])
    table = pa.Table.from_pandas(stays, schema=STAYS.schema, preserve_index=False)
    day = pd.Timestamp(MONDAY_S, unit="s").date()
    Store(tmp_path).write(STAYS, ShardKey(day, 0), table, {})
    (path,) = (tmp_path / "stays").rglob("*.parquet")
    query = f"select count(*), max(finished_at - started_at) from read_parquet('{path}')"
    assert duckdb.sql(query).fetchall() == [(2, pd.Timedelta(minutes=410).to_pytimedelta())]
    places = load("stays", root=tmp_path, geometry=True)
    places.to_parquet(tmp_path / "stays.geoparquet")
    again = gpd.read_parquet(tmp_path / "stays.geoparquet")
    assert again.crs == "EPSG:4326"
    assert again.geometry.y.tolist() == stays["lat"].tolist()
