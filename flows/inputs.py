"""What a flow is asked to do, read from its parameters."""

from datetime import date
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from pipeline.study import Study, StudyError


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
