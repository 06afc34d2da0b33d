"""Training of an arm through the shared loop: its own few weights, the language model stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from pipeline.models.devices import keyed_seed, numpy_generator
from pipeline.models.language.arms import Arm
from pipeline.models.language.projector import Projector
from pipeline.models.language.scoring import batch_nll, score
from pipeline.models.language.sequences import Batch, Encoded, collate, shuffled
from pipeline.models.protocol import ModelError


class ArmLearner:
    """What the shared loop trains: cross-entropy of answers' tokens, mean over the tokens of a batch.

    An epoch is a number of steps, not a pass: passes over the answers, each in an order of its own, follow each other.
    """

    def __init__(
        self,
        arm: Arm,
        train: Sequence[Encoded],
        validation: Sequence[Encoded],
        embeddings: NDArray[np.float32],
        batch_size: int,
        steps_per_epoch: int,
        seed: int = 0,
    ) -> None:
        """Keep what is trained on; ModelError where nothing of the arm is trained or there are no answers."""
        if arm.module is None:
            raise ModelError(f"nothing of the arm {arm.name} is trained")
        if not train or not validation:
            raise ModelError("there are no answers to train on or none to validate with")
        self.module = arm.module
        self.n_batches: int | None = steps_per_epoch
        self._arm, self._train, self._validation = arm, train, validation
        self._embeddings = embeddings
        self._known = torch.from_numpy(embeddings).to(arm.lm.device)
        self._batch_size, self._seed = batch_size, seed
        self._order = lru_cache(maxsize=2)(self._order_of_pass)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        n_per_epoch = self.n_batches or 0
        n_per_pass = -(-len(self._train) // self._batch_size)
        for step in range(epoch * n_per_epoch, (epoch + 1) * n_per_epoch):
            rows = self._order(step // n_per_pass)[step % n_per_pass]
            yield collate(self._arm.lm, [self._train[row] for row in rows], step)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean negative log-likelihood of the answers' tokens."""
        if isinstance(self.module, Projector):
            self.module.drop_key = keyed_seed(self._seed, "dropout", int(batch.key))
        nll, n_tokens = batch_nll(self._arm, batch, self._arm.prefix(self._known[batch.rows]))
        return nll.sum() / n_tokens.sum()

    def validate(self) -> float:
        """Return the mean negative log-likelihood of the tokens of held-out answers."""
        found = score(self._arm, self._validation, self._embeddings)
        return float(found.nll.sum() / found.n_tokens.sum())

    def _order_of_pass(self, number: int) -> list[list[int]]:
        generator = numpy_generator(self._seed, "order of answers", number)
        return list(shuffled([each.n_tokens for each in self._train], self._batch_size, generator))


def epochs_of(steps: int, most_per_epoch: int) -> tuple[int, int]:
    """Return as few epochs as may be and the steps of each: `steps` in all, rounded up to a multiple of the epochs.

    (30, 25) → 2 of 15, (55, 25) → 3 of 19.
    """
    epochs = -(-steps // most_per_epoch)
    return epochs, -(-steps // epochs)


def standardise(arm: Arm, embeddings: NDArray[np.float32]) -> None:
    """Let the arm's projector, if it has one, centre and scale embeddings as these are."""
    if isinstance(arm.module, Projector):
        arm.module.standardise(torch.from_numpy(embeddings).to(arm.lm.device))


def write_state(arm: Arm, path: Path) -> None:
    """Write what the arm has learnt, as safetensors."""
    save_file({name: tensor.contiguous() for name, tensor in arm.state().items()}, str(path))


def read_state(arm: Arm, path: Path) -> None:
    """Load what an arm of the same kind had learnt."""
    if arm.module is None:
        raise ModelError(f"nothing of the arm {arm.name} is trained")
    arm.module.load_state_dict(load_file(str(path)))
