"""Multinomial logistic regression of the kind of a first new place: the baseline that a network has to beat."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.models.people.features import UNKNOWN
from pipeline.models.people.logistic import with_intercept
from pipeline.models.people.network import sample_of
from pipeline.models.streaming import StreamedRows

Floats = NDArray[np.float64]
MOST_ROWS = 50_000
"""Weeks with a new place that it learns from, a random sample where there are more (ours: bounds memory and time)."""
MOST_STEPS = 200
"""Steps of the optimiser (ours): it has no penalty, and where kinds can be told apart for certain it would not end."""


class KindRegression(NamedTuple):
    """What statsmodels fitted, and the kinds it knows."""

    coefficients: Floats
    """(1 + features, known kinds - 1): of the logits of each kind but the first, the intercept first."""
    known: NDArray[np.int64]
    """Kinds that occurred, rising."""

    def probabilities(self, standard: Floats, n_kinds: int) -> Floats:
        """Return the probability of each kind, (rows, n_kinds), of standardised features; 0 of kinds not known."""
        found = np.zeros((len(standard), n_kinds))
        logits = np.column_stack((np.zeros(len(standard)), with_intercept(standard) @ self.coefficients))
        found[:, self.known] = softmax(logits, axis=1)  # statsmodels' own overflows
        return found


def fit_kinds(rows: StreamedRows, mean: Floats, scale: Floats) -> KindRegression | None:
    """Return the regression (statsmodels' MNLogit) learnt from the rows with a new place.

    None of fewer than two kinds, and where the optimiser ends in no numbers. Features are standardised as the network's
    are.
    """
    from statsmodels.discrete.discrete_model import MNLogit

    features, kinds = sample_of(rows, mean, scale, "kind", MOST_ROWS, left_out=UNKNOWN)
    known, code = np.unique(kinds, return_inverse=True)
    if known.size < 2:
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # That it has not converged is no fault here: see MOST_STEPS.
        warnings.simplefilter("ignore")
        model = MNLogit(code, with_intercept(features))
        fitted = model.fit(method="lbfgs", maxiter=MOST_STEPS, disp=0, skip_hessian=True)
    coefficients = np.asarray(fitted.params, np.float64)
    return KindRegression(coefficients, known) if np.isfinite(coefficients).all() else None
