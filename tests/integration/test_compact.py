"""A root of many small loads, put together: the same tables, books that read the same, and fewer files."""

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.engine import books, compact, files
from pipeline.engine.books import Books
from pipeline.engine.records import read_runs
from pipeline.engine.run import count_pings, open_run, status
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError
from pipeline.settings import Settings
from tests.conftest import shard_bytes
from tests.integration.test_loading import day
from tests.integration.test_withdraw import put, study

N_LOADS = 30


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A root into which files came one by one."""
    folder = tmp_path_factory.mktemp("compact")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOJOURN_KEY", "a key for tests that is long enough")
        for k in range(N_LOADS):
            put(folder / "raw" / f"{k:02d}.csv", day(f"D{k}", k % 4, n=10))
            load(folder)
    return folder


def load(folder):
    with open_run(study(folder), Settings(root=folder / "t", n_buckets=1, n_threads=1), "load") as run:
        run.execute("pings")


def facts(folder):
    root = folder / "t"
    return shard_bytes(root), Books(Store(root)).records, count_pings(Store(root))


def test_fewer_files_and_the_same_books(loaded, monkeypatch):
    root, before = loaded / "t", facts(loaded)
    newest = [run["run_id"] for run in read_runs(root)][-5:]
    monkeypatch.setattr(books, "RECORDS_PER_PAGE", 20)
    told = CliRunner().invoke(app, ["compact", "--root", str(root), "--keep-runs", "5"])
    assert told.exit_code == 0, told.output
    assert f"of {N_LOADS} records of runs removed; {N_LOADS} files of batch records are 2 now" in told.output
    assert facts(loaded) == before
    kept = {run["run_id"] for run in read_runs(root)}
    assert kept >= set(newest) and len(kept) <= 6
    assert len(list((root / "run_shards").glob("*.parquet"))) == len(kept)
    pings = [r for r in status(study(loaded), Settings(root=root, n_buckets=1)) if r.table in ("source files", "pings")]
    assert {r.state for r in pings} == {"current"}
    put(loaded / "raw" / "late.csv", day("Z", 1, n=10))
    load(loaded)
    assert len(Books(Store(root)).records) == N_LOADS + 1


def test_killed_and_done_again(loaded, monkeypatch):
    root, before = loaded / "t", facts(loaded)
    left, real = [2], files.atomic_file

    def killed(path):
        left[0] -= 1
        if left[0] < 0:
            raise OSError("killed")
        return real(path)

    monkeypatch.setattr(books, "RECORDS_PER_PAGE", 7)
    with monkeypatch.context() as patch:
        patch.setattr(files, "atomic_file", killed)
        with pytest.raises(OSError, match="killed"):
            compact.compact(root)
    with pytest.raises(RunError, match="`sojourn compact` has not finished"):
        load(loaded)
    compact.compact(root)
    assert facts(loaded) == before
