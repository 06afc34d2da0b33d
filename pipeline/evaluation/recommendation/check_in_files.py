"""Check-ins, places and friendships out of tables: CSV or Parquet, plain or compressed; every row is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.evaluation.columns import Block, read_columns, to_texts
from pipeline.evaluation.tables import TruthFile, table_sources
from pipeline.sources import SourceError, delimited, parquet
from pipeline.sources.numbers import plain, to_numbers
from pipeline.sources.times import Times, to_times
from pipeline.study import Source, StudyError

CHECK_IN_ROLES = ("person", "place", "time")
PLACE_TEXTS = ("name", "category", "area")
PLACE_ROLES = (*PLACE_TEXTS, "lon", "lat")
FRIEND_ROLES = ("person", "friend")
MALFORMED, NO_PERSON, NO_PLACE, NO_TIME, BAD_TIME = "malformed_row", "no_person", "no_place", "no_time", "bad_time"
BAD_POSITION = "bad_position"
IS_BAD = "is_bad_position"
MAX_LON, MAX_LAT = 180.0, 90.0


class Table(NamedTuple):
    """Where rows are told, and how."""

    path: str
    """File, folder or glob, relative to the working folder."""
    columns: dict[str, str]
    """Role → column, of those that are named otherwise."""
    option: str
    """What the user called the table by, for errors."""
    time_unit: str = "text"
    """"text" (ISO 8601), "s", "ms", "us" or "ns"; for columns that are no timestamps."""
    time_zone: str = "UTC"
    """Zone of times without an offset."""


def parse_roles(text: str | None, roles: tuple[str, ...], option: str) -> dict[str, str]:
    """Return role → column of a text such as "person=user,place=venue"; roles left out are not in it."""
    columns = dict[str, str]()
    for part in filter(str.strip, (text or "").split(",")):
        role, separator, column = (word.strip() for word in part.partition("="))
        if not separator or role not in roles or not column:
            raise StudyError(f"{option} {part!r}: write ROLE=COLUMN, where ROLE is one of {', '.join(roles)}")
        columns[role] = column
    return columns


def read_check_in_rows(table: Table) -> tuple[pd.DataFrame, Counter[str]]:
    """Return the rows that can be used, and how many cannot, by reason; a bad position costs itself, not its row.

    Columns: person, place (text), at_us (µs since 1970 UTC), name, category, area (text or None) and lon, lat (degrees,
    NaN where there is none), the last five empty where the file has no such column. StudyError, naming the option,
    where there is no such file or column.
    """
    parts, reasons = [], Counter[str]()
    for block, source, named in _blocks(table, CHECK_IN_ROLES, PLACE_ROLES, "time"):
        reasons[MALFORMED] += block.n_malformed
        columns = {role: plain(block.columns[name]) for role, name in named.items()}
        times = to_times(columns["time"], source)
        frame = _place_columns(columns).assign(person=_texts(columns["person"]), at_us=times.values)
        fault = _faults(frame, times)
        reasons.update(fault[fault != ""].tolist())
        reasons[BAD_POSITION] += int(frame.pop(IS_BAD)[fault == ""].sum())
        parts.append(frame[fault == ""])
    return _joined(parts, table, reasons), +reasons


def read_place_rows(table: Table) -> tuple[pd.DataFrame, Counter[str]]:
    """Return what a table tells of places (place, name, category, area, lon, lat), and rows without a place."""
    parts, reasons = [], Counter[str]()
    for block, _, named in _blocks(table, ("place",), PLACE_ROLES, "place"):
        reasons[MALFORMED] += block.n_malformed
        frame = _place_columns({role: plain(block.columns[name]) for role, name in named.items()})
        is_named = frame["place"].notna()
        reasons[NO_PLACE] += int((~is_named).sum())
        reasons[BAD_POSITION] += int(frame.pop(IS_BAD)[is_named].sum())
        parts.append(frame[is_named])
    return _joined(parts, table, reasons), +reasons


def read_friend_rows(table: Table) -> tuple[pd.DataFrame, Counter[str]]:
    """Return pairs of friends (person, friend: texts), and rows that lack one of the two."""
    parts, reasons = [], Counter[str]()
    for block, _, named in _blocks(table, FRIEND_ROLES, (), "person"):
        reasons[MALFORMED] += block.n_malformed
        frame = pd.DataFrame({role: _texts(block.columns[name]) for role, name in named.items()}, dtype=object)
        is_pair = frame.notna().all(axis=1)
        reasons[NO_PERSON] += int((~is_pair).sum())
        parts.append(frame[is_pair])
    return _joined(parts, table, reasons), +reasons


def _blocks(
    table: Table, required: tuple[str, ...], optional: tuple[str, ...], time_role: str
) -> Iterator[tuple[Block, Source, dict[str, str]]]:
    """Yield the blocks of a table's files, each with its source and role → column of what it has."""
    wanted = {role: table.columns.get(role, role) for role in (*required, *optional)}
    told = TruthFile(table.path, {"device_id": wanted[required[0]], time_role: wanted[time_role]}, *table[3:])
    try:
        for path, source in table_sources(told, time_role):
            there = _names(path, source)
            named = {r: name for r, name in wanted.items() if r in required or r in table.columns or name in there}
            for block in read_columns(path, source, list(named.values())):
                yield block, source, named
    except SourceError as error:
        raise StudyError(f"{table.option}: {error}") from None
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise StudyError(f"{table.option}: {'; '.join(problems)}") from None


def _names(path: Path, source: Source) -> list[str]:
    names, _ = parquet.column_names(path) if source.format == "parquet" else delimited.column_names(path, source)
    return names


def _texts(column: pa.Array) -> NDArray[np.object_]:
    return np.array(to_texts(column).to_pylist(), dtype=object)


def _place_columns(columns: dict[str, pa.Array]) -> pd.DataFrame:
    """Return what a block tells of places, columns it lacks empty."""
    place = _texts(columns["place"])
    nothing = np.full(len(place), None, dtype=object)
    texts = {role: _texts(columns[role]) if role in columns else nothing for role in PLACE_TEXTS}
    lon, lat = (_degrees(columns, role, limit, len(place)) for role, limit in (("lon", MAX_LON), ("lat", MAX_LAT)))
    is_located = np.isfinite(lon) & np.isfinite(lat)
    degrees = {"lon": np.where(is_located, lon, np.nan), "lat": np.where(is_located, lat, np.nan)}
    return pd.DataFrame({"place": place, **texts, **degrees, IS_BAD: np.isinf(lon) | np.isinf(lat)})


def _degrees(columns: dict[str, pa.Array], role: str, limit: float, n_rows: int) -> NDArray[np.float64]:
    """Return degrees, NaN where there are none, infinity where they are no number or none that the Earth has."""
    if role not in columns:
        return np.full(n_rows, np.nan)
    numbers = to_numbers(columns[role], role)
    is_bad = numbers.is_bad | (np.abs(numbers.values) > limit)
    return np.where(is_bad, np.inf, np.where(numbers.is_missing, np.nan, numbers.values))


def _faults(frame: pd.DataFrame, times: Times) -> NDArray[np.object_]:
    """Return why each row cannot be used, the first reason that holds, "" where it can."""
    reasons = (
        (NO_PERSON, frame["person"].isna().to_numpy()),
        (NO_PLACE, frame["place"].isna().to_numpy()),
        (NO_TIME, times.is_missing),
        (BAD_TIME, times.is_bad),
    )
    fault = np.full(len(frame), "", dtype=object)
    for reason, is_so in reversed(reasons):
        fault[is_so] = reason
    return fault


def _joined(parts: list[pd.DataFrame], table: Table, reasons: Counter[str]) -> pd.DataFrame:
    if not any(len(part) for part in parts):
        why = ", ".join(f"{reason} {n:,}" for reason, n in reasons.items() if n)
        told = f" ({why})" if why else ""
        raise StudyError(f"{table.option}: {Path(table.path).name} holds no row that can be used{told}")
    return pd.concat([part for part in parts if len(part)], ignore_index=True)
