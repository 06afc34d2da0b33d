"""True stays out of a table: CSV or Parquet, one row a stay."""

import contextlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.evaluation.columns import read_columns, to_texts
from pipeline.evaluation.periods import Periods, sorted_periods
from pipeline.sources import SourceError, find_files
from pipeline.sources.hashing import IdHasher
from pipeline.sources.numbers import plain
from pipeline.sources.pieces import ENDINGS
from pipeline.sources.streams import open_stream
from pipeline.sources.times import to_times
from pipeline.study import ColumnMap, Source, StudyError

ROLES = ("device_id", "started_at", "finished_at", "place_id")
DELIMITERS = ",;\t|"
HEADER_BYTES = 1 << 12


class TruthFile(NamedTuple):
    """Where true stays are told, and how."""

    path: str
    """File, folder or glob, relative to the working folder."""
    columns: dict[str, str]
    """Role (of true stays: device_id, started_at, finished_at, place_id) → column."""
    time_unit: str = "text"
    """"text" (ISO 8601), "s", "ms", "us" or "ns"; for columns that are no timestamps."""
    time_zone: str = "UTC"
    """Zone of times without an offset."""


class TrueStays(NamedTuple):
    """Stays of a table, and how many of its rows could not be used."""

    stays: Periods
    n_rows: int
    n_unusable: int
    """Rows without device or time, that finish before they start, or with too few or too many fields."""


def parse_columns(text: str | None, roles: tuple[str, ...] = ROLES, option: str = "--truth-columns") -> dict[str, str]:
    """Return role → column of a text such as "device_id=uid,started_at=begin"; what is left out keeps its name."""
    columns = dict(zip(roles, roles, strict=True))
    for part in (text or "").split(","):
        role, separator, column = (word.strip() for word in part.partition("="))
        if part.strip() and (not separator or role not in roles or not column):
            raise StudyError(f"{option} {part!r}: write ROLE=COLUMN, where ROLE is one of {', '.join(roles)}")
        if part.strip():
            columns[role] = column
    return columns


def read_true_stays(file: TruthFile, key: bytes, has_place: bool = False) -> TrueStays:
    """Return the true stays of a table, ids hashed with `key` as those of the pings are.

    Ids are the source's own. With `has_place` the column of places is read; a row without one is at no known
    place. StudyError where there is no such file or column.
    """
    roles = ROLES if has_place else ROLES[:3]
    hasher, places = IdHasher(key), dict[str, int]()
    parts, n_malformed = [], 0
    try:
        for path, told in table_sources(file, ROLES[1]):
            for _, columns, n_unread in read_columns(path, told, [file.columns[role] for role in roles]):
                n_malformed += n_unread
                parts.append(_read({role: columns[file.columns[role]] for role in roles}, told, hasher, places))
    except SourceError as error:
        raise StudyError(f"--truth: {error}") from None
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise StudyError(f"--truth: {'; '.join(problems)}") from None
    if not any(part[0].size for part in parts):
        raise StudyError(f"--truth: {file.path} holds no row that can be read")
    device, started, finished, place, is_usable = (np.concatenate(column) for column in zip(*parts, strict=True))
    stays = sorted_periods(device[is_usable], started[is_usable], finished[is_usable], place[is_usable])
    return TrueStays(stays, is_usable.size + n_malformed, int((~is_usable).sum()) + n_malformed)


def table_sources(file: TruthFile, time_role: str) -> list[tuple[Path, Source]]:
    """Return the files of a table, each as a source of rows with the delimiter it is written with."""
    source = _source(file, time_role)
    is_text = source.format == "delimited"
    paths = find_files(source, Path.cwd())
    return [(p, source.model_copy(update={"delimiter": _delimiter(p)}) if is_text else source) for p in paths]


def _source(file: TruthFile, time_role: str) -> Source:
    """Return the table as a source of rows: Parquet by its ending or those of the files in the folder, else text.

    StudyError where there is both: one would be left out unseen.
    """
    names = ColumnMap(device_id=file.columns["device_id"], tracked_at=file.columns[time_role], lon="-", lat="-")
    known = {"path": file.path, "columns": names, "time_unit": file.time_unit, "time_zone": file.time_zone}
    sources = [Source(format="parquet", **known), Source(format="delimited", **known)]
    files = set[Path]()
    for source in sources:
        with contextlib.suppress(SourceError):  # whoever reads the files says what is missing
            files.update(find_files(source, Path.cwd()))
    is_parquet = [path.name.lower().endswith(ENDINGS["parquet"]) for path in files]
    if any(is_parquet) and not all(is_parquet):
        raise StudyError(f"--truth: {file.path} holds Parquet and text: name the one that holds the true stays")
    return sources[0] if any(is_parquet) else sources[1]


def _delimiter(path: Path) -> str:
    """Return the delimiter that occurs most often in the first line."""
    line = open_stream(path).read(HEADER_BYTES).decode("utf-8-sig", errors="replace").partition("\n")[0]
    return max(DELIMITERS, key=line.count)


def _read(
    columns: dict[str, pa.Array], source: Source, hasher: IdHasher, places: dict[str, int]
) -> tuple[NDArray[np.generic], ...]:
    """Return (device, start µs, finish µs, place, usable) of each row of a block."""
    ids = hasher.hash_column(columns["device_id"])
    started, finished = (to_times(plain(columns[role]), source) for role in ("started_at", "finished_at"))
    is_usable = ids.is_valid().to_numpy(zero_copy_only=False) & (finished.values >= started.values)
    for times in (started, finished):
        is_usable &= ~(times.is_missing | times.is_bad)
    place = np.full(is_usable.size, -1, np.int64)
    if "place_id" in columns:
        texts = to_texts(columns["place_id"]).to_pylist()
        place[:] = [-1 if text is None else places.setdefault(text, len(places)) for text in texts]
    return ids.fill_null(0).to_numpy(), started.values, finished.values, place, is_usable
