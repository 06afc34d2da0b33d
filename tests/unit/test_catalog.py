"""`load` on a small root made by hand, and `render` on the registries."""

from datetime import UTC, date, datetime, timedelta

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

import pipeline.stages  # noqa: F401  (fills the registry)
from data_contracts import (
    COVERAGE,
    LOCATIONS,
    OPEN_STAYS,
    PINGS,
    REJECTED_PINGS,
    STAYS,
    TABLES,
    TRACTS,
    VISITS,
    Shard,
)
from pipeline.catalog import CatalogError, find_table, load, render
from pipeline.engine.store import ALL, ShardKey, Store
from pipeline.stage import STAGES
from pipeline.study import StudyError
from tests.contract_rows import make_rows

DAYS = [date(2024, 1, 1) + timedelta(days=k) for k in range(3)]


def put(root, table, path, rows):
    file = root / table.name / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, file)


def put_dated(root, table, rows, days, n_buckets):
    """File row k under date k mod 3 and its device's bucket."""
    for k, day in enumerate(DAYS):
        for bucket in range(n_buckets):
            chosen = [
                i for i, d in enumerate(rows["device_id"].to_pylist()) if days[i] == k and d % n_buckets == bucket
            ]
            put(
                root,
                table,
                f"date={day}/bucket={bucket:04d}.parquet",
                rows.take(pa.array(chosen, pa.int64())),
            )


def put_buckets(root, table, rows, n_buckets):
    devices = rows["device_id"].to_pylist()
    for bucket in range(n_buckets):
        chosen = [i for i, d in enumerate(devices) if d % n_buckets == bucket]
        put(root, table, f"bucket={bucket:04d}.parquet", rows.take(pa.array(chosen, pa.int64())))


ROWS = {
    table.name: make_rows(table, 60, seed=1) for table in (PINGS, STAYS, COVERAGE, VISITS, LOCATIONS, REJECTED_PINGS)
}
FILED = {name: [k % 3 for k in range(ROWS[name].num_rows)] for name in ("pings", "stays", "coverage")}


def tract_rows():
    square = shapely.box(0, 0, 1, 2)
    columns = [["01001"], [12.0], [shapely.to_wkb(square)]]
    return pa.Table.from_arrays(
        [pa.array(v, f.type) for v, f in zip(columns, TRACTS.schema, strict=True)], schema=TRACTS.schema
    )


def make_root(folder, n_buckets):
    for table in (PINGS, STAYS, COVERAGE):
        put_dated(folder, table, ROWS[table.name], FILED[table.name], n_buckets)
    for table in (VISITS, LOCATIONS):
        put_buckets(folder, table, ROWS[table.name], n_buckets)
    rejected = ROWS["rejected_pings"]
    put(folder, REJECTED_PINGS, "b.csv.parquet", rejected.slice(0, 20))
    put(folder, REJECTED_PINGS, "a.csv.parquet", rejected.slice(20))
    put(folder, TRACTS, "all.parquet", tract_rows())
    for day in DAYS:
        put(folder, OPEN_STAYS, f"date={day}/bucket=0000.parquet", make_rows(OPEN_STAYS, 4, seed=day.day))
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("root"), 3)


def plain(table):
    """What `load` gives for rows that are in one piece already."""
    return ROWS[table.name].replace_schema_metadata(None).to_pandas(date_as_object=False)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_all_rows_come_in_key_order_whatever_the_shards(root, name):
    pd.testing.assert_frame_equal(load(name, root=root), plain(TABLES[name]))


def test_bucket_count_does_not_show(tmp_path, root):
    other = make_root(tmp_path, 5)
    for name in ROWS:
        pd.testing.assert_frame_equal(load(name, root=root), load(name, root=other))


def test_only_the_columns_asked_for_come_and_in_that_order(root):
    frame = load("stays", columns=["lat", "n_pings", "lat"], root=root)
    assert list(frame.columns) == ["lat", "n_pings"]
    pd.testing.assert_frame_equal(frame, plain(STAYS)[["lat", "n_pings"]])


def test_times_are_utc_and_local_dates_are_datetimes(root):
    frame = load("visits", root=root)
    assert str(frame["started_at"].dtype) == "datetime64[us, UTC]"
    assert frame["date"].dtype.kind == "M"
    assert frame["date"].dt.tz is None
    assert (frame["date"] == frame["date"].dt.normalize()).all()


@pytest.mark.parametrize("name", ["pings", "stays"])
@pytest.mark.parametrize(
    ("dates", "chosen"),
    [
        ("2024-01-02", [1]),
        (date(2024, 1, 2), [1]),
        (pd.Timestamp("2024-01-02"), [1]),
        (datetime(2024, 1, 2, 12, tzinfo=UTC), [1]),
        (("2024-01-01", "2024-01-02"), [0, 1]),
        ((date(2024, 1, 2), "2024-01-03"), [1, 2]),
        (["2024-01-03", "2024-01-01", "2024-01-01"], [0, 2]),
        (pd.date_range("2024-01-01", periods=3), [0, 1, 2]),
    ],
)
def test_dates_pick_the_utc_dates_rows_are_filed_under(root, name, dates, chosen):
    expected = plain(TABLES[name])[[k in chosen for k in FILED[name]]].reset_index(drop=True)
    pd.testing.assert_frame_equal(load(name, dates=dates, root=root), expected)


@pytest.mark.parametrize("name", ["coverage", "visits"])
@pytest.mark.parametrize("columns", [None, ["device_id"]])
def test_dates_mean_the_local_date_where_a_table_has_one(root, name, columns):
    frame = plain(TABLES[name])
    expected = frame[frame["date"].isin(pd.to_datetime(["2024-01-02", "2024-01-03"]))].reset_index(drop=True)
    assert 0 < len(expected) < len(frame)
    got = load(name, dates=("2024-01-02", "2024-01-03"), columns=columns, root=root)
    pd.testing.assert_frame_equal(got, expected if columns is None else expected[columns])


def test_a_local_date_without_rows_gives_an_empty_frame(root):
    frame = load("visits", dates="2031-01-01", root=root)
    assert frame.empty
    assert list(frame.columns) == VISITS.names
    assert frame.dtypes.equals(plain(VISITS).dtypes)


def test_state_between_dates_needs_one_date(root):
    assert load("open_stays", dates="2024-01-02", root=root)["device_id"].is_unique
    for dates in (None, ("2024-01-01", "2024-01-02")):
        with pytest.raises(CatalogError, match="exactly one date"):
            load("open_stays", dates=dates, root=root)


def test_temporary_files_are_no_data(tmp_path):
    put_buckets(tmp_path, LOCATIONS, ROWS["locations"], 2)
    put(tmp_path, REJECTED_PINGS, "a.csv.parquet", ROWS["rejected_pings"])
    for name in (".bucket=0000.parquet.1f.tmp", ".bucket=0001.parquet", "_bucket=0001.parquet"):
        (tmp_path / "locations" / name).write_bytes(b"half a file")
    for name in (".a.csv.parquet", "_a.csv.parquet", ".a.csv.parquet.1f.tmp"):
        (tmp_path / "rejected_pings" / name).write_bytes(b"half a file")
    pd.testing.assert_frame_equal(load("locations", root=tmp_path), plain(LOCATIONS))
    pd.testing.assert_frame_equal(load("rejected_pings", root=tmp_path), plain(REJECTED_PINGS))


def test_what_the_engine_writes_is_found(tmp_path):
    """The layout of files is the engine's; this is what ties `load` to it."""
    store = Store(tmp_path)
    for table, key in [
        (STAYS, ShardKey(date=DAYS[0], bucket=12)),
        (LOCATIONS, ShardKey(bucket=3)),
        (REJECTED_PINGS, ShardKey(name="raw-0001")),
        (TRACTS, ALL),
    ]:
        rows = tract_rows() if table is TRACTS else ROWS[table.name]
        store.write(table, key, rows, made_from={})
        assert len(load(table.name, root=tmp_path)) == rows.num_rows > 0


# --- Geometry -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stays", "locations", "visits"])
def test_tables_with_degrees_become_points(root, name):
    frame = load(name, root=root, geometry=True)
    assert isinstance(frame, gpd.GeoDataFrame)
    assert frame.crs.to_epsg() == 4326
    assert frame.geometry.x.tolist() == frame["lon"].tolist()
    assert frame.geometry.y.tolist() == frame["lat"].tolist()
    assert list(frame.columns) == [*TABLES[name].names, "geometry"]


def test_pings_gain_degrees(root):
    frame = load("pings", root=root, columns=["is_jump"], geometry=True)
    assert list(frame.columns) == ["is_jump", "lon", "lat", "geometry"]
    assert frame["lon"].tolist() == [x / 1e7 for x in ROWS["pings"]["lon_e7"].to_pylist()]
    assert frame.geometry.y.tolist() == [y / 1e7 for y in ROWS["pings"]["lat_e7"].to_pylist()]


def test_geometry_does_not_need_its_columns_asked_for(root):
    frame = load("stays", root=root, columns=["n_pings"], geometry=True)
    assert list(frame.columns) == ["n_pings", "geometry"]
    assert frame.geometry.x.tolist() == ROWS["stays"]["lon"].to_pylist()


@pytest.mark.parametrize("columns", [None, ["tract_geoid", "population"], ["tract_geoid", "population", "geometry"]])
def test_tracts_become_polygons(root, columns):
    frame = load("tracts", root=root, columns=columns, geometry=True)
    assert list(frame.columns) == ["tract_geoid", "population", "geometry"]
    assert frame["tract_geoid"].tolist() == ["01001"]
    assert frame.crs.to_epsg() == 4326
    assert frame.geometry.bounds.to_numpy().tolist() == [[0, 0, 1, 2]]


def test_tracts_without_geometry_keep_their_bytes(root):
    assert isinstance(load("tracts", root=root)["geometry"][0], bytes)


def test_a_table_without_position_has_no_geometry(root):
    with pytest.raises(CatalogError, match="coverage has no position"):
        load("coverage", root=root, geometry=True)


# --- What is not there --------------------------------------------------------------------------


def test_unknown_table_and_column_are_met_with_near_names(root):
    with pytest.raises(CatalogError, match="no table 'visit', did you mean visits"):
        load("visit", root=root)
    with pytest.raises(CatalogError, match=r"did you mean dwell_s.*it has device_id, started_at"):
        load("visits", columns=["dwell"], root=root)
    with pytest.raises(CatalogError, match="no table 'zzz'; there are raw_pings, pings"):
        find_table("zzz")


@pytest.mark.parametrize("columns", ["lon", []])
def test_columns_must_be_a_list_of_names(root, columns):
    with pytest.raises(CatalogError, match="columns takes a list"):
        load("stays", columns=columns, root=root)


def test_a_table_not_computed_says_what_is(root, tmp_path):
    with pytest.raises(CatalogError, match=r"gyration is not computed .* there are .*stays.*visits"):
        load("gyration", root=root)
    with pytest.raises(CatalogError, match="there are no tables"):
        load("gyration", root=tmp_path)


def test_the_root_is_named_or_in_the_environment(root, monkeypatch, tmp_path):
    monkeypatch.delenv("SOJOURN_ROOT", raising=False)
    with pytest.raises(CatalogError, match="SOJOURN_ROOT"):
        load("visits")
    with pytest.raises(CatalogError, match=r"no folder of tables at .*nowhere"):
        load("visits", root=tmp_path / "nowhere")
    monkeypatch.setenv("SOJOURN_ROOT", str(root))
    assert len(load("visits")) == ROWS["visits"].num_rows
    with pytest.raises(CatalogError, match="not computed"):
        load("visits", root=tmp_path)


def test_dates_not_computed_are_named_not_left_out(root):
    with pytest.raises(
        CatalogError, match=r"2 of the 3 UTC dates .*first 2024-01-04.*3, from 2024-01-01 to 2024-01-03"
    ):
        load("stays", dates=("2024-01-03", "2024-01-05"), root=root)


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (("2024-01-02", "2024-01-01"), "before it starts"),
        (("2024-01-01",), "is \\(first, last\\)"),
        ([], "empty"),
        ([7], "not int"),
    ],
)
def test_dates_that_make_no_sense_are_refused(root, dates, message):
    with pytest.raises(CatalogError, match=message):
        load("stays", dates=dates, root=root)


def test_a_text_that_is_no_date_is_refused(root):
    with pytest.raises(StudyError, match="write YYYY-MM-DD"):
        load("stays", dates="01/02/2024", root=root)


@pytest.mark.parametrize("name", ["locations", "tracts", "rejected_pings"])
def test_a_table_without_dates_takes_none(root, name):
    with pytest.raises(CatalogError, match="has no date"):
        load(name, dates="2024-01-01", root=root)


def test_shards_of_another_contract_are_refused_not_filled_with_nulls(tmp_path):
    rows = ROWS["locations"]
    put(tmp_path, LOCATIONS, "bucket=0000.parquet", rows.slice(0, 5))
    put(tmp_path, LOCATIONS, "bucket=0001.parquet", rows.slice(5).drop_columns(["radius_m"]))
    with pytest.raises(CatalogError, match=r"bucket=0001.*another contract: radius_m"):
        load("locations", root=tmp_path)
    assert len(load("locations", columns=["n_stays"], root=tmp_path)) == rows.num_rows


def test_a_damaged_shard_is_named(tmp_path):
    put(tmp_path, LOCATIONS, "bucket=0000.parquet", ROWS["locations"])
    (tmp_path / "locations" / "bucket=0001.parquet").write_bytes(b"no parquet")
    with pytest.raises(CatalogError, match=r"bucket=0001.parquet cannot be read"):
        load("locations", root=tmp_path)


# --- The catalogue ------------------------------------------------------------------------------


def test_every_table_column_unit_and_meaning_is_on_the_page():
    text = render()
    for table in TABLES.values():
        page = text.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        assert f"One row per {table.row}." in page
        assert table.notes in page
        lines = [line for line in page.splitlines() if line.startswith("| `")]
        assert [line.split("`")[1] for line in lines] == table.names
        for line, column in zip(lines, table.columns, strict=True):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            assert cells[1] == f"`{column.dtype}`"
            assert cells[2] == column.unit
            assert cells[4] == ("yes" if column.is_nullable else "")
            assert cells[5] == column.description


def test_lineage_is_that_of_the_registry():
    diagram = render().split("```mermaid\n")[1].split("```")[0].splitlines()
    arrows = {line.strip() for line in diagram if ("-->" in line or "==>" in line) and "refused" not in line}
    expected = set()
    for stage in STAGES.values():
        for read in stage.reads:
            is_from_all = stage.writes.shard is Shard.STUDY or stage.meet is not None
            arrow = "==>" if is_from_all and not read.shard.is_single else "-->"
            expected.add(f"{read.name} {arrow} {stage.name}")
    assert arrows == expected
    assert "  stays -. next date .-> open_stays" in diagram
    assert "  raw_pings -- refused --> rejected_pings" in diagram
    assert "  raw_pings[/raw_pings/]" in diagram


def test_ranges_and_values_are_written_for_people():
    pings = render([PINGS])
    assert "| `lon_e7` | `int32` | 1e-7 degree | -1,800,000,000 to 1,800,000,000 |  | Longitude, WGS 84 |" in pings
    assert "| `accuracy_m` | `float` | m | ≥ 0 | yes |" in pings
    assert "`study`, `month`, `week`, `day`" in render([TABLES["gyration"]])


def test_pages_of_some_tables_come_alone():
    text = render([STAYS])
    assert text.startswith("## stays\n")
    assert text.count("\n## ") == 0
    assert "`pipeline/stages/stays.py` from `pings`" in text


def test_words_of_peers_are_explained_once():
    text = render()
    assert text.split("## raw_pings")[0].count("positionfix") == 1
    assert text.split("## raw_pings")[0].count("staypoint") == 1
