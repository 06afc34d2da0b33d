"""Lists of recommended places out of scores, where they hit, and what they cover. No torch in here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

NOTHING = -1
"""Place of a list that is shorter than asked for."""
SCORES_AT_ONCE = 8_000_000
"""Scores of people and places held at a time."""


def blocks_of_people(people: NDArray[np.int64], n_places: int) -> Iterator[NDArray[np.int64]]:
    """Yield people, as many at a time as scores of all places may be held."""
    size = max(1, SCORES_AT_ONCE // n_places)
    for start in range(0, len(people), size):
        yield people[start : start + size]


def top_places(scores: NDArray[np.floating], order: NDArray[np.int64], n_listed: int) -> NDArray[np.int64]:
    """Return the `n_listed` places of highest score of each row, ties in `order`; NOTHING for scores of -infinity."""
    ordered = scores[:, order]
    n_listed = min(n_listed, ordered.shape[1])
    # Only those that are listed are sorted: all above the last one's score, and of its equals the first.
    last = np.partition(ordered, -n_listed, axis=1)[:, -n_listed, None]
    is_above, is_equal = ordered > last, ordered == last
    is_first = np.cumsum(is_equal, axis=1, dtype=np.int32) <= n_listed - is_above.sum(axis=1, keepdims=True)
    chosen = np.nonzero(is_above | (is_equal & is_first))[1].reshape(len(ordered), n_listed)
    values = np.take_along_axis(ordered, chosen, axis=1)
    ranked = np.argsort(-values, axis=1, kind="stable")
    is_out = np.isneginf(np.take_along_axis(values, ranked, axis=1))
    return np.where(is_out, NOTHING, order[np.take_along_axis(chosen, ranked, axis=1)])


def find_ranks(listed: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the target stands in each list, from 1; 0 where it is not in it."""
    is_target = listed == targets[:, None]
    return np.where(is_target.any(axis=1), is_target.argmax(axis=1) + 1, 0)


def hits(rank: NDArray[np.int64], n_hits: int) -> NDArray[np.float64]:
    """Return 1 where the target stands among the first `n_hits`, else 0; its mean over people is HR@n."""
    return ((rank > 0) & (rank <= n_hits)).astype(np.float64)


def reciprocal_ranks(rank: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 1 / rank, 0 where the target is not in the list; its mean over people is MRR."""
    return np.where(rank > 0, 1 / np.maximum(rank, 1), 0.0)


def coverage(is_listed: NDArray[np.bool_], may_list: NDArray[np.bool_]) -> float:
    """Return the share of the places that may be listed that is in any list; NaN where none may."""
    return float((is_listed & may_list).sum() / may_list.sum()) if may_list.any() else np.nan
