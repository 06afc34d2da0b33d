"""Metrics of trained models as tables: a row for each forecaster, a column for each metric, intervals in brackets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.models.metrics import METRICS

GROUPS = {"": "On what it did not learn from, beside the baselines", "known_people": "People known from before, later"}
"""First part of a metric's name → whom it is of."""
OTHERS = {"true_share": "share of weeks in which it was so"}
"""Numbers that are of no forecaster, where their name does not say what they are."""
LESS = "_less_"
"""Stands in names of differences."""
BOUNDS = (".low", ".high")


class MetricTable(NamedTuple):
    """Metrics of one group of held-out data."""

    caption: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]
    """Forecasters, each with its cells; differences last."""
    others: list[tuple[str, str]]
    """Numbers that are of no forecaster, as how many people there are."""


def metric_tables(metrics: Mapping[str, float]) -> list[MetricTable]:
    """Return the metrics of a card, group by group."""
    groups: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        first, _, rest = name.partition(".")
        group, within = (first, rest) if first in GROUPS and rest else ("", name)
        groups.setdefault(group, {})[within] = value
    return [_table(GROUPS[group], groups[group]) for group in GROUPS if group in groups]


def explanations(tables: Sequence[MetricTable]) -> list[str]:
    """Return what the columns of some tables are, a phrase each."""
    shown = {column for table in tables for column in table.columns}
    return [f"{title}: {meaning}" for title, meaning in METRICS.values() if title in shown]


def _table(caption: str, metrics: Mapping[str, float]) -> MetricTable:
    cells: dict[str, dict[str, str]] = {}
    others = []
    for name, value in metrics.items():
        if name.endswith(BOUNDS):
            continue
        forecaster, metric = _split(name)
        if metric:
            cells.setdefault(forecaster, {})[metric] = _cell(value, [metrics.get(name + bound) for bound in BOUNDS])
        else:
            told = f"{value:,.0f}" if value.is_integer() else _number(value)
            others.append((OTHERS.get(name, name.replace("_", " ")), told))
    columns = [metric for metric in METRICS if any(metric in row for row in cells.values())]
    rows = [
        (forecaster.replace("_", " ") or "the model", [cells[forecaster].get(metric, "") for metric in columns])
        for forecaster in sorted(cells, key=lambda name: (LESS in name, name not in _first(cells), name))
    ]
    return MetricTable(caption, [METRICS[metric][0] for metric in columns], rows, others)


def _first(names: Mapping[str, object]) -> set[str]:
    """Return the forecasters that others are subtracted from; where there are none, the one without a name."""
    return {name.partition(LESS)[0] for name in names if LESS in name} or {""}


def _split(name: str) -> tuple[str, str]:
    """Return forecaster and metric in a name; no metric where it is of no forecaster."""
    for metric in METRICS:
        if name == metric or name.endswith((f".{metric}", f"_{metric}")):
            return name.removesuffix(metric).rstrip("._"), metric
    return name, ""


def _cell(value: float, bounds: Sequence[float | None]) -> str:
    low, high = (None if bound is None else _number(bound) for bound in bounds)
    return _number(value) if low is None or high is None else f"{_number(value)} ({low}…{high})"


def _number(value: float) -> str:
    return f"{value:.4f}".replace("-", "\N{MINUS SIGN}")
