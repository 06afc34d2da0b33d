"""The check of a shard against its contract: one vectorised pass, every broken rule with its count."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.spec import Column, Release, Table


class ContractError(ValueError):
    """A shard breaks its contract. Carries rule texts and counts, never values."""

    def __init__(self, table: Table, broken: list[str]) -> None:
        """Say which `table` and which rules are `broken`."""
        super().__init__(f"{table.name} breaks its contract: " + "; ".join(broken))
        self.table = table.name
        self.broken = broken

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str]]]:
        """Cross process borders as the message alone (a Table is not needed there)."""
        return _plain_contract_error, (self.table, str(self), self.broken)  # type: ignore[return-value]


def _plain_contract_error(table: str, message: str, broken: list[str]) -> ContractError:
    error = ContractError.__new__(ContractError)
    ValueError.__init__(error, message)
    error.table, error.broken = table, broken
    return error


def conform(data: pa.Table, table: Table) -> pa.Table:
    """Return `data` with exactly the contract's columns, types and order, once every rule holds.

    Types are cast only within a kind and where no value changes: a whole number may become a wider
    or narrower one, a float64 the nearest float32, a midnight a date; a number never becomes a text
    (leading zeros would be gone already), nor a time without zone a UTC time. Rules: no missing,
    surplus or repeated column, no null where none is allowed, only finite floats, ranges, allowed
    values, rows in key order with no key twice, and for release tables at least ``min_devices``
    behind every row. Raises `ContractError` naming every broken rule with the number of rows that
    break it; the order and release rules are looked at once the columns are sound.
    """
    broken = list(_broken_names(data.column_names, table))
    if broken:
        raise ContractError(table, broken)
    data = _cast(data.select(table.names), table)
    broken = [rule for column in table.columns for rule in _broken_column_rules(data[column.name], column)]
    if not broken:
        broken = list(_broken_table_rules(data, table))
    if broken:
        raise ContractError(table, broken)
    return data


def suppress_small(data: pa.Table, table: Table) -> tuple[pa.Table, int]:
    """Return the rows of `data` that may be released, and how many were left out.

    Left out of a release table are rows with fewer than ``min_devices`` behind them, after every other rule was
    checked on all rows: `ContractError`. Tables that stay inside keep all of theirs.
    """
    if table.release is Release.INTERNAL:
        return data, 0
    data = conform(data, replace(table, release=Release.INTERNAL, min_devices=None))
    kept = data.filter(pc.greater_equal(data["n_devices"], table.min_devices))
    return kept, data.num_rows - kept.num_rows


def _broken_names(names: list[str], table: Table) -> Iterator[str]:
    for name in table.names:
        if name not in names:
            yield f"column {name} is missing"
    for name in dict.fromkeys(names):
        if name not in table.names:
            yield f"column {name} is not declared"
        elif names.count(name) > 1:
            yield f"column {name} is there {names.count(name)} times"


def _cast(data: pa.Table, table: Table) -> pa.Table:
    arrays, broken = [], []
    for column in table.columns:
        values = data[column.name]
        try:
            arrays.append(_cast_column(values, column.dtype))
        except pa.ArrowInvalid:
            broken.append(f"{column.name} is {values.type}, which is not {column.dtype} without loss")
    if broken:
        raise ContractError(table, broken)
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _cast_column(values: pa.ChunkedArray, dtype: pa.DataType) -> pa.ChunkedArray:
    """Return `values` as `dtype`; ArrowInvalid where the kind differs or a value would change."""
    given, wanted = _kind(values.type), _kind(dtype)
    # Arrow's type where no value is known, as in an empty frame of objects.
    is_unknown = given == "null" or (given == "list of null" and wanted.startswith("list of "))
    is_midnights = (given, wanted) == ("time without zone", "date")
    if given != wanted and not is_unknown and not is_midnights:
        raise pa.ArrowInvalid(f"{given} is not {wanted}")
    cast = values.cast(dtype)
    # Arrow drops the time of day in silence.
    if is_midnights and not cast.cast(values.type).equals(values):
        raise pa.ArrowInvalid("a time of day would be lost")
    return cast


_KINDS = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_integer, "number"),
    (pa.types.is_floating, "number"),
    (pa.types.is_string, "text"),
    (pa.types.is_large_string, "text"),
    (pa.types.is_string_view, "text"),
    (pa.types.is_binary, "bytes"),
    (pa.types.is_large_binary, "bytes"),
    (pa.types.is_binary_view, "bytes"),
    (pa.types.is_date, "date"),
)


def _kind(dtype: pa.DataType) -> str:
    """Return what values of a type are, whatever their width or encoding."""
    if pa.types.is_dictionary(dtype):
        return _kind(dtype.value_type)
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        return f"list of {_kind(dtype.value_type)}"
    if pa.types.is_timestamp(dtype):
        return "time with zone" if dtype.tz else "time without zone"
    return next((kind for is_kind, kind in _KINDS if is_kind(dtype)), str(dtype))


def _broken_column_rules(values: pa.ChunkedArray, column: Column) -> Iterator[str]:
    if values.null_count and not column.is_nullable:
        yield f"{column.name} is null in {values.null_count} rows"
    if pa.types.is_floating(column.dtype):
        n_not_finite = _count(pc.invert(pc.is_finite(values)))
        if n_not_finite:
            yield f"{column.name} is not a finite number in {n_not_finite} rows"
    if column.minimum is not None or column.maximum is not None:
        yield from _broken_range(values, column)
    if column.values is not None:
        n_other = _count(pc.invert(pc.is_in(values.drop_null(), pa.array(column.values, column.dtype))))
        if n_other:
            yield f"{column.name} is none of {', '.join(column.values)} in {n_other} rows"


def _broken_range(values: pa.ChunkedArray, column: Column) -> Iterator[str]:
    bounds = pc.min_max(values)
    low, high = bounds["min"], bounds["max"]
    if column.minimum is not None and low.is_valid and low.as_py() < column.minimum:
        yield f"{column.name} is below {column.minimum} in {_count(pc.less(values, column.minimum))} rows"
    if column.maximum is not None and high.is_valid and high.as_py() > column.maximum:
        yield f"{column.name} is above {column.maximum} in {_count(pc.greater(values, column.maximum))} rows"


def _broken_table_rules(data: pa.Table, table: Table) -> Iterator[str]:
    if data.num_rows > 1 and table.key:
        n_falling, n_repeated = _count_order_faults([data[name].combine_chunks() for name in table.key])
        if n_falling:
            yield f"rows are not in the order of ({', '.join(table.key)}) at {n_falling} places"
        if n_repeated:
            yield f"key ({', '.join(table.key)}) is repeated by {n_repeated} rows"
    if table.release is Release.PUBLIC:
        # Counted from the rows that hold, so that a null counts as broken.
        n_small = data.num_rows - _count(pc.greater_equal(data["n_devices"], table.min_devices))
        if n_small:
            yield f"n_devices is below {table.min_devices} in {n_small} rows"


def _count_order_faults(keys: list[pa.Array]) -> tuple[int, int]:
    """Return at how many neighbours the key falls and at how many it is repeated.

    Bit masks all the way: a list of the neighbours that tie would be as large as the shard, as
    most pings share the device of the ping before.
    """
    n_falling = 0
    tied = None
    for key in keys:
        before, after = key[:-1], key[1:]
        falling, equal = pc.less(after, before), pc.equal(after, before)
        n_falling += _count(falling if tied is None else pc.and_(tied, falling))
        tied = equal if tied is None else pc.and_(tied, equal)
        if not _count(tied):
            return n_falling, 0
    return n_falling, _count(tied)


def _count(mask: pa.Array | pa.ChunkedArray) -> int:
    return pc.sum(mask).as_py() or 0
