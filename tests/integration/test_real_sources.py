"""Published data sets of many layouts, read by presets and column maps alone."""

import os
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_contracts import PINGS, RAW_PINGS, TRACTS, conform
from pipeline.references import Areas
from pipeline.sources import find_files, read_areas, read_blocks, split_file
from pipeline.stages.pings import PingParams, merge_pings, pings
from pipeline.study import ColumnMap, Source, Study

DATA = Path(os.environ.get("SOJOURN_SHARED", Path(__file__).parents[2] / ".." / "shared")).resolve() / "data"
KEY = b"0123456789abcdef"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data: SOJOURN_SHARED/data ({DATA}) is absent")


def read(**fields) -> pa.Table:
    """All rows of a source, every block checked against the contract."""
    source = Source(**fields)
    blocks = [
        conform(block, RAW_PINGS)
        for path in find_files(source, DATA)
        for piece in split_file(path, source)
        for block in read_blocks(piece, KEY)
    ]
    return pa.concat_tables(blocks)


def span(raw: pa.Table) -> tuple[date, date]:
    bounds = pc.min_max(raw["tracked_at"]).as_py()
    return bounds["min"].date(), bounds["max"].date()


def box(raw: pa.Table) -> list[float]:
    bounds = [pc.min_max(raw[name]).as_py() for name in ("lon", "lat")]
    return [bound[end] for end in ("min", "max") for bound in bounds]


@pytest.fixture(scope="module")
def geolife() -> pa.Table:
    return read(path="geolife_users", preset="geolife")


def test_geolife_27_archives(geolife):
    assert geolife.num_rows == 3_747_051
    assert geolife["fault"].null_count == geolife.num_rows
    assert pc.count_distinct(geolife["device_id"]).as_py() == 27
    assert span(geolife) == (date(2007, 4, 24), date(2011, 12, 31))


def test_geolife_through_the_stage(geolife):
    source = Source(path="geolife_users", preset="geolife")
    start, end = span(geolife)
    study = Study(name="g", start=start, end=end, zone="Asia/Shanghai", sources=(source,))
    accepted, rejected = pings(geolife, study, PingParams())
    assert accepted.num_rows + rejected.num_rows == 3_747_051
    assert rejected["reason"].to_pylist() == ["latitude_out_of_range"]  # the one known from device 020
    merged = conform(merge_pings(accepted, PingParams()), PINGS)
    assert pc.unique(merged["utc_offset_s"]).to_pylist() == [28_800]
    key = accepted.group_by(["device_id", "tracked_at", "lon_e7", "lat_e7"]).aggregate([])
    assert merged.num_rows == key.num_rows < accepted.num_rows


def test_geolife_sample_of_scikit_mobility_is_the_same_data(geolife):
    sample = read(path="skmob/geolife_sample.txt.gz", preset="skmob")
    assert sample.num_rows == 217_653
    # Ids in that file are "001" and "005", the stems of two archives, so they hash alike.
    assert set(pc.unique(sample["device_id"]).to_pylist()) < set(pc.unique(geolife["device_id"]).to_pylist())
    keys = ["device_id", "tracked_at", "lon", "lat"]
    both = geolife.select(keys).join(sample.select(keys), keys, join_type="right semi")
    assert both.num_rows == sample.num_rows


def test_nomad_single_parquet():
    raw = read(path="nomad_gardencity/part-0.parquet", preset="nomad")
    assert raw.num_rows == 114_526 and raw["fault"].null_count == raw.num_rows
    assert pc.count_distinct(raw["device_id"]).as_py() == 100
    assert span(raw) == (date(2024, 1, 1), date(2024, 1, 15))


def test_nomad_hive_folder_in_web_mercator_with_accuracy_and_offset():
    raw = read(path="nomad_gardencity/gc_data_long", preset="nomad_mercator")
    assert raw.num_rows == 7_474 and raw["fault"].null_count == raw.num_rows
    assert pc.count_distinct(raw["device_id"]).as_py() == 37
    assert box(raw) == pytest.approx([-38.32, 36.67, -38.32, 36.67], abs=0.01)
    assert raw["accuracy_m"].null_count == raw["utc_offset_s"].null_count == 0
    assert all(offset % 900 == 0 for offset in pc.unique(raw["utc_offset_s"]).to_pylist())


RENAMED = {"tracked_at": "time", "lat": "lat", "lon": "lon"}


@pytest.mark.parametrize(
    ("fields", "n_rows", "n_devices", "days"),
    [
        ({"path": "positionfixes.csv"}, 6, 1, ("2015-11-27", "2015-11-28")),
        ({"path": "positionfixes_mod_columns.csv", "columns": RENAMED}, 6, 1, ("2015-11-27", "2015-11-28")),
        ({"path": "geolife_trajectory.csv"}, 2_293, 1, ("2008-10-26", "2008-10-26")),
        # Local evening of 2019-01-25 in Switzerland, fractions of nine digits, no zone.
        (
            {"path": "posmo_trajectory.csv", "time_zone": "Europe/Zurich"},
            1_327,
            1,
            ("2019-01-25", "2019-01-25"),
        ),
    ],
)
def test_trackintel_variants(fields, n_rows, n_devices, days):
    raw = read(preset="trackintel", **{**fields, "path": f"trackintel/{fields['path']}"})
    assert raw.num_rows == n_rows and raw["fault"].null_count == n_rows
    assert raw["tracked_at"].null_count == raw["lon"].null_count == raw["accuracy_m"].null_count == 0
    assert pc.count_distinct(raw["device_id"]).as_py() == n_devices
    assert tuple(day.isoformat() for day in span(raw)) == days


def test_movingpandas_with_offsets_in_the_text():
    raw = read(path="movingpandas/demodata_geolife.csv", preset="movingpandas")
    assert raw.num_rows == 5_908 and raw["fault"].null_count == raw.num_rows
    assert pc.count_distinct(raw["device_id"]).as_py() == 3
    assert raw["utc_offset_s"].null_count == raw.num_rows


def test_smart_survey_gzipped_csv():
    columns = ColumnMap(device_id="user_id", tracked_at="timestamp", lon="longitude", lat="latitude")
    raw = read(path="ssi_open_geodata", columns=columns)
    assert raw.num_rows == 200_102 and raw["fault"].null_count == raw.num_rows
    assert pc.count_distinct(raw["device_id"]).as_py() == 3
    assert span(raw)[0] >= date(2024, 5, 29) and span(raw)[1] <= date(2024, 6, 29)


@pytest.mark.parametrize(
    ("fields", "n_areas", "n_mended", "first_id"),
    [
        ({"path": "beijing_zones/voronoi_points_beijing.shp", "id_column": "TID"}, 120, 0, None),
        (
            {"path": "us_tracts_2018/cb_2018_04_tract_500k.json.gz", "id_column": "GEOID"},
            1526,
            0,
            "04001942600",
        ),
        ({"path": "us_tracts_2018/*.json.gz", "id_column": "GEOID"}, 3687, 0, "04001942600"),
        (
            {"path": "nyc_tracts_2020/*.geojson.gz", "id_column": "GEOID"},
            2327,
            1,
            "36005000100",
        ),
        (
            {"path": "us_county_boundaries/*.shp.gz", "id_column": "GEOID"},
            3233,
            0,
            "01001",
        ),
    ],
)
def test_areas(fields, n_areas, n_mended, first_id):
    table = read_areas(Areas(**fields), DATA)
    assert conform(table, TRACTS).num_rows == n_areas
    assert int(table.schema.metadata[b"n_mended"]) == n_mended
    assert first_id is None or table["tract_geoid"][0].as_py() == first_id


def test_population_of_beijing():
    areas = Areas(path="beijing_zones/voronoi_points_beijing.shp", id_column="TID", population_column="POP")
    assert pc.sum(read_areas(areas, DATA)["population"]).as_py() == 11_278_211
