"""`sojourn check`: every file of a root is read again and compared with what the root says of itself.

Nothing is written. Shards are read one by one by the workers of a cluster: the bytes before the footer against the hash
in it, every page against its checksum, the rows against the contract, the place against the one it was written to.
What their footers and the books say of each other is compared here, from footers alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from data_contracts import PINGS, REJECTED_PINGS, TABLES, Table
from data_contracts.runs import RUN_SHARDS
from pipeline.engine.agreement import Brought, lacking, unrecorded
from pipeline.engine.books import BOOKS, Record, read_page, rejected_by
from pipeline.engine.cluster import connect
from pipeline.engine.digests import DIGESTS
from pipeline.engine.files import StoreError, exists, names_below, read_bytes, read_json, read_replaceable, reading
from pipeline.engine.ingest import BLOCKS
from pipeline.engine.merge import cut
from pipeline.engine.opening import BEGUN_AGAIN
from pipeline.engine.origins import ORIGINS
from pipeline.engine.outlook import SHARD
from pipeline.engine.plan import stages_in_order
from pipeline.engine.records import LIVE, RUNS, read_runs
from pipeline.engine.statics import STATICS
from pipeline.engine.store import (
    ALL,
    ROOT_FILE,
    Footer,
    ShardKey,
    Store,
    content_hash,
    is_dated,
    read_footer,
    read_rows,
)
from pipeline.engine.unfinished import NOTE, unfinished
from pipeline.engine.withdrawals import BOOK as WITHDRAWALS
from pipeline.engine.withdrawals import LOST
from pipeline.engine.workers import terms_of
from pipeline.settings import Settings
from pipeline.stage import Stage

SHARDS_PER_TASK = 32
"""Shards that one task reads, one after the other (ours): a shard may be a few milliseconds of work."""
FOOTER_BYTES = 8
"""What ends a Parquet file: the footer's length in 4 bytes, and PAR1."""
AGAIN = "run again, and it is made again"


class Kind(StrEnum):
    """What may be wrong with a file of a root."""

    DAMAGED = "damaged"
    """It does not hold what was written there."""
    MISSING = "missing"
    """It was written and is not there, while what it was made from is."""
    UNFINISHED = "unfinished"
    """A run was stopped within it; the next one goes on."""
    LEFTOVER = "leftover"
    """Nobody reads it."""


class Finding(NamedTuple):
    """One file, what is wrong with it and what to do."""

    kind: Kind
    file: str
    """Below the root."""
    words: str
    """One line."""


class Checked(NamedTuple):
    """What reading a root again came to."""

    n_shards: int
    n_rows: int
    n_bytes: int
    findings: list[Finding]
    writing: list[str]
    """Runs that are at work there: what they change meanwhile may be told as missing or unfinished."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged or missing."""
        return not any(finding.kind in (Kind.DAMAGED, Kind.MISSING) for finding in self.findings)


class Look(NamedTuple):
    """What a worker found a shard to be."""

    table: str
    key: ShardKey
    footer: Footer | None
    """None where it is damaged, or was removed by a run meanwhile."""
    n_bytes: int
    trouble: str

    @property
    def file(self) -> str:
        """The shard below the root."""
        return f"{self.table}/{self.key.path}"


def check_root(settings: Settings, on_done: Callable[[int, int], None] = lambda n_done, n_total: None) -> Checked:
    """Read every shard and record under a root; StoreError where there is no shard.

    `on_done` hears how many shards of how many were read.
    """
    store = Store(settings.root)
    keys = [(table.name, key) for table in TABLES.values() for key in store.keys(table)]
    if not keys:
        raise StoreError(f"{store.root} holds no shard of any table")
    findings = list(_records(store))
    if begun := unfinished(store.root):
        words = f"`sojourn {begun['command']}` has not finished there; run it again to its end"
        findings.append(Finding(Kind.UNFINISHED, NOTE, words))
    n_buckets = _n_buckets(store, findings)
    looks = list[Look]()
    # Workers are asked for a file that is there, to see that they read the same root.
    witness = store.root / ROOT_FILE if n_buckets else store.path(TABLES[keys[0][0]], keys[0][1])
    with connect(settings, terms_of(witness)) as cluster:
        for found in cluster.map(partial(look_at, store, n_buckets), cut(keys, lambda _: 1, SHARDS_PER_TASK)):
            looks += found
            on_done(len(looks), len(keys))
    findings += [Finding(Kind.DAMAGED, look.file, look.trouble) for look in looks if look.trouble]
    findings += _compare(store, {(look.table, look.key): look for look in looks})
    n_rows = sum(look.footer.n_rows for look in looks if look.footer)
    writing = [] if any(f.file.startswith(RUNS) for f in findings) else _writing(store)
    return Checked(len(looks), n_rows, sum(look.n_bytes for look in looks), sorted(findings), writing)


def _writing(store: Store) -> list[str]:
    return [run["run_id"] for run in read_runs(store.root) if run["state"] == LIVE]


def _records(store: Store) -> Iterator[Finding]:
    """Yield the records of runs, the books of hashes and the list of withdrawn devices that cannot be read."""
    books = {DIGESTS: "is written again", ORIGINS: "is written again", WITHDRAWALS: LOST}
    outcomes = {f"{RUNS}/{name}": "is listed no more" for name in sorted(names_below(store.root / RUNS, "*.json"))}
    outcomes |= {name: outcome for name, outcome in books.items() if exists(store.root / name)}
    for name, outcome in outcomes.items():
        try:
            read_replaceable(store.root / name, outcome)
        except StoreError as error:
            yield Finding(Kind.DAMAGED, name, str(error))


def _n_buckets(store: Store, findings: list[Finding]) -> int | None:
    """Return the bucket count of a root; None, and a finding, where it cannot be told."""
    try:
        with reading(store.root / ROOT_FILE, BEGUN_AGAIN):
            return int(read_replaceable(store.root / ROOT_FILE, BEGUN_AGAIN)["n_buckets"])
    except FileNotFoundError:
        words = f"{store.root / ROOT_FILE} is missing; run again, and it {BEGUN_AGAIN}"
        findings.append(Finding(Kind.MISSING, ROOT_FILE, words))
    except StoreError as error:
        findings.append(Finding(Kind.DAMAGED, ROOT_FILE, str(error)))
    return None


def look_at(store: Store, n_buckets: int | None, items: Iterable[tuple[str, ShardKey]]) -> list[Look]:
    """Read some shards to their end, one after the other."""
    return [_look(store, n_buckets, TABLES[name], key) for name, key in items]


def _look(store: Store, n_buckets: int | None, table: Table, key: ShardKey) -> Look:
    path, n_bytes = store.path(table, key), 0
    try:
        with reading(path, _outcome(table)):
            data = read_bytes(path)
            n_bytes = len(data)
            footer = read_footer(pa.BufferReader(data))
            rows = read_rows(pa.BufferReader(data), table)
    except FileNotFoundError:
        return Look(table.name, key, None, 0, "")
    except StoreError as error:
        return Look(table.name, key, None, n_bytes, str(error))
    wrong = _wrong(table, key, footer, data) or _stray(rows, key, n_buckets)
    if wrong:
        return Look(
            table.name, key, None, n_bytes, f"{path} {wrong}; remove it and run again, and it {_outcome(table)}"
        )
    return Look(table.name, key, footer, n_bytes, "")


def _outcome(table: Table) -> str:
    """Return what becomes of a damaged shard that is removed."""
    if table is RUN_SHARDS:
        return "is told no more"
    if table in (PINGS, REJECTED_PINGS) or table.name in STATICS:
        return "is made again from its source files, which have to be there"
    return "is made again"


def _wrong(table: Table, key: ShardKey, footer: Footer, data: bytes) -> str:
    """Return what is wrong with a file whose pages and rows are sound; "" for nothing."""
    place = f"{table.name}/{key.path}"
    if footer.place not in (None, place):
        return f"is in the wrong place: it was written as {footer.place}"
    content = content_hash()
    content.update(memoryview(data)[: len(data) - FOOTER_BYTES - int.from_bytes(data[-FOOTER_BYTES:-4], "little")])
    if content.hexdigest() != footer.content:
        return "is damaged (its data are not those whose hash its footer holds)"
    return ""


def _stray(rows: pa.Table, key: ShardKey, n_buckets: int | None) -> str:
    """Return how many rows are of devices of another bucket; "" for none."""
    if key.bucket is None or n_buckets is None or "device_id" not in rows.column_names:
        return ""
    buckets = rows["device_id"].to_numpy().view(np.uint64) % np.uint64(n_buckets)
    n_stray = int((buckets != key.bucket).sum())
    return f"holds {n_stray} of {rows.num_rows} rows that are of devices of other buckets" if n_stray else ""


Looks = Mapping[tuple[str, ShardKey], Look]


def _compare(store: Store, looks: Looks) -> Iterator[Finding]:
    """Yield what footers and books say against each other."""
    damaged, records = list[Finding](), dict[str, Record]()
    for name in sorted(names_below(store.root / BOOKS, "*.json")):
        try:
            records.update({record.batch_id: record for record in read_page(store.root / BOOKS / name)})
        except StoreError as error:
            damaged.append(Finding(Kind.DAMAGED, f"{BOOKS}/{name}", str(error)))
    yield from damaged
    brought = _brought(looks)
    yield from _lacking(brought, records)
    yield from _lacking_rejects(looks, records)
    if not damaged:
        yield from _unrecorded(looks, brought, records)
    for stage in stages_in_order():
        yield from _left_open(stage, looks)
    yield from _lost(store, looks)
    yield from _leftovers(store)


def _brought(looks: Looks) -> Brought:
    mine = [(key.path, look.footer) for (table, key), look in looks.items() if table == PINGS.name]
    return {path: footer.made_from["batches"] if footer else None for path, footer in mine}


def _lacking(brought: Brought, records: Mapping[str, Record]) -> Iterator[Finding]:
    """Yield the shards of `pings` that lack rows which source files brought them."""
    n_lacking, n_files = Counter[str](), Counter[str]()
    for path, _, n_rows in lacking(records, brought):
        n_lacking[path] += n_rows
        n_files[path] += 1
    for path, n_rows in n_lacking.items():
        what = f"lacks {n_rows} rows" if path in brought else f"is missing, with {n_rows} rows"
        words = (
            f"{PINGS.name}/{path} {what} of {n_files[path]} source files; {AGAIN} from these, which have to be there"
        )
        yield Finding(Kind.MISSING, f"{PINGS.name}/{path}", words)


def _lacking_rejects(looks: Looks, records: Mapping[str, Record]) -> Iterator[Finding]:
    """Yield the batches of which refused rows are gone."""
    mine = [look for (table, _), look in looks.items() if table == REJECTED_PINGS.name]
    kept, spoilt = Counter[str](), {rejected_by(look.key) for look in mine if not look.footer}
    for look in mine:
        kept[rejected_by(look.key)] += look.footer.n_rows if look.footer else 0
    for record in records.values():
        if record.batch_id not in spoilt and kept[record.batch_id] != record.n_rejected:
            words = (
                f"{REJECTED_PINGS.name} holds {kept[record.batch_id]} of {record.n_rejected} refused rows of "
                f"{', '.join(record.files)}; {AGAIN} from that file, which has to be there"
            )
            yield Finding(Kind.MISSING, f"{REJECTED_PINGS.name}/{record.batch_id}", words)


def _unrecorded(looks: Looks, brought: Brought, records: Mapping[str, Record]) -> Iterator[Finding]:
    """Yield shards with rows of batches that are in no book: a run was stopped before it noted them."""
    n_unknown = Counter(f"{PINGS.name}/{path}" for path, _ in unrecorded(records, brought))
    refused = (key for table, key in looks if table == REJECTED_PINGS.name)
    n_unknown.update(f"{REJECTED_PINGS.name}/{key.path}" for key in refused if rejected_by(key) not in records)
    for file, n in n_unknown.items():
        words = f"{file} has rows of {n} source files that no finished load noted; run again"
        yield Finding(Kind.UNFINISHED, file, words)


def _left_open(stage: Stage, looks: Looks) -> Iterator[Finding]:
    """Yield what dates of a stage left open and is not as they say."""
    if stage.carries is None:
        return
    for (table, key), look in looks.items():
        if table != stage.name or look.footer is None or "leaves" not in look.footer.made_from:
            continue
        left, said = looks.get((stage.carries.name, key)), look.footer.made_from["leaves"]
        file = f"{stage.carries.name}/{key.path}"
        if left is None and said:
            words = f"{file}, which {look.file} left open, is missing; {AGAIN}"
            yield Finding(Kind.MISSING, file, words)
        elif left and left.footer and left.footer.content != said:
            words = f"{file} is not what {look.file} left open: a run was stopped between the two; run again"
            yield Finding(Kind.UNFINISHED, file, words)


def _lost(store: Store, looks: Looks) -> Iterator[Finding]:
    """Yield the shards that a run computed and that are not there, though what they are made from is."""
    stages = {stage.name: stage for stage in stages_in_order() if stage.name != PINGS.name}
    declared = _declared(store)
    present: dict[str, set[ShardKey]] = {name: set() for name in TABLES}
    for name, key in looks:
        present[name].add(key)
    for name, path in sorted(_computed(store, looks)):
        lost = ShardKey.from_path(path)
        if lost is None or lost in present.get(name, ()):
            continue
        if name in declared or (name in stages and _has_input(stages[name], lost, present)):
            words = f"{name}/{path} is missing, though a run made it and what it is made from is there; {AGAIN}"
            yield Finding(Kind.MISSING, f"{name}/{path}", words)


def _declared(store: Store) -> set[str]:
    """Return the reference tables that the study of the latest run declared."""
    for name in sorted(names_below(store.root / RUNS, "*.json"), reverse=True):
        try:
            with reading(store.root / RUNS / name, "is listed no more"):
                study: dict[str, Any] = read_json(store.root / RUNS / name)["study"]
            return {static for static in STATICS if study.get(static) is not None}
        except StoreError:  # Told among the records.
            continue
    return set()


def _computed(store: Store, looks: Looks) -> set[tuple[str, str]]:
    """Return table and path of every shard that a run computed, by the records of what shards cost."""
    computed = set[tuple[str, str]]()
    for (table, key), look in looks.items():
        if table == RUN_SHARDS.name and look.footer:
            rows = store.read(RUN_SHARDS, key, ["stage", "step", "shard"]).to_pydict()
            told = zip(rows["stage"], rows["step"], rows["shard"], strict=True)
            computed |= {(stage, path) for stage, step, path in told if step == SHARD}
    return computed


def _has_input(stage: Stage, key: ShardKey, present: Mapping[str, set[ShardKey]]) -> bool:
    """Return whether there is something that a run would make the shard of."""
    first = present[stage.reads[0].name]
    if is_dated(stage.writes) and key.date:
        before = ShardKey(key.date - timedelta(days=1), key.bucket)
        return key in first or (stage.carries is not None and before in present[stage.carries.name])
    if stage.is_whole:
        return ALL in first
    read = [present[table.name] for table in stage.reads if not table.shard.is_single]
    return any(key == ALL or found.bucket == key.bucket for keys in read for found in keys)


def _leftovers(store: Store) -> Iterator[Finding]:
    """Yield files that nobody reads: what killed processes left, and strangers in the folders of tables."""
    for table in TABLES.values():
        for name in names_below(store.root / table.name, "*"):
            if ShardKey.from_path(name) is None:
                does = "the next run removes it" if name.endswith(".tmp") else "no file of ours; nobody reads it"
                yield Finding(Kind.LEFTOVER, f"{table.name}/{name}", f"{table.name}/{name}: {does}")
    scratch = names_below(store.root / BLOCKS, "*")
    if scratch:
        words = f"{BLOCKS}: {len(scratch)} files of a run that is at work or was stopped; the next run removes them"
        yield Finding(Kind.LEFTOVER, BLOCKS, words)
