"""Sets of a few cells whose sum follows from known sums: which they are, without trying all sets."""

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
from scipy import sparse

MOST_SETS = 200_000
"""Halves of sets that are looked at for one size (ours: sets of 3 and 4 among 632 cells, of 5 and 6 among 107, of 7 and
8 among 48, of 9 among 31)."""
ALL_SIZES = 18
"""Among so many cells sets of all sizes are looked for, among more those of fewer than the devices needed (ours)."""
ALIKE = 4
"""Of cells that always move alike those of fewest devices that are looked at, in sets of three and more (ours)."""
ALIKE_PAIRS = 32
"""The same in pairs (ours)."""
DETERMINED = 1e-6
"""A sum that can move by less than this, where cells move by about 1, is known (ours)."""
STEPS = 12
"""Known sums that are added to one or taken from it, one after the other (ours)."""
MOST_BY_STEPS = 4
"""Cells of a sum that is looked for where not all can be: others are left (ours, for the sake of time)."""
MOST_STARTS = 2000
"""Known sums that this begins with: those of the fewest cells (ours)."""
MOST_CELLS = 60
"""Sums of more cells are not begun with (ours)."""


def moves_of(known: sparse.csr_matrix) -> np.ndarray:
    """Return three ways to move all cells (move × cell), by about 1 each, that change no known sum.

    They are chosen at random among all such, so that sums that they leave alone are those that follow from the known.
    """
    start = np.random.default_rng(known.shape[1]).normal(size=(known.shape[1], 3))
    by_size = (sparse.diags_array(1 / np.sqrt(np.asarray(known.sum(axis=1)).ravel())) @ known).tocsr()
    return (start - least_norm(by_size, by_size @ start)).T


def least_norm(known: sparse.csr_matrix, wanted: np.ndarray) -> np.ndarray:
    """Return the smallest x (cell × column) with known @ x = wanted, by conjugate gradients.

    No dense algebra: its libraries cut work among threads, which on a busy machine wait for each other.
    """
    back = known.T.tocsr()
    found = np.zeros((known.shape[1], wanted.shape[1]))
    left = wanted.copy()
    size = first = _squares(left)
    step = back @ left
    for _ in range(20 * max(known.shape)):
        if (size <= 1e-26 * first).all():
            break
        far = size / np.maximum(_squares(step), 1e-300)
        found += far * step
        left -= far * (known @ step)
        size, before = _squares(left), size
        step = back @ left + size / np.maximum(before, 1e-300) * step
    return found


def _squares(columns: np.ndarray) -> np.ndarray:
    return (columns * columns).sum(axis=0)


def known_sets(moves: np.ndarray, n: np.ndarray, thin: np.ndarray, min_devices: int) -> Iterator[np.ndarray]:
    """Yield, size by size, sets of 2 and more cells (set × cell) whose sum does not move, and no smaller one inside.

    `moves` are those of small cells, `n` their devices. Where there are too many cells for a size, only those with the
    smallest `thin` are looked at.
    """
    pairs = _of_fewest(moves, n, ALIKE_PAIRS)
    yield pairs[_sets_of(moves[:, pairs], 2)]
    cells = _of_fewest(moves, n, ALIKE)
    cells = cells[np.lexsort((cells, thin[cells]))]
    for size in range(3, 1 + (cells.size if cells.size <= ALL_SIZES else min_devices - 1)):
        some = cells[: _most_cells(cells.size, (size + 1) // 2)]
        if some.size == cells.size or size <= MOST_BY_STEPS:
            yield some[_sets_of(moves[:, some], size)]


def _most_cells(n_cells: int, size: int) -> int:
    while comb(n_cells, size) > MOST_SETS:
        n_cells -= 1
    return n_cells


def _of_fewest(moves: np.ndarray, n: np.ndarray, most: int) -> np.ndarray:
    """Return cells, of those that move alike the `most` of fewest devices."""
    if n.size == 0:
        return np.arange(0)
    order = np.lexsort((n, moves[0]))
    is_new = np.diff(moves[0][order], prepend=-np.inf) > DETERMINED
    group = np.cumsum(is_new)
    order = order[np.lexsort((n[order], group))]
    place = np.arange(n.size) - np.flatnonzero(np.diff(group, prepend=-1))[group - 1]
    return np.sort(order[place < most])


def _sets_of(moves: np.ndarray, size: int) -> np.ndarray:
    """Return the sets of cells of a size whose sum does not move, but for those that are made of smaller such."""
    if moves.shape[1] < size:
        return np.empty((0, size), np.int64)
    one, other = (_halves(moves, half) for half in (size // 2, size - size // 2))
    first, second = one[1][0], other[1][0]
    order = np.argsort(first)
    low, high = (np.searchsorted(first[order], -second + side * DETERMINED) for side in (-1, 1))
    n_found = high - low
    right = np.repeat(np.arange(second.size), n_found)
    left = order[np.arange(right.size) - np.repeat(np.cumsum(n_found) - n_found, n_found) + low[right]]
    is_known = (np.abs(one[1][:, left] + other[1][:, right]) < DETERMINED).all(axis=0)
    sets = np.sort(np.hstack([one[0][left[is_known]], other[0][right[is_known]]]), axis=1)
    sets = np.unique(sets[(np.diff(sets, axis=1) > 0).all(axis=1)], axis=0)
    return sets[~_are_made_of_smaller(moves, sets)]


def _halves(moves: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sets of a size (set × cell) and their moves (move × set), without those that do not move."""
    sets = np.array(list(combinations(range(moves.shape[1]), size))).reshape(-1, size)
    sums = moves[:, sets].sum(axis=2)
    is_moving = (np.abs(sums) >= DETERMINED).any(axis=0)
    return sets[is_moving], sums[:, is_moving]


def _are_made_of_smaller(moves: np.ndarray, sets: np.ndarray) -> np.ndarray:
    found = np.zeros(len(sets), bool)
    for size in range(2, sets.shape[1] // 2 + 1):
        for part in combinations(range(sets.shape[1]), size):
            found |= (np.abs(moves[:, sets[:, part]].sum(axis=2)) < DETERMINED).all(axis=0)
    return found


def combined_sets(known: sparse.csr_matrix, most: int = MOST_BY_STEPS) -> Iterator[np.ndarray]:
    """Yield up to `most` cells whose sum is put together from up to `STEPS` + 1 known ones that overlap.

    To a known sum that is added, or taken from it, which leaves the fewest cells (of equals the first), each once.
    This finds sums among any number of cells, and not all: a sum of few may need more steps, or other ones.
    """
    n_cells = np.asarray(known.sum(axis=1)).ravel()
    starts = np.flatnonzero(n_cells <= MOST_CELLS)
    starts = starts[np.lexsort((starts, n_cells[starts]))][:MOST_STARTS]
    state, back = known[starts].tocsr(), known.T.tocsr()
    each = np.arange(starts.size)
    is_used = np.zeros((starts.size, n_cells.size), bool)
    is_used[each, starts] = True
    for _ in range(STEPS):
        which, sign = _next(state @ back, is_used, n_cells)
        is_used[each, which] = True
        state = (state + sparse.csr_matrix((sign, (each, which)), is_used.shape) @ known).tocsr()
        state.eliminate_zeros()
        yield from _sums_of_cells(state, most)


def _next(overlap: sparse.csr_matrix, is_used: np.ndarray, n_cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each state which known sum leaves the fewest cells, and whether it is added (1), taken away (-1).

    The sign is 0 where none that overlaps is left.
    """
    at = overlap.tocoo()
    is_free = ~is_used[at.row, at.col] & (at.data != 0)
    row, column, value = at.row[is_free], at.col[is_free], at.data[is_free]
    order = np.lexsort((column, n_cells[column] - 2 * np.abs(value), row))
    there, first = np.unique(row[order], return_index=True)
    which, sign = np.zeros(overlap.shape[0], np.int64), np.zeros(overlap.shape[0])
    which[there], sign[there] = column[order][first], -np.sign(value[order][first])
    return which, sign


def _sums_of_cells(state: sparse.csr_matrix, most: int) -> Iterator[np.ndarray]:
    """Yield the up to `most` cells of rows that have each cell once, or take each away once."""
    n = np.diff(state.indptr)
    largest, smallest = (np.asarray(extreme.todense()).ravel() for extreme in (state.max(axis=1), state.min(axis=1)))
    total = np.asarray(state.sum(axis=1)).ravel()
    is_sum = (n > 0) & (n <= most) & (np.abs(total) == n) & (np.maximum(largest, -smallest) == 1)
    for row in np.flatnonzero(is_sum).tolist():
        yield state.indices[state.indptr[row] : state.indptr[row + 1]]
