"""Logistic regressions of the kind of a first new place: the baseline that a network has to beat."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.models.people.features import UNKNOWN
from pipeline.models.people.logistic import fit_logistic, predict_logistic
from pipeline.models.people.network import sample_of
from pipeline.models.streaming import StreamedRows

Floats = NDArray[np.float64]
MOST_ROWS = 50_000
"""Weeks with a new place that it learns from, a random sample where there are more (ours: bounds memory and time)."""
RIDGE = 100.0
"""Penalty on standardised features (ours): as if of a hundred weeks, so that of a few hundred with dozens of features
it is hardly worse than shares of kinds, and of many thousands it is as good as none."""


class KindRegression(NamedTuple):
    """One regression of each kind against the others, as statsmodels has no multinomial one with a ridge."""

    coefficients: Floats
    """(known kinds, 1 + features), the intercept first."""
    known: NDArray[np.int64]
    """Kinds that occurred, rising."""

    def probabilities(self, standard: Floats, n_kinds: int) -> Floats:
        """Return the probability of each kind, (rows, n_kinds), of standardised features; 0 of kinds not known."""
        found = np.zeros((len(standard), n_kinds))
        each = np.column_stack([predict_logistic(beta, standard) for beta in self.coefficients])
        found[:, self.known] = each / np.maximum(each.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        return found


def fit_kinds(rows: StreamedRows, mean: Floats, scale: Floats) -> KindRegression | None:
    """Return the regressions learnt from the rows with a new place; None of fewer than two kinds.

    Features are standardised as the network's are.
    """
    features, kinds = sample_of(rows, mean, scale, "kind", MOST_ROWS, left_out=UNKNOWN)
    known = np.unique(kinds)
    if known.size < 2:
        return None
    return KindRegression(np.stack([fit_logistic(features, kinds == kind, RIDGE) for kind in known]), known)
