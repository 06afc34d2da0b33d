"""The cards of the trained models that fill tables of the study, as the page tells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pipeline.engine.artifacts import flat_values, read_cards
from pipeline.stages.predict import left_out_words
from pipeline.study import Study


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
    metrics: list[tuple[str, str]]


class Models(NamedTuple):
    """What is told of models."""

    cards: list[Card]
    left_out: str
    """Which tables of models the study leaves out, and why; "" where it leaves out none."""


def read_models(study: Study, root: Path) -> Models:
    """Return the cards of the models that a study names; one that is not under the root is told as missing."""
    found = {card["name"]: card for card in read_cards(root)}
    return Models([_card(found[name]) for name in study.models if name in found], left_out_words(study))


def _card(card: dict[str, Any]) -> Card:
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
        flat_values(card["metrics"]),
    )
