"""Rows that a contract allows, made from the contract alone: material for suites over all tables."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from data_contracts import Column, Table

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
SPAN_S = 7 * 86_400
UNBOUNDED = 1_000_000


def make_rows(table: Table, n_rows: int, seed: int = 0) -> pa.Table:
    """Return up to `n_rows` random rows (rows that repeat a key are dropped) that `table` accepts."""
    chance = random.Random(f"{table.name} {seed}")
    rows = {}
    for _ in range(n_rows):
        row = {column.name: make_value(column, chance) for column in table.columns}
        if table.min_devices is not None:
            row["n_devices"] = table.min_devices + chance.randrange(100)
        rows[tuple(row[name] for name in table.key)] = row
    ordered = [rows[key] for key in sorted(rows)]
    return pa.Table.from_pylist(ordered, schema=table.schema)


def make_value(column: Column, chance: random.Random) -> Any:
    """Return one value the column allows; null in a fifth of the rows where null is allowed."""
    if column.is_nullable and chance.random() < 0.2:
        return None
    if column.values is not None:
        return chance.choice(column.values)
    return _make_plain(column.dtype, column, chance)


def _make_plain(dtype: pa.DataType, column: Column, chance: random.Random) -> Any:
    if pa.types.is_list(dtype):
        return [_make_plain(dtype.value_type, column, chance) for _ in range(chance.randrange(4))]
    if pa.types.is_timestamp(dtype):
        return EPOCH + timedelta(seconds=chance.randrange(SPAN_S))
    if pa.types.is_date(dtype):
        return date(2024, 1, 1) + timedelta(days=chance.randrange(7))
    if pa.types.is_string(dtype):
        return f"{chance.randrange(UNBOUNDED):011d}"
    if pa.types.is_binary(dtype):
        return chance.randbytes(8)
    if pa.types.is_boolean(dtype):
        return chance.random() < 0.5
    return _make_number(dtype, column, chance)


def _make_number(dtype: pa.DataType, column: Column, chance: random.Random) -> float:
    low = -UNBOUNDED if column.minimum is None else column.minimum
    high = low + UNBOUNDED if column.maximum is None else column.maximum
    if pa.types.is_integer(dtype):
        reach = 2 ** (dtype.bit_width - 1)
        low, high = max(low, -reach), min(high, reach - 1)
        return chance.randint(int(low), int(high))
    return pa.scalar(chance.uniform(low, high), dtype).as_py()
