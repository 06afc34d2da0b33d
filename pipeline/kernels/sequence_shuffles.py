"""Shuffled sequences: all orders of the same places, or all in which no place follows itself."""

import numpy as np

from pipeline.kernels._numba import kernel

SWAPS_PER_SYMBOL = 10
"""Swaps tried between one shuffled sequence and the next for each of its symbols (ours)."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
U27, U30, U31, U32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


@kernel
def shuffle(sequence, state, has_repeats):
    """Permute the sequence; without `has_repeats` by swaps after which no place follows itself."""
    n = sequence.size
    if has_repeats:
        for k in range(n - 1, 0, -1):
            other = _below(state, k + 1)
            sequence[k], sequence[other] = sequence[other], sequence[k]
        return
    for _ in range(SWAPS_PER_SYMBOL * n):
        i, j = _below(state, n), _below(state, n)
        if sequence[i] != sequence[j]:
            sequence[i], sequence[j] = sequence[j], sequence[i]
            if _follows_itself(sequence, i) or _follows_itself(sequence, j):
                sequence[i], sequence[j] = sequence[j], sequence[i]


@kernel
def _below(state, n):
    """Return a whole number from 0 to n - 1 and advance the stream (splitmix64)."""
    state[0] += GOLDEN
    bits = state[0]
    bits = (bits ^ (bits >> U30)) * MIX_1
    bits = (bits ^ (bits >> U27)) * MIX_2
    return np.int64((((bits ^ (bits >> U31)) >> U32) * np.uint64(n)) >> U32)


@kernel
def _follows_itself(sequence, at):
    """Whether the place at `at` is beside itself."""
    if at > 0 and sequence[at - 1] == sequence[at]:
        return True
    return at + 1 < sequence.size and sequence[at + 1] == sequence[at]
