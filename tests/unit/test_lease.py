"""Leases of a root at an object store: one holder, whoever tries, and a way on after a kill."""

import threading
import time
from datetime import UTC, datetime, timedelta

import fsspec
import pytest

from pipeline.engine import lock as locks
from pipeline.engine.files import names_below, read_json, write_json
from pipeline.engine.lock import LockedError, root_lock
from pipeline.engine.trouble import RunError
from pipeline.paths import as_path


@pytest.fixture
def root():
    yield as_path("memory://leased/tables")
    fsspec.filesystem("memory").store.clear()


def leave_lease(root, until: datetime, **fields):
    """Write what a holder of another machine left."""
    holder = {"run_id": "theirs", "host": "elsewhere", "pid": 1, "process_started": 0.0, "token": "t"}
    lease = {**holder, "processes_of": "another boot", "is_free": False, "until": until.isoformat(timespec="seconds")}
    write_json(root / "_lock" / "0000000007.json", lease | fields)


def test_a_living_lease_is_respected_and_named(root):
    until = datetime.now(UTC) + timedelta(seconds=30)
    leave_lease(root, until)
    with pytest.raises(LockedError) as refused, root_lock(root):
        pytest.fail("held")
    told = str(refused.value)
    assert "run theirs on elsewhere" in told
    assert until.isoformat(timespec="seconds") in told


def test_a_lease_that_is_over_is_taken_over(root):
    leave_lease(root, datetime.now(UTC) - timedelta(seconds=locks.SKEW_S + 2))
    with root_lock(root, "mine"):
        assert names_below(root / "_lock", "*.json") == ["0000000008.json"]
        assert read_json(root / "_lock" / "0000000008.json")["run_id"] == "mine"


def test_a_lease_is_not_taken_over_while_clocks_may_differ(root):
    leave_lease(root, datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(LockedError), root_lock(root):
        pytest.fail("held")


def test_the_lease_of_a_process_that_is_gone_here_is_taken_at_once(root):
    leave_lease(root, datetime.now(UTC) + timedelta(seconds=30), processes_of=locks._processes_of(), pid=2**22 + 1)
    with root_lock(root):
        pass


def test_of_many_that_take_over_one_wins(root):
    leave_lease(root, datetime.now(UTC) - timedelta(hours=1))
    held, refused, all_tried = [], [], threading.Barrier(8, timeout=30)

    def take(name):
        try:
            with root_lock(root, name):
                held.append(name)
                all_tried.wait()
        except LockedError:
            refused.append(name)
            all_tried.wait()

    threads = [threading.Thread(target=take, args=(str(k),)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 7)


def test_who_waits_gets_it(root, monkeypatch):
    monkeypatch.setattr(locks, "POLL_S", 0.05)
    begun = threading.Event()

    def hold():
        with root_lock(root):
            begun.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    with root_lock(root, wait_s=20):
        assert not thread.is_alive() or read_json(root / "_lock" / names_below(root / "_lock", "*")[0])
    thread.join()


def test_a_lease_is_renewed_while_it_is_held(root, monkeypatch):
    monkeypatch.setattr(locks, "RENEW_S", 0.05)
    monkeypatch.setattr(locks, "LEASE_S", 1.0)
    with root_lock(root) as lock:
        time.sleep(1.5)
        lock.check()


def test_a_holder_that_was_taken_over_is_told(root, monkeypatch):
    monkeypatch.setattr(locks, "RENEW_S", 0.05)
    with root_lock(root) as lock:
        leave_lease(root, datetime.now(UTC) + timedelta(seconds=30))
        time.sleep(0.5)
        with pytest.raises(RunError, match="another run has taken it over"):
            lock.check()
    assert not read_json(root / "_lock" / "0000000007.json")["is_free"]


def test_a_lease_that_cannot_be_renewed_is_lost(root, monkeypatch):
    monkeypatch.setattr(locks, "LEASE_S", 0.2)
    with root_lock(root) as lock:
        time.sleep(0.4)
        with pytest.raises(RunError, match="did not answer in time"):
            lock.check()
