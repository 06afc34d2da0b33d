"""Files of a source: which there are, what identifies them, and what presets say of them."""

from pathlib import Path

import pytest

from pipeline.sources import PRESETS, SourceError, file_digest, find_files
from pipeline.sources.pieces import file_stem
from pipeline.sources.presets import fill
from pipeline.study import Source
from tests.unit.test_sources import PLAIN, write


def test_find_files_by_name_glob_and_folder(tmp_path):
    names = [
        "b/date=2/part.parquet",
        "b/date=1/part.parquet",
        "b/_temporary/x.parquet",
        "b/README.md",
        "b/.x.parquet",
        "b/y.csv",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    def find(path: str) -> list[str]:
        source = Source(path=path, format="parquet", columns=PLAIN)
        return [p.relative_to(tmp_path).as_posix() for p in find_files(source, tmp_path)]

    hive = ["b/date=1/part.parquet", "b/date=2/part.parquet"]
    assert find("b") == hive
    assert find("b/date=*") == hive
    assert find("**/part.parquet") == hive
    assert find(str(tmp_path / "b" / "date=*" / "*.parquet")) == hive
    assert find("b/y.csv") == ["b/y.csv"]
    for nothing in ("c", "b/*.pq", str(tmp_path / "none*")):
        with pytest.raises(SourceError, match="no parquet file there"):
            find(nothing)


def test_file_digest_is_of_the_contents(tmp_path):
    a, b, c = (
        write(tmp_path, "x" * 3_000_000, "a"),
        write(tmp_path, "x" * 3_000_000, "b"),
        write(tmp_path, "y", "c"),
    )
    assert file_digest(a) == file_digest(b) != file_digest(c)
    assert len(file_digest(a)) == 32


def test_file_stem():
    assert [file_stem(Path(p)) for p in ("x/000.tar.gz", "a.b.csv.gz", "a.parquet", "a", ".gz")] == [
        "000",
        "a.b",
        "a",
        "a",
        ".gz",
    ]


def test_stated_fields_win_over_the_preset():
    source = Source(path="x", preset="trackintel", delimiter=",", columns={"tracked_at": "time", "accuracy_m": ""})
    filled = fill(source)
    assert filled.delimiter == ","
    assert (filled.columns.tracked_at, filled.columns.lon, filled.columns.accuracy_m) == (
        "time",
        "longitude",
        None,
    )
    assert fill(filled) == filled


def test_every_preset_is_a_valid_source():
    for name in PRESETS:
        assert fill(Source(path="x", preset=name)).preset == name


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"preset": "vendor"}, "no preset 'vendor'; there are cuebiq_like"),
        ({"columns": {"tracked_at": "t", "lon": "x"}}, "which column holds lat, device_id"),
        ({"columns": PLAIN, "device_from": "constant"}, "device_name must be given"),
    ],
)
def test_declarations_that_cannot_be_used(fields, says):
    with pytest.raises(SourceError, match=says):
        fill(Source(path="x", **fields))
