"""What a flow is asked to do, read from its parameters."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

from prefect.runtime import flow_run

from data_contracts import TABLES
from data_contracts.spec import Shard
from pipeline.engine.plan import stages_in_order
from pipeline.engine.run import steps_of
from pipeline.engine.statics import STATICS
from pipeline.study import Study, StudyError

STAGE_NAMES = (*STATICS, *(stage.name for stage in stages_in_order()))
StageName = Literal[STAGE_NAMES]  # type: ignore[valid-type]
"""A stage's name: the form of a deployment offers these and no others."""
DATED = (Shard.FILE, Shard.DATE_BUCKET)


def read_study(study_file: Path | None, study: dict[str, Any] | None) -> Study:
    """Return the study in a file, fields replaced by those of `study`; without a file, of those alone.

    StudyError when it cannot be used, or neither is given. Without a file, relative paths in
    `study` start in the working directory of the process that runs the flow.
    """
    if study_file is None and study is None:
        raise StudyError("give study_file (path of a TOML file) or study (its fields)")
    return Study.from_toml(study_file, study) if study_file else Study.from_dict(study or {})


def pick_dates(study: Study, start: date | None, end: date | None) -> list[date]:
    """Return the UTC dates from `start` to `end`, both included; an end left out is the study's own.

    StudyError when they leave the study's span or hold no date.
    """
    first, last = start or study.start, end or study.end
    if first > last or first < study.start or last > study.end:
        raise StudyError(f"{first}..{last} is not a span of dates within {study.start}..{study.end}")
    return [day for day in study.dates() if first <= day <= last]


def pick_stages(study: Study, names: Sequence[str] | None) -> list[str]:
    """Return the stages of those names (None: all) in run order; StudyError on a name that this study lacks."""
    known = steps_of(study)
    unknown = sorted(set(names or ()) - set(known))
    if unknown or names == []:
        raise StudyError(f"stages: {', '.join(unknown) or 'none given'}; this study has {', '.join(known)}")
    return [name for name in known if names is None or name in names]


def dated_stages() -> list[str]:
    """Return the stages whose tables are kept per date (or source file): a day more costs them a day, and no more."""
    return [stage.name for stage in stages_in_order() if TABLES[stage.name].shard in DATED]


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
