"""Flows without a server, and flows stopped and killed: a root's own records tell how they ended."""

import json
import signal
import sqlite3
from pathlib import Path
from types import ModuleType

import pytest

from data_contracts import PINGS, STAYS
from pipeline.engine.records import read_runs
from pipeline.engine.run import open_run
from pipeline.engine.store import Store
from pipeline.settings import Settings
from pipeline.study import Study
from tests.integration.prefect_env import (
    DEVICES,
    KEY,
    LAT,
    LON,
    N_PINGS,
    STAGES,
    assert_holds_counts,
    daily_options,
    find_flow_run,
    make_environment,
    read_states,
    run_python,
    stop_in_stays,
)


@pytest.mark.slow
def test_embedded_run_needs_nothing_and_tells_nothing(study_file: Path, root: Path, embedded_home: Path) -> None:
    """The command line alone: tables, record, run name and artifact are there, no id or place is."""
    arguments = ["-m", "flows.daily", *daily_options(study_file, root)]
    code, output = run_python(arguments, make_environment(embedded_home), study_file.parent)

    assert code == 0, output
    assert read_states(root) == ["finished"]
    assert [s["stage"] for s in read_runs(root)[0]["stages"]] == STAGES
    store = Store(root)
    assert sum(store.footer(PINGS, key).n_rows for key in store.keys(PINGS)) == N_PINGS
    assert sum(store.footer(STAYS, key).n_rows for key in store.keys(STAYS)) == 4

    with sqlite3.connect(embedded_home / "prefect.db") as database:
        assert database.execute("select name, state_type from flow_run").fetchall() == [
            ("beijing 2020-01-05..2020-01-06", "COMPLETED")
        ]
        artifacts = database.execute("select key, data from artifact").fetchall()
    tables = {key: json.loads(json.loads(data)) for key, data in artifacts if key in ("sojourn-rows", "sojourn-stages")}
    assert_holds_counts(tables)

    secrets = [*DEVICES, KEY, f"{LON:.4f}", f"{LAT:.4f}"]
    written = [path for path in embedded_home.rglob("*") if path.is_file()]
    assert written
    for path in [*written, study_file.parent / "process.log"]:
        content = path.read_bytes()
        assert not [k for k, secret in enumerate(secrets) if secret.encode() in content], path.name


@pytest.mark.slow
def test_killed_embedded_run_is_told_by_our_records(
    study_file: Path, root: Path, embedded_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = stop_in_stays(study_file, root, make_environment(embedded_home), signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert_stopped(root, "killed")
    monkeypatch.setenv("SOJOURN_KEY", KEY)
    with open_run(Study.from_toml(study_file), Settings(root=root, n_buckets=2), "after the kill") as run:
        assert run.execute("pings").shards.keys() <= {"current"}
    assert read_states(root) == ["killed", "finished"]


@pytest.mark.slow
def test_cancelled_embedded_run_leaves_no_server_behind(study_file: Path, root: Path, embedded_home: Path) -> None:
    code, is_anything_left = stop_in_stays(study_file, root, make_environment(embedded_home), signal.SIGTERM)
    assert (code, is_anything_left) == (130, False)
    assert_stopped(root, "cancelled")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code", "ours", "prefects"),
    [
        # Prefect never hears of a kill and says RUNNING for ever: a root's own records may not.
        (signal.SIGKILL, -signal.SIGKILL, "killed", "RUNNING"),
        (signal.SIGTERM, 130, "cancelled", "CRASHED"),
    ],
)
def test_run_stopped_under_a_server_is_told_by_our_records(
    flows: ModuleType,
    study_file: Path,
    root: Path,
    server: str,
    tmp_path: Path,
    sent: signal.Signals,
    code: int,
    ours: str,
    prefects: str,
) -> None:
    environment = make_environment(tmp_path / "home", server)
    assert stop_in_stays(study_file, root, environment, sent) == (code, False)
    assert_stopped(root, ours)
    assert find_flow_run(root).state_type.value == prefects


def assert_stopped(root: Path, state: str) -> None:
    (run,) = read_runs(root)
    assert run["state"] == state
    done = [s["stage"] for s in run["stages"]]
    assert done == STAGES[: len(done)] and "pings" in done and "stays" not in done
