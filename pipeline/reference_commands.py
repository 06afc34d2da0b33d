"""`sojourn reference …` and `sojourn verify`: scikit-mobility as an engine, and as a second opinion on a root."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.options import AsJson, Root, print_json
from pipeline.study import StudyError

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.verification.verify import Verified

EXIT_DIFFERS = 1
reference_app = typer.Typer(no_args_is_help=True, help="scikit-mobility in an environment of its own.")
Frame = Annotated[Path | None, typer.Option(help="Parquet file.")]


@reference_app.command("install")
def reference_install(
    folder: Annotated[Path | None, typer.Option(help="Where the environment goes; default .venv-reference.")] = None,
) -> None:
    """Make the reference environment that differential tests compare with."""
    from pipeline.reference import install

    typer.echo(install(folder))


@reference_app.command("list")
def reference_list(as_json: AsJson = False) -> None:
    """List what can be asked: measures, models and attacks, their parameters and what they answer."""
    from pipeline.reference.questions import QUESTIONS, Required

    def shown(value: Any) -> Any:
        return "required" if isinstance(value, Required) else value

    told = {
        name: {
            "kind": str(question.kind),
            "reads": list(question.reads),
            "params": {key: shown(value) for key, value in question.params.items()},
            "answers": dict(question.answers),
            "note": question.note,
        }
        for name, question in QUESTIONS.items()
    }
    if as_json:
        print_json(told)
        return
    for name, one in told.items():
        params = ", ".join(f"{key}={value}" for key, value in one["params"].items())
        typer.echo(f"{name}({params})  {one['kind']}, reads {', '.join(one['reads'])}")
        if one["note"]:
            typer.echo(f"    {one['note']}")


@reference_app.command("call")
def reference_call(
    name: Annotated[str, typer.Argument(help="Measure, model or attack; `sojourn reference list` names them.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write the answer to.")],
    rows: Frame = None,
    tiles: Frame = None,
    flows: Frame = None,
    given: Annotated[
        list[str] | None, typer.Option("--param", help="Parameter: n_known=2, start=2024-01-01 (repeatable).")
    ] = None,
) -> None:
    """Ask scikit-mobility: Parquet in, Parquet out, with our names and units.

    --rows has device_id, tracked_at, lon, lat (or started_at, as in stays and visits); --tiles tile_id, lon, lat,
    relevance and perhaps outflow; --flows origin_tile_id, destination_tile_id, flow.
    """
    from pipeline.reference import Ask, ReferenceAbsentError, ReferenceFailedError, ask_reference

    files = {"rows": rows, "tiles": tiles, "flows": flows}
    frames = {kind: _read_parquet(path) for kind, path in files.items() if path}
    try:
        answer = ask_reference({name: Ask(name, _parameters(given or []))}, **frames)[name]
    except (ValueError, ReferenceAbsentError, ReferenceFailedError) as error:
        raise StudyError(str(error)) from None
    answer.to_parquet(out, index=False)
    typer.echo(f"{len(answer):,} rows: {out}")


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.exists():
        raise StudyError(f"no file {path}")
    frame = pd.read_parquet(path)
    return frame if "tracked_at" in frame else frame.rename(columns={"started_at": "tracked_at"})


def _parameters(texts: list[str]) -> dict[str, Any]:
    """Return parameters as numbers where they are, else as text; none is None."""
    found: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise StudyError(f"--param {text!r}: write name=value")
        try:
            found[name.strip()] = None if value.strip() == "none" else float(value)
        except ValueError:
            found[name.strip()] = value.strip()
    return found


def verify_root(
    root: Root = Path("tables"),
    people: Annotated[int, typer.Option(min=1, help="Devices drawn for the measures of visits.")] = 50,
    stay_people: Annotated[int, typer.Option(min=0, help="Of them, those whose stays are found anew.")] = 10,
    stay_days: Annotated[int, typer.Option(min=0, help="First UTC dates whose pings stays are found in.")] = 7,
    seed: Annotated[int, typer.Option(help="Which devices are drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compare every measure shared with scikit-mobility, on some of your own devices.

    Exit code 1 if one differs, or was not verified since nobody drawn has a value. A difference is explained where
    ours, computed by their definition, is equal. No ids or positions are printed.
    """
    from pipeline.catalog import CatalogError
    from pipeline.reference import ReferenceAbsentError, ReferenceFailedError
    from pipeline.verification.verify import verify

    try:
        found = verify(root, people, seed, stay_people, stay_days)
    except (CatalogError, ReferenceAbsentError, ReferenceFailedError) as error:
        raise StudyError(str(error)) from None
    if as_json:
        print_json([_told(one) for one in found])
    else:
        _print(found)
    if not all(one.is_explained for one in found):
        raise typer.Exit(EXIT_DIFFERS)


def _told(one: Verified) -> dict[str, Any]:
    told = {**one._asdict(), **one.found._asdict(), "state": one.state}
    del told["found"]
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in told.items()}


def _print(found: list[Verified]) -> None:
    from rich.console import Console
    from rich.table import Column
    from rich.table import Table as Grid

    grid = Grid(*(Column(name, no_wrap=True) for name in ("measure", "people", "equal", "differ by", "")))
    for one in found:
        n, n_equal, absolute, _ = one.found
        largest = f"{absolute:.3g}" if one.unit == "1" else f"{absolute:.3g} {one.unit}"
        grid.add_row(one.measure, f"{n:,}", f"{n_equal:,}", largest, one.state)
    console = Console()
    console.print(grid)
    for one in found:
        if one.explanation:
            console.print(f"{one.measure}: {one.explanation}", highlight=False, markup=False, soft_wrap=True)
