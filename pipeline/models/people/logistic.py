"""Logistic regression with a small ridge, chunk by chunk: the baseline that a network has to beat."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Chunks = Callable[[], Iterable[tuple[Floats, Floats]]]
MOST_STEPS = 50
ENOUGH = 1e-8
"""Largest change of a coefficient, and largest fall of the loss relative to it, with which Newton's steps end."""
LEAST = 1e-9
"""Added to the curvature of each coefficient, so that one without any takes no step."""
MOST_LOGIT = 30.0
"""Logits are cut here: beyond it a probability is 0 or 1 to rounding."""


def sigmoid(logit: Floats) -> Floats:
    """Return 1 / (1 + exp(-logit)), logits cut at MOST_LOGIT."""
    return 1.0 / (1.0 + np.exp(-np.clip(logit, -MOST_LOGIT, MOST_LOGIT)))


def fit_logistic(chunks: Chunks, n_features: int, ridge: float) -> Floats:
    """Return the coefficients, intercept first, of the highest log likelihood less ridge / 2 times their squares.

    `chunks` gives (features, 0 or 1) anew each time it is called; the intercept is not penalised. Newton's steps, each
    halved until the penalised likelihood does not fall: the textbook's iteratively reweighted least squares.
    """
    beta = np.zeros(n_features + 1)
    penalty = np.full(n_features + 1, ridge)
    penalty[0] = 0.0
    loss = _loss(chunks, beta, penalty)
    for _ in range(MOST_STEPS):
        step = _newton_step(chunks, beta, penalty)
        size = 1.0
        while (new_loss := _loss(chunks, beta - size * step, penalty)) > loss + ENOUGH and size > ENOUGH:
            size /= 2
        fall = loss - new_loss
        beta, loss = beta - size * step, new_loss
        if np.abs(size * step).max() < ENOUGH or fall <= ENOUGH * abs(loss):
            break
    return beta


def predict_logistic(beta: Floats, features: Floats) -> Floats:
    """Return the probabilities of rows of features."""
    return sigmoid(beta[0] + features @ beta[1:])


def _loss(chunks: Chunks, beta: Floats, penalty: Floats) -> float:
    total = 0.5 * float(penalty @ beta**2)
    for features, is_true in chunks():
        logit = beta[0] + features @ beta[1:]
        total += float((np.logaddexp(0.0, logit) - is_true * logit).sum())
    return total


def _newton_step(chunks: Chunks, beta: Floats, penalty: Floats) -> Floats:
    gradient, hessian = penalty * beta, np.diag(penalty)
    for features, is_true in chunks():
        design = np.column_stack((np.ones(len(features)), features))
        probability = sigmoid(design @ beta)
        gradient = gradient + design.T @ (probability - is_true)
        hessian = hessian + (design * (probability * (1 - probability))[:, None]).T @ design
    return np.asarray(np.linalg.solve(hessian + LEAST * np.eye(len(beta)), gradient), np.float64)
