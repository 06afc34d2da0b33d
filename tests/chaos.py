"""Chaos: a run on a real cluster whose processes are killed at random moments, until it has the bytes of a quiet run.

    python -m tests.chaos --kills 50 --seed 1 --store s3

Everything is a process of its own, as in production: the run (`sojourn run`), `dask scheduler`, two `dask worker`
under nannies, and the S3 server that holds the root. Kills are SIGKILL. A supervisor starts again what was killed or
ended by itself, as systemd or Kubernetes would, and that is all it does: no state is mended and no file removed.
A root that is finished is compared and a new one begun, for as long as kills are left. Every wait has a limit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pipeline.settings import KEY_VARIABLE
from tests.conftest import KEY, City, shard_bytes
from tests.s3_server import S3Server, free_port, serving

PROJECT = Path(__file__).parents[1]
N_WORKERS = 2
N_BUCKETS = 2
GAP_SHARE = (0.02, 0.3)
"""Least and most time from one kill to the next, as a share of the undisturbed run: several kills in every run, on
machines of any speed."""
DOWN_S = (0.1, 2.0)
"""Least and most time for which what was killed stays away, in s."""
ATTEMPT_S = 600.0
"""Limit of one attempt of the run, in s: a run that waits for ever is a failure too."""
RECOVERY_S = 60.0
"""How long after a kill a failure of the run may be its doing, in s; later ones are failures of ours."""
LOOK_S = 0.05


class ChaosError(AssertionError):
    """What must not happen whatever is killed."""


@dataclass
class Tally:
    """What happened."""

    kills: Counter[str] = field(default_factory=Counter)
    """Kills of each kind."""
    ends: Counter[str] = field(default_factory=Counter)
    """How the attempts of runs ended."""
    n_roots: int = 0
    """Roots that were finished and had the bytes of the quiet run."""
    seconds: float = 0.0

    def __str__(self) -> str:
        """One line for each fact."""
        kills = ", ".join(f"{n} {kind}" for kind, n in sorted(self.kills.items()))
        ends = ", ".join(f"{n} {end}" for end, n in sorted(self.ends.items()))
        return (
            f"{self.kills.total()} kills in {self.seconds:.0f} s: {kills}\n"
            f"{self.ends.total()} runs started: {ends}\n"
            f"{self.n_roots} roots finished, all byte-equal to the undisturbed run"
        )


class Fleet:
    """Scheduler and workers as processes. `mend` starts again those that ended."""

    def __init__(self, folder: Path) -> None:
        """Keep what the processes print, and their scratch, in `folder`."""
        self._folder = folder
        self._port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def address(self) -> str:
        """Of the scheduler, the same for ever."""
        return f"tcp://127.0.0.1:{self._port}"

    def mend(self) -> None:
        """Start what does not run."""
        scheduler = ["scheduler", "--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard"]
        self._keep("scheduler", scheduler)
        for k in range(N_WORKERS):
            place = ["--host", "127.0.0.1", "--local-directory", str(self._folder), "--no-dashboard"]
            self._keep(f"worker {k}", ["worker", self.address, "--nthreads", "1", "--memory-limit", "2GB", *place])

    def kill_scheduler(self) -> None:
        """Kill the scheduler."""
        kill_group(self._processes["scheduler"])

    def kill_machine(self, k: int) -> None:
        """Kill a worker and its nanny, as the loss of their machine would."""
        kill_group(self._processes[f"worker {k}"])

    def kill_worker(self, k: int) -> bool:
        """Kill a worker alone, which its nanny starts again; return False when there is none at the moment."""
        try:
            children = psutil.Process(self._processes[f"worker {k}"].pid).children(recursive=True)
            # The resource tracker of the nanny is a child, too.
            workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
            for worker in workers:
                worker.kill()
        except psutil.NoSuchProcess:
            return False
        return bool(workers)

    def stop(self) -> None:
        """Kill all."""
        for process in self._processes.values():
            kill_group(process)

    def _keep(self, name: str, arguments: list[str]) -> None:
        process = self._processes.get(name)
        if process is None or process.poll() is not None:
            with (self._folder / f"{name.replace(' ', '-')}.log").open("ab") as log:
                self._processes[name] = start([sys.executable, "-m", "dask", *arguments], log, self._folder)


class Chaos:
    """Runs of one study on one fleet, and the kills."""

    def __init__(self, folder: Path, n_kills: int, seed: int, server: S3Server | None) -> None:
        """Work in `folder`; `server` holds the roots, or a disk where it is None."""
        self.tally = Tally()
        self._folder, self._server, self._left = folder, server, n_kills
        self._random = random.Random(seed)
        self._kinds: list[str] = []
        self._fleet = Fleet(folder)
        self._study_file = folder / "study.toml"
        self._next_kill = self._last_kill = self._quiet_s = 0.0

    def play(self) -> Tally:
        """Run undisturbed, then until all kills are done and the last root is finished."""
        began = time.monotonic()
        (self._folder / "city").mkdir()
        self._study_file.write_text(City(self._folder / "city").toml())
        n_kills, self._left = self._left, 0
        try:
            self._finish("warm")
            warm = time.monotonic()
            self._finish("quiet")
            self._quiet_s = time.monotonic() - warm
            quiet, self._left = self._bytes("quiet"), n_kills
            self.tally = Tally()
            self._plan_kill()
            while self._left:
                name = f"root-{self.tally.n_roots}"
                self._finish(name)
                self._compare(name, quiet)
                self.tally.n_roots += 1
        finally:
            self._fleet.stop()
        self.tally.seconds = time.monotonic() - began
        return self.tally

    def _finish(self, name: str) -> None:
        """Run, and run again, until the run says that it is finished."""
        while True:
            began = time.monotonic()
            with (self._folder / "run.log").open("wb") as log:
                end = self._attempt(name, log)
            self.tally.ends[end] += 1
            why = f" ({self._said().strip().rpartition(chr(10))[2]})" if end == "failed" else ""
            print(f"{time.strftime('%H:%M:%S')} {name}: {end}{why}, {self._left} kills left", flush=True)
            if end == "finished":
                return
            if end == "failed" and began - self._last_kill > RECOVERY_S:
                raise ChaosError(f"a run failed that nothing disturbed:\n{self._said()}")

    def _attempt(self, name: str, log) -> str:
        """Run once under kills; return how it ended."""
        run = start(self._command(name), log, PROJECT)
        deadline = time.monotonic() + ATTEMPT_S
        try:
            while run.poll() is None:
                self._fleet.mend()
                if self._left and time.monotonic() >= self._next_kill:
                    self._strike(run)
                if time.monotonic() > deadline:
                    raise ChaosError(f"a run of {name} did not end in {ATTEMPT_S:.0f} s:\n{self._said()}")
                time.sleep(LOOK_S)
        finally:
            kill_group(run)
        return {0: "finished", -signal.SIGKILL: "killed"}.get(run.returncode, "failed")

    def _command(self, name: str) -> list[str]:
        options = ["--root", self._url(name), "--buckets", str(N_BUCKETS), "--scheduler", self._fleet.address]
        return [sys.executable, "-m", "pipeline.cli", "run", str(self._study_file), *options]

    def _strike(self, run: subprocess.Popen[bytes]) -> None:
        """Kill the next in turn; all kinds have their turn, in random order, before one has its second."""
        if not self._kinds:
            self._kinds = ["worker", "machine", "scheduler", "run", *(["store"] if self._server else [])]
            self._random.shuffle(self._kinds)
        kind, k = self._kinds[-1], self._random.randrange(N_WORKERS)
        if kind == "worker":
            if not self._fleet.kill_worker(k):
                return
        elif kind == "machine":
            self._fleet.kill_machine(k)
        elif kind == "scheduler":
            self._fleet.kill_scheduler()
        elif kind == "run":
            kill_group(run)
        elif self._server:
            self._server.kill()
        time.sleep(self._random.uniform(*DOWN_S))
        if kind == "store" and self._server:
            self._server.start()
        self._kinds.pop()
        self.tally.kills[kind] += 1
        self._left -= 1
        self._last_kill = time.monotonic()
        print(f"{time.strftime('%H:%M:%S')} killed: {kind}", flush=True)
        self._plan_kill()

    def _plan_kill(self) -> None:
        self._next_kill = time.monotonic() + self._random.uniform(*GAP_SHARE) * self._quiet_s

    def _compare(self, name: str, quiet: dict[str, str]) -> None:
        found = self._bytes(name)
        differing = sorted(path for path in quiet.keys() | found.keys() if quiet.get(path) != found.get(path))
        if differing:
            raise ChaosError(f"{name}: {len(differing)} shards differ from the undisturbed run: {differing[:10]}")

    def _url(self, name: str) -> str:
        return f"s3://{self._server.bucket}/{name}" if self._server else str(self._folder / name)

    def _bytes(self, name: str) -> dict[str, str]:
        if self._server and self._server.folder:
            return shard_bytes(self._server.folder / self._server.bucket / name)
        return shard_bytes(self._folder / name)

    def _said(self) -> str:
        return (self._folder / "run.log").read_text()[-2000:]


def start(command: list[str], log, folder: Path) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own."""
    environment = {**os.environ, KEY_VARIABLE: KEY, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and those it started, at once, and wait until it is gone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _server_at(store: str, folder: Path) -> Iterator[S3Server | None]:
    (folder / "s3").mkdir()
    with serving(folder / "s3") if store == "s3" else nullcontext() as server:
        yield server


def play(folder: Path, n_kills: int, seed: int, store: str) -> Tally:
    """Play in an empty folder, roots at `store` ("s3" or "disk"); ChaosError where something must not be."""
    with _server_at(store, folder) as server:
        return Chaos(folder, n_kills, seed, server).play()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=["s3", "disk"], default="s3")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        print(play(Path(scratch), chosen.kills, chosen.seed, chosen.store))
