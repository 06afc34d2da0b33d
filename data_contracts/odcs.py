"""Export of a table's declaration to the Open Data Contract Standard, version 3.2.0 (Bitol, bitol.io)."""

import re
from collections.abc import Iterator
from importlib.metadata import version as package_version
from typing import Any

import pyarrow as pa

from data_contracts.spec import Column, Release, Table

API_VERSION = "v3.2.0"


def to_odcs(table: Table, version: str | None = None) -> str:
    """Return the contract of `table` as Open Data Contract Standard YAML.

    `version` is the contract's own, by default that of the installed package.
    What the standard has no field for travels as custom properties: the unit of a column, and of
    the table how it is cut into files, its release class and the smallest group released, and how much of
    one device may enter a private count or sum.
    """
    return "\n".join(_yaml_lines(_contract(table, version or package_version("sojourn")))) + "\n"


def _contract(table: Table, version: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"sojourn-{table.name}",
        "name": table.name,
        "version": version,
        "status": "active",
        "dataProduct": "sojourn",
        "description": _description(table),
        "customProperties": _custom(
            shard=str(table.shard),
            release=str(table.release),
            minDevices=table.min_devices,
            isCarry=table.is_carry,
            maxRowsPerDevice=table.max_rows_per_device,
        ),
        "schema": [_schema_object(table)],
    }


def _description(table: Table) -> dict[str, str]:
    description = {"purpose": f"One row per {table.row}."}
    if table.release is Release.PUBLIC:
        description["limitations"] = f"Every row stands for at least {table.min_devices} devices."
    return description


def _schema_object(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "logicalType": "object",
        "physicalType": "table",
        "description": table.notes or f"One row per {table.row}.",
        "dataGranularityDescription": f"One row per {table.row}",
        "properties": [_property(column, table) for column in table.columns],
    }


def _property(column: Column, table: Table) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": column.name,
        "description": column.description,
        **_type(column.dtype),
        "required": not column.is_nullable,
        "classification": str(table.release),
    }
    if column.name in table.key:
        values |= {"primaryKey": True, "primaryKeyPosition": table.key.index(column.name) + 1}
    bounds = _bounds(column, table)
    if bounds:
        values["logicalTypeOptions"] = {**values.get("logicalTypeOptions", {}), **bounds}
    if column.values is not None:
        values["enum"] = [{"value": value} for value in column.values]
    low, high = column.clip or (None, None)
    custom = _custom(unit=column.unit or None, clipLow=low, clipHigh=high)
    if custom:
        values["customProperties"] = custom
    return values


def _bounds(column: Column, table: Table) -> dict[str, float]:
    """Return the range of a column; the smallest group of a release table is a bound like any other."""
    minimum = column.minimum
    if table.min_devices is not None and column.name == "n_devices":
        minimum = max(table.min_devices, minimum or 0)
    bounds = {"minimum": minimum, "maximum": column.maximum}
    return {name: bound for name, bound in bounds.items() if bound is not None}


_LOGICAL_TYPES: tuple[tuple[Any, str, dict[str, Any]], ...] = (
    (pa.types.is_boolean, "boolean", {}),
    (pa.types.is_date, "date", {"format": "yyyy-MM-dd"}),
    (pa.types.is_timestamp, "timestamp", {"timezone": True, "defaultTimezone": "Etc/UTC"}),
    (pa.types.is_string, "string", {}),
    (pa.types.is_binary, "string", {"format": "binary"}),
)


def _type(dtype: pa.DataType) -> dict[str, Any]:
    """Return the type fields of a property: the standard's logical type, and Arrow's as the physical one."""
    physical = {"physicalType": str(dtype)}
    if pa.types.is_list(dtype):
        return {"logicalType": "array", **physical, "items": _type(dtype.value_type)}
    if pa.types.is_integer(dtype):
        prefix = "i" if pa.types.is_signed_integer(dtype) else "u"
        return {
            "logicalType": "integer",
            **physical,
            "logicalTypeOptions": {"format": f"{prefix}{dtype.bit_width}"},
        }
    if pa.types.is_floating(dtype):
        return {"logicalType": "number", **physical, "logicalTypeOptions": {"format": f"f{dtype.bit_width}"}}
    for is_type, logical, options in _LOGICAL_TYPES:
        if is_type(dtype):
            return {
                "logicalType": logical,
                **physical,
                **({"logicalTypeOptions": options} if options else {}),
            }
    raise TypeError(f"the Open Data Contract Standard has no logical type for {dtype}")


def _custom(**properties: Any) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in properties.items() if value is not None]


# --- YAML ---------------------------------------------------------------------------------------
# Block style for mappings and lists; a text is quoted unless no reader of YAML 1.1 or 1.2 could
# take it for anything else.

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:[ /.-][A-Za-z0-9_]+)*")
_TAKEN = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def _yaml_lines(value: Any) -> Iterator[str]:
    """Yield the lines of a mapping or list in block style, not indented."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _yaml_entry(f"{_yaml_scalar(key)}:", item, "  ")
    else:
        for item in value:
            yield from _yaml_entry("-", item, "  ", is_list_item=True)


def _yaml_entry(lead: str, item: Any, indent: str, is_list_item: bool = False) -> Iterator[str]:
    is_block = isinstance(item, dict | list) and len(item) > 0
    if not is_block:
        yield f"{lead} {_yaml_scalar(item)}"
        return
    lines = _yaml_lines(item)
    if is_list_item:
        yield f"{lead} {next(lines)}"
    else:
        yield lead
    for line in lines:
        yield indent + line


def _yaml_scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _yaml_float(value)
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _TAKEN
        return value if is_plain else '"' + "".join(map(_escape, value)) + '"'
    if isinstance(value, dict | list) and not value:
        return "{}" if isinstance(value, dict) else "[]"
    raise TypeError(f"a contract holds no {type(value).__name__}")


def _yaml_float(value: float) -> str:
    """Return a finite float; YAML 1.1 asks for a point and for a sign in the exponent."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("a contract holds finite numbers only")
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    point = "" if "." in mantissa else ".0"
    sign = "" if exponent[0] in "+-" else "+"
    return f"{mantissa}{point}e{sign}{exponent}"


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    return f"\\U{ord(character):08X}"
