"""Tables with margins as numbers: which row is the sum of which cells."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

ROUNDING = 1e-9
"""Relative error of sums that are equal but for rounding."""


class Margin(NamedTuple):
    """How the rows of a key column add up."""

    column: str
    whole: str = "all"
    """Value of the rows that are the sum of all others."""
    digits: tuple[int, ...] = ()
    """Lengths of ids between the longest and `whole`, where those of regions begin with the ids of larger ones:
    (2, 5) for states and counties above tracts. Lengths without rows do no harm."""
    is_partition: bool = False
    """Each device counts under one value at most, the other keys being equal, so that devices add up too: homes do,
    destinations and days do not."""


class MarginTable(NamedTuple):
    """A table in numbers: rows given first, then what margins hold beyond their parts, which is never shown."""

    codes: np.ndarray
    """Row × margin: the value, and last the other keys as one number."""
    n: np.ndarray
    """Devices; of a rest of which they are not known, the fewest there can be."""
    parents: list[np.ndarray]
    """Per margin: the value above each value, -1 at the top."""
    is_base: np.ndarray
    """Whether nothing is below the row."""
    n_given: int
    is_partition: np.ndarray


def read(rows: pd.DataFrame, keys: Sequence[str], margins: Sequence[Margin]) -> MarginTable:
    """Return the rows as numbers, in their order; devices are in `n_devices`."""
    names = [margin.column for margin in margins]
    others = [key for key in keys if key not in names]
    codes, parents = [], []
    for margin in margins:
        code, found = pd.factorize(rows[margin.column], sort=True)
        codes.append(code)
        parents.append(parents_of([str(value) for value in found], margin))
    apart = rows.groupby(others, sort=True).ngroup().to_numpy() if others else np.zeros(len(rows), int)
    is_leaf = [~np.isin(np.arange(above.size), above) for above in parents]
    is_base = np.all([leaf[code] for leaf, code in zip(is_leaf, codes, strict=True)], axis=0)
    counted = np.array([margin.is_partition for margin in margins])
    n = rows["n_devices"].to_numpy(np.int64).copy()
    return MarginTable(np.column_stack([*codes, apart]).astype(np.int64), n, parents, is_base, len(rows), counted)


def parents_of(values: list[str], margin: Margin) -> np.ndarray:
    """Return for each value the place of the next one above it that has rows."""
    at = {value: k for k, value in enumerate(values)}

    def above(value: str) -> int:
        if value == margin.whole:
            return -1
        shorter = (value[:n] for n in sorted(margin.digits, reverse=True) if n < len(value))
        return next((at[name] for name in (*shorter, margin.whole) if name in at), -1)

    return np.array([above(value) for value in values], dtype=np.int64)


def with_rests(table: MarginTable, values: np.ndarray) -> MarginTable:
    """Return the table with a cell for what each margin holds beyond its parts, where it does."""
    for k in range(len(table.parents)):
        line, above = lines_along(table, k)
        known = line >= 0
        n_parts = np.bincount(line[known], table.n[known], above.size).astype(np.int64)
        parts = np.zeros((above.size, values.shape[1]))
        np.add.at(parts, line[known], values[known])
        rest, slack = values[above] - parts, ROUNDING * (np.abs(values[above]) + np.abs(parts))
        n_rest = table.n[above] - n_parts
        counted = table.is_partition[k]
        if (rest < -slack).any() or (counted and (n_rest < 0).any()):
            raise ValueError("parts are more than their margin: this table does not add up")
        is_there = (rest > slack).any(axis=1) | (counted & (n_rest > 0))
        codes = table.codes[above[is_there]].copy()
        codes[:, k] += table.parents[k].size
        values = np.vstack([values, rest[is_there]])
        table = table._replace(
            codes=np.vstack([table.codes, codes]),
            n=np.concatenate([table.n, np.maximum(n_rest[is_there], 0 if counted else 1)]),
            parents=[*table.parents[:k], _with_rest_values(table.parents[k]), *table.parents[k + 1 :]],
            is_base=np.concatenate([table.is_base, _are_base(table, codes, k)]),
        )
    _check_sums(table, values)
    return table


def _check_sums(table: MarginTable, values: np.ndarray) -> None:
    """Raise ValueError where a row is not the sum of the cells below it, though each margin alone adds up."""
    base = np.flatnonzero(table.is_base)
    sums = cells_below(table, base) @ values[base]
    if (np.abs(values - sums) > 10 * ROUNDING * (np.abs(values) + np.abs(sums))).any():
        raise ValueError("margins do not agree with each other: rows are missing, give those of few devices too")


def _with_rest_values(parents: np.ndarray) -> np.ndarray:
    """Return the values above, the rest of each value that has parts being one more value below it."""
    values = np.arange(parents.size)
    return np.concatenate([parents, np.where(np.isin(values, parents), values, -1)])


def _are_base(table: MarginTable, codes: np.ndarray, but: int) -> np.ndarray:
    """Return which rows have nothing below them in any margin but one."""
    found = np.ones(len(codes), bool)
    for k, above in enumerate(table.parents):
        if k != but:
            found &= ~np.isin(codes[:, k], above)
    return found


def _numbers(codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return one number for each row of codes."""
    found = np.zeros(len(codes), np.int64)
    for k, size in enumerate(sizes):
        found = found * (size + 1) + codes[:, k]
    return found


def find_rows(table: MarginTable, codes: np.ndarray) -> np.ndarray:
    """Return which row has the codes, -1 where none has."""
    sizes = np.maximum(table.codes.max(axis=0, initial=0), codes.max(axis=0, initial=0))
    if np.prod(sizes + 2.0) > 2.0**62:
        raise ValueError("too many values of keys for one table: cut it into several")
    numbers = _numbers(table.codes, sizes)
    order = np.argsort(numbers)
    wanted = _numbers(codes, sizes)
    at = np.minimum(np.searchsorted(numbers[order], wanted), order.size - 1)
    return np.where(numbers[order[at]] == wanted, order[at], -1) if order.size else np.full(len(codes), -1)


def lines_along(table: MarginTable, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row the line along margin `k` that it is a part of (-1: none), and each line's margin."""
    above = table.parents[k][table.codes[:, k]]
    codes = table.codes.copy()
    codes[:, k] = np.maximum(above, 0)
    parent = np.where(above >= 0, find_rows(table, codes), -1)
    # A row with nothing below it is a line too where a value of its kind has: all of it is rest.
    has_parts = np.flatnonzero(np.isin(table.codes[:, k], table.parents[k]))
    line = np.full(len(codes), -1)
    line[parent >= 0] = np.searchsorted(has_parts, parent[parent >= 0])
    return line, has_parts


def cells_below(table: MarginTable, base: np.ndarray) -> sparse.csr_matrix:
    """Return row × base cell: of which base cells each row is the sum."""
    chains = []
    for k, above in enumerate(table.parents):
        chain = [table.codes[base, k]]
        while (chain[-1] >= 0).any():
            chain.append(np.where(chain[-1] >= 0, above[np.maximum(chain[-1], 0)], -1))
        chains.append(chain[:-1])
    rows, columns = [], []
    for levels in product(*chains):
        codes = np.column_stack([*levels, table.codes[base, -1]])
        at = np.where((codes >= 0).all(axis=1), find_rows(table, np.maximum(codes, 0)), -1)
        rows.append(at[at >= 0])
        columns.append(np.flatnonzero(at >= 0))
    there = np.concatenate(rows), np.concatenate(columns)
    return sparse.csr_matrix((np.ones(there[0].size), there), shape=(table.n.size, base.size))
