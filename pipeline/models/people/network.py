"""The small network of both models of people, what it is trained with, and its results row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from pipeline.models.devices import pick_device, torch_generator
from pipeline.models.inference import in_fixed_batches
from pipeline.models.streaming import StreamedRows

MOST_DEVIATIONS = 6.0
"""Features are cut so many standard deviations from their mean (ours): nothing is learnt of what is farther."""

Floats = NDArray[np.float64]


class PersonNet(nn.Module):
    """Two hidden layers beside a linear one: the linear one alone is the logistic regression it has to beat.

    The two are added up (form and sizes ours). Logits of shape (rows, 1 + kinds): the first of the event, the others of
    the kinds.
    """

    def __init__(self, n_features: int, hidden: int, n_kinds: int) -> None:
        """Make the layers; features are standardised by `mean` and `scale`, which are kept with the weights."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.wide = nn.Linear(n_features, 1 + n_kinds)
        self.first = nn.Linear(n_features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 1 + n_kinds)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits of rows of raw features."""
        z = ((features - self.mean) / self.scale).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
        hidden = nn.functional.silu(self.second(nn.functional.silu(self.first(z))))
        return self.wide(z) + self.last(hidden)

    def start(self, mean: Floats, scale: Floats, seed: int, purpose: str) -> None:
        """Set first weights: zero where logits are made, so that training begins at no opinion."""
        generator = torch_generator(seed, purpose, "weights")
        with torch.no_grad():
            self.mean.copy_(torch.as_tensor(mean, dtype=torch.float32))
            self.scale.copy_(torch.as_tensor(scale, dtype=torch.float32))
            for layer in (self.first, self.second):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(layer.bias)
            for layer in (self.wide, self.last):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)


class RowsLearner:
    """Trains on rows with an event (0 or 1) and a kind (-1: none): cross entropies of both, the kind's weighted."""

    def __init__(self, module: PersonNet, rows: StreamedRows, held_out: StreamedRows, kind_weight: float) -> None:
        """Train `module` on `rows`; the score of an epoch is the loss over `held_out`."""
        self.module, self.rows, self.held_out, self.kind_weight = module, rows, held_out, kind_weight
        self.n_batches: int | None = rows.n_batches

    def batches(self, epoch: int) -> Iterator[Mapping[str, torch.Tensor]]:
        """Return the batches of an epoch."""
        return self.rows.batches(epoch)

    def batches_from(self, epoch: int, start: int) -> Iterator[Mapping[str, torch.Tensor]]:
        """Return the batches of an epoch from one on."""
        return self.rows.batches_from(epoch, start)

    def loss(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the mean loss of a batch."""
        return self._sum(batch) / len(batch["event"])

    def validate(self) -> float:
        """Return the mean loss over all held-out rows."""
        device = self.module.mean.device
        batches = ({name: t.to(device) for name, t in batch.items()} for batch in self.held_out.batches(0))
        return float(sum(self._sum(batch).double() for batch in batches)) / self.held_out.n_rows

    def _sum(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        logits = self.module(batch["features"])
        loss = binary_cross_entropy_with_logits(logits[:, 0], batch["event"], reduction="sum")
        if logits.shape[1] > 1:
            # ignore_index leaves out rows without a new place.
            loss = loss + self.kind_weight * cross_entropy(
                logits[:, 1:], batch["kind"], reduction="sum", ignore_index=-1
            )
        return loss


def spread_of(rows: StreamedRows) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each feature, 1 instead of a deviation of 0; the rows are read twice."""
    total = sum(batch["features"].double().sum(0) for batch in rows.batches(0))
    mean = total / rows.n_rows
    squares = sum(((batch["features"].double() - mean) ** 2).sum(0) for batch in rows.batches(0))
    deviation = (squares / rows.n_rows).sqrt().numpy()
    return mean.numpy(), np.where(deviation > 0, deviation, 1.0)


def standardised(features: NDArray[np.float32], mean: Floats, scale: Floats) -> Floats:
    """Return features as the network sees them, for the regressions beside it."""
    return np.clip((features - mean) / scale, -MOST_DEVIATIONS, MOST_DEVIATIONS)


def sample_of(
    rows: StreamedRows, mean: Floats, scale: Floats, target: str, most: int, left_out: float = np.nan
) -> tuple[Floats, NDArray[Any]]:
    """Return standardised features and targets of at most so many rows, none of those whose target is `left_out`.

    By default none is: nothing equals NaN. The rows' order is a random one, by a hash of seed, device and number within
    it, so that the first are a sample, and the same whatever the shards.
    """
    features, targets, n = [np.empty((0, mean.size))], [], 0
    for batch in rows.batches(0):
        values = batch[target].numpy()
        is_wanted = values != left_out
        features.append(standardised(batch["features"].numpy()[is_wanted], mean, scale))
        targets.append(values[is_wanted])
        n += int(is_wanted.sum())
        if n >= most:
            break
    return np.concatenate(features)[:most], np.concatenate(targets or [np.empty(0)])[:most]


def to_tensors(module: PersonNet) -> dict[str, NDArray[Any]]:
    """Return the weights, and what features are standardised by, as arrays."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}


def from_tensors(tensors: Mapping[str, NDArray[Any]], device: str) -> PersonNet:
    """Return the network that some arrays are the weights of, on a device."""
    hidden, n_features = tensors["first.weight"].shape
    module = PersonNet(n_features, hidden, len(tensors["wide.bias"]) - 1)
    module.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in tensors.items()})
    return module.to(pick_device(device))


def results(module: PersonNet, features: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return the probability of the event and those of the kinds; shapes (rows,) and (rows, kinds).

    A row's bits do not depend on the others (`models.inference`).
    """
    logits = in_fixed_batches(module, features).astype(np.float64)
    raised = np.exp(logits[:, 1:] - logits[:, 1:].max(axis=1, keepdims=True, initial=-np.inf))
    return expit(logits[:, 0]), raised / raised.sum(axis=1, keepdims=True)
