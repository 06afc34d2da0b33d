"""From source files to `pings`: which files are new, what they hold, and the exchange to shards.

A batch is one source file under one reading: its identity is the hash of its contents, of the
declaration it is read by, and of the code. Each shard's footer says how many rows of which batch
it holds, so a batch loaded twice, or again after a kill, changes nothing; a corrected file
replaces exactly the rows its older version brought.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather

from data_contracts import PINGS, REJECTED_PINGS
from pipeline.engine.cluster import Cluster
from pipeline.engine.lineage import code_digest
from pipeline.engine.plan import ShardReport, Work
from pipeline.engine.store import ShardKey, Store, write_json
from pipeline.engine.trouble import RunError, named
from pipeline.params import digest
from pipeline.sources import Piece, SourceError, file_digest, find_files, read_blocks, split_file
from pipeline.sources.hashing import key_check
from pipeline.study import Source

RunMap = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""`map`, or a cluster's."""
ROWS_PER_PART = 400_000
"""Rows that one task of the exchange gathers: large enough to be cheap, small against memory."""


@dataclass(frozen=True)
class Batch:
    """One source file under one reading."""

    batch_id: str
    path: Path
    source: Source
    reading: str
    """Identity of all but the contents: declaration, Params, code, study facts, key."""


class Block(NamedTuple):
    """Accepted rows of one batch, waiting in a scratch file for the exchange."""

    path: Path
    batch_index: int


class Record(NamedTuple):
    """What is remembered of a batch once all of its rows are in the shards."""

    batch_id: str
    file: str
    reading: str
    n_read: int
    n_rejected: int
    reasons: dict[str, int]
    shards: dict[str, int]
    """Path of each shard of `pings` the batch reached → rows it brought there."""


class Books:
    """The records of a root: one JSON file a batch."""

    def __init__(self, store: Store) -> None:
        """Read the records under a root."""
        self._folder = store.root / "_batches"
        self.records = {p.stem: Record(**json.loads(p.read_text())) for p in sorted(self._folder.glob("*.json"))}

    def add(self, record: Record) -> None:
        """Remember a batch: the last step of loading it."""
        write_json(self._folder / f"{record.batch_id}.json", record._asdict())
        self.records[record.batch_id] = record

    def drop(self, batch_id: str) -> None:
        """Forget a batch whose rows are gone."""
        (self._folder / f"{batch_id}.json").unlink(missing_ok=True)
        self.records.pop(batch_id, None)


def find_batches(work: Work, key: bytes, run_map: RunMap) -> list[Batch]:
    """Return the batches of all source files, a file whose contents came before left out."""
    study = work.study
    files = [(path, source) for source in study.sources for path in find_files(source, study.folder)]
    digests = dict(run_map(_digest_file, [path for path, _ in files]))
    batches: dict[str, Batch] = {}
    for path, source in files:
        declared = source.model_dump(mode="json", exclude={"path"})
        reading = digest([work.parts, code_digest("pipeline.sources"), declared, key_check(key)])
        batch_id = digest([digests[path], reading])
        batches.setdefault(batch_id, Batch(batch_id, path, source, reading))
    return list(batches.values())


def _digest_file(path: Path) -> tuple[Path, str]:
    return path, file_digest(path)


class Todo(NamedTuple):
    """What loading has to do."""

    batches: list[Batch]
    """To be read: new ones, and known ones needed again to rebuild a shard."""
    withdrawn: list[str]
    """Batches whose rows must go: their file has other contents now, or is read differently."""
    spoilt: list[ShardKey]
    """Shards that hold rows of withdrawn batches: built again from nothing."""


def find_todo(work: Work, batches: Sequence[Batch], books: Books) -> Todo:
    """Compare source files with what is loaded. A file that is gone stays loaded."""
    found = {batch.batch_id: batch for batch in batches}
    readings = {batch.reading for batch in batches}
    names = {file_name(work, batch.path) for batch in batches}
    withdrawn = []
    for record in books.records.values():
        if record.batch_id in found:
            continue
        if record.file in names:
            withdrawn.append(record.batch_id)
        elif record.reading not in readings:
            raise RunError(
                f"{record.file} was loaded under other settings, code or key and is no longer there to be read again; "
                "put it back, or start a new root"
            )
    valid = set(found) | (set(books.records) - set(withdrawn))
    spoilt = [key for key in work.store.keys(PINGS) if not set(_brought(work.store, key)) <= valid]
    spoilt_paths = {key.path for key in spoilt}
    again = {r.batch_id for r in books.records.values() if r.batch_id in valid and spoilt_paths & set(r.shards)}
    missing = again - set(found)
    if missing:
        raise RunError(f"{len(missing)} source files are needed again to replace a corrected one, but are gone")
    new = set(found) - set(books.records)
    return Todo([b for b in batches if b.batch_id in new | again], withdrawn, spoilt)


def load(work: Work, todo: Todo, key: bytes, cluster: Cluster, books: Books) -> Iterator[ShardReport]:
    """Read the batches to do, exchange their rows into shards and record them; report each shard."""
    scratch = work.settings.root / "_scratch" / "blocks"
    shutil.rmtree(scratch, ignore_errors=True)
    batch_ids = [batch.batch_id for batch in todo.batches]
    outcomes, trouble = _read_batches(work, todo.batches, key, scratch, cluster)
    by_batch = {k: [o for o in outcomes if o.batch_index == k] for k in range(len(todo.batches)) if k not in trouble}
    records = [_record(work, todo.batches[k], mine) for k, mine in by_batch.items()]
    reached = Counter[str]()
    for record in records:
        reached.update(record.shards)
    spoilt = {key.path for key in todo.spoilt}
    for gone in spoilt - set(reached):
        work.store.remove(PINGS, _shard_key(gone))
        yield ShardReport(PINGS.name, gone, "removed", ("its source files changed",))
    blocks = [block for mine in by_batch.values() for outcome in mine for block in outcome.blocks]
    if blocks:
        yield from _exchange(work, cluster, blocks, reached, batch_ids, spoilt)
    for record in records:
        books.add(record)
    for batch_id in todo.withdrawn:
        books.drop(batch_id)
    for batch_id in [*todo.withdrawn, *(batch_ids[k] for k in trouble)]:
        _drop_rejected(work.store, batch_id)
    shutil.rmtree(scratch, ignore_errors=True)
    if trouble:
        raise RunError(
            f"{len(trouble)} of {len(todo.batches)} source files were not loaded, the others were; mend or remove them "
            f"and run again. {'; '.join(trouble[k] for k in sorted(trouble))}"
        )


def _read_batches(
    work: Work, batches: Sequence[Batch], key: bytes, scratch: Path, cluster: Cluster
) -> tuple[list[Outcome], dict[int, str]]:
    """Read all pieces of all batches; return their outcomes, and what is wrong with unreadable files."""
    trouble: dict[int, str] = {}
    pieces: list[tuple[int, Piece]] = []
    for k, batch in enumerate(batches):
        try:
            pieces += [(k, piece) for piece in split_file(batch.path, batch.source)]
        except SourceError as error:
            trouble[k] = str(error)
    read = partial(_read_piece, work, key, scratch, [batch.batch_id for batch in batches])
    outcomes = sorted(cluster.map(read, pieces), key=lambda o: (o.batch_index, o.piece_index))
    trouble.update({o.batch_index: o.trouble for o in outcomes if o.trouble})
    return outcomes, trouble


class Outcome(NamedTuple):
    """What one piece of a file held."""

    batch_index: int
    piece_index: int
    n_read: int
    reasons: Counter[str]
    shards: Counter[str]
    blocks: list[Block]
    trouble: str = ""
    """Why the piece could not be read to its end; then nothing of its file is loaded."""


def _read_piece(work: Work, key: bytes, scratch: Path, batch_ids: list[str], item: tuple[int, Piece]) -> Outcome:
    """Check the rows of one piece: accepted ones to scratch, refused ones to their table."""
    batch_index, piece = item
    outcome = Outcome(batch_index, piece.index, 0, Counter(), Counter(), [])
    rejected, n_read = [], 0
    with named(file_name(work, piece.path)):
        try:
            for number, raw in enumerate(read_blocks(piece, key)):
                accepted, refused = work.stage(raw, work.study, work.params)
                n_read += raw.num_rows
                outcome.reasons.update({v["values"]: v["counts"] for v in refused["reason"].value_counts().to_pylist()})
                rejected.append(refused)
                if accepted.num_rows:
                    path = scratch / f"{batch_index:06d}-{piece.index:06d}-{number:06d}.arrow"
                    outcome.shards.update(_write_block(work, path, accepted))
                    outcome.blocks.append(Block(path, batch_index))
        except SourceError as error:
            return outcome._replace(trouble=str(error))
        _write_rejected(work, batch_ids[batch_index], piece, rejected)
    return outcome._replace(n_read=n_read)


def _write_block(work: Work, path: Path, accepted: pa.Table) -> Counter[str]:
    """Write accepted rows with the number of their shard; return the rows of each shard's path."""
    n_buckets = work.settings.n_buckets
    device = accepted["device_id"].to_numpy()
    day_us = 86_400_000_000
    first_day = pd.Timestamp(work.study.start).value // (day_us * 1000)
    day = accepted["tracked_at"].cast(pa.int64()).to_numpy() // day_us - first_day
    shard = (day * n_buckets + (device.view(np.uint64) % np.uint64(n_buckets)).astype(np.int64)).astype(np.int32)
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(accepted.append_column("shard", pa.array(shard)), path, compression="uncompressed")
    numbers, counts = np.unique(shard, return_counts=True)
    return Counter({_key_of(work, int(n)).path: int(c) for n, c in zip(numbers, counts, strict=True)})


def _key_of(work: Work, shard: int) -> ShardKey:
    day, bucket = divmod(shard, work.settings.n_buckets)
    return ShardKey(work.study.start + timedelta(days=day), bucket)


def _shard_key(path: str) -> ShardKey:
    key = ShardKey.from_path(path)
    if key is None:
        raise RunError(f"{path} is no shard of {PINGS.name}")
    return key


def _write_rejected(work: Work, batch_id: str, piece: Piece, rejected: list[pa.Table]) -> None:
    refused = pa.concat_tables(rejected) if rejected else None
    key = ShardKey(name=f"{batch_id}-{piece.index:06d}")
    if refused is None or not refused.num_rows:
        work.store.remove(REJECTED_PINGS, key)
        return
    file = pa.array([file_name(work, piece.path)]).take(pa.array(np.zeros(refused.num_rows, dtype=np.int32)))
    work.store.write(REJECTED_PINGS, key, refused.add_column(0, "file", file), {"batches": batch_id})


def _drop_rejected(store: Store, batch_id: str) -> None:
    for key in store.keys(REJECTED_PINGS):
        if str(key.name).startswith(batch_id):
            store.remove(REJECTED_PINGS, key)


def _record(work: Work, batch: Batch, outcomes: list[Outcome]) -> Record:
    reasons, shards = Counter[str](), Counter[str]()
    for outcome in outcomes:
        reasons.update(outcome.reasons)
        shards.update(outcome.shards)
    n_read = sum(o.n_read for o in outcomes)
    if n_read != reasons.total() + shards.total():
        raise RunError(
            f"{batch.path.name}: {n_read} rows read, but {shards.total()} accepted and {reasons.total()} rejected"
        )
    name = file_name(work, batch.path)
    return Record(batch.batch_id, name, batch.reading, n_read, reasons.total(), dict(reasons), dict(shards))


def file_name(work: Work, path: Path) -> str:
    """Return a file's name below the study's folder, so that a moved study stays the same."""
    folder = work.study.folder.resolve()
    path = path.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def _exchange(
    work: Work,
    cluster: Cluster,
    blocks: list[Block],
    reached: Counter[str],
    batch_ids: list[str],
    spoilt: set[str],
) -> Iterator[ShardReport]:
    n_parts = max(1, min(len(reached), reached.total() // ROWS_PER_PART))
    write = partial(_write_shards, work, batch_ids, frozenset(spoilt))
    meta = _read_block(None)
    for reports in cluster.exchange(_read_block, blocks, meta, "shard", n_parts, write, _reports([])):
        for row in reports.itertuples(index=False):
            yield ShardReport(row.table, row.path, row.state, tuple(row.why.split("; ")), row.n_rows, row.seconds)


def _read_block(block: Block | None) -> pd.DataFrame:
    """Return the rows of a block with the number of their batch; of None, an empty frame of that shape."""
    fields = [f for f in PINGS.schema.remove_metadata() if f.name != "is_jump"] + [pa.field("shard", pa.int32())]
    data = feather.read_table(block.path) if block else pa.schema(fields).empty_table()
    frame = data.select([f.name for f in fields]).to_pandas()
    frame["tracked_at"] = frame["tracked_at"].astype("int64")
    return frame.assign(batch=np.int32(block.batch_index if block else 0))


def _reports(reports: list[ShardReport]) -> pd.DataFrame:
    frame = pd.DataFrame(reports, columns=ShardReport._fields)
    return frame.assign(why=["; ".join(r.why) for r in reports]).astype({"n_rows": "int64", "seconds": "float64"})


def _write_shards(work: Work, batch_ids: list[str], spoilt: frozenset[str], rows: pd.DataFrame) -> pd.DataFrame:
    """Merge gathered rows into their shards; return one report a shard."""
    return _reports(
        [
            _merge(work, batch_ids, spoilt, _key_of(work, int(shard)), part)
            for shard, part in rows.groupby("shard", sort=True)
        ]
    )


def _merge(work: Work, batch_ids: list[str], spoilt: frozenset[str], key: ShardKey, rows: pd.DataFrame) -> ShardReport:
    """Merge rows of some batches into one shard, those it holds already left out."""
    started = pd.Timestamp.now()
    store = work.store
    is_kept = key.path not in spoilt
    brought = _brought(store, key) if is_kept else {}
    is_new = [k for k, batch_id in enumerate(batch_ids) if batch_id not in brought]
    rows = rows[rows["batch"].isin(is_new)]
    if rows.empty:
        return ShardReport(PINGS.name, key.path, "current", (), store.footer(PINGS, key).n_rows)  # type: ignore[union-attr]
    added = {batch_ids[int(k)]: int(n) for k, n in rows["batch"].value_counts().items()}
    data = _to_rows(rows)
    if brought:
        data = pa.concat_tables([store.read(PINGS, key).drop_columns("is_jump"), data.cast(PINGS.schema.remove(6))])
    with named(f"{PINGS.name}/{key.path}"):
        merged = work.stage.finish(data, work.params)  # type: ignore[misc]
        footer = store.write(PINGS, key, merged, {"batches": {**brought, **added}})
    seconds = (pd.Timestamp.now() - started).total_seconds()
    return ShardReport(PINGS.name, key.path, "computed", (f"{len(added)} source files",), footer.n_rows, seconds)


def _to_rows(rows: pd.DataFrame) -> pa.Table:
    data = pa.Table.from_pandas(rows.drop(columns=["shard", "batch"]), preserve_index=False)
    at = data["tracked_at"].cast(PINGS.schema.field("tracked_at").type)
    return data.set_column(data.schema.get_field_index("tracked_at"), "tracked_at", at).replace_schema_metadata(None)


def _brought(store: Store, key: ShardKey) -> dict[str, int]:
    """Return how many rows each batch brought to a shard of `pings`."""
    footer = store.footer(PINGS, key)
    return dict(footer.made_from["batches"]) if footer else {}
