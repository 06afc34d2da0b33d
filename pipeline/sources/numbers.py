"""Numbers out of columns of any type, value by value: a text that is no number spoils its row alone."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.sources.errors import SourceError

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
MISSING_TEXTS = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>", "\\N")
"""Texts that stand for no value, in delimited files and in text columns of Parquet alike."""


class Numbers(NamedTuple):
    """A column of numbers: `values` are finite, 0 where there is none; the masks say why."""

    values: NDArray[np.float64]
    is_missing: NDArray[np.bool_]
    is_bad: NDArray[np.bool_]


def to_numbers(column: pa.Array, name: str) -> Numbers:
    """Return the float64 values of `column`, which rows have none, and which are unreadable or infinite.

    SourceError where a whole column is of a type that holds no numbers.
    """
    is_missing = np.zeros(len(column), np.bool_)
    is_bad = is_missing.copy()
    if is_text(column.type):
        column, is_missing, is_bad = _parse(column)
    elif not (_is_number(column.type) or pa.types.is_null(column.type)):
        raise SourceError(f"column {name} is {column.type}, which holds no numbers")
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    is_finite = np.isfinite(values)
    if is_finite.all():
        return Numbers(values, is_missing, is_bad)
    is_bad = is_bad | np.isinf(values)
    return Numbers(np.where(is_finite, values, 0.0), is_missing | (np.isnan(values) & ~is_bad), is_bad)


def plain(column: pa.Array) -> pa.Array:
    """Return `column` without dictionary encoding, long texts as texts."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()) if is_text(column.type) and column.type != pa.string() else column


def is_text(dtype: pa.DataType) -> bool:
    """Say whether a column type holds text."""
    return pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype)


def _is_number(dtype: pa.DataType) -> bool:
    return pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype)


def _parse(texts: pa.Array) -> tuple[pa.Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (float64 array with nulls, missing, bad) of texts; the fast way if all of them are numbers."""
    try:
        values = texts.cast(pa.float64())
        return values, to_mask(texts.is_null()), np.zeros(len(texts), np.bool_)
    except pa.ArrowInvalid:
        texts = blank_to_null(texts)
    is_number = pc.match_substring_regex(texts, NUMBER)
    readable = pc.if_else(is_number, pc.replace_substring_regex(texts, r"^\+", ""), None)
    is_bad = to_mask(pc.invert(pc.fill_null(is_number, True)))
    return readable.cast(pa.float64()), to_mask(texts.is_null()), is_bad


def blank_to_null(texts: pa.Array) -> pa.Array:
    """Return texts trimmed of blanks, null where nothing or a word for nothing is left."""
    trimmed = pc.ascii_trim_whitespace(texts)
    return pc.if_else(pc.is_in(trimmed, pa.array(MISSING_TEXTS)), None, trimmed)


def to_mask(mask: pa.Array) -> NDArray[np.bool_]:
    """Return an arrow mask without nulls as a numpy mask."""
    return mask.to_numpy(zero_copy_only=False)
