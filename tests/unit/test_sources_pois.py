"""Places of interest of every file kind to the table of places."""

import gzip

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import Point, box

from data_contracts import POIS, conform
from pipeline.references import Pois
from pipeline.sources import SourceError, pois_digest, read_pois
from pipeline.study import Study, StudyError

COLUMNS = {"id_column": "id", "category_column": "kind"}
LON_LAT = {"lon_column": "x", "lat_column": "y"}
FRAME = pd.DataFrame(
    {
        "id": ["b2", "a1", "c3"],
        "kind": ["café", "park", None],
        "x": [-74.0, -73.9, -73.8],
        "y": [40.7, 40.8, 40.9],
        "minutes": [30.0, None, 45.0],
        "people": [5, 7, 9],
    }
)


def read(folder, path, **fields):
    table = read_pois(Pois(path=path, **(COLUMNS | fields)), folder)
    return {row["poi_id"]: row for row in conform(table, POIS).to_pylist()}


def write(folder, name, frame=FRAME):
    path = folder / name
    if ".parquet" in name:
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    return name


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.parquet"])
def test_every_kind_of_table_gives_the_same_places(tmp_path, name):
    found = read(tmp_path, write(tmp_path, name), **LON_LAT, usual_dwell_column="minutes", weight_column="people")
    assert list(found) == ["a1", "b2", "c3"]
    assert found["b2"] == {
        "poi_id": "b2",
        "poi_category": "café",
        "lon": -74.0,
        "lat": 40.7,
        "usual_dwell_s": 1800.0,
        "weight": 5.0,
    }
    assert found["a1"]["usual_dwell_s"] is None
    assert found["c3"]["poi_category"] is None


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.parquet", "a.geojson.gz"])
def test_files_with_geometry(tmp_path, name):
    shapes = [Point(-74.0, 40.7), Point(-73.9, 40.8), box(-74, 40, -73, 41)]
    data = gpd.GeoDataFrame(FRAME[["id", "kind"]], geometry=shapes, crs="EPSG:4326")
    plain = tmp_path / name.removesuffix(".gz")
    data.to_parquet(plain) if plain.suffix == ".parquet" else data.to_file(plain)
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
    found = read(tmp_path, name)
    assert (found["b2"]["lon"], found["b2"]["lat"]) == (-74.0, 40.7)
    assert (found["c3"]["lon"], found["c3"]["lat"]) == pytest.approx((-73.5, 40.5))
    assert found["b2"]["weight"] is None


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.parquet"])
def test_a_table_whose_columns_of_positions_are_not_named_is_told_what_to_set(tmp_path, name):
    with pytest.raises(SourceError, match=rf"{name}: no geometry in it.* set lon_column and lat_column of \[pois\]"):
        read(tmp_path, write(tmp_path, name))


def test_geometry_in_delimited_text_needs_no_columns_of_positions(tmp_path):
    frame = FRAME[["id", "kind"]].assign(WKT=["POINT (-74 40.7)", "POINT (-73.9 40.8)", "POINT (-73.8 40.9)"])
    assert read(tmp_path, write(tmp_path, "a.csv", frame))["b2"]["lon"] == -74.0


def test_other_coordinates_units_and_ids_that_are_numbers(tmp_path):
    frame = FRAME.assign(id=[20, 3, 100], x=[0.0, 111_319.49079327357, 0.0], y=[0.0, 0.0, 0.0])
    found = read(
        tmp_path,
        write(tmp_path, "a.parquet", frame),
        **LON_LAT,
        crs="EPSG:3857",
        usual_dwell_column="minutes",
        usual_dwell_unit="s",
    )
    assert list(found) == ["100", "20", "3"]
    assert found["3"]["lon"] == pytest.approx(1.0)
    assert found["20"]["usual_dwell_s"] == 30.0


def test_repeated_rows_are_one_and_ids_that_differ_are_refused(tmp_path):
    write(tmp_path, "a1.csv")
    write(tmp_path, "a2.csv", FRAME.iloc[:2])
    assert len(read(tmp_path, "a?.csv", **LON_LAT)) == 3
    write(tmp_path, "a2.csv", FRAME.iloc[:2].assign(kind="bar"))
    with pytest.raises(SourceError, match=r"a\?\.csv: 4 of 5 rows share an id with a row that differs"):
        read(tmp_path, "a?.csv", **LON_LAT)


@pytest.mark.parametrize(
    ("frame", "fields", "says"),
    [
        (FRAME.assign(x=[1.0, None, 2.0]), LON_LAT, "1 of 3 places have no position"),
        (FRAME.assign(y=[1.0, 91.0, 92.0]), LON_LAT, "2 of 3 places have no position, or one that is not degrees"),
        (FRAME.assign(x=["1", "east", "2"]), LON_LAT, "column x holds no number in 1 of 3 rows"),
        (FRAME.assign(id=["a", None, "b"]), LON_LAT, "1 places have no id"),
        (FRAME.drop(columns="kind"), LON_LAT, "no column kind; it has id, x, y, minutes, people"),
        (FRAME.assign(people=[0, 1, 2]), LON_LAT | {"weight_column": "people"}, "people is not above 0 in 1 of 3 rows"),
        (FRAME.iloc[:0], LON_LAT, "no places"),
        (FRAME, LON_LAT | {"crs": "EPSG:x"}, "is not one that pyproj knows"),
    ],
)
def test_places_that_cannot_be_used(tmp_path, frame, fields, says):
    with pytest.raises(SourceError, match=says):
        read(tmp_path, write(tmp_path, "a.csv", frame), **fields)


def test_broken_and_absent_files(tmp_path):
    (tmp_path / "a.csv").write_text("id,kind,x,y\n1,2\n")
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b"id,kind,x,y\n" * 99)[:-9])
    for name, says in (
        ("a.csv", "the same number of fields"),
        ("b.parquet", "not readable as places"),
        ("c.csv.gz", "truncated or damaged"),
        ("d.csv", "no such file of places"),
    ):
        with pytest.raises(SourceError, match=says):
            read(tmp_path, name, **LON_LAT)


def test_digest_follows_the_contents(tmp_path):
    pois = Pois(path=write(tmp_path, "a.csv"), **COLUMNS, **LON_LAT)
    before = pois_digest(pois, tmp_path)
    write(tmp_path, "a.csv", FRAME.assign(kind="bar"))
    assert pois_digest(pois, tmp_path) != before


def test_a_study_names_what_is_wrong_with_its_places():
    values = {"name": "x", "start": "2020-01-01", "end": "2020-01-02", "zone": "UTC", "sources": []}
    with pytest.raises(StudyError, match="pois: lon_column and lat_column go together"):
        Study.from_dict(values | {"pois": {"path": "a.csv", "lon_column": "x", **COLUMNS}})
    with pytest.raises(StudyError, match=r"pois.colour: no such field; accepted: path, id_column, category_column"):
        Study.from_dict(values | {"pois": {"path": "a.csv", "colour": "x", **COLUMNS}})


def test_places_of_new_york(shared_data):
    pois = Pois(
        path=str(shared_data / "foursquare_nyc/poi_metadata_NYC.csv.gz"),
        id_column="venue_id",
        category_column="category",
        lon_column="longitude",
        lat_column="latitude",
    )
    table = conform(read_pois(pois, shared_data), POIS)
    assert table.num_rows == 5_120
    assert table["poi_category"].null_count == 0
