"""A deployed project for tests: the flows of `prefect.yaml` on a real server, and a real worker that runs them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from pipeline.engine.records import read_runs
from tests.integration.prefect_env import PROCESS_S, REPOSITORY, make_environment, run_python, started

PREFECT = ["-m", "prefect", "--no-prompt"]
SOON_S = 10
"""How long automations wait here for what they expect: the least that Prefect takes."""

# The flows as they are, but they wait in stage `stays` while a file "hold" is there.
HELD = """
import logging, time
from pathlib import Path
from pipeline.engine.run import Run

HOLD = Path(__file__).with_name("hold")

def execute_or_wait(self, stage, execute=Run.execute):
    if stage == "stays":
        logging.getLogger("pipeline.engine").warning("a line of the engine")
        (self.settings.root / "reached").touch()
        while HOLD.exists():
            time.sleep(0.05)
    return execute(self, stage)

Run.execute = execute_or_wait
from flows.backfill import backfill
from flows.daily import daily
"""


class Deployed:
    """A folder with the project, deployed; `client` talks to its server."""

    def __init__(self, folder: Path, environment: dict[str, str], client: Any) -> None:
        self.folder, self.environment, self.client = folder, environment, client
        self.hold = folder / "hold"
        self.ids = {d.name: d.id for d in client.read_deployments() if d.work_pool_name == "sojourn"}

    @contextmanager
    def worker(self, name: str) -> Iterator[subprocess.Popen[str]]:
        """Yield a worker that lives as long as the block; what it started ends with it."""
        folder = self.folder / name
        folder.mkdir()
        arguments = [*PREFECT, "worker", "start", "--pool", "sojourn", "--name", name]
        with started(arguments, self.environment, self.folder, folder / "process.log") as process:
            yield process

    def automate(self, name: str) -> None:
        """Create one of the project's automations."""
        path = write_automation(self.folder, name)
        run_prefect(["automation", "create", "--from-file", str(path)], self.environment, self.folder)

    def start(self, deployment: str, root: Path, state: Any = None, **parameters: Any) -> Any:
        """Return the id of a new run of a deployment over `root`."""
        settings = {"root": str(root), "n_buckets": 2, "lock_wait_s": 0} | parameters.pop("settings", {})
        given = {"settings": settings, **parameters}
        return self.client.create_flow_run_from_deployment(self.ids[deployment], parameters=given, state=state).id

    def state(self, run: Any) -> tuple[str, str]:
        """Return name and message of the state of a flow run."""
        state = self.client.read_flow_run(run).state
        return state.name, state.message or ""

    def wait_for_state(self, run: Any, name: str) -> str:
        """Return the message of a flow run's state once it has that name."""
        wait_until(lambda: self.state(run)[0] == name, lambda: f"{name} did not come: {self.state(run)}")
        return self.state(run)[1]

    def wait_for_stays(self, root: Path) -> int:
        """Return the process id of the run on `root` once it waits in stage `stays`."""
        wait_until((root / "reached").exists, lambda: "no run reached stays")
        (root / "reached").unlink()
        return int(read_runs(root)[-1]["pid"])

    def read_logs(self, run: Any) -> str:
        """Return everything that was logged for a flow run."""
        from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

        wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
        return "\n".join(log.message for log in self.client.read_logs(log_filter=wanted))


def wait_until(is_so: Callable[[], bool], explain: Callable[[], str]) -> None:
    """Return once something is so; fail when it takes too long."""
    deadline = time.monotonic() + PROCESS_S
    while not is_so():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


def kill(pid: int) -> None:
    """Kill a process outright, and wait until it is gone or its parent has to hear of it."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def deploy(folder: Path, server: str, client: Any) -> Deployed:
    """Deploy `prefect.yaml` from a folder, its schedules off and its flows held as told there."""
    (folder / "flows").symlink_to(REPOSITORY / "flows")
    (folder / "held.py").write_text(HELD)
    text = (REPOSITORY / "prefect.yaml").read_text().replace("flows/daily.py:", "held.py:")
    (folder / "prefect.yaml").write_text(
        text.replace("flows/backfill.py:", "held.py:").replace("active: true", "active: false")
    )
    environment = make_environment(folder / "home", server) | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    for arguments in (
        ["work-pool", "create", "sojourn", "--type", "process"],
        ["deploy", "--all"],
    ):
        run_prefect(arguments, environment, folder)
    return Deployed(folder, environment, client)


def run_prefect(arguments: list[str], environment: dict[str, str], folder: Path) -> None:
    """Run the command `prefect`; fail with its output when it fails."""
    code, output = run_python([*PREFECT, *arguments], environment, folder)
    assert code == 0, output


def write_automation(folder: Path, name: str) -> Path:
    """Write one automation of the project to a file of its own, hurried, and return the file."""
    declared = yaml.safe_load((REPOSITORY / "flows/automations.yaml").read_text())
    (wanted,) = [a for a in declared["automations"] if a["name"] == name]
    wanted["trigger"]["within"] = SOON_S
    path = folder / f"{name}.json"
    path.write_text(json.dumps(wanted))
    return path
