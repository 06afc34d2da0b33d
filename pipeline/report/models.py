"""The cards of the trained models that fill tables of the study, as the page tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pipeline.engine.artifacts import HAS_WITHDRAWN, flat_values, read_cards
from pipeline.report.model_metrics import MetricTable, explanations, metric_tables
from pipeline.stages.predict import left_out_words
from pipeline.study import Study

EVENTS = {
    "exploration_forecasts": "“It was so” of weeks in which somebody visited a place that was new to them.",
    "employment_scores": "“It was so” of weeks in which somebody had no job, by the truth it was trained with.",
}
"""What the metrics of a model are of, where its title does not say it."""


class Card(NamedTuple):
    """What is told of one trained model."""

    name: str
    title: str
    source: str
    tables: str
    learnt_from: str
    """Study, span and rows by table."""
    seed: int
    params: list[tuple[str, str]]
    summary: list[str]
    """How good it is, in a few lines, where the model says so."""
    event: str
    """What the metrics are of; "" where the title says it."""
    metrics: list[MetricTable]
    explanations: list[str]
    """What the metrics are."""
    has_withdrawn: bool
    """Whether it learnt from devices that were withdrawn since."""


class Models(NamedTuple):
    """What is told of models."""

    cards: list[Card]
    missing: list[str]
    """Models that the study names and that are not under the root."""
    left_out: str
    """Which tables of models the study leaves out, and why; "" where it leaves out none."""


def read_models(study: Study, root: Path) -> Models:
    """Return the cards of the models that a study names; one that is not under the root is told as missing."""
    found = {card["name"]: card for card in read_cards(root)}
    cards = [_card(found[name]) for name in study.models if name in found]
    return Models(cards, [name for name in study.models if name not in found], left_out_words(study))


def _card(card: dict[str, Any]) -> Card:
    tables = metric_tables(card["metrics"])
    study, rows = card["study"], ", ".join(f"{n:,} rows of {table}" for table, n in card["rows"].items())
    return Card(
        card["name"],
        card["title"],
        card["source"],
        ", ".join(card["outputs"]),
        f"{study['name']}, {study['start']} to {study['end']}: {rows}",
        card["seed"],
        flat_values(card["params"]),
        card.get("summary", []),
        EVENTS.get(card["name"].partition("@")[0], ""),
        tables,
        explanations(tables),
        bool(card.get(HAS_WITHDRAWN)),
    )
