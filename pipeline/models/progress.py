"""How far a training is, and what ends it."""

from __future__ import annotations

import math
from typing import NamedTuple

from pipeline.models.protocol import ModelError


class TrainingError(ModelError):
    """A training that cannot go on, or has nothing to train on."""


class History(NamedTuple):
    """What training went through."""

    train_loss: list[float]
    validation: list[float]
    best_epoch: int
    seconds: float
    n_steps: int


class Progress:
    """How far a training is; all of it is plain numbers, kept in checkpoints."""

    def __init__(self) -> None:
        """Start before the first step."""
        self.epoch = 0
        self.step = 0
        """Steps done in this epoch."""
        self.n_steps = 0
        """Steps done in all."""
        self.loss_sum = 0.0
        """Of the steps done in this epoch."""
        self.train_loss: list[float] = []
        self.validation: list[float] = []
        self.best_epoch = -1
        self.seconds = 0.0

    def is_done(self, max_epochs: int, patience: int) -> bool:
        """Return whether the last epoch is over, or patience is at its end."""
        return self.epoch >= max_epochs or self.epoch - 1 - self.best_epoch >= patience

    def history(self) -> History:
        """Return it as the caller of `train` sees it."""
        return History(self.train_loss, self.validation, self.best_epoch, self.seconds, self.n_steps)

    def check_finite(self, phase: str, losses: list[float], norms: list[float], is_scaled: bool) -> None:
        """Raise TrainingError where one of the last steps' losses or gradient norms is not finite.

        With float16 (is_scaled) norms may be: the scaler leaves such steps out, that is how it finds its scale.
        """
        first = self.step - len(losses)
        for k, (loss, norm) in enumerate(zip(losses, norms, strict=True)):
            what, value = ("gradient's norm", norm) if math.isfinite(loss) else ("loss", loss)
            if not math.isfinite(value) and not (is_scaled and math.isfinite(loss)):
                raise TrainingError(
                    f"{phase}: the {what} is {value} in step {first + k + 1} of epoch {self.epoch}: training ends; "
                    "a smaller learning rate may help, or precision float32"
                )

    def check_count(self, phase: str, n_steps: int | None) -> None:
        """Raise TrainingError after an epoch without batches, or with more or fewer steps than were announced."""
        if not self.step:
            raise TrainingError(f"{phase}: there is no batch in epoch {self.epoch}: nothing to train on")
        if n_steps is not None and self.step != n_steps:
            raise TrainingError(
                f"{phase}: {self.step} steps in epoch {self.epoch}, but {n_steps} by the learner's n_batches"
            )
