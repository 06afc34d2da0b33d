"""Lineage: what a shard was made from, back to the source files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pipeline.stages  # noqa: F401  (fills the registry)
from data_contracts import PINGS, TABLES, Shard, Table
from pipeline.engine.books import UNCOUNTED, Books
from pipeline.engine.files import StoreError
from pipeline.engine.store import ALL, ShardKey, Store, is_dated
from pipeline.params import digest
from pipeline.stage import STAGES

Told = tuple[str, tuple[ShardKey, ...]]


def trace(root: Path, table: str, day: date | None, bucket: int) -> dict[str, Any]:
    """Return a tree of what a table's shard was made from: name, rows, parts of its fingerprint, inputs.

    A node stands for one shard or, further down, for all shards of a table that went in: those of one
    bucket, or of all below a table gathered from them. What was told already is not told again. The
    leaves are source files with the rows they brought. StoreError where the shard does not exist.
    """
    if table not in TABLES:
        raise StoreError(f"no table {table!r}; there are {', '.join(TABLES)}")
    store, declared = Store(root), TABLES[table]
    keys = _keys(store, declared, bucket)
    if is_dated(declared) and day:
        keys = [key for key in keys if key.date == day]
    if not keys:
        raise StoreError(f"{root} has no such shard of {table}")
    return _node(store, declared, keys, bucket, set())


def _keys(store: Store, table: Table, bucket: int | None) -> list[ShardKey]:
    if table.shard.is_single:
        return [ALL] if store.has(table, ALL) else []
    return store.keys(table, None if table.shard is Shard.FILE else bucket)


def _node(store: Store, table: Table, keys: Sequence[ShardKey], bucket: int | None, told: set[Told]) -> dict[str, Any]:
    footers = [footer for key in keys if (footer := store.footer(table, key))]
    name = f"{table.name}/{keys[0].path}" if len(keys) == 1 else f"{table.name} ({len(keys)} shards)"
    me = (table.name, tuple(keys))
    is_told = me in told
    told.add(me)
    if is_told:
        inputs = []
    elif table is PINGS:
        inputs = _files(store, [footer.made_from for footer in footers])
    else:
        is_of_all = table.shard is Shard.STUDY or (table.name in STAGES and STAGES[table.name].meet is not None)
        inputs = _inputs(store, table, keys, None if is_of_all else bucket, told)
    parts: dict[str, str] = {
        **({"inputs": "as above"} if is_told else {}),
        "content": digest([f.content for f in footers])[:12],
        **{
            part: str(f.made_from[part])[:12] for f in footers[:1] for part in ("code", "params") if part in f.made_from
        },
    }
    return {"name": name, "n_rows": sum(f.n_rows for f in footers), "parts": parts, "inputs": inputs}


def _inputs(
    store: Store, table: Table, keys: Sequence[ShardKey], bucket: int | None, told: set[Told]
) -> list[dict[str, Any]]:
    reads = STAGES[table.name].reads if table.name in STAGES else ()
    days = _days(store, table, keys)
    return [
        _node(store, t, [k for k in found if not days or not k.date or k.date in days], bucket, told)
        for t in reads
        if t.name in TABLES and (found := _keys(store, t, bucket))
    ]


def _days(store: Store, table: Table, keys: Sequence[ShardKey]) -> set[date]:
    """Return the dates of some shards, and those before them that left something open for them."""
    days = {key.date for key in keys if key.date}
    for key in keys:
        day, footer = key.date, store.footer(table, key)
        while day and footer and footer.made_from.get("carry"):
            day -= timedelta(days=1)
            days.add(day)
            footer = store.footer(table, ShardKey(day, key.bucket))
    return days


def _files(store: Store, made_from: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    brought = Counter[str]()
    for parts in made_from:
        brought.update(parts["batches"])
    nodes, records = [], Books(store).records
    for batch_id, n_rows in sorted(brought.items()):
        name = ", ".join(records[batch_id].files) if batch_id in records else "a file not yet recorded"
        parts = {"batch": batch_id[:12]} | (
            {"rows": "not counted here since `rebucket`"} if n_rows == UNCOUNTED else {}
        )
        nodes.append({"name": name, "n_rows": n_rows, "parts": parts, "inputs": []})
    return nodes
