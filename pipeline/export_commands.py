"""`sojourn export`: release tables as files that may leave, each with a statement of what protects it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.options import AsJson, Root, Sets, print_json, read_study
from pipeline.private_commands import (
    PANEL,
    AreaDigits,
    Asked,
    By,
    ClipHigh,
    Delta,
    Devices,
    Epsilon,
    MaxRows,
    Total,
    export_privately,
)
from pipeline.study import StudyError

if TYPE_CHECKING:
    from pipeline.export import Exported


def export(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Release tables. Default: all that are computed.", show_default=False)
    ] = None,
    root: Root = Path("tables"),
    out: Annotated[Path, typer.Option(help="Folder for the files; made if it is not there.")] = Path("export"),
    csv: Annotated[bool, typer.Option("--csv", help="Write CSV beside Parquet.")] = False,
    epsilon: Epsilon = None,
    by: By = None,
    study: Annotated[
        Path | None, typer.Option(help="Study file, whose dates and areas are the cells.", rich_help_panel=PANEL)
    ] = None,
    sets: Sets = None,
    delta: Delta = None,
    devices: Devices = False,
    total: Total = None,
    max_rows: MaxRows = None,
    clip_high: ClipHigh = None,
    area_digits: AreaDigits = None,
    as_json: AsJson = False,
) -> None:
    """Write release tables to a folder, each with a statement of what protects it; tables that stay inside are refused.

    With --epsilon, a table of devices whose contract bounds the rows of one (visits, trips, device_days) is counted or
    summed instead, differentially private, and the loss is charged to the budget (`sojourn budget`).
    """
    asked = Asked(epsilon, delta, by, devices, total, max_rows, clip_high, area_digits)
    if asked.is_private:
        if tables is None or len(tables) != 1:
            raise StudyError("--epsilon takes one table")
        told = export_privately(tables[0], asked, read_study(study, sets), root, out, csv)
        words = told.pop("words")
        if as_json:
            print_json(told)
        else:
            typer.echo(words)
        return
    from pipeline.export import export_table

    formats = ("parquet", "csv") if csv else ("parquet",)
    names = tables or _computed(root)
    done = [export_table(name, root, out, formats) for name in names]
    if as_json:
        print_json([{**one._asdict(), "internal": one.internal._asdict()} for one in done])
    else:
        for one in done:
            typer.echo(_line(one))


def _computed(root: Path) -> list[str]:
    from data_contracts import TABLES, Release
    from pipeline.engine.store import ALL, Store

    found = [t.name for t in TABLES.values() if t.release is Release.PUBLIC and Store(root).has(t, ALL)]
    if not found:
        raise StudyError(f"no release table is computed under {root}: run the study first")
    return found


def _line(one: Exported) -> str:
    n = one.internal
    words = [
        f"{n.n_left_out:,} rows left out when the table was made",
        f"{n.n_kept:,} kept as released before",
        f"{n.n_held_back:,} held back",
        f"{n.n_top_coded:,} values cut off at the top",
    ]
    told = f"{one.table}: {n.n_rows:,} rows, {one.paths[0]}, {one.paths[-1].name}"
    return f"{told}\n  internal, not to be passed on: {', '.join(words)}"
