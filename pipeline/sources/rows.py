"""From a source's columns to `raw_pings`: units, positions, hashes, and the fault of what is unreadable."""

import numpy as np
import pyarrow as pa
import pyproj
from numpy.typing import NDArray

from data_contracts import RAW_PINGS, REASONS
from pipeline.sources.errors import SourceError
from pipeline.sources.hashing import IdHasher, constant_ids
from pipeline.sources.numbers import Numbers, plain, to_numbers
from pipeline.sources.times import Times, to_times
from pipeline.study import Source

ROLES = ("device_id", "tracked_at", "lon", "lat", "accuracy_m", "utc_offset_s")
SECONDS = {"s": 1, "min": 60, "h": 3600}
MAX_OFFSET_S = 2**31 - 1
"""What the column holds; which offsets exist on Earth is for the stage to say."""
NO_FAULT = len(REASONS)


class RowReader:
    """Turns the columns of one file into blocks of RAW_PINGS."""

    def __init__(self, source: Source, key: bytes) -> None:
        """Take a filled declaration and the key for ids; SourceError on an unknown coordinate system."""
        self._source = source
        self._hasher = IdHasher(key)
        self._to_degrees = _transformer(source.crs)

    def to_raw_pings(self, columns: dict[str, pa.Array], row_number: NDArray[np.int64], device: str | None) -> pa.Table:
        """Return one row of RAW_PINGS per row read.

        `columns` maps a role ("lon", "tracked_at", ...) to the source's values; `device` names the
        device where the source has no column of ids. Nothing is dropped: a value that cannot be
        read is null and the row carries the first such fault in the order of REASONS.
        """
        n_rows = len(row_number)
        times = to_times(plain(columns["tracked_at"]), self._source)
        x, y = (to_numbers(plain(columns[role]), role) for role in ("lon", "lat"))
        lon, lat, is_misplaced = self._place(x, y)
        accuracy = _numbers_or_none(columns.get("accuracy_m"), "accuracy_m", n_rows)
        offset = _in_seconds(_numbers_or_none(columns.get("utc_offset_s"), "utc_offset_s", n_rows), self._source)
        faults = (
            ("bad_utc_offset", offset.is_bad),
            ("bad_accuracy", accuracy.is_bad),
            ("bad_position", is_misplaced),
            ("bad_time", times.is_bad),
        )
        arrays = [
            pa.array(row_number),
            self._hash(columns.get("device_id"), device, n_rows),
            _timestamps(times),
            lon,
            lat,
            _accuracies(accuracy),
            nullable(np.rint(offset.values).astype(np.int32), offset.is_missing | offset.is_bad),
            _fault_texts(n_rows, faults),
        ]
        return pa.Table.from_arrays(arrays, schema=RAW_PINGS.schema)

    def _hash(self, ids: pa.Array | None, device: str | None, n_rows: int) -> pa.Array:
        if ids is not None:
            return self._hasher.hash_column(ids)
        return constant_ids(self._hasher.hash_text(device.encode() if device else None), n_rows)

    def _place(self, x: Numbers, y: Numbers) -> tuple[pa.Array, pa.Array, NDArray[np.bool_]]:
        """Return (lon, lat, unreadable) of positions in the source's coordinate system."""
        is_missing = x.is_missing | y.is_missing
        is_bad = (x.is_bad | y.is_bad) & ~is_missing
        if self._to_degrees is None:
            return (
                nullable(x.values, x.is_missing | x.is_bad),
                nullable(y.values, y.is_missing | y.is_bad),
                is_bad,
            )
        lon, lat = self._to_degrees.transform(x.values, y.values)
        is_bad |= ~(np.isfinite(lon) & np.isfinite(lat)) & ~is_missing
        return nullable(lon, is_missing | is_bad), nullable(lat, is_missing | is_bad), is_bad


def malformed_rows(row_number: NDArray[np.int64]) -> pa.Table:
    """Return rows of RAW_PINGS of which nothing but the number could be read."""
    n_rows = len(row_number)
    arrays = [pa.nulls(n_rows, field.type) for field in RAW_PINGS.schema]
    arrays[0], arrays[-1] = pa.array(row_number), pa.array(["malformed_row"] * n_rows, pa.string())
    return pa.Table.from_arrays(arrays, schema=RAW_PINGS.schema)


def nullable(values: NDArray[np.generic], is_null: NDArray[np.bool_]) -> pa.Array:
    """Return an arrow array of `values`, null where the mask says so."""
    return pa.array(values, mask=is_null) if is_null.any() else pa.array(values)


def _transformer(crs: str) -> pyproj.Transformer | None:
    """Return the way from `crs` to degrees, x before y; None where it is degrees already."""
    try:
        system = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError:
        raise SourceError(f"crs {crs!r} is no coordinate system that pyproj knows") from None
    if system.to_epsg() == 4326 or system.to_authority() == ("OGC", "CRS84"):
        return None
    return pyproj.Transformer.from_crs(system, "EPSG:4326", always_xy=True)


def _numbers_or_none(column: pa.Array | None, name: str, n_rows: int) -> Numbers:
    if column is not None:
        return to_numbers(plain(column), name)
    return Numbers(np.zeros(n_rows), np.ones(n_rows, np.bool_), np.zeros(n_rows, np.bool_))


def _in_seconds(offset: Numbers, source: Source) -> Numbers:
    seconds = offset.values * SECONDS[source.utc_offset_unit]
    is_bad = offset.is_bad | (np.abs(seconds) > MAX_OFFSET_S)
    return Numbers(np.where(is_bad, 0.0, seconds), offset.is_missing, is_bad)


def _timestamps(times: Times) -> pa.Array:
    is_null = times.is_missing | times.is_bad
    return nullable(times.values, is_null).cast(RAW_PINGS.schema.field("tracked_at").type)


def _accuracies(accuracy: Numbers) -> pa.Array:
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which the stage refuses
        values = accuracy.values.astype(np.float32)
    return nullable(values, accuracy.is_missing | accuracy.is_bad)


def _fault_texts(n_rows: int, faults: tuple[tuple[str, NDArray[np.bool_]], ...]) -> pa.Array:
    """Return the fault of each row, null where there is none; later entries of `faults` come first."""
    found = [(name, mask) for name, mask in faults if mask.any()]
    if not found:
        return pa.nulls(n_rows, pa.string())
    codes = np.full(n_rows, NO_FAULT, np.int64)
    for name, mask in found:
        codes[mask] = REASONS.index(name)
    return pa.array([*REASONS, None], pa.string()).take(pa.array(codes))
