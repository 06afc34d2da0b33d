"""Which source files are loaded: batches, their records, and what a run has to load.

A batch is one source file under one reading: its identity is the hash of its contents, of the
declaration it is read by, of the code and of the key. Each shard's footer says how many rows of
which batch it holds, so a batch loaded twice, or again after a kill, changes nothing; a corrected
file replaces exactly the rows its older version brought.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from data_contracts import PINGS
from pipeline.engine.files import exists, names_below, read_json, remove_file, write_json
from pipeline.engine.lineage import code_digest
from pipeline.engine.plan import RunMap, Work
from pipeline.engine.store import ROOT_FILE, ShardKey, Store
from pipeline.engine.trouble import RunError
from pipeline.params import digest
from pipeline.paths import is_remote, join, stamp_of
from pipeline.sources import file_digest, find_files, is_device_in_name
from pipeline.sources.hashing import hash_id, key_check
from pipeline.study import Source


@dataclass(frozen=True)
class Batch:
    """One source file under one reading."""

    batch_id: str
    path: Path
    source: Source
    reading: str
    """Identity of all but the contents: declaration, Params, code, study facts, key."""
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
    """Path of each shard of `pings` the batch reached → rows it brought there."""


class Books:
    """The records of a root, those of one wave in one JSON file: a flush for each would outlast the reading."""

    def __init__(self, store: Store) -> None:
        """Read the records under a root."""
        self._folder = store.root / "_batches"
        self.records: dict[str, Record] = {}
        self._page_of: dict[str, Path] = {}
        for name in sorted(names_below(self._folder, "*.json")):
            for values in read_json(self._folder / name):
                self._remember(self._folder / name, Record(**values))

    def add(self, records: Sequence[Record]) -> None:
        """Remember batches, each new or known: the last step of loading them."""
        new = [r.batch_id for r in records if r.batch_id not in self.records]
        page = self._folder / f"{digest(sorted(new))}.json"
        touched = set()
        for record in records:
            self._remember(self._page_of.get(record.batch_id, page), record)
            touched.add(self._page_of[record.batch_id])
        self._write(touched)

    def drop(self, batch_ids: Iterable[str]) -> None:
        """Forget batches whose rows are gone."""
        gone = [batch_id for batch_id in batch_ids if self.records.pop(batch_id, None)]
        self._write({self._page_of.pop(batch_id) for batch_id in gone})

    def rename(self, batches: Iterable[Batch]) -> None:
        """Bring the file names of known batches up to date: a renamed file may be corrected later."""
        known = [(self.records[b.batch_id], b) for b in batches if b.batch_id in self.records]
        renamed = [record._replace(files=list(b.files)) for record, b in known if record.files != list(b.files)]
        if renamed:
            self.add(renamed)

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


def file_name(work: Work, path: Path) -> str:
    """Return a file's name below the study's folder, so that a moved study stays the same; of a URL all of it."""
    if is_remote(path):
        return str(path)
    folder = work.study.folder.resolve()
    path = path.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def find_batches(work: Work, key: bytes, run_map: RunMap) -> list[Batch]:
    """Return the batches of all source files; files of the same contents and reading are one batch."""
    study = work.study
    files = [(path, source) for source in study.sources for path in find_files(source, study.folder)]
    digests = _digest_files(work.store, [path for path, _ in files], run_map)
    readers = code_digest("pipeline.sources", apart=("pipeline.sources.areas",))
    found: dict[str, Batch] = {}
    for path, source in files:
        declared = source.model_dump(mode="json", exclude={"path"})
        reading = digest([work.parts, readers, declared, key_check(key)])
        name = file_name(work, path)
        # The same rows under two names are two devices where the name says whose they are.
        named = hash_id(name.encode(), key) if is_device_in_name(source) else None
        batch_id = digest([digests[path], reading, named])
        first = found.get(batch_id, Batch(batch_id, path, source, reading, (), path.stat().st_size))
        found[batch_id] = replace(first, files=(*first.files, name))
    return list(found.values())


def _digest_files(store: Store, paths: Sequence[Path], run_map: RunMap) -> dict[Path, str]:
    """Return the hash of each file's contents, remembered for files whose size and time did not change."""
    book = store.root / "_digests.json"
    known = read_json(book) if exists(book) else {}
    stamps = {path: stamp_of(path) for path in paths}
    fresh = [path for path, stamp in stamps.items() if known.get(str(path), [None, None, ""])[:2] != stamp]
    known.update({str(path): [*stamps[path], found] for path, found in run_map(_digest_file, fresh)})
    if fresh and exists(store.root / ROOT_FILE):
        write_json(book, {str(path): known[str(path)] for path in stamps})
    return {path: known[str(path)][2] for path in stamps}


def _digest_file(path: Path) -> tuple[Path, str]:
    return path, file_digest(path)


class Todo(NamedTuple):
    """What loading has to do."""

    batches: list[Batch]
    """To be read: new ones, and known ones needed again to rebuild a shard."""
    withdrawn: list[str]
    """Batches whose rows must go: their file has other contents now, or is read differently or not at all."""
    spoilt: list[str]
    """Paths of shards to be built again from nothing: they hold withdrawn rows."""
    lacking: list[str]
    """Paths of shards that lack rows a known batch brought them, and get them again."""


def find_todo(work: Work, batches: Sequence[Batch], books: Books) -> Todo:
    """Compare source files, records and shards. A file that is gone stays loaded.

    RunError where a file that is gone would have to be read again.
    """
    found = {batch.batch_id: batch for batch in batches}
    withdrawn = _withdrawn(work, batches, books)
    valid = set(found) | (set(books.records) - set(withdrawn))
    brought = {key.path: set(rows_brought(work.store, key)) for key in work.store.keys(PINGS)}
    spoilt = {path for path, mine in brought.items() if not mine <= valid}
    known = [record for record in books.records.values() if record.batch_id in valid]
    lacking, again = set[str](), set[str]()
    for record in known:
        missed = {path for path in record.shards if record.batch_id not in brought.get(path, ())}
        lacking |= missed
        if missed or not spoilt.isdisjoint(record.shards):
            again.add(record.batch_id)
    lost = again - set(found)
    if lost:
        raise RunError(
            f"{len(lost)} source files that are gone are needed again, to build {len(spoilt | lacking)} shards of "
            "pings anew; put them back, or start a new root"
        )
    new = set(found) - set(books.records)
    return Todo([b for b in batches if b.batch_id in new | again], withdrawn, sorted(spoilt), sorted(lacking - spoilt))


def _withdrawn(work: Work, batches: Sequence[Batch], books: Books) -> list[str]:
    found = {batch.batch_id for batch in batches}
    readings = {batch.reading for batch in batches}
    names = {name for batch in batches for name in batch.files}
    withdrawn = []
    for record in books.records.values():
        if record.batch_id in found:
            continue
        is_undeclared = any(join(work.study.folder, name).exists() for name in record.files)
        if names & set(record.files) or is_undeclared:
            withdrawn.append(record.batch_id)
        elif record.reading not in readings:
            raise RunError(
                f"{', '.join(record.files)} was loaded under other settings, code or key and is no longer there "
                "to be read again; put it back, or start a new root"
            )
    return withdrawn


def rows_brought(store: Store, key: ShardKey) -> dict[str, int]:
    """Return how many rows each batch brought to a shard of `pings`."""
    footer = store.footer(PINGS, key)
    return dict(footer.made_from["batches"]) if footer else {}
