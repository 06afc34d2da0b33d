"""How often the kind of the first new place is among those said to be the most probable."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.models.people.scores import LEAST_PEOPLE, replicate_counts, with_interval

TOP = (1, 3)
"""Kinds that may be named."""
Floats = NDArray[np.float64]


def is_hit(kind: NDArray[np.int64], scores: Floats, top: int) -> NDArray[np.bool_]:
    """Return for each row whether its kind is among the `top` of the highest score, earlier kinds first of equals."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return (order == kind[:, None]).any(axis=1)


def hits_of(kind: NDArray[np.int64], scores: Mapping[str, Floats]) -> dict[str, NDArray[np.bool_]]:
    """Return for each forecaster whether each row's kind is among its first: bool (rows, one column for each TOP)."""
    return {name: np.column_stack([is_hit(kind, values, top) for top in TOP]) for name, values in scores.items()}


def compare_kinds(
    device_id: NDArray[np.int64],
    kind: NDArray[np.int64],
    hits: Mapping[str, NDArray[np.bool_]],
    seed: int,
    n_replicates: int,
) -> dict[str, float]:
    """Return accuracy by forecaster (`name.kind_top_1`), and of the first less each other with its 95 % interval.

    Rows are weeks with a new place, `hits` those of `hits_of`. Nothing is returned where they are all of one kind, as
    there is nothing to tell, or of fewer than LEAST_PEOPLE devices.
    """
    devices, owner = np.unique(device_id, return_inverse=True)
    if np.unique(kind).size < 2 or devices.size < LEAST_PEOPLE:
        return {}
    blocks = list(_shares(owner, hits, replicate_counts(devices, seed, n_replicates)))
    shares = {name: np.concatenate([block[name] for block in blocks], axis=1) for name in hits}
    found, (first, *others) = {"n_new_weeks": float(kind.size)}, hits
    for k, top in enumerate(TOP):
        found |= {f"{name}.kind_top_{top}": float(values[k, 0]) for name, values in shares.items()}
        for name in others:
            key = f"{first}_less_{name}.kind_top_{top}"
            found |= with_interval(key, shares[first][k] - shares[name][k])
    return found


def _shares(
    owner: NDArray[np.int64], hits: Mapping[str, NDArray[np.bool_]], blocks: Iterable[Floats]
) -> Iterator[dict[str, Floats]]:
    """Yield for each block of replicates the share of rows that hit, (TOP, replicates), by forecaster."""
    n_rows = np.bincount(owner)
    sums = {name: np.stack([np.bincount(owner, column) for column in each.T]) for name, each in hits.items()}
    for counts in blocks:
        n = np.maximum(n_rows @ counts, 1)
        yield {name: each @ counts / n for name, each in sums.items()}
