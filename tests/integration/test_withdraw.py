"""People who asked to be deleted: no row of theirs anywhere, now and after every later load, and all else as it was."""

import gzip
import json
import shutil
import time

import pytest
from typer.testing import CliRunner

from data_contracts import PINGS, REJECTED_PINGS, TABLES, Release
from pipeline.cli import app
from pipeline.engine import files, ingest, store, withdraw
from pipeline.engine.books import Books
from pipeline.engine.check import Kind, check_root
from pipeline.engine.opening import hold_root, root_buckets
from pipeline.engine.records import WITHHELD, read_runs
from pipeline.engine.run import count_pings, open_run, status
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError
from pipeline.engine.withdrawals import BOOK
from pipeline.settings import KEY_VARIABLE, Settings
from pipeline.sources.hashing import hash_id
from pipeline.study import Study, StudyError
from tests.conftest import KEY, shard_bytes
from tests.integration.test_loading import COLUMNS, day, write

N_BUCKETS = 2
WHO, ALONE = "Q-17", "Q-99"
FEW = ("pings", "coverage", "stays", "locations", "visits")
"""Tables by date and by bucket, and carried ones: enough where no table of all devices is looked at."""


def study(folder, **source) -> Study:
    given = {"path": "raw/*.csv", "time_unit": "s", "columns": {**COLUMNS, "accuracy_m": "acc"}} | source
    values = {"name": "x", "start": "2020-01-01", "end": "2020-01-04", "zone": "UTC", "sources": [given]}
    return Study.from_dict(values | {"params": {"pings": {"max_accuracy_m": 50.0}}}, folder=folder)


def put(path, rows, acc=5.0):
    """Write rows with an accuracy radius; every tenth row is refused for its own."""
    write(path, [(*row, 99.0 if k % 10 == 9 else acc) for k, row in enumerate(rows)])
    path.write_text(path.read_text().replace("id,t,lon,lat,offset", "id,t,lon,lat,offset,acc"))


@pytest.fixture
def raw(tmp_path):
    return put_raw(tmp_path)


def put_raw(folder):
    put(folder / "raw" / "a.csv", day("A", 0) + day(WHO, 0, 11) + day("B", 0) + day("C", 1))
    # Alone on its date: its shard of pings will have no row left.
    put(folder / "raw" / "b.csv", day(WHO, 1, 11) + day(ALONE, 3, 12) + day("B", 2))
    return folder / "raw"


def settings(root, n_buckets=N_BUCKETS):
    return Settings(root=root, n_buckets=n_buckets, n_threads=1)


def run(a_study, root, n_buckets=N_BUCKETS, stages=FEW):
    """Bring some tables up to date, or (None) all."""
    with open_run(a_study, settings(root, n_buckets), "test") as opened:
        for name in stages or opened.stages:
            opened.execute(name)


def take_out(a_study, root, *ids, n_buckets=N_BUCKETS):
    with hold_root(settings(root, root_buckets(root) or n_buckets), withdraw.COMMAND, a_study.shown()) as held:
        return withdraw.withdraw(held, a_study, [i.encode() for i in ids])


def rows_of(root, *ids):
    """Rows of some devices in all tables, looked for by their hashes."""
    hashes, there, n = {hash_id(i.encode(), KEY.encode()) for i in ids}, Store(root), 0
    for table in TABLES.values():
        if "device_id" in table.names:
            for key in there.keys(table):
                n += sum(d in hashes for d in there.read(table, key)["device_id"].to_pylist())
    return n


def fresh(a_study, root, *ids, stages=FEW):
    """A root on which the devices were withdrawn before anything was loaded."""
    take_out(a_study, root, *ids)
    run(a_study, root, stages=stages)
    return shard_bytes(root)


def test_no_row_is_left_and_a_run_gives_what_a_fresh_root_has(raw, tmp_path):
    root, a_study = tmp_path / "t", study(tmp_path)
    run(a_study, root, stages=None)
    assert rows_of(root, WHO, ALONE) > 100
    done = take_out(a_study, root, WHO, ALONE, "nobody")
    assert rows_of(root, WHO, ALONE) == 0
    assert (done.n_ids, done.n_new, done.n_found) == (3, 3, 2)
    assert done.check._replace(n_shards=0) == withdraw.Check(
        0, 3, 0, len({t for t, _ in withdraw._places(Store(root))})
    )
    assert not any(Store(root).keys(t) for t in TABLES.values() if t.release is Release.PUBLIC)
    told = "".join(p.read_text() for p in root.rglob("*.json")) + str(done)
    assert WHO not in told and str(hash_id(WHO.encode(), KEY.encode())) not in told
    run(a_study, root, stages=None)
    assert shard_bytes(root) == fresh(a_study, tmp_path / "fresh", WHO, ALONE, "nobody", stages=None)
    assert {r.state for r in status(a_study, settings(root))} == {"current"}
    assert check_root(settings(root)).findings == []
    counts = count_pings(Store(root))
    assert counts.reasons["withdrawn"] == 81 and counts.n_duplicates == 0
    assert counts.n_read == counts.n_pings + counts.n_rejected


def test_late_corrected_and_repeated_files_bring_nobody_back(raw, tmp_path):
    root, a_study = tmp_path / "t", study(tmp_path)
    run(a_study, root)
    take_out(a_study, root, WHO)
    put(raw / "late.csv", day(WHO, 2, 11) + day("D", 2) + day(WHO, 0, 13))
    put(raw / "b.csv", day(WHO, 3, 11) + day("B", 3))
    (root / "pings" / "date=2020-01-01" / "bucket=0000.parquet").unlink(missing_ok=True)
    run(a_study, root)
    assert rows_of(root, WHO) == 0
    assert shard_bytes(root) == fresh(a_study, tmp_path / "fresh", WHO)
    found = [r for r in status(a_study, settings(root)) if r.table in ("source files", *FEW)]
    assert {r.state for r in found} == {"current"}
    assert not list((root / "_scratch").rglob("*.arrow"))


def test_repeated_rows_of_the_device_differ_in_a_count_alone(raw, tmp_path):
    put(raw / "copy.csv", [("A", 1_577_880_000 + 7, 10, 50, 0), *day(WHO, 0, 11)])
    root, a_study = tmp_path / "t", study(tmp_path)
    run(a_study, root)
    take_out(a_study, root, WHO)
    run(a_study, root)
    expected, found = fresh(a_study, tmp_path / "fresh", WHO), shard_bytes(root)
    assert {path.split("/")[0] for path in expected if found[path] != expected[path]} == {"pings"}
    assert found.keys() == expected.keys()
    for key in Store(root).keys(PINGS):
        mine, theirs = (Store(r).footer(PINGS, key) for r in (root, tmp_path / "fresh"))
        assert mine.content == theirs.content
        assert {n for n in theirs.made_from if mine.made_from[n] != theirs.made_from[n]} <= {"withdrawn"}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A folder with raw files, a root made of them, and the bytes of one from which a device was withdrawn at first."""
    folder = tmp_path_factory.mktemp("withdraw")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        put_raw(folder)
        run(study(folder), folder / "t")
        return folder, fresh(study(folder), folder / "fresh", WHO)


@pytest.mark.parametrize("n_writes", [3, 4, 5, 8, 14])
def test_killed_and_done_again(loaded, tmp_path, monkeypatch, n_writes):
    """The n-th file is not written, as by a kill; no other command goes on, and the same one does."""
    folder, expected = loaded
    root, a_study = tmp_path / "t", study(folder)
    shutil.copytree(folder / "t", root)
    left, real = [n_writes], files.atomic_file

    def killed(path):
        left[0] -= 1
        if left[0] == 0:
            raise RuntimeError("killed")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "atomic_file", killed)
        patch.setattr(store, "atomic_file", killed)
        with pytest.raises((RunError, RuntimeError)):
            take_out(a_study, root, WHO)
    if n_writes > 3:  # before, it had not begun
        with pytest.raises(RunError, match="`sojourn withdraw` has not finished"):
            run(a_study, root)
    assert take_out(a_study, root, WHO).check.n_rows == 0
    run(a_study, root)
    assert shard_bytes(root) == expected


def test_files_named_after_the_device_are_known_no_more(tmp_path):
    for name, lon in (("p1", 11), ("p2", 12)):
        put(tmp_path / "raw" / f"{name}.csv", day("", 0, lon) + day("", 1, lon))
    columns = {name: column for name, column in COLUMNS.items() if name != "device_id"} | {"accuracy_m": "acc"}
    root, a_study = tmp_path / "t", study(tmp_path, columns=columns, device_from="file_stem")
    run(a_study, root)
    assert take_out(a_study, root, "p1").n_files == 1
    assert rows_of(root, "p1") == 0
    run(a_study, root)
    assert "p1" not in (root / "_digests.json").read_text()
    assert [r.files for r in Books(Store(root)).records.values()] == [["raw/p2.csv"]]
    assert shard_bytes(root) == fresh(a_study, tmp_path / "fresh", "p1")


class TestFilesThatNoRecordNames:
    """Files named after devices whose load failed or was killed: their names are under the root all the same."""

    WHO = "356938035643809"

    @pytest.fixture
    def a_study(self, tmp_path):
        columns = {name: column for name, column in COLUMNS.items() if name != "device_id"} | {"accuracy_m": "acc"}
        put(tmp_path / "raw" / "p1.csv", day("", 0))
        found = study(tmp_path, path="raw/*", columns=columns, device_from="file_stem")
        run(found, tmp_path / "t", stages=["pings"])
        return found

    def load_in_vain(self, a_study, root, match):
        with pytest.raises(RunError, match=match):
            run(a_study, root, stages=["pings"])
        assert self.named(root)

    def named(self, root):
        """Files under a root that hold the id as it is in the name of the source file."""
        found = [p for p in root.rglob("*") if p.is_file() and self.WHO.encode() in p.read_bytes()]
        return found + [k for k in Store(root).keys(REJECTED_PINGS) if self.WHO in str(self.files_of(root, k))]

    def files_of(self, root, key):
        return Store(root).read(REJECTED_PINGS, key)["file"].to_pylist()

    def goes_on(self, a_study, root):
        """The file of another device is gone, as it may be, and one more is loaded: nothing else is needed."""
        folder = a_study.folder / "raw"
        (folder / "p1.csv").rename(a_study.folder / "p1.csv")
        put(folder / "p2.csv", day("", 1, 12))
        run(a_study, root, stages=["pings"])
        assert not self.named(root)
        assert check_root(settings(root)).findings == []
        (a_study.folder / "p1.csv").rename(folder / "p1.csv")
        take_out(a_study, a_study.folder / "fresh", self.WHO)
        run(a_study, a_study.folder / "fresh", stages=["pings"])
        assert shard_bytes(root) == shard_bytes(a_study.folder / "fresh")

    def test_a_file_that_cannot_be_read(self, a_study, tmp_path, monkeypatch):
        root, file = tmp_path / "t", tmp_path / "raw" / f"{self.WHO}.csv.gz"
        put(tmp_path / "whole", day("", 0, 11))
        file.write_bytes(gzip.compress((tmp_path / "whole").read_bytes())[:-20])
        now = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: now() + 10**10)  # the file has been there for long
        self.load_in_vain(a_study, root, "cannot be read")
        assert {p.parent.name for p in self.named(root)} == {"t", "_runs"}
        take_out(a_study, root, self.WHO)
        assert not self.named(root)
        assert errors_told(root) == [WITHHELD]
        self.goes_on(a_study, root)

    def test_a_load_killed_before_the_first_shard(self, a_study, tmp_path, monkeypatch):
        root = tmp_path / "t"
        put(tmp_path / "raw" / f"{self.WHO}.csv", day("", 0, 11))
        with monkeypatch.context() as patch:
            patch.setattr(ingest, "exchange_rows", killed)
            self.load_in_vain(a_study, root, "RuntimeError")
        take_out(a_study, root, self.WHO)
        assert not self.named(root)
        self.goes_on(a_study, root)

    def test_a_load_killed_before_the_record_has_to_end_first(self, a_study, tmp_path, monkeypatch):
        root = tmp_path / "t"
        put(tmp_path / "raw" / f"{self.WHO}.csv", day("", 0, 11))
        with monkeypatch.context() as patch:
            patch.setattr(Books, "add", killed)
            self.load_in_vain(a_study, root, "RuntimeError")
        before = shard_bytes(root)
        with pytest.raises(RunError, match=r"a load of 1 source files was stopped.*`sojourn run` first, then withdraw"):
            take_out(a_study, root, self.WHO)
        assert shard_bytes(root) == before
        assert not (root / BOOK).exists()
        run(a_study, root, stages=["pings"])
        take_out(a_study, root, self.WHO)
        assert not self.named(root)
        self.goes_on(a_study, root)


def killed(*_):
    raise RuntimeError("killed")


def errors_told(root):
    return [run["error"] for run in read_runs(root) if run["error"]]


def test_another_key_neither_brings_them_back_nor_finds_anybody(raw, tmp_path, monkeypatch):
    root, a_study = tmp_path / "t", study(tmp_path)
    take_out(a_study, root, WHO)
    monkeypatch.setenv(KEY_VARIABLE, "another key that is long enough")
    for command in (run, lambda *given: take_out(*given, WHO)):
        with pytest.raises(RunError, match="hashed with another SOJOURN_KEY"):
            command(a_study, root)


def test_a_damaged_list_stops_runs_and_is_told(raw, tmp_path):
    root, a_study = tmp_path / "t", study(tmp_path)
    run(a_study, root, stages=["pings"])
    take_out(a_study, root, WHO)
    (root / BOOK).write_text('{"marks": [')
    with pytest.raises(RunError, match="lets withdrawn devices come back, so rather put it back"):
        run(a_study, root, stages=["pings"])
    assert [(f.kind, f.file) for f in check_root(settings(root)).findings] == [(Kind.DAMAGED, BOOK)]


def test_an_id_that_is_none_changes_nothing(raw, tmp_path):
    with pytest.raises(StudyError, match=r"the 2\. id given stands for no device"):
        take_out(study(tmp_path), tmp_path / "t", WHO, "null")
    assert not (tmp_path / "t" / BOOK).exists()


def test_the_command_line_takes_ids_from_a_file_or_standard_input(raw, tmp_path, monkeypatch):
    root, study_file = tmp_path / "t", tmp_path / "study.toml"
    source = "path='raw/*.csv', time_unit='s', columns={" + ", ".join(f"{k}='{v}'" for k, v in COLUMNS.items()) + "}"
    study_file.write_text(
        f"name='x'\nstart=2020-01-01\nend=2020-01-04\nzone='UTC'\nsources=[{{{source}}}]\n".replace("'", '"')
    )
    run(Study.from_toml(study_file), root)
    command = ["withdraw", str(study_file), "--root", str(root), "--ids-file"]
    (tmp_path / "ids").write_text(f"{ALONE}\n")
    told = CliRunner().invoke(app, [*command, str(tmp_path / "ids")]).output
    assert "1 devices asked for, 1 of them new on the list; 1 had rows" in told
    assert ALONE not in told
    monkeypatch.setattr(withdraw, "_rewrite", lambda *_: None)
    failed = CliRunner().invoke(app, [*command, "-", "--json"], input=f"{WHO}\n")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["check"]["n_rows"] > 0
    monkeypatch.undo()
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    mended = CliRunner().invoke(app, command[:-1])
    assert mended.exit_code == 0, mended.output
    assert "0 rows of 2 withdrawn devices in " in mended.output
