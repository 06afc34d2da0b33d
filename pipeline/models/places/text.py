"""Texts of places, and their vectors by the encoder of all models; English (the papers': multilingual)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.models.hashed_text import hash_texts
from pipeline.models.sentences import encode, encoder_weights

TextEncoder = Literal["sentences", "hashed"]
WIDTH = 384
"""Numbers of a vector, whichever encoder."""


def place_texts(
    names: Sequence[str | None] | None, category_paths: Sequence[str | None], areas: Sequence[str | None] | None
) -> list[str]:
    """Return the text of each place: its name, category path and area in words, as far as known."""
    n = len(category_paths)
    columns = [column if column is not None else [None] * n for column in (names, category_paths, areas)]
    return [", ".join(_words(part) for part in parts if part) for parts in zip(*columns, strict=True)]


def embed_texts(texts: Sequence[str], encoder: TextEncoder = "sentences") -> NDArray[np.float32]:
    """Return the vector of each text, (n, 384), rows of length 1 (of an empty text 0).

    "sentences" is MiniLM (`models.sentences`: PackageMissingError where its weights are not installed), "hashed" needs
    no weights and knows no meaning (`hashed_text`). Neither stands in for the other unasked.
    """
    if encoder == "hashed":
        return hash_texts(texts, WIDTH)
    is_told = np.array([bool(text.strip()) for text in texts], bool)
    vectors = np.zeros((len(texts), WIDTH), np.float32)
    vectors[is_told] = encode([text for text in texts if text.strip()])
    return vectors


def weights_of(encoder: TextEncoder) -> str:
    """Return the hash of an encoder's weights, "" of one without any."""
    return "" if encoder == "hashed" else encoder_weights()


def _words(part: str) -> str:
    return part.replace(" > ", ", ").strip()
