"""Tables gathered from all device buckets: their bytes, when they are stale, what a kill leaves, what may leave."""

import importlib
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from data_contracts import TABLES
from pipeline.catalog import load, render
from pipeline.engine import lineage
from pipeline.engine.records import read_runs
from pipeline.engine.run import open_run, status
from pipeline.engine.store import ALL, ShardKey, Store
from pipeline.engine.trace import trace
from pipeline.engine.trouble import RunError
from pipeline.settings import Settings
from pipeline.stage import STAGES
from pipeline.study import Study
from tests import toy_stages
from tests.conftest import all_rows, shard_bytes
from tests.toy_stages import (
    N_DEVICES_OF,
    TOY_HOURS,
    TOY_KINDS,
    TOY_RELEASE,
    TOY_SHARES,
    TOY_TABLES,
    TOY_TOTALS,
    make_hours,
    write_hours,
)

TOYS = ("toy_kinds", "toy_shares", "toy_release", "toy_totals")
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


def run(root, n_buckets=N_BUCKETS, stages=TOYS, scheduler=None, **fields):
    settings = Settings(root=root, n_buckets=n_buckets, n_threads=2, scheduler=scheduler)
    with open_run(study(**fields), settings, "test") as opened:
        return {name: opened.execute(name) for name in stages}


def states(root, **fields):
    reports = status(study(**fields), Settings(root=root, n_buckets=N_BUCKETS))
    return {f"{r.table}/{r.path}": (r.state, r.why) for r in reports}


@pytest.fixture
def root(tmp_path):
    write_hours(Store(tmp_path / "tables"), make_hours(), N_BUCKETS)
    return tmp_path / "tables"


@pytest.fixture
def done(root):
    run(root)
    return root


def test_the_gathered_table_is_that_of_all_rows_at_once(done):
    expected = make_hours().groupby("kind").agg(n_devices=("hours", "size"), hours=("hours", "sum"))
    found = load("toy_kinds", root=done)
    assert found["kind"].tolist() == sorted(N_DEVICES_OF)
    assert found["n_devices"].to_dict() == dict(enumerate(N_DEVICES_OF.values()))
    np.testing.assert_allclose(found["hours"], expected["hours"], atol=1e-7)
    assert set(found["n_drawn"]) == {0}
    shares = all_rows(done, "toy_shares").to_pandas()
    np.testing.assert_allclose(shares.groupby("kind")["share"].sum(), 1.0)
    assert Store(done).keys(TOY_KINDS) == [ALL]


@pytest.mark.parametrize("n_buckets", [1, 8, 64])
def test_the_number_of_buckets_changes_no_byte(done, tmp_path, n_buckets):
    """Some of 64 buckets are empty. The footer differs: it names the shards that went in."""
    other = tmp_path / "other"
    write_hours(Store(other), make_hours(), n_buckets)
    run(other, n_buckets)
    for table in (TOY_KINDS, TOY_RELEASE):
        mine, yours = (Store(folder).footer(table, ALL) for folder in (done, other))
        assert mine.content == yours.content
    assert all_rows(other, "toy_shares").equals(all_rows(done, "toy_shares"))


def test_worker_processes_give_the_bytes_of_threads(done, tmp_path):
    write_hours(Store(tmp_path / "other"), make_hours(), N_BUCKETS)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster:
        with Client(cluster) as client:
            client.run(toy_stages.know_toys)
        run(tmp_path / "other", scheduler=cluster.scheduler_address)
    assert shard_bytes(tmp_path / "other") == shard_bytes(done)


def test_a_run_reports_one_shard_and_a_second_computes_nothing(root):
    first, before = run(root), shard_bytes(root)
    assert [first[name].shards for name in TOYS] == [{"computed": 1}, {"computed": 3}, {"computed": 1}, {"computed": 1}]
    assert (first["toy_kinds"].n_rows, first["toy_kinds"].details) == (4, {})
    assert [s["stage"] for s in read_runs(root)[-1]["stages"]] == list(TOYS)
    again = run(root)
    assert [again[name].shards for name in TOYS] == [{"current": 1}, {"current": 3}, {"current": 1}, {"current": 1}]
    assert shard_bytes(root) == before
    assert {state for state, _ in states(root).values()} == {"current"}


def test_without_input_there_is_no_shard_and_one_that_lost_all_is_removed(done):
    store = Store(done)
    for key in store.keys(TOY_HOURS):
        store.remove(TOY_HOURS, key)
    assert states(done)["toy_kinds/all.parquet"] == ("stale", ("its inputs are gone",))
    assert run(done)["toy_kinds"].shards == {"removed": 1}
    assert shard_bytes(done) == {}
    assert run(done)["toy_kinds"].shards == {}


def test_one_changed_bucket_makes_stale_the_study_and_all_that_read_it(done):
    hours = make_hours()
    hours.loc[0, "hours"] += 1.0
    write_hours(Store(done), hours, N_BUCKETS)
    found = states(done)
    assert found["toy_kinds/all.parquet"] == ("stale", ("1 shard of toy_hours changed since",))
    whys = [why for name, (_, why) in found.items() if name.startswith("toy_shares")]
    assert sorted(whys) == [
        ("1 shard of toy_hours changed since",),
        ("1 shard of toy_kinds may change",),
        ("1 shard of toy_kinds may change",),
    ]
    assert found["toy_release/all.parquet"] == (
        "waiting",
        ("1 shard of toy_kinds may change", "3 shards of toy_shares may change"),
    )
    assert [s.shards for s in run(done).values()] == [
        {"computed": 1},
        {"computed": 3},
        {"computed": 1},
        {"computed": 1},
    ]


def test_a_change_that_sums_to_the_same_stops_at_the_study(done):
    """Two devices of one bucket and kind change places: the study's sums keep their bytes."""
    hours = make_hours()
    bucket = hours["device_id"].to_numpy().astype(np.uint64) % N_BUCKETS
    one, two = np.flatnonzero((bucket == 1) & (hours["kind"] == "bus"))[:2]
    hours.loc[[one, two], "hours"] = hours.loc[[two, one], "hours"].to_numpy()
    write_hours(Store(done), hours, N_BUCKETS)
    assert states(done)["toy_shares/bucket=0000.parquet"] == ("waiting", ("1 shard of toy_kinds may change",))
    assert [s.shards for s in run(done).values()] == [
        {"computed": 1}, {"computed": 1, "current": 2}, {"computed": 1}, {"current": 1}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "why"),
    [({"params": {"toy_kinds": {"times": 2}}}, "parameter times: 1 → 2"), ({"seed": 5}, "the study's seed: 0 → 5")],
)
def test_parameters_and_seed_of_a_gather_enter_its_fingerprint(done, fields, why):
    found = states(done, **fields)
    assert found["toy_kinds/all.parquet"] == ("stale", (why,))
    assert found["toy_shares/bucket=0002.parquet"] == ("waiting", ("1 shard of toy_kinds may change",))
    run(done, **fields)
    assert set(states(done, **fields).values()) == {("current", ())}
    expected = (make_hours()["hours"].sum() * 2, 0) if "params" in fields else (make_hours()["hours"].sum(), 5)
    kinds = load("toy_kinds", root=done)
    assert (kinds["hours"].sum(), kinds["n_drawn"].max()) == pytest.approx(expected)


def test_a_study_table_that_is_missing_is_an_empty_frame_and_its_coming_a_change(root):
    run(root, stages=["toy_shares"])
    assert set(all_rows(root, "toy_shares").to_pandas()["share"]) == {0.0}
    assert states(root)["toy_kinds/all.parquet"] == ("missing", ("never computed",))
    assert states(root)["toy_shares/bucket=0000.parquet"] == ("stale", ("1 shard of toy_kinds will be new",))
    assert run(root)["toy_shares"].shards == {"computed": 3}
    assert set(all_rows(root, "toy_shares").to_pandas()["share"]) != {0.0}


def test_failures_name_the_place_and_never_a_value_and_leave_the_old_shard(done):
    before = shard_bytes(done)
    words = {
        "part": r"toy_kinds, part of bucket=000\d\.parquet: ValueError",
        "types": "toy_kinds: the parts of some buckets differ",
        "finish": r"toy_kinds/all\.parquet: ValueError",
    }
    hours = make_hours()
    lonely = hours[(hours["kind"] != "rare") | (hours["device_id"].to_numpy().astype(np.uint64) % N_BUCKETS == 1)]
    write_hours(Store(done), lonely, N_BUCKETS)
    for fails, message in words.items():
        with pytest.raises(RunError, match=message) as caught:
            run(done, params={"toy_kinds": {"fails": fails}})
        assert "12345" not in str(caught.value)
    kept = {name: content for name, content in before.items() if not name.startswith("toy_hours")}
    assert kept.items() <= shard_bytes(done).items()


KILLED = """
import importlib, os, signal, sys
from pathlib import Path
import pyarrow.parquet as pq
from tests import toy_stages
from tests.integration import test_gather
from pipeline.stage import STAGES

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

toy_stages.know_toys()
toys = {name: getattr(importlib.import_module(f"tests.toy_stages.{name}"), name) for name in test_gather.TOYS}
if sys.argv[2] == "write":
    pq.ParquetWriter.add_key_value_metadata = die
else:
    object.__setattr__(toys["toy_kinds"], "finish", die)
STAGES.update(toys)
toy_stages.register_tables()
test_gather.run(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("moment", ["finish", "write"])
def test_killed_between_the_parts_and_the_table_and_run_again(root, tmp_path, moment):
    """Parts made, nothing written; or the file written and not yet under its name."""
    command = [sys.executable, "-c", KILLED, root, moment]
    process = subprocess.run(command, capture_output=True, check=False, cwd=Path(__file__).parents[2])
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert Store(root).footer(TOY_KINDS, ALL) is None
    assert len(list((root / "toy_kinds").glob(".*.tmp"))) == (moment == "write")
    assert read_runs(root)[-1]["state"] == "killed"
    run(root)
    write_hours(Store(tmp_path / "other"), make_hours(), N_BUCKETS)
    run(tmp_path / "other")
    assert shard_bytes(root) == shard_bytes(tmp_path / "other")


def test_a_table_of_whole_tables_alone_is_made_once_and_follows_them(done):
    assert load("toy_totals", root=done)["n_devices"].tolist() == [60 + 41 + 10]
    assert states(done, seed=3)["toy_totals/all.parquet"][1] == ("the study's seed: 0 → 3",)
    Store(done).remove(TOY_RELEASE, ALL)
    assert states(done)["toy_totals/all.parquet"] == ("waiting", ("1 shard of toy_release may change",))
    assert run(done, stages=["toy_totals"])["toy_totals"].shards == {"removed": 1}
    assert Store(done).footer(TOY_TOTALS, ALL) is None
    assert run(done, stages=["toy_totals"])["toy_totals"].shards == {}
    assert [n["name"] for n in trace(_run_again(done), "toy_totals", None, 0)["inputs"]] == ["toy_release/all.parquet"]


def _run_again(root):
    run(root)
    return root


def test_rows_of_few_devices_are_never_written_to_a_release(done):
    assert load("toy_release", root=done)["kind"].tolist() == ["bus", "car", "foot"]
    path = Store(done).path(TOY_RELEASE, ALL)
    assert b"foot" in path.read_bytes() and b"rare" not in path.read_bytes()
    footer = Store(done).footer(TOY_RELEASE, ALL)
    assert (footer.n_rows, footer.n_suppressed) == (3, 1)
    for summary in (run(done)["toy_release"], run(done)["toy_release"]):
        assert summary.details == {"n_suppressed": 1}
    assert read_runs(done)[-1]["stages"][-2]["details"] == {"n_suppressed": 1}


def test_lineage_of_a_gathered_table_goes_to_all_buckets_and_of_its_readers_through_it(done):
    tree = trace(done, "toy_kinds", None, 2)
    assert (tree["name"], [n["name"] for n in tree["inputs"]]) == ("toy_kinds/all.parquet", ["toy_hours (3 shards)"])
    tree = trace(done, "toy_shares", None, 2)
    assert [n["name"] for n in tree["inputs"]] == ["toy_hours/bucket=0002.parquet", "toy_kinds/all.parquet"]
    assert tree["inputs"][1]["inputs"][0]["n_rows"] == len(make_hours())
    tree = trace(done, "toy_release", None, 0)
    assert [n["name"] for n in tree["inputs"]] == ["toy_shares (3 shards)", "toy_kinds/all.parquet"]
    assert tree["inputs"][1]["inputs"] == []
    assert tree["inputs"][1]["parts"]["inputs"] == "as above"


def test_the_catalogue_draws_what_is_gathered(done):
    text = render()
    for line in ("toy_hours ==> toy_kinds", "tracts --> toy_kinds", "toy_kinds --> toy_shares"):
        assert line in text
    assert "- One file per: whole study" in render([TOY_RELEASE])
    assert "every row from at least 10 devices" in render([TOY_RELEASE])


def test_a_bucket_of_a_reader_is_kept_apart(done):
    """A bucket reads its own rows of a table per bucket, and all rows of the study's."""
    store = Store(done)
    for key in store.keys(TOY_SHARES):
        mine = store.read(TOY_HOURS, ShardKey(bucket=key.bucket)).to_pandas()
        assert pd.Series(store.read(TOY_SHARES, key)["device_id"].to_pylist()).equals(mine["device_id"])
