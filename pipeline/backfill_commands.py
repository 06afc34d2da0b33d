"""`sojourn backfill`: some tables, on some dates, or only what would be computed and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.engine.plan import with_followers
from pipeline.engine.run import left_stale, status, steps_of
from pipeline.logs import LogFormat
from pipeline.options import (
    DEFAULT_BUCKETS,
    AsJson,
    Buckets,
    From,
    MemoryGB,
    Root,
    Scheduler,
    Sets,
    StudyFile,
    Threads,
    To,
    Wait,
    Workers,
    make_settings,
    read_study,
    span,
)
from pipeline.running import (
    LogFileOption,
    LogFormatOption,
    LogLevelOption,
    MetricsFile,
    Outputs,
    PerformanceReport,
    run_stages,
    start_log,
    wanted,
)
from pipeline.shown import show_states, show_summaries
from pipeline.stages.predict import left_out

Stages = Annotated[list[str] | None, typer.Option("--stage", help="Only this stage (repeatable); default: all.")]
Downstream = Annotated[
    bool, typer.Option("--downstream", help="With --stage: also all tables that are made from those.")
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Compute shards that are current, too (not pings and reference tables). Bytes stay the same."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be computed and why; compute nothing.")]
ReadAll = Annotated[
    bool, typer.Option("--read-all", help="With --dry-run: read waiting files of more than 512 MiB as well.")
]


def backfill(
    study_file: StudyFile = None,
    root: Root = Path("tables"),
    first: From = None,
    last: To = None,
    stages: Stages = None,
    downstream: Downstream = False,
    force: Force = False,
    dry_run: DryRun = False,
    read_all: ReadAll = False,
    sets: Sets = None,
    buckets: Buckets = DEFAULT_BUCKETS,
    scheduler: Scheduler = None,
    workers: Workers = 0,
    threads: Threads = None,
    memory_gb: MemoryGB = None,
    wait: Wait = 0.0,
    log_format: LogFormatOption = LogFormat.TEXT,
    log_level: LogLevelOption = None,
    log_file: LogFileOption = None,
    performance_report: PerformanceReport = None,
    metrics_file: MetricsFile = None,
    as_json: AsJson = False,
) -> None:
    """Recompute what is stale or missing on a range of dates, for all stages or some."""
    start_log(log_format, log_level, log_file)
    study = read_study(study_file, sets)
    settings = make_settings(root, buckets, scheduler, workers, threads, memory_gb, wait)
    dates = span(study, first, last)
    known = steps_of(study)
    chosen = wanted(known, stages, left_out(study))
    if downstream:
        chosen = [name for name in known if name in with_followers(chosen)]
    if dry_run:
        limit = {"max_bytes": None} if read_all else {}
        show_states(status(study, settings, dates, chosen, is_forced=force, **limit), as_json, only_due=True)
        return
    outputs = Outputs(performance_report, metrics_file)
    show_summaries(run_stages(study, settings, "backfill", dates, chosen, outputs, force), as_json)
    if not as_json and (chosen != known or dates != study.dates()):
        Console().print(left_stale(study, settings) or "everything is current", highlight=False, soft_wrap=True)
