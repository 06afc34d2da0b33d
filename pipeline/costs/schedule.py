"""How long work takes on several workers: each piece goes to the first worker that is free, as a scheduler does it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import numpy as np
from scipy.special import ndtri

STRIDE = 0.6180339887498949
"""Golden section: the order in which long and short pieces come is spread evenly, and the same each time."""


def schedule(seconds: Iterable[float], n_workers: int) -> float:
    """Return the seconds after which all pieces are done."""
    free = [0.0] * n_workers
    for piece in seconds:
        heapq.heapreplace(free, free[0] + piece)
    return max(free)


def uneven(seconds: float, n_pieces: int, spread: float) -> np.ndarray:
    """Return the seconds of pieces that take `seconds` on average and differ by `spread`, that of the logarithm."""
    at = (np.arange(n_pieces) * STRIDE) % 1.0
    ranks = (np.argsort(np.argsort(at)) + 0.5) / max(1, n_pieces)
    factors = np.exp(spread * ndtri(ranks))
    return seconds * factors / factors.mean() if n_pieces else factors
