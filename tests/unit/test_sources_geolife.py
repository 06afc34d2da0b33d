"""GeoLife's PLT files, plain and in archives."""

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_contracts import RAW_PINGS, conform
from pipeline.sources import SourceError, find_files, read_blocks, split_file
from pipeline.sources.hashing import hash_id
from pipeline.study import Source

KEY = b"0123456789abcdef"
PREAMBLE = "Geolife trajectory\r\nWGS 84\r\nAltitude is in Feet\r\nReserved 3\r\n0,2,255,My Track\r\n0\r\n"


def plt(*rows: str) -> bytes:
    return (PREAMBLE + "".join(row + "\r\n" for row in rows)).encode()


def fix(lat: float, clock: str = "02:53:04") -> str:
    return f"{lat},116.318417,0,492,39744.1201851852,2008-10-23,{clock}"


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def read(path: Path, block_rows: int = 500_000, **fields) -> list[dict]:
    source = Source(path=path.name, preset="geolife", **fields)
    (piece,) = split_file(path, source)
    return [row for block in read_blocks(piece, KEY, block_rows) for row in conform(block, RAW_PINGS).to_pylist()]


def test_archive_rows_run_through_members_in_order_of_name(tmp_path):
    members = {
        "007/Trajectory/20081024.plt": plt(fix(3), "1,2,3", fix(5)),
        "007/Trajectory/20081023.plt": plt(fix(1), fix(2)),
        "007/labels.txt": b"Start Time\tEnd Time\n",
        "007/Trajectory/20081025.plt": plt(),
    }
    path = archive(tmp_path / "007.tar.gz", members)
    for block_rows in (2, 1000):
        rows = read(path, block_rows)
        assert [row["row_number"] for row in rows] == [1, 2, 3, 4, 5]
        assert [row["lat"] for row in rows] == [1, 2, 3, None, 5]
        assert [row["fault"] for row in rows] == [None, None, None, "malformed_row", None]
    assert rows[0]["device_id"] == hash_id(b"007", KEY)
    assert rows[0]["accuracy_m"] is None and rows[0]["utc_offset_s"] is None


def test_times_are_gmt_whatever_the_source_says(tmp_path):
    (tmp_path / "a.plt").write_bytes(plt(fix(1)))
    (row,) = read(tmp_path / "a.plt", time_zone="Asia/Shanghai")
    assert row["tracked_at"] == datetime(2008, 10, 23, 2, 53, 4, tzinfo=UTC)


def test_device_of_plain_files_folders_and_archives_of_many(tmp_path):
    track = tmp_path / "Data" / "010" / "Trajectory" / "20081023.plt"
    track.parent.mkdir(parents=True)
    track.write_bytes(plt(fix(1)))
    assert find_files(Source(path="Data", preset="geolife"), tmp_path) == [track]
    (tmp_path / "mine.plt").write_bytes(plt(fix(1)))
    many = {
        "Data/001/Trajectory/a.plt": plt(fix(1)),
        "Data/002/Trajectory/a.plt": plt(fix(2)),
        "b.plt": plt(fix(3)),
    }
    rows = read(track) + read(tmp_path / "mine.plt") + read(archive(tmp_path / "all.tar.gz", many))
    names = ["010", "mine", "001", "002", "all"]
    assert [row["device_id"] for row in rows] == [hash_id(name.encode(), KEY) for name in names]
    constant = read(track, device_from="constant", device_name="me")
    assert constant[0]["device_id"] == hash_id(b"me", KEY)


def test_bad_values_cost_their_row(tmp_path):
    bad_time, bad_lat = fix(1, "25:00:00"), fix(1).replace("1,", "north,", 1)
    (tmp_path / "a.plt").write_bytes(plt(bad_time, bad_lat, fix(400.1)))
    rows = read(tmp_path / "a.plt")
    assert [row["fault"] for row in rows] == ["bad_time", "bad_position", None]
    assert rows[2]["lat"] == 400.1  # for the stage to refuse


def test_broken_archives(tmp_path):
    good = archive(tmp_path / "good.tar.gz", {"1/Trajectory/a.plt": plt(*[fix(k) for k in range(90)])}).read_bytes()
    for name, content, says in (
        ("cut.tar.gz", good[:-20], "truncated or damaged"),
        ("none.tar.gz", archive(tmp_path / "x.tar.gz", {"readme": b""}).read_bytes(), "holds no .plt file"),
        (
            "other.tar.gz",
            archive(tmp_path / "y.tar.gz", {"a.plt": b"1,2"}).read_bytes(),
            "not a GeoLife PLT file",
        ),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=says):
            read(tmp_path / name)
