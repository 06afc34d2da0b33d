"""Whole files or none, at a store as on a disk: one kind of path, one way to write, one way to be refused."""

import json
import os
from pathlib import Path

import fsspec
import pytest

from data_contracts import STAYS
from pipeline.engine.files import (
    StoreError,
    atomic_file,
    create_file,
    exists,
    move_file,
    names_below,
    read_bytes,
    read_json,
    remove_file,
    remove_folder,
    write_json,
)
from pipeline.engine.lock import LockedError, root_lock
from pipeline.engine.store import ShardKey, Store
from pipeline.paths import as_path, join, list_below, matching, settled
from pipeline.settings import Settings
from tests.contract_rows import make_rows


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    if request.param == "disk":
        yield tmp_path
        return
    yield as_path("memory://root/tables")
    fsspec.filesystem("memory").store.clear()


def test_names_stay_paths_and_urls_keep_their_protocol(tmp_path):
    assert settled("tables") == Path.cwd() / "tables"
    assert str(Settings(root="memory://root/tables").root) == "memory://root/tables"
    assert join(tmp_path, "raw/a.csv") == tmp_path / "raw" / "a.csv"
    assert str(join(tmp_path, "memory://b/a.csv")) == "memory://b/a.csv"
    assert as_path(f"file://{tmp_path}") == tmp_path


def test_a_url_with_credentials_is_refused():
    with pytest.raises(ValueError, match="must not hold credentials") as refused:
        as_path("s3://name:word@bucket/folder")
    assert "word" not in str(refused.value)


def test_a_store_that_shows_parts_of_files_takes_no_tables():
    with pytest.raises(StoreError, match="tables cannot be kept there"):
        Store("http://127.0.0.1/folder")


def test_a_file_that_fails_half_way_is_not_there(folder):
    write_json(folder / "a.json", {"n": 1})
    with pytest.raises(RuntimeError), atomic_file(folder / "a.json") as file:
        file.write(b"half")
        raise RuntimeError
    assert read_json(folder / "a.json") == {"n": 1}
    assert names_below(folder, "*") == ["a.json"]


def test_files_are_listed_read_and_removed(folder):
    for name in ("x/a.json", "x/y/b.json", "x/y/c.txt"):
        write_json(folder / name, name)
    assert sorted(names_below(folder / "x", "*.json")) == ["a.json", "y/b.json"]
    assert sorted(list_below(folder)) == ["x/a.json", "x/y/b.json", "x/y/c.txt"]
    assert [p.name for p in matching(str(folder / "x/y/*.txt"), Path("/"))] == ["c.txt"]
    remove_file(folder / "x/a.json")
    remove_file(folder / "x/a.json")
    assert not exists(folder / "x/a.json")
    remove_folder(folder / "x")
    remove_folder(folder / "x")
    assert names_below(folder, "*") == []
    with pytest.raises(FileNotFoundError):
        read_bytes(folder / "x/y/b.json")


def test_a_file_is_moved_over_another(folder):
    for name in ("old/a", "new/a"):
        with atomic_file(folder / name) as file:
            file.write(name.encode())
    move_file(folder / "new/a", folder / "old/a")
    assert read_bytes(folder / "old/a") == b"new/a"
    assert names_below(folder, "a") == ["old/a"]


def test_shards_at_a_store_are_those_of_a_disk(tmp_path):
    stores = [Store(tmp_path), Store("memory://root/tables")]
    rows, key = make_rows(STAYS, 50, seed=1), ShardKey(bucket=3)
    footers = [store.write(STAYS, key, rows, {"code": "x" * 100_000}) for store in stores]
    assert footers[0] == footers[1] == stores[1].footer(STAYS, key)
    assert stores[1].read(STAYS, key, ["device_id"]).equals(rows.select(["device_id"]))
    assert stores[1].keys(STAYS) == stores[0].keys(STAYS) == [key]
    assert read_bytes(stores[0].path(STAYS, key)) == read_bytes(stores[1].path(STAYS, key))
    stores[1].remove(STAYS, key)
    assert stores[1].footer(STAYS, key) is None
    assert not stores[1].has(STAYS, key)
    fsspec.filesystem("memory").store.clear()


def test_a_root_is_held_by_one(folder):
    with root_lock(folder, "first"):  # noqa: SIM117  (the second is refused inside)
        with pytest.raises(LockedError, match=rf"run first on .*process {os.getpid()}"), root_lock(folder, "second"):
            pytest.fail("two hold it")
    with root_lock(folder, "third") as lock:
        lock.check()


def leases(root):
    return {name: json.loads(read_bytes(root / "_lock" / name)) for name in names_below(root / "_lock", "*.json")}


def test_numbers_of_leases_are_never_used_again():
    root = as_path("memory://leases/tables")
    for number in (1, 2, 3):
        with root_lock(root):
            assert list(leases(root)) == [f"{number:010d}.json"]
    assert leases(root)["0000000003.json"]["is_free"]


def test_a_store_that_ignores_conditions_is_refused(monkeypatch):
    root = as_path("memory://careless/tables")
    pipe = type(root.fs).pipe_file
    monkeypatch.setattr(type(root.fs), "pipe_file", lambda self, path, value, mode="", **more: pipe(self, path, value))
    with pytest.raises(StoreError, match="ignores conditional writes"), root_lock(root):
        pytest.fail("held")


def test_an_object_is_made_once():
    path = as_path("memory://once/a")
    assert create_file(path, b"1")
    assert not create_file(path, b"2")
    assert read_bytes(path) == b"1"
