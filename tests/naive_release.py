"""An attacker on published tables who tries everything: slow, obvious, for small tables."""

from itertools import combinations

import numpy as np


def span_of(vectors):
    """Return an orthonormal basis (columns) of what sums and differences of vectors (rows) make."""
    u, sizes, _ = np.linalg.svd(np.asarray(vectors, float).T, full_matrices=False)
    return u[:, sizes > 1e-9]


def is_made(basis, vector):
    """Return whether a vector is a sum of multiples of the basis."""
    return np.abs(vector - basis @ (basis.T @ vector)).max() < 1e-7


def naive_told(published, cells, hidden, min_devices):
    """Return what the sums published tell and may not: names of hidden sums, and sets of cells of few devices.

    `published` and `hidden` are sets of cells by name, `cells` the set of devices of each cell. A sum over cells is
    told when it follows from published sums over cells; it may not be when it is hidden, or any cells at all with one
    to `min_devices` - 1 different devices behind them.
    """
    names = sorted(cells)

    def vector(of):
        return np.array([float(name in of) for name in names])

    if not published:
        return []
    basis = span_of([vector(of) for of in published.values()])
    told = [name for name, of in hidden.items() if is_made(basis, vector(of))]
    small = [name for name in names if 0 < len(cells[name]) < min_devices]
    for size in range(1, len(small) + 1):
        for some in combinations(small, size):
            n_devices = len(set().union(*(cells[name] for name in some)))
            if n_devices < min_devices and is_made(basis, vector(some)):
                told.append(some)
    return told
