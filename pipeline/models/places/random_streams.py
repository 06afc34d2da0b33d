"""Streams of random numbers by what they are for: (seed, purpose, numbers), never a global state. No torch in here."""

from __future__ import annotations

import hashlib

import numpy as np

WORD = 1 << 64


def stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return the random numbers of a purpose, such as ("negatives", epoch): the same for the same key."""
    return np.random.default_rng([seed % WORD, _number(purpose), *numbers])


def stream_key(seed: int, purpose: str, *numbers: int) -> int:
    """Return a key below 2^64 for kernels that draw by hashing."""
    return int(stream(seed, purpose, *numbers).integers(0, WORD, dtype=np.uint64))


def _number(purpose: str) -> int:
    return int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "big")
