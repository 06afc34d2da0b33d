"""What ran, under which settings and with which software."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.engine.plan import params_of
from pipeline.engine.records import read_runs
from pipeline.params import Params, digest
from pipeline.report.words import format_param
from pipeline.study import Study

PACKAGES = (
    "sojourn",
    "numpy",
    "numba",
    "pandas",
    "pyarrow",
    "geopandas",
    "shapely",
    "dask",
    "distributed",
    "h3",
    "matplotlib",
)


class Param(NamedTuple):
    """One parameter of one stage."""

    stage: str
    name: str
    value: str
    is_default: bool


class StageRow(NamedTuple):
    """What one stage did in the last run."""

    stage: str
    shards: str
    n_rows: int
    seconds: float


class LastRun(NamedTuple):
    """The last run of a root as the page tells it."""

    command: str
    state: str
    started: str
    error: str
    stages: list[StageRow]
    is_same_study: bool
    """The run was of the very study reported on."""


def last_run(root: Path, study: Study) -> LastRun | None:
    """Return what the last run of a root did; None where nothing ever ran."""
    runs = read_runs(root)
    if not runs:
        return None
    run = runs[-1]
    return LastRun(
        run["command"],
        run["state"],
        format_time(run["started_at"]),
        run["error"] or "",
        [_stage_row(stage) for stage in run["stages"]],
        digest(run["study"]) == study_digest(study),
    )


def _stage_row(summary: dict[str, Any]) -> StageRow:
    shards = ", ".join(f"{n:,} {state}" for state, n in sorted(summary["shards"].items())) or "none"
    return StageRow(summary["stage"], shards, summary["n_rows"], summary["seconds"])


def format_time(iso: str) -> str:
    """Return an ISO time as date and minute in UTC."""
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def study_digest(study: Study) -> str:
    """Return the hash that identifies a study's declaration, sources and Params included, names of devices not."""
    return digest(study.shown())


def list_params(study: Study) -> list[Param]:
    """Return every parameter of every stage with the value the study gives it."""
    return [
        Param(stage, name, format_param(getattr(params, name)), getattr(params, name) == _default(params, name))
        for stage, params in params_of(study).items()
        for name in type(params).model_fields
    ]


def _default(params: Params, name: str) -> Any:
    return type(params).model_fields[name].get_default(call_default_factory=True)


def describe_params(params: list[Param], stage: str) -> str:
    """Return the parameters of one stage in one line, for use beside a result."""
    return ", ".join(f"{p.name} = {p.value}" for p in params if p.stage == stage) or "no parameters"


def package_versions() -> list[tuple[str, str]]:
    """Return name and version of Python and of the packages that make the numbers."""
    return [("Python", platform.python_version()), *((name, _version(name)) for name in PACKAGES)]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed as a package"
