"""What an export does to the rows of a release table: values in steps, and cut off at the top.

Which rows there are at all is seen to by the stage and the store: they leave out those of few devices, and those that
would tell of these.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts import SIGNIFICANT_DIGITS, Column, Table

CLEAN_DECIMALS = 9
"""Decimals that a multiple of a step is told with: 0.15 and not 0.15000000000000002."""


def coarse(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the rows as they may leave; nulls stay.

    Values are cut off at the highest of the contract, then go to the nearest step, halves up; decimals without a step
    to three significant digits. Keys stay as they are.
    """
    tops = {c.name: c.top_code for c in table.columns if c.top_code is not None}
    told = rows.assign(**{name: rows[name].clip(upper=top) for name, top in tops.items()})
    steps, digits = stepped(table), shortened(table)
    told = told.assign(**{name: _to_step(told[name], step) for name, step in steps.items()})
    return told.assign(**{name: _to_digits(told[name]) for name in digits})


def n_cut(rows: pd.DataFrame, table: Table) -> int:
    """Return how many values the highest of the contract cuts off."""
    return sum(int((rows[c.name] > c.top_code).sum()) for c in table.columns if c.top_code is not None)


def stepped(table: Table) -> dict[str, float]:
    """Return the step of each column that leaves in steps."""
    return {c.name: c.round_to for c in table.columns if c.round_to}


def shortened(table: Table) -> list[str]:
    """Return the columns of decimals without a step."""
    return [c.name for c in _values(table) if pa.types.is_floating(c.dtype)]


def exact(table: Table) -> list[str]:
    """Return the columns of whole numbers that leave as they are."""
    return [c.name for c in _values(table) if pa.types.is_integer(c.dtype)]


def _values(table: Table) -> list[Column]:
    return [c for c in table.columns if c.name not in table.key and not c.round_to]


def _to_step(values: pd.Series, step: float) -> pd.Series:
    return (np.floor(values / step + 0.5) * step).round(CLEAN_DECIMALS).astype(values.dtype)


def _to_digits(values: pd.Series) -> pd.Series:
    size = values.abs().where(lambda x: (x > 0) & np.isfinite(x))
    decimals = SIGNIFICANT_DIGITS - 1 - np.floor(np.log10(size))
    # Powers of ten are exact where they are whole: divide by them, never by a fraction.
    up, down = 10.0 ** decimals.clip(lower=0), 10.0 ** (-decimals).clip(lower=0)
    return ((values / down * up).round() / up * down).where(size.notna(), values)
