"""How often the kind of the first new place is among those said to be the most probable."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.bootstrap import poisson_counts
from pipeline.models.people.scores import INTERVAL

TOP = (1, 3)
"""Kinds that may be named."""
Floats = NDArray[np.float64]


def is_hit(kind: NDArray[np.int64], scores: Floats, top: int) -> NDArray[np.bool_]:
    """Return for each row whether its kind is among the `top` of the highest score, earlier kinds first of equals."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return (order == kind[:, None]).any(axis=1)


def compare_kinds(
    device_id: NDArray[np.int64],
    kind: NDArray[np.int64],
    scores: Mapping[str, Floats],
    seed: int,
    n_replicates: int,
) -> dict[str, float]:
    """Return accuracy by forecaster (`name.kind_top_1`), and of the first less each other with its 95 % interval.

    Rows are weeks with a new place. Nothing is returned where they are all of one kind: then there is nothing to tell.
    """
    if np.unique(kind).size < 2:
        return {}
    devices, owner = np.unique(device_id, return_inverse=True)
    counts = poisson_counts(devices, "models/compare", seed, n_replicates).astype(np.float64)
    counts = np.column_stack((np.ones(devices.size), counts))
    n_rows = np.maximum(np.bincount(owner) @ counts, 1)
    found = {"n_new_weeks": float(kind.size)}
    first = next(iter(scores))
    for top in TOP:
        shares = {name: np.bincount(owner, is_hit(kind, s, top)) @ counts / n_rows for name, s in scores.items()}
        found |= {f"{name}.kind_top_{top}": float(values[0]) for name, values in shares.items()}
        for name in list(scores)[1:]:
            less = shares[first] - shares[name]
            low, high = np.quantile(less[1:], INTERVAL)
            key = f"{first}_less_{name}.kind_top_{top}"
            found |= {key: float(less[0]), f"{key}.low": float(low), f"{key}.high": float(high)}
    return found
