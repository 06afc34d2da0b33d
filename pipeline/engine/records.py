"""Run records: what ran on a root, and whether it still does. Truth does not depend on a server."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from pipeline.engine.store import write_json
from pipeline.engine.trouble import RunError

LIVE, LOST = "running", "killed"


class RunRecord:
    """The record of one run, rewritten as the run goes on."""

    def __init__(self, root: Path, command: str, study: dict[str, Any]) -> None:
        """Open a record for a run that starts now in this process."""
        now = datetime.now(UTC)
        process = psutil.Process()
        self.run_id = f"{now:%Y%m%dT%H%M%S.%f}-{process.pid}"
        self.path = root / "_runs" / f"{self.run_id}.json"
        self.facts: dict[str, Any] = {
            "run_id": self.run_id,
            "command": command,
            "state": LIVE,
            "started_at": now.isoformat(timespec="seconds"),
            "finished_at": None,
            "host": platform.node(),
            "pid": process.pid,
            "process_started": process.create_time(),
            "study": study,
            "stages": [],
            "error": None,
        }
        self._write()

    def add_stage(self, summary: dict[str, Any]) -> None:
        """Add what one stage did."""
        self.facts["stages"].append(summary)
        self._write()

    def close(self, state: str, error: str | None = None) -> None:
        """Note how the run ended: finished, failed or cancelled."""
        self.facts.update(state=state, error=error, finished_at=datetime.now(UTC).isoformat(timespec="seconds"))
        self._write()

    def _write(self) -> None:
        write_json(self.path, self.facts)


def read_runs(root: Path) -> list[dict[str, Any]]:
    """Return the records of a root, oldest first; a run whose process is gone has the state "killed"."""
    runs = [json.loads(path.read_text()) for path in sorted((root / "_runs").glob("*.json"))]
    for run in runs:
        if run["state"] == LIVE and not _is_alive(run):
            run["state"] = LOST
    return runs


def _is_alive(run: dict[str, Any]) -> bool:
    """Return whether the process of a run still exists; one on another host is believed."""
    if run["host"] != platform.node():
        return True
    try:
        process = psutil.Process(run["pid"])
        return bool(process.create_time() == run["process_started"] and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class LockedError(RunError):
    """Another run holds the root."""


@contextmanager
def root_lock(root: Path) -> Iterator[None]:
    """Hold a root for one run; LockedError at once when another run on this machine holds it.

    The lock is the operating system's and dies with the process, so a kill leaves none behind.
    """
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root / "_lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(f"another run is writing to {root}; wait for it or use another root") from None
        yield
    finally:
        os.close(handle)
