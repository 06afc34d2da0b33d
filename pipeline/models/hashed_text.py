"""Texts as hashed counts of their n-grams: no weights, no meaning (ours; for tests, dry runs, where no encoder is)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WIDTH = 384
"""Numbers of a vector: as many as MiniLM's, so that either may take the other's place in a network."""
GRAM = 3
"""Letters of an n-gram within a word, its ends marked."""


def hash_texts(texts: Sequence[str], width: int = WIDTH) -> NDArray[np.float32]:
    """Return the vector of each text, (n, width), of length 1 (of an empty text 0): words and threes of letters.

    Each adds 1 or -1 to one number (signed feature hashing, BLAKE2b), whatever its case. Texts that share words and
    parts of words are near each other, others nearly at right angles.
    """
    vectors = np.zeros((len(texts), width), np.float32)
    for i, text in enumerate(texts):
        for gram in _grams(text):
            bits = _bits(gram)
            vectors[i, (bits >> 1) % width] += 1.0 if bits & 1 else -1.0
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1.0)).astype(np.float32)


def _grams(text: str) -> Iterator[str]:
    for word in re.findall(r"\w+", text.lower()):
        marked = f"<{word}>"
        yield marked
        yield from (marked[i : i + GRAM] for i in range(len(marked) - GRAM + 1))


@lru_cache(maxsize=1 << 16)
def _bits(gram: str) -> int:
    return int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "big")
