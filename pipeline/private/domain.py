"""The cells of a private release: every combination of values that could occur, known without looking at a device.

Areas are those of the study's `tracts`, dates those of the study; other values are those that the contract allows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts import TRACTS, Column, Table
from pipeline.engine.store import ALL, Store
from pipeline.study import Study, StudyError

MAX_VALUES = 1_000
"""Most whole numbers of a column that are cells of their own (ours): hours of a week are 168."""
MAX_CELL = 1 << 62
"""Cells are numbered in int64."""


class Domain(NamedTuple):
    """The cells: columns, and the values that each may take, in order."""

    columns: tuple[str, ...]
    values: tuple[pd.Index, ...]
    area_digits: int | None = None
    """How many characters of an area's id tell areas apart; None: all."""

    @property
    def n_cells(self) -> int:
        """How many combinations there are."""
        return math.prod(len(values) for values in self.values)

    def cell_of(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the number of each row's cell: int64, -1 for a row outside of all, as without an area."""
        cell, is_inside = np.zeros(len(rows), np.int64), np.ones(len(rows), bool)
        for name, values in zip(self.columns, self.values, strict=True):
            of_rows = rows[name].str[: self.area_digits] if is_area(name) else rows[name]
            at = values.get_indexer(pd.Index(of_rows))
            cell, is_inside = cell * len(values) + at, is_inside & (at >= 0)
        return np.where(is_inside, cell, -1)

    def rows_of(self, cells: np.ndarray) -> pd.DataFrame:
        """Return the values of cells: a row for each, in their order."""
        found, rest = {}, np.asarray(cells, np.int64)
        for name, values in reversed(list(zip(self.columns, self.values, strict=True))):
            rest, at = np.divmod(rest, len(values))
            found[name] = values.take(at)
        return pd.DataFrame({name: found[name] for name in self.columns}, index=range(len(cells)))


def is_area(name: str) -> bool:
    """Return whether a column holds ids of areas."""
    return name.endswith("tract_geoid")


def make_domain(
    table: Table, by: tuple[str, ...], study: Study, store: Store, area_digits: int | None = None
) -> Domain:
    """Return the cells of `by`; StudyError for a column whose possible values are not known without the data."""
    if len(set(by)) != len(by):
        raise StudyError(f"--by: {', '.join(by)} names a column twice")
    for name in by:
        if name not in table.names:
            raise StudyError(f"--by: {table.name} has no column {name!r}; it has {', '.join(table.names)}")
    areas = _areas(store, area_digits) if any(map(is_area, by)) else pd.Index([])
    domain = Domain(by, tuple(_values(table.column(name), study, areas) for name in by), area_digits)
    if domain.n_cells >= MAX_CELL:
        raise StudyError(f"--by: {', '.join(by)} have {domain.n_cells:.2g} combinations, too many to number")
    return domain


def _values(column: Column, study: Study, areas: pd.Index) -> pd.Index:
    if column.dtype == pa.date32():
        return pd.DatetimeIndex(study.dates()).as_unit("ms")
    if is_area(column.name):
        return areas
    if column.values is not None:
        return pd.Index(sorted(column.values), dtype="str")
    if pa.types.is_boolean(column.dtype):
        return pd.Index([False, True])
    low, high = column.minimum, column.maximum
    is_small = low is not None and high is not None and high - low < MAX_VALUES
    if is_small and pa.types.is_integer(column.dtype) and column.name != "device_id":
        return pd.RangeIndex(int(low or 0), int(high or 0) + 1)
    raise StudyError(
        f"--by: the values of {column.name} are not known without looking at devices; take dates, areas, hours of the "
        "week or another column of few declared values"
    )


def _areas(store: Store, digits: int | None) -> pd.Index:
    if store.footer(TRACTS, ALL) is None:
        raise StudyError("--by: the study has no areas: declare [tracts] and run it")
    ids = store.read(TRACTS, ALL, ["tract_geoid"])["tract_geoid"].to_pylist()
    return pd.Index(sorted({one[:digits] for one in ids}), dtype="str")
