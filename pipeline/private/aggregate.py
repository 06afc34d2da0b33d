"""Bounded sums: at most so many rows, or cells, of each device, each within the contract's range, in whole numbers.

One shard is in memory at a time. Whole numbers add up to the same whatever the order, so the number of buckets
changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_contracts import TABLES, Table
from pipeline.kernels.contribution import drawn_rows
from pipeline.private.domain import Domain
from pipeline.private.ledger import check_loss
from pipeline.private.noise import Sensitivity
from pipeline.study import StudyError
from pipeline.sums import group_sums

STEPS_BITS = 20
"""The larger end of a clipped range is at least 2**19 and at most 2**20 steps: rounding moves a value by 1e-6 of it."""
DRAW = "private_release"
"""Name of the random stream that draws rows."""


@dataclass(frozen=True)
class PrivateQuery:
    """What is asked: rows, devices or the sum of a column of a table, by columns, and what may be lost for it."""

    table: str
    by: tuple[str, ...]
    epsilon: float
    delta: float = 0.0
    """Above 0: only cells that have rows are looked at, and released where they are above a threshold."""
    counted: str = "rows"
    """"rows", "devices" (each once a cell), or the column that is summed."""
    max_rows: int | None = None
    """Most rows (of "devices": cells) of one device, if fewer than the contract allows."""
    area_digits: int | None = None
    """Areas are the first so many characters of their ids, as counties are of tracts; None: all of them."""
    clip_high: float | None = None
    """Highest value that is summed, if lower than the contract's: a larger one counts as this, and noise is less."""

    def __post_init__(self) -> None:
        """Raise StudyError for what can be no private release."""
        check_loss(self.epsilon, self.delta)
        if not self.by:
            raise StudyError("--by: name at least one column")
        allowed = self.contract.max_rows_per_device
        if allowed is None:
            bounded = ", ".join(name for name, table in TABLES.items() if table.max_rows_per_device)
            raise StudyError(f"{self.table} declares no bound on the rows of a device; tables that do are {bounded}")
        if self.area_digits is not None and self.area_digits < 1:
            raise StudyError(f"--area-digits: {self.area_digits} is not 1 or more")
        if self.max_rows is not None and not 1 <= self.max_rows <= allowed:
            raise StudyError(f"--max-rows: {self.max_rows} is not from 1 to {allowed}, what {self.table} allows")
        if self.is_sum and not (self.counted in self.contract.names and self.contract.column(self.counted).clip):
            clipped = ", ".join(column.name for column in self.contract.columns if column.clip)
            raise StudyError(f"--sum: {self.table} declares no range for {self.counted}; it does for {clipped}")
        self._check_clip()

    def _check_clip(self) -> None:
        if self.clip_high is None:
            return
        if not self.is_sum:
            raise StudyError("--clip-high: nothing is summed")
        low, high = self.contract.column(self.counted).clip or (0.0, 1.0)
        if not low < self.clip_high <= high:
            raise StudyError(f"--clip-high: {self.clip_high:g} is not above {low:g} and at most {high:g}")

    @property
    def contract(self) -> Table:
        """The table's declaration."""
        if self.table not in TABLES:
            raise StudyError(f"no table {self.table!r}; there are {', '.join(TABLES)}")
        return TABLES[self.table]

    @property
    def is_sum(self) -> bool:
        """Whether a column is summed, rather than rows or devices counted."""
        return self.counted not in ("rows", "devices")

    @property
    def rows_per_device(self) -> int:
        """Most rows, or cells, of one device."""
        return self.max_rows or self.contract.max_rows_per_device or 0

    @property
    def clip(self) -> tuple[float, float]:
        """The range of a summed column, in its unit."""
        low, high = self.contract.column(self.counted).clip or (0.0, 1.0)
        return low, high if self.clip_high is None else self.clip_high

    @property
    def step(self) -> float:
        """Unit of the whole numbers that are summed, a power of two: 1 row or device, or that part of a column's."""
        if not self.is_sum:
            return 1.0
        return 2.0 ** (math.ceil(math.log2(max(map(abs, self.clip)))) - STEPS_BITS)

    def sensitivity(self) -> Sensitivity:
        """Return how much one device can change the sums, in steps."""
        most = self.rows_per_device
        of_row = int(np.abs(np.rint(np.array(self.clip) / self.step)).max()) if self.is_sum else 1
        return Sensitivity(most, most * of_row, of_row if self.counted == "devices" else most * of_row)

    def words(self) -> str:
        """Return what is asked, as a ledger tells it."""
        what = f"sum of {self.counted} from {self.clip[0]:g} to {self.clip[1]:g}" if self.is_sum else self.counted
        digits = "" if self.area_digits is None else f" (areas by {self.area_digits} digits)"
        return f"{what} of {self.table} by {', '.join(self.by)}{digits}, at most {self.rows_per_device} of a device"


def bounded_sums(shards: Iterable[pd.DataFrame], query: PrivateQuery, domain: Domain, seed: int) -> pd.DataFrame:
    """Return `cell` and `steps` (int64) of the cells that have rows, in order: exact, without noise, not for release.

    Each shard holds all rows of its devices.
    """
    parts = [_sums_of(rows, query, domain, seed) for rows in shards]
    whole = pd.concat(parts) if parts else _frame(np.zeros(0, np.int64), np.zeros(0, np.int64))
    return group_sums(whole, ["cell"], ["steps"])


def _sums_of(rows: pd.DataFrame, query: PrivateQuery, domain: Domain, seed: int) -> pd.DataFrame:
    device, cell = rows["device_id"].to_numpy(np.int64), domain.cell_of(rows)
    kept = cell >= 0
    steps = np.ones(len(rows), np.int64)
    if query.is_sum:
        values = rows[query.counted].to_numpy(np.float64, na_value=np.nan)
        kept &= ~np.isnan(values)
        steps = np.rint(np.clip(np.nan_to_num(values), *query.clip) / query.step).astype(np.int64)
    device, cell, steps = device[kept], cell[kept], steps[kept]
    if query.counted == "devices":
        order = np.lexsort((cell, device))
        device, cell = device[order], cell[order]
        is_first = np.diff(device, prepend=0) != 0
        is_first |= np.diff(cell, prepend=-1) != 0
        device, cell, steps = device[is_first], cell[is_first], steps[is_first]
    drawn = drawn_rows(device, query.rows_per_device, DRAW, seed)
    return group_sums(_frame(cell[drawn], steps[drawn]), ["cell"], ["steps"])


def _frame(cell: np.ndarray, steps: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"cell": cell, "steps": steps})
