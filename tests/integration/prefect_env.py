"""Prefect for tests: a home of its own each, a server on loopback, and a tiny study to run.

Prefect is imported inside functions only: it reads its settings when it is first imported, and a
test must have set them by then.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from pipeline.engine.plan import stages_in_order
from pipeline.engine.records import read_runs
from pipeline.models import OUTPUTS

REPOSITORY = Path(__file__).resolve().parents[2]
KEY = "tests-only-key-0123456789abcdef"
DEVICES = ("walker-alpha-7731", "walker-beta-4412")
LON, LAT = 116.3912345, 39.9067891
N_PINGS = 96
SERVER = {
    # Seconds until a run is asked again that found its deployment busy; 30 by default.
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
    # As README advises: leases in memory are lost with the server, and their slots with them.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}
DATED = ["pings", "coverage", "stays"]
STAGES = [stage.name for stage in stages_in_order() if stage.name not in OUTPUTS]
"""Stages of a study that names no model."""
SERVER_START_S, PROCESS_S = 240, 600  # for a machine with much else to do and kernels to compile

STUDY = """
name = "beijing"
start = 2020-01-05
end = 2020-01-06
zone = "Asia/Shanghai"

[[sources]]
path = "pings.csv"
columns = {device_id = "who", tracked_at = "at", lon = "x", lat = "y"}
"""


def write_study(folder: Path) -> Path:
    """Write two devices with a place each day, one row twice and one off the globe; return the study file.

    Read 98, accepted 96 (2 devices x 2 days x 24 pings an hour apart by 5 minutes), 1 duplicate, 1 rejected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, device in enumerate(DEVICES):
        for day in (5, 6):
            for k in range(24):
                lon = LON + 0.01 * number + 0.02 * (day - 5)
                rows.append(f"{device},2020-01-{day:02d}T{8 + k // 12:02d}:{5 * (k % 12):02d}:00Z,{lon:.7f},{LAT:.7f}")
    rows.append(rows[0])
    rows.append(f"{DEVICES[0]},2020-01-05T12:00:00Z,{LON:.7f},95.0")
    (folder / "pings.csv").write_text("\n".join(["who,at,x,y", *rows]) + "\n")
    (folder / "study.toml").write_text(STUDY)
    return folder / "study.toml"


def make_environment(home: Path, api_url: str | None = None) -> dict[str, str]:
    """Return the environment of a process that knows nothing of a Prefect but the one of this test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    kept |= {"PREFECT_HOME": str(home), "SOJOURN_KEY": KEY, "PYTHONPATH": str(REPOSITORY)}
    kept |= {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    return kept | ({"PREFECT_API_URL": api_url} if api_url else {})


def assert_holds_counts(artifacts: dict[str, Any]) -> None:
    """Check the tables that a whole run over the tiny study shows on its page."""
    (reason,) = [row["rows"] for row in artifacts["sojourn-rows"] if row["rows"].startswith("rejected: ")]
    assert {row["rows"]: row["count"] for row in artifacts["sojourn-rows"]} == {
        "source files": 1,
        "rows read": 98,
        "accepted": N_PINGS,
        "duplicates": 1,
        "rejected": 1,
        reason: 1,
    }
    assert [row["stage"] for row in artifacts["sojourn-stages"]] == STAGES
    pings = artifacts["sojourn-stages"][STAGES.index("pings")]
    assert (
        pings["rows"] == N_PINGS and pings["shards computed"] > 0 == pings["shards current"] and pings["seconds"] >= 0
    )


@contextmanager
def started(
    arguments: Sequence[str], environment: dict[str, str], folder: Path, log: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Yield a Python process in a group of its own; nothing of the group is left afterwards.

    The group matters: a killed flow leaves the temporary server that Prefect started for it.
    """
    with (log or folder / "process.log").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_python(arguments: Sequence[str], environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """Return exit code and output of a Python process."""
    with started(arguments, environment, folder) as process:
        code = process.wait(timeout=PROCESS_S)
    return code, (folder / "process.log").read_text()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Return once `path` exists; fail when `process` ends first or takes too long."""
    deadline = time.monotonic() + PROCESS_S
    while not path.exists():
        assert process.poll() is None, f"ended with {process.returncode} before {path.name} appeared"
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.05)


DRIVER = """
import sys, time
from pathlib import Path
from pipeline.engine.run import Run

def execute_or_hang(self, stage, execute=Run.execute):
    if stage == "stays":
        Path("reached").touch()
        time.sleep(600)
    return execute(self, stage)

Run.execute = execute_or_hang
from flows.daily import main
main()
"""


def stop_in_stays(study_file: Path, root: Path, environment: dict[str, str], sent: signal.Signals) -> tuple[int, bool]:
    """Send a signal to the process of a daily run, and to it alone, while it is in stage `stays`.

    Returns its exit code, and whether a process that it started outlived it.
    """
    folder = study_file.parent
    with started(["-c", DRIVER, *daily_options(study_file, root)], environment, folder) as process:
        wait_for(folder / "reached", process)
        assert [run["state"] for run in read_runs(root)] == ["running"]
        process.send_signal(sent)
        return process.wait(timeout=PROCESS_S), _is_group_alive(process.pid)


def daily_options(study_file: Path, root: Path) -> list[str]:
    """Return the options of the daily flow's command line."""
    return ["--study", str(study_file), "--root", str(root), "--n-buckets", "2"]


def _is_group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """Yield the API address of a Prefect server on loopback that lives as long as the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api_url = f"http://127.0.0.1:{port}/api"
    arguments = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    environment = make_environment(folder / "server_home") | SERVER
    with started(arguments, environment, folder) as server:
        deadline = time.monotonic() + SERVER_START_S
        while not _is_healthy(api_url):
            assert server.poll() is None, (folder / "process.log").read_text()
            assert time.monotonic() < deadline, "the Prefect server did not start"
            time.sleep(0.2)
        yield api_url


def _is_healthy(api_url: str) -> bool:
    try:
        return httpx.get(f"{api_url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def find_flow_run(root: Path) -> Any:
    """Return the one flow run on the server whose settings name this root."""
    from prefect import get_client

    with get_client(sync_client=True) as client:
        (run,) = [r for r in client.read_flow_runs(limit=200) if r.parameters["settings"]["root"] == str(root)]
    return run


def find_task_runs(root: Path, names: Collection[str]) -> dict[str, Any]:
    """Return name → task run of that flow run, once the server has heard the end of each of `names`."""
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[find_flow_run(root).id]))
    deadline = time.monotonic() + PROCESS_S
    with get_client(sync_client=True) as client:
        while True:
            runs = {run.name: run for run in client.read_task_runs(flow_run_filter=wanted)}
            if runs.keys() == set(names) and all(run.state.is_final() for run in runs.values()):
                return runs
            assert time.monotonic() < deadline, f"the server knows of {sorted(runs)}"
            time.sleep(0.2)


def read_artifacts(root: Path) -> dict[str, Any]:
    """Return key → content of the artifacts of that flow run: a link, or the rows of a table."""
    from prefect import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[find_flow_run(root).id]))
    with get_client(sync_client=True) as client:
        found = {artifact.key: artifact.data for artifact in client.read_artifacts(artifact_filter=wanted)}
    return {key: json.loads(data) if data.startswith("[{") else data for key, data in found.items()}


def read_states(root: Path) -> list[str]:
    """Return the states of all runs that a root knows of, oldest first."""
    return [run["state"] for run in read_runs(root)]


def read_logs(root: Path) -> str:
    """Return everything that this process has logged to the server for that flow run."""
    from prefect import get_client
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all()
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[find_flow_run(root).id]))
    with get_client(sync_client=True) as client:
        return "\n".join(log.message for log in client.read_logs(log_filter=wanted))
