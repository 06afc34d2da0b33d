"""Which rows of a device take part in a private count: so many at most, drawn by its id and its own rows alone."""

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.keyed_random import keyed_bits


def drawn_rows(device_id: NDArray[np.int64], max_rows: int, stage: str, seed: int) -> NDArray[np.bool_]:
    """Return which rows are drawn: `max_rows` of each device, all where it has no more.

    A row's number is keyed by its device and by how many rows of the device stand before it. So what is drawn of a
    device is a function of its own rows, in their order, whatever other devices there are and however they are cut
    into buckets: taking a device out takes at most `max_rows` rows out and changes nothing else. ValueError where
    `max_rows` is below 1.
    """
    if max_rows < 1:
        raise ValueError(f"max_rows is {max_rows}, not 1 or more")
    together = np.argsort(device_id, kind="stable")
    ids = device_id[together]
    ordinal = _rank_in_run(ids)
    # Two rows of one device have equal bits with a probability of 2**-64; the ordinal then decides.
    order = np.lexsort((ordinal, keyed_bits(ids, stage, seed, ordinal), ids))
    is_drawn = np.zeros(ids.size, np.bool_)
    is_drawn[together[order]] = _rank_in_run(ids[order]) < max_rows
    return is_drawn


def _rank_in_run(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many rows of the same id stand before each; equal ids stand together."""
    starts = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1)) if ids.size else np.zeros(0, np.int64)
    lengths = np.diff(starts, append=ids.size)
    return np.arange(ids.size) - np.repeat(starts, lengths)
