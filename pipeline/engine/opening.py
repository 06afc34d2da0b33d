"""Opening a root to write there: the lock, the layout, the record of what is done, and the cluster that does it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.engine.cluster import Cluster, connect
from pipeline.engine.files import exists, read_replaceable, write_json
from pipeline.engine.lock import Lock, root_lock
from pipeline.engine.records import RunRecord, new_run_id
from pipeline.engine.store import ROOT_FILE, Store
from pipeline.engine.trouble import RunError, refusal
from pipeline.engine.workers import terms_of
from pipeline.logs import log_event
from pipeline.settings import KEY_VARIABLE, Settings, read_key
from pipeline.sources.hashing import key_check

LAYOUT = 1
"""Version of how a root is laid out."""
BEGUN_AGAIN = "is written again, with the --buckets that you then give: give those of this root"
"""What becomes of a damaged `ROOT_FILE` that is removed."""


@dataclass(frozen=True)
class HeldRoot:
    """A root that is held by one command, and what it works with."""

    settings: Settings
    record: RunRecord
    cluster: Cluster
    lock: Lock

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield what workers return for each item, as they finish; LockedError once the root is held no longer."""
        self.lock.check()
        for result in self.cluster.map(function, items):
            self.lock.check()
            yield result

    def exchange(self, *arguments: Any) -> Iterator[pd.DataFrame]:
        """Yield what `Cluster.exchange` does; LockedError once the root is held no longer."""
        self.lock.check()
        for result in self.cluster.exchange(*arguments):
            self.lock.check()
            yield result


@contextmanager
def hold_root(settings: Settings, command: str, study: dict[str, Any]) -> Iterator[HeldRoot]:
    """Yield a root held for a command, with a cluster and a record, and note how it ends.

    `study` is what the record says of the study. RunError where another command has to be finished first.
    """
    key = read_key()  # Workers are asked for it: better before anything is written.
    run_id = new_run_id(settings.root)
    with root_lock(settings.root, run_id, settings.lock_wait_s, command) as lock:
        settle_root(settings, key)
        record = RunRecord(settings.root, command, study, run_id)
        log_event("run", logging.INFO, "run started", run_id=record.run_id, command=command)
        try:
            with connect(settings, terms_of(record.path)) as cluster:
                record.note(n_buckets=settings.n_buckets, n_threads=cluster.n_threads())
                Store(settings.root).remove_leftovers()
                yield HeldRoot(settings, record, cluster, lock)
        except KeyboardInterrupt:
            _close(record, "cancelled")
            raise
        except BaseException as error:
            _close_failed(record, error)
            raise
        _close(record, "finished")


def _close(record: RunRecord, state: str, error: str | None = None) -> None:
    record.close(state, error)
    level = logging.ERROR if state == "failed" else logging.INFO
    log_event("run", level, f"run {state}", run_id=record.run_id, error=error)


def _close_failed(record: RunRecord, error: BaseException) -> None:
    """Note an error in the record; RunError with both reasons when even that cannot be written (a full disk)."""
    reason = str(error) if isinstance(error, RunError) else type(error).__name__
    try:
        _close(record, "failed", reason)
    except OSError as second:
        kind = type(error) if isinstance(error, RunError) else RunError
        raise kind(f"{reason}; nor can its record be written: {refusal(second)}") from None


def settle_root(settings: Settings, key: bytes) -> None:
    """Note the layout of a new root and what tells its key; RunError when an existing one has others."""
    path = settings.root / ROOT_FILE
    if not exists(path):
        write_json(path, {"layout": LAYOUT, "n_buckets": settings.n_buckets, "key": key_check(key)})
    found = read_replaceable(path, BEGUN_AGAIN)
    if found.get("layout") != LAYOUT:
        raise RunError(f"{settings.root} is laid out as this version of Sojourn does not; begin a new root")
    if found["n_buckets"] != settings.n_buckets:
        raise RunError(
            f"{settings.root} was made with {found['n_buckets']} buckets, not {settings.n_buckets}: give --buckets "
            f"{found['n_buckets']}, or change them by `sojourn rebucket`"
        )
    _check_noted(settings.root, found, key)


def check_key(root: Path, key: bytes) -> None:
    """RunError where a root's devices were hashed with another key: nobody would be found there under this one."""
    if exists(root / ROOT_FILE):
        _check_noted(root, read_replaceable(root / ROOT_FILE), key)


def _check_noted(root: Path, noted: dict[str, Any], key: bytes) -> None:
    if noted.get("key", key_check(key)) != key_check(key):
        raise RunError(
            f"{root}: its devices were hashed with another {KEY_VARIABLE}; use that key, or begin a new root, since "
            "under this one all of them would be others"
        )


def root_buckets(root: Path) -> int | None:
    """Return the number of buckets that a root was begun with; None where there is no root yet."""
    path = root / ROOT_FILE
    return int(read_replaceable(path)["n_buckets"]) if exists(path) else None
