"""`sojourn evaluate unemployment`: how the rates of regions go with official series."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.evaluate.app import evaluate_app, load_or_explain
from pipeline.options import AsJson, Sets, StudyFile, print_json, read_study
from pipeline.paths import as_path
from pipeline.study import StudyError

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as Grid

    from pipeline.evaluation.unemployment import Asked, Comparison, Correlation
    from pipeline.study import Study

RATE_COLUMNS = ["region_geoid", "window", "window_started", "weighting", "rate", "is_provisional"]
NOTE = (
    "Lag: windows by which the official value is later. Interval at lag 0: circular block bootstrap, {block} at a time "
    "and all regions together; – with fewer than three blocks. It is approximate. P-values are not given: windows that "
    "follow each other are alike, and a test for independent pairs would find far too much. LAUS is seasonally "
    "adjusted, claims are not."
)


@evaluate_app.command("unemployment")
def evaluate_unemployment(
    study_file: StudyFile = None,
    root: Annotated[
        Path | None,
        typer.Option(
            parser=as_path,
            metavar="PATH",
            help="Tables of the study: unemployment, and official_rates without --rates.",
        ),
    ] = None,
    rates: Annotated[
        str | None, typer.Option("--rates", help="Table with the columns of official_rates (CSV or Parquet), instead.")
    ] = None,
    official_only: Annotated[
        bool, typer.Option("--official-only", help="Official series with each other, in the study's span; no tables.")
    ] = False,
    weighting: Annotated[
        str | None, typer.Option(help="none, area or raked.", show_default="the last there is")
    ] = None,
    regions: Annotated[
        list[str] | None, typer.Option("--region", help="Compare this region alone (repeatable): 04 for Arizona.")
    ] = None,
    digits: Annotated[int, typer.Option(min=1, help="Digits of the regions compared: 2 for states.")] = 2,
    max_lag_weeks: Annotated[int, typer.Option(min=0, max=52, help="Up to how many weeks later.")] = 8,
    max_lag_months: Annotated[int, typer.Option(min=0, max=12, help="Up to how many months later.")] = 3,
    two_sided: Annotated[bool, typer.Option("--two-sided", help="Lags in both directions.")] = False,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Correlate unemployment with LAUS rates and claims: Pearson and Spearman, by region and lag.

    Rate with LAUS's rate and with continued claims, and the change of the rate with initial claims. With
    --official-only, LAUS with claims, from the files a study names: what a rate can be held against.
    """
    from pipeline.evaluation.showing import plain
    from pipeline.evaluation.unemployment import Asked, compare_official, compare_rates, read_rates

    asked = Asked(digits, (("week", max_lag_weeks), ("month", max_lag_months)), is_two_sided=two_sided)
    if official_only:
        if root or weighting:
            raise StudyError("--official-only looks at official series alone: leave out --root and --weighting")
        study = read_study(study_file, sets)
        official = read_rates(rates) if rates else _official_of(study)
        result = compare_official(_choose(official, regions), study.start, study.end, asked)
    else:
        if root is None or study_file or sets:
            raise StudyError("name the tables with --root, or a study and --official-only")
        ours = load_or_explain("unemployment", root, RATE_COLUMNS)
        official = read_rates(rates) if rates else load_or_explain("official_rates", root, None)
        weighting = weighting or _last_weighting(ours)
        result = compare_rates(_choose(ours, regions), official, weighting, asked)
    if as_json:
        print_json(plain({"weighting": weighting, "asked": asked._asdict(), **result._asdict()}))
    else:
        _show(result, weighting, asked)


def _official_of(study: Study) -> pd.DataFrame:
    from pipeline.sources import read_official_rates

    if study.official_rates is None:
        raise StudyError("the study declares no official rates: add [official_rates], or name --rates")
    return read_official_rates(study.official_rates, study.folder).to_pandas(date_as_object=False)


def _choose(series: pd.DataFrame, regions: list[str] | None) -> pd.DataFrame:
    return series[series["region_geoid"].isin(regions)] if regions else series


def _last_weighting(unemployment: pd.DataFrame) -> str:
    """Return the weighting that does most among those that the table has."""
    from data_contracts import UNEMPLOYMENT

    weightings = UNEMPLOYMENT.column("weighting").values or ()
    there = set(unemployment["weighting"])
    return next((name for name in reversed(weightings) if name in there), weightings[0])


def _show(result: Comparison, weighting: str | None, asked: Asked) -> None:
    """Print the comparison: for each pairing, one line a region and coefficient, one column a lag."""
    from rich.console import Console

    console = Console()
    console.print(
        f"{result.n_regions} regions of {asked.digits} digits with both series, of {result.n_regions_ours} and "
        f"{result.n_regions_official}" + (f"; weighting: {weighting}" if weighting else ""),
        highlight=False,
    )
    for (ours, official, window, is_change), rows in itertools.groupby(result.correlations, lambda row: row[:4]):
        what = f"change of {ours}" if is_change else ours
        console.print(_grid(f"{what} with {official}, by {window}", list(rows)))
    block = " and ".join(f"{size} {name}s" for name, size in asked.block)
    console.print(NOTE.format(block=block), highlight=False)


def _grid(title: str, rows: list[Correlation]) -> Grid:
    from rich import box
    from rich.table import Table as Grid

    from pipeline.evaluation.showing import figure

    lags = sorted({row.lag for row in rows})
    grid = Grid(box=box.SIMPLE_HEAD, padding=0, title=title, title_justify="left")
    for k, name in enumerate(("region", "r", "pairs", *(f"{lag:+d}" if lag else "0" for lag in lags), "interval")):
        grid.add_column(name, justify="left" if k < 2 else "right", no_wrap=True)
    for region, of_region in itertools.groupby(rows, lambda row: row.region):
        by_lag = {row.lag: row for row in of_region}
        at_zero = by_lag[0]
        grid.add_row(
            region, "Pearson", f"{at_zero.n_pairs}", *(figure(by_lag[lag].pearson, 2) for lag in lags),
            _interval(at_zero.pearson_low, at_zero.pearson_high),
        )  # fmt: skip
        grid.add_row(
            "", "Spearman", "", *(figure(by_lag[lag].spearman, 2) for lag in lags),
            _interval(at_zero.spearman_low, at_zero.spearman_high),
        )  # fmt: skip
    return grid


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:.2f}..{high:.2f}"
