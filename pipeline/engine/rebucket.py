"""Another number of buckets for a root: its pings are cut into other shards, and no source file is read again.

New shards are made beside the old ones, from all of these, and only when every row has arrived are the old ones
removed and the new ones moved to their place. Tables made of pings are removed with them, and the next run makes them
again. Which step is at work is noted in the root, so that a killed command goes on, and no other begins meanwhile.

Pings do not say which source file brought them. Where old buckets are put together whole, counts by file add up; where
one is cut, each part is taken to hold rows of all its files, in numbers that are not known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from math import gcd
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from data_contracts import PINGS, TABLES, Shard
from pipeline.engine.agreement import check_loaded
from pipeline.engine.books import UNCOUNTED, Books
from pipeline.engine.cluster import Step
from pipeline.engine.files import move_file, read_json, remove_folder, write_json
from pipeline.engine.merge import ROWS_PER_PART, cut, to_rows
from pipeline.engine.numbering import Numbering
from pipeline.engine.opening import HeldRoot
from pipeline.engine.store import ROOT_FILE, Footer, ShardKey, Store
from pipeline.engine.trouble import RunError, named
from pipeline.engine.unfinished import begin, finish, unfinished

COMMAND = "rebucket"
STAGED = "_rebucket"
"""Folder of the root in which new shards wait until all of them are there."""
ROWS_PER_WAVE = 50_000_000
"""Rows that are exchanged at a time, dates being kept whole: some 3 GB in scratch (ours)."""


class Plan(NamedTuple):
    """From how many buckets to how many."""

    since: int
    to: int

    @property
    def n_classes(self) -> int:
        """Number of groups of old buckets whose devices stay among themselves, a group of new ones each."""
        return gcd(self.since, self.to)


class Lot(NamedTuple):
    """What is known of the rows of one date in one class of buckets."""

    batches: dict[str, int]
    """Batch → rows it brought to each new shard, or `UNCOUNTED`."""
    n_rows: int
    n_withdrawn: int
    """0 also where nobody knows which new shard they would be in: they count as duplicates then."""


class Rebucketed(NamedTuple):
    """What was done."""

    since: int
    to: int
    n_rows: int
    n_shards: int


def rebucket(held: HeldRoot, n_buckets: int) -> Rebucketed:
    """Cut the pings of a root into `n_buckets` a date; RunError where another number was begun and not finished.

    RunError as well where loading is not complete: a new shard is made of several old ones, and says of all of its
    batches that they brought it their rows.
    """
    root = held.settings.root
    noted = unfinished(root)
    if not noted:
        check_loaded(Store(root), COMMAND)
        remove_folder(root / STAGED)
        noted = {"since": held.settings.n_buckets, "to": n_buckets, "step": next(iter(STEPS))}
    plan = Plan(noted["since"], noted["to"])
    if plan.to != n_buckets:
        raise RunError(f"{root}: a change to {plan.to} buckets has begun; finish it first, with --buckets {plan.to}")
    names = list(STEPS)
    for name in names[names.index(noted["step"]) :]:
        begin(root, COMMAND, since=plan.since, to=plan.to, step=name)
        STEPS[name](held, plan)
    finish(root)
    footers = Store(root).footers(PINGS)
    return Rebucketed(plan.since, plan.to, sum(f.n_rows for f in footers.values()), len(footers))


def _copy(held: HeldRoot, plan: Plan) -> None:
    """Write all new shards beside the old ones."""
    root = held.settings.root
    old, staged = Store(root).footers(PINGS), Store(root / STAGED)
    lots, n_rows = _lots(old, plan), _rows_by_date(old)
    waiting = _unlike(n_rows, lots, staged)
    for wave in cut(waiting, lambda day: n_rows[day], ROWS_PER_WAVE):
        keys = [key for key in old if key.date in wave]
        _exchange(held, plan, keys, {place: lot for place, lot in lots.items() if place[0] in wave})
    if wrong := _unlike(n_rows, lots, staged):
        raise RunError(
            f"{root}: the new shards of {len(wrong)} dates have not the rows of the old ones; nothing changed"
        )


def _unlike(n_rows: Mapping[date, int], lots: Mapping[tuple[date, int], Lot], staged: Store) -> list[date]:
    """Return the dates whose new shards are not all there."""
    new = staged.footers(PINGS)
    arrived = _rows_by_date(new)
    lacking = {day for (day, bucket), lot in lots.items() if not lot.n_rows and ShardKey(day, bucket) not in new}
    return [day for day in sorted(n_rows) if arrived[day] != n_rows[day] or day in lacking]


def _rows_by_date(footers: Mapping[ShardKey, Footer]) -> Counter[date]:
    rows = Counter[date]()
    for key, footer in footers.items():
        rows[_date(key)] += footer.n_rows
    return rows


def _date(key: ShardKey) -> date:
    assert key.date is not None  # pings are kept by date
    return key.date


def _lots(old: Mapping[ShardKey, Footer], plan: Plan) -> dict[tuple[date, int], Lot]:
    """Return what the footers of the old shards say, by date and class of buckets."""
    batches: dict[tuple[date, int], Counter[str]] = defaultdict(Counter)
    rows, withdrawn = Counter[tuple[date, int]](), Counter[tuple[date, int]]()
    uncounted: dict[tuple[date, int], set[str]] = defaultdict(set)
    for key, footer in old.items():
        place = _date(key), (key.bucket or 0) % plan.n_classes
        batches[place].update(footer.made_from["batches"])
        rows[place] += footer.n_rows
        withdrawn[place] += footer.made_from.get("withdrawn", 0)
        uncounted[place] |= {b for b, n in footer.made_from["batches"].items() if n == UNCOUNTED}
    is_whole = plan.n_classes == plan.to
    return {
        place: Lot(
            {b: n if is_whole and b not in uncounted[place] else UNCOUNTED for b, n in counts.items()},
            rows[place],
            withdrawn[place] if is_whole else 0,
        )
        for place, counts in batches.items()
    }


def _exchange(held: HeldRoot, plan: Plan, keys: Sequence[ShardKey], lots: dict[tuple[date, int], Lot]) -> None:
    """Write the new shards of some dates."""
    root, numbers = held.settings.root, Numbering(min(_date(key) for key in keys), plan.to)
    footers = [Store(root).footer(PINGS, key) for key in keys]
    n_rows = sum(footer.n_rows for footer in footers if footer)
    n_parts = max(1, min(len(lots) * plan.to // plan.n_classes, n_rows // ROWS_PER_PART))
    read, write = partial(_read, root, numbers), partial(_write, root, plan, numbers, lots)
    steps = [Step("shard", n_parts, write, write(read(None)))]
    for _ in held.exchange(read, list(keys), read(None), steps):
        pass
    for (day, bucket), lot in sorted(lots.items()):
        if not lot.n_rows:
            # None but withdrawn devices had rows there: what is known of its batches is kept.
            _write_shard(root, plan, lots, ShardKey(day, bucket), PINGS.schema.empty_table())


def _read(root: Path, numbers: Numbering, key: ShardKey | None) -> pd.DataFrame:
    """Return the pings of an old shard with the numbers of their new ones; of no shard, a frame without rows."""
    with named("no shard" if key is None else f"{PINGS.name}/{key.path}"):
        rows = PINGS.schema.empty_table() if key is None else Store(root).read(PINGS, key)
        frame = rows.append_column("shard", pa.array(numbers.of_rows(rows))).to_pandas()
    frame["tracked_at"] = frame["tracked_at"].astype("int64")
    return frame


def _write(
    root: Path, plan: Plan, numbers: Numbering, lots: dict[tuple[date, int], Lot], rows: pd.DataFrame
) -> pd.DataFrame:
    """Write the new shards of gathered rows; return how many, in a frame."""
    n_shards = 0
    for shard, part in rows.groupby("shard", sort=True):
        key = numbers.key(int(shard))
        with named(f"{PINGS.name}/{key.path}"):
            data = to_rows(part.drop(columns="shard")).sort_by([(name, "ascending") for name in PINGS.key])
            _write_shard(root, plan, lots, key, data)
        n_shards += 1
    return pd.DataFrame({"n_shards": [n_shards]})


def _write_shard(root: Path, plan: Plan, lots: dict[tuple[date, int], Lot], key: ShardKey, data: pa.Table) -> None:
    """Write one new shard."""
    lot = lots[_date(key), (key.bucket or 0) % plan.n_classes]
    note = {"withdrawn": lot.n_withdrawn} if lot.n_withdrawn else {}
    Store(root / STAGED).write(PINGS, key, data, {"batches": lot.batches, **note})


def _clear(held: HeldRoot, plan: Plan) -> None:
    """Remove the old shards, and those of all tables that are kept by bucket."""
    store = Store(held.settings.root)
    for table in TABLES.values():
        if table.shard in (Shard.DATE_BUCKET, Shard.BUCKET):
            for key in store.keys(table):
                held.lock.check()
                store.remove(table, key)


def _move(held: HeldRoot, plan: Plan) -> None:
    """Put the new shards in their place."""
    store, staged = Store(held.settings.root), Store(held.settings.root / STAGED)
    for key in staged.keys(PINGS):
        held.lock.check()
        move_file(staged.path(PINGS, key), store.path(PINGS, key))
    remove_folder(staged.root)


def _note(held: HeldRoot, plan: Plan) -> None:
    """Write down in the records which shards each batch reached, and in the root how many buckets there are."""
    root = held.settings.root
    shards: dict[str, dict[str, int]] = defaultdict(dict)
    for key, footer in Store(root).footers(PINGS).items():
        for batch_id, n in footer.made_from["batches"].items():
            shards[batch_id][key.path] = n
    books = Books(Store(root))
    books.add([record._replace(shards=shards.get(batch_id, {})) for batch_id, record in books.records.items()])
    write_json(root / ROOT_FILE, {**read_json(root / ROOT_FILE), "n_buckets": plan.to})


STEPS: dict[str, Callable[[HeldRoot, Plan], None]] = {"copy": _copy, "clear": _clear, "move": _move, "note": _note}
"""What is done, in order; each may be done again."""
