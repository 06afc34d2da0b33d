"""An evaluation of place recommendation from check-ins to figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.recommendation import learned
from pipeline.evaluation.recommendation.check_ins import CheckIns
from pipeline.evaluation.recommendation.comparing import Kind, Ordering
from pipeline.evaluation.recommendation.factor_rules import INSTALL, has_library
from pipeline.evaluation.recommendation.lists import Listed, Method, rank_targets
from pipeline.evaluation.recommendation.methods import (
    NEEDS_LIBRARY,
    NEEDS_POSITIONS,
    NEEDS_TEXTS,
    RULES,
    choose_setting,
)
from pipeline.evaluation.recommendation.orderings import find_orderings
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.same_arms import why_equal
from pipeline.evaluation.recommendation.scoring import KINDS, Ranks, Scores, score_ranks, strata_of
from pipeline.evaluation.recommendation.shared_graphs import SharedGraphs
from pipeline.evaluation.recommendation.simple_rules import Data
from pipeline.evaluation.recommendation.splitting import TARGETS, split_check_ins
from pipeline.models.packages import PackageMissingError
from pipeline.models.protocol import SOJOURN_TORCH, missing_libraries
from pipeline.study import StudyError

if TYPE_CHECKING:
    from pipeline.models.places.params import PlaceModelParams

Encoding = Literal["sentences", "hashed", "none"]
Progress = Callable[[str, int, int], None]


class Asked(NamedTuple):
    """Which methods, and how often."""

    names: tuple[str, ...]
    """Of RULES, MODELS and ABLATIONS."""
    n_seeds: int
    encoder: Encoding
    """Text encoder: "sentences", "hashed" or "none"."""


class Fit(NamedTuple):
    """How a method was made; means over seeds."""

    setting: Any
    """What a simple rule chose on the validation split."""
    seconds: float
    """Time of fitting; of rules without choosing the setting, of models without texts. A graph network that several
    methods have alike is trained once, and its time is in each."""
    graph_seconds: float
    """Of it, time of training the graph network."""
    n_links: float
    """Links that the graph network was supervised by in an epoch; at most `models.hgnn.max_links_per_epoch`."""
    n_links_in_all: float
    """Links there were, which an epoch without balanced sampler or bound would be supervised by."""
    n_epochs: float
    """Epochs of the graph network."""
    n_steps: float
    """Steps of the graph network in all epochs: methods compared may differ much in them."""

    @property
    def epoch_seconds(self) -> float:
        """Time of an epoch of the graph network, its validation included; 0 without one."""
        return self.graph_seconds / self.n_epochs if self.n_epochs else 0.0


NO_GRAPH = (0.0,) * 5
"""Figures of the graph network in the Fit of a method without one."""


class Evaluation(NamedTuple):
    """What was found."""

    rows: dict[str, int]
    """What became of rows that could not be used."""
    split: dict[str, int]
    node_types: list[int]
    """Places of the catalogue of each node type, the rare one first."""
    signals: dict[str, int]
    """Check-ins that models learn links from (n_strong), and weak ones, friends' places among them (n_weak)."""
    window_days: float
    """Days that models look back: at least those that training has."""
    results: dict[str, dict[str, Scores]]
    """Target (of TARGETS) → method → scores of everybody."""
    by_kind: dict[Kind, dict[str, dict[str, Scores]]]
    """"warm" or "cold" → target → method → scores of people with and without a check-in in training."""
    orderings: list[Ordering]
    fits: dict[str, Fit]
    left_out: dict[str, str]
    """Method → why it was not run."""


class NothingLearntError(Exception):
    """A model has its first weights: its lists would be noise."""


def known_methods() -> dict[str, str]:
    """Return the title of every method by name."""
    models = {name: model.title for name, model in (learned.MODELS | learned.ABLATIONS).items()}
    return {name: rule.title for name, rule in RULES.items()} | models


def evaluate_recommendation(
    check_ins: CheckIns,
    params: RecommendParams,
    models: PlaceModelParams,
    asked: Asked,
    on_progress: Progress = lambda what, done, of: None,
) -> Evaluation:
    """Return how well each method recommends; methods whose needs are not met are left out, with the reason.

    Every method sees the same training, is asked for the same people and is ranked over the same catalogue. Settings of
    simple rules are chosen on the training span alone; those of the models are the Params given, but for their window,
    which holds all of training.
    """
    split = split_check_ins(check_ins, params)
    models = learned.with_whole_window(models, split)
    if (models.hgnn.only_type or 0) >= split.world.n_types:
        raise StudyError(f"--set models.hgnn.only_type: there are {split.world.n_types} node types, from 0")
    vectors, why = _embed(split.world.places, asked.encoder)
    data = Data(split, params, vectors)
    left_out = {name: reason for name in asked.names if (reason := _missing(name, data, models, why))}
    names = [name for name in asked.names if name not in left_out]
    ranks: dict[str, dict[str, Ranks]] = {target: {} for target in TARGETS}
    fits = {}
    with TemporaryDirectory() as folder:
        graphs = SharedGraphs(Path(folder))
        for k, name in enumerate(names):
            on_progress(known_methods()[name], k, len(names))
            try:
                found, fits[name] = _run(name, data, models, asked.n_seeds, graphs)
            except NothingLearntError:
                left_out[name] = "check-ins are too few for it to learn anything from"
                continue
            for target, of in found.items():
                ranks[target][name] = of
    strata = {target: strata_of(data, split.targets[target]) for target in TARGETS}
    results = {
        target: {name: score_ranks(of, strata[target], params) for name, of in found.items()}
        for target, found in ranks.items()
    }
    by_kind = {
        kind: {target: {name: score_ranks(of.of_kind(kind), {}, params) for name, of in found.items()}
               for target, found in ranks.items()}
        for kind in KINDS
    }  # fmt: skip
    signals = learned.count_signals(data) if not RULES.keys() >= set(names) else {}
    types = np.bincount(split.world.place_type, minlength=split.world.n_types).tolist()
    return Evaluation(
        check_ins.counts, split.counts, types, signals, models.graph.window_days, results, by_kind,
        find_orderings(ranks, params), fits, left_out,
    )  # fmt: skip


def _embed(places: pd.DataFrame, encoder: Encoding) -> tuple[NDArray[np.float32] | None, str]:
    """Return the embeddings of places, or None and why there are none."""
    if encoder == "none":
        return None, "no text encoder is asked for"
    try:
        vectors = learned.embed_places(places, encoder)
    except PackageMissingError as error:
        return None, f"{error}; --text-encoder hashed needs none"
    return vectors, "" if vectors is not None else "nothing is known of places in words: no name, category or area"


def _missing(name: str, data: Data, models: PlaceModelParams, why_no_texts: str) -> str:
    """Return why a method cannot be run or would be another one, "" where it can."""
    if name not in RULES:
        if missing := missing_libraries():
            return f"needs {', '.join(missing)}: {SOJOURN_TORCH}"
        if data.vectors is None and data.split.world.places[["category", "area", "lon"]].isna().all(axis=None):
            return "nothing is known of places that it could tell them apart by: no name, category, area or position"
        return why_equal(name, data, models)
    needs = RULES[name].needs
    if needs == NEEDS_TEXTS and data.vectors is None:
        return why_no_texts
    if needs == NEEDS_POSITIONS and data.split.world.places["lon"].isna().all():
        return "no place has a position (lon, lat)"
    return f"the library is not installed; {INSTALL}" if needs == NEEDS_LIBRARY and not has_library() else ""


def _run(
    name: str, data: Data, models: PlaceModelParams, n_seeds: int, graphs: SharedGraphs
) -> tuple[dict[str, Ranks], Fit]:
    """Return the ranks of its targets over all seeds, and how the method was made."""
    rule = RULES.get(name)
    setting = choose_setting(rule, data) if rule else None
    seeds = range(n_seeds if rule is None or rule.is_random else 1)
    listed: dict[str, list[Listed]] = {target: [] for target in (rule.targets if rule else TARGETS)}
    facts: list[tuple[float, ...]] = []
    for seed in seeds:
        started = perf_counter()
        method: Method
        if rule:
            method = rule.make(data, setting, seed)
            facts.append((perf_counter() - started, *NO_GRAPH))
        else:
            method, fact = _fit(name, data, models, seed, graphs)
            facts.append(fact)
        for target, found in rank_targets(method, data.split, listed, data.params.n_listed).items():
            listed[target].append(found)
    targets, is_warm = data.split.targets, data.split.is_warm
    ranks = {target: Ranks.of(found, targets[target], is_warm) for target, found in listed.items()}
    return ranks, Fit(setting, *np.mean(facts, axis=0).tolist())


def _fit(
    name: str, data: Data, models: PlaceModelParams, seed: int, graphs: SharedGraphs
) -> tuple[Method, tuple[float, ...]]:
    model = (learned.MODELS | learned.ABLATIONS)[name]
    run, is_there = graphs.start(model.variant, learned.with_changes(models, model.changes), seed)
    method = learned.Learned(data, model, models, run)
    graphs.end(run)
    fitted = method.fitted
    if not fitted.has_learnt:
        raise NothingLearntError(name)
    seconds = fitted.seconds + (fitted.graph_seconds if is_there else 0.0)
    counts = fitted.n_links, fitted.n_links_in_all, fitted.n_epochs, fitted.n_steps
    return method, (seconds, fitted.graph_seconds, *map(float, counts))
