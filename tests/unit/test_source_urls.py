"""Source files at URLs are read as those of a disk, of every format."""

import gzip
import io
import tarfile

import fsspec
import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shapely.geometry import box

from pipeline.paths import as_path, join
from pipeline.references import Areas
from pipeline.sources import SourceError, areas_digest, file_digest, find_files, read_areas, read_blocks, split_file
from pipeline.sources import parquet as parquet_files
from pipeline.study import Source

KEY = b"0123456789abcdef"
COLUMNS = {"device_id": "d", "tracked_at": "t", "lon": "x", "lat": "y"}
CSV = b"d,t,x,y\na,2024-01-01T00:00:00,1,2\nb,2024-01-01T00:00:05,1,2\nb,never,1,2\n"
PLT = b"Geolife trajectory\r\n" + b"-\r\n" * 5 + b"39.9,116.3,0,492,39744.12,2008-10-23,02:53:04\r\n"
URL = "memory://vendor/day"


@pytest.fixture(autouse=True)
def _forget():
    yield
    fsspec.filesystem("memory").store.clear()


def put(folder, files):
    for name, content in files.items():
        for place in (folder / name, as_path(f"{URL}/{name}")):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


def as_parquet():
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"d": ["a", "b"], "t": ["2024-01-01T00:00:00"] * 2, "x": [1.0, 2.0], "y": [3.0, 4.0]}), sink
    )
    return sink.getvalue()


def as_archive():
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        info = tarfile.TarInfo("007/Trajectory/1.plt")
        info.size = len(PLT)
        tar.addfile(info, io.BytesIO(PLT))
    return sink.getvalue()


FORMATS = {
    "csv": ({"columns": COLUMNS}, {"a.csv": CSV, "x/b.csv.gz": gzip.compress(CSV), "_skip/c.csv": CSV}),
    "parquet": ({"columns": COLUMNS, "format": "parquet"}, {"a.parquet": as_parquet(), "b.parquet": as_parquet()}),
    "geolife": ({"preset": "geolife"}, {"007/Trajectory/1.plt": PLT, "a.tar.gz": as_archive()}),
}


def rows_below(path, folder, fields):
    source = Source(path=path, **fields)
    return [
        (file.name, file_digest(file), row)
        for file in find_files(source, folder)
        for piece in split_file(file, source)
        for block in read_blocks(piece, KEY)
        for row in block.to_pylist()
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_alike(tmp_path, name):
    fields, files = FORMATS[name]
    put(tmp_path, files)
    here = rows_below(str(tmp_path), tmp_path, fields)
    assert here
    assert rows_below(URL, tmp_path, fields) == here
    assert rows_below(f"{URL}/**", tmp_path, fields)


def test_areas_are_read_with_all_members_of_their_file(tmp_path):
    frame = gpd.GeoDataFrame({"id": ["1", "2"]}, geometry=[box(0, 0, 1, 1), box(1, 0, 2, 1)], crs="EPSG:4326")
    frame.to_file(tmp_path / "areas.shp")
    put(tmp_path, {path.name: path.read_bytes() for path in tmp_path.glob("areas.*")})
    here = Areas(path="areas.shp", id_column="id")
    there = Areas(path=f"{URL}/areas.shp", id_column="id")
    assert read_areas(there, tmp_path).equals(read_areas(here, tmp_path))
    assert areas_digest(there, tmp_path) == areas_digest(here, tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match="memory://vendor/none: no delimited file there"):
        find_files(Source(path="memory://vendor/none", columns=COLUMNS), tmp_path)


def test_a_store_that_fails_is_not_called_a_damaged_file(tmp_path, monkeypatch):
    put(tmp_path, {"a.parquet": as_parquet()})
    path = join(tmp_path, f"{URL}/a.parquet")

    def refuse(*arguments, **options):
        raise RuntimeError("header: value")

    monkeypatch.setattr(type(path.fs), "open", refuse)
    with pytest.raises(SourceError, match=r"the store does not answer or refuses \(RuntimeError\)") as failed:
        parquet_files.split(path, Source(path="a", format="parquet"))
    assert "header" not in str(failed.value)
