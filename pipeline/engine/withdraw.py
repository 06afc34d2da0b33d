"""Deleting people from a root: every row of a device goes, and every table that counted it.

Rows are taken out of the shards where they are, since the vendor's files may be gone. Every shard of a table with
devices is looked through before and after. Tables that were counted from all devices are removed, and the next run
makes them again. `pings` comes last and the list first: killed at any moment, the same command goes on, as long as
there is a row to find.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from data_contracts import PINGS, REJECTED_PINGS, TABLES, Shard, Table
from pipeline.engine.agreement import find_brought, unrecorded
from pipeline.engine.artifacts import CHECKPOINTS, HAS_WITHDRAWN, mark_withdrawn, read_cards, training_folder
from pipeline.engine.books import UNCOUNTED, Books, rejected_by
from pipeline.engine.digests import DIGESTS
from pipeline.engine.files import exists, read_replaceable, remove_folder, write_json
from pipeline.engine.ingest import BLOCKS
from pipeline.engine.opening import HeldRoot
from pipeline.engine.records import withhold_errors
from pipeline.engine.store import ShardKey, Store, content_of
from pipeline.engine.trouble import RunError, named
from pipeline.engine.unfinished import begin, finish, unfinished
from pipeline.engine.withdrawals import Withdrawals, read_withdrawals, write_withdrawals
from pipeline.paths import as_path, join
from pipeline.settings import read_key
from pipeline.sources import is_device_in_name
from pipeline.study import Study, StudyError

COMMAND = "withdraw"
SHARDS_PER_TASK = 64
"""Shards that one task looks through (ours): a device is marked once a task, not once a shard."""

Place = tuple[str, ShardKey]
"""Name of a table and one of its shards."""


class Hit(NamedTuple):
    """A shard with rows that have to go."""

    table: str
    key: ShardKey
    n_rows: int
    marks: frozenset[str]
    """Of the withdrawn devices in it."""


class Check(NamedTuple):
    """What looking through a root found."""

    n_rows: int
    """Rows of withdrawn devices; 0 when all is done."""
    n_devices: int
    """Devices on the list."""
    n_shards: int
    n_tables: int
    """What was looked through."""


class Withdrawn(NamedTuple):
    """What a withdrawal did."""

    n_ids: int
    """Distinct devices asked for."""
    n_new: int
    """Of these, not on the list before."""
    n_found: int
    """Withdrawn devices of which there were rows."""
    n_rows: int
    n_shards: int
    n_tables: int
    """What was taken out, and of how many shards and tables."""
    counted: list[str]
    """Tables made of all devices that were removed; the next run makes them again."""
    models: list[str]
    """Trained models that learnt from withdrawn devices, now or at an earlier withdrawal, and are still there."""
    n_files: int
    """Source files named after withdrawn devices that were forgotten."""
    check: Check


def device_tables() -> list[Table]:
    """Return all tables that a root keeps and whose rows are of a device, `pings` last."""
    tables = [table for table in TABLES.values() if "device_id" in table.names]
    return sorted(tables, key=lambda table: table is PINGS)


def withdraw(held: HeldRoot, study: Study, raw_ids: Iterable[bytes]) -> Withdrawn:
    """Delete the devices of some source ids, and all that are on the list already, from a root.

    StudyError where a text stands for no id; RunError where files named after devices are half loaded. Nothing is
    changed then.
    """
    root, key = held.settings.root, read_key()
    before = read_withdrawals(root, key)
    asked = _marks_of(before, raw_ids)
    # A kill between the list and the marks leaves nobody new to the next call.
    has_new = bool(asked - before.marks) or bool(unfinished(root))
    is_named = any(is_device_in_name(source) for source in study.sources)
    if is_named and not unfinished(root):
        _check_recorded(Store(root))
    begin(root, COMMAND)
    listed = write_withdrawals(root, key, asked)
    hits = find(held)
    models = _mark_models(held, hits, has_new)
    counted = _remove_counts(Store(root)) if hits else []
    files = _files_of(held, study, listed)
    _take_out(held, hits, files)
    _forget(held, study, listed, files)
    # What killed workers had put on the disk, Dask cleared as this command's cluster began.
    remove_folder(root / BLOCKS)
    check = verify(held)
    if not check.n_rows:
        finish(root)
    found = frozenset[str]().union(*(hit.marks for hit in hits))
    n_rows, n_tables = sum(hit.n_rows for hit in hits), len({hit.table for hit in hits})
    n_new = len(asked - before.marks)
    return Withdrawn(len(asked), n_new, len(found), n_rows, len(hits), n_tables, counted, models, len(files), check)


def _marks_of(listed: Withdrawals, raw_ids: Iterable[bytes]) -> set[str]:
    marks = set()
    for number, raw_id in enumerate(raw_ids, 1):
        mark = listed.mark_id(raw_id)
        if mark is None:
            raise StudyError(f"the {number}. id given stands for no device (empty, or nulls); nothing was changed")
        marks.add(mark)
    return marks


def _check_recorded(store: Store) -> None:
    """RunError where shards hold rows of batches without a record: whether these are of one device, nothing tells.

    Of a withdrawn one the next load would pass the file over, and have to build such shards anew from all others.
    """
    records = Books(store).records
    unknown = {batch_id for _, batch_id in unrecorded(records, find_brought(store))} - set(records)
    if unknown:
        raise RunError(
            f"{store.root}: a load of {len(unknown)} source files was stopped, and they may be named after devices; "
            f"`sojourn run` first, then {COMMAND}. Nothing was changed"
        )


def verify(held: HeldRoot) -> Check:
    """Look through every shard of every table with devices for rows of those on the list."""
    places = _places(Store(held.settings.root))
    n_devices = len(read_withdrawals(held.settings.root, read_key()).marks)
    n_rows = sum(hit.n_rows for hit in find(held, places))
    return Check(n_rows, n_devices, len(places), len({table for table, _ in places}))


def find(held: HeldRoot, places: Sequence[Place] | None = None) -> list[Hit]:
    """Return the shards with rows of withdrawn devices, of some places or (None) of all tables with devices."""
    look = partial(_look, held.settings.root)
    places = _places(Store(held.settings.root)) if places is None else places
    groups = [list(places[k : k + SHARDS_PER_TASK]) for k in range(0, len(places), SHARDS_PER_TASK)]
    return [hit for hits in held.map(look, groups) for hit in hits]


def _places(store: Store) -> list[Place]:
    """Return all shards with devices, those of one bucket together."""
    places = [(table.name, key) for table in device_tables() for key in store.keys(table)]
    return sorted(places, key=lambda place: place[1].bucket or 0)


def _look(root: Path, places: list[Place]) -> list[Hit]:
    store, listed, hits = Store(root), read_withdrawals(root, read_key()), list[Hit]()
    for table, key in places:
        with named(f"{table}/{key.path}"):
            devices = store.read(TABLES[table], key, ["device_id"])["device_id"]
            is_gone, marks = listed.found(devices.to_numpy())
        if marks:
            hits.append(Hit(table, key, int(is_gone.sum()), frozenset(marks)))
    return hits


def _mark_models(held: HeldRoot, hits: Sequence[Hit], has_new: bool) -> list[str]:
    """Note which trained models may have learnt from rows of withdrawn devices; return the names of all so noted.

    Before a row is taken out, so that a kill forgets none. Interrupted trainings go: they hold what they learnt so far.
    `has_new`: devices are on the list that were not before. They may have had rows when a model learnt, and none since.
    """
    root, tables = held.settings.root, {hit.table for hit in hits}
    if hits or has_new:
        remove_folder(training_folder(held.settings) / CHECKPOINTS)
        for card in read_cards(root):
            if any(_may_have_held(Store(root), name, of, tables) for name, of in card["data"].items()):
                mark_withdrawn(root, card)
    return [card["name"] for card in read_cards(root) if card.get(HAS_WITHDRAWN)]


def _may_have_held(store: Store, name: str, content: str, tables: set[str]) -> bool:
    """Return whether a table, when it had that content, may have been made of devices that are withdrawn now.

    `tables`: those in which rows of them were found. A table of devices that is as it was is not, if none are in it.
    Of one of all devices it is not known, as tables of devices may have been made again without them since, nor of a
    table written since then.
    """
    table = TABLES.get(name)
    if table is None or name in tables:
        return True
    if table.shard is Shard.STATIC:
        return False
    return "device_id" not in table.names or content_of(store.footers(table)) != content


def _remove_counts(store: Store) -> list[str]:
    """Remove the tables that are made of all devices together, and return their names."""
    removed = []
    for table in TABLES.values():
        keys = store.keys(table) if table.shard is Shard.STUDY else []
        for key in keys:
            store.remove(table, key)
        removed += [table.name] if keys else []
    return removed


def _files_of(held: HeldRoot, study: Study, listed: Withdrawals) -> list[str]:
    """Return the batches of source files that are named after withdrawn devices: their names have to go too."""
    records = Books(Store(held.settings.root)).records.values()
    return [r.batch_id for r in records if any(_is_owned(listed, study, join(study.folder, n)) for n in r.files)]


def _is_owned(listed: Withdrawals, study: Study, path: Path) -> bool:
    return any(listed.owns(source, path) for source in study.sources)


def _take_out(held: HeldRoot, hits: Sequence[Hit], files: Sequence[str]) -> None:
    """Write the shards anew without the rows of withdrawn devices, `pings` last."""
    places: dict[bool, list[Place]] = defaultdict(list)
    for hit in hits:
        places[hit.table == PINGS.name].append((hit.table, hit.key))
    if files:  # Also where their rows were taken out before a kill.
        places[True] = [(PINGS.name, key) for key in Store(held.settings.root).keys(PINGS)]
    for is_last in (False, True):
        for _ in held.map(partial(_rewrite, held.settings.root, frozenset(files)), places[is_last]):
            pass


def _rewrite(root: Path, files: frozenset[str], place: Place) -> None:
    """Write one shard without withdrawn devices; one of `pings` that no file brought anything is removed."""
    store, listed, (name, key) = Store(root), read_withdrawals(root, read_key()), place
    table = TABLES[name]
    with named(f"{name}/{key.path}"):
        footer = store.footer(table, key)
        assert footer is not None  # it was found, and the root is held
        made_from = footer.made_from
        if table is PINGS and not files.isdisjoint(made_from["batches"]):
            made_from = {**made_from, "batches": {b: n for b, n in made_from["batches"].items() if b not in files}}
        kept, gone = listed.split(store.read(table, key))
        if not gone.num_rows and made_from == footer.made_from:
            return
        if table is PINGS:
            forgotten = [n for b, n in footer.made_from["batches"].items() if b in files]
            n_forgotten = gone.num_rows if UNCOUNTED in forgotten else sum(forgotten)
            made_from = _counted(made_from, n_forgotten, gone.num_rows)
        if table is PINGS and not made_from["batches"]:
            store.remove(table, key)
        else:
            store.write(table, key, kept, made_from)


def _counted(made_from: dict[str, Any], n_forgotten: int, n_gone: int) -> dict[str, Any]:
    """Return the parts of a shard of `pings` with its count of withdrawn rows, those of forgotten files left out."""
    n_withdrawn = made_from.get("withdrawn", 0) + max(0, n_gone - n_forgotten)
    others = {name: value for name, value in made_from.items() if name != "withdrawn"}
    return others | ({"withdrawn": n_withdrawn} if n_withdrawn else {})


def _forget(held: HeldRoot, study: Study, listed: Withdrawals, files: Sequence[str]) -> None:
    """Drop what is known of source files named after withdrawn devices, records last.

    A load that failed or was killed has left their names where no record has them.
    """
    store = Store(held.settings.root)
    book, books = store.root / DIGESTS, Books(store)
    known = read_replaceable(book) if exists(book) else {}
    kept = {p: v for p, v in known.items() if not _is_owned(listed, study, as_path(p))}
    if kept != known:
        write_json(book, kept)
    for key in store.keys(REJECTED_PINGS):
        # Those of batches without a record, whoever's: a load that has come to its end leaves none.
        if rejected_by(key) in files or rejected_by(key) not in books.records:
            store.remove(REJECTED_PINGS, key)
    if any(is_device_in_name(source) for source in study.sources):
        withhold_errors(store.root)
    books.drop(files)
