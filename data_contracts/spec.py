"""What a table is: columns with units and ranges, a key, a shard, a release class.

A table is declared once; the schema, the check on every read and write, the catalogue page and
the exported contract are derived from that declaration.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa

SIGNIFICANT_DIGITS = 3
"""Digits that an export tells of decimals without a step of their own, whose size hangs on what is measured (ours: an
exact mean over n devices is a fraction that gives n and the sum away)."""


class Shard(StrEnum):
    """How a table is cut into files: one file per value of this."""

    FILE = "source file"
    DATE_BUCKET = "date × device bucket"
    BUCKET = "device bucket"
    STATIC = "static"
    STUDY = "whole study"
    """One shard, gathered from all device buckets."""
    RUN = "run"
    """About a run on the root, written by the engine."""

    @property
    def is_single(self) -> bool:
        """Whether the table is one file, which every stage that reads the table gets whole."""
        return self in (Shard.STATIC, Shard.STUDY)


class Release(StrEnum):
    """Who may see a table."""

    INTERNAL = "internal"
    PUBLIC = "release"


@dataclass(frozen=True)
class Column:
    """One column: its arrow type, meaning, unit and the values it may take."""

    name: str
    dtype: pa.DataType
    description: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None
    is_nullable: bool = False
    is_sequence: bool = False
    """Rising within a shard (ids, times): written as differences, which is smaller and faster."""
    clip: tuple[float, float] | None = None
    """Range that values are clipped to in a private sum, in the column's unit; None: it has no private sum."""
    round_to: float | None = None
    """Steps in which a count or a value is told in an export; the table itself keeps it exact."""
    top_code: float | None = None
    """Highest value told in an export: larger ones become this. The table itself keeps them."""

    def __post_init__(self) -> None:
        """Refuse a range that contains no number."""
        if self.clip is not None and not -float("inf") < self.clip[0] < self.clip[1] < float("inf"):
            raise ValueError(f"{self.name}: clip {self.clip} is no range of finite numbers, the lower first")
        if self.round_to is not None and not self._is_step(self.round_to):
            raise ValueError(f"{self.name}: round_to {self.round_to} is no step of 2 or more for a count, or above 0")

    def _is_step(self, step: float) -> bool:
        if pa.types.is_integer(self.dtype):
            return step >= 2 and step == int(step)
        return pa.types.is_floating(self.dtype) and 0 < step < float("inf")

    def to_field(self) -> pa.Field:
        """Return the arrow field, unit and description in its metadata."""
        return pa.field(
            self.name,
            self.dtype,
            nullable=self.is_nullable,
            metadata={"unit": self.unit, "description": self.description},
        )


@dataclass(frozen=True)
class Table:
    """One kind of table. `key` is unique in a shard and is the order in which rows are kept."""

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    shard: Shard
    release: Release = Release.INTERNAL
    min_devices: int | None = None
    notes: str = ""
    is_carry: bool = False
    """Holds the state that one date leaves to the next: an engine table, not an analyst's."""
    max_rows_per_device: int | None = None
    """Most rows of one device that may take part in a private count or sum; None: the table has none.

    Only for tables in which each row is made from the data of its own device and of no other: a device that is taken
    out takes its own rows with it and changes no other row.
    """
    schema: pa.Schema = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a declaration that contradicts itself."""
        names = [column.name for column in self.columns]
        unknown = [name for name in self.key if name not in names]
        if unknown or len(set(names)) != len(names):
            raise ValueError(f"{self.name}: key columns {unknown} are not declared, or a column is declared twice")
        if self.release is Release.PUBLIC and (self.min_devices is None or "n_devices" not in names):
            raise ValueError(f"{self.name}: a release table needs min_devices and a column n_devices")
        steps = self.column("n_devices").round_to if self.min_devices and "n_devices" in names else None
        if steps and (self.min_devices or 0) % steps:
            raise ValueError(f"{self.name}: min_devices is a multiple of round_to")
        if self.max_rows_per_device is not None:
            if self.max_rows_per_device < 1:
                raise ValueError(f"{self.name}: max_rows_per_device is {self.max_rows_per_device}, not 1 or more")
            if self.shard is not Shard.BUCKET or "device_id" not in names:
                raise ValueError(f"{self.name}: rows of a device can be bounded only where one file holds all of them")
        object.__setattr__(self, "schema", pa.schema([column.to_field() for column in self.columns]))

    def column(self, name: str) -> Column:
        """Return the declaration of one column; KeyError when the table has none of that name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}; it has {', '.join(c.name for c in self.columns)}")

    @property
    def names(self) -> list[str]:
        """The column names in order."""
        return [column.name for column in self.columns]

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration as plain values: what a fingerprint of the contract is made of.

        Bounds of private counts and what exports do are left out: they say how a table is told, not what it holds.
        """
        return {
            "name": self.name,
            "key": list(self.key),
            "shard": str(self.shard),
            "release": str(self.release),
            "min_devices": self.min_devices,
            "columns": [
                {
                    "name": c.name,
                    "dtype": str(c.dtype),
                    "unit": c.unit,
                    "minimum": c.minimum,
                    "maximum": c.maximum,
                    "values": list(c.values) if c.values else None,
                    "is_nullable": c.is_nullable,
                }
                for c in self.columns
            ],
        }
