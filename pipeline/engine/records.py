"""Run records: what ran on a root, and whether it still does. Truth does not depend on a server."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from pipeline.engine.files import names_below, read_replaceable, write_json
from pipeline.engine.lock import is_running, started_after_boot_s
from pipeline.paths import as_path

RUNS = "_runs"
"""Folder of the records below a root."""
LIVE, LOST = "running", "killed"
WITHHELD = "withheld: it may name a source file of a device that was withdrawn since"
"""In place of an error's words."""
STAMP = "%Y%m%dT%H%M%S.%f"
"""How the id of a run says when it began (UTC)."""


def new_run_id(root: Path) -> str:
    """Return the id of a run that starts now in this process; ids sort by time, even where the clock was set back."""
    now = datetime.now(UTC)
    known = [name.rpartition("-")[0] for name in names_below(root / RUNS, "[0-9]*-*.json")]
    last = max((datetime.strptime(stamp, STAMP).replace(tzinfo=UTC) for stamp in known), default=now)
    return f"{max(now, last + timedelta(microseconds=1)):{STAMP}}-{os.getpid()}"


class RunRecord:
    """The record of one run, rewritten as the run goes on."""

    def __init__(self, root: Path, command: str, study: dict[str, Any], run_id: str | None = None) -> None:
        """Open a record for a run that starts now in this process."""
        now, process = datetime.now(UTC), psutil.Process()
        self.run_id = run_id or new_run_id(root)
        self.path = root / RUNS / f"{self.run_id}.json"
        self.facts: dict[str, Any] = {
            "run_id": self.run_id,
            "command": command,
            "state": LIVE,
            "started_at": now.isoformat(timespec="seconds"),
            "finished_at": None,
            "host": platform.node(),
            "pid": process.pid,
            "process_started": started_after_boot_s(process),
            "study": study,
            "stages": [],
            "error": None,
        }
        self._write()

    def note(self, **facts: Any) -> None:
        """Add facts about how the run is done."""
        self.facts.update(facts)
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
    folder = as_path(root) / RUNS
    runs = [read_replaceable(folder / name, "is listed no more") for name in sorted(names_below(folder, "*.json"))]
    for run in runs:
        if run["state"] == LIVE and not _is_alive(run):
            run["state"] = LOST
    return runs


def withhold_errors(root: Path) -> None:
    """Take the words of errors out of all records: they may name a source file, and its name a person."""
    folder = as_path(root) / RUNS
    for name in names_below(folder, "*.json"):
        run = read_replaceable(folder / name, "is listed no more")
        if run["error"] not in (None, WITHHELD):
            write_json(folder / name, run | {"error": WITHHELD})


def _is_alive(run: dict[str, Any]) -> bool:
    """Return whether the process of a run still exists; one on another host is believed."""
    return run["host"] != platform.node() or is_running(run["pid"], run["process_started"])
