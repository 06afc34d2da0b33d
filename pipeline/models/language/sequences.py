"""Texts as tokens: a prompt and an answer each, in padded batches of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.language.causal_lm import CausalLM

IGNORED = -100
"""Label of positions that are not scored."""
BATCHES_PER_SORT = 8
"""Batches whose rows are sorted by length together (ours): little padding, while batches stay different each epoch."""


class Written(NamedTuple):
    """What is said, and whose embedding is with it."""

    about: str
    """Description of who speaks, at the very beginning; empty: none."""
    prompt: str
    """What stands before the answer."""
    answer: str
    row: int
    """Row of the embeddings that steer it."""


class Encoded(NamedTuple):
    """The same as tokens."""

    prompt: list[int]
    """Without the start token."""
    answer: list[int]
    row: int

    @property
    def n_tokens(self) -> int:
        """Tokens without a prefix, the start token included."""
        return 1 + len(self.prompt) + len(self.answer)


class Batch(NamedTuple):
    """Padded at the end: with causal attention what stands behind a token does not reach it, so that no mask is due."""

    tokens: torch.Tensor
    """Shape (n, length)."""
    labels: torch.Tensor
    """The token itself where it belongs to an answer, else IGNORED; shape (n, length)."""
    rows: torch.Tensor
    """Rows of embeddings; shape (n,)."""
    key: torch.Tensor
    """Number of the batch in training, from which its dropout is drawn; shape ()."""


class Limits(NamedTuple):
    """Most tokens of each part that are read."""

    about: int
    prompt: int
    answer: int


def encode_all(lm: CausalLM, written: Sequence[Written], limits: Limits) -> list[Encoded]:
    """Return texts as tokens: of a long prompt its last tokens, of a long description or answer the first.

    Parts are cut one by one, so that a description takes nothing of the prompt. An answer that is not cut ends with a
    line break, which is scored like its other tokens.
    """
    tokens = {text: lm.tokens.encode(text) for each in written for text in (each.about, each.prompt, each.answer)}
    return [
        Encoded(
            [*tokens[each.about][: limits.about], *tokens[each.prompt][-limits.prompt :]],
            [*tokens[each.answer], lm.end_id][: limits.answer],
            each.row,
        )
        for each in written
    ]


def collate(lm: CausalLM, encoded: Sequence[Encoded], key: int = 0) -> Batch:
    """Return a batch; rows are padded with the start token, which is not scored."""
    length = max(each.n_tokens for each in encoded)
    tokens = torch.full((len(encoded), length), lm.start_id)
    labels = torch.full((len(encoded), length), IGNORED)
    for k, each in enumerate(encoded):
        tokens[k, 1 : each.n_tokens] = torch.tensor([*each.prompt, *each.answer])
        labels[k, 1 + len(each.prompt) : each.n_tokens] = torch.tensor(each.answer)
    return Batch(tokens, labels, torch.tensor([each.row for each in encoded]), torch.tensor(key))


def in_order(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield all rows in batches, the shortest first."""
    order = sorted(range(len(lengths)), key=lambda k: (lengths[k], k))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def shuffled(lengths: Sequence[int], batch_size: int, generator: np.random.Generator) -> Iterator[list[int]]:
    """Yield all rows once in batches of like length, in an order that the generator draws; the last may be smaller."""
    order: NDArray[np.int64] = generator.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), batch_size * BATCHES_PER_SORT):
        block = sorted(order[start : start + batch_size * BATCHES_PER_SORT].tolist(), key=lambda k: (lengths[k], k))
        batches += [block[k : k + batch_size] for k in range(0, len(block), batch_size)]
    for k in generator.permutation(len(batches)):
        yield batches[k]
