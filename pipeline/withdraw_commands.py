"""`sojourn withdraw`: a person asks to be deleted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.engine.artifacts import MODELS_FOLDER
from pipeline.engine.opening import hold_root, root_buckets
from pipeline.engine.withdraw import COMMAND, Withdrawn
from pipeline.engine.withdraw import withdraw as take_out
from pipeline.options import (
    DEFAULT_BUCKETS,
    AsJson,
    Buckets,
    MemoryGB,
    Root,
    Scheduler,
    Sets,
    StudyFile,
    Threads,
    Wait,
    Workers,
    make_settings,
    print_json,
    read_study,
)
from pipeline.study import StudyError

STDIN = "-"
EXIT_ROWS_LEFT = 1
CANNOT = "What was exported, released or copied before is beyond reach, and source files were not touched."

IdsFile = Annotated[
    str | None,
    typer.Option(
        "--ids-file",
        help="File with the vendor's ids, one a line; - reads them from standard input. Without it, those on the "
        "list are taken out and checked again.",
    ),
]


def withdraw(
    study_file: StudyFile = None,
    root: Root = Path("tables"),
    ids_file: IdsFile = None,
    sets: Sets = None,
    buckets: Buckets = DEFAULT_BUCKETS,
    scheduler: Scheduler = None,
    workers: Workers = 0,
    threads: Threads = None,
    memory_gb: MemoryGB = None,
    wait: Wait = 0.0,
    as_json: AsJson = False,
) -> None:
    """Delete devices from every table, keep them out of all later loads, and check that no row is left."""
    study, raw_ids = read_study(study_file, sets), read_ids(ids_file)
    settings = make_settings(root, root_buckets(root) or buckets, scheduler, workers, threads, memory_gb, wait)
    with hold_root(settings, COMMAND, study.shown()) as held:
        done = take_out(held, study, raw_ids)
        held.record.note(withdrawn={**done._asdict(), "check": done.check._asdict()})
    if as_json:
        print_json({**done._asdict(), "check": done.check._asdict()})
    else:
        typer.echo("\n".join(in_words(done)))
    if done.check.n_rows:
        raise typer.Exit(EXIT_ROWS_LEFT)


def read_ids(name: str | None) -> list[bytes]:
    """Return the ids in the lines of a file or of standard input; StudyError where there are none."""
    if name is None:
        return []
    try:
        data = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    except OSError as error:
        raise StudyError(f"--ids-file cannot be read: {error.strerror}") from None
    ids = [line.strip() for line in data.splitlines() if line.strip()]
    if not ids:
        raise StudyError("--ids-file holds no id")
    return ids


def in_words(done: Withdrawn) -> list[str]:
    """Return what was done, a line each; counts only."""
    lines = [
        f"{done.n_ids:,} devices asked for, {done.n_new:,} of them new on the list; {done.n_found:,} had rows",
        f"{done.n_rows:,} rows taken out of {done.n_shards:,} shards of {done.n_tables:,} tables",
    ]
    if done.n_files:
        lines.append(f"{done.n_files:,} source files named after them are known no more")
    if done.counted:
        lines.append(f"{len(done.counted)} tables made of all devices were removed; `sojourn run` makes them again")
    if done.models:
        lines.append(
            f"Trained before, on tables that held withdrawn devices: {', '.join(done.models)}. Train again and remove "
            f"their folders below {MODELS_FOLDER}; runs of studies that name them are refused"
        )
    check = done.check
    return [
        *lines,
        f"{check.n_rows:,} rows of {check.n_devices:,} withdrawn devices in {check.n_shards:,} shards of "
        f"{check.n_tables:,} tables",
        CANNOT,
    ]
