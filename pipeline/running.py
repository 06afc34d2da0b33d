"""Running stages from a command line: progress with time left on standard error, and a log where one is asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline.engine.outlook import SHARD, ShardReport
from pipeline.engine.records import read_runs
from pipeline.engine.run import StageSummary, open_run
from pipeline.logs import LogFormat, LogLevel, configure, log_event
from pipeline.metrics import RunMetrics
from pipeline.settings import Settings
from pipeline.stages.predict import left_out, named_models
from pipeline.study import Study, StudyError
from pipeline.time_left import TimeLeft, in_words

LINE_EVERY_S = 30.0
"""Seconds between two lines of progress where standard error is no terminal (ours)."""

PerformanceReport = Annotated[
    Path | None,
    typer.Option(
        "--performance-report", help="Write Dask's performance report to this HTML file (needs sojourn[performance])."
    ),
]
MetricsFile = Annotated[
    Path | None,
    typer.Option("--metrics-file", help="Write how the run ended, for Prometheus, to this file (.prom)."),
]
LogFormatOption = Annotated[LogFormat, typer.Option("--log-format", help="Lines of the log as text or as JSON.")]
LogLevelOption = Annotated[
    LogLevel | None,
    typer.Option(
        "--log-level",
        help="Log events of this level and above; default: warning, or info to a file or as JSON.",
    ),
]
LogFileOption = Annotated[
    Path | None, typer.Option("--log-file", help="Append the log to this file; default: standard error.")
]


def start_log(log_format: LogFormat, level: LogLevel | None, file: Path | None) -> None:
    """Begin the log of a command. Who asks for a file or for JSON wants the events, not only what went wrong."""
    is_kept = file is not None or log_format is LogFormat.JSON
    configure(log_format, level or (LogLevel.INFO if is_kept else LogLevel.WARNING), file)


class Outputs(NamedTuple):
    """Files about a run that are written beside its tables where they are asked for."""

    performance_report: Path | None = None
    metrics_file: Path | None = None


def run_stages(
    study: Study,
    settings: Settings,
    command: str,
    dates: list[date],
    stages: list[str] | None,
    outputs: Outputs = Outputs(),  # noqa: B008 (it cannot be changed)
    is_forced: bool = False,
) -> list[StageSummary]:
    """Run stages in order and return what each did; progress goes to standard error."""
    metrics = RunMetrics(study.name, command)
    _tell_left_out(study)
    with metrics.kept(outputs.metrics_file), open_run(study, settings, command, dates, is_forced) as opened:
        names = wanted(opened.stages, stages, left_out(study))
        expected = earlier_seconds(settings.root, command)
        left = TimeLeft(names, expected)
        with opened.reporting(outputs.performance_report), _shown(left, names) as show:
            return [_execute(opened, name, left, show, metrics) for name in names]


def _tell_left_out(study: Study) -> None:
    """Warn of tables that the study names a model for and that cannot be filled here."""
    named = named_models(study)
    if missing := [f"{table}: {why}" for table, why in left_out(study).items() if table in named]:
        log_event("run", logging.WARNING, "tables left out", why="; ".join(missing))


def _execute(opened: Any, name: str, left: TimeLeft, show: Show, metrics: RunMetrics) -> StageSummary:
    def on_shard(stage: str, report: ShardReport) -> None:
        left.advance()
        show(stage)
        if report.step == SHARD:
            metrics.count(report.state, report.n_rows)

    left.begin(name)
    metrics.begin(name)
    show(name)
    summary: StageSummary = opened.execute(name, on_shard, left.expect)
    left.end()
    metrics.end()
    show(name, is_over=True)
    return summary


def wanted(known: list[str], stages: list[str] | None, out: Mapping[str, str]) -> list[str]:
    """Return those of the known stages that were asked for, all where none were; StudyError on any other.

    `out` gives the reasons why tables are left out.
    """
    unknown = sorted(set(stages or []) - set(known))
    if unknown and unknown[0] in out:
        raise StudyError(f"--stage {unknown[0]} is left out: {out[unknown[0]]}")
    if unknown:
        raise StudyError(f"--stage {unknown[0]}: no such stage; accepted: {', '.join(known)}")
    return [name for name in known if not stages or name in stages]


def earlier_seconds(root: Path, command: str) -> dict[str, float]:
    """Return what each stage took in the latest finished run of that command on a root; nothing before the first."""
    finished = [r for r in read_runs(root) if r["state"] == "finished" and r["command"] == command]
    return {s["stage"]: s["seconds"] for s in finished[-1]["stages"]} if finished else {}


Show = Callable[..., None]


@contextmanager
def _shown(left: TimeLeft, names: list[str]) -> Iterator[Show]:
    """Yield what shows how far a stage is: a bar on a terminal, else a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console, left, len(names))
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TextColumn("{task.fields[shards]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress, left)


class _Bars:
    def __init__(self, progress: Progress, left: TimeLeft) -> None:
        self._progress, self._left, self._tasks = progress, left, dict[str, Any]()

    def __call__(self, stage: str, is_over: bool = False) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=None, shards="", left="")
        n_done, n_total = self._left.n_done, self._left.n_total
        self._progress.update(
            self._tasks[stage],
            total=max(1, n_total) if n_total or is_over else None,
            completed=max(1, n_total) if is_over else n_done,
            shards=f"{n_done:,}" if is_over or not n_total else f"{n_done:,} of {n_total:,}",
            left="" if is_over else left_in_words(self._left),
        )


class _Lines:
    def __init__(self, console: Console, left: TimeLeft, n_stages: int) -> None:
        self._console, self._left, self._n_stages = console, left, n_stages
        self._said = time.monotonic()
        self._n_over = 0

    def __call__(self, stage: str, is_over: bool = False) -> None:
        self._n_over += is_over
        if time.monotonic() - self._said < LINE_EVERY_S:
            return
        self._said = time.monotonic()
        n_done, n_total = self._left.n_done, self._left.n_total
        shards = "done" if is_over else f"{n_done:,} of {n_total:,} done" if n_total else f"{n_done:,} done"
        line = f"{stage} ({self._n_over} of {self._n_stages} stages over): {shards}; {left_in_words(self._left)}"
        self._console.print(line, highlight=False, soft_wrap=True)


def left_in_words(left: TimeLeft) -> str:
    """Return the time left of the stage and of the whole run."""
    return f"{in_words(left.of_stage())} left, {in_words(left.of_run())} in all"
