"""`sojourn evaluate npi`: what explains published series of mobility, by the models of policies and risk."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from pipeline.evaluate.app import evaluate_app
from pipeline.options import AsJson, Sets, StudyFile, print_json, read_study
from pipeline.study import StudyError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table as Grid

    from pipeline.evaluation.npi import NpiComparison
    from pipeline.npi_drivers import NpiParams
    from pipeline.study import Study

MODELS = ("nothing", "stringency", "severity", "weeks", "log_weeks", "exposure", "forgetting")
TERMS = ("stringency", "severity", "adaptation")
NOTE = (
    "Error: root mean square of the log change in each state, foretold from the others; the least with *. Nothing: no "
    "change, or, where levels of weeks are taken out, what the other states did. Gain: of the best over stringency "
    "alone, with the 95 % interval of a bootstrap over states, which allows for the best being picked; of few states "
    "there is none. Effects: log change for stringency 0 to 100, for one more in ln(1 + weekly deaths per 100,000), "
    "and for adaptation; 95 % intervals clustered by state, which do not know that the model was picked. They are "
    "associations. Lag: days by which the answer follows with the least error, negative: it comes before; + at the end "
    "of what was looked at. Google is smoothed over 7 days at its source, m50 is not."
)


@evaluate_app.command("npi")
def evaluate_npi(
    study_file: StudyFile = None,
    google: Annotated[
        str | None, typer.Option(help="Google Mobility of states by day, as Opportunity Insights publish it (CSV).")
    ] = None,
    m50: Annotated[str | None, typer.Option(help="Descartes Labs' m50 index by day (CSV).")] = None,
    regions: Annotated[
        list[str] | None,
        typer.Option("--region", help="States looked at by themselves too (repeatable).", show_default="04 21 36 40"),
    ] = None,
    max_lag: Annotated[int, typer.Option(min=0, max=60, help="Up to how many days after its driver.")] = 28,
    max_lead: Annotated[int, typer.Option(min=0, max=60, help="Up to how many days before.")] = 14,
    counties: Annotated[
        bool, typer.Option("--counties", help="Also event studies of the study's orders on m50 of counties.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for changes, fits, response, lags, verdicts (and events) as Parquet.")
    ] = None,
    sets: Sets = None,
    as_json: AsJson = False,
) -> None:
    """Fit the models of npi_fits and npi_response to published series, in the study's span.

    The study declares npi_policies and epidemic (and npi_orders for --counties); it needs no pings. Shown are the
    error of each candidate in states left out, effects with their signs, and lags, for all states and for some.
    """
    from pipeline.evaluation.npi import PAPER_STATES, Asked, best_lags, compare_series, count_unknown, write_tables

    study = read_study(study_file, sets)
    policies, epidemic = _declared(study, "npi_policies"), _declared(study, "epidemic")
    changes = _known(_series(google, m50, study), policies, epidemic)
    asked = Asked(tuple(regions or PAPER_STATES), max_lag, max_lead, study.seed)
    found = compare_series(changes, policies, epidemic, _params(study), asked)
    tables = {"changes": changes, **found._asdict()}
    if counties:
        tables["events"] = _events(m50, study)
    if out:
        write_tables(tables, out)
    if as_json:
        shown = {name: rows for name, rows in tables.items() if name != "changes"} | {
            "best_lags": best_lags(found.lags)
        }
        print_json({"unknown": count_unknown(changes), **{name: _records(rows) for name, rows in shown.items()}})
    else:
        _show(found, changes, tables.get("events"))


def _declared(study: Study, name: str) -> pd.DataFrame:
    from pipeline.sources.declared import read_declared

    table = read_declared(study, name)
    if table is None:
        raise StudyError(f"the study declares no {name}: add [{name}]")
    return table


def _series(google: str | None, m50: str | None, study: Study) -> pd.DataFrame:
    """Return the changes of the series that are named, in the study's span."""
    import pandas as pd

    from pipeline.evaluation.mobility_series import read_google, read_m50

    parts = [read(name) for read, name in ((read_google, google), (read_m50, m50)) if name]
    if not parts:
        raise StudyError("name a series: --google or --m50")
    return _in_span(pd.concat(parts, ignore_index=True), study)


def _in_span(changes: pd.DataFrame, study: Study) -> pd.DataFrame:
    import pandas as pd

    is_in = (changes["date"] >= pd.Timestamp(study.start)) & (changes["date"] <= pd.Timestamp(study.end))
    return changes[is_in].reset_index(drop=True)


def _known(changes: pd.DataFrame, *tables: pd.DataFrame) -> pd.DataFrame:
    """Return the changes of regions that all tables know; of other regions there is nothing to be explained by."""
    for table in tables:
        changes = changes[changes["region_geoid"].isin(set(table["region_geoid"]))]
    return changes.reset_index(drop=True)


def _params(study: Study) -> NpiParams:
    from pipeline.npi_drivers import NpiParams

    try:
        return NpiParams(**{**study.params.get("npi_fits", {}), "measures": ()})
    except ValidationError as error:
        problem = error.errors()[0]
        raise StudyError(f"params.npi_fits.{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None


def _events(m50: str | None, study: Study) -> pd.DataFrame:
    """Return NPI_EVENTS of the m50 index of counties around the study's orders."""
    from pipeline.evaluation.mobility_series import read_m50
    from pipeline.npi_event_study import NpiEventParams, fit_events

    if not m50:
        raise StudyError("--counties needs --m50")
    changes = _in_span(read_m50(m50, "county"), study)
    try:
        return fit_events(changes, _declared(study, "npi_orders"), NpiEventParams(measures=()))
    except ValueError as error:
        raise StudyError(str(error)) from None


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(rows.to_json(orient="records", date_format="iso"))
    return records


def _show(found: NpiComparison, changes: pd.DataFrame, events: pd.DataFrame | None) -> None:
    from rich.console import Console

    from pipeline.evaluation.npi import EFFECT_WORDS, count_unknown

    console = Console()
    n_regions = changes["region_geoid"].nunique()
    days = changes["date"]
    console.print(f"{n_regions} regions, {days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}", highlight=False)
    for name, n in count_unknown(changes).items():
        console.print(f"{name}: {n:,} values without a logarithm are left out", highlight=False)
    for (scope, effects), fits in found.fits.groupby(["scope", "effects"], sort=False):
        at = f"{'All regions' if scope == 'all' else 'The chosen regions'}, {EFFECT_WORDS[effects]}"
        console.print(_errors(f"{at}: errors", fits, _of(found.verdicts, scope, effects)))
        console.print(_effects(f"{at}: effects", _of(found.response, scope, effects)))
    _show_lags(found, console)
    if events is not None:
        _show_events(events, console)
    console.print(NOTE, highlight=False)


def _of(rows: pd.DataFrame, scope: str, effects: str) -> pd.DataFrame:
    return rows[(rows["scope"] == scope) & (rows["effects"] == effects)]


def _grid(title: str, *names: str) -> Grid:
    from rich import box
    from rich.table import Table as Grid

    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=title, title_justify="left")
    for k, name in enumerate(names):
        grid.add_column(name, justify="left" if k == 0 else "right", no_wrap=True)
    return grid


def _errors(title: str, fits: pd.DataFrame, verdicts: pd.DataFrame) -> Grid:
    from pipeline.evaluation.showing import figure

    grid = _grid(title, "measure", *MODELS, "gain", "interval", "best")
    best = verdicts.set_index("measure")
    for measure, rows in fits.groupby("measure", sort=True):
        by_model, verdict = rows.set_index("model"), best.loc[measure]
        errors = by_model["left_out_error"].reindex(MODELS)
        cells = [figure(value) + ("*" if name == verdict["model"] else "") for name, value in errors.items()]
        grid.add_row(measure, *cells, *_won(by_model, verdict))
    return grid


def _won(by_model: pd.DataFrame, verdict: pd.Series) -> tuple[str, str, str]:
    """Return the gain of the best, its interval and what it is; dashes where no region could be left out."""
    from pipeline.evaluation.showing import figure

    if not isinstance(verdict["model"], str):
        return "–", "–", "–"
    of = by_model.loc[verdict["model"]]
    words = verdict["best"] + ("" if verdict["is_certain"] else " (uncertain)")
    return figure(of["gain"]), _interval(of["gain_low"], of["gain_high"]), words


def _effects(title: str, response: pd.DataFrame) -> Grid:
    grid = _grid(title, "measure", "model", *TERMS)
    fixed = response[response["estimator"] == "fixed"]
    for (measure, model), rows in fixed.groupby(["measure", "model"], sort=True):
        by_term = rows.set_index("term")
        cells = [_effect(by_term.loc[term]) if term in by_term.index else "–" for term in TERMS]
        grid.add_row(measure, model, *cells)
    return grid


def _effect(row: pd.Series) -> str:
    return f"{row['log_effect']:+.3f} ({_interval(row['log_effect_low'], row['log_effect_high'])})"


def _show_lags(found: NpiComparison, console: Console) -> None:
    from pipeline.evaluation.npi import best_lags

    for scope, lags in best_lags(found.lags).groupby("scope", sort=False):
        grid = _grid(f"Lags, {'all' if scope == 'all' else 'the chosen'} regions: days of least error", "measure")
        drivers = list(lags["driver"].unique())
        for driver in drivers:
            grid.add_column(driver, justify="right")
        for measure, rows in lags.groupby("measure", sort=True):
            by_driver = rows.set_index("driver")
            cells = [_lag(by_driver.loc[name]) if name in by_driver.index else "–" for name in drivers]
            grid.add_row(measure, *cells)
        console.print(grid)


def _lag(row: pd.Series) -> str:
    return f"{row['lag_days']:d}{'+' if row['is_at_end'] else ''}"


def _show_events(events: pd.DataFrame, console: Console) -> None:
    from pipeline.evaluation.showing import format_p

    for measure, of_measure in events.groupby("measure", sort=True):
        grid = _grid(f"{measure}: after orders, by week", "order", "counties", "pre-trend p", "week 0", "2", "4", "8")
        for order, rows in of_measure.groupby("order", sort=True):
            by_week = rows.set_index("weeks_since")
            cells = [_effect(by_week.loc[week]) if week in by_week.index else "–" for week in (0, 2, 4, 8)]
            p_value = rows["pretrend_p_value"].iloc[0]
            grid.add_row(order, f"{rows['n_regions'].max():,}", format_p(p_value), *cells)
        console.print(grid)


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{low:+.3f} to {high:+.3f}"
