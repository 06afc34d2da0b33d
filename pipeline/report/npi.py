"""The parts of the page about policies and risk: what is measured, and the pictures with their words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import geopandas as gpd
import pandas as pd

from data_contracts import NPI_EVENTS, NPI_FITS, NPI_ORDERS, NPI_POLICIES, NPI_RESPONSE, REGION_CHANGES, TRACTS, Table
from pipeline.engine.plan import params_of
from pipeline.engine.store import ALL, Store
from pipeline.npi_drivers import NpiParams
from pipeline.report import npi_model_figures as model_figures
from pipeline.report.drawing import Image
from pipeline.report.measures import read_areas
from pipeline.report.missing import Missing, not_computed
from pipeline.report.npi_changes import MIN_DAYS, Changes, dissolve_areas, mean_changes, summarize_changes
from pipeline.report.npi_figures import Plot, describe_lines, draw_changes
from pipeline.report.npi_maps import draw_maps
from pipeline.report.npi_models import (
    Verdict,
    differences_of,
    judge,
    of_everybody,
    order_measures,
    pretrends,
    summarize_verdicts,
    tabulate_differences,
    tabulate_effects,
    tabulate_fits,
)
from pipeline.report.reading import read_whole
from pipeline.report.response_words import (
    EVERYWHERE,
    FAMILIES,
    KINDS,
    LEADING,
    MODEL_WORDS,
    fold,
    format_change,
    measure_title,
    region_title,
)
from pipeline.study import Study

MAX_MEASURES = 10
"""So many measures are drawn by region where none of the leading ones is there (ours)."""
HEADER_LETTERS = 10
"""Longer headers of columns are on two lines."""


class Response(NamedTuple):
    """Each part of the page about policies and risk, or why it is left out."""

    changes: Changes | Missing
    outlines: gpd.GeoSeries | Missing
    """Of regions, by their ids."""
    fits: pd.DataFrame | Missing
    effects: pd.DataFrame | Missing
    events: pd.DataFrame | Missing
    names: Mapping[str, str]
    """Region → its name, where it has one."""
    params: NpiParams
    """With which models were fitted."""

    @property
    def has_band(self) -> bool:
        """Whether stringency is drawn behind anything."""
        return not isinstance(self.changes, Missing) and len(self.changes.stringency) > 0

    @property
    def has_orders(self) -> bool:
        """Whether dates of orders are marked."""
        return not isinstance(self.changes, Missing) and len(self.changes.orders) > 0


def measure_response(store: Store, study: Study) -> Response:
    """Return what the page shows of policies and risk, from the tables of a root."""
    changes = _changes_of(store, study)
    no_policies = None if study.npi_policies and study.epidemic else "no [npi_policies] or no [epidemic] in the study"
    params = params_of(study)["npi_fits"]
    if not isinstance(params, NpiParams):
        raise TypeError(f"npi_fits has parameters of another kind: {type(params).__name__}")
    return Response(
        changes,
        _outlines_of(store, study, changes),
        _rows_or_why(store, NPI_FITS, no_policies, "no measure has regions enough with a change and policies"),
        _rows_or_why(store, NPI_RESPONSE, no_policies, "no candidate could be fitted"),
        _rows_or_why(
            store,
            NPI_EVENTS,
            None if study.npi_orders else "no [npi_orders] in the study",
            "no order has regions with and without it in the same weeks",
        ),
        {},
        params,
    )


def _rows_or_why(store: Store, table: Table, undeclared: str | None, empty: str) -> pd.DataFrame | Missing:
    """Return the rows of a table; else why there are none and what would make them."""
    if undeclared:
        return Missing(f"{undeclared}. Declare it in the study file and run the study again.")
    rows = read_whole(store, table)
    if rows is None:
        return how_to_compute(table)
    return rows if len(rows) else Missing(f"{empty}, or fewer than {table.min_devices} devices are behind each row.")


def how_to_compute(table: Table) -> Missing:
    """Return that a table is not there, and which command makes it."""
    return Missing(f"{not_computed(table).why} It is made by: sojourn run, with this study and root.")


def _changes_of(store: Store, study: Study) -> Changes | Missing:
    table = read_whole(store, REGION_CHANGES)
    if table is None:
        return how_to_compute(REGION_CHANGES)
    if not table["log_change"].notna().any():
        return Missing(
            f"on no day are {REGION_CHANGES.min_devices} devices observed that have a baseline: the study may be too "
            "short, or params.region_day.min_hours_observed and min_days too strict."
        )
    policies = read_whole(store, NPI_POLICIES) if study.npi_policies else None
    orders = read_whole(store, NPI_ORDERS) if study.npi_orders else None
    return summarize_changes(table, policies, orders)


def _outlines_of(store: Store, study: Study, changes: Changes | Missing) -> gpd.GeoSeries | Missing:
    if isinstance(changes, Missing):
        return changes
    if study.tracts is None or not store.has(TRACTS, ALL):
        return Missing("no [tracts] in the study, so regions have no outlines.")
    regions = set(changes.weeks["region_geoid"]) - {EVERYWHERE}
    if not regions:
        return Missing("no region has enough devices.")
    return dissolve_areas(read_areas(store), regions)


class Drawing(NamedTuple):
    """One image of the page: its name, its title and the image."""

    name: str
    title: str
    image: Image


def draw_response(response: Response) -> list[Drawing]:
    """Return the images in the order of the page; what has nothing to show is not among them."""
    drawn = [*_draw_changes(response)]
    if not isinstance(response.fits, Missing):
        drawn += _draw_fits(response.fits)
    if not isinstance(response.effects, Missing):
        drawn += _draw_effects(response.effects)
    if not isinstance(response.events, Missing):
        drawn += _draw_events(response.events)
    return drawn


def region_measures(changes: Changes) -> list[str]:
    """Return the measures that are drawn by region: the leading ones that are there, else the first by name."""
    there = order_measures(changes.weeks)
    return [name for name in LEADING if name in there] or there[:MAX_MEASURES]


def _draw_changes(response: Response) -> Iterator[Drawing]:
    changes = response.changes
    if isinstance(changes, Missing):
        return
    side = side_plots(changes)
    if side:
        yield _lines("side", "Side by side", changes, side)
    kinds = kind_plots(changes)
    if kinds:
        yield _lines("kinds", "By kind of place and category", changes, kinds)
    for measure in region_measures(changes) if changes.regions else ():
        plots = [
            Plot(region_title(region, response.names), region, {measure: measure_title(measure)})
            for region in changes.regions
            if _is_known(changes, region, measure)
        ]
        if plots:
            yield _lines(f"regions_{measure}", f"By region: {_lower(measure_title(measure))}", changes, plots)
    yield from _draw_maps(response.outlines, changes)


def _lines(name: str, title: str, changes: Changes, plots: list[Plot]) -> Drawing:
    alt = f"Change from baseline by week, lowest and highest: {describe_lines(changes, plots)}."
    return Drawing(name, title, draw_changes(changes, plots, alt))


def _lower(title: str) -> str:
    return title[0].lower() + title[1:]


def _is_known(changes: Changes, region: str, measure: str) -> bool:
    weeks = changes.weeks
    is_of = (weeks["region_geoid"] == region) & (weeks["measure"] == measure)
    return bool(weeks.loc[is_of, "change"].notna().any())


def side_plots(changes: Changes) -> list[Plot]:
    """Return the plots of everybody, a family of measures each; of unknown measures one each."""
    there = [name for name in order_measures(changes.weeks) if _is_known(changes, EVERYWHERE, name)]
    plots = [
        Plot(title, EVERYWHERE, {name: measure_title(name) for name in names if name in there})
        for title, names in FAMILIES.items()
    ]
    found = [plot for plot in plots if plot.lines]
    return found or [Plot(measure_title(name), EVERYWHERE, {name: "Change"}) for name in there[: 2 * MAX_MEASURES]]


def kind_plots(changes: Changes) -> list[Plot]:
    """Return the plots of everybody's visits and time, one a kind of place, then one a category of venues."""
    places = {kind: words.capitalize() for kind, words in KINDS.items()}
    places |= {f"venue:{name}": f"Venues: {name}" for name in changes.categories}
    plots = []
    for place, title in places.items():
        lines = {f"visits:{place}": "Visits", f"minutes:{place}": "Time"}
        lines = {name: words for name, words in lines.items() if _is_known(changes, EVERYWHERE, name)}
        if lines:
            plots.append(Plot(title, EVERYWHERE, lines))
    return plots


def _draw_maps(outlines: gpd.GeoSeries | Missing, changes: Changes) -> Iterator[Drawing]:
    if isinstance(outlines, Missing):
        return
    measures = region_measures(changes)
    means = mean_changes(changes, measures)
    means = means[means["region_geoid"].isin(outlines.index)]
    means = means.sort_values("measure", key=lambda names: names.map(measures.index), kind="stable")
    if means.empty:
        return
    told = [
        f"{_lower(measure_title(measure))} in {len(rows)} regions, {format_change(rows['change'].min())} to "
        f"{format_change(rows['change'].max())}"
        for measure, rows in means.groupby("measure", sort=False)
    ]
    alt = f"Maps of the mean change from baseline by region: {'; '.join(told)}."
    yield Drawing("change_maps", "On the map", draw_maps(outlines, means, alt))


def _draw_fits(fits: pd.DataFrame) -> Iterator[Drawing]:
    verdicts = judge(fits)
    if any(one.best for one in verdicts):
        alt = f"Errors of candidates in regions left out. {' '.join(one.sentence for one in verdicts)}"
        chosen = {one.measure: one.chosen for one in verdicts}
        yield Drawing("candidates", "Candidates", model_figures.draw_candidates(fits, chosen, alt))


def _draw_effects(effects: pd.DataFrame) -> Iterator[Drawing]:
    rows = of_everybody(effects)
    fixed = rows[rows["estimator"] == "fixed"]
    if len(fixed):
        told = [
            f"{_lower(measure_title(row.measure))}, {row.term}: {format_change(row.log_effect)}"
            for row in fixed.itertuples()
        ]
        alt = f"Coefficients of fixed effects with intervals, mixed effects beside them. {'; '.join(told)}."
        yield Drawing("coefficients", "Coefficients", model_figures.draw_coefficients(effects, alt))
    differences = differences_of(effects)
    if len(differences):
        there = set(differences["measure"])
        measure = next((name for name in LEADING if name in there), order_measures(differences)[0])
        of_measure = differences[differences["measure"] == measure]
        ends = of_measure.loc[[of_measure["log_effect"].idxmin(), of_measure["log_effect"].idxmax()]]
        told = [f"{row.label}, {row.term}: {format_change(row.log_effect)}" for row in ends.itertuples()]
        alt = f"Differences of groups in {_lower(measure_title(measure))}, least and most: {'; '.join(told)}."
        title = f"Groups: {_lower(measure_title(measure))}"
        yield Drawing("group_terms", title, model_figures.draw_group_terms(of_measure, alt))


def _draw_events(events: pd.DataFrame) -> Iterator[Drawing]:
    for order, rows in events.groupby("order"):
        after = rows[rows["weeks_since"] >= 0]
        words = str(order).replace("_", " ")
        told = [
            f"{_lower(measure_title(measure))} {format_change(found['log_effect'].mean())}"
            for measure, found in after.groupby("measure")
        ]
        alt = f"By weeks since the order {words}; mean of the weeks from it on: {'; '.join(told)}."
        shown = rows[rows["measure"].isin(event_measures(rows))]
        yield Drawing(f"events_{order}", f"Order: {words}", model_figures.draw_events(shown, alt))


def event_measures(events: pd.DataFrame) -> list[str]:
    """Return the measures drawn around orders: the leading ones that are there, else the first by name."""
    there = order_measures(events)
    return [name for name in LEADING if name in there] or there[:MAX_MEASURES]


def draw_lags(lags: pd.DataFrame) -> Image:
    """Return the errors by lag of driver, measure, lag_days and left_out_error, of which none is unknown."""
    best = lags.sort_values(["left_out_error", "lag_days"]).drop_duplicates(["measure", "driver"])
    told = [
        f"{_lower(measure_title(row.measure))}, {row.driver}: {row.lag_days} days"
        for row in best.sort_values(["measure", "driver"]).itertuples()
    ]
    alt = f"Error in regions left out by lag; least at: {'; '.join(told)}."
    return model_figures.draw_lags(lags, alt)


class Told(NamedTuple):
    """What the page says in words and tables of what explains the changes."""

    verdicts: list[Verdict]
    verdict_summary: str
    fit_rows: list[dict[str, Any]]
    n_left_out: int
    """Parts left out in turn."""
    npi_effect_rows: list[dict[str, Any]]
    units: list[str]
    """One unit of each term that there is."""
    difference_tables: list[dict[str, Any]]
    pretrends: list[dict[str, Any]]


def tell(response: Response) -> Told:
    """Return the words and tables of the parts that are there; empty where one is missing."""
    fits, effects, events = response.fits, response.effects, response.events
    verdicts = [] if isinstance(fits, Missing) else judge(fits)
    rows = [] if isinstance(effects, Missing) else tabulate_effects(effects, response.params)
    return Told(
        verdicts,
        summarize_verdicts(verdicts) if verdicts else "",
        [] if isinstance(fits, Missing) else tabulate_fits(fits),
        0 if isinstance(fits, Missing) else int(of_everybody(fits)["n_left_out"].max()),
        rows,
        list(dict.fromkeys(f"{row['term'].lower()}, {row['unit']}" for row in rows)),
        [] if isinstance(effects, Missing) else tabulate_differences(effects),
        [] if isinstance(events, Missing) else pretrends(events),
    )


def response_words(response: Response, drawn: list[Drawing]) -> dict[str, Any]:
    """Return what the template needs besides: titles of images, tables and sentences."""
    return {
        "response_images": {one.name: one.title for one in drawn},
        "model_columns": {name: fold(words, HEADER_LETTERS).split("\n") for name, words in MODEL_WORDS.items()},
        "min_days": MIN_DAYS,
        "told": tell(response),
    }
