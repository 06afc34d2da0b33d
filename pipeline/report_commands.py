"""`sojourn report`: the pages, of a study that has run and of published series."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import Root, Sets, StudyFile, read_study

report_app = typer.Typer(no_args_is_help=True, help="Write pages: one HTML file each, which needs nothing else.")
Out = Annotated[Path, typer.Option(help="Write the page to this file.")]


@report_app.command("study")
def report_study(
    study_file: StudyFile = None, root: Root = Path("tables"), out: Out = Path("report.html"), sets: Sets = None
) -> None:
    """Write the report of a study from the tables that are there; what is missing is said on the page."""
    from pipeline.report.page import write_report

    typer.echo(write_report(read_study(study_file, sets), root, out))


@report_app.command("series")
def report_series(
    folder: Annotated[Path, typer.Argument(help="Folder that `sojourn evaluate npi --out` wrote.")],
    study_file: Annotated[
        Path | None, typer.Option("--study", help="Study whose policies and orders are drawn behind the changes.")
    ] = None,
    regions: Annotated[
        list[str] | None,
        typer.Option("--region", help="States drawn one by one (repeatable).", show_default="04 21 36 40"),
    ] = None,
    out: Out = Path("series.html"),
    sets: Sets = None,
) -> None:
    """Write the page of published series of mobility: what explains them, in all states and in the chosen ones."""
    from pipeline.evaluation.npi import PAPER_STATES
    from pipeline.report.series import params_of_series, write_series_page
    from pipeline.sources.declared import read_declared

    study = read_study(study_file, sets) if study_file or sets else None
    policies, orders = (read_declared(study, name) if study else None for name in ("npi_policies", "npi_orders"))
    params = params_of_series(study)
    typer.echo(write_series_page(folder, out, policies, orders, tuple(regions or PAPER_STATES), params))
