"""How likely a language model holds an answer, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.language.arms import Arm
from pipeline.models.language.sequences import IGNORED, Batch, Encoded, collate, in_order

EVALUATION_BATCH = 32
"""Answers scored at a time (ours)."""


class AnswerNll(NamedTuple):
    """Of each answer."""

    nll: NDArray[np.float64]
    """Sum over its tokens of minus the natural logarithm of their probability."""
    n_tokens: NDArray[np.int64]


def batch_nll(arm: Arm, batch: Batch, prefix: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the summed negative log-likelihood and the number of tokens of each answer; two tensors of shape (n,).

    The sequence is start token, prefix, prompt, answer. Logits are made at positions of answers only: over 49,152 words
    they would take most of the memory.
    """
    inputs = arm.lm.embed(batch.tokens)
    n_prefix = 0
    if prefix is not None:
        inputs = torch.cat([inputs[:, :1], prefix.to(inputs.dtype), inputs[:, 1:]], dim=1)
        n_prefix = prefix.shape[1]
    hidden = arm.network.model(inputs_embeds=inputs, use_cache=False).last_hidden_state
    labels = batch.labels[:, 1:]
    is_scored = labels != IGNORED
    logits = arm.network.lm_head(hidden[:, n_prefix:-1][is_scored]).float()
    nll = torch.nn.functional.cross_entropy(logits, labels[is_scored], reduction="none")
    of_row = is_scored.nonzero()[:, 0]
    return nll.new_zeros(len(labels)).index_add(0, of_row, nll), is_scored.sum(1)


def score(arm: Arm, encoded: Sequence[Encoded], embeddings: NDArray[np.float32]) -> AnswerNll:
    """Return the negative log-likelihood of each answer under the arm; in the order of `encoded`."""
    nll, n_tokens = np.zeros(len(encoded)), np.zeros(len(encoded), np.int64)
    known = torch.from_numpy(embeddings).to(arm.lm.device)
    _set_training(arm, False)
    with torch.inference_mode():
        for rows in in_order([each.n_tokens for each in encoded], EVALUATION_BATCH):
            batch = to_device(collate(arm.lm, [encoded[row] for row in rows]), arm.lm.device)
            found, n = batch_nll(arm, batch, arm.prefix(known[batch.rows]))
            nll[rows], n_tokens[rows] = found.cpu().numpy(), n.cpu().numpy()
    return AnswerNll(nll, n_tokens)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch on a device."""
    return Batch(*(part.to(device) for part in batch))


def _set_training(arm: Arm, is_training: bool) -> None:
    if arm.module is not None:
        arm.module.train(is_training)
