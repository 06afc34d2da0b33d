"""How the towers learn: first visits of persons, each with what the person had been up to until then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models import training
from pipeline.models.devices import numpy_generator
from pipeline.models.places.histories import Asked, Histories, mean_vectors
from pipeline.models.places.initial_weights import set_initial_weights
from pipeline.models.places.interactions import UNKNOWN, Interactions, PlaceFeatures
from pipeline.models.places.params import TowerParams
from pipeline.models.places.towers import (
    PersonInputs,
    PlaceInputs,
    TowerShape,
    TwoTowers,
    literal_loss,
    sampled_softmax_loss,
)
from pipeline.models.protocol import FitRun

Batch = dict[str, torch.Tensor]


class Pairs(NamedTuple):
    """Pairs of a person and a place that went there, one entry each."""

    person: NDArray[np.int64]
    place: NDArray[np.int64]
    time_s: NDArray[np.int64]


class TowerData(NamedTuple):
    """All that inputs of the towers are made of."""

    histories: Histories
    home_area: NDArray[np.int32]
    """Code for each person."""
    features: PlaceFeatures
    group: NDArray[np.int8]
    """Group of each place in the persons' means."""
    vectors: NDArray[np.float32]
    """(n_folds, n_places, width) graph vectors; no columns where there are none."""
    fold: NDArray[np.int64]
    """Fold of each person."""
    window_days: float


def pairs_of(interactions: Interactions, is_new_only: bool) -> Pairs:
    """Return the strong events by person, time and place: all, or only the first of each person at each place."""
    strong = interactions.strong()
    order = np.lexsort((strong.place, strong.time_s, strong.person))
    pairs = Pairs(strong.person[order], strong.place[order], strong.time_s[order])
    if not is_new_only:
        return pairs
    _, first = np.unique(pairs.person * interactions.n_places + pairs.place, return_index=True)
    return Pairs(*(values[np.sort(first)] for values in pairs))


def person_inputs(data: TowerData, shape: TowerShape, asked: Asked, fold: int, max_history: int) -> PersonInputs:
    """Return what the person tower takes of each (person, moment), with the graph vectors of a fold."""
    n = asked.person.size
    means, is_there = np.zeros((n, 0, 0), np.float32), np.zeros((n, 0), np.float32)
    if shape.n_groups:
        vectors = data.vectors[fold]
        means, is_there = mean_vectors(
            data.histories, asked, vectors, data.group, shape.n_groups, data.window_days, max_history
        )
    history = np.zeros((n, 0, 0), np.float32)
    if shape.has_history:
        one_group = np.zeros(len(data.group), np.int8)
        text = data.features.text
        history, _ = mean_vectors(data.histories, asked, text, one_group, 1, data.window_days, max_history)
    home_area = np.where(data.home_area < shape.n_home_areas, data.home_area, UNKNOWN)[asked.person]
    return PersonInputs(
        torch.from_numpy(home_area.astype(np.int64)),
        torch.from_numpy(means.reshape(n, -1)),
        torch.from_numpy(is_there),
        torch.from_numpy(history.reshape(n, -1)),
    )


def place_inputs(features: PlaceFeatures, vectors: NDArray[np.float32], shape: TowerShape, chosen) -> PlaceInputs:
    """Return what the place tower takes of the chosen places; codes beyond those learnt are `UNKNOWN`."""
    category, area = features.category[chosen], features.area[chosen]
    return PlaceInputs(
        torch.from_numpy(np.where(category < shape.n_categories, category, UNKNOWN).astype(np.int64)),
        torch.from_numpy(np.where(area < shape.n_areas, area, UNKNOWN).astype(np.int64)),
        torch.from_numpy(features.text[chosen]),
        torch.from_numpy(vectors[chosen] if shape.n_groups else np.zeros((len(category), 0), np.float32)),
    )


def fit_towers(
    data: TowerData, shape: TowerShape, pairs: Pairs, params: TowerParams, run: FitRun, purpose: str = "towers"
) -> tuple[TwoTowers, int]:
    """Return the towers and of how many pairs they learnt; 0: there were too few, and they have their first weights."""
    network = TwoTowers(shape, params.widths, params.code_width)
    set_initial_weights(network, run.seed, purpose)
    learner = TowerLearner(network, data, shape, pairs, params, run.seed, purpose)
    if learner.n_batches and learner.has_validation:
        settings = training.TrainingParams(
            learning_rate=params.learning_rate, max_epochs=params.max_epochs, patience=params.patience
        )
        training.train(learner, settings, run, purpose)
        return network, learner.learnt.size
    return network, 0


class TowerLearner:
    """What the training loop asks of the towers (`training.Learner`)."""

    module: torch.nn.Module
    n_batches: int | None

    def __init__(
        self,
        network: TwoTowers,
        data: TowerData,
        shape: TowerShape,
        pairs: Pairs,
        params: TowerParams,
        seed: int,
        purpose: str,
    ) -> None:
        """Hold pairs out, and count how often each place is a pair's."""
        self.module, self.data, self.shape, self.pairs = network, data, shape, pairs
        self.params, self.seed, self.purpose = params, seed, purpose
        is_held_out = numpy_generator(seed, f"{purpose} validation").random(pairs.place.size) < params.validation_share
        self.learnt, self.held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
        counts = np.bincount(pairs.place, minlength=data.group.size)
        self.log_share = np.log(np.maximum(counts, 1) / max(pairs.place.size, 1)).astype(np.float32)
        self.n_batches = len(self._cut(self.learnt, numpy_generator(seed, purpose)))
        self.has_validation = bool(self._cut(self.held_out, numpy_generator(seed, purpose)))

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch: each of persons of one fold, which share their places' vectors."""
        for rows in self._cut(self.learnt, numpy_generator(self.seed, f"{self.purpose} epoch", epoch)):
            yield self._batch(rows)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch, negatives being the other places in it."""
        persons, places = self.module(
            PersonInputs(*(batch[name] for name in PersonInputs._fields)),
            PlaceInputs(*(batch[f"place_{name}"] for name in PlaceInputs._fields)),
        )
        given = persons, places, batch["place"], batch["log_share"], self.params.is_popularity_corrected
        if self.params.loss == "literal":
            return literal_loss(*given)
        return sampled_softmax_loss(*given, self.params.temperature)

    def validate(self) -> float:
        """Return the mean loss of held-out pairs, in the same batches each time."""
        device = next(self.module.parameters()).device
        total = n = 0.0
        for rows in self._cut(self.held_out, numpy_generator(self.seed, f"{self.purpose} held out")):
            batch = {name: values.to(device) for name, values in self._batch(rows).items()}
            total += float(self.loss(batch)) * rows.size
            n += rows.size
        return total / n

    def _cut(self, rows: NDArray[np.int64], chance: np.random.Generator) -> list[NDArray[np.int64]]:
        """Return the rows of each batch; a rest of one pair has no negatives and waits for another epoch."""
        fold = self.data.fold[self.pairs.person[rows]]
        size = self.params.batch_size
        batches = []
        for f in range(len(self.data.vectors)):
            shuffled = chance.permutation(rows[fold == f])
            batches += [shuffled[first : first + size] for first in range(0, shuffled.size, size)]
        batches = [batch for batch in batches if batch.size > 1]
        return [batches[i] for i in chance.permutation(len(batches))]

    def _batch(self, rows: NDArray[np.int64]) -> Batch:
        person, place, time_s = (values[rows] for values in self.pairs)
        fold = int(self.data.fold[person[0]])
        asked = Asked(person, time_s)
        persons = person_inputs(self.data, self.shape, asked, fold, self.params.max_history)
        places = place_inputs(self.data.features, self.data.vectors[fold], self.shape, place)
        return {
            **persons._asdict(),
            **{f"place_{name}": values for name, values in places._asdict().items()},
            "place": torch.from_numpy(place),
            "log_share": torch.from_numpy(self.log_share[place]),
        }
