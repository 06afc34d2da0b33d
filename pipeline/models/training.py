"""The training loop that all models share. (Interface; the loop follows.)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Protocol

import torch
from pydantic import Field

from pipeline.models.protocol import FitRun
from pipeline.params import Params


class TrainingParams(Params):
    """How the loop trains; they change the numbers."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Step size of AdamW (Adam where weight_decay is 0)."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay of AdamW."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises to its value."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How it goes on: constant, or down to 0 at the last step of the last epoch."""
    max_epochs: int = Field(default=50, ge=1)
    """Most epochs."""
    patience: int = Field(default=10, ge=1)
    """Epochs without a better validation after which training stops; the best epoch is kept."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Mixed precision of the forward pass."""


class Learner(Protocol):
    """What is trained."""

    module: torch.nn.Module
    n_batches: int | None
    """Batches of an epoch, where known."""

    def batches(self, epoch: int) -> Iterable[Any]:
        """Return the batches of an epoch (tensors, or tuples or dicts of tensors): the same for the same epoch."""

    def loss(self, batch: Any) -> torch.Tensor:
        """Return the mean loss of a batch that lies on the module's device."""

    def validate(self) -> float:
        """Return the validation score, lower is better, called after each epoch in eval mode without gradients."""


class History(NamedTuple):
    """What training went through."""

    train_loss: list[float]
    validation: list[float]
    best_epoch: int
    seconds: float
    n_steps: int


def train(learner: Learner, params: TrainingParams, run: FitRun, phase: str = "training") -> History:
    """Train the learner's module in place, keep the weights of the best epoch and return what training went through."""
    raise NotImplementedError
