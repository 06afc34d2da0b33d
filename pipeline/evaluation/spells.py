"""True spells of employment out of a table: CSV or Parquet, one row a spell of one status."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.evaluation.columns import read_columns, to_texts
from pipeline.evaluation.tables import TruthFile, table_sources
from pipeline.sources import SourceError
from pipeline.sources.hashing import IdHasher
from pipeline.sources.numbers import plain
from pipeline.sources.times import to_times
from pipeline.study import Source, StudyError

SPELL_ROLES = ("device_id", "started_on", "finished_on", "status", "is_remote")
STATUSES = ("employed", "remote", "not_employed", "none")
"""True statuses in the order of their numbers. Remote: employed, and working away from the workplace all the time.
None: without a job that could be lost."""
EMPLOYED, REMOTE, NOT_EMPLOYED, NONE = range(4)
UNKNOWN = -1
TRUE_TEXTS = frozenset(["true", "t", "1", "yes", "y"])
DAY_US = 86_400_000_000


class TrueSpells(NamedTuple):
    """Spells of a table, and how many of its rows could not be used."""

    spells: pd.DataFrame
    """device_id, first and last (local days since 1970, both included), status (its number)."""
    n_rows: int
    n_unusable: int
    """Rows without device, date or known status, that finish before they start, or with a wrong number of fields."""


def read_true_spells(file: TruthFile, key: bytes) -> TrueSpells:
    """Return the true spells of a table, ids hashed with `key` as those of the pings are.

    Columns, named by `file`: device_id (the source's own id), started_on and finished_on (local dates, both
    included), status (employed, not_employed, none), and is_remote, which may be absent: then nobody is.
    StudyError where there is no such file or column, or no row that can be read.
    """
    hasher = IdHasher(key)
    parts, n_malformed = [], 0
    try:
        for path, source in table_sources(file, "started_on"):
            names = [file.columns[role] for role in SPELL_ROLES[:-1]]
            remote = file.columns["is_remote"]
            if _has_column(path, source, remote):
                names.append(remote)
            for _, columns, n_unread in read_columns(path, source, names):
                n_malformed += n_unread
                of_role = {role: columns[name] for role, name in file.columns.items() if name in columns}
                parts.append(_read(of_role, source, hasher))
    except SourceError as error:
        raise StudyError(f"--truth: {error}") from None
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise StudyError(f"--truth: {'; '.join(problems)}") from None
    if not any(len(part) for part in parts):
        raise StudyError(f"--truth: {file.path} holds no row that can be read")
    rows = pd.concat(parts, ignore_index=True)
    is_usable = rows.pop("is_usable")
    spells = rows[is_usable].sort_values(["device_id", "first"], kind="stable", ignore_index=True)
    return TrueSpells(spells, len(rows) + n_malformed, int((~is_usable).sum()) + n_malformed)


def _has_column(path: Path, source: Source, name: str) -> bool:
    """Whether a file has a column; what else is wrong with it is told by whoever reads it."""
    try:
        next(read_columns(path, source, [name]), None)
    except SourceError:
        return False
    return True


def _read(columns: dict[str, pa.Array], source: Source, hasher: IdHasher) -> pd.DataFrame:
    """Return device, first and last day, status and whether the row is usable, of each row of a block."""
    ids = hasher.hash_column(columns["device_id"])
    started, finished = (to_times(plain(columns[role]), source) for role in ("started_on", "finished_on"))
    first, last = started.values // DAY_US, finished.values // DAY_US
    status = _numbers(to_texts(columns["status"]))
    if "is_remote" in columns:
        texts = to_texts(columns["is_remote"]).to_pylist()
        is_remote = np.array([(text or "").lower() in TRUE_TEXTS for text in texts], np.bool_)
        status = np.where((status == EMPLOYED) & is_remote, REMOTE, status)
    is_usable = ids.is_valid().to_numpy(zero_copy_only=False) & (last >= first) & (status != UNKNOWN)
    for times in (started, finished):
        is_usable &= ~(times.is_missing | times.is_bad)
    return pd.DataFrame(
        {
            "device_id": ids.fill_null(0).to_numpy(),
            "first": first,
            "last": last,
            "status": status,
            "is_usable": is_usable,
        }
    )


def _numbers(texts: pa.Array) -> NDArray[np.int64]:
    """Return the number of each status, UNKNOWN for other texts."""
    known = {name: number for number, name in enumerate(STATUSES)}
    return np.array([known.get((text or "").lower(), UNKNOWN) for text in texts.to_pylist()], np.int64)


def status_by_day(spells: pd.DataFrame, device_id: NDArray[np.int64], first_day: int, n_days: int) -> NDArray[np.int8]:
    """Return the true status of devices (in rising order) on each day: shape (n_devices, n_days), UNKNOWN where no
    spell says. Of spells of one device that overlap, the one that starts later is believed."""
    found = np.full((device_id.size, n_days), UNKNOWN, np.int8)
    known = spells[spells["device_id"].isin(device_id)]
    row = np.searchsorted(device_id, known["device_id"].to_numpy())
    first = np.clip(known["first"].to_numpy() - first_day, 0, n_days)
    stop = np.clip(known["last"].to_numpy() - first_day + 1, 0, n_days)
    for k, a, b, status in zip(row, first, stop, known["status"].to_numpy(), strict=True):
        found[k, a:b] = status
    return found


def status_by_week(by_day: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return the status of most known days of each week of seven columns, the first of STATUSES of equals."""
    n_devices, n_weeks = by_day.shape[0], by_day.shape[1] // 7
    weeks = by_day.reshape(n_devices, n_weeks, 7)
    counts = np.stack([(weeks == number).sum(axis=2) for number in range(len(STATUSES))], axis=2)
    return np.where(counts.any(axis=2), counts.argmax(axis=2), UNKNOWN).astype(np.int8)
