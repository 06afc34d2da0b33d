"""From source files to `pings`: read, check, exchange to shards, merge into what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather

from data_contracts import PINGS, REJECTED_PINGS
from pipeline.engine.books import Batch, Books, Record, Todo, file_name, rows_brought
from pipeline.engine.cluster import Cluster, Step
from pipeline.engine.files import remove_folder, scratch_file, whole_source
from pipeline.engine.metering import Cost, metered, note_written
from pipeline.engine.plan import READ, ShardReport, Work, check_code
from pipeline.engine.store import ShardKey
from pipeline.engine.trouble import RunError, named
from pipeline.settings import read_key
from pipeline.sources import Piece, SourceError, read_blocks, split_file

ROWS_PER_PART = 400_000
"""Rows that one task of the exchange gathers: large enough to be cheap, small against memory."""


class Block(NamedTuple):
    """Accepted rows of one batch, waiting in a scratch file for the exchange."""

    path: Path
    batch_index: int


def load(work: Work, todo: Todo, cluster: Cluster, books: Books) -> Iterator[ShardReport]:
    """Read the batches to do, exchange their rows into shards and record them; report each shard.

    A file that cannot be read to its end is left out whole and named in a RunError at the end;
    when shards have to be built anew, such a file stops the run before any shard is touched.
    """
    scratch = work.settings.root / "_scratch" / "blocks"
    remove_folder(scratch)
    outcomes, trouble = _read_batches(work, todo.batches, scratch, cluster)
    if todo.spoilt and trouble:
        raise RunError(_say(trouble, "Nothing was loaded, because shards have to be built anew"))
    yield from _read_reports(todo.batches, outcomes)
    records = [_record(batch, outcomes[k]) for k, batch in enumerate(todo.batches) if k not in trouble]
    reached = Counter[str]()
    for record in records:
        reached.update(record.shards)
    for gone in set(todo.spoilt) - set(reached):
        work.store.remove(PINGS, _shard_key(gone))
        yield ShardReport(PINGS.name, gone, "removed", ("its source files changed",))
    blocks = [block for k in sorted(set(outcomes) - set(trouble)) for o in outcomes[k] for block in o.blocks]
    if blocks:
        yield from _exchange(work, cluster, blocks, reached, todo)
    for record in records:
        books.add(record)
    for batch_id in todo.withdrawn:
        books.drop(batch_id)
    _drop_unrecorded(work, books)
    remove_folder(scratch)
    if trouble:
        raise RunError(_say(trouble, "The others were loaded"))


def _say(trouble: dict[int, str], outcome: str) -> str:
    problems = "; ".join(trouble[k] for k in sorted(trouble))
    return f"{len(trouble)} source files cannot be read. {outcome}; mend or remove them and run again. {problems}"


def _read_batches(
    work: Work, batches: Sequence[Batch], scratch: Path, cluster: Cluster
) -> tuple[dict[int, list[Outcome]], dict[int, str]]:
    """Read all pieces of all batches; return outcomes by batch, and what is wrong with unreadable files."""
    trouble: dict[int, str] = {}
    pieces: list[ToRead] = []
    for k, batch in enumerate(batches):
        try:
            pieces += [ToRead(k, batch.batch_id, piece) for piece in split_file(batch.path, batch.source)]
        except SourceError as error:
            trouble[k] = str(error)
    outcomes: dict[int, list[Outcome]] = {k: [] for k in range(len(batches))}
    for outcome in cluster.map(partial(_read_piece, work, scratch), pieces):
        outcomes[outcome.batch_index].append(outcome)
        if outcome.trouble:
            trouble[outcome.batch_index] = outcome.trouble
    return {k: sorted(mine, key=lambda o: o.piece_index) for k, mine in outcomes.items()}, trouble


class ToRead(NamedTuple):
    """One piece of a file of one batch."""

    batch_index: int
    batch_id: str
    piece: Piece

    def __str__(self) -> str:
        """Return the piece as errors name it."""
        return f"{self.piece.path}, piece {self.piece.index}"


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
    cost: Cost | None = None


def _read_reports(batches: Sequence[Batch], outcomes: dict[int, list[Outcome]]) -> Iterator[ShardReport]:
    """Yield what reading each piece cost, by its batch's identity: a file's name may tell of a person."""
    for k, batch in enumerate(batches):
        for o in outcomes[k]:
            yield ShardReport(
                PINGS.name,
                f"{batch.batch_id}-{o.piece_index:06d}",
                "computed",
                (),
                o.shards.total(),
                cost=o.cost,
                step=READ,
            )


def _read_piece(work: Work, scratch: Path, item: ToRead) -> Outcome:
    """Check the rows of one piece, block by block: accepted ones to scratch, refused ones to their table."""
    batch_index, batch_id, piece = item
    check_code(work)
    # Of this process, not an argument: what a task is given may be logged by a worker, and crosses the network.
    key = read_key()
    reasons, shards = Counter[str](), Counter[str]()
    blocks: list[Block] = []
    n_read, trouble = 0, ""
    with metered() as meter, named(file_name(work, piece.path)):
        try:
            for number, raw in enumerate(read_blocks(piece, key)):
                accepted, refused = work.stage(raw, work.study, work.params)
                n_read += raw.num_rows
                reasons.update({v["values"]: v["counts"] for v in refused["reason"].value_counts().to_pylist()})
                part = f"{piece.index:06d}-{number:06d}"
                _write_rejected(work, ShardKey(name=f"{batch_id}-{part}"), piece, refused)
                if accepted.num_rows:
                    path = scratch / f"{batch_index:06d}-{part}.arrow"
                    shards.update(_write_block(work, path, accepted))
                    blocks.append(Block(path, batch_index))
        except SourceError as error:
            trouble = str(error)
        meter.add_rows(n_read, piece.path.stat().st_size // piece.n_pieces)
    return Outcome(batch_index, piece.index, n_read, reasons, shards, blocks, trouble, meter.cost())


def _write_block(work: Work, path: Path, accepted: pa.Table) -> Counter[str]:
    """Write accepted rows with the number of their shard; return the rows of each shard's path."""
    n_buckets = work.settings.n_buckets
    device = accepted["device_id"].to_numpy()
    day_us = 86_400_000_000
    first_day = pd.Timestamp(work.study.start).value // (day_us * 1000)
    day = accepted["tracked_at"].cast(pa.int64()).to_numpy() // day_us - first_day
    shard = (day * n_buckets + (device.view(np.uint64) % np.uint64(n_buckets)).astype(np.int64)).astype(np.int32)
    with scratch_file(path) as file:
        feather.write_feather(accepted.append_column("shard", pa.array(shard)), file, compression="uncompressed")
        note_written(file.tell())
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


def _write_rejected(work: Work, key: ShardKey, piece: Piece, refused: pa.Table) -> None:
    if refused.num_rows:
        file = pa.array([file_name(work, piece.path)]).take(pa.array(np.zeros(refused.num_rows, dtype=np.int32)))
        work.store.write(REJECTED_PINGS, key, refused.add_column(0, "file", file), {})


def _drop_unrecorded(work: Work, books: Books) -> None:
    """Remove refused rows of batches that are not loaded: withdrawn, unreadable, or killed and changed since."""
    for key in work.store.keys(REJECTED_PINGS):
        if str(key.name).split("-")[0] not in books.records:
            work.store.remove(REJECTED_PINGS, key)


def _record(batch: Batch, outcomes: list[Outcome]) -> Record:
    reasons, shards = Counter[str](), Counter[str]()
    for outcome in outcomes:
        reasons.update(outcome.reasons)
        shards.update(outcome.shards)
    n_read = sum(o.n_read for o in outcomes)
    if n_read != reasons.total() + shards.total():
        raise RunError(
            f"{batch.files[0]}: {n_read} rows read, but {shards.total()} accepted and {reasons.total()} rejected"
        )
    files = list(batch.files)
    return Record(batch.batch_id, files, batch.reading, n_read, reasons.total(), dict(reasons), dict(shards))


def _exchange(
    work: Work, cluster: Cluster, blocks: list[Block], reached: Counter[str], todo: Todo
) -> Iterator[ShardReport]:
    n_parts = max(1, min(len(reached), reached.total() // ROWS_PER_PART))
    batch_ids = [batch.batch_id for batch in todo.batches]
    write = partial(_write_shards, work, batch_ids, frozenset(todo.spoilt))
    meta = _read_block(None)
    for reports in cluster.exchange(_read_block, blocks, meta, [Step("shard", n_parts, write, _reports([]))]):
        for row in reports.itertuples(index=False):
            why = (row.why,) if row.why else ()
            yield ShardReport(row.table, row.path, row.state, why, row.n_rows, cost=row.cost)


def _read_block(block: Block | None) -> pd.DataFrame:
    """Return the rows of a block with the number of their batch; of None, an empty frame of that shape."""
    fields = [f for f in PINGS.schema.remove_metadata() if f.name != "is_jump"] + [pa.field("shard", pa.int32())]
    data = feather.read_table(whole_source(block.path)) if block else pa.schema(fields).empty_table()
    frame = data.select([f.name for f in fields]).to_pandas()
    frame["tracked_at"] = frame["tracked_at"].astype("int64")
    return frame.assign(batch=np.int32(block.batch_index if block else 0))


def _reports(reports: list[ShardReport]) -> pd.DataFrame:
    frame = pd.DataFrame(reports, columns=ShardReport._fields)
    return frame.assign(why=["; ".join(r.why) for r in reports]).astype(
        {"n_rows": "int64", "n_suppressed": "int64", "cost": "object"}
    )


def _write_shards(work: Work, batch_ids: list[str], spoilt: frozenset[str], rows: pd.DataFrame) -> pd.DataFrame:
    """Merge gathered rows into their shards; return one report a shard."""
    check_code(work)
    return _reports(
        [
            _merge(work, batch_ids, spoilt, _key_of(work, int(shard)), part)
            for shard, part in rows.groupby("shard", sort=True)
        ]
    )


def _merge(work: Work, batch_ids: list[str], spoilt: frozenset[str], key: ShardKey, rows: pd.DataFrame) -> ShardReport:
    """Merge rows of some batches into one shard, those it holds already left out."""
    store = work.store
    is_kept = key.path not in spoilt
    brought = rows_brought(store, key) if is_kept else {}
    is_new = [k for k, batch_id in enumerate(batch_ids) if batch_id not in brought]
    rows = rows[rows["batch"].isin(is_new)]
    if rows.empty:
        return ShardReport(PINGS.name, key.path, "current", (), store.footer(PINGS, key).n_rows)  # type: ignore[union-attr]
    added = {batch_ids[int(k)]: int(n) for k, n in rows["batch"].value_counts().items()}
    with metered() as meter, named(f"{PINGS.name}/{key.path}"):
        meter.add_rows(len(rows), int(rows.memory_usage(index=False).sum()))
        data = _to_rows(rows)
        if brought:
            data = pa.concat_tables([store.read(PINGS, key).drop_columns("is_jump"), data.cast(PINGS.schema.remove(6))])
        merged = work.stage.finish(data, work.params)  # type: ignore[misc]
        footer = store.write(PINGS, key, merged, {"batches": {**brought, **added}})
    why = (f"{len(added)} source files",)
    return ShardReport(PINGS.name, key.path, "computed", why, footer.n_rows, cost=meter.cost())


def _to_rows(rows: pd.DataFrame) -> pa.Table:
    data = pa.Table.from_pandas(rows.drop(columns=["shard", "batch"]), preserve_index=False)
    at = data["tracked_at"].cast(PINGS.schema.field("tracked_at").type)
    return data.set_column(data.schema.get_field_index("tracked_at"), "tracked_at", at).replace_schema_metadata(None)
