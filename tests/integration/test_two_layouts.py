"""Files of two layouts in one folder, and a vendor who changes the layout after files were loaded."""

import pytest

from data_contracts import PINGS
from pipeline.engine.run import open_run, status
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError
from pipeline.settings import Settings
from tests.conftest import all_rows
from tests.integration.test_loading import COLUMNS, NOON_S, study

OLD = {"path": "raw", "time_unit": "s", "columns": COLUMNS}
BOTH = OLD | {"columns": COLUMNS | {"tracked_at": ["t", "ts"], "accuracy_m": ["acc", ""]}}


def settings(root):
    return Settings(root=root, n_buckets=1, n_threads=1)


def load(a_study, root):
    with open_run(a_study, settings(root), "test") as run:
        return run.execute("pings")


def write(path, names, device):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{names}\n{device},{NOON_S},10,50,0,7\n")


@pytest.fixture
def root(tmp_path):
    """A root with a file of the old layout."""
    write(tmp_path / "raw" / "a.csv", "id,t,lon,lat,offset,x", "A")
    load(study(tmp_path, sources=[OLD]), tmp_path / "t")
    return tmp_path / "t"


def test_files_of_a_new_layout_are_loaded_and_those_of_the_old_not_again(root, tmp_path):
    write(tmp_path / "raw" / "b.csv", "id,ts,lon,lat,offset,acc", "B")
    both = study(tmp_path, sources=[BOTH])
    files = {r.path: r.state for r in status(both, settings(root), stages=["pings"]) if r.table == "source files"}
    assert files == {"raw/a.csv": "current", "raw/b.csv": "missing"}
    assert load(both, root).details["n_pings"] == 2
    assert sorted(all_rows(root, "pings")["accuracy_m"].to_pylist(), key=str) == [7.0, None]
    load(both, tmp_path / "fresh")
    assert Store(root).read(PINGS, Store(root).keys(PINGS)[0]) == all_rows(tmp_path / "fresh", "pings")


def test_a_file_of_the_old_layout_that_is_gone_stays_loaded(root, tmp_path):
    write(tmp_path / "raw" / "b.csv", "id,ts,lon,lat,offset,acc", "B")
    (tmp_path / "raw" / "a.csv").unlink()
    assert load(study(tmp_path, sources=[BOTH]), root).details["n_pings"] == 2


def test_a_file_with_neither_name_or_both_is_left_out_and_named(root, tmp_path):
    write(tmp_path / "raw" / "b.csv", "id,when,lon,lat,offset,acc", "B")
    write(tmp_path / "raw" / "c.csv", "id,t,lon,lat,offset,ts", "C")
    write(tmp_path / "raw" / "d.csv", "id,ts,lon,lat,offset,acc", "D")
    both = study(tmp_path, sources=[BOTH])
    why = {r.path: r.why for r in status(both, settings(root), stages=["pings"]) if r.table == "source files"}
    assert "no column t or ts" in why["raw/b.csv"][0] and "both t and ts" in why["raw/c.csv"][0]
    with pytest.raises(RunError, match=r"2 source files cannot be read. The others were loaded") as error:
        load(both, root)
    assert "b.csv: no column t or ts, as columns.tracked_at has it; it has id, when" in str(error.value)
    assert all_rows(root, "pings").num_rows == 2
