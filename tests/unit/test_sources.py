"""Readers: what each layout, format and fault becomes."""

import bz2
import gzip
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts import RAW_PINGS, REASONS, conform
from pipeline.sources import SourceError, read_blocks, split_file
from pipeline.sources.hashing import hash_id
from pipeline.study import ColumnMap, Source

KEY = b"0123456789abcdef"
COLUMNS = ColumnMap(device_id="id", tracked_at="t", lon="lon", lat="lat", accuracy_m="acc", utc_offset_s="off")
PLAIN = ColumnMap(device_id="id", tracked_at="t", lon="lon", lat="lat")
HEADER = "id,t,lon,lat,acc,off\n"
NOON = datetime(2024, 1, 5, 12, tzinfo=UTC)


def read(path: Path, block_rows: int = 500_000, **fields) -> list[dict]:
    """All rows of a file as dictionaries, after the contract's check of every block."""
    fields = {"path": path.name, "columns": PLAIN, **fields}
    rows = []
    for piece in split_file(path, Source(**fields)):
        for block in read_blocks(pickle.loads(pickle.dumps(piece)), KEY, block_rows):
            assert 0 < block.num_rows <= block_rows
            rows += conform(block, RAW_PINGS).to_pylist()
    return rows


def write(folder: Path, text: str | bytes, name: str = "pings.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def faults(rows: list[dict]) -> list[str | None]:
    return [row["fault"] for row in rows]


# --- Delimited ---------------------------------------------------------------------------------------


def test_a_full_row(tmp_path):
    path = write(tmp_path, HEADER + "a,2024-01-05T12:00:00Z,4.5,52.25,7.5,3600\n")
    (row,) = read(path, columns=COLUMNS)
    assert row == {
        "row_number": 1,
        "device_id": hash_id(b"a", KEY),
        "tracked_at": NOON,
        "lon": 4.5,
        "lat": 52.25,
        "accuracy_m": 7.5,
        "utc_offset_s": 3600,
        "fault": None,
    }


def test_a_wrong_number_of_fields_costs_the_row_alone(tmp_path):
    good = "a,2024-01-05T12:00:00Z,4,52\n"
    path = write(tmp_path, "id,t,lon,lat\n" + "a,b\n" + good + "\n" + "a,2024,1,2,3,4\n" + good + good + "x\ny\n")
    rows = read(path)
    assert [row["row_number"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    bad = "malformed_row"
    assert faults(rows) == [bad, None, bad, None, None, bad, bad]
    assert rows[0]["device_id"] is None and rows[0]["lon"] is None


def test_malformed_rows_keep_their_place_over_many_parsed_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.sources.delimited.PARSE_BYTES", 200)
    lines = ["broken" if k % 7 == 0 else f"a,2024-01-05T12:00:00Z,{k % 90},52" for k in range(1, 101)]
    rows = read(write(tmp_path, "id,t,lon,lat\n" + "\n".join(lines)), block_rows=3)
    assert [row["row_number"] for row in rows] == list(range(1, 101))
    assert [row["row_number"] for row in rows if row["fault"]] == list(range(7, 101, 7))
    assert all(row["lon"] == row["row_number"] % 90 for row in rows if not row["fault"])


def test_only_malformed_rows(tmp_path):
    assert faults(read(write(tmp_path, "id,t,lon,lat\n1\n2\n"))) == ["malformed_row"] * 2


def test_what_is_no_number_or_time_costs_the_row_alone(tmp_path):
    t = "2024-01-05T12:00:00Z"
    lines = [
        f"a,{t},4,52,5,0",
        "a,noon,4,52,5,0",
        f"a,{t},four,52,5,0",
        f"a,{t},4,inf,5,0",
        f"a,{t},4,52,good,0",
        f"a,{t},4,52,5,CET",
        f"a,{t},four,52,good,CET",
        "a,noon,four,52,good,CET",
        ",,,,,",
        f"a,{t},,bad,,",
        "a,2023-02-29T12:00:00Z,4,52,,",
    ]
    rows = read(write(tmp_path, HEADER + "\n".join(lines) + "\n"), columns=COLUMNS)
    position = "bad_position"
    expected = [None, "bad_time", position, position, "bad_accuracy", "bad_utc_offset", position, "bad_time"]
    assert faults(rows) == [*expected, None, None, "bad_time"]
    nothing = rows[8]
    assert all(nothing[name] is None for name in nothing if name != "row_number")
    # The missing half of a position comes first in the order of reasons.
    assert rows[9]["lon"] is None and rows[9]["lat"] is None


def test_numbers_in_other_spellings(tmp_path):
    lines = [
        "a,2024-01-05T12:00:00Z, 4.5 ,+52.25",
        "a,2024-01-05T12:00:00Z,4.5e0,.5",
        'a,2024-01-05T12:00:00Z,"4.5",52.',
    ]
    rows = read(write(tmp_path, "id,t,lon,lat\n" + "\n".join(lines)))
    assert faults(rows) == [None] * 3
    assert [(row["lon"], row["lat"]) for row in rows] == [(4.5, 52.25), (4.5, 0.5), (4.5, 52.0)]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda b: gzip.compress(b[:30]) + gzip.compress(b[30:])])
def test_compressed_files_whatever_their_name(tmp_path, pack):
    text = b"id,t,lon,lat\na,2024-01-05T12:00:00Z,4,52\nb,2024-01-05T12:00:00Z,4,52\n"
    for name in ("pings.csv.gz", "pings.csv"):
        assert [row["row_number"] for row in read(write(tmp_path, pack(text), name))] == [1, 2]


def test_byte_order_mark_carriage_returns_and_quotes(tmp_path):
    header, two_lines = '\ufeffid;"t";lon;lat;note', '"a;1";2024-01-05T12:00:00Z;4;52;"two\r\nlines"'
    lines = [header, two_lines, "b;2024-01-05T12:00:00Z;4;52;"]
    text = "\r\n".join(lines)
    rows = read(write(tmp_path, text), delimiter=";")
    assert [row["device_id"] for row in rows] == [hash_id(b"a;1", KEY), hash_id(b"b", KEY)]
    assert faults(rows) == [None, None]


def test_bytes_that_are_no_utf8_cost_nothing_but_their_value(tmp_path):
    text = b"id,t,lon,lat\n\xff\xfe,2024-01-05T12:00:00Z,4,52\na,\xff,4,52\na,2024-01-05T12:00:00Z,\xff,52\n"
    rows = read(write(tmp_path, text))
    assert faults(rows) == [None, "bad_time", "bad_position"]
    assert rows[0]["device_id"] == hash_id(b"\xff\xfe", KEY)


def test_without_header_columns_are_numbers(tmp_path):
    path = write(tmp_path, "1704456000\tabc\t0\t52\t4\n1\n1704456000\tabc\t0\t52\t4\n", "part.tsv")
    columns = ColumnMap(device_id="1", tracked_at="0", lat="3", lon="4")
    rows = read(path, columns=columns, has_header=False, delimiter="\t", time_unit="s")
    assert faults(rows) == [None, "malformed_row", None]
    assert (rows[0]["tracked_at"], rows[0]["lon"]) == (NOON, 4.0)


def test_header_alone_is_a_file_without_rows(tmp_path):
    assert read(write(tmp_path, "id,t,lon,lat")) == []
    assert read(write(tmp_path, "id,t,lon,lat\n")) == []


def test_device_named_by_file_or_constant(tmp_path):
    path = write(tmp_path, "t,lon,lat\n2024-01-05T12:00:00Z,4,52\n", "phone7.csv")
    columns = ColumnMap(tracked_at="t", lon="lon", lat="lat")
    assert read(path, columns=columns, device_from="file_stem")[0]["device_id"] == hash_id(b"phone7", KEY)
    named = read(path, columns=columns, device_from="constant", device_name="me")
    assert named[0]["device_id"] == hash_id(b"me", KEY)


def test_projected_positions_become_degrees(tmp_path):
    lines = [
        "a,2024-01-05T12:00:00Z,-4265699.1,4392976.3",
        "a,2024-01-05T12:00:00Z,x,0",
        "a,2024-01-05T12:00:00Z,,0",
    ]
    rows = read(write(tmp_path, "id,t,lon,lat\n" + "\n".join(lines)), crs="EPSG:3857")
    assert rows[0]["lon"] == pytest.approx(-38.3194, abs=1e-3) and rows[0]["lat"] == pytest.approx(36.6693, abs=1e-3)
    assert faults(rows) == [None, "bad_position", None]
    assert rows[2]["lat"] is None


def test_offsets_in_hours_and_minutes(tmp_path):
    path = write(tmp_path, HEADER + "a,2024-01-05T12:00:00Z,4,52,,5.5\n")
    assert read(path, columns=COLUMNS, utc_offset_unit="h")[0]["utc_offset_s"] == 19_800
    assert read(path, columns=COLUMNS, utc_offset_unit="min")[0]["utc_offset_s"] == 330


# --- Files refused as a whole ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "fields", "says"),
    [
        ("empty.csv", b"", {}, "empty"),
        ("blank.csv", b"\n\n", {}, "empty"),
        ("empty.parquet", b"", {"format": "parquet"}, "empty"),
        ("empty.csv.gz", gzip.compress(b"", mtime=0), {}, "empty"),
        ("text.parquet", b"id,t,lon,lat\n", {"format": "parquet"}, "not a readable Parquet file"),
        ("parquet.csv", b"PAR1....PAR1", {}, "this is Parquet"),
        ("zip.csv", b"PK\x03\x04....", {}, "zip archive"),
        (
            "cut.csv.gz",
            gzip.compress(b"id,t,lon,lat\n" + bytes(range(256)) * 4000, mtime=0)[:-9],
            {},
            "truncated or damaged",
        ),
        ("other.csv", b"id,when,lon,lat\n1,2,3,4\n", {}, "no column t; it has id, when, lon, lat"),
        ("semi.csv", b"id;t;lon;lat\n1;2;3;4\n", {}, "is the delimiter ','?"),
        ("twice.csv", b"id,t,lon,lat,lat\n1,2,3,4,5\n", {}, "lat occurs twice"),
        ("plain.plt", b"1,2,3\n", {"format": "geolife_plt"}, "not a GeoLife PLT file"),
        ("plain.tar.gz", b"hello", {"format": "geolife_plt"}, "not a readable PLT file or tar archive"),
        ("crs.csv", b"id,t,lon,lat\n", {"crs": "EPSG:0"}, "EPSG:0"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_broken_files_are_refused_by_name_and_reason(tmp_path, name, content, fields, says):
    path = write(tmp_path, content, name)
    with pytest.raises(SourceError) as caught:
        read(path, **fields)
    assert says in str(caught.value)
    assert name in str(caught.value) or "crs" in fields
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_absent_file(tmp_path):
    with pytest.raises(SourceError, match=r"no\.csv: No such file"):
        read(tmp_path / "no.csv")


def test_contents_never_reach_a_message(tmp_path):
    secrets = ("c0ffee-device", "52.123456", "4.987654", "1704456000")
    row = ",".join(secrets) + "\n"
    texts = [row * 3, "id,t,lon,lat\n" + row + 'x,"' + row * 3, "id,t,lon,lat\n" + row + 'x,1,2,"' + row * 3]
    for k, text in enumerate(texts):
        with pytest.raises(SourceError) as caught:
            read(write(tmp_path, text, f"{k}.csv"), time_unit="s")
        assert not any(secret in str(caught.value) for secret in secrets)
        assert caught.value.__cause__ is None and (
            caught.value.__context__ is None or caught.value.__suppress_context__
        )


def test_a_quote_left_open_is_refused_rather_than_swallowing_rows(tmp_path):
    for opened in ('a,"2024,4,52\n', 'a,2024,4,"52\n', '"a,2024,4,52\n'):
        with pytest.raises(SourceError, match="quote"):
            read(write(tmp_path, "id,t,lon,lat\n" + opened + "b,2024-01-05T12:00:00Z,4,52\n" * 3))


# --- Parquet -----------------------------------------------------------------------------------------


def make_parquet(path: Path, **replaced) -> Path:
    columns = {
        "id": pa.array(["a", None, "b"]),
        "t": pa.array([1_704_456_000] * 3),
        "lon": pa.array([4.0, float("nan"), None]),
        "lat": pa.array([52.0, 52.0, 52.0], pa.float32()),
    }
    pq.write_table(pa.table({**columns, **replaced}), path)
    return path


def test_parquet_nulls_and_nan_are_missing(tmp_path):
    rows = read(make_parquet(tmp_path / "p.parquet"), format="parquet", time_unit="s")
    assert [row["device_id"] for row in rows] == [hash_id(b"a", KEY), None, hash_id(b"b", KEY)]
    assert [row["lon"] for row in rows] == [4.0, None, None]
    assert faults(rows) == [None] * 3 and rows[0]["tracked_at"] == NOON


@pytest.mark.parametrize(
    "ids",
    [
        pa.array([7, None, 8]),
        pa.array([7.0, None, 8.0]),
        pa.array(["7", None, "8"], pa.large_string()),
        pa.array(["7", None, "8"]).dictionary_encode(),
        pa.array([b"7", b"", b"8"]),
        pa.array([" 7", "nan", "8 "]),
        pa.array(["7", "00000000-0000-0000-0000-000000000000", "8"]),
    ],
)
def test_ids_of_every_type_hash_as_text(tmp_path, ids):
    rows = read(make_parquet(tmp_path / "p.parquet", id=ids), format="parquet", time_unit="s")
    assert [row["device_id"] for row in rows] == [hash_id(b"7", KEY), None, hash_id(b"8", KEY)]


def test_parquet_text_columns_are_read_value_by_value(tmp_path):
    texts = pa.array(["4.5", "x", ""])
    path = make_parquet(tmp_path / "p.parquet", lon=texts, t=pa.array(["1704456000", "", "?"]))
    rows = read(path, format="parquet", time_unit="s")
    assert faults(rows) == [None, "bad_position", "bad_time"]


def test_parquet_pieces_number_rows_through_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.sources.parquet.PIECE_ROWS", 25)
    path = tmp_path / "p.parquet"
    n = 100
    table = {"id": ["a"] * n, "t": list(range(n)), "lon": [float(k) for k in range(n)], "lat": [0.0] * n}
    pq.write_table(pa.table(table), path, row_group_size=10)
    pieces = split_file(path, Source(path="p", format="parquet", time_unit="s", columns=PLAIN))
    assert [(p.index, p.n_pieces, p.first_row, p.part) for p in pieces] == [
        (0, 4, 0, (0, 3)),
        (1, 4, 30, (3, 6)),
        (2, 4, 60, (6, 9)),
        (3, 4, 90, (9, 10)),
    ]
    rows = read(path, block_rows=7, format="parquet", time_unit="s")
    assert [row["row_number"] for row in rows] == list(range(1, n + 1))
    assert [row["lon"] for row in rows] == [float(k) for k in range(n)]


def test_a_damaged_page_is_refused(tmp_path):
    path = make_parquet(tmp_path / "p.parquet")
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56
    path.write_bytes(content)
    with pytest.raises(SourceError, match="damaged"):
        read(path, format="parquet", time_unit="s")


def test_integer_times_need_a_unit(tmp_path):
    with pytest.raises(SourceError, match="time_unit"):
        read(make_parquet(tmp_path / "p.parquet"), format="parquet")


def test_parquet_column_that_is_absent_or_holds_no_numbers(tmp_path):
    path = make_parquet(tmp_path / "p.parquet", lat=pa.array([[1.0]] * 3))
    with pytest.raises(SourceError, match="holds no numbers"):
        read(path, format="parquet", time_unit="s")
    with pytest.raises(SourceError, match="no column when; it has id, t, lon, lat"):
        read(path, format="parquet", columns=PLAIN.model_copy(update={"tracked_at": "when"}))


# --- Files of two layouts in one source --------------------------------------------------------------

LISTS = ColumnMap(device_id="id", tracked_at=("timestamp", "t"), lon=("lng", "lon"), lat="lat", accuracy_m=("acc", ""))


def make_file(path: Path, names: list[str]) -> Path:
    """A file of one row, CSV or Parquet by its ending: 1704456000, 4, 52 and 7 in its columns after the first."""
    values = dict(zip(names, ["a", 1_704_456_000, 4.0, 52.0, 7.0], strict=False))
    if path.suffix == ".csv":
        return write(path.parent, f"{','.join(values)}\n{','.join(map(str, values.values()))}\n", path.name)
    pq.write_table(pa.table({name: [value] for name, value in values.items()}), path)
    return path


def read_lists(path: Path) -> list[dict]:
    return read(path, columns=LISTS, time_unit="s", format="delimited" if path.suffix == ".csv" else "parquet")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_file_is_read_by_those_names_that_it_has(tmp_path, ending):
    (old,) = read_lists(make_file(tmp_path / f"old{ending}", ["id", "t", "lon", "lat"]))
    (new,) = read_lists(make_file(tmp_path / f"new{ending}", ["id", "timestamp", "lng", "lat", "acc", "more"]))
    assert (new["accuracy_m"], old["accuracy_m"]) == (7.0, None)
    assert old | {"accuracy_m": 7.0} == new
    assert (new["tracked_at"], new["lon"], new["lat"]) == (NOON, 4.0, 52.0)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_of_several_names_a_file_has_exactly_one(tmp_path, ending):
    none = make_file(tmp_path / f"none{ending}", ["id", "when", "lon", "lat"])
    with pytest.raises(
        SourceError, match=r"none\.\w+: no column timestamp or t, as columns\.tracked_at .*has id, when"
    ):
        read_lists(none)
    both = make_file(tmp_path / f"both{ending}", ["id", "t", "lon", "lat", "timestamp"])
    with pytest.raises(SourceError, match=r"both\.\w+: it has both timestamp and t, and columns\.tracked_at takes one"):
        read_lists(both)


def test_values_of_a_file_without_a_header_are_not_told(tmp_path):
    path = write(tmp_path, "person-7,1704456000,4.5,52.5\n")
    with pytest.raises(SourceError, match="looks like data") as error:
        read_lists(path)
    assert "person" not in str(error.value) and "52.5" not in str(error.value)


def test_a_presets_columns_can_be_given_other_names(tmp_path):
    path = write(tmp_path, "uid,ts,lng,lat\na,2024-01-05T12:00:00Z,4,52\n")
    (row,) = read(path, preset="skmob", columns=ColumnMap(tracked_at=("datetime", "ts")))
    assert (row["tracked_at"], row["lon"]) == (NOON, 4.0)


def test_faults_are_reasons():
    assert {"bad_time", "bad_position", "bad_accuracy", "bad_utc_offset", "malformed_row"} <= set(REASONS)
