"""The flow `backfill`, command lines of flows, and what cannot be asked for."""

import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from data_contracts import STAYS
from pipeline.engine.plan import ShardReport, with_followers
from pipeline.engine.records import read_runs
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError
from pipeline.study import Study, StudyError
from tests.integration.prefect_env import STAGES, daily_options, find_flow_run


def test_backfill_of_some_stages_after_a_dry_run(
    flows: ModuleType, study_file: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"settings": {"root": root, "n_buckets": 2}, "study_file": study_file}
    dry = flows.backfill.backfill(**given, dry_run=True)
    assert tuple(dry[0])[:3] == ("source files", "missing", 1)
    assert {line.table for line in dry if line.state == "missing"} >= {"pings", "stays", "visits"}
    assert not root.exists(), "a dry run writes nothing"

    loaded = flows.backfill.backfill.with_options(name="backfill-pings")(**given, stages=["pings"])
    assert [s.stage for s in loaded] == ["pings"]

    summaries = flows.backfill.backfill(**given, stages=["stays", "coverage"], start=date(2020, 1, 6))
    assert [s.stage for s in summaries] == [name for name in STAGES if name in ("stays", "coverage")]
    assert {key.date for key in Store(root).keys(STAYS)} == {date(2020, 1, 6)}

    again = flows.backfill.backfill(**given, stages=["stays"], start=date(2020, 1, 6), force=True)
    assert set(again[0].shards) == {"computed"}
    assert "stays 2 missing" in next(r.message for r in reversed(caplog.records) if "not asked for" in r.message)

    below = flows.backfill.backfill(**given, stages=["visits"], downstream=True, dry_run=True)
    assert {line.table for line in below} == with_followers(["visits"]) & set(STAGES)

    states = {(line.table, line.state) for line in flows.backfill.backfill(**given, stages=["stays"], dry_run=True)}
    assert ("stays", "missing") in states and {table for table, _ in states} == {"stays"}
    assert [run["command"] for run in read_runs(root)] == ["flow backfill"] * 3


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
    options = ["--start", "2020-01-06", "--stages", "stays", "visits", "--dry-run", "--force"]
    monkeypatch.setattr("sys.argv", ["backfill", *daily_options(study_file, root), *options])
    flows.backfill.main()
    run = find_flow_run(root)
    assert run.name == "beijing 2020-01-06..2020-01-06"
    given = {name: run.parameters[name] for name in ("stages", "dry_run", "force", "downstream", "start", "end")}
    assert given == {
        "stages": ["stays", "visits"],
        "dry_run": True,
        "force": True,
        "downstream": False,
        "start": "2020-01-06",
        "end": None,
    }
    assert run.parameters["settings"]["n_buckets"] == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--n-buckets", "0"], "--n-buckets: Input should be greater than or equal to 1"),
        (["--scheduler", "tcp://a:1", "--n-workers", "2"], "scheduler and n_workers are two clusters"),
    ],
)
def test_every_setting_is_an_option(flows: ModuleType, given: list[str], message: str) -> None:
    parser = flows.command.make_parser("")
    options = ["--study", "s", "--root", "r"]
    assert flows.command.read_settings(parser.parse_args([*options, "--n-workers", "2"])).n_workers == 2
    with pytest.raises(StudyError, match=message):
        flows.command.read_settings(parser.parse_args([*options, *given]))


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
        ({}, "give study_file .* or study"),
        ({"study_file": "nowhere.toml"}, "no study file at nowhere.toml"),
        ({"study": {"name": "x"}}, "start: Field required"),
    ],
)
def test_a_study_that_cannot_be_read_fails_the_flow(flows: ModuleType, root: Path, given: dict, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        flows.daily.daily(settings={"root": root}, **given)
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
