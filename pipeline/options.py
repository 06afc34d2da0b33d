"""What several commands take and print alike: a study, a root, JSON."""

from __future__ import annotations

import json
import sys
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.paths import as_path
from pipeline.settings import MAX_BUCKETS, Settings
from pipeline.study import Study, StudyError, dates_between, parse_date

DEFAULT_BUCKETS: int = Settings.model_fields["n_buckets"].default
BYTES_PER_GB = 1_000_000_000

StudyFile = Annotated[Path | None, typer.Argument(help="Study file (TOML). Its fields can be replaced with --set.")]
Root = Annotated[
    Path,
    typer.Option(
        help="Folder of the study's tables, or their URL (s3://bucket/folder).",
        envvar="SOJOURN_ROOT",
        parser=as_path,
        metavar="PATH",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Replace a field: --set params.stays.roam_m=100, --set 'sources=[{path=\"a.csv\"}]'.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON value to standard output, and nothing else there.")
]

Buckets = Annotated[
    int, typer.Option("--buckets", min=1, max=MAX_BUCKETS, help="Files per date; fixed once a root exists.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="Existing Dask scheduler (tcp://..., tls://...); default: one on this machine.")
]
Workers = Annotated[
    int, typer.Option(min=0, max=1024, help="Worker processes on this machine; default: threads of this process.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads of a worker on this machine; default: 1 a process, or all cores.")
]
MemoryGB = Annotated[
    float | None,
    typer.Option("--memory-gb", min=0.3, help="Memory of a worker on this machine; default: 70 % shared out."),
]
Wait = Annotated[
    float, typer.Option(min=0, help="Seconds to wait for a root that another run holds; 0 refuses at once.")
]

From = Annotated[str | None, typer.Option("--from", help="First UTC date on which what is missing is made.")]
To = Annotated[str | None, typer.Option("--to", help="Last such date (YYYY-MM-DD).")]


def span(study: Study, first: str | None, last: str | None) -> list[date]:
    """Return the UTC dates from `first` to `last`, by default the study's; StudyError outside of it."""
    start, end = (parse_date(first) if first else study.start), (parse_date(last) if last else study.end)
    if not study.start <= start <= end <= study.end:
        raise StudyError(f"{start} to {end} is not a span inside the study ({study.start} to {study.end})")
    return dates_between(start, end)


def read_study(path: Path | None, sets: list[str] | None) -> Study:
    """Return the study of a file, fields replaced by ``field=value`` texts; without a file, of those alone."""
    values = parse_fields(sets, "--set")
    if path is None and not values:
        raise StudyError("name a study file, or give its fields with --set")
    if path is None:
        return Study.from_dict(values, folder=Path.cwd())
    return Study.from_toml(path, values)


def parse_fields(texts: list[str] | None, option: str) -> dict[str, Any]:
    """Return ``field.name=value`` texts as values within values; StudyError names the option of one that is none."""
    values: dict[str, Any] = {}
    for text in texts or []:
        name, separator, value = text.partition("=")
        if not separator:
            raise StudyError(f"{option} {text!r}: write field=value")
        _put(values, name.strip().split("."), _parse_value(value))
    return values


def _parse_value(text: str) -> Any:
    """Return a TOML value, or the text itself where it is none (bare words need no quotes)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def make_settings(
    root: Path,
    buckets: int = DEFAULT_BUCKETS,
    scheduler: str | None = None,
    workers: int = 0,
    threads: int | None = None,
    memory_gb: float | None = None,
    wait: float = 0.0,
) -> Settings:
    """Return the settings of a command line; StudyError where options contradict each other."""
    memory = int(memory_gb * BYTES_PER_GB) if memory_gb else None
    if scheduler and (workers or threads or memory):
        raise StudyError("--scheduler names workers that are there: leave out --workers, --threads and --memory-gb")
    return Settings(
        root=root,
        n_buckets=buckets,
        scheduler=scheduler,
        n_workers=workers,
        n_threads=threads,
        memory_limit_bytes=memory,
        lock_wait_s=wait,
    )


def print_json(value: Any) -> None:
    """Print one JSON value."""
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")
