"""Which shards of `pings` a load would build, and whether they come out different: waiting files are read, none kept.

Rows are compared with those of the shard as it is, by two hashes: of the key (device, time, position), of which a new
one makes another shard for certain, and of the whole row, of which repetitions change nothing. A row with a known
key and other facts (a better accuracy radius, say) may change the shard or not: only merging would tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts import PINGS
from pipeline.engine.books import Batch, Books, Todo, file_name, rows_brought
from pipeline.engine.ingest import read_accepted
from pipeline.engine.numbering import numbering, shard_key
from pipeline.engine.outlook import Fate, Outlook, ShardReport
from pipeline.engine.plan import Work
from pipeline.engine.store import ShardKey
from pipeline.engine.withdrawals import read_withdrawals
from pipeline.sources import SourceError, split_file

MAX_BYTES = 512 << 20
"""Bytes of waiting files that a dry run reads unless it is told to read all (ours: about a minute)."""
FILES = "source files"
Hashes = NDArray[np.uint64]


class Reached:
    """What is known of one shard of `pings` that waiting files reach."""

    def __init__(self, work: Work, key: ShardKey, is_spoilt: bool) -> None:
        """Compare with the shard as it is, all rows of which are given up if `is_spoilt`."""
        self.key, self.is_spoilt = key, is_spoilt
        self.brought = rows_brought(work.store, key)
        self.batches = Counter[str]()
        self.is_new = not self.brought
        self.is_other = self.has_variants = False
        if not self.is_new:
            old_keys, old_rows = row_hashes(work.store.read(PINGS, key))
            self._keys, self._rows = np.sort(old_keys), np.sort(old_rows)
            self._is_found = np.zeros(len(old_rows), np.bool_)

    def add(self, batch_id: str, keys: Hashes, rows: Hashes) -> None:
        """Take in rows that a batch brings; none where all that it has are of withdrawn devices."""
        self.batches[batch_id] += len(keys)
        if self.is_new or self.is_other or (not self.is_spoilt and batch_id in self.brought):
            return
        self.is_other = not _is_in(keys, self._keys).all()
        is_known = _is_in(rows, self._rows)
        self.has_variants |= not is_known.all()
        self._is_found[np.searchsorted(self._rows, rows[is_known])] = True

    @property
    def is_built(self) -> bool:
        """Whether the load would write the shard."""
        return self.is_spoilt or any(batch_id not in self.brought for batch_id in self.batches)

    @property
    def fate(self) -> Fate:
        """What becomes of the shard."""
        if self.is_new:
            return Fate.APPEARS
        if not self.is_built:
            return Fate.STAYS
        if self.is_other:
            return Fate.CHANGES
        if self.has_variants:
            return Fate.MAY_CHANGE
        # Nothing but rows that it has: it comes out another only if it also had some that no file brings now.
        is_missing = self.is_spoilt and not self._is_found.all()
        return Fate.CHANGES if is_missing else Fate.STAYS


def _is_in(values: Hashes, ordered: Hashes) -> NDArray[np.bool_]:
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[places] == values)


def row_hashes(rows: pa.Table) -> tuple[Hashes, Hashes]:
    """Return the hash of the key of every row of PINGS, and of the whole row but `is_jump`."""
    keys = np.zeros(rows.num_rows, np.uint64)
    for name in PINGS.key:
        keys = _mix(keys, rows[name])
    whole = keys
    for name in ("accuracy_m", "utc_offset_s"):
        whole = _mix(whole, rows[name])
    return keys, whole


def _mix(so_far: Hashes, column: pa.ChunkedArray) -> Hashes:
    plain = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    values = plain.to_numpy()
    # Adding zero turns -0.0 into 0.0, as merging does.
    values = values + values.dtype.type(0)
    found: Hashes = pd.util.hash_array(so_far * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(values))
    return found


def forecast(
    work: Work, batches: Sequence[Batch], todo: Todo, books: Books, key: bytes, outlook: Outlook, max_bytes: int | None
) -> Iterator[ShardReport]:
    """Yield the state of each source file, then of each shard of `pings`, and note what becomes of the shards.

    Waiting files are read unless they are larger than `max_bytes` together (None: there is no limit).
    """
    is_read = max_bytes is None or sum(batch.n_bytes for batch in todo.batches) <= max_bytes
    reached, trouble = _read(work, todo, key) if is_read else ({}, {})
    yield from _files(work, batches, todo, books, trouble, is_read)
    names = {batch.batch_id: file_name(work, batch.path) for batch in todo.batches}
    known = {key.path: key for key in work.store.keys(PINGS)}
    spoilt, lacking = set(todo.spoilt), set(todo.lacking)
    for path in sorted({*known, *reached, *spoilt, *lacking}):
        found = reached.get(path)
        if found and found.is_built:
            yield _built(outlook, found, names)
        elif path in spoilt:
            yield _spoilt(outlook, shard_key(path), is_read)
        elif path in lacking:
            yield _lacking(outlook, shard_key(path), path in known)
        elif is_read or not todo.batches:
            yield ShardReport(PINGS.name, path, "current")
        else:
            outlook.note(PINGS, known[path], Fate.MAY_CHANGE)
            yield ShardReport(PINGS.name, path, "waiting", ("source files may reach it",))


def _read(work: Work, todo: Todo, key: bytes) -> tuple[dict[str, Reached], dict[str, str]]:
    """Return what is known of every shard that the files to be read reach, and what is wrong with unreadable ones."""
    reached: dict[str, Reached] = {}
    trouble: dict[str, str] = {}
    spoilt = set(todo.spoilt)
    for batch in todo.batches:
        try:
            for path, part in _parts(work, batch, key):
                if path not in reached:
                    reached[path] = Reached(work, shard_key(path), path in spoilt)
                reached[path].add(batch.batch_id, *row_hashes(part))
        except SourceError as error:
            trouble[batch.batch_id] = str(error)
    for found in reached.values():
        for batch_id in trouble:
            found.batches.pop(batch_id, None)
    return {path: found for path, found in reached.items() if found.batches}, trouble


def _parts(work: Work, batch: Batch, key: bytes) -> Iterator[tuple[str, pa.Table]]:
    """Yield the accepted rows of a batch block by block, those of each shard together, without withdrawn devices."""
    shards_of, withdrawals = numbering(work), read_withdrawals(work.store.root, key)
    for piece in split_file(batch.path, batch.source):
        for _, accepted, _ in read_accepted(work, piece, key):
            numbers = shards_of.of_rows(accepted)
            order = np.argsort(numbers, kind="stable")
            rows, numbers = accepted.take(pa.array(order)), numbers[order]
            found, starts = np.unique(numbers, return_index=True)
            for number, start, end in zip(found, starts, np.append(starts, len(numbers))[1:], strict=True):
                yield shards_of.key(int(number)).path, withdrawals.split(rows.slice(start, end - start))[0]


def _files(
    work: Work, batches: Sequence[Batch], todo: Todo, books: Books, trouble: Mapping[str, str], is_read: bool
) -> Iterator[ShardReport]:
    to_read = {batch.batch_id for batch in todo.batches}
    for batch in batches:
        why: tuple[str, ...] = ()
        state = "current"
        if batch.batch_id not in books.records:
            state, why = "missing", (why_new(batch, books),)
        elif batch.batch_id in to_read:
            has_moved = not books.records[batch.batch_id].reach.fits(work.study)
            told = "dates of it came into the study or left it" if has_moved else "shards it reached are built anew"
            state, why = "stale", (told,)
        if batch.batch_id in trouble:
            why = (trouble[batch.batch_id],)
        elif why and not is_read:
            why = (*why, "not read: which shards it reaches is not known (--read-all)")
        yield ShardReport(FILES, file_name(work, batch.path), state, why)
    for name, why_not in todo.refused.items():
        yield ShardReport(FILES, name, "missing", (f"cannot be read: {why_not}",))
    for batch_id in todo.outdated:
        files = ", ".join(books.records[batch_id].files)
        yield ShardReport(FILES, files, "stale", ("its rows are to go",))


def why_new(batch: Batch, books: Books) -> str:
    """Return why a file is to be read: it is new, its contents changed, or it is read in another way."""
    before = [r for r in books.records.values() if set(r.files) & set(batch.files)]
    if not before:
        return "never loaded"
    return "its contents changed" if any(r.reading == batch.reading for r in before) else "it is read otherwise now"


def _built(outlook: Outlook, found: Reached, names: Mapping[str, str]) -> ShardReport:
    outlook.note(PINGS, found.key, found.fate)
    why = tuple(f"{n:,} rows of {names[batch_id]}" for batch_id, n in sorted(found.batches.items()))
    if found.fate is Fate.STAYS:
        why = (*why, "all there already")
    return ShardReport(PINGS.name, found.key.path, "missing" if found.is_new else "stale", why)


def _spoilt(outlook: Outlook, key: ShardKey, is_read: bool) -> ShardReport:
    outlook.note(PINGS, key, Fate.GOES if is_read else Fate.DOUBTFUL)
    why = "no row of it is left" if is_read else "its source files changed"
    return ShardReport(PINGS.name, key.path, "stale", (why,))


def _lacking(outlook: Outlook, key: ShardKey, is_there: bool) -> ShardReport:
    """Report a shard that is to get rows again, of files that were not read here."""
    outlook.note(PINGS, key, Fate.MAY_CHANGE if is_there else Fate.DOUBTFUL)
    why = "it lacks rows that source files brought"
    return ShardReport(PINGS.name, key.path, "stale" if is_there else "missing", (why,))
