"""Every method by name: how it is made from data, a setting and a seed, and what it chooses its setting from."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from pipeline.evaluation.recommendation.factor_rules import ImplicitAls, ItemKnn
from pipeline.evaluation.recommendation.lists import Method, rank_targets
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.simple_rules import Data, Nearby, OwnHistory, Popularity, TextKnn
from pipeline.evaluation.recommendation.splitting import ANY, EVERY_NEW, TARGETS, validation_split
from pipeline.models.places.ranked_lists import reciprocal_ranks

NEEDS_TEXTS, NEEDS_POSITIONS, NEEDS_LIBRARY = "texts", "positions", "library"


class Rule(NamedTuple):
    """A simple method."""

    title: str
    make: Callable[[Data, Any, int], Method]
    """From data, setting and seed."""
    settings: Callable[[RecommendParams], list[Any]] = lambda params: [None]
    """What it chooses from, on a validation split inside training."""
    needs: str | None = None
    is_random: bool = False
    targets: tuple[str, ...] = TARGETS
    """What it can recommend."""


def _als_settings(params: RecommendParams) -> list[Any]:
    return list(product(params.als_factors, params.als_regularization, params.als_weight))


def _nearby(is_popular: bool) -> Callable[[Data, Any, int], Method]:
    return lambda data, setting, seed: Nearby(data, setting, is_popular)


RULES = {
    "popularity": Rule("popularity", lambda data, setting, seed: Popularity(data)),
    "own_history": Rule("own history", lambda data, setting, seed: OwnHistory(data), targets=(ANY,)),
    "text_knn": Rule("text-kNN", lambda data, setting, seed: TextKnn(data), needs=NEEDS_TEXTS),
    "nearby": Rule("nearby", _nearby(False), lambda params: list(params.nearby_m), NEEDS_POSITIONS),
    "nearby_popular": Rule("nearby × popular", _nearby(True), lambda params: list(params.nearby_m), NEEDS_POSITIONS),
    "item_knn": Rule(
        "item-kNN",
        lambda data, setting, seed: ItemKnn(data, setting),
        lambda params: list(params.n_neighbours),
        NEEDS_LIBRARY,
    ),
    "ials": Rule("iALS", ImplicitAls, _als_settings, NEEDS_LIBRARY, is_random=True),
}


def choose_setting(rule: Rule, data: Data) -> Any:
    """Return the setting of the highest MRR for every new place, on a validation split inside training; ties: first."""
    settings = rule.settings(data.params)
    inner = data._replace(split=validation_split(data.split, data.params))
    if len(settings) == 1 or not len(inner.split.targets[EVERY_NEW].person):
        return settings[0]
    found = [_validate(rule.make(inner, setting, 0), inner) for setting in settings]
    return settings[int(np.argmax(found))]


def _validate(method: Method, data: Data) -> float:
    listed = rank_targets(method, data.split, (EVERY_NEW,), data.params.n_listed)[EVERY_NEW]
    return float(reciprocal_ranks(listed.rank).mean())
