"""Which source files are loaded: batches, their records, and what a run has to load.

A batch is one source file under one reading: its identity is the hash of its contents, of the
declaration it is read by, of the code and of the key. Each shard's footer says how many rows of
which batch it holds, so a batch loaded twice, or again after a kill, changes nothing; a corrected
file replaces exactly the rows its older version brought.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from data_contracts import PINGS, REJECTED_PINGS
from pipeline.engine.digests import digest_files
from pipeline.engine.files import names_below, read_replaceable, reading, remove_file, write_json
from pipeline.engine.lineage import code_digest
from pipeline.engine.plan import RunMap, Work
from pipeline.engine.spans import UNFINISHED, Reach
from pipeline.engine.store import ShardKey, Store
from pipeline.engine.trouble import RunError
from pipeline.engine.withdrawals import read_withdrawals
from pipeline.params import digest
from pipeline.paths import is_remote, join
from pipeline.sources import (
    SourceError,
    find_files,
    is_device_in_name,
    possible_columns,
    settle_columns,
)
from pipeline.sources.hashing import hash_id, key_check
from pipeline.study import Source, Study

BOOKS = "_batches"
"""Folder of the records below a root."""
UNCOUNTED = 0
"""In place of a count of rows that a batch brought to a shard: some, but nobody knows how many, since the shard was cut
out of another one (`rebucket`)."""
RECORDS_PER_PAGE = 1_000
"""Most records in a file where they are put together (ours): one of them changes by writing all of its file."""


@dataclass(frozen=True)
class Batch:
    """One source file under one reading."""

    batch_id: str
    path: Path
    source: Source
    reading: str
    """Identity of all but the contents and the study's span: declaration, Params, code, zone, key."""
    files: tuple[str, ...]
    """Every name under which these contents are found now."""
    n_bytes: int
    """Size of the file."""


class Record(NamedTuple):
    """What is remembered of a batch once all of its rows are in the shards."""

    batch_id: str
    files: list[str]
    reading: str
    n_read: int
    n_rejected: int
    reasons: dict[str, int]
    shards: dict[str, int]
    """Path of each shard of `pings` the batch reached → rows it brought there, or `UNCOUNTED`. Those of withdrawn
    devices count."""
    reach: Reach
    """How far the study's span may move before a row is judged otherwise."""

    @property
    def n_accepted(self) -> int:
        """Rows that were not refused."""
        return self.n_read - self.n_rejected


class Books:
    """The records of a root, those of one wave in one JSON file: a flush for each would outlast the reading."""

    def __init__(self, store: Store) -> None:
        """Read the records under a root."""
        self._store, self._folder = store, store.root / BOOKS
        self.records: dict[str, Record] = {}
        self._page_of: dict[str, Path] = {}
        for name in sorted(names_below(self._folder, "*.json")):
            for record in read_page(self._folder / name):
                self._remember(self._folder / name, record)

    def add(self, records: Sequence[Record]) -> None:
        """Remember batches, each new or known: the last step of loading them."""
        new = [r.batch_id for r in records if r.batch_id not in self.records]
        page = self._folder / f"{digest(sorted(new))}.json"
        touched = set()
        for record in records:
            self._remember(self._page_of.get(record.batch_id, page), record)
            touched.add(self._page_of[record.batch_id])
        self._write(touched)

    def begin(self, batches: Iterable[Batch]) -> None:
        """Note that known batches are read again: what they refused is replaced from now on, finished or not."""
        known = [self.records[b.batch_id] for b in batches if b.batch_id in self.records]
        if known:
            self.add([record._replace(reach=UNFINISHED) for record in known])

    def drop(self, batch_ids: Iterable[str]) -> None:
        """Forget batches whose rows are gone."""
        gone = [batch_id for batch_id in batch_ids if self.records.pop(batch_id, None)]
        self._write({self._page_of.pop(batch_id) for batch_id in gone})

    def rename(self, batches: Iterable[Batch]) -> None:
        """Bring the file names of known batches up to date: a renamed file may be corrected later."""
        known = [(self.records[b.batch_id], b) for b in batches if b.batch_id in self.records]
        renamed = [record._replace(files=list(b.files)) for record, b in known if record.files != list(b.files)]
        if renamed:
            _rename_refused(self._store, {r.batch_id: r.files[0] for r in renamed if r.n_rejected})
            self.add(renamed)

    def merge_pages(self) -> tuple[int, int]:
        """Put the records into as few files as hold them; return how many files there were and are.

        Killed meanwhile, a record is in two files until this is done again, which must be the next that happens.
        """
        before, ids = set(self._page_of.values()), sorted(self.records)
        groups = [ids[k : k + RECORDS_PER_PAGE] for k in range(0, len(ids), RECORDS_PER_PAGE)]
        self._page_of = {b: self._folder / f"{digest(group)}.json" for group in groups for b in group}
        after = set(self._page_of.values())
        self._write(after - before)
        for page in before - after:
            remove_file(page)
        return len(before), len(after)

    def _remember(self, page: Path, record: Record) -> None:
        self.records[record.batch_id] = record
        self._page_of[record.batch_id] = page

    def _write(self, pages: set[Path]) -> None:
        """Write pages as they should be now; one without records is removed."""
        kept: dict[Path, list[dict[str, Any]]] = {page: [] for page in sorted(pages)}
        for batch_id, page in self._page_of.items():
            if page in kept:
                kept[page].append(self.records[batch_id]._asdict())
        for page, records in kept.items():
            if records:
                write_json(page, records)
            else:
                remove_file(page)


def _rename_refused(store: Store, names: Mapping[str, str]) -> None:
    """Write down the new names of batches beside the rows they refused."""
    for key in store.keys(REJECTED_PINGS):
        name = names.get(rejected_by(key))
        footer = store.footer(REJECTED_PINGS, key) if name else None
        if footer:
            rows = store.read(REJECTED_PINGS, key)
            at = rows.schema.get_field_index("file")
            rows = rows.set_column(at, rows.schema.field(at), pa.repeat(name, rows.num_rows))
            store.write(REJECTED_PINGS, key, rows, footer.made_from)


def read_page(path: Path) -> list[Record]:
    """Return the records of one file of the books; StoreError where it is damaged."""
    outcome = "is written again from its source files, which have to be there"
    with reading(path, outcome):
        # Records without a reach were read under another code, whose readings are never taken for today's.
        return [
            Record(**values | {"reach": Reach(*values.get("reach", ()))}) for values in read_replaceable(path, outcome)
        ]


def file_name(work: Work, path: Path) -> str:
    """Return a file's name below the study's folder, so that a moved study stays the same; of a URL all of it."""
    if is_remote(path):
        return str(path)
    folder = work.study.folder.resolve()
    path = path.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def find_batches(work: Work, key: bytes, run_map: RunMap, is_dry: bool = False) -> tuple[list[Batch], dict[str, str]]:
    """Return the batches of all source files, and name → reason of files and folders that we are not let read.

    Files of the same contents and reading are one batch. Files named after withdrawn devices are passed over.
    A dry run writes down no digests of files.
    """
    study, gone = work.study, read_withdrawals(work.store.root, key)
    found_files, unlisted = _find_all(study)
    files = [(path, source) for path, source in found_files if not gone.owns(source, path)]
    digests, refused = digest_files(work.store, [path for path, _ in files], run_map, is_dry)
    found: dict[str, Batch] = {}
    for path, source in _settle([file for file in files if file[0] not in refused], run_map):
        read_as = _reading(work, key, source)
        name = file_name(work, path)
        # The same rows under two names are two devices where the name says whose they are.
        named = hash_id(name.encode(), key) if is_device_in_name(source) else None
        batch_id = digest([digests[path], read_as, named])
        first = found.get(batch_id, Batch(batch_id, path, source, read_as, (), path.stat().st_size))
        found[batch_id] = replace(first, files=(*first.files, name))
    return list(found.values()), {file_name(work, path): why for path, why in (unlisted | refused).items()}


def _find_all(study: Study) -> tuple[list[tuple[Path, Source]], dict[Path, str]]:
    """Return all source files, each with its declaration, and why folders of some cannot be listed."""
    unlisted: dict[Path, str] = {}

    def hear(error: OSError) -> None:
        unlisted[Path(error.filename)] = str(error.strerror)

    files = [(path, source) for source in study.sources for path in find_files(source, study.folder, hear)]
    return files, unlisted


def _settle(files: Sequence[tuple[Path, Source]], run_map: RunMap) -> Iterator[tuple[Path, Source]]:
    """Yield each file and its declaration with the columns which the file has.

    A name that only other files have makes it no other batch.
    """
    settled = dict(run_map(_settle_one, [(k, *file) for k, file in enumerate(files) if file[1].columns.lists]))
    for k, (path, source) in enumerate(files):
        yield path, settled.get(k, source)


def _settle_one(file: tuple[int, Path, Source]) -> tuple[int, Source]:
    k, path, source = file
    try:
        return k, settle_columns(path, source)
    except SourceError:
        return k, source  # Reading the file will say why; it is never recorded.


def _reading(work: Work, key: bytes, source: Source) -> str:
    readers = code_digest("pipeline.sources", apart=("pipeline.sources.areas",))
    # Of the study only what changes rows; which of them its span puts out, each record tells.
    parts = {name: part for name, part in work.parts.items() if name != "study"}
    zone = work.study.model_dump(mode="json", include={"zone", "zone_from_coordinates"})
    return digest([parts, zone, readers, source.model_dump(mode="json", exclude={"path"}), key_check(key)])


class Todo(NamedTuple):
    """What loading has to do."""

    batches: list[Batch]
    """To be read: new ones, and known ones needed again, to rebuild a shard or because the study's span has moved."""
    outdated: list[str]
    """Batches whose rows must go: their file has other contents now, or is read differently or not at all."""
    refused: dict[str, str]
    """Name → reason of files and folders that the system does not let us read. What they brought before stays."""
    spoilt: list[str]
    """Paths of shards to be built again from nothing: they hold rows of outdated batches."""
    lacking: list[str]
    """Paths of shards that lack rows a known batch brought them, and get them again."""


def find_todo(work: Work, batches: Sequence[Batch], books: Books, refused: dict[str, str], key: bytes) -> Todo:
    """Compare source files, records and shards. A file that is gone, or `refused` by the system, stays loaded.

    RunError where such a file would have to be read again.
    """
    found = {batch.batch_id: batch for batch in batches}
    outdated = _outdated(work, batches, books, refused, key)
    valid = set(found) | (set(books.records) - set(outdated))
    keys, span = work.store.keys(PINGS), set(work.study.dates())
    brought = {key.path: set(rows_brought(work.store, key)) for key in keys}
    outside = {key.path for key in keys if key.date not in span}
    spoilt = outside | {path for path, mine in brought.items() if not mine <= valid}
    known = [record for record in books.records.values() if record.batch_id in valid]
    again = {record.batch_id for record in known if not record.reach.fits(work.study)}
    lacking = set[str]()
    for record in known:
        missed = {path for path in record.shards if record.batch_id not in brought.get(path, ())}
        lacking |= missed
        if missed or not spoilt.isdisjoint(record.shards):
            again.add(record.batch_id)
    lost = again - set(found)
    if lost:
        closed = "".join(f"; {name}: {why}" for name, why in refused.items())
        raise RunError(
            f"{len(lost)} source files that are gone or may not be read are needed again, for the study's span or "
            f"to build {len(spoilt | lacking)} shards of pings anew; put them back, or start a new root{closed}"
        )
    again |= _lacking_rejects(work.store, [books.records[b] for b in found if b in books.records])
    new = set(found) - set(books.records)
    todo = [batch for batch in batches if batch.batch_id in new | again]
    return Todo(todo, outdated, refused, sorted(spoilt), sorted(lacking - spoilt))


def _lacking_rejects(store: Store, records: Iterable[Record]) -> set[str]:
    """Return the batches of which not all refused rows are in their table any more."""
    kept = Counter[str]()
    for key in store.keys(REJECTED_PINGS):
        footer = store.footer(REJECTED_PINGS, key)
        kept[rejected_by(key)] += footer.n_rows if footer else 0
    return {record.batch_id for record in records if kept[record.batch_id] != record.n_rejected}


def rejected_by(key: ShardKey) -> str:
    """Return which batch refused the rows of a shard of `rejected_pings`."""
    return str(key.name).split("-")[0]


def _outdated(work: Work, batches: Sequence[Batch], books: Books, refused: Collection[str], key: bytes) -> list[str]:
    found = {batch.batch_id for batch in batches}
    # Of what the study declares, not of the files that are there: all of a source may be gone or closed to us.
    readings = {_reading(work, key, one) for source in work.study.sources for one in possible_columns(source)}
    names = {name for batch in batches for name in batch.files}
    outdated = []
    folders = tuple(f"{name}/" for name in refused)
    for record in books.records.values():
        is_refused = any(name in refused or name.startswith(folders) for name in record.files)
        if record.batch_id in found or (is_refused and record.reading in readings):
            continue
        is_undeclared = not is_refused and any(join(work.study.folder, name).exists() for name in record.files)
        if names & set(record.files) or is_undeclared:
            outdated.append(record.batch_id)
        elif record.reading not in readings:
            raise RunError(
                f"{', '.join(record.files)} was loaded under other settings, code or key and is no longer there "
                "to be read again; put it back, or start a new root"
            )
    return outdated


def rows_brought(store: Store, key: ShardKey) -> dict[str, int]:
    """Return how many rows each batch brought to a shard of `pings`."""
    footer = store.footer(PINGS, key)
    return dict(footer.made_from["batches"]) if footer else {}
