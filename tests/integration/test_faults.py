"""Full disks, refused permissions, damaged files and clocks that jump: a clear line, nothing lost, and on again."""

import errno
import gzip
import os
import random
import resource
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from data_contracts import STAYS, TABLES
from pipeline.engine import records
from pipeline.engine.books import Books
from pipeline.engine.files import StoreError
from pipeline.engine.records import RunRecord, read_runs
from pipeline.engine.run import count_pings, open_run, status
from pipeline.engine.store import ShardKey, Store
from pipeline.engine.trouble import RunError
from pipeline.settings import Settings
from tests.conftest import all_rows, shard_bytes
from tests.contract_rows import make_rows
from tests.integration.test_loading import COLUMNS, day, study, write

STAGES = ("pings", "coverage", "stays")
BAD_ROW = ("A", 1_577_880_000, 200, 50, 0)
SECRETS = ("1577880000", "50.0,")
NOBODY = 65_534


def run(a_study, root, stages=STAGES):
    with open_run(a_study, Settings(root=root, n_buckets=1, n_threads=1), "test") as opened:
        for stage in stages:
            opened.execute(stage)


@pytest.fixture
def raw(tmp_path):
    write(tmp_path / "raw" / "a.csv", [*day("A", 0), BAD_ROW, *day("A", 1)])
    write(tmp_path / "raw" / "b.csv", day("B", 0) + day("B", 1))
    return tmp_path / "raw"


@pytest.fixture
def undisturbed(raw, tmp_path):
    """The bytes of a run that nothing disturbed."""
    run(study(tmp_path), tmp_path / "undisturbed")
    return shard_bytes(tmp_path / "undisturbed")


def assert_like(undisturbed, tmp_path, root):
    """Running again gives the bytes of an undisturbed run, and leaves nothing else behind."""
    run(study(tmp_path), root)
    assert shard_bytes(root) == undisturbed
    assert not list(root.rglob(".*.tmp"))
    count_pings(Store(root))


def fails(a_study, root, match):
    """Assert that a run ends in an error of ours without a row's values, and return its text."""
    with pytest.raises((RunError, StoreError), match=match) as caught:
        run(a_study, root)
    text = str(caught.value)
    assert not any(secret in text for secret in SECRETS)
    assert "\n" not in text
    return text


@contextmanager
def file_size_limit(n_bytes):
    """Let the kernel refuse to make any file of this process larger than that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("n_bytes", [0, 1_000, 2_500])
def test_files_that_cannot_grow_are_named_and_lose_nothing(undisturbed, tmp_path, n_bytes):
    root = tmp_path / "t"
    with file_size_limit(n_bytes), pytest.raises((RunError, OSError)) as caught:
        run(study(tmp_path), root)
    if isinstance(caught.value, RunError):
        assert "File too large" in str(caught.value)
    else:
        assert caught.value.errno == errno.EFBIG
    assert_like(undisturbed, tmp_path, root)


@pytest.mark.parametrize("step", (1, 2, 3, 5, 8, 11, 15))
def test_a_disk_that_is_full_at_any_write_loses_nothing(undisturbed, tmp_path, monkeypatch, step):
    """Space is often found to be lacking only when a file is flushed to the disk."""
    root, n_writes, flush = tmp_path / "t", 0, os.fsync

    def full(handle):
        nonlocal n_writes
        n_writes += 1
        if n_writes >= step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((RunError, OSError), match="No space left on device"):
        run(study(tmp_path), root)
    monkeypatch.setattr(os, "fsync", flush)
    assert not list(root.rglob(".*.tmp"))
    assert_like(undisturbed, tmp_path, root)
    assert read_runs(root)[-1]["state"] == "finished"


@contextmanager
def as_nobody():
    """Be a user without rights, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(tmp_path):
    """`tmp_path`, which anybody may enter and write to."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder not in (Path("/tmp"), Path("/")):
            folder.chmod(folder.stat().st_mode | 0o755)
    tmp_path.chmod(0o777)
    return tmp_path


def test_a_file_that_may_not_be_read_is_named_and_the_others_are_loaded(raw, undisturbed, open_folder, tmp_path):
    (raw / "b.csv").chmod(0)
    with as_nobody():
        text = fails(study(tmp_path), tmp_path / "t", r"1 source file cannot be read. The others were loaded")
        assert "raw/b.csv: Permission denied" in text
        assert count_pings(Store(tmp_path / "t")).n_pings == 60
        assert ("raw/b.csv", "missing") in {(r.path, r.state) for r in states(tmp_path)}
    # What was loaded before stays when its file may no longer be read.
    (raw / "b.csv").chmod(0o644)
    (raw / "a.csv").chmod(0)
    with as_nobody():
        fails(study(tmp_path), tmp_path / "t", r"raw/a\.csv: Permission denied")
        assert count_pings(Store(tmp_path / "t")).n_pings == 120
    (raw / "a.csv").chmod(0o644)
    run(study(tmp_path), tmp_path / "fresh")
    with as_nobody():
        run(study(tmp_path), tmp_path / "t")
    assert shard_bytes(tmp_path / "t") == shard_bytes(tmp_path / "fresh")


def states(tmp_path):
    return status(study(tmp_path), Settings(root=tmp_path / "t", n_buckets=1))


def test_a_root_that_may_not_be_written_to_is_named(undisturbed, open_folder, tmp_path):
    root = tmp_path / "undisturbed"
    write(tmp_path / "raw" / "c.csv", day("C", 2))
    with as_nobody(), pytest.raises((RunError, OSError), match="Permission denied"):
        run(study(tmp_path), root)
    assert shard_bytes(root) == undisturbed


def truncated(data):
    return data[: len(data) // 2]


def without_footer(data):
    return data[:-9]


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def with_flipped_page(data):
    """One bit of the last value of the first column."""
    return flipped(data, last_byte(pq.read_metadata(pa.BufferReader(data)).row_group(0).column(0)))


def last_byte(column):
    return (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 1


def with_flipped_text(data):
    return flipped(data, len(data) // 2)


def with_flipped_footer(data):
    return flipped(data, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))


def empty(data):
    return b""


def with_garbage(data):
    return data + b"garbage after the end" * 20


PARQUET = (truncated, without_footer, with_flipped_page, with_flipped_footer, empty)
GZIP = (truncated, without_footer, with_flipped_text, with_garbage, empty)
DAMAGES = [("b.parquet", damage) for damage in PARQUET] + [("b.csv.gz", damage) for damage in GZIP]


@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_file_is_named_left_out_and_loaded_once_mended(raw, tmp_path, name, damage):
    path, root = raw / name, tmp_path / "t"
    if name.endswith(".parquet"):
        # Not compressed: a flipped bit is then a wrong number, unless a checksum tells.
        pq.write_table(pacsv.read_csv(raw / "b.csv"), path, write_page_checksum=True, compression="none")
    else:
        path.write_bytes(gzip.compress((raw / "b.csv").read_bytes(), mtime=0))
    (raw / "b.csv").unlink()
    kinds = {"raw/*.csv": "delimited", f"raw/{name}": "parquet" if name.endswith(".parquet") else "delimited"}
    sources = [{"path": p, "format": kind, "time_unit": "s", "columns": COLUMNS} for p, kind in kinds.items()]
    a_study, whole = study(tmp_path, sources=sources), path.read_bytes()
    path.write_bytes(damage(whole))
    text = fails(a_study, root, "1 source file cannot be read. The others were loaded")
    assert name in text
    assert count_pings(Store(root)).n_pings == 60
    path.write_bytes(whole)
    run(a_study, root, ("pings",))
    run(a_study, tmp_path / "fresh", ("pings",))
    assert shard_bytes(root) == shard_bytes(tmp_path / "fresh")
    assert count_pings(Store(root)).n_pings == 120


@pytest.mark.parametrize("table", ["pings", "rejected_pings", "stays", "open_stays"])
@pytest.mark.parametrize("damage", [truncated, with_flipped_page, with_flipped_footer, empty])
def test_a_damaged_shard_is_named_and_made_again_once_removed(raw, tmp_path, table, damage):
    fields = {"params": {"stays": {"gap_s": float("inf")}}}
    root, a_study = tmp_path / "t", study(tmp_path, **fields)
    run(a_study, root)
    undisturbed = shard_bytes(root)
    shard = next(p for p in sorted((root / table).rglob("*.parquet")) if pq.read_metadata(p).num_rows)
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises((RunError, StoreError), match="remove it and run again, and it is made again") as caught:
        run(a_study, root)
        for key in Store(root).keys(TABLES[table]):
            Store(root).read(TABLES[table], key)
    assert f"{table}/{shard.relative_to(root / table)}" in str(caught.value)
    shard.unlink()
    run(a_study, root)
    assert shard_bytes(root) == undisturbed


def test_flipped_bits_of_pages_never_pass_for_data(tmp_path):
    store, key, draw = Store(tmp_path), ShardKey(name="x"), random.Random(1)
    store.write(STAYS, key, make_rows(STAYS, 2_000, seed=1), {})
    path = store.path(STAYS, key)
    whole, group = path.read_bytes(), pq.read_metadata(path).row_group(0)
    for k in range(group.num_columns):
        column = group.column(k)
        # The last quarter of a column is within the values of its last page, behind all headers.
        at = last_byte(column) - draw.randrange(max(1, column.total_compressed_size // 4))
        path.write_bytes(flipped(whole, at))
        with pytest.raises(StoreError, match=r"stays/x\.parquet is damaged"):
            store.read(STAYS, key)


@pytest.mark.parametrize("name", ["_root.json", "_digests.json", "_batches", "_runs"])
@pytest.mark.parametrize("damage", [empty, truncated])
def test_a_damaged_record_is_named_and_written_again_once_removed(undisturbed, tmp_path, name, damage):
    root = tmp_path / "undisturbed"
    path = root / name if name.endswith(".json") else sorted((root / name).glob("*.json"))[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises((RunError, StoreError), match=rf"{path.name} is damaged.*remove it and run again"):
        run(study(tmp_path), root)
        read_runs(root)
    path.unlink()
    assert_like(undisturbed, tmp_path, root)
    assert len(Books(Store(root)).records) == 2
    assert all_rows(root, "rejected_pings").num_rows == 1


def test_refused_rows_that_were_lost_are_written_again(undisturbed, tmp_path):
    root = tmp_path / "undisturbed"
    next((root / "rejected_pings").glob("*.parquet")).unlink()
    assert "stale" in {r.state for r in status(study(tmp_path), Settings(root=root, n_buckets=1))}
    assert_like(undisturbed, tmp_path, root)


def test_a_change_within_a_tick_of_the_clock_is_seen(raw, tmp_path):
    """Same size, same time: the file was written twice within what the file system can tell apart."""
    root, path = tmp_path / "t", raw / "b.csv"
    now = time.time_ns()
    os.utime(path, ns=(now, now))
    run(study(tmp_path), root, ("pings",))
    path.write_text(path.read_text().replace("10.0", "11.0"))
    os.utime(path, ns=(now, now))
    run(study(tmp_path), root, ("pings",))
    assert set(all_rows(root, "pings").to_pandas()["lon_e7"]) == {100_000_000, 110_000_000}


def test_a_change_that_keeps_size_and_time_is_seen(raw, tmp_path, monkeypatch):
    """`cp -p` of a correction may keep both; what nobody can set is the time of the last change of all."""
    monkeypatch.setattr("pipeline.engine.digests.SETTLED_NS", -(10**12))  # all files have settled
    root, path = tmp_path / "t", raw / "b.csv"
    before = path.stat().st_mtime_ns
    run(study(tmp_path), root, ("pings",))
    time.sleep(0.02)
    path.write_text(path.read_text().replace("10.0", "11.0"))
    os.utime(path, ns=(before, before))
    run(study(tmp_path), root, ("pings",))
    assert set(all_rows(root, "pings").to_pandas()["lon_e7"]) == {100_000_000, 110_000_000}


class SetClock(datetime):
    """A clock that somebody set."""

    shift = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.shift


def test_runs_keep_their_order_when_the_clock_is_set(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "datetime", SetClock)
    ids = []
    for hours in (0, -5, -5, 7, 0):
        SetClock.shift = timedelta(hours=hours)
        record = RunRecord(tmp_path, "test", {})
        record.close("finished")
        ids.append(record.run_id)
    assert [run["run_id"] for run in read_runs(tmp_path)] == ids == sorted(ids)
    assert datetime.fromisoformat(read_runs(tmp_path)[1]["started_at"]) < datetime.now(UTC)


def test_a_run_is_alive_whatever_the_clock_says(tmp_path, monkeypatch):
    RunRecord(tmp_path, "test", {})
    boot, created = psutil.boot_time, psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot() + 7_200)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + 7_200)
    assert [run["state"] for run in read_runs(tmp_path)] == ["running"]
