"""What explains the changes, as the page tells it: which candidate wins, coefficients, groups and orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.evaluation.showing import format_p
from pipeline.npi_drivers import ADAPTATIONS, NpiParams
from pipeline.npi_panel import NOTHING, SEVERITY, STRINGENCY
from pipeline.npi_verdicts import judge_models
from pipeline.report.losses import LEVEL
from pipeline.report.response_words import (
    EVERYWHERE,
    MODEL_WORDS,
    NOTHING_WORDS,
    TERM_TITLES,
    TITLES,
    format_change,
    measure_title,
    model_words,
    term_units,
)
from pipeline.report.words import format_known

BY_TERM = ["measure", "term"]


class Verdict(NamedTuple):
    """Which candidate foretells regions left out best, of one measure and everybody."""

    measure: str
    best: str | None
    """The candidate with the least error; None where none could be left out."""
    chosen: str | None
    """The one that the coefficients are of."""
    is_certain: bool
    """By the rule of `judge_models`."""
    sentence: str


def of_everybody(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are not of a group."""
    return rows[rows["axis"] == EVERYWHERE]


def order_measures(rows: pd.DataFrame) -> list[str]:
    """Return the measures of a table in the order of `TITLES`, each before what it is divided into; others last."""
    titles = list(TITLES)
    place = {name: titles.index(name) if name in titles else len(titles) for name in _bases(rows["measure"])}
    return sorted(set(rows["measure"]), key=lambda name: (place[name.split(":")[0]], name.count(":"), name))


def _bases(measures: pd.Series) -> set[str]:
    return {name.split(":")[0] for name in measures}


def judge(fits: pd.DataFrame) -> list[Verdict]:
    """Return the verdict on each measure of NPI_FITS, everybody's alone."""
    rows = of_everybody(fits)
    return [_judge(measure, rows[rows["measure"] == measure]) for measure in order_measures(rows)]


def _judge(measure: str, rows: pd.DataFrame) -> Verdict:
    chosen = next(iter(rows["model"][rows["is_chosen"].astype(bool)]), None)
    best, is_certain = judge_models(rows)
    told = "no region could be left out, so candidates are not compared"
    if best is not None:
        told = _reason(best, is_certain, rows.set_index("model"))
    return Verdict(measure, best, chosen, is_certain, f"{measure_title(measure)}: {told}.")


def _reason(best: str, is_certain: bool, rows: pd.DataFrame) -> str:
    row, error = rows.loc[best], f"error {rows['left_out_error'][best]:.3f}"
    if best == STRINGENCY:
        return _stringency_reason(error, is_certain, rows)
    told = f"{model_words(best)} wins ({error})"
    if np.isnan(row["gain"]):
        return told
    told += f", by {row['gain']:.3f} over stringency alone{_gain_interval(row)}"
    if not is_certain:
        return f"{told}, which may be chance{_doubt(row)}"
    return told + (", so policies do not foretell a region that was left out" if best == NOTHING else "")


def _stringency_reason(error: str, is_certain: bool, rows: pd.DataFrame) -> str:
    told, known = f"stringency alone wins ({error}", rows.dropna(subset="left_out_error")
    if NOTHING in known.index:
        told += f", that of {NOTHING_WORDS} {known['left_out_error'][NOTHING]:.3f}"
        told += ")" if is_certain else f"; not told apart from it{_doubt(known.loc[NOTHING])})"
    else:
        told += ")"
    richer = known.drop(index=[NOTHING, STRINGENCY], errors="ignore")
    if richer.empty:
        return told
    if (richer["gain_high"] < 0).all():
        return f"{told}; with severity or adaptation it is worse"
    return f"{told}; what severity or adaptation add is not told apart from 0"


def _gain_interval(row: pd.Series) -> str:
    if np.isnan(row["gain_low"]):
        return ""
    return f" (interval {format_known(row['gain_low'], 3)} to {format_known(row['gain_high'], 3)})"


def _doubt(row: pd.Series) -> str:
    return ": too few parts for an interval" if np.isnan(row["gain_low"]) else ": the interval holds 0"


def summarize_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Return in one sentence which candidates win how often, the trivial ones alike."""
    compared = [one for one in verdicts if one.best]
    if not compared:
        return "In no measure could regions be left out, so it is not known whether any candidate foretells anything."
    counts = {
        NOTHING_WORDS: sum(one.best == NOTHING for one in compared),
        "stringency alone": sum(one.best == STRINGENCY for one in compared),
        "stringency with severity": sum(one.best == SEVERITY for one in compared),
        "stringency, severity and adaptation": sum(one.best in ADAPTATIONS for one in compared),
    }
    won = ", ".join(f"{name} in {n}" for name, n in counts.items())
    n_certain = sum(one.is_certain and one.best not in (NOTHING, STRINGENCY) for one in compared)
    return (
        f"Of {len(compared)} measure{'s' if len(compared) > 1 else ''}, regions left out are foretold best by: {won}. "
        f"In {n_certain} severity or adaptation wins with an interval of its gain over stringency alone above 0; "
        "elsewhere the order may be chance, or regions are too few to tell."
    )


def tabulate_fits(fits: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row a measure: ``title``, errors by model as text, the chosen model and its gain with interval."""
    rows, found = of_everybody(fits), []
    for verdict in judge(fits):
        of_measure = rows[rows["measure"] == verdict.measure].set_index("model")
        errors = {name: format_known(of_measure["left_out_error"].get(name, np.nan), 3) for name in MODEL_WORDS}
        row: dict[str, Any] = {"title": measure_title(verdict.measure), "errors": errors, "best": verdict.best}
        row |= {"chosen": verdict.chosen, "n_regions": int(of_measure["n_regions"].max())}
        found.append(row | _fit_of(of_measure, verdict.chosen))
    return found


def _fit_of(rows: pd.DataFrame, chosen: str | None) -> dict[str, str]:
    if chosen is None:
        return {"gain": "–", "within_r2": "–"}
    row = rows.loc[chosen]
    gain = format_known(row["gain"], 3)
    if row["gain_low"] == row["gain_low"]:
        gain += f" ({format_known(row['gain_low'], 3)} to {format_known(row['gain_high'], 3)})"
    return {"gain": gain, "within_r2": format_known(row["within_r2"], 2)}


def tabulate_effects(response: pd.DataFrame, params: NpiParams) -> list[dict[str, Any]]:
    """Return one row a measure and term of everybody's NPI_RESPONSE: fixed with interval, mixed beside it."""
    rows = of_everybody(response)
    mixed = rows[rows["estimator"] == "mixed"].set_index(BY_TERM)["log_effect"]
    fixed = rows[rows["estimator"] == "fixed"].set_index(BY_TERM)
    found = []
    for measure in order_measures(rows):
        for term in (term for term in TERM_TITLES if (measure, term) in fixed.index):
            row = fixed.loc[(measure, term)]
            found.append(
                {
                    "title": measure_title(measure),
                    "term": TERM_TITLES[term],
                    "unit": term_units(term, row["model"], params),
                    "log_effect": format_known(row["log_effect"], 3),
                    "effect": format_change(row["log_effect"]),
                    "interval": _interval(row),
                    "mixed": format_change(mixed.get((measure, term), np.nan)),
                    "p": format_p(row["p_value"]),
                    "p_adjusted": format_p(row["p_adjusted"]),
                    "lag_days": int(row["lag_days"]),
                    "n_regions": int(row["n_regions"]),
                    "n_clusters": int(row["n_clusters"]),
                }
            )
    return found


def _interval(row: pd.Series) -> str:
    if row["log_effect_low"] != row["log_effect_low"]:
        return "not known"
    return f"{format_change(row['log_effect_low'])} to {format_change(row['log_effect_high'])}"


def differences_of(response: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that set a group apart from everybody else, with ``label``; by axis and group."""
    rows = response[response["estimator"] == "difference"]
    label = rows["axis"].astype(str) + ": " + rows["group"].astype(str).str.replace("_", " ")
    return rows.assign(label=label).sort_values(["axis", "group", *BY_TERM], ignore_index=True)


def tabulate_differences(response: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one table a term: ``title``, ``measures`` (name and title), ``rows`` of ``label`` and cells by measure."""
    differences, found = differences_of(response), []
    for term, title in TERM_TITLES.items():
        of_term = differences[differences["term"] == term]
        if of_term.empty:
            continue
        measures = order_measures(of_term)
        rows = []
        for label, of_group in of_term.groupby("label", sort=False):
            by_measure = of_group.set_index("measure")
            cells = [_cell(by_measure.loc[name]) if name in by_measure.index else "–" for name in measures]
            rows.append({"label": label, "n_devices": int(of_group["n_devices"].max()), "cells": cells})
        found.append({"title": title, "measures": [measure_title(name) for name in measures], "rows": rows})
    return found


def _cell(row: pd.Series) -> str:
    star = "*" if row["p_adjusted"] < LEVEL else ""
    return f"{format_change(row['log_effect'])}{star} ({_interval(row)})"


def pretrends(events: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one row a kind of order and measure: ``order``, ``title``, ``p`` and whether regions differed before."""
    rows = events.drop_duplicates(["order", "measure"]).sort_values(["order", "measure"])
    return [
        {
            "key": row.order,
            "order": row.order.replace("_", " "),
            "title": measure_title(row.measure),
            "p": format_p(row.pretrend_p_value),
            "differs": bool(row.pretrend_p_value < LEVEL),
            "is_known": bool(row.pretrend_p_value == row.pretrend_p_value),
        }
        for row in rows.itertuples()
    ]
