"""Times of any kind to microseconds since 1970, UTC.

An offset inside a time text places the instant and nothing more: exports write +00 whatever the
local time was, so it is not read as the row's local offset (that has a column of its own).
"""

import re
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.kernels.quarters import by_quarter
from pipeline.sources.errors import SourceError
from pipeline.sources.numbers import blank_to_null, is_text, to_mask, to_numbers
from pipeline.study import Source

MIN_US, MAX_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Years 1 to 9999, what Python's datetime holds. Other instants are errors of unit."""
UNITS_PER_S = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
US_PER_S = 1_000_000
NO_OFFSET = -(2**62)

ISO_TIME = r"^\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d(\.\d{1,6})?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?$"
ISO_ZONE = r":.*(Z|[+-]\d\d(:?\d\d)?)$|[T ]\d\d(Z|[+-]\d\d(:?\d\d)?)$"


class Times(NamedTuple):
    """Instants: µs since 1970 UTC, 0 where there is none; the masks say why."""

    values: NDArray[np.int64]
    is_missing: NDArray[np.bool_]
    is_bad: NDArray[np.bool_]


def to_times(column: pa.Array, source: Source) -> Times:
    """Return the instants of a column of timestamps, numbers or texts, by the source's declaration.

    Local times take ``source.time_zone``; those that a clock change repeats or leaves out are bad.
    Fractions finer than a microsecond are cut off. SourceError where the column's type cannot hold
    times, or holds numbers of an undeclared unit.
    """
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(column.type):
        return _from_timestamps(column, source)
    if source.time_unit != "text":
        return _from_numbers(column, UNITS_PER_S[source.time_unit])
    if pa.types.is_null(column.type):
        return _nothing(len(column))
    if not is_text(column.type):
        raise SourceError(f"the time column is {column.type}: say time_unit (s, ms, us or ns)")
    return _from_format(column, source) if source.time_format else _from_iso(column, source)


def _nothing(n_rows: int) -> Times:
    return Times(np.zeros(n_rows, np.int64), np.ones(n_rows, np.bool_), np.zeros(n_rows, np.bool_))


def _from_timestamps(column: pa.Array, source: Source) -> Times:
    is_missing = to_mask(column.is_null())
    ticks = column.cast(pa.int64()).fill_null(0).to_numpy()
    values, is_bad = _scale(ticks, UNITS_PER_S[column.type.unit])
    if column.type.tz is None:
        values, is_ambiguous = local_to_utc(values, source.time_zone)
        is_bad = is_bad | is_ambiguous
    return Times(values, is_missing, is_bad & ~is_missing)


def _scale(ticks: NDArray[np.int64], units_per_s: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return ticks as µs, rounded down, and which are out of range (those are 0)."""
    if units_per_s > US_PER_S:
        ticks = ticks // (units_per_s // US_PER_S)
        factor = 1
    else:
        factor = US_PER_S // units_per_s
    # Bounds in ticks, so that nothing overflows before it is looked at.
    low, high = -(-MIN_US // factor), MAX_US // factor
    if len(ticks) and (ticks.min() < low or ticks.max() > high):
        is_bad = (ticks < low) | (ticks > high)
        return np.where(is_bad, 0, ticks) * factor, is_bad
    return ticks * factor, np.zeros(len(ticks), np.bool_)


def _from_numbers(column: pa.Array, units_per_s: int) -> Times:
    """Return instants from numbers; whole ones exactly, fractions rounded to the microsecond."""
    try:
        whole = column.cast(pa.int64())
        is_missing = to_mask(whole.is_null()) if whole.null_count else np.zeros(len(whole), np.bool_)
        values, is_bad = _scale((whole.fill_null(0) if whole.null_count else whole).to_numpy(), units_per_s)
        return Times(values, is_missing, is_bad & ~is_missing)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        numbers = to_numbers(column, "of times")
    us = numbers.values / units_per_s * US_PER_S
    is_bad = numbers.is_bad | (us < MIN_US) | (us > MAX_US)
    return Times(np.rint(np.where(is_bad, 0.0, us)).astype(np.int64), numbers.is_missing, is_bad)


def _from_iso(texts: pa.Array, source: Source) -> Times:
    """Return instants from ISO 8601 texts: all of them as the first one is written, else one by one."""
    # Guessing wrong is dear: Arrow writes a message for every text that it cannot cast.
    first = next((value.as_buffer().to_pybytes() for value in texts if value.is_valid), b"")
    zone = "UTC" if re.search(ISO_ZONE.encode(), first) else None
    try:
        return _from_timestamps(texts.cast(pa.timestamp("us", zone)), source)
    except pa.ArrowInvalid:
        return _from_mixed_iso(texts, source)


def _from_mixed_iso(texts: pa.Array, source: Source) -> Times:
    texts = _tidy(blank_to_null(texts))
    is_missing = to_mask(texts.is_null())
    is_iso = to_mask(pc.match_substring_regex(texts, ISO_TIME).fill_null(False))
    is_zoned = to_mask(pc.match_substring_regex(texts, ISO_ZONE).fill_null(False)) & is_iso
    values = np.zeros(len(texts), np.int64)
    is_bad = ~is_missing & ~is_iso
    for rows, zone in ((is_zoned, "UTC"), (is_iso & ~is_zoned, source.time_zone)):
        parsed = pd.to_datetime(texts.filter(pa.array(rows)).to_pandas(), format="ISO8601", errors="coerce", utc=True)
        values[rows], is_bad[rows] = _settle(parsed, zone)
    return Times(values, is_missing, is_bad)


def _tidy(texts: pa.Array) -> pa.Array:
    """Return texts with the spellings of zone and fraction that databases export brought to one."""
    texts = pc.replace_substring_regex(texts, r"(\d)[tT](\d)", r"\1T\2")
    texts = pc.replace_substring_regex(texts, r"\s*(UTC|GMT|[zZ])$", "Z")
    texts = pc.replace_substring_regex(texts, r"\s+([+-]\d\d(:?\d\d)?)$", r"\1")
    return pc.replace_substring_regex(texts, r"[.,](\d{1,6})\d*", r".\1")


def _from_format(texts: pa.Array, source: Source) -> Times:
    texts = blank_to_null(texts)
    is_missing = to_mask(texts.is_null())
    has_zone = "%z" in str(source.time_format) or "%Z" in str(source.time_format)
    parsed = pd.to_datetime(texts.to_pandas(), format=source.time_format, errors="coerce", utc=True)
    values, is_bad = _settle(parsed, "UTC" if has_zone else source.time_zone)
    return Times(values, is_missing, is_bad & ~is_missing)


def _settle(parsed: "pd.Series[pd.Timestamp]", zone: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (µs UTC, bad) of parsed clock times of `zone`."""
    is_bad = parsed.isna().to_numpy()
    ticks = parsed.astype("datetime64[us, UTC]").astype("int64").to_numpy()
    values, is_ambiguous = local_to_utc(np.where(is_bad, 0, ticks), zone)
    return np.where(is_bad, 0, values), is_bad | is_ambiguous


def local_to_utc(local_us: NDArray[np.int64], zone: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (µs UTC, bad) of local clock times: bad are those that occur twice or never."""
    if zone == "UTC":
        return local_us, np.zeros(len(local_us), np.bool_)
    offset_us = by_quarter(local_us, partial(_offset_us, zone=ZoneInfo(zone)))
    is_bad = offset_us == NO_OFFSET
    return np.where(is_bad, 0, local_us - offset_us), is_bad


def _offset_us(local_us: int, zone: ZoneInfo) -> int:
    """Return local minus UTC of one clock time in µs; NO_OFFSET where it occurs twice or never."""
    clock = datetime(1970, 1, 1, tzinfo=zone) + timedelta(microseconds=local_us)
    # PEP 495: the two folds of a clock time have one offset exactly where it occurs once.
    first, second = (clock.replace(fold=fold).utcoffset() for fold in (0, 1))
    return NO_OFFSET if first != second else round(first.total_seconds() * US_PER_S)  # type: ignore[union-attr]
