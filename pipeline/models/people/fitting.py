"""Training and scoring that both models of people share: who is held out, network, logistic regression, metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.keyed_random import keyed_uniform
from pipeline.models.people.logistic import MOST_ROWS, fit_logistic, predict_logistic
from pipeline.models.people.network import (
    PersonNet,
    RowsLearner,
    results,
    sample_of,
    spread_of,
    standardised,
)
from pipeline.models.people.params import PeopleParams
from pipeline.models.protocol import FitRun, ModelError
from pipeline.models.streaming import StreamedRows
from pipeline.models.training import TrainingParams, train

TRAIN, VALIDATE, TEST = range(3)

SCORED_AT_ONCE = 4_096
"""Held-out rows whose features are in memory at a time: bounds memory, changes nothing."""

Floats = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]


class Sides(NamedTuple):
    """Rows by what they are for; no person is on two sides."""

    train: StreamedRows
    validate: StreamedRows
    test: StreamedRows


class Fitted(NamedTuple):
    """A network, and the logistic regression on the same features."""

    network: PersonNet
    beta: Floats
    mean: Floats
    scale: Floats

    def probabilities(self, features: NDArray[np.float32]) -> tuple[Floats, Floats, Floats]:
        """Return the network's probability of the event and of the kinds, and the regression's of the event."""
        event, kinds = results(self.network, features)
        return event, kinds, predict_logistic(self.beta, standardised(features, self.mean, self.scale))


def side_of(device_id: NDArray[np.int64], seed: int, params: PeopleParams) -> NDArray[np.int64]:
    """Return for each id which side its person is on: TRAIN, VALIDATE or TEST."""
    draw = keyed_uniform(device_id, "models/people/sides", seed)
    bounds = [params.test_share, params.test_share + params.validation_share]
    return np.array([TEST, VALIDATE, TRAIN])[np.searchsorted(bounds, draw, side="right")]


def empty_sides(params: PeopleParams, seed: int) -> Sides:
    """Return sides without rows."""
    return Sides(
        StreamedRows(params.batch_size, seed), StreamedRows(params.batch_size, seed), StreamedRows(SCORED_AT_ONCE, seed)
    )


def add_rows(into: StreamedRows, columns: Columns, chosen: NDArray[np.bool_]) -> None:
    """Add the chosen rows to a side."""
    into.add({name: values[chosen] for name, values in columns.items()})


def fit_both(sides: Sides, n_kinds: int, kind_weight: float, params: PeopleParams, run: FitRun, phase: str) -> Fitted:
    """Return the network and the logistic regression learnt from the training side.

    ModelError where the training or the validation side has no rows. Rows all of one outcome are learnt from as any
    others are.
    """
    for name in ("train", "validate"):
        if not getattr(sides, name).n_rows:
            raise ModelError(f"no rows to {name} with; more people or more weeks are needed")
    mean, scale = spread_of(sides.train)
    network = PersonNet(mean.size, params.hidden, n_kinds)
    network.start(mean, scale, run.seed, phase)
    learner = RowsLearner(network, sides.train, sides.validate, kind_weight)
    train(learner, TrainingParams(**params.training()), run, phase)
    features, event = sample_of(sides.train, mean, scale, "event", MOST_ROWS)
    return Fitted(network, fit_logistic(features, event, params.ridge), mean, scale)


def mean_event(rows: StreamedRows) -> float:
    """Return the share of rows with the event."""
    total = sum(float(batch["event"].double().sum()) for batch in rows.batches(0))
    return total / max(rows.n_rows, 1)


def scored_rows(
    rows: StreamedRows, fitted: Fitted, also: Callable[[Columns, Floats], Columns] = lambda batch, kinds: {}
) -> dict[str, NDArray[Any]]:
    """Return held-out rows in order of device and week, without their features, as `network` and `logistic` score them.

    Read batch by batch: of wide columns nothing is kept but what `also` makes of a batch and the probabilities of its
    kinds, so that the people of a training can be scored however many they are.
    """
    parts: dict[str, list[NDArray[Any]]] = {}
    for tensors in rows.batches(0):
        batch = {name: values.numpy() for name, values in tensors.items()}
        event, kinds, logistic = fitted.probabilities(batch["features"])
        narrow = {name: values for name, values in batch.items() if values.ndim == 1}
        for name, values in {**narrow, "network": event, "logistic": logistic, **also(batch, kinds)}.items():
            parts.setdefault(name, []).append(values)
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    order = np.lexsort((joined["monday"], joined["device_id"]))
    return {name: values[order] for name, values in joined.items()}


def prefixed(name: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return metrics under names that begin with another."""
    return {f"{name}.{metric}": value for metric, value in metrics.items()}
