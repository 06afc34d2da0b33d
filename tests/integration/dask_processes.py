"""A Dask scheduler and its workers as processes of their own, as on a real cluster, to be killed at will."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
QUICK = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "10s"}
"""Give up on a worker that is silent for 10 s: tests cannot wait longer."""


class DaskProcesses:
    """``dask scheduler`` and ``dask worker`` on loopback. What they print goes to files in `folder`."""

    def __init__(self, folder: Path, tls: list[str] | None = None) -> None:
        self.folder, self._tls = folder, tls or []
        self.processes: list[subprocess.Popen] = []
        self.scheduler: subprocess.Popen | None = None
        self.address = ""

    def start_scheduler(self) -> str:
        """Start the scheduler, under the address that it had before if it had one, and return the address."""
        port = self.address.rpartition(":")[2] or "0"
        protocol = "tls" if self._tls else "tcp"
        book = self.folder / "scheduler.json"
        book.unlink(missing_ok=True)
        where = ["--host", "127.0.0.1", "--port", port, "--protocol", protocol, "--scheduler-file", str(book)]
        self.scheduler = self._start("scheduler", [*where, "--no-dashboard", *self._tls])
        wait_for(lambda: book.exists() and book.read_text().endswith("}"), self.scheduler)
        self.address = json.loads(book.read_text())["address"]
        return self.address

    def start_workers(self, n: int = 1, memory: str = "1500MB", **environment: str | None) -> subprocess.Popen:
        """Start a process with `n` workers of one thread each under nannies."""
        options = ["--nworkers", str(n), "--nthreads", "1", "--memory-limit", memory, "--no-dashboard"]
        place = ["--host", "127.0.0.1", "--local-directory", str(self.folder)]
        # Imported before the worker joins, so that it does not fall silent while it imports.
        place += ["--preload", "pipeline.engine.workers"]
        return self._start("worker", [self.address, *options, *place, *self._tls], environment)

    def _start(self, kind: str, options: list[str], environment: dict[str, str | None] | None = None):
        values = {**os.environ, **QUICK, "PYTHONPATH": str(PROJECT), **(environment or {})}
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *options],
            env={name: value for name, value in values.items() if value is not None},
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{kind}-{len(self.processes)}.log").open("w"),
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def logs(self) -> str:
        """All that the processes have printed."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """Kill every process of it that is left."""
        for process in self.processes:
            kill(process)


def kill(process: subprocess.Popen) -> None:
    """Kill a process and its children at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(is_true, process: subprocess.Popen | None = None, seconds: float = 120.0) -> None:
    """Wait until something is true; fail where a process ends before, or it takes too long."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert process is None or process.poll() is None, "the process ended"
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
