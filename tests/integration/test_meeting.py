"""Tables made of all buckets' rows together: their bytes, when they are stale, what a kill leaves, what is said."""

import importlib
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from distributed import Client, LocalCluster

from data_contracts import PRESENCE, SECTOR_ABSENCE, STAYS, TABLES
from pipeline.catalog import render
from pipeline.engine import lineage, meeting
from pipeline.engine.records import read_runs
from pipeline.engine.run import open_run, status
from pipeline.engine.store import ShardKey, Store
from pipeline.engine.trace import trace
from pipeline.engine.trouble import RunError
from pipeline.settings import Settings
from pipeline.stage import STAGES, stage
from pipeline.study import Study
from tests import toy_stages
from tests.conftest import all_rows, shard_bytes
from tests.toy_stages import N_DEVICES_OF, TOY_HOURS, TOY_MEETINGS, TOY_TABLES, make_hours, write_hours

TOYS = ("toy_kinds", "toy_meetings")
N_BUCKETS = 3


@pytest.fixture(scope="module", autouse=True)
def _toys():
    """The toys, and of the real stages `pings` alone, which `status` asks for."""
    with (
        patch.dict(TABLES, {table.name: table for table in TOY_TABLES}),
        patch.dict(STAGES),
        patch.object(lineage, "_import_graph", lineage._import_graph),
    ):
        found = {name: getattr(importlib.import_module(f"tests.toy_stages.{name}"), name) for name in TOYS}
        pings = STAGES["pings"]
        STAGES.clear()
        STAGES.update({"pings": pings, **found})
        toy_stages.know_toys()
        yield
    lineage.code_digest.cache_clear()


def study(**fields) -> Study:
    values = {"name": "toys", "start": "2020-01-01", "end": "2020-01-02", "zone": "UTC", "sources": []}
    return Study.from_dict(values | fields)


def run(root, n_buckets=N_BUCKETS, stages=TOYS, scheduler=None, n_threads=2, **fields):
    settings = Settings(root=root, n_buckets=n_buckets, n_threads=n_threads, scheduler=scheduler)
    with open_run(study(**fields), settings, "test") as opened:
        return {name: opened.execute(name) for name in stages}


def states(root, **fields):
    reports = status(study(**fields), Settings(root=root, n_buckets=N_BUCKETS))
    return {f"{r.table}/{r.path}": (r.state, r.why) for r in reports if r.table == "toy_meetings"}


@pytest.fixture
def root(tmp_path):
    write_hours(Store(tmp_path / "tables"), make_hours(), N_BUCKETS)
    return tmp_path / "tables"


@pytest.fixture
def done(root):
    run(root)
    return root


def test_every_device_meets_those_of_its_kind_in_all_buckets(done):
    met = all_rows(done, "toy_meetings").to_pandas().set_index("device_id")["n_devices"]
    kinds = make_hours().set_index("device_id")["kind"]
    expected = kinds[kinds != "rare"].map(N_DEVICES_OF) - 1
    assert met.to_dict() == expected.to_dict()
    for key in Store(done).keys(TOY_MEETINGS):
        rows = Store(done).read(TOY_MEETINGS, key)["device_id"].to_numpy().astype(np.uint64)
        assert set(rows % N_BUCKETS) == {key.bucket}


@pytest.mark.parametrize(("n_buckets", "n_threads"), [(1, 1), (64, 2)])
def test_the_number_of_buckets_parts_and_threads_changes_no_row(done, tmp_path, n_buckets, n_threads, monkeypatch):
    monkeypatch.setattr(meeting, "ROWS_PER_PART", 7)
    write_hours(Store(tmp_path), make_hours(), n_buckets)
    run(tmp_path, n_buckets, n_threads=n_threads)
    assert all_rows(tmp_path, "toy_meetings").equals(all_rows(done, "toy_meetings"))
    shards = [key.bucket for key in Store(tmp_path).keys(TOY_MEETINGS)]
    assert shards == [key.bucket for key in Store(tmp_path).keys(TOY_HOURS)]


def test_worker_processes_give_the_bytes_of_threads(done, tmp_path):
    write_hours(Store(tmp_path / "other"), make_hours(), N_BUCKETS)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster:
        with Client(cluster) as client:
            client.run(toy_stages.know_toys)
        run(tmp_path / "other", scheduler=cluster.scheduler_address)
    assert shard_bytes(tmp_path / "other") == shard_bytes(done)


def test_a_second_run_computes_nothing_and_one_missing_shard_comes_back_alone(done):
    before = shard_bytes(done)
    assert run(done)["toy_meetings"].shards == {"current": 3}
    Store(done).remove(TOY_MEETINGS, ShardKey(bucket=1))
    assert states(done)["toy_meetings/bucket=0001.parquet"] == ("missing", ("never computed",))
    assert run(done)["toy_meetings"].shards == {"current": 2, "computed": 1}
    assert shard_bytes(done) == before
    assert set(states(done).values()) == {("current", ())}


def test_one_changed_bucket_makes_all_stale_and_so_does_one_that_is_not_current(done):
    hours = make_hours()
    hours.loc[0, "hours"] += 1.0
    write_hours(Store(done), hours, N_BUCKETS)
    assert states(done) == {
        f"toy_meetings/bucket={bucket:04d}.parquet": ("stale", ("1 shard of toy_hours changed since",))
        for bucket in range(N_BUCKETS)
    }
    assert run(done)["toy_meetings"].shards == {"computed": 3}
    assert set(states(done, params={"toy_meetings": {"times": 2}}).values()) == {("stale", ("parameter times: 1 → 2",))}


def test_a_bucket_without_meetings_has_a_shard_and_one_without_inputs_loses_it(done):
    rows = make_hours()
    bucket = rows["device_id"].to_numpy().astype(np.uint64) % N_BUCKETS
    rows = rows[(bucket != 0) & ((bucket != 1) | (rows["kind"] == "rare"))]
    write_hours(Store(done), rows, N_BUCKETS)
    assert states(done)["toy_meetings/bucket=0000.parquet"] == ("stale", ("its inputs are gone",))
    assert run(done)["toy_meetings"].shards == {"removed": 1, "computed": 2}
    assert Store(done).footer(TOY_MEETINGS, ShardKey(bucket=1)).n_rows == 0
    assert run(done)["toy_meetings"].shards == {"current": 2}
    for key in Store(done).keys(TOY_HOURS):
        Store(done).remove(TOY_HOURS, key)
    assert run(done)["toy_meetings"].shards == {"removed": 2}
    assert run(done)["toy_meetings"].shards == {}


def test_failures_name_the_place_and_never_a_value_and_leave_the_old_shards(done):
    before = shard_bytes(done)
    words = {
        "rows": r"toy_meetings, rows of bucket=000\d\.parquet: ValueError",
        "types": "toy_meetings: the parts of some buckets differ",
        "meet": "toy_meetings, rows that meet: ValueError",
        "finish": r"toy_meetings/bucket=000\d\.parquet: ValueError",
    }
    for fails, message in words.items():
        with pytest.raises(RunError, match=message) as caught:
            run(done, params={"toy_meetings": {"fails": fails}})
        assert "12345" not in str(caught.value)
    assert shard_bytes(done) == before


KILLED = """
import importlib, os, signal, sys
from pathlib import Path
import pyarrow.parquet as pq
from tests import toy_stages
from tests.integration import test_meeting
from pipeline.stage import STAGES

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

toy_stages.know_toys()
toys = {name: getattr(importlib.import_module(f"tests.toy_stages.{name}"), name) for name in test_meeting.TOYS}
STAGES.update(toys)
toy_stages.register_tables()
if sys.argv[2] == "meet":
    meet = toys["toy_meetings"].meet
    object.__setattr__(toys["toy_meetings"], "meet", lambda rows, params: die() if len(rows) else meet(rows, params))
else:
    written = []
    note = pq.ParquetWriter.add_key_value_metadata
    pq.ParquetWriter.add_key_value_metadata = lambda *a: (written.append(1), note(*a) if len(written) < 4 else die())
test_meeting.run(Path(sys.argv[1]), n_threads=1)
"""


@pytest.mark.parametrize("moment", ["meet", "write"])
def test_killed_between_the_shuffles_or_between_two_shards_and_run_again(root, tmp_path, moment):
    command = [sys.executable, "-c", KILLED, root, moment]
    process = subprocess.run(command, capture_output=True, check=False, cwd=Path(__file__).parents[2])
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert len(Store(root).keys(TOY_MEETINGS)) == (moment == "write")
    assert read_runs(root)[-1]["state"] == "killed"
    kept = {"current": 1, "computed": 2} if moment == "write" else {"computed": 3}
    assert run(root)["toy_meetings"].shards == kept
    write_hours(Store(tmp_path / "other"), make_hours(), N_BUCKETS)
    run(tmp_path / "other")
    assert shard_bytes(root) == shard_bytes(tmp_path / "other")


def test_lineage_and_catalogue_lead_to_all_buckets(done):
    tree = trace(done, "toy_meetings", None, 2)
    assert tree["name"] == "toy_meetings/bucket=0002.parquet"
    assert [n["name"] for n in tree["inputs"]] == ["toy_hours (3 shards)", "toy_kinds/all.parquet"]
    assert tree["inputs"][0]["n_rows"] == len(make_hours())
    assert "toy_hours ==> toy_meetings" in render() and "toy_kinds --> toy_meetings" in render()


@pytest.mark.parametrize(
    ("reads", "fields", "message"),
    [
        ((PRESENCE,), {"meet": lambda rows, params: rows}, "needs a finish"),
        (
            (PRESENCE,),
            {"meet": lambda rows, params: rows, "finish": lambda parts, params: parts},
            r"finish of stage toy_meetings takes \(parts, params\)",
        ),
        (
            (PRESENCE,),
            {"meet": lambda params: params, "finish": lambda rows, params: rows},
            r"its declaration says \(rows, params\)",
        ),
        ((STAYS,), {"meet": lambda rows, params: rows, "finish": lambda rows, params: rows}, "device bucket"),
    ],
)
def test_a_meeting_that_contradicts_its_functions_is_refused(reads, fields, message):
    function = (lambda stays, params: 0) if reads == (STAYS,) else (lambda presence, params: 0)
    function.__name__, function.__module__ = "toy_meetings", "somewhere.toy_meetings"
    with pytest.raises(TypeError, match=message):
        stage(reads=reads, writes=TOY_MEETINGS, **fields)(function)


def test_a_table_of_the_study_has_no_meeting():
    def sector_absence(presence, params):
        return presence

    sector_absence.__module__ = "somewhere.sector_absence"
    with pytest.raises(TypeError, match="must be kept by device bucket"):
        stage(reads=(PRESENCE,), writes=SECTOR_ABSENCE, meet=lambda rows, params: 0, finish=lambda parts, params: 0)(
            sector_absence
        )
