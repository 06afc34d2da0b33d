"""Logistic regression of whether something happens, with a small ridge: the baseline that a network has to beat."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
MOST_ROWS = 200_000
"""Weeks that it learns from, a random sample where there are more (ours: bounds memory and time; of 100 features some
0.5 GB and 15 seconds)."""


def fit_logistic(features: Floats, is_true: NDArray[Any], ridge: float) -> Floats:
    """Return the coefficients, intercept first, of the highest log likelihood less ridge / 2 times their squares.

    `features` (rows, features), `is_true` (rows,) 0 or 1; the intercept is not penalised. statsmodels' binomial GLM,
    whose ridge is per row. Where outcomes can be told apart for certain and there is no ridge, coefficients are large
    and say no more than that; columns that are constant or alike do no harm.
    """
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    design = with_intercept(features)
    penalty = np.full(design.shape[1], ridge / len(design))
    penalty[0] = 0.0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # That it has not converged is no fault here: see above of outcomes told apart for certain.
        warnings.simplefilter("ignore")
        model = GLM(is_true.astype(np.float64), design, family=Binomial())
        # Of scipy's optimisers the one that ends by the change of coefficients: by the gradient, those of rare outcomes
        # are found to two digits only.
        fitted = model.fit_regularized(alpha=penalty, L1_wt=0.0, opt_method="Newton-CG")
    return np.asarray(fitted.params, np.float64)


def predict_logistic(beta: Floats, features: Floats) -> Floats:
    """Return the probabilities of rows of features."""
    return np.asarray(expit(beta[0] + features @ beta[1:]), np.float64)


def with_intercept(features: Floats) -> Floats:
    """Return features behind a column of ones."""
    return np.column_stack((np.ones(len(features)), features))
