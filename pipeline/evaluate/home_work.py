"""`sojourn evaluate home-work`: how good homes and workplaces are on your own ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.evaluate.app import evaluate_app, load_or_explain
from pipeline.options import AsJson, Sets, print_json, read_study
from pipeline.paths import as_path
from pipeline.settings import read_key
from pipeline.study import StudyError

if TYPE_CHECKING:
    from pipeline.evaluation.home_work_run import HomeWorkEvaluation
    from pipeline.evaluation.labelled_stops import LabelledStops, LabelTexts
    from pipeline.study import Study

TABLE = "(CSV or Parquet: file, folder or glob)"
StopsPath = Annotated[
    str | None, typer.Option("--stops", help=f"Table of stops of known purpose {TABLE}; times by the local clock.")
]
StopColumns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        help="Its columns, where named otherwise: "
        "device_id=uid,location_id=place,started_at=begin,finished_at=end,label=purpose.",
    ),
]
FromRoot = Annotated[
    Path | None,
    typer.Option("--root", parser=as_path, help="Judge home_work and visits already computed there; needs --truth."),
]
TruthPath = Annotated[
    str | None, typer.Option("--truth", help=f"With --root: table of all true stays, with their purpose {TABLE}.")
]
TruthColumns = Annotated[
    str | None,
    typer.Option(
        help="Its columns, where named otherwise: "
        "device_id=uid,place_id=place,started_at=begin,finished_at=end,purpose=why."
    ),
]
Unit = Annotated[
    str | None, typer.Option(help="Unit of the times: text (ISO 8601), s, ms, us, ns.", show_default="text")
]
Zone = Annotated[
    str | None,
    typer.Option("--truth-zone", help="Zone of the truth's times, where they carry none.", show_default="UTC"),
]
HomeValues = Annotated[
    list[str] | None,
    typer.Option("--home-value", help="Text that means home (repeatable).", show_default="home and h"),
]
WorkValues = Annotated[
    list[str] | None,
    typer.Option("--work-value", help="Text that means work (repeatable).", show_default="work and w"),
]
STAGE = "home_work"
VISIT_COLUMNS = ["device_id", "location_id", "started_at", "finished_at", "utc_offset_s"]


@evaluate_app.command("home-work")
def evaluate_home_work(
    stops: StopsPath = None,
    columns: StopColumns = None,
    root: FromRoot = None,
    truth: TruthPath = None,
    truth_columns: TruthColumns = None,
    time_unit: Unit = None,
    time_zone: Zone = None,
    home_values: HomeValues = None,
    work_values: WorkValues = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Score homes and workplaces over time, places and people, beside rules that need no thought.

    Either --stops: the stage home_work is run on them, with --set home_work.method=howde and the like (or any field
    of a study). Or --root and --truth: its tables are judged, which needs the SOJOURN_KEY they were made with.
    """
    from pipeline.evaluation.showing import plain
    from pipeline.evaluation.showing_home_work import show_home_work

    _check(stops, columns, root, truth, truth_columns, time_zone, sets)
    texts = _label_texts(home_values, work_values)
    params: dict[str, Any] = {}
    if stops:
        result, params = _of_stops(stops, columns, time_unit, texts, sets)
    else:
        result = _of_root(root, truth, truth_columns, time_unit, time_zone, texts)
    if as_json:
        given = {"home_values": sorted(texts.home), "work_values": sorted(texts.work)}
        print_json(plain({"asked": given, "params": params, **result._asdict()}))
    else:
        show_home_work(result)


def _check(
    stops: str | None,
    columns: str | None,
    root: Path | None,
    truth: str | None,
    truth_columns: str | None,
    time_zone: str | None,
    sets: list[str] | None,
) -> None:
    """Raise StudyError where options are missing or contradict each other."""
    if (stops is None) == (root is None):
        raise StudyError("name what to judge: either --stops FILE, or --root ROOT with --truth FILE")
    if (root is None) != (truth is None):
        raise StudyError("--root and --truth go together")
    if columns and not stops:
        raise StudyError("--columns explains the columns of --stops; of the truth it is --truth-columns")
    if (truth_columns or time_zone) and not truth:
        raise StudyError("--truth-columns and --truth-zone explain --truth; stops have local times")
    if sets and not stops:
        raise StudyError("--root judges what is computed already: --set changes nothing there")


def _label_texts(home: list[str] | None, work: list[str] | None) -> LabelTexts:
    from pipeline.evaluation.labelled_stops import LabelTexts

    given = {
        name: frozenset(text.strip().lower() for text in texts)
        for name, texts in (("home", home), ("work", work))
        if texts
    }
    texts = LabelTexts(**given)
    both = sorted(texts.home & texts.work)
    if both:
        raise StudyError(f"--home-value and --work-value: {', '.join(both)} means both")
    return texts


def _of_stops(
    path: str, columns: str | None, time_unit: str | None, texts: LabelTexts, sets: list[str] | None
) -> tuple[HomeWorkEvaluation, dict[str, Any]]:
    """Return the evaluation, and the Params of the stage it was made with."""
    from pipeline.engine.plan import params_of
    from pipeline.evaluation.home_work_run import evaluate_stops
    from pipeline.evaluation.labelled_stops import STOP_ROLES, read_labelled_stops
    from pipeline.evaluation.tables import TruthFile, parse_columns

    file = TruthFile(path, parse_columns(columns, STOP_ROLES, "--columns"), time_unit or "text")
    labelled = read_labelled_stops(file, STOP_ROLES, "--stops", texts)
    study = _study_of(labelled, sets)
    params = params_of(study)[STAGE]
    return evaluate_stops(labelled, study, params), {STAGE: params.model_dump(mode="json")}


def _study_of(labelled: LabelledStops, sets: list[str] | None) -> Study:
    """Return a study over the dates of the stops, whose clock is taken for UTC, fields replaced by `sets`."""
    import pandas as pd

    stops = labelled.stops
    if not len(stops):
        raise StudyError("--stops: no row can be used; are the columns and the unit of times the right ones?")
    ends_us = int(stops["started_us"].min()), int(stops["finished_us"].max())
    first, last = (pd.Timestamp(us, unit="us").date() for us in ends_us)
    given = [text if not text.startswith(f"{STAGE}.") else f"params.{text}" for text in sets or []]
    return read_study(None, ['name="stops"', f"start={first}", f"end={last}", 'zone="UTC"', "sources=[]", *given])


def _of_root(
    root: Path | None,
    truth: str | None,
    columns: str | None,
    time_unit: str | None,
    time_zone: str | None,
    texts: LabelTexts,
) -> HomeWorkEvaluation:
    from pipeline.evaluation.home_work import FOUND_COLUMNS
    from pipeline.evaluation.home_work_run import evaluate_root
    from pipeline.evaluation.labelled_stops import TRUTH_ROLES, read_labelled_stops
    from pipeline.evaluation.tables import TruthFile, parse_columns

    file = TruthFile(str(truth), parse_columns(columns, TRUTH_ROLES), time_unit or "text", time_zone or "UTC")
    true = read_labelled_stops(file, TRUTH_ROLES, "--truth", texts, read_key())
    visits = load_or_explain("visits", root, VISIT_COLUMNS)
    return evaluate_root(visits, load_or_explain(STAGE, root, ["span", *FOUND_COLUMNS]), true)
