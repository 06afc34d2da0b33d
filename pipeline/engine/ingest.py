"""From source files to `pings`: read, check, exchange to shards, merge into what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather

from data_contracts import PINGS, REJECTED_PINGS
from pipeline.engine.books import Batch, Books, Record, Todo, file_name, rejected_by
from pipeline.engine.cluster import Cluster
from pipeline.engine.files import remove_folder, scratch_file
from pipeline.engine.merge import Block, Gone, cut, exchange_rows, merge_rows
from pipeline.engine.metering import Cost, metered, note_written
from pipeline.engine.numbering import Numbering, numbering, shard_key
from pipeline.engine.outlook import READ
from pipeline.engine.plan import ShardReport, Work, check_code
from pipeline.engine.spans import Reach, joined, reach_of
from pipeline.engine.store import ShardKey
from pipeline.engine.trouble import RunError, named
from pipeline.engine.withdrawals import Withdrawals, read_withdrawals
from pipeline.settings import SCRATCH, read_key
from pipeline.sources import Piece, SourceError, read_blocks, split_file

BYTES_PER_TASK = 16 * 2**20
"""Bytes of small source files that one task reads: as many rows as are worth a task (ours)."""
FILES_PER_TASK = 200
"""Source files whose pieces one task finds, opening each (ours)."""
BLOCKS = f"{SCRATCH}/blocks"
"""Folder below a root in which rows wait for the exchange."""


def load(
    work: Work, todo: Todo, cluster: Cluster, books: Books, on_more: Callable[[int], None]
) -> Iterator[ShardReport]:
    """Read the batches to do, exchange their rows into shards and record them; report each shard.

    That is done in waves, each of which is recorded before the next begins: scratch is bounded by
    `Settings.wave_bytes`, and a run that is killed goes on with the wave it was at.

    A file that cannot be read to its end is left out whole and named in a RunError at the end;
    when shards have to be built anew, such a file stops the run before any shard is touched.
    `on_more` hears how many more reports are to come, wave by wave, as soon as that is known.
    """
    scratch = work.settings.root / BLOCKS
    waves = cut(todo.batches, lambda batch: batch.n_bytes, work.settings.wave_bytes)
    if todo.spoilt and len(waves) > 1:
        _stop_at_unreadable(work, todo, cluster)
    spoilt, trouble = set(todo.spoilt), _refused(todo)
    for wave in waves:
        remove_folder(scratch)
        trouble += yield from _load_wave(work, wave, spoilt, trouble, scratch, cluster, books, on_more)
    remove_folder(scratch)
    for gone in sorted(spoilt):
        work.store.remove(PINGS, shard_key(gone))
        yield ShardReport(PINGS.name, gone, "removed", ("its source files changed",))
    books.drop(todo.outdated)
    _drop_unrecorded(work, books)
    if trouble:
        raise RunError(_say(trouble, "The others were loaded"))


def _load_wave(
    work: Work,
    batches: list[Batch],
    spoilt: set[str],
    before: Sequence[str],
    scratch: Path,
    cluster: Cluster,
    books: Books,
    on_more: Callable[[int], None],
) -> Generator[ShardReport, None, list[str]]:
    """Load and record some batches and report their shards; return what is wrong with unreadable files.

    Shards that are built anew are taken out of `spoilt`: they hold nothing then that has to go. What is wrong with
    files of other waves, `before`, is told beside where that stops the run.
    """
    books.begin(batches)
    outcomes, trouble = _read_batches(work, batches, scratch, cluster)
    if spoilt and trouble:
        raise RunError(_say([*before, *trouble.values()], NOTHING_MORE))
    on_more(sum(len(mine) for mine in outcomes.values()))
    yield from _read_reports(batches, outcomes)
    records = [_record(batch, outcomes[k]) for k, batch in enumerate(batches) if k not in trouble]
    reached = Counter[str]()
    for record in records:
        reached.update(record.shards)
    on_more(len(reached))
    blocks = [block for k in sorted(set(outcomes) - set(trouble)) for o in outcomes[k] for block in o.blocks]
    gone = _gone(batches, {k: outcomes[k] for k in outcomes if k not in trouble})
    if blocks or gone:
        merge = partial(merge_rows, work, [batch.batch_id for batch in batches], frozenset(spoilt), gone)
        yield from exchange_rows(work, cluster, blocks, reached, merge, set(gone))
    spoilt -= set(reached)
    books.add(records)
    return [trouble[k] for k in sorted(trouble)]


def _gone(batches: Sequence[Batch], outcomes: dict[int, list[Outcome]]) -> Gone:
    gone: Gone = {}
    for k, mine in outcomes.items():
        for path, n in sum((outcome.gone for outcome in mine), Counter[str]()).items():
            gone.setdefault(path, {})[batches[k].batch_id] = n
    return gone


NOTHING_MORE = "Nothing more was loaded, because shards have to be built anew"


def _refused(todo: Todo) -> list[str]:
    return [f"{name}: {why}" for name, why in todo.refused.items()]


def _stop_at_unreadable(work: Work, todo: Todo, cluster: Cluster) -> None:
    """Read all files to their end and keep nothing; RunError, before any shard is touched, when one cannot be read.

    Files that are loaded in one wave are all read before the first shard is written, and need no reading before.
    """
    pieces, trouble = _split_batches(todo.batches, cluster)
    for found in cluster.map(partial(_check_pieces, work), cut(pieces, lambda item: item.n_bytes, BYTES_PER_TASK)):
        trouble.update(found)
    if trouble:
        raise RunError(_say([*_refused(todo), *(trouble[k] for k in sorted(trouble))], NOTHING_MORE))


def _check_pieces(work: Work, items: list[Share]) -> dict[int, str]:
    """Return what is wrong with pieces that cannot be read to their end, by the index of their batch."""
    trouble = {}
    for item in items:
        with named(file_name(work, item.piece.path)):
            try:
                for _ in read_blocks(item.piece, read_key()):
                    pass
            except SourceError as error:
                trouble[item.batch_index] = str(error)
    return trouble


def _say(problems: list[str], outcome: str) -> str:
    n = f"{len(problems)} source file" + "s" * (len(problems) > 1)
    return f"{n} cannot be read. {outcome}; mend or remove them and run again. {'; '.join(problems)}"


class Share(NamedTuple):
    """One piece of a batch, and how much there is to read."""

    batch_index: int
    batch_id: str
    piece: Piece
    n_bytes: int


def _read_batches(
    work: Work, batches: Sequence[Batch], scratch: Path, cluster: Cluster
) -> tuple[dict[int, list[Outcome]], dict[int, str]]:
    """Read all pieces of all batches; return outcomes by batch, and what is wrong with unreadable files."""
    shares, trouble = _split_batches(batches, cluster)
    outcomes: dict[int, list[Outcome]] = {k: [] for k in range(len(batches))}
    groups = cut(shares, lambda share: share.n_bytes, BYTES_PER_TASK)
    for found in cluster.map(partial(_read_pieces, work, scratch), groups):
        for outcome in found:
            outcomes[outcome.batch_index].append(outcome)
            if outcome.trouble:
                trouble[outcome.batch_index] = outcome.trouble
    return {k: sorted(mine, key=lambda o: o.piece_index) for k, mine in outcomes.items()}, trouble


def _split_batches(batches: Sequence[Batch], cluster: Cluster) -> tuple[list[Share], dict[int, str]]:
    """Return the pieces of all files in order, and what is wrong with files that cannot be opened."""
    shares, trouble = list[Share](), dict[int, str]()
    for found, wrong in cluster.map(_split_files, cut(list(enumerate(batches)), lambda _: 1, FILES_PER_TASK)):
        shares += found
        trouble.update(wrong)
    return sorted(shares, key=lambda share: (share.batch_index, share.piece.index)), trouble


def _split_files(items: list[tuple[int, Batch]]) -> tuple[list[Share], dict[int, str]]:
    shares, trouble = list[Share](), dict[int, str]()
    for k, batch in items:
        try:
            pieces = split_file(batch.path, batch.source)
            shares += [Share(k, batch.batch_id, piece, batch.n_bytes // len(pieces)) for piece in pieces]
        except SourceError as error:
            trouble[k] = str(error)
    return shares, trouble


def _read_pieces(work: Work, scratch: Path, shares: list[Share]) -> list[Outcome]:
    check_code(work)
    # Of this process, not an argument: what a task is given may be logged by a worker, and crosses the network.
    key = read_key()
    withdrawals = read_withdrawals(work.store.root, key)
    return [_read_piece(work, key, withdrawals, scratch, share) for share in shares]


class Outcome(NamedTuple):
    """What one piece of a file held."""

    batch_index: int
    piece_index: int
    n_read: int
    reasons: Counter[str]
    shards: Counter[str]
    """Path of a shard → accepted rows."""
    gone: Counter[str]
    """Of these, rows of withdrawn devices, which are in no block."""
    blocks: list[Block]
    reach: Reach
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


def _read_piece(work: Work, key: bytes, withdrawals: Withdrawals, scratch: Path, share: Share) -> Outcome:
    """Check the rows of one piece, block by block: accepted ones to scratch, refused ones to their table."""
    batch_index, batch_id, piece, n_bytes = share
    reasons, shards, gone = Counter[str](), Counter[str](), Counter[str]()
    blocks, reaches = list[Block](), list[Reach]()
    n_read, trouble, shards_of = 0, "", numbering(work)
    with metered() as meter, named(file_name(work, piece.path)):
        try:
            for number, (raw, accepted, refused) in enumerate(read_accepted(work, piece, key)):
                n_read += raw.num_rows
                reaches.append(reach_of(raw["tracked_at"], work.study))
                reasons.update({v["values"]: v["counts"] for v in refused["reason"].value_counts().to_pylist()})
                part = f"{piece.index:06d}-{number:06d}"
                _write_rejected(work, ShardKey(name=f"{batch_id}-{part}"), piece, refused)
                accepted, withdrawn = withdrawals.split(accepted)
                gone.update(shards_of.counts(shards_of.of_rows(withdrawn)))
                if accepted.num_rows:
                    path = scratch / f"{batch_index:06d}-{part}.arrow"
                    shards.update(_write_block(shards_of, path, accepted))
                    blocks.append(Block(path, batch_index, accepted.num_rows))
        except SourceError as error:
            trouble = str(error)
        meter.add_rows(n_read, n_bytes)
    shards.update(gone)
    reach, cost = joined(reaches), meter.cost()
    return Outcome(batch_index, piece.index, n_read, reasons, shards, gone, blocks, reach, trouble, cost)


def read_accepted(work: Work, piece: Piece, key: bytes) -> Iterator[tuple[pa.Table, pa.Table, pa.Table]]:
    """Yield the rows of each block of a piece as read, those accepted, and those refused."""
    for raw in read_blocks(piece, key):
        accepted, refused = work.stage(raw, work.study, work.params)
        yield raw, accepted, refused


def _write_block(shards_of: Numbering, path: Path, accepted: pa.Table) -> Counter[str]:
    """Write accepted rows with the number of their shard; return the rows of each shard's path."""
    shard = shards_of.of_rows(accepted)
    with scratch_file(path) as file:
        feather.write_feather(accepted.append_column("shard", pa.array(shard)), file, compression="lz4")
        note_written(file.tell())
    return shards_of.counts(shard)


def _write_rejected(work: Work, key: ShardKey, piece: Piece, refused: pa.Table) -> None:
    if not refused.num_rows:
        # Under another span of the study there may have been some.
        work.store.remove(REJECTED_PINGS, key)
        return
    file = pa.array([file_name(work, piece.path)]).take(pa.array(np.zeros(refused.num_rows, dtype=np.int32)))
    work.store.write(REJECTED_PINGS, key, refused.add_column(0, "file", file), {})


def _drop_unrecorded(work: Work, books: Books) -> None:
    """Remove refused rows of batches that are not loaded: withdrawn, unreadable, or killed and changed since."""
    for key in work.store.keys(REJECTED_PINGS):
        if rejected_by(key) not in books.records:
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
    files, reach = list(batch.files), joined(o.reach for o in outcomes)
    return Record(batch.batch_id, files, batch.reading, n_read, reasons.total(), dict(reasons), dict(shards), reach)
