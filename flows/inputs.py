"""What a flow is asked to do, read from its parameters or its command line."""

from argparse import ArgumentParser, Namespace
from datetime import date
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from pipeline.settings import Settings
from pipeline.study import Study, StudyError, parse_date

DEFAULT_BUCKETS: int = Settings.model_fields["n_buckets"].default


def read_study(study_file: Path | None, study: dict[str, Any] | None) -> Study:
    """Return the study in a file, or the one given as plain values; StudyError unless it is exactly one.

    Relative paths in `study` start in the working directory of the process that runs the flow.
    """
    if (study_file is None) == (study is None):
        given = "both" if study else "neither"
        raise StudyError(f"give study_file (path of a TOML file) or study (its fields), not {given}")
    if study is not None:
        return Study.from_dict(study)
    assert study_file is not None
    return Study.from_toml(study_file)


def pick_dates(study: Study, start: date | None, end: date | None) -> list[date]:
    """Return the UTC dates from `start` to `end`, both included; an end left out is the study's own.

    StudyError when they leave the study's span or hold no date.
    """
    first, last = start or study.start, end or study.end
    if first > last or first < study.start or last > study.end:
        raise StudyError(f"{first}..{last} is not a span of dates within {study.start}..{study.end}")
    return [day for day in study.dates() if first <= day <= last]


def run_name() -> str:
    """Return the name of the flow run about to begin, like ``beijing 2020-01-05..2020-01-06``."""
    given = flow_run.parameters
    try:
        study = read_study(given["study_file"], given["study"])
        dates = pick_dates(study, given["start"], given["end"])
    except StudyError:
        # Prefect leaves a run pending for ever when its name cannot be made; the flow itself
        # raises the same error a moment later, and fails with it.
        return "study that cannot be read"
    return f"{study.name} {dates[0]}..{dates[-1]}"


def make_parser(description: str) -> ArgumentParser:
    """Return a command line with the options that all flows share."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--study", type=Path, required=True, help="study file (TOML)")
    parser.add_argument("--root", type=Path, required=True, help="folder of all tables of the study")
    parser.add_argument("--start", help="first UTC date, YYYY-MM-DD; default: the study's")
    parser.add_argument("--end", help="last UTC date, included; default: the study's")
    parser.add_argument(
        "--buckets", type=int, default=DEFAULT_BUCKETS, help="files per date (default: %(default)s)"
    )
    parser.add_argument("--scheduler", help="address of a Dask scheduler; default: one in this process")
    return parser


def as_parameters(options: Namespace) -> dict[str, Any]:
    """Return the flow parameters that the shared options stand for; StudyError when a date is none."""
    return {
        "study_file": options.study,
        "root": options.root,
        "start": parse_date(options.start) if options.start else None,
        "end": parse_date(options.end) if options.end else None,
        "n_buckets": options.buckets,
        "scheduler": options.scheduler,
    }
