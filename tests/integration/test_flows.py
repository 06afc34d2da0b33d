"""Flows against a server: tasks, artifacts, retries, failures, refusals."""

import errno
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from data_contracts import PINGS, STAYS
from pipeline.engine.lock import LockedError, root_lock
from pipeline.engine.records import read_runs
from pipeline.engine.run import Run, StageSummary
from pipeline.engine.store import Store
from pipeline.engine.trouble import PassingError, RunError, named
from pipeline.study import Study
from tests.integration.prefect_env import (
    DATED,
    DEVICES,
    STAGES,
    assert_holds_counts,
    find_flow_run,
    find_task_runs,
    read_artifacts,
    read_logs,
    read_states,
)


def test_daily_has_a_task_a_stage_a_name_and_artifacts(flows: ModuleType, study_file: Path, root: Path) -> None:
    report = root.parent / "report.html"
    summaries = flows.daily.daily(settings={"root": root, "n_buckets": 2}, study_file=study_file, report=report)

    assert [s.stage for s in summaries] == STAGES
    assert all(isinstance(s, StageSummary) for s in summaries)
    assert find_flow_run(root).name == "beijing 2020-01-05..2020-01-06"
    tasks = find_task_runs(root, STAGES)
    assert {t.state.type.value for t in tasks.values()} == {"COMPLETED"}
    artifacts = read_artifacts(root)
    assert_holds_counts(artifacts)
    (record,) = (root / "_runs").glob("*.json")
    links = {"sojourn-tables": root, "sojourn-record": record, "sojourn-report": report}
    assert artifacts.keys() == {"sojourn-rows", "sojourn-stages", *links}
    for key, path in links.items():
        assert path.as_uri() in artifacts[key] and path.exists()


def test_study_as_a_parameter_and_a_span_of_dates(flows: ModuleType, study_file: Path, root: Path) -> None:
    """A study given as plain values, dates as texts: what a server would send."""
    study = Study.from_toml(study_file).model_dump(mode="json")
    study["sources"][0]["path"] = str(study_file.parent / "pings.csv")
    given = {"study": study, "start": "2020-01-06", "end": "2020-01-06"}

    flows.daily.daily(settings={"root": str(root), "n_buckets": 2}, only_dated=True, **given)

    assert find_flow_run(root).name == "beijing 2020-01-06..2020-01-06"
    store = Store(root)
    assert {key.date for key in store.keys(PINGS)} == {date(2020, 1, 5), date(2020, 1, 6)}, "all files are loaded"
    assert {key.date for key in store.keys(STAYS)} == {date(2020, 1, 6)}


def test_a_failed_stage_is_tried_again(
    flows: ModuleType, study_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = {"coverage": 2}
    calls = fail_stages(monkeypatch, failures, ConnectionResetError("by peer"))
    without_waiting(monkeypatch, flows)

    summaries = flows.daily.daily(settings={"root": root, "n_buckets": 2}, study_file=study_file, only_dated=True)

    assert calls == [stage for stage in DATED for _ in range(1 + failures.get(stage, 0))]
    assert [s.stage for s in summaries] == DATED
    tasks = find_task_runs(root, DATED)
    assert {name: task.run_count for name, task in tasks.items()} == {
        stage: 1 + failures.get(stage, 0) for stage in DATED
    }
    assert read_states(root) == ["finished"]


def test_a_stage_that_cannot_be_done_fails_the_flow_with_the_engines_message(
    flows: ModuleType, study_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fail_stages(monkeypatch, {"coverage": 99})
    without_waiting(monkeypatch, flows)

    with pytest.raises(RunError, match=r"^coverage/0001: 3 rows break the contract$"):
        flows.daily.daily(settings={"root": root, "n_buckets": 2}, study_file=study_file, only_dated=True)

    assert calls == ["pings", "coverage"], "what a retry cannot mend is not tried again, later stages do not run"
    (record,) = read_runs(root)
    assert (record["state"], record["error"]) == ("failed", "coverage/0001: 3 rows break the contract")
    run = find_flow_run(root)
    assert run.state_type.value == "FAILED" and "3 rows break the contract" in run.state.message
    assert find_task_runs(root, ["pings", "coverage"])["coverage"].state_type.value == "FAILED"


def test_the_message_of_a_foreign_error_is_withheld(
    flows: ModuleType, study_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library's message may quote a row, and Prefect's server keeps messages."""
    fail_stages(monkeypatch, {"pings": 99}, ValueError(f"could not convert {DEVICES[0]}"))
    without_waiting(monkeypatch, flows)

    with pytest.raises(RunError, match=r"^pings: ValueError in .*message withheld"):
        flows.daily.daily(settings={"root": root, "n_buckets": 2}, study_file=study_file, only_dated=True)

    logs = read_logs(root)
    assert "message withheld" in logs and DEVICES[0] not in logs
    assert DEVICES[0] not in find_flow_run(root).model_dump_json()
    assert DEVICES[0] not in find_task_runs(root, ["pings"])["pings"].model_dump_json()


def test_trouble_that_does_not_pass_fails_the_flow_in_the_end(
    flows: ModuleType, study_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fail_stages(monkeypatch, {"pings": 99}, OSError(errno.EIO, "storage"))
    without_waiting(monkeypatch, flows)

    with pytest.raises(PassingError, match=r"^pings: Input/output error"):
        flows.daily.daily(settings={"root": root, "n_buckets": 2}, study_file=study_file, only_dated=True)

    assert calls == ["pings"] * (1 + flows.tasks.RETRIES)


def test_a_root_that_is_taken_is_refused_in_one_line(flows: ModuleType, study_file: Path, root: Path) -> None:
    with root_lock(root), pytest.raises(LockedError, match=r"^another run is writing to .*tables"):
        flows.daily.daily(settings={"root": root, "n_buckets": 2}, study_file=study_file, only_dated=True)

    state = find_flow_run(root).state
    assert (state.type.value, state.name) == ("FAILED", "Refused")
    assert state.message.startswith(f"another run is writing to {root}")
    assert "Traceback" not in read_logs(root)


def fail_stages(monkeypatch: pytest.MonkeyPatch, failures: dict[str, int], error: Exception | None = None) -> list[str]:
    """Make stages fail that often before they work; return the growing list of what was called."""
    calls: list[str] = []
    execute = Run.execute

    def failing(self: Run, stage: str) -> StageSummary:
        calls.append(stage)
        if calls.count(stage) <= failures.get(stage, 0):
            if error:
                with named(stage):
                    raise error
            raise RunError("coverage/0001: 3 rows break the contract")
        return execute(self, stage)

    monkeypatch.setattr(Run, "execute", failing)
    return calls


def without_waiting(monkeypatch: pytest.MonkeyPatch, flows: ModuleType) -> None:
    task = flows.tasks.run_stage
    assert task.retries == flows.tasks.RETRIES
    assert task.retry_delay_seconds == [5, 10, 20]
    monkeypatch.setattr(task, "retry_delay_seconds", 0)
