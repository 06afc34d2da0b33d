"""What a person was up to before a moment: means over the distinct places of a window. No torch in here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.models.places.interactions import DAY_S, Interactions


class Histories(NamedTuple):
    """Events by person and there by time: strong and weak alike."""

    start: NDArray[np.int64]
    """Where each person's events begin, and their number last."""
    place: NDArray[np.int64]
    time_s: NDArray[np.int64]


class Asked(NamedTuple):
    """Whose history is asked for, and up to when: events at or after the moment do not count."""

    person: NDArray[np.int64]
    until_s: NDArray[np.int64]


def histories_of(interactions: Interactions) -> Histories:
    """Return the events in order of person, time and place."""
    order = np.lexsort((interactions.place, interactions.time_s, interactions.person))
    counts = np.bincount(interactions.person, minlength=interactions.n_persons)
    start = np.append(0, np.cumsum(counts)).astype(np.int64)
    return Histories(start, interactions.place[order], interactions.time_s[order])


def mean_vectors(
    histories: Histories,
    asked: Asked,
    vectors: NDArray[np.float32],
    group: NDArray[np.int8],
    n_groups: int,
    window_days: float,
    max_places: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return means of the vectors of places in each history, and whether there are any, for each group of places.

    Means are (n, n_groups, width), 0 where there is none; whether is (n, n_groups), 1 or 0. Of the events of the window
    before each moment the distinct places count once each, of each group the `max_places` that were visited last.
    """
    window_s = np.int64(window_days * DAY_S)
    return _mean_vectors(*histories, *asked, vectors, group, n_groups, window_s, max_places)


def history_places(histories: Histories, asked: Asked, window_days: float) -> tuple[NDArray, NDArray]:
    """Return (row of `asked`, place), each once and in that order, of all events of the windows."""
    window_s = np.int64(window_days * DAY_S)
    rows, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for i, (person, until_s) in enumerate(zip(*asked, strict=True)):
        first, last = histories.start[person], histories.start[person + 1]
        low, high = first + np.searchsorted(histories.time_s[first:last], [until_s - window_s, until_s])
        distinct = np.unique(histories.place[low:high])
        rows.append(np.full(distinct.size, i))
        places.append(distinct)
    return np.concatenate(rows), np.concatenate(places)


@kernel
def _mean_vectors(start, place, time_s, person, until_s, vectors, group, n_groups, window_s, max_places):
    n, width = person.size, vectors.shape[1]
    means = np.zeros((n, n_groups, width), np.float32)
    is_there = np.zeros((n, n_groups), np.float32)
    seen_by = np.full(vectors.shape[0], -1, np.int64)
    counts = np.zeros(n_groups, np.int64)
    for i in range(n):
        counts[:] = 0
        for k in range(start[person[i] + 1] - 1, start[person[i]] - 1, -1):
            if time_s[k] >= until_s[i]:
                continue
            if time_s[k] < until_s[i] - window_s:
                break
            at = place[k]
            g = group[at]
            if seen_by[at] == i or counts[g] == max_places:
                continue
            seen_by[at] = i
            counts[g] += 1
            for c in range(width):
                means[i, g, c] += vectors[at, c]
        for g in range(n_groups):
            if counts[g]:
                is_there[i, g] = 1.0
                for c in range(width):
                    means[i, g, c] /= counts[g]
    return means, is_there
