"""The page of published series: the models of policies and risk without any ping, as of `sojourn evaluate npi`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.engine.files import atomic_file
from pipeline.evaluation.npi import EFFECT_WORDS, PAPER_STATES
from pipeline.npi_drivers import NpiParams
from pipeline.report.drawing import Image
from pipeline.report.missing import Missing
from pipeline.report.npi import Drawing, Response, Told, draw_lags, draw_response, response_words, tell
from pipeline.report.npi_changes import Changes, summarize_changes
from pipeline.report.npi_models import of_everybody
from pipeline.report.response_words import EVERYWHERE
from pipeline.report.templates import new_environment
from pipeline.sources.us_states import STATE_FIPS
from pipeline.study import Study, StudyError

TABLES = ("changes", "fits", "response", "lags")
SCOPE_WORDS = {"all": "All states", "chosen": "The chosen states"}
NOT_OF_SERIES = Missing("the series have none.")


class Part(NamedTuple):
    """One comparison: of some states, with some effects taken out."""

    key: str
    title: str
    is_within_weeks: bool
    """What all states have in common in a week is taken out."""
    told: Told
    images: list[str]
    """Names of its images."""


class Series(NamedTuple):
    """What `sojourn evaluate npi` wrote, and what it is shown beside."""

    tables: dict[str, pd.DataFrame]
    changes: Changes
    params: NpiParams


def write_series_page(
    folder: Path,
    path: Path,
    policies: pd.DataFrame | None = None,
    orders: pd.DataFrame | None = None,
    regions: Sequence[str] = PAPER_STATES,
    params: NpiParams | None = None,
) -> Path:
    """Write the page of the tables in a folder as one HTML file, whole or not at all, and return its path.

    `policies` and `orders` (NPI_POLICIES, NPI_ORDERS), where given, are drawn behind the changes; `regions` are drawn
    one by one. StudyError where a table is missing: it says how to get it.
    """
    tables = {name: _read(Path(folder), name) for name in TABLES}
    changes = summarize_changes(with_mean(tables["changes"]), policies, orders, regions)
    text = render_series(Series(tables, changes, params or NpiParams()))
    with atomic_file(Path(path)) as file:
        file.write(text.encode())
    return Path(path)


def params_of_series(study: Study | None) -> NpiParams:
    """Return with which parameters `sojourn evaluate npi` fits the series of a study; without one, the defaults."""
    values = {} if study is None else study.params.get("npi_fits", {})
    return NpiParams(**{**values, "measures": ()})


def _read(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise StudyError(f"no {path}; it is written by: sojourn evaluate npi --out {folder}") from None


def with_mean(changes: pd.DataFrame) -> pd.DataFrame:
    """Return changes with rows of everywhere: the mean over states, of which nothing says how many devices they are.

    NaN on days on which not all states are known that a series has at all: a state whose index is 0 has no logarithm,
    and the mean of the others would be that of those who changed less.
    """
    rows = changes[changes["region_geoid"] != EVERYWHERE].assign(n_devices=1)
    series = ["axis", "group", "measure"]
    known = rows.dropna(subset="log_change")
    n_all = known.groupby(series)["region_geoid"].nunique().rename("n_all")
    mean = rows.groupby([*series, "date"], as_index=False).agg(
        log_change=("log_change", "mean"),
        baseline=("baseline", "mean"),
        n_devices=("n_devices", "sum"),
        n_known=("log_change", "count"),
    )
    mean = mean.join(n_all, on=series)
    mean["log_change"] = mean["log_change"].where(mean["n_known"] == mean["n_all"])
    mean = mean.drop(columns=["n_known", "n_all"]).assign(region_geoid=EVERYWHERE)
    return pd.concat([rows, mean], ignore_index=True)


def render_series(series: Series) -> str:
    """Return the page as HTML."""
    names = {fips: state for state, fips in STATE_FIPS.items()} | {EVERYWHERE: "Mean of states"}
    whole = _response(series, names, None, None)
    drawn = draw_response(whole)
    images = {one.name: one.image for one in drawn}
    parts = []
    for scope in SCOPE_WORDS:
        for effects in EFFECT_WORDS:
            part, found = _part(series, names, scope, effects)
            parts.append(part)
            images |= {one.name: one.image for one in found}
    lags = _lag_images(series.tables["lags"])
    weeks = series.changes.weeks
    return (
        new_environment()
        .get_template("series.html")
        .render(
            **response_words(whole, drawn),
            images=images | lags,
            lag_images={name: SCOPE_WORDS[name.removeprefix("lags_")] for name in lags},
            parts=parts,
            changes=series.changes,
            has_band=whole.has_band,
            has_orders=whole.has_orders,
            first=weeks["week"].min().date(),
            last=weeks["week"].max().date(),
            n_measures=weeks["measure"].nunique(),
            params=series.params,
            region_names=[names.get(region, region) for region in series.changes.regions],
        )
    )


def _response(series: Series, names: dict[str, str], scope: str | None, effects: str | None) -> Response:
    """Return the parts of the page of one comparison; of none (None), the changes alone."""
    tables = series.tables
    if scope is None:
        none = NOT_OF_SERIES
        return Response(series.changes, none, none, none, none, names, series.params)
    fits, response = (_of(tables[name], scope, effects) for name in ("fits", "response"))
    params = series.params.model_copy(update={"effects": effects})
    missing = Missing("no candidate could be fitted.")
    return Response(
        missing, missing, fits if len(fits) else missing, response if len(response) else missing, missing, names, params
    )


def _of(rows: pd.DataFrame, scope: str, effects: str | None) -> pd.DataFrame:
    return rows[(rows["scope"] == scope) & (rows["effects"] == effects)]


def _part(series: Series, names: dict[str, str], scope: str, effects: str) -> tuple[Part, list[Drawing]]:
    response = _response(series, names, scope, effects)
    key = f"{scope}_{effects}"
    drawn = [one._replace(name=f"{key}_{one.name}") for one in draw_response(response)]
    n_regions = 0 if isinstance(response.fits, Missing) else int(of_everybody(response.fits)["n_regions"].max())
    title = f"{SCOPE_WORDS[scope]} ({n_regions}), {EFFECT_WORDS[effects]}"
    is_within = effects == "region_and_period"
    return Part(key, title, is_within, tell(response), [one.name for one in drawn]), drawn


def _lag_images(lags: pd.DataFrame) -> dict[str, Image]:
    found = {}
    for scope in SCOPE_WORDS:
        rows = lags[(lags["scope"] == scope) & lags["left_out_error"].notna()]
        if len(rows):
            found[f"lags_{scope}"] = draw_lags(rows)
    return found
