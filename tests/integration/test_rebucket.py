"""Other bucket counts: the rows of a fresh root with that many, whatever was loaded, withdrawn or killed before."""

import shutil
from datetime import date

import pytest
from typer.testing import CliRunner

from data_contracts import PINGS, TABLES, Shard
from pipeline.cli import app
from pipeline.engine import compact, files, rebucket, store
from pipeline.engine.check import check_root
from pipeline.engine.files import names_below
from pipeline.engine.opening import hold_root, root_buckets
from pipeline.engine.run import count_pings, status
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError
from pipeline.engine.unfinished import unfinished
from pipeline.paths import as_path
from pipeline.settings import KEY_VARIABLE, Settings
from pipeline.study import StudyError
from tests.conftest import KEY, shard_bytes
from tests.integration.test_loading import day
from tests.integration.test_withdraw import FEW, put, rows_of, run, study, take_out
from tests.s3_server import serving

GONE = "Q-17"


@pytest.fixture
def raw(tmp_path):
    return put_raw(tmp_path)


def put_raw(folder):
    rows = [row for k in range(9) for row in day(f"D{k}", k % 3, 10 + k)]
    put(folder / "raw" / "a.csv", rows + day(GONE, 0))
    put(folder / "raw" / "b.csv", [row for k in range(9) for row in day(f"D{k}", 2, 10 + k)] + day(GONE, 3))
    return folder / "raw"


def cut_anew(root, n_buckets):
    settings = Settings(root=root, n_buckets=root_buckets(root), n_threads=1)
    with hold_root(settings, rebucket.COMMAND, {}) as held:
        return rebucket.rebucket(held, n_buckets)


def contents(root):
    """What every shard of pings holds, whatever its footer says."""
    return {key.path: Store(root).footer(PINGS, key).content for key in Store(root).keys(PINGS)}


def is_like(root, fresh, a_study, n_buckets):
    """All tables are those of a fresh root, of pings the data are; return whether all counts are, too."""
    assert contents(root) == contents(fresh)
    others = [t.name for t in TABLES.values() if t is not PINGS and t.shard is not Shard.RUN]
    assert shard_bytes(root, *others) == shard_bytes(fresh, *others)
    found = status(a_study, Settings(root=root, n_buckets=n_buckets))
    assert {r.state for r in found if r.table in ("source files", *FEW)} == {"current"}
    mine, theirs = count_pings(Store(root)), count_pings(Store(fresh))
    assert (mine.n_read, mine.n_pings) == (theirs.n_read, theirs.n_pings)
    assert mine.n_duplicates >= 0
    assert check_root(Settings(root=root, n_buckets=n_buckets, n_threads=1)).findings == []
    return mine == theirs


@pytest.mark.parametrize(("since", "to", "is_exact"), [(4, 2, True), (4, 1, True), (2, 3, False), (2, 4, False)])
def test_the_tables_are_those_of_a_fresh_root(raw, tmp_path, since, to, is_exact):
    root, fresh, a_study = tmp_path / "t", tmp_path / "fresh", study(tmp_path)
    run(a_study, root, since)
    done = cut_anew(root, to)
    assert done == (since, to, count_pings(Store(root)).n_pings, len(Store(root).keys(PINGS)))
    assert not any(Store(root).keys(t) for t in TABLES.values() if t.shard is Shard.BUCKET)
    run(a_study, root, to)
    run(a_study, fresh, to)
    assert is_like(root, fresh, a_study, to)
    assert (shard_bytes(root) == shard_bytes(fresh)) == is_exact


def test_later_loads_and_withdrawals_go_on(raw, tmp_path):
    root, fresh, a_study = tmp_path / "t", tmp_path / "fresh", study(tmp_path)
    run(a_study, root, 2, ["pings"])
    take_out(a_study, root, GONE)
    cut_anew(root, 3)
    put(raw / "b.csv", day("D1", 2, 11) + day(GONE, 1))
    put(raw / "c.csv", day("D2", 3, 12) + day("D3", 1, 13))
    run(a_study, root, 3, ["pings"])
    take_out(a_study, root, "D3")
    run(a_study, root, 3)
    take_out(a_study, fresh, GONE, "D3", n_buckets=3)
    run(a_study, fresh, 3)
    is_like(root, fresh, a_study, 3)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A folder with raw files, a root of four buckets, and the bytes of one of two."""
    folder = tmp_path_factory.mktemp("rebucket")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        put_raw(folder)
        run(study(folder), folder / "t", 4, ["pings", "coverage"])
        run(study(folder), folder / "fresh", 2, ["pings", "coverage"])
        return folder, shard_bytes(folder / "fresh")


@pytest.mark.parametrize(
    ("what", "n"), [("write", n) for n in (3, 4, 11, 12, 13, 14, 15)] + [("move", 1), ("move", 3), ("remove", 5)]
)
def test_killed_and_done_again(loaded, tmp_path, monkeypatch, what, n):
    """The n-th file is not written, moved or removed; no other command begins, nor another number of buckets."""
    folder, expected = loaded
    root, a_study = tmp_path / "t", study(folder)
    shutil.copytree(folder / "t", root)
    left, write, move = [n], files.atomic_file, rebucket.move_file

    def killed(real):
        def counted(*paths):
            left[0] -= 1
            if left[0] == 0:
                raise RuntimeError("killed")
            return real(*paths)

        return counted

    with monkeypatch.context() as patch:
        if what == "write":
            patch.setattr(files, "atomic_file", killed(write))
            patch.setattr(store, "atomic_file", killed(write))
        elif what == "move":
            patch.setattr(rebucket, "move_file", killed(move))
        else:
            patch.setattr(Store, "remove", killed(Store.remove))
        with pytest.raises((RunError, RuntimeError)):
            cut_anew(root, 2)
    if (what, n) != ("write", 3):
        with pytest.raises(RunError, match="`sojourn rebucket` has not finished"):
            run(a_study, root, root_buckets(root))
        with pytest.raises(RunError, match="finish it first, with --buckets 2"):
            cut_anew(root, 3)
    cut_anew(root, 2)
    run(a_study, root, 2, ["pings", "coverage"])
    assert shard_bytes(root) == expected
    assert not (root / rebucket.STAGED).exists()


def kill_load(a_study, root, n_buckets):
    """Load, and be killed at the third shard of pings."""
    left, write = [3], Store.write

    def killed(self, table, *given):
        left[0] -= table is PINGS
        if table is PINGS and left[0] == 0:
            raise RuntimeError("killed")
        return write(self, table, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", killed)
        with pytest.raises(RunError, match="RuntimeError"):
            run(a_study, root, n_buckets, ["pings"])


@pytest.mark.parametrize(("since", "to"), [(4, 2), (2, 3)])
@pytest.mark.parametrize("what", ["killed", "killed in a longer span", "lost"])
def test_an_incomplete_load_has_to_end_first(raw, tmp_path, since, to, what):
    """A new shard made of a shard with rows of a file and of one without would pass for having them all."""
    root, fresh, a_study = tmp_path / "t", tmp_path / "fresh", study(tmp_path)
    is_longer = what == "killed in a longer span"
    run(a_study.model_copy(update={"end": date(2020, 1, 2)}) if is_longer else a_study, root, since, ["pings"])
    if what == "lost":
        key = Store(root).keys(PINGS)[0]
        Store(root).remove(PINGS, key)
    else:
        if not is_longer:
            put(raw / "c.csv", [row for k in range(9) for d in (0, 2) for row in day(f"D{k}", d, 40 + k)])
        kill_load(a_study, root, since)
    before = shard_bytes(root)
    with pytest.raises(RunError, match=r"not all rows of [12] source files are in pings .* first, then rebucket"):
        cut_anew(root, to)
    assert (shard_bytes(root), root_buckets(root), unfinished(root)) == (before, since, {})
    run(a_study, root, since, ["pings"])
    cut_anew(root, to)
    run(a_study, root, to, ["pings"])
    run(a_study, fresh, to, ["pings"])
    assert contents(root) == contents(fresh)
    assert check_root(Settings(root=root, n_buckets=to, n_threads=1)).findings == []


def test_at_an_object_store(raw, tmp_path):
    roots, a_study = [tmp_path / "t"], study(tmp_path)
    with serving(tmp_path / "s3") as server:
        roots.append(as_path(f"s3://{server.bucket}/tables"))
        for root in roots:
            run(a_study, root, 4, ["pings"])
            assert take_out(a_study, root, GONE).n_rows > 0
            cut_anew(root, 2)
            assert compact.compact(root, keep_runs=1).n_runs == 3
            run(a_study, root, 2, ["pings"])
        assert contents(roots[1]) == contents(roots[0])
        assert rows_of(roots[1], GONE) == 0
        assert not names_below(roots[1] / rebucket.STAGED, "*")


def test_the_command_line_says_what_was_done_and_what_is_next(raw, tmp_path):
    root = tmp_path / "t"
    command = ["rebucket", "--root", str(root), "--buckets"]
    assert isinstance(CliRunner().invoke(app, [*command, "2"]).exception, StudyError)
    run(study(tmp_path), root, 2, ["pings"])
    told = CliRunner().invoke(app, [*command, "3"])
    assert told.exit_code == 0, told.output
    assert "pings from 2 buckets to 3" in told.output
    assert "--buckets 3" in told.output
    assert "3 buckets already" in str(CliRunner().invoke(app, [*command, "3"]).exception)
