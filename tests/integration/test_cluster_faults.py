"""On a cluster of processes: workers killed, out of memory, stopped; the scheduler gone; workers that cannot work."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import dask
import pandas as pd
import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.comm import CommClosedError

from pipeline.engine import cluster as cluster_module
from pipeline.engine import lineage
from pipeline.engine.cluster import Cluster, Step, _check_workers, connect
from pipeline.engine.run import open_run
from pipeline.engine.trouble import RunError, named
from pipeline.engine.workers import engine_digest, terms_of
from pipeline.settings import KEY_VARIABLE, Settings
from tests.conftest import KEY, run_all, shard_bytes
from tests.integration.dask_processes import DaskProcesses, kill, wait_for

N_ITEMS = 12
WORKER_BYTES = 1_500_000_000


def die_once(marker: Path, item: int) -> int:
    """Kill the worker that first comes to item 5; elsewhere give the square."""
    if item == 5 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return item * item


HELD = []
"""What a worker never gives back."""


def fill(share: float) -> None:
    """Take memory until this process holds that share of the 1500 MB it may use; what is kept counts."""
    size = int(share * WORKER_BYTES) - psutil.Process().memory_info().rss
    HELD.append(b"x" * max(size, 0))


def keep_memory(item: int) -> int:
    """Leave 87 % of the memory taken for ever, long enough for its worker to see."""
    fill(0.87)
    time.sleep(0.3)
    return item


def borrow_memory(item: int) -> int:
    """Hold 87 % of the memory for longer than a run waits for workers that do nothing, and give it back."""
    if item < 2:
        fill(0.87)
        time.sleep(4.0)
        HELD.clear()
    return item


def make_rows(marker: Path | None, block: int) -> pd.DataFrame:
    """Rows of one block; where there is a marker to set, block 3 kills its worker first."""
    if marker:
        die_once(marker, block + 2)
    return pd.DataFrame({"group": range(8), "value": block})


def make_rows_slowly(block: int) -> pd.DataFrame:
    """Rows of one block, after a while."""
    time.sleep(0.3)
    return make_rows(None, block)


def add_up(marker: Path | None, rows: pd.DataFrame) -> pd.DataFrame:
    """Sum of each group; where there is a marker to set, the part with group 5 kills its worker first."""
    if marker and (rows["group"] == 5).any():
        die_once(marker, 5)
    return rows.groupby("group", as_index=False)["value"].sum()


def slowly(folder: Path, item: int) -> int:
    """Note that the item has begun, and take a while."""
    (folder / f"begun-{item}").touch()
    time.sleep(0.5)
    return item


@pytest.fixture(autouse=True, scope="module")
def _module_key():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        yield


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[DaskProcesses]:
    """A scheduler with two workers."""
    started = DaskProcesses(tmp_path_factory.mktemp("dask"))
    try:
        started.start_scheduler()
        started.start_workers(2)
        yield started
    finally:
        started.stop()


@pytest.fixture
def terms(tmp_path):
    witness = tmp_path / "_runs" / "this.json"
    witness.parent.mkdir()
    witness.touch()
    return terms_of(witness)


@pytest.fixture
def cluster(processes, terms, tmp_path) -> Iterator[Cluster]:
    with connect(Settings(root=tmp_path, scheduler=processes.address), terms) as connected:
        yield connected


def patience(seconds: str):
    """How long a scheduler that does not answer is waited for."""
    return dask.config.set({"distributed.comm.timeouts.connect": seconds})


def quick(monkeypatch, **constants: float) -> None:
    """Shorten how long a run waits, and look at workers often."""
    for name, value in {**constants, "LOOK_S": 0.2}.items():
        monkeypatch.setattr(cluster_module, name, value)


@pytest.fixture(scope="module")
def lookout(processes) -> Iterator[Client]:
    """A client that only looks, one for all tests: starting one fails where the machine is too busy for ten seconds."""
    with Client(processes.address) as client:
        yield client


def pids(lookout: Client) -> list[int]:
    return sorted(lookout.run(os.getpid).values())


def wait_for_workers(lookout: Client, n: int, starting: subprocess.Popen | None = None) -> None:
    wait_for(lambda: len(lookout.nthreads()) == n, starting)


def test_a_worker_killed_in_a_map_is_replaced(cluster, tmp_path):
    marker = tmp_path / "died"
    assert sorted(cluster.map(partial(die_once, marker), range(N_ITEMS))) == [k * k for k in range(N_ITEMS)]
    assert marker.exists()


@pytest.mark.parametrize("moment", ["reading", "adding"])
def test_a_worker_killed_in_an_exchange_is_replaced(cluster, tmp_path, moment):
    marker = tmp_path / "died"
    read = partial(make_rows, marker if moment == "reading" else None)
    step = Step("group", 4, partial(add_up, marker if moment == "adding" else None), add_up(None, make_rows(None, 0)))
    parts = list(cluster.exchange(read, list(range(6)), make_rows(None, 0).iloc[:0], [step]))
    assert marker.exists()
    assert len(parts) == 4
    assert pd.concat(parts).set_index("group")["value"].to_dict() == dict.fromkeys(range(8), 15)


def test_own_workers_go_on_while_what_they_keep_leaves_them_little_memory(terms, tmp_path):
    settings = Settings(root=tmp_path, n_workers=1, memory_limit_bytes=WORKER_BYTES)
    with connect(settings, terms) as connected:
        assert sorted(connected.map(keep_memory, range(4))) == list(range(4))


def test_workers_with_less_memory_than_libraries_take_end_a_run_in_one_line_that_names_stage_and_bucket(
    terms, tmp_path
):
    settings = Settings(root=tmp_path, n_workers=1, memory_limit_bytes=300_000_000)
    lost = pytest.raises(RunError, match=r"stays: bucket \d: 2 workers were lost .* \(0\.3 GB each\)")
    few = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with few, lost as caught, named("stays"), connect(settings, terms) as connected:
        list(connected.map(keep_memory, range(2)))
    assert "\n" not in str(caught.value)


def test_workers_whose_memory_is_full_end_a_run_in_one_line(terms, tmp_path, monkeypatch):
    quick(monkeypatch, PAUSED_WAIT_S=1.0)
    own = DaskProcesses(tmp_path)
    try:
        own.start_scheduler()
        # What libraries take at rest is more than this worker may use before it takes no more tasks.
        worker = own.start_workers(1, DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE="0.05")
        with Client(own.address) as looking:
            wait_for_workers(looking, 1, worker)
        full = pytest.raises(RunError, match=r"1 of 1 workers take no tasks.* may use 1\.5 GB and uses 0\.\d GB")
        with full as caught, connect(Settings(root=tmp_path, scheduler=own.address), terms) as connected:
            list(connected.map(abs, range(4)))
        assert "\n" not in str(caught.value)
    finally:
        own.stop()


def test_workers_whose_memory_is_full_for_a_while_are_waited_for(cluster, monkeypatch):
    quick(monkeypatch, PAUSED_WAIT_S=2.0)
    assert sorted(cluster.map(borrow_memory, range(6))) == list(range(6))


def test_a_worker_that_stands_still_is_given_up_and_the_others_go_on(cluster, lookout, tmp_path):
    wait_for_workers(lookout, 2)
    stopped = pids(lookout)[0]
    results = cluster.map(partial(slowly, tmp_path), range(8))
    first = next(results)
    os.kill(stopped, signal.SIGSTOP)
    try:
        assert sorted([first, *results]) == list(range(8))
    finally:
        # Its nanny may have ended it by now.
        with suppress(ProcessLookupError):
            os.kill(stopped, signal.SIGKILL)


def test_a_worker_that_leaves_in_good_order_is_no_trouble(cluster, processes, lookout):
    wait_for_workers(lookout, 2)
    leaving = threading.Timer(0.7, retire, [lookout])
    leaving.start()
    try:
        nothing = make_rows(None, 0)
        step = Step("group", 4, partial(add_up, None), add_up(None, nothing))
        parts = list(cluster.exchange(make_rows_slowly, list(range(8)), nothing.iloc[:0], [step]))
        assert pd.concat(parts).set_index("group")["value"].to_dict() == dict.fromkeys(range(8), 28)
    finally:
        leaving.join()
        processes.start_workers(1)


def retire(lookout: Client) -> None:
    """Let one worker leave, as a cluster that shrinks does."""
    lookout.retire_workers([min(lookout.nthreads())])


def test_a_cluster_that_scales_by_itself_has_workers_while_there_is_work(terms, tmp_path):
    place = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "memory_limit": WORKER_BYTES}
    with LocalCluster(n_workers=0, threads_per_worker=1, **place) as scaled:
        scaled.adapt(minimum=0, maximum=2, interval="200ms", wait_count=3)
        with connect(Settings(root=tmp_path, scheduler=scaled.scheduler_address), terms) as connected:
            for _ in range(2):
                assert sorted(connected.map(partial(slowly, tmp_path), range(4))) == list(range(4))
                wait_for(lambda: not scaled.scheduler.workers)


@pytest.mark.parametrize("module", ["pipeline.engine.ingest", "pipeline.engine.withdraw", "pipeline.stages.stays"])
def test_workers_are_asked_for_the_code_of_all_they_may_run(monkeypatch, module):
    here, source = engine_digest(), lineage._source
    monkeypatch.setattr(lineage, "_source", lambda name: source(name) + ("# older" if name == module else ""))
    forget()
    try:
        assert engine_digest() != here
    finally:
        forget()


def forget() -> None:
    """Have sources read again."""
    engine_digest.cache_clear()
    lineage.code_digest.cache_clear()


def test_threads_of_this_process_are_not_given_up_for_being_silent(terms, tmp_path):
    with connect(Settings(root=tmp_path), terms) as connected:
        assert connected._client.cluster.scheduler.worker_ttl is None


@pytest.mark.slow
def test_workers_killed_in_every_kind_of_stage_leave_the_bytes_of_an_undisturbed_run(
    city, processes, lookout, tmp_path
):
    run_all(city.study(), tmp_path / "undisturbed")
    settings = Settings(root=tmp_path / "tables", n_buckets=3, scheduler=processes.address)
    with open_run(city.study(), settings, "test") as run:
        for stage in run.stages:
            disturb = stage in ("pings", "stays", "contacts", "od_flows")
            timer = threading.Timer(0.1, lambda: os.kill(pids(lookout)[0], signal.SIGKILL))
            if disturb:
                timer.start()
            run.execute(stage)
            timer.join() if disturb else None
    assert shard_bytes(tmp_path / "tables") == shard_bytes(tmp_path / "undisturbed")


def test_a_run_goes_on_when_the_scheduler_returns_and_ends_in_one_line_when_it_does_not(terms, tmp_path):
    own = DaskProcesses(tmp_path)
    try:
        own.start_scheduler()
        workers = own.start_workers(1)
        settings = Settings(root=tmp_path, scheduler=own.address)
        with patience("20s"), connect(settings, terms) as connected:
            results = connected.map(partial(slowly, tmp_path), range(6))
            found = [next(results)]
            kill(own.scheduler)
            kill(workers)
            own.start_scheduler()
            own.start_workers(1)
            assert sorted([*found, *results]) == list(range(6))
        with patience("1s"), connect(settings, terms) as connected:
            results = connected.map(partial(slowly, tmp_path), range(6))
            next(results)
            kill(own.scheduler)
            with pytest.raises(RunError, match=r"scheduler was lost and did not return; run again"):
                list(results)
    finally:
        own.stop()


def test_what_is_wrong_with_a_cluster_is_said_before_anything_runs(processes, lookout, terms, tmp_path):
    def refusal(terms=terms, **changed) -> str:
        with pytest.raises(RunError) as caught, connect(Settings(root=tmp_path, **changed), terms):
            pass
        assert "\n" not in str(caught.value)
        return str(caught.value)

    with patience("500ms"):
        assert "no Dask scheduler can be reached at tcp://127.0.0.1:1" in refusal(scheduler="tcp://127.0.0.1:1")
    assert "tls:// needs certificates" in refusal(scheduler="tls://127.0.0.1:1")
    with dask.config.set({"distributed.comm.require-encryption": True}):
        assert "encryption required" in refusal(scheduler=processes.address)
    there = {"scheduler": processes.address}
    wait_for_workers(lookout, 2)
    for environment, words in (
        ({KEY_VARIABLE: None}, f"has no usable {KEY_VARIABLE}"),
        ({KEY_VARIABLE: "another key that is long enough"}, f"has another {KEY_VARIABLE}"),
    ):
        odd = processes.start_workers(1, **environment)
        wait_for_workers(lookout, 3, odd)
        assert words in refusal(**there)
        kill(odd)
        wait_for_workers(lookout, 2)
    assert "has other code than the process" in refusal(terms._replace(code="other"), **there)
    elsewhere = terms._replace(witness=tmp_path / "elsewhere" / "_runs" / "this.json")
    assert f"does not see the root {tmp_path / 'elsewhere'}" in refusal(elsewhere, **there)


class Asked:
    """A client of two workers, one of which answers with an error."""

    def __init__(self, error):
        self._error = error

    def nthreads(self):
        return {"tcp://a": 1, "tcp://b": 1}

    def run(self, *arguments, **options):
        return {"tcp://a": "", "tcp://b": self._error}


def test_a_worker_lost_while_it_is_asked_is_no_trouble_of_the_run(terms):
    _check_workers(Asked(CommClosedError("gone")), terms)
    with pytest.raises(RunError, match="worker tcp://b cannot load the project"):
        _check_workers(Asked(ModuleNotFoundError("pipeline")), terms)


def test_a_scheduler_without_workers_is_said_so(terms, tmp_path, monkeypatch):
    quick(monkeypatch, WORKERS_WAIT_S=1.0)
    own = DaskProcesses(tmp_path)
    try:
        settings = Settings(root=tmp_path, scheduler=own.start_scheduler())
        with pytest.raises(RunError, match="has no workers"), connect(settings, terms):
            pass
    finally:
        own.stop()


def test_the_key_is_not_in_what_the_cluster_prints_of_a_task_that_failed(cluster, processes):
    with pytest.raises(ZeroDivisionError):
        list(cluster.map(partial(divmod, 1), [0]))
    wait_for(lambda: "Compute Failed" in processes.logs())
    assert KEY not in processes.logs()
