"""`sojourn evaluate stays` and `locations`: how good they are on your own ground truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.evaluate.app import evaluate_app, load_or_explain
from pipeline.options import AsJson, Sets, StudyFile, print_json, read_study
from pipeline.paths import as_path
from pipeline.settings import read_key, throw_away_key
from pipeline.study import StudyError

if TYPE_CHECKING:
    from pipeline.evaluation.run import Asked, Evaluation
    from pipeline.params import Params
    from pipeline.study import Study

Label = Annotated[
    str | None, typer.Option("--label", help="Column of the sources that holds the true label of each ping.")
]
StopValues = Annotated[
    list[str] | None,
    typer.Option("--stop-value", help="Text that means a stop (repeatable); every other one then means move."),
]
TruthPath = Annotated[
    str | None,
    typer.Option("--truth", help="Table of all true stays (CSV or Parquet: file, folder or glob), instead of --label."),
]
TruthColumns = Annotated[
    str | None,
    typer.Option(
        help="Its columns, where named otherwise: device_id=uid,started_at=begin,finished_at=end,place_id=poi."
    ),
]
TruthUnit = Annotated[
    str | None,
    typer.Option("--truth-time-unit", help="Unit of its times: text (ISO 8601), s, ms, us, ns.", show_default="text"),
]
TruthZone = Annotated[
    str | None, typer.Option("--truth-zone", help="Zone of its times, where they carry none.", show_default="UTC")
]
THIN = "0,1,5,15,30"
Thin = Annotated[
    str | None,
    typer.Option("--thin", help="Minutes between pings to thin to, 0 for all; one result for each.", show_default=THIN),
]
GAP_S = 3600.0
Gap = Annotated[
    float | None,
    typer.Option(min=0, help="With --label: a silence longer than this ends a true stay (s).", show_default=str(GAP_S)),
]
Overlap = Annotated[float, typer.Option(min=0, help="Shared time from which a found stay is of a true one (s).")]
MinStay = Annotated[float, typer.Option(min=0, help="True stays shorter than this need not be found (s).")]
PerDevice = Annotated[bool, typer.Option("--per-device", help="Also each device, by rank: ids are never told.")]
FromRoot = Annotated[
    Path | None,
    typer.Option(
        "--root", parser=as_path, help="Judge the tables already computed there (needs --truth; no thinning)."
    ),
]
MAX_S = 1e9
"""Longer than any study; times in µs stay whole numbers of 64 bits."""
PING_COLUMNS = ["device_id", "tracked_at"]
STAY_COLUMNS = ["device_id", "started_at", "finished_at"]
LOCATION_COLUMNS = ["device_id", "location_id", "stays_started_at"]


@evaluate_app.command("stays")
def evaluate_stays(
    study_file: StudyFile = None,
    label: Label = None,
    stop_values: StopValues = None,
    truth: TruthPath = None,
    truth_columns: TruthColumns = None,
    time_unit: TruthUnit = None,
    time_zone: TruthZone = None,
    thin: Thin = None,
    gap_s: Gap = None,
    overlap_s: Overlap = 60.0,
    min_stay_s: MinStay = 300.0,
    root: FromRoot = None,
    table: Annotated[str | None, typer.Option(help="With --root: stays or visits.", show_default="stays")] = None,
    per_device: PerDevice = False,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Score stays by ping, by minute and one by one, on all pings and on fewer.

    Reads the study's files itself; with --root it reads tables. Without SOJOURN_KEY a throw-away key is used.
    """
    from pipeline.evaluation.run import evaluate_root_stays, evaluate_study_stays
    from pipeline.evaluation.showing import show_stays

    asked = _ask(label, stop_values, thin, (gap_s, overlap_s, min_stay_s), truth, truth_columns, time_unit, time_zone)
    params: dict[str, Params] = {}
    if root:
        _check_root(asked, study_file, sets, thin)
        table = "stays" if table is None else table
        if table not in ("stays", "visits"):
            raise StudyError(f"--table {table}: stays or visits")
        pings, found = load_or_explain("pings", root, PING_COLUMNS), load_or_explain(table, root, STAY_COLUMNS)
        result = evaluate_root_stays(pings, found, read_key(), asked)
    else:
        if table is not None:
            raise StudyError("--table names a table of --root")
        study, params = _read_study(study_file, sets)
        with throw_away_key():
            result = evaluate_study_stays(study, params, read_key(), asked)
    if as_json:
        _print(result, asked, params)
    else:
        show_stays(result, min_stay_s, per_device)


@evaluate_app.command("locations")
def evaluate_locations(
    study_file: StudyFile = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Column of the sources that names each ping's place; empty: none.")
    ] = None,
    truth: TruthPath = None,
    truth_columns: TruthColumns = None,
    time_unit: TruthUnit = None,
    time_zone: TruthZone = None,
    thin: Thin = None,
    gap_s: Gap = None,
    overlap_s: Overlap = 60.0,
    min_stay_s: MinStay = 300.0,
    root: FromRoot = None,
    per_device: PerDevice = False,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Compare found places with true ones, device by device: the adjusted Rand index.

    Reads the study's files itself; with --root it reads tables. Without SOJOURN_KEY a throw-away key is used.
    """
    from pipeline.evaluation.run import evaluate_root_locations, evaluate_study_locations
    from pipeline.evaluation.showing import show_locations

    asked = _ask(label, None, thin, (gap_s, overlap_s, min_stay_s), truth, truth_columns, time_unit, time_zone)
    params: dict[str, Params] = {}
    if root:
        _check_root(asked, study_file, sets, thin)
        pings, stays = load_or_explain("pings", root, PING_COLUMNS), load_or_explain("stays", root, STAY_COLUMNS)
        locations = load_or_explain("locations", root, LOCATION_COLUMNS)
        result = evaluate_root_locations(pings, stays, locations, read_key(), asked)
    else:
        study, params = _read_study(study_file, sets)
        with throw_away_key():
            result = evaluate_study_locations(study, params, read_key(), asked)
    if as_json:
        _print(result, asked, params)
    else:
        show_locations(result, min_stay_s, per_device)


def _ask(
    label: str | None,
    stop_values: list[str] | None,
    thin: str | None,
    lengths_s: tuple[float | None, float, float],
    truth: str | None,
    truth_columns: str | None,
    time_unit: str | None,
    time_zone: str | None,
) -> Asked:
    """Return what the options ask for; StudyError where they contradict each other."""
    from pipeline.evaluation.run import Asked
    from pipeline.evaluation.tables import TruthFile, parse_columns

    if (label is None) == (truth is None):
        raise StudyError("name the truth: either --label COLUMN, or --truth FILE")
    if stop_values and not label:
        raise StudyError("--stop-value explains the values of --label")
    if truth_columns and not truth:
        raise StudyError("--truth-columns explains the columns of --truth")
    if not truth and (time_unit, time_zone) != (None, None):
        raise StudyError("--truth-time-unit and --truth-zone explain the times of --truth")
    gap_s, overlap_s, min_stay_s = lengths_s
    if gap_s is not None and not label:
        raise StudyError("--gap-s ends the true stays of --label; those of --truth have ends")
    for name, length_s in (("gap", gap_s), ("overlap", overlap_s), ("min-stay", min_stay_s)):
        if length_s is not None and not 0 <= length_s <= MAX_S:
            raise StudyError(f"--{name}-s {length_s:g}: write seconds, at most {MAX_S:g}")
    times = "text" if time_unit is None else time_unit, "UTC" if time_zone is None else time_zone
    file = TruthFile(truth, parse_columns(truth_columns), *times) if truth else None
    seconds = _parse_thin(THIN if thin is None else thin)
    return Asked(
        label, tuple(stop_values or ()), file, seconds, GAP_S if gap_s is None else gap_s, overlap_s, min_stay_s
    )


def _parse_thin(text: str) -> tuple[float, ...]:
    """Return seconds, from minutes with commas between."""
    try:
        minutes = [float(part) for part in text.split(",")]
    except ValueError:
        minutes = [math.nan]
    if not all(0 <= value < math.inf for value in minutes):
        raise StudyError(f"--thin {text}: write minutes with commas between, such as {THIN}")
    return tuple(value * 60 for value in minutes)


def _check_root(asked: Asked, study_file: Path | None, sets: list[str] | None, thin: str | None) -> None:
    if asked.truth is None:
        raise StudyError("--root needs --truth: tables do not hold the labels of pings")
    if study_file or sets:
        raise StudyError("--root judges what is computed already: leave out the study, or leave out --root")
    if thin is not None:
        raise StudyError("--thin thins the pings of a study; --root judges what was found in all")


def _read_study(path: Path | None, sets: list[str] | None) -> tuple[Study, dict[str, Params]]:
    from pipeline.engine.plan import params_of

    study = read_study(path, sets)
    return study, params_of(study)


def _print(evaluation: Evaluation[Any], asked: Asked, params: dict[str, Params]) -> None:
    """Print the result with all it depends on: what was asked, and the Params used where it is not of a root."""
    from pipeline.evaluation.showing import plain

    used = {name: params[name].model_dump(mode="json") for name in ("pings", "stays", "locations") if name in params}
    unused = {"truth"} | (set() if params else {"thin_s"}) | (set() if asked.label else {"gap_s"})
    given = {name: value for name, value in asked._asdict().items() if name not in unused}
    print_json(plain({"asked": given, "params": used, **evaluation._asdict()}))
