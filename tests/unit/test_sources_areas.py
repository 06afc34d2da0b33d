"""Areas of every file kind to the table of tracts."""

import gzip
import shutil
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from shapely.geometry import GeometryCollection, Point, Polygon, box

from data_contracts import TRACTS, conform
from pipeline.references import Areas
from pipeline.sources import SourceError, areas_digest, read_areas
from pipeline.sources.geo_files import members_digest

BOW_TIE = Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])


def frame(ids: list, shapes: list, crs: str | None = "EPSG:4326", **columns) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"id": ids, **columns}, geometry=shapes, crs=crs)


def read(folder: Path, path: str, **fields) -> dict[str, dict]:
    table = read_areas(Areas(path=path, id_column="id", **fields), folder)
    rows = conform(table, TRACTS).to_pylist()
    return {row["tract_geoid"]: {**row, "shape": shapely.from_wkb(row["geometry"])} for row in rows}


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.shp", "a.parquet", "a.geojson.gz", "a.shp.gz"])
def test_every_kind_of_file_gives_the_same_areas(tmp_path, name):
    data = frame(["0402", "0401"], [box(2, 0, 3, 1), box(0, 0, 1, 1)], people=[5, 7])
    plain = tmp_path / name.removesuffix(".gz")
    data.to_parquet(plain) if plain.suffix == ".parquet" else data.to_file(plain)
    if name.endswith(".gz"):
        for member in list(tmp_path.glob("a.*")):
            with member.open("rb") as source, gzip.open(f"{member}.gz", "wb") as packed:
                shutil.copyfileobj(source, packed)
            member.unlink()
    areas = read(tmp_path, name, population_column="people")
    assert list(areas) == ["0401", "0402"]
    assert [area["population"] for area in areas.values()] == [7.0, 5.0]
    assert areas["0401"]["shape"].normalize() == box(0, 0, 1, 1).normalize()


def test_other_coordinate_systems_become_degrees(tmp_path):
    frame(["a"], [box(-1, 50, 1, 51)]).to_crs("EPSG:3857").to_file(tmp_path / "a.gpkg")
    bounds = read(tmp_path, "a.gpkg")["a"]["shape"].bounds
    assert bounds == pytest.approx((-1, 50, 1, 51), abs=1e-6)


def test_without_a_coordinate_system_positions_must_be_degrees(tmp_path, caplog):
    frame(["a"], [box(0, 0, 1, 1)], crs=None).to_file(tmp_path / "a.shp")
    assert read(tmp_path, "a.shp")["a"]["shape"].area == 1
    assert "states no coordinate system" in caplog.text
    frame(["a"], [box(0, 0, 1000, 1)], crs=None).to_file(tmp_path / "b.shp")
    with pytest.raises(SourceError, match="positions are not degrees"):
        read(tmp_path, "b.shp")


def test_invalid_polygons_are_mended_and_counted(tmp_path):
    frame(["a", "b"], [BOW_TIE, box(5, 0, 6, 1)]).to_file(tmp_path / "a.gpkg")
    table = read_areas(Areas(path="a.gpkg", id_column="id"), tmp_path)
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    assert shapely.is_valid(shapes).all() and shapes[0].area == pytest.approx(2)
    assert table.schema.metadata[b"n_mended"] == b"1"


def test_parts_of_one_area_are_united_if_their_population_agrees(tmp_path):
    shapes = [box(0, 0, 1, 1), box(5, 5, 6, 6), box(1, 0, 2, 1)]
    frame(["a", "b", "a"], shapes, people=[3, 4, 3]).to_file(tmp_path / "a.gpkg")
    areas = read(tmp_path, "a.gpkg", population_column="people")
    assert areas["a"]["shape"].area == pytest.approx(2) and areas["a"]["population"] == 3
    frame(["a", "b", "a"], shapes, people=[3, 4, 5]).to_file(tmp_path / "b.gpkg")
    with pytest.raises(SourceError, match="1 ids occur in several rows with different populations"):
        read(tmp_path, "b.gpkg", population_column="people")


def test_a_glob_reads_several_files_as_one(tmp_path):
    frame(["b"], [box(0, 0, 1, 1)]).to_file(tmp_path / "x1.geojson")
    frame(["a"], [box(2, 0, 3, 1)]).to_file(tmp_path / "x2.geojson")
    assert list(read(tmp_path, "x*.geojson")) == ["a", "b"]
    assert list(read(tmp_path, str(tmp_path / "x?.geojson"))) == ["a", "b"]


def test_whole_numbers_are_ids_without_a_point(tmp_path):
    frame([10.0, 9.0], [box(0, 0, 1, 1), box(2, 0, 3, 1)]).to_file(tmp_path / "a.gpkg")
    assert list(read(tmp_path, "a.gpkg")) == ["10", "9"]


@pytest.mark.parametrize(
    ("data", "fields", "says"),
    [
        (frame(["a"], [Point(0, 0)]), {}, "1 areas have no polygon"),
        (frame(["a", "b"], [box(0, 0, 1, 1), None]), {}, "1 areas have no polygon"),
        (frame(["a", None], [box(0, 0, 1, 1)] * 2), {}, "1 areas have no id"),
        (
            frame(["a"], [box(0, 0, 1, 1)]),
            {"population_column": "people"},
            "no column people; it has id, geometry",
        ),
        (frame(["a"], [box(0, 0, 1, 1)], people=["many"]), {"population_column": "people"}, "are no numbers"),
        (frame(["a"], [box(0, 0, 1, 1)]), {"layer": "counties"}, "not readable as areas"),
    ],
)
def test_areas_that_cannot_be_used(tmp_path, data, fields, says):
    data.to_file(tmp_path / "a.gpkg")
    with pytest.raises(SourceError, match=says):
        read(tmp_path, "a.gpkg", **fields)


def test_broken_and_absent_files(tmp_path):
    (tmp_path / "a.geojson").write_text("{")
    (tmp_path / "b.geojson.gz").write_bytes(gzip.compress(b"{}" * 100)[:-9])
    for path, says in (
        ("a.geojson", "not readable"),
        ("b.geojson.gz", "the compressed file is truncated or damaged"),
        ("c.shp", "no such file"),
    ):
        with pytest.raises(SourceError, match=says):
            read(tmp_path, path)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_tables_without_polygons_are_refused_by_name(tmp_path, name):
    table = pd.DataFrame({"id": ["a"], "people": [3]})
    table.to_csv(tmp_path / name, index=False) if name == "a.csv" else table.to_parquet(tmp_path / name)
    with pytest.raises(SourceError, match=f"{name}: no geometry in it, but columns id, people; give a file with"):
        read(tmp_path, name)


def test_digest_is_of_all_members(tmp_path):
    frame(["a"], [box(0, 0, 1, 1)], people=[1]).to_file(tmp_path / "a.shp")
    areas = Areas(path="a.shp", id_column="id")
    before = areas_digest(areas, tmp_path)
    frame(["a"], [box(0, 0, 1, 1)], people=[2]).to_file(tmp_path / "a.shp")
    assert areas_digest(areas, tmp_path) != before


def test_mended_surface_without_its_lines_and_points():
    from pipeline.sources.areas import _polygonal

    mixed = GeometryCollection([box(0, 0, 1, 1), Point(5, 5)])
    assert _polygonal(mixed).equals(box(0, 0, 1, 1))


def test_projected_areas_across_the_antimeridian_are_refused(tmp_path):
    """A square of 10 km about the antimeridian in Fiji's own grid would girdle the globe in degrees."""
    square = gpd.GeoDataFrame({"id": ["x"]}, geometry=[shapely.box(179.95, -16.85, 180.05, -16.75)], crs="EPSG:4326")
    path = tmp_path / "fiji.gpkg"
    square.to_crs("EPSG:3460").to_file(path)
    with pytest.raises(SourceError, match="1 shapes cross the antimeridian"):
        read_areas(Areas(path=str(path), id_column="id"), tmp_path)


def test_areas_with_exchanged_axes_are_refused(tmp_path):
    path = tmp_path / "swapped.geojson"
    gpd.GeoDataFrame({"id": ["x"]}, geometry=[shapely.box(39.8, 116.2, 39.9, 116.3)], crs="EPSG:4326").to_file(path)
    with pytest.raises(SourceError, match="axes exchanged"):
        read_areas(Areas(path=str(path), id_column="id"), tmp_path)


def test_the_digest_sees_a_file_whatever_its_name(tmp_path):
    path = tmp_path / "v [2020].geojson"
    path.write_text("one")
    before = members_digest([path])
    (tmp_path / "v [2020].notes.txt").write_text("not part of it")
    assert members_digest([path]) == before
    path.write_text("two")
    assert members_digest([path]) != before
