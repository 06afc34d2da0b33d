"""`sojourn check`: whatever is done to a file of a root is told, and nothing is written."""

import shutil

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts import STAYS, TABLES
from pipeline.engine.books import Books
from pipeline.engine.check import Kind, check_root
from pipeline.engine.files import StoreError
from pipeline.engine.records import RunRecord
from pipeline.engine.run import open_run
from pipeline.engine.store import FOOTER_KEY, ShardKey, Store
from pipeline.settings import Settings
from tests.integration.test_faults import (
    BAD_ROW,
    SECRETS,
    empty,
    truncated,
    with_flipped_footer,
    with_flipped_page,
)
from tests.integration.test_loading import day, study, write

STAGES = ("pings", "coverage", "stays", "locations", "visits", "trips", "epr_fits")
N_BUCKETS = 2


def a_study(folder):
    return study(folder, params={"stays": {"gap_s": float("inf")}})


def run(folder, root):
    with open_run(a_study(folder), Settings(root=root, n_buckets=N_BUCKETS, n_threads=1), "test") as opened:
        for stage in STAGES:
            opened.execute(stage)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a study and a root in which nothing is wrong."""
    folder = tmp_path_factory.mktemp("made")
    write(folder / "raw" / "a.csv", [*day("A", 0), BAD_ROW, *day("A", 1)])
    write(folder / "raw" / "b.csv", [row for name in "BCDE" for k in (0, 1, 2) for row in day(name, k)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOJOURN_KEY", "a key for tests that is long enough")
        run(folder, folder / "t")
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of it that may be damaged."""
    return shutil.copytree(made, tmp_path / "copy")


@pytest.fixture
def root(folder):
    return folder / "t"


@pytest.fixture
def check(tmp_path):
    def check(root):
        return check_root(Settings(root=root, n_threads=1, scratch=tmp_path / "scratch"))

    return check


def told(checked):
    for finding in checked.findings:
        assert not any(secret in finding.words for secret in SECRETS)
        assert "\n" not in finding.words
    return {(finding.kind, finding.file) for finding in checked.findings}


def shard_of(root, table):
    """The first shard of a table that has rows, if one has, below the root."""
    shards = sorted((root / table).rglob("*.parquet"), key=lambda p: (not pq.read_metadata(p).num_rows, p))
    return shards[0].relative_to(root).as_posix()


def everything(root):
    return {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes()) for p in [root, *root.rglob("*")]}


def test_a_sound_root_is_sound_and_nothing_is_written(made, check):
    root = made / "t"
    before = everything(root)
    checked = check(root)
    assert everything(root) == before
    assert (checked.findings, checked.is_sound, checked.writing) == ([], True, [])
    shards = [p for name in TABLES for p in (root / name).rglob("*.parquet")]
    assert checked.n_shards == len(shards) > 30
    assert checked.n_rows == sum(pq.read_metadata(p).num_rows for p in shards)
    assert checked.n_bytes == sum(p.stat().st_size for p in shards)


@pytest.mark.parametrize("table", ["pings", "rejected_pings", "open_stays", "stays", "visits", "run_shards"])
@pytest.mark.parametrize("damage", [truncated, with_flipped_page, with_flipped_footer, empty])
def test_a_damaged_shard_alone_is_named(root, check, table, damage):
    file = shard_of(root, table)
    (root / file).write_bytes(damage((root / file).read_bytes()))
    checked = check(root)
    assert told(checked) == {(Kind.DAMAGED, file)}
    assert not checked.is_sound
    assert "remove it and run again" in checked.findings[0].words


def test_every_flipped_byte_before_the_footer_is_found(root, check):
    """Headers of pages have no checksum, but the hash in the footer covers them too."""
    file = shard_of(root, "stays")
    data = (root / file).read_bytes()
    end = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for at in (4, end // 3, end - 1):
        (root / file).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert told(check(root)) == {(Kind.DAMAGED, file)}


def test_other_rows_under_an_old_footer_are_found(root, check):
    """All of its pages and rows are sound: only the hash tells."""
    file = shard_of(root, "stays")
    note = pq.read_metadata(root / file).metadata[FOOTER_KEY]
    rows = pq.read_table(root / file, partitioning=None)
    with pq.ParquetWriter(root / file, STAYS.schema, write_page_checksum=True) as writer:
        writer.write_table(rows.slice(0, rows.num_rows - 1))
        writer.add_key_value_metadata({FOOTER_KEY.decode(): note.decode()})
    checked = check(root)
    assert told(checked) == {(Kind.DAMAGED, file)}
    assert "whose hash" in checked.findings[0].words


@pytest.mark.parametrize("table", ["pings", "stays", "visits", "open_stays"])
def test_swapped_shards_are_both_named(folder, root, check, table):
    one, two = sorted(p for p in (root / table).rglob("*.parquet") if pq.read_metadata(p).num_rows)[:2]
    one.rename(root / "kept")
    two.rename(one)
    (root / "kept").rename(two)
    checked = check(root)
    assert {f for f in told(checked) if f[0] == Kind.DAMAGED} == {
        (Kind.DAMAGED, path.relative_to(root).as_posix()) for path in (one, two)
    }
    assert f"written as {two.relative_to(root).as_posix()}" in " ".join(f.words for f in checked.findings)
    one.unlink()
    two.unlink()
    run(folder, root)
    assert check(root).findings == []


def test_rows_of_devices_of_another_bucket_are_found(root, check):
    store = Store(root)
    key = next(key for key in store.keys(STAYS) if store.read(STAYS, key).num_rows)
    other = key._replace(bucket=1 - (key.bucket or 0))
    store.write(STAYS, other, store.read(STAYS, key), store.footer(STAYS, key).made_from)
    checked = check(root)
    assert (Kind.DAMAGED, f"stays/{other.path}") in told(checked)
    assert "devices of other buckets" in checked.findings[0].words


@pytest.mark.parametrize(
    "table", ["pings", "rejected_pings", "coverage", "open_stays", "stays", "locations", "visits", "epr_fits"]
)
def test_a_missing_shard_is_named_until_a_run_has_made_it_again(folder, root, check, table):
    file = shard_of(root, table)
    (root / file).unlink()
    checked = check(root)
    assert {kind for kind, _ in told(checked)} == {Kind.MISSING}
    assert any(found.startswith(f"{table}/") for _, found in told(checked))
    assert not checked.is_sound
    run(folder, root)
    assert check(root).findings == []


def test_a_shard_whose_input_is_gone_is_not_missed(folder, root, check):
    """A file that has become another day's: its date has no shard any more."""
    write(folder / "raw" / "b.csv", [row for name in "BCDE" for k in (0, 1) for row in day(name, k)])
    run(folder, root)
    assert not list((root / "pings").glob("date=2020-01-03/*"))
    assert check(root).findings == []


def test_what_stopped_runs_leave_is_told_and_harmless(root, check):
    (root / "stays" / "date=2020-01-01" / ".bucket=0001.parquet.00ff.tmp").write_bytes(b"half")
    (root / "visits" / "notes.txt").write_bytes(b"mine")
    (root / "_scratch" / "blocks").mkdir(parents=True, exist_ok=True)
    (root / "_scratch" / "blocks" / "000000.arrow").write_bytes(b"rows")
    checked = check(root)
    assert told(checked) == {
        (Kind.LEFTOVER, "stays/date=2020-01-01/.bucket=0001.parquet.00ff.tmp"),
        (Kind.LEFTOVER, "visits/notes.txt"),
        (Kind.LEFTOVER, "_scratch/blocks"),
    }
    assert checked.is_sound


def test_a_load_that_was_stopped_is_unfinished_and_not_damaged(folder, root, check, monkeypatch):
    write(folder / "raw" / "c.csv", day("F", 1))

    def stopped(self, records):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Books, "add", stopped)
        run(folder, root)
    checked = check(root)
    assert {kind for kind, _ in told(checked)} == {Kind.UNFINISHED, Kind.LEFTOVER}
    assert checked.is_sound
    run(folder, root)
    assert check(root).findings == []


@pytest.mark.parametrize("name", ["_root.json", "_digests.json", "_origins.json", "_batches", "_runs"])
@pytest.mark.parametrize("damage", [empty, truncated])
def test_a_damaged_record_is_named(root, check, name, damage):
    path = root / name if name.endswith(".json") else sorted((root / name).glob("*.json"))[0]
    path.write_bytes(damage(path.read_bytes()))
    assert told(check(root)) == {(Kind.DAMAGED, path.relative_to(root).as_posix())}


def test_a_layout_without_a_bucket_count_is_damaged(root, check):
    (root / "_root.json").write_text("{}")
    assert told(check(root)) == {(Kind.DAMAGED, "_root.json")}
    (root / "_root.json").unlink()
    assert told(check(root)) == {(Kind.MISSING, "_root.json")}


def test_a_run_at_work_is_named(root, check):
    record = RunRecord(root, "test", {})
    assert check(root).writing == [record.run_id]
    record.close("finished")
    assert check(root).writing == []


def test_a_folder_without_tables_is_no_root(tmp_path, check):
    with pytest.raises(StoreError, match="holds no shard"):
        check(tmp_path / "nothing")


def test_a_root_at_a_store_is_read_alike(root, check):
    there = fsspec.filesystem("memory")
    there.put(str(root), "/checked", recursive=True)
    checked = check("memory://checked")
    assert (checked.findings, checked.n_shards) == ([], check(root).n_shards)
    file = shard_of(root, "visits")
    there.pipe_file(f"/checked/{file}", truncated(there.cat_file(f"/checked/{file}")))
    assert told(check("memory://checked")) == {(Kind.DAMAGED, file)}
    there.rm("/checked", recursive=True)


def test_the_footer_tells_where_it_was_written(tmp_path):
    store, key = Store(tmp_path), ShardKey(name="x")
    footer = store.write(STAYS, key, pa.Table.from_pylist([], STAYS.schema), {})
    assert footer.place == store.footer(STAYS, key).place == "stays/x.parquet"
