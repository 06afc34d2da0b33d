"""The nearest places of persons: faiss finds candidates, products in double precision put them in order."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

N_SPARE = 16
"""Candidates beyond those asked for (ours): faiss compares in single precision, so that a last one may be off."""
HNSW_LINKS = 32
"""Links of a node of the approximate index, and below how far its search looks (ours: faiss's own defaults doubled)."""
HNSW_EF = 256
PERSONS_AT_ONCE = 512


class PlaceIndex:
    """Places by their vectors; searched exactly up to a number of distinct vectors, approximately (HNSW) above it.

    Places of one vector, such as unknown ones of a category and area, are one entry. Nothing is left out of answers.
    """

    def __init__(self, vectors: NDArray[np.float32], max_exact: int) -> None:
        """Index vectors (n_places, width)."""
        width = vectors.shape[1]
        self.distinct, of = np.unique(vectors, axis=0, return_inverse=True)
        self.members = np.argsort(of, kind="stable")
        self.start = np.append(0, np.cumsum(np.bincount(of, minlength=len(self.distinct))))
        self.is_exact = len(self.distinct) <= max_exact
        self.index = faiss.IndexFlatIP(width) if self.is_exact else _approximate(width)
        if len(self.distinct):
            self.index.add(np.ascontiguousarray(self.distinct))

    def search(self, persons: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the k best places of each person and their products, both (n, k), the best first, ties by number.

        -1 and -inf where there are fewer places. What one person gets does not depend on the others.
        """
        best, products = np.full((len(persons), k), -1), np.full((len(persons), k), -np.inf)
        n_asked = min(k + N_SPARE, len(self.distinct))
        if not n_asked:
            return best, products
        for first in range(0, len(persons), PERSONS_AT_ONCE):
            chunk = np.ascontiguousarray(persons[first : first + PERSONS_AT_ONCE])
            for i, found in enumerate(self.index.search(chunk, n_asked)[1], start=first):
                places, scores = self._ordered(persons[i], found[found >= 0], k)
                best[i, : places.size], products[i, : places.size] = places, scores
        return best, products

    def _ordered(self, person: NDArray[np.float32], found: NDArray[np.int64], k: int) -> tuple[NDArray, NDArray]:
        # Row by row, not as a matrix product, whose last digits depend on how many rows there are.
        scores = (self.distinct[found].astype(np.float64) * person.astype(np.float64)).sum(axis=1)
        n = self.start[found + 1] - self.start[found]
        places = np.concatenate([self.members[self.start[f] : self.start[f + 1]] for f in found])
        scores = np.repeat(scores, n)
        order = np.lexsort((places, -scores))[:k]
        return places[order], scores[order]


def _approximate(width: int) -> faiss.Index:
    index = faiss.IndexHNSWFlat(width, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = index.hnsw.efSearch = HNSW_EF
    return index
