"""Shards on disk: names, atomic writes, footers, and what a reader may see."""

from datetime import date

import pyarrow as pa
import pytest

from data_contracts import PINGS, STAYS, TABLES, UNEMPLOYMENT, ContractError, Release, conform
from pipeline.engine.files import StoreError, atomic_file, whole_source
from pipeline.engine.store import ShardKey, Store, read_rows
from tests.contract_rows import make_rows

KEYS = [ShardKey(date(2024, 2, 29), 7), ShardKey(bucket=12), ShardKey(name="all"), ShardKey(name="ab12-000003")]


@pytest.mark.parametrize("key", KEYS)
def test_a_path_gives_its_key_back(key):
    assert ShardKey.from_path(key.path) == key


@pytest.mark.parametrize(
    "name", [".bucket=0001.parquet.ab.tmp", "date=2024-01-01/.x.parquet", "notes.txt", "a/b/c.parquet"]
)
def test_other_files_are_no_shards(name):
    assert ShardKey.from_path(name) is None


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_what_is_written_is_read_back_and_written_again_alike(tmp_path, table):
    store, key, rows = Store(tmp_path), ShardKey(name="x"), make_rows(table, 50, seed=1)
    footer = store.write(table, key, rows, {"code": "1"})
    first = store.path(table, key).read_bytes()
    assert store.read(table, key).equals(rows.cast(table.schema))
    assert store.footer(table, key) == footer
    assert (footer.made_from, footer.n_rows) == ({"code": "1"}, rows.num_rows)
    assert store.write(table, key, rows, {"code": "1"}) == footer
    assert store.path(table, key).read_bytes() == first


def test_content_is_of_the_data_alone(tmp_path):
    store, rows = Store(tmp_path), make_rows(STAYS, 20, seed=2)
    one = store.write(STAYS, ShardKey(name="a"), rows, {"code": "1"})
    two = store.write(STAYS, ShardKey(name="b"), rows, {"code": "2"})
    other = store.write(STAYS, ShardKey(name="c"), rows.slice(1), {"code": "1"})
    assert one.content == two.content != other.content


def test_rows_that_break_the_contract_are_not_written(tmp_path):
    store, key = Store(tmp_path), ShardKey(name="x")
    rows = make_rows(PINGS, 10, seed=3)
    with pytest.raises(ContractError, match="order"):
        store.write(PINGS, key, rows.take(pa.array(range(9, -1, -1))), {})
    assert store.footer(PINGS, key) is None
    assert store.keys(PINGS) == []


def with_devices(rows, n_devices):
    at = rows.column_names.index("n_devices")
    return rows.set_column(at, "n_devices", pa.array(n_devices, pa.int64()))


@pytest.mark.parametrize("table", [t for t in TABLES.values() if t.release is Release.PUBLIC], ids=lambda t: t.name)
def test_a_release_never_holds_rows_of_few_devices(tmp_path, table):
    store, key, rows = Store(tmp_path), ShardKey(name="all"), make_rows(table, 30, seed=5)
    n_devices = [(1, 9, 10, 250)[k % 4] for k in range(rows.num_rows)]
    footer = store.write(table, key, with_devices(rows, n_devices), {"code": "1"})
    kept = store.read(table, key)
    assert kept["n_devices"].to_pylist() == [n for n in n_devices if n >= 10]
    assert kept.equals(conform(with_devices(rows, n_devices).filter(pa.array([n >= 10 for n in n_devices])), table))
    assert (footer.n_rows, footer.n_suppressed) == (kept.num_rows, rows.num_rows - kept.num_rows)
    assert store.footer(table, key) == footer


def test_leaving_rows_out_hides_no_broken_rule(tmp_path):
    """A null is no small group, and a row that would be left out has to be sound all the same."""
    store, key, rows = Store(tmp_path), ShardKey(name="all"), make_rows(UNEMPLOYMENT, 10, seed=6)
    with pytest.raises(ContractError, match="n_devices is null in 1 rows"):
        store.write(UNEMPLOYMENT, key, with_devices(rows, [None, *[50] * (rows.num_rows - 1)]), {})
    small = with_devices(rows, [3] * rows.num_rows)
    with pytest.raises(ContractError, match="rate is above 1"):
        store.write(UNEMPLOYMENT, key, small.set_column(6, "rate", pa.array([2.0] * rows.num_rows)), {})
    footer = store.write(UNEMPLOYMENT, key, small, {})
    assert (footer.n_rows, footer.n_suppressed) == (0, rows.num_rows)


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half"), atomic_file(path) as file:
        file.write(b"new")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_has_the_version_it_opened(tmp_path):
    store, key = Store(tmp_path), ShardKey(date=date(2020, 1, 5), bucket=0)
    store.write(STAYS, key, make_rows(STAYS, 2_000), {})
    opened = whole_source(store.path(STAYS, key))
    store.write(STAYS, key, make_rows(STAYS, 3), {})
    assert read_rows(opened, STAYS).num_rows == 2_000 and store.read(STAYS, key).num_rows == 3


def test_leftovers_of_a_kill_are_no_shards_and_are_removed(tmp_path):
    store, key = Store(tmp_path), ShardKey(date(2024, 1, 1), 0)
    store.write(STAYS, key, make_rows(STAYS, 5, seed=4), {})
    leftover = store.path(STAYS, key).parent / ".bucket=0001.parquet.00ff.tmp"
    leftover.write_bytes(b"half")
    assert store.keys(STAYS) == [key]
    assert store.remove_leftovers() == 1
    assert not leftover.exists()


@pytest.mark.parametrize("contents", [b"", b"not parquet at all", b"PAR1 half"])
def test_a_damaged_shard_is_named(tmp_path, contents):
    store, key = Store(tmp_path), ShardKey(bucket=1)
    store.path(STAYS, key).parent.mkdir(parents=True)
    store.path(STAYS, key).write_bytes(contents)
    with pytest.raises(StoreError, match=r"bucket=0001\.parquet"):
        store.footer(STAYS, key)
    with pytest.raises(StoreError, match=r"bucket=0001\.parquet"):
        store.read(STAYS, key)
