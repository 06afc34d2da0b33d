"""Standard errors of a regression whose residuals hang together within clusters, for few clusters as for many.

The bias-reduced estimator CR2 of Bell and McCaffrey (2002) with their degrees of freedom (Satterthwaite), as laid out
by Pustejovsky and Tipton (2018, https://doi.org/10.1080/07350015.2016.1247004), the working model being residuals of
equal variance that do not hang together:

    V = M [ sum_g X_g' A_g e_g e_g' A_g X_g ] M        M = (X'X)^-1,  A_g = (I - X_g M X_g')^(-1/2)
    degrees of freedom of coefficient c = (sum_g w_gg)^2 / sum_gh w_gh^2
    w_gh = [g = h] |u_g|^2 - (X_g' u_g)' M (X_h' u_h),  u_g = A_g X_g M c

The plain sandwich takes residuals for errors, though a few clusters with much leverage have fitted theirs away, and
counts clusters as if all told equally of every coefficient. Effects may be taken out of X and e by means beforehand
where each effect lies within one cluster (theorem 2 there).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
NOTHING_LEFT = 1e-9
"""A direction of which a cluster alone tells, so that its residual is always 0, counts for nothing."""


def cluster_errors(x: Array, residual: Array, cluster: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return the CR2 variance of the coefficients, (k, k), and the degrees of freedom of each, (k,).

    `x` of shape (n, k) has full rank, `residual` and `cluster` (any numbers) have shape (n,). ValueError of fewer than
    two clusters: their spread is what a standard error is made of.
    """
    bread = np.linalg.inv(x.T @ x)
    order = np.argsort(cluster, kind="stable")
    starts = np.flatnonzero(np.diff(cluster[order], prepend=cluster[order[0]] - 1))
    if starts.size < 2:
        raise ValueError("standard errors by cluster need two clusters or more")
    scores, adjusted, squares = [], [], []
    for rows in np.split(order, starts[1:]):
        a_x = _adjust(x[rows], bread)
        scores.append(a_x.T @ residual[rows])
        adjusted.append(x[rows].T @ a_x @ bread)
        squares.append(np.sum((a_x @ bread) ** 2, axis=0))
    score = np.array(scores)
    return bread @ score.T @ score @ bread, _freedom(np.array(adjusted), np.array(squares), bread)


def _adjust(x: Array, bread: Array) -> Array:
    """Return A_g X_g of one cluster, without any matrix of rows by rows: A_g differs from I in the span of X_g only."""
    span, weights = np.linalg.qr(x)
    left, directions = np.linalg.eigh(np.eye(span.shape[1]) - weights @ bread @ weights.T)
    root = np.where(left > NOTHING_LEFT, 1 / np.sqrt(np.maximum(left, NOTHING_LEFT)), 0.0)
    return span @ ((directions * root) @ directions.T) @ weights


def _freedom(adjusted: Array, squares: Array, bread: Array) -> Array:
    """Return the degrees of freedom by coefficient from X_g' A_g X_g M, (g, k, k), and |u_g|^2, (g, k)."""
    found = np.empty(bread.shape[0])
    for c in range(found.size):
        shared = adjusted[:, :, c]
        weights = np.diag(squares[:, c]) - shared @ bread @ shared.T
        found[c] = np.trace(weights) ** 2 / np.sum(weights**2)
    return found
