"""`sojourn evaluate recommend`: how good place recommendation is on check-ins of your own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from pipeline.evaluate.app import evaluate_app
from pipeline.options import AsJson, Sets, print_json
from pipeline.study import StudyError

if TYPE_CHECKING:
    from pipeline.evaluation.recommendation.check_ins import CheckIns
    from pipeline.evaluation.recommendation.params import RecommendParams
    from pipeline.evaluation.recommendation.run import Asked, Encoding
    from pipeline.models.places.params import PlaceModelParams

TABLE = "(CSV or Parquet: file, folder or glob)"
File = Annotated[str, typer.Argument(help=f"Check-ins, one row each: who, where and when {TABLE}.")]
Columns = Annotated[
    str | None,
    typer.Option(
        help="Its columns, where named otherwise: person=user,place=venue,time=at; of places name, category, area, "
        "lon, lat are read where there are any."
    ),
]
Valid = Annotated[
    str | None,
    typer.Option("--valid", help=f"Check-ins held out, with the same columns {TABLE}; default: the last days of FILE."),
]
Places = Annotated[
    str | None,
    typer.Option("--places", help=f"What is known of places: place, name, category, area, lon, lat {TABLE}."),
]
PlaceColumns = Annotated[str | None, typer.Option(help="Its columns, where named otherwise: place=venue_id,lon=x.")]
Friends = Annotated[
    str | None,
    typer.Option(
        "--friends", help=f"Pairs of friends: person, friend {TABLE}; their places are weak signals. Not with --valid."
    ),
]
FriendColumns = Annotated[str | None, typer.Option(help="Its columns, where named otherwise: person=u1,friend=u2.")]
Unit = Annotated[
    str | None, typer.Option(help="Unit of the times: text (ISO 8601), s, ms, us, ns.", show_default="text")
]
Zone = Annotated[
    str | None, typer.Option("--time-zone", help="Zone of the times, where they carry none.", show_default="UTC")
]
Days = Annotated[
    float | None,
    typer.Option("--holdout-days", help="Last days of FILE that are held out.", show_default="14"),
]
Names = Annotated[
    str | None,
    typer.Option(
        "--models",
        help="Methods with commas between; also: all, simple (rules without torch), models, ablations.",
        show_default="simple,models",
    ),
]
Seeds = Annotated[int, typer.Option(min=1, max=100, help="Seeds of each method that draws random numbers.")]
Encoder = Annotated[
    str, typer.Option("--text-encoder", help="Of what is known of places in words: sentences, hashed or none.")
]
ENCODERS = ("sentences", "hashed", "none")
SIMPLE, LEARNED, ABLATED, ALL = "simple", "models", "ablations", "all"
MODEL_PREFIX = "models."


@evaluate_app.command("recommend")
def evaluate_recommend(
    file: File,
    columns: Columns = None,
    valid: Valid = None,
    places: Places = None,
    place_columns: PlaceColumns = None,
    friends: Friends = None,
    friend_columns: FriendColumns = None,
    time_unit: Unit = None,
    time_zone: Zone = None,
    holdout_days: Days = None,
    models: Names = None,
    seeds: Seeds = 5,
    encoder: Encoder = "sentences",
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Score recommended places: models beside popularity, nearness and what a library offers, warm and cold.

    Everything is learnt before the hold-out. --set replaces what can be set of the evaluation (n_hits=20) and of the
    models (models.hgnn.max_epochs=5). Without torch the simple rules alone are run. No ids are printed.
    """
    from pipeline.evaluation.recommendation.run import evaluate_recommendation
    from pipeline.evaluation.recommendation.showing import show_recommendation
    from pipeline.evaluation.showing import plain

    _check(valid, places, place_columns, friends, friend_columns, holdout_days, encoder)
    params, model_params = _params(sets, holdout_days)
    asked = _ask(models, seeds, encoder)
    check_ins = _read(
        (file, columns), valid, (places, place_columns), (friends, friend_columns), (time_unit, time_zone)
    )
    result = evaluate_recommendation(check_ins, params, model_params, asked, _tell)
    if as_json:
        used = {"params": params.model_dump(mode="json"), "models": model_params.model_dump(mode="json")}
        print_json(plain({"asked": asked, **used, **result._asdict()}))
    else:
        show_recommendation(result, params)


def _check(
    valid: str | None,
    places: str | None,
    place_columns: str | None,
    friends: str | None,
    friend_columns: str | None,
    holdout_days: float | None,
    encoder: str,
) -> None:
    """Raise StudyError where options contradict each other."""
    if valid and holdout_days is not None:
        raise StudyError("--valid holds check-ins out: leave out --holdout-days, or leave out --valid")
    if place_columns and not places:
        raise StudyError("--place-columns explains the columns of --places")
    if friend_columns and not friends:
        raise StudyError("--friend-columns explains the columns of --friends")
    if encoder not in ENCODERS:
        raise StudyError(f"--text-encoder {encoder}: one of {', '.join(ENCODERS)}")


def _params(sets: list[str] | None, holdout_days: float | None) -> tuple[RecommendParams, PlaceModelParams]:
    """Return what is set of the evaluation and of the models; StudyError where a name or value is none."""
    import tomllib

    from pydantic import ValidationError

    from pipeline.evaluation.recommendation.learned import with_changes
    from pipeline.evaluation.recommendation.params import RecommendParams
    from pipeline.models.places.params import PlaceModelParams

    own: dict[str, Any] = {} if holdout_days is None else {"holdout_days": holdout_days}
    of_models: dict[str, Any] = {}
    for text in sets or []:
        name, separator, written = text.partition("=")
        if not separator:
            raise StudyError(f"--set {text!r}: write field=value")
        try:
            value = tomllib.loads(f"value = {written}")["value"]
        except tomllib.TOMLDecodeError:
            value = written
        is_model = name.startswith(MODEL_PREFIX)
        (of_models if is_model else own)[name.removeprefix(MODEL_PREFIX).strip()] = value
    try:
        return RecommendParams.model_validate(own), with_changes(PlaceModelParams(), of_models)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise StudyError(f"--set: {'; '.join(problems)}") from None


def _ask(models: str | None, seeds: int, encoder: str) -> Asked:
    """Return which methods are asked for, each once, in the order of all; StudyError where a name is none."""
    from pipeline.evaluation.recommendation.learned import ABLATIONS, MODELS
    from pipeline.evaluation.recommendation.methods import RULES
    from pipeline.evaluation.recommendation.run import Asked, known_methods

    groups = {SIMPLE: list(RULES), LEARNED: list(MODELS), ABLATED: list(ABLATIONS), ALL: list(known_methods())}
    wanted = [word.strip() for word in (models or f"{SIMPLE},{LEARNED}").split(",") if word.strip()]
    unknown = [word for word in wanted if word not in groups and word not in known_methods()]
    if unknown or not wanted:
        known = ", ".join([*groups, *known_methods()])
        raise StudyError(f"--models {', '.join(unknown)}: known are {known}")
    chosen = {name for word in wanted for name in groups.get(word, [word])}
    return Asked(tuple(name for name in known_methods() if name in chosen), seeds, cast("Encoding", encoder))


def _read(
    file: tuple[str, str | None],
    valid: str | None,
    places: tuple[str | None, str | None],
    friends: tuple[str | None, str | None],
    times: tuple[str | None, str | None],
) -> CheckIns:
    from pipeline.evaluation.recommendation import check_in_files as files
    from pipeline.evaluation.recommendation.check_ins import read_check_ins

    named = files.parse_roles(file[1], (*files.CHECK_IN_ROLES, *files.PLACE_ROLES), "--columns")
    told = times[0] or "text", times[1] or "UTC"
    place_names = files.parse_roles(places[1], ("place", *files.PLACE_ROLES), "--place-columns")
    friend_names = files.parse_roles(friends[1], files.FRIEND_ROLES, "--friend-columns")
    return read_check_ins(
        files.Table(file[0], named, "FILE", *told),
        files.Table(valid, named, "--valid", *told) if valid else None,
        files.Table(places[0], place_names, "--places") if places[0] else None,
        files.Table(friends[0], friend_names, "--friends") if friends[0] else None,
    )


def _tell(what: str, done: int, of: int) -> None:
    typer.echo(f"{done + 1}/{of}: {what}", err=True)
