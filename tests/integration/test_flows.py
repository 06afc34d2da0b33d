"""Flows: embedded, against a server, as deployments, retried, failed, stopped and killed."""

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from data_contracts import PINGS, STAYS
from pipeline.engine.plan import ShardReport, stages_in_order
from pipeline.engine.records import read_runs
from pipeline.engine.run import Run, StageSummary, open_run
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError
from pipeline.settings import Settings
from pipeline.study import Study, StudyError
from tests.integration.prefect_env import (
    DEVICES,
    KEY,
    LAT,
    LON,
    REPOSITORY,
    daily_options,
    find_flow_run,
    find_task_runs,
    make_environment,
    read_artifact,
    read_logs,
    run_python,
    running_server,
    stop_in_stays,
    write_study,
)

STAGES = [stage.name for stage in stages_in_order()]
N_READ, N_PINGS, N_DUPLICATES, N_REJECTED = 98, 96, 1, 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """API address of one server for all tests of this module."""
    with running_server(tmp_path_factory.mktemp("server")) as api_url:
        yield api_url


@pytest.fixture(scope="module")
def embedded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect home of the runs without a server; shared, because a new one costs seconds."""
    return tmp_path_factory.mktemp("embedded_home")


@pytest.fixture(scope="module")
def flows(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Package `flows`, imported in this process, talking to the server of this module."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        # Prefect reads its home when it is first imported: before that, the user's must be out of reach.
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            patch.delenv(name)
        for name, value in make_environment(home, server).items():
            patch.setenv(name, value)
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker
        from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

        import flows
        import flows.backfill
        import flows.daily
        import flows.tasks

        with temporary_settings({PREFECT_API_URL: server, PREFECT_HOME: home}):
            yield flows
            # Logs and events still in the queue would look for the server after its end.
            APILogWorker.drain_all()
            EventsWorker.drain_all()


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    return write_study(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "tables"


def read_states(root: Path) -> list[str]:
    return [run["state"] for run in read_runs(root)]


def assert_holds_counts(markdown: str) -> None:
    for line in (
        f"| rows read | {N_READ} |",
        f"| accepted | {N_PINGS} |",
        f"| duplicates | {N_DUPLICATES} |",
        f"| rejected | {N_REJECTED} |",
    ):
        assert line in markdown
    assert markdown.count("| rejected: ") == 1
    for stage in STAGES:
        assert f"\n| {stage} | " in markdown


# Without a server


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
        ((markdown,),) = database.execute("select data from artifact where key = 'sojourn-run'").fetchall()
    assert_holds_counts(json.loads(markdown))

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


# Against a server


def test_daily_has_a_task_a_stage_a_name_and_an_artifact(flows: ModuleType, study_file: Path, root: Path) -> None:
    summaries = flows.daily.daily(root=root, study_file=study_file, n_buckets=2)

    assert [s.stage for s in summaries] == STAGES
    assert all(isinstance(s, StageSummary) for s in summaries)
    assert find_flow_run(root).name == "beijing 2020-01-05..2020-01-06"
    tasks = find_task_runs(root, STAGES)
    assert {t.state.type.value for t in tasks.values()} == {"COMPLETED"}
    assert_holds_counts(read_artifact(root, "sojourn-run"))


def test_study_as_a_parameter_and_a_span_of_dates(flows: ModuleType, study_file: Path, root: Path) -> None:
    """A study given as plain values, dates as texts: what a server would send."""
    study = Study.from_toml(study_file).model_dump(mode="json")
    study["sources"][0]["path"] = str(study_file.parent / "pings.csv")
    given = {"study": study, "start": "2020-01-06", "end": "2020-01-06", "n_buckets": 2}

    flows.daily.daily(root=str(root), **given)

    assert find_flow_run(root).name == "beijing 2020-01-06..2020-01-06"
    store = Store(root)
    assert {key.date for key in store.keys(PINGS)} == {date(2020, 1, 5), date(2020, 1, 6)}, "all files are loaded"
    assert {key.date for key in store.keys(STAYS)} == {date(2020, 1, 6)}


def test_a_failed_stage_is_tried_again(
    flows: ModuleType, study_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = {"stays": 2}
    calls = fail_stages(monkeypatch, failures)
    without_waiting(monkeypatch, flows)

    summaries = flows.daily.daily(root=root, study_file=study_file, n_buckets=2)

    assert calls == [stage for stage in STAGES for _ in range(1 + failures.get(stage, 0))]
    assert [s.stage for s in summaries] == STAGES
    tasks = find_task_runs(root, STAGES)
    assert {name: task.run_count for name, task in tasks.items()} == {
        stage: 1 + failures.get(stage, 0) for stage in STAGES
    }
    assert read_states(root) == ["finished"]


def test_a_stage_that_cannot_be_done_fails_the_flow_with_the_engines_message(
    flows: ModuleType, study_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fail_stages(monkeypatch, {"stays": 99})
    without_waiting(monkeypatch, flows)

    with pytest.raises(RunError, match=r"^stays/0001: 3 rows break the contract$"):
        flows.daily.daily(root=root, study_file=study_file, n_buckets=2)

    reached = STAGES[: STAGES.index("stays") + 1]
    assert calls == [*reached, *["stays"] * flows.tasks.RETRIES], "later stages do not run"
    (record,) = read_runs(root)
    assert (record["state"], record["error"]) == ("failed", "stays/0001: 3 rows break the contract")
    run = find_flow_run(root)
    assert run.state_type.value == "FAILED" and "3 rows break the contract" in run.state.message
    assert find_task_runs(root, reached)["stays"].state_type.value == "FAILED"


def test_the_message_of_a_foreign_error_is_withheld(
    flows: ModuleType, study_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library's message may quote a row, and Prefect's server keeps messages."""
    fail_stages(monkeypatch, {"pings": 99}, ValueError(f"could not convert {DEVICES[0]}"))
    without_waiting(monkeypatch, flows)

    with pytest.raises(RunError, match=r"^pings: ValueError in .*message withheld"):
        flows.daily.daily(root=root, study_file=study_file, n_buckets=2)

    logs = read_logs(root)
    assert "message withheld" in logs and DEVICES[0] not in logs
    assert DEVICES[0] not in find_flow_run(root).model_dump_json()
    assert DEVICES[0] not in find_task_runs(root, ["pings"])["pings"].model_dump_json()


def fail_stages(monkeypatch: pytest.MonkeyPatch, failures: dict[str, int], error: Exception | None = None) -> list[str]:
    """Make stages fail that often before they work; return the growing list of what was called."""
    calls: list[str] = []
    execute = Run.execute

    def failing(self: Run, stage: str) -> StageSummary:
        calls.append(stage)
        if calls.count(stage) <= failures.get(stage, 0):
            raise error or RunError("stays/0001: 3 rows break the contract")
        return execute(self, stage)

    monkeypatch.setattr(Run, "execute", failing)
    return calls


def without_waiting(monkeypatch: pytest.MonkeyPatch, flows: ModuleType) -> None:
    task = flows.tasks.run_stage
    assert task.retries == flows.tasks.RETRIES
    assert task.retry_delay_seconds == [5, 10]
    monkeypatch.setattr(task, "retry_delay_seconds", 0)


# Backfill


def test_backfill_of_some_stages_after_a_dry_run(flows: ModuleType, study_file: Path, root: Path) -> None:
    given = {"root": root, "study_file": study_file, "n_buckets": 2}
    dry = flows.backfill.backfill(**given, dry_run=True)
    assert [(line.table, line.state, line.n_shards) for line in dry] == [("source files", "missing", 1)]
    assert not root.exists(), "a dry run writes nothing"

    loaded = flows.backfill.backfill.with_options(name="backfill-pings")(**given, stages=["pings"])
    assert [s.stage for s in loaded] == ["pings"]

    summaries = flows.backfill.backfill(**given, stages=["stays", "coverage"], start=date(2020, 1, 6))
    assert [s.stage for s in summaries] == [name for name in STAGES if name in ("stays", "coverage")]
    assert {key.date for key in Store(root).keys(STAYS)} == {date(2020, 1, 6)}

    states = {(line.table, line.state) for line in flows.backfill.backfill(**given, stages=["stays"], dry_run=True)}
    assert ("stays", "missing") in states and {table for table, _ in states} == {"stays"}
    assert [run["command"] for run in read_runs(root)] == ["flow backfill"] * 2


def test_states_are_counted_and_files_are_not_named(flows: ModuleType) -> None:
    reports = [
        ShardReport("source files", "person-7.plt", "missing", ("never loaded, or changed",)),
        ShardReport("source files", "person-8.plt", "missing", ("never loaded, or changed",)),
        ShardReport("stays", "date=2020-01-05/bucket=0000.parquet", "stale", ("params", "code")),
        ShardReport("stays", "date=2020-01-06/bucket=0000.parquet", "stale", ("params",)),
        ShardReport("stays", "date=2020-01-07/bucket=0000.parquet", "current"),
        ShardReport("visits", "bucket=0000.parquet", "stale", ("stays is not current",)),
    ]
    lines = flows.backfill.count_states(reports, ["pings", "stays"])
    assert [tuple(line) for line in lines] == [
        ("source files", "missing", 2, ("never loaded, or changed",)),
        ("stays", "stale", 2, ("params", "code")),
        ("stays", "current", 1, ()),
    ]
    text = flows.backfill.format_status(lines)
    assert text.splitlines()[0].split() == ["table", "state", "shards", "why"]
    assert text.splitlines()[2].split() == ["stays", "stale", "2", "params;", "code"]
    assert "person" not in text


@pytest.fixture
def sigterm() -> Iterator[None]:
    """The command line handles SIGTERM its own way; here it is put back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_command_line_of_backfill(
    flows: ModuleType, study_file: Path, root: Path, monkeypatch: pytest.MonkeyPatch, sigterm: None
) -> None:
    options = ["--start", "2020-01-06", "--stages", "stays", "visits", "--dry-run"]
    monkeypatch.setattr("sys.argv", ["backfill", *daily_options(study_file, root), *options])
    flows.backfill.main()
    run = find_flow_run(root)
    assert run.name == "beijing 2020-01-06..2020-01-06"
    given = {name: run.parameters[name] for name in ("stages", "dry_run", "start", "end", "n_buckets")}
    assert given == {
        "stages": ["stays", "visits"],
        "dry_run": True,
        "start": "2020-01-06",
        "end": None,
        "n_buckets": 2,
    }


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            RunError("stays/0001: 3 rows break the contract"),
            1,
            "error: stays/0001: 3 rows break the contract\n",
        ),
        (StudyError("no study file"), 2, "error: no study file\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_exit_codes(
    flows: ModuleType,
    capsys: pytest.CaptureFixture[str],
    sigterm: None,
    error: BaseException,
    code: int,
    said: str,
) -> None:
    def failing(**parameters: object) -> None:
        raise error

    with pytest.raises(SystemExit) as left:
        flows.command.run_flow(failing, flows.command.make_parser("").parse_args(["--study", "s", "--root", "r"]))
    assert (left.value.code, capsys.readouterr().err) == (code, said)


# What cannot be asked for


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give study_file .* or study .*, not neither"),
        ({"study_file": "study.toml", "study": {"name": "x"}}, "not both"),
        ({"study_file": "nowhere.toml"}, "no study file at nowhere.toml"),
        ({"study": {"name": "x"}}, "start: Field required"),
    ],
)
def test_a_study_that_cannot_be_read_fails_the_flow(flows: ModuleType, root: Path, given: dict, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        flows.daily.daily(root=root, **given)
    run = find_flow_run(root)
    assert (run.name, run.state_type.value) == ("study that cannot be read", "FAILED")
    assert not root.exists()


@pytest.mark.parametrize(
    ("start", "end"),
    [(date(2020, 1, 4), None), (None, date(2020, 1, 7)), (date(2020, 1, 6), date(2020, 1, 5))],
)
def test_dates_outside_the_study_are_refused(
    flows: ModuleType, study_file: Path, start: date | None, end: date | None
) -> None:
    from flows.inputs import pick_dates

    with pytest.raises(StudyError, match=r"is not a span of dates within 2020-01-05\.\.2020-01-06"):
        pick_dates(Study.from_toml(study_file), start, end)


@pytest.mark.parametrize("names", [["stay"], ["stays", "tracts"], []])
def test_stages_that_do_not_exist_are_refused(flows: ModuleType, study_file: Path, names: list[str]) -> None:
    with pytest.raises(StudyError, match=r"this study has .*stays"):
        flows.backfill.pick_stages(Study.from_toml(study_file), names)


# Deployments


def read_deployments() -> dict[str, dict]:
    declared = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
    return {deployment["name"]: deployment for deployment in declared["deployments"]}


def test_deployments_name_flows_and_parameters_that_exist(flows: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(REPOSITORY)
    deployments = read_deployments()
    assert sorted(deployments) == ["backfill", "daily"]
    for name, deployment in deployments.items():
        loaded = load_flow_from_entrypoint(deployment["entrypoint"])
        assert loaded.name == name
        validated = loaded.validate_parameters(deployment["parameters"])
        assert validated["study_file"] == Path("study.toml") and validated["root"] == Path("tables")
        assert sorted(loaded.parameters.required) == ["root"]
    (schedule,) = deployments["daily"]["schedules"]
    assert CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"]).cron == "0 3 * * *"
    assert "schedules" not in deployments["backfill"]


@pytest.mark.slow
def test_deployments_are_accepted_by_a_server_and_run_by_a_worker(
    flows: ModuleType, server: str, study_file: Path, tmp_path: Path
) -> None:
    """As prefect.yaml tells: make the pool, deploy, and let a worker run the daily flow in the folder."""
    from prefect import get_client

    environment = make_environment(tmp_path / "home", server)
    for name in ("prefect.yaml", "flows"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    prefect = ["-m", "prefect", "--no-prompt"]
    for arguments in (["work-pool", "create", "sojourn", "--type", "process"], ["deploy", "--all"]):
        code, output = run_python([*prefect, *arguments], environment, tmp_path)
        assert code == 0, output
    with get_client(sync_client=True) as client:
        deployed = {d.name: d for d in client.read_deployments() if d.work_pool_name == "sojourn"}
        assert sorted(deployed) == sorted(read_deployments())
        (schedule,) = deployed["daily"].schedules
        assert (schedule.schedule.cron, schedule.schedule.timezone, schedule.active) == (
            "0 3 * * *",
            "UTC",
            True,
        )
        assert not deployed["backfill"].schedules
        assert deployed["daily"].parameters == {"study_file": "study.toml", "root": "tables"}
        wanted = client.create_flow_run_from_deployment(deployed["daily"].id)
        code, output = run_python(
            [*prefect, "worker", "start", "--pool", "sojourn", "--run-once"], environment, tmp_path
        )
        assert code == 0, output
        run = client.read_flow_run(wanted.id)
    assert (run.name, run.state_type.value) == ("beijing 2020-01-05..2020-01-06", "COMPLETED"), output
    assert read_states(tmp_path / "tables") == ["finished"]
