"""Recommenders of a well-known library (implicit): alike places by who visited them, and implicit-feedback ALS."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.simple_rules import Answers, Data

INSTALL = "pip install implicit"


def has_library() -> bool:
    """Return whether the library is installed."""
    return find_spec("implicit") is not None


class ItemKnn(Answers):
    """Places that people of the same places visit: cosine of co-visits, as implicit's CosineRecommender."""

    def __init__(self, data: Data, n_neighbours: int) -> None:
        """Find the most alike places of each."""
        from implicit.nearest_neighbours import CosineRecommender
        from implicit.utils import ParameterWarning

        super().__init__(data)
        model = CosineRecommender(K=n_neighbours, num_threads=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ParameterWarning)  # of a matrix it makes and converts itself
            model.fit(self.visited, show_progress=False)
        self._alike = model.similarity.tocsr()

    def scores(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sum of cosines to the places visited."""
        return self.answered(people, (self.visited[people] @ self._alike).toarray())


class ImplicitAls(Answers):
    """Matrix factorisation of implicit feedback (Hu, Koren and Volinsky 2008), as implicit's ALS."""

    def __init__(self, data: Data, setting: tuple[int, float, float], seed: int) -> None:
        """Fit factors; `setting`: number of factors, regularisation, weight of a place visited."""
        from implicit.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        super().__init__(data)
        n_factors, regularization, weight = setting
        # Its own threads and those of BLAS slow each other down, and one thread gives the same sums every time.
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=n_factors,
                regularization=regularization,
                alpha=weight,
                iterations=data.params.als_iterations,
                random_state=seed,
                num_threads=1,
                use_gpu=False,
            )
            model.fit(self.visited, show_progress=False)
        self._people, self._places = np.asarray(model.user_factors), np.asarray(model.item_factors)

    def scores(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the inner products of factors."""
        return self.answered(people, self._people[people] @ self._places.T)
