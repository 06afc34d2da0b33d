"""One run at a time on a root: the operating system's lock on a disk, a lease on an object store.

The lock on a disk (flock) dies with the process that holds it. An object store has nothing like it, so a run holds a
lease there: an object that says who holds the root until when, renewed while the run lives. Leases are numbered and
each is made only if there is no object of its number yet, which the store decides as one step; the highest number
holds. So of two runs that take over an expired lease one fails, and numbers are never used again.

Neither guards the bytes: shards are written whole and say what they were made from, so a run that lost its lease
unnoticed for a moment leaves nothing that the next would take for its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from pipeline.engine.files import StoreError, create_file, names_below, read_json, remove_file, write_json
from pipeline.engine.trouble import RunError
from pipeline.engine.unfinished import check_whole_root
from pipeline.paths import is_remote

LEASE_S = 60.0
"""How long a lease holds without being renewed (ours): a killed run's root is free after it."""
RENEW_S = 10.0
"""Between two renewals (ours): five may fail, some back-off included, before the lease runs out."""
SKEW_S = 10.0
"""How far clocks of two hosts may differ (ours): a lease is taken over only when it is over by that much."""
POLL_S = 1.0
"""Between two tries of a run that waits (ours)."""
NAMESPACE = Path("/proc/self/ns/pid")
BOOT = Path("/proc/sys/kernel/random/boot_id")


class LockedError(RunError):
    """Another run holds the root; says which, where and until when."""


class Lock(ABC):
    """A root that is held."""

    @abstractmethod
    def check(self) -> None:
        """LockedError where it is held no longer."""

    @abstractmethod
    def free(self) -> None:
        """Hold it no longer."""


@contextmanager
def root_lock(root: Path, run_id: str = "", wait_s: float = 0.0, command: str = "") -> Iterator[Lock]:
    """Hold a root for one run; LockedError when another holds it for longer than `wait_s`, 0 refusing at once.

    RunError where a command that changes the root as a whole, other than `command`, has to be finished first.
    """
    with hold(root / "_lock", f"another run is writing to {root}", run_id, wait_s) as lock:
        check_whole_root(root, command)
        yield lock


@contextmanager
def hold(place: Path, busy: str, run_id: str = "", wait_s: float = 0.0) -> Iterator[Lock]:
    """Hold a file of a disk, or a folder of an object store, which nobody else then holds.

    `busy` begins the line of the LockedError when somebody else goes on holding it for `wait_s`.
    """
    take = _take_lease if is_remote(place) else _take_file
    deadline = time.monotonic() + wait_s
    while True:
        try:
            lock = take(place, busy, run_id)
            break
        except LockedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(min(POLL_S, wait_s))
    try:
        yield lock
    finally:
        lock.free()


def _holder(run_id: str) -> dict[str, Any]:
    process = psutil.Process()
    return {
        "run_id": run_id,
        "host": platform.node(),
        "pid": process.pid,
        "process_started": started_after_boot_s(process),
        "processes_of": _processes_of(),
        "token": uuid.uuid4().hex,
    }


def _processes_of() -> str | None:
    """Return what tells where a process id means the same process: this boot, this container. None: not known."""
    try:
        return f"{BOOT.read_text().strip()} {NAMESPACE.readlink()}"
    except OSError:
        return None


def _is_gone(holder: dict[str, Any]) -> bool:
    """Return whether a holder is known to have ended; one whose processes cannot be seen from here is believed."""
    if holder["processes_of"] is None or holder["processes_of"] != _processes_of():
        return False
    return not is_running(holder["pid"], holder["process_started"])


CLOCK_TOLERANCE_S = 2.0
"""How far apart two readings of when a process began may be, in seconds (ours: a machine's start is a whole second)."""


def is_running(pid: int, started: float) -> bool:
    """Return whether the process of that id, `started` that long after boot, still runs here."""
    try:
        process = psutil.Process(pid)
        is_same = abs(started_after_boot_s(process) - started) < CLOCK_TOLERANCE_S
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def started_after_boot_s(process: psutil.Process) -> float:
    """Return how many seconds after the machine's start a process began, which no clock that is set moves."""
    return float(process.create_time() - psutil.boot_time())


def _words(holder: dict[str, Any]) -> str:
    run = f"run {holder['run_id']}" if holder["run_id"] else "a process"
    return f"{run} on {holder['host']}, process {holder['pid']}"


class _FileLock(Lock):
    def __init__(self, handle: int) -> None:
        self._handle = handle

    def check(self) -> None:
        """Nothing to check: the operating system's lock does not fall while its process lives."""

    def free(self) -> None:
        os.close(self._handle)


def _take_file(place: Path, busy: str, run_id: str) -> _FileLock:
    place.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(place, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        told = os.pread(handle, os.fstat(handle).st_size, 0)
        os.close(handle)
        # Whoever holds it may not have written who it is yet.
        who = f" ({_words(json.loads(told))})" if told else ""
        raise LockedError(f"{busy}{who}; wait for it (--wait) or use another root") from None
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(_holder(run_id)).encode(), 0)
    except OSError:
        os.close(handle)  # A full disk: who cannot say that he holds it does not.
        raise
    return _FileLock(handle)


class _Lease(Lock):
    """A lease that is held, and the thread that renews it."""

    def __init__(self, folder: Path, number: int, busy: str, holder: dict[str, Any]) -> None:
        self._folder, self._number, self._busy, self._holder = folder, number, busy, holder
        self._lost: str | None = None
        self._until = time.monotonic() + LEASE_S
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewing.start()

    def check(self) -> None:
        """LockedError where another run has taken the lease over, or it ran out as the store did not answer."""
        if self._lost is None and time.monotonic() > self._until:
            self._lost = "the store did not answer in time to renew it"
        if self._lost is not None:
            raise LockedError(f"the lease of {self._folder.parent} was lost: {self._lost}; run again")

    def free(self) -> None:
        self._ended.set()
        self._renewing.join()
        if self._lost is None:
            self._write(is_free=True)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                started = time.monotonic()
                newest = _newest(self._folder)
                if newest != self._number:
                    self._lost = "another run has taken it over"
                    return
                self._write()
                self._until = started + LEASE_S
            except StoreError:
                # Tried again until the lease runs out, which `check` tells.
                continue

    def _write(self, is_free: bool = False) -> None:
        write_json(_object(self._folder, self._number), _lease(self._holder, is_free))


def _lease(holder: dict[str, Any], is_free: bool = False) -> dict[str, Any]:
    until = datetime.now(UTC) + timedelta(seconds=LEASE_S)
    return {**holder, "until": until.isoformat(timespec="seconds"), "is_free": is_free}


def _object(folder: Path, number: int) -> Path:
    return folder / f"{number:010d}.json"


def _newest(folder: Path) -> int:
    return max((int(name.removesuffix(".json")) for name in names_below(folder, "*.json")), default=0)


def _take_lease(folder: Path, busy: str, run_id: str) -> _Lease:
    newest = _newest(folder)
    if newest:
        _check_over(_read(folder, newest, busy), busy)
    holder, mine = _holder(run_id), _object(folder, newest + 1)
    lease = json.dumps(_lease(holder)).encode()
    if not create_file(mine, lease):
        found = _read(folder, newest + 1, busy)
        # Its own, where the first answer was lost and the client wrote again.
        if found["token"] != holder["token"]:
            _check_over(found, busy)
            raise LockedError(f"{busy}; try again")
    if create_file(mine, lease):
        raise StoreError(f"{folder}: this store ignores conditional writes, so two runs could hold a root at once")
    if _newest(folder) != newest + 1:
        # Numbers below the newest are cleared away, and one of these was made again.
        remove_file(mine)
        raise LockedError(f"{busy}; try again")
    for name in names_below(folder, "*.json"):
        if int(name.removesuffix(".json")) <= newest:
            remove_file(folder / name)
    return _Lease(folder, newest + 1, busy, holder)


def _read(folder: Path, number: int, busy: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(_object(folder, number))
    except FileNotFoundError:
        raise LockedError(f"{busy}, just now; try again") from None
    return found


def _check_over(lease: dict[str, Any], busy: str) -> None:
    """LockedError where a lease still holds."""
    is_over = datetime.now(UTC) > datetime.fromisoformat(lease["until"]) + timedelta(seconds=SKEW_S)
    if not (lease["is_free"] or is_over or _is_gone(lease)):
        raise LockedError(f"{busy} ({_words(lease)}, until {lease['until']}); wait for it (--wait) or use another root")
