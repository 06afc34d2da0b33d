"""What the footers of `pings` and the books say against each other: whether every load has come to its end.

A shard's footer says which batches brought it rows, a batch's record which shards it reached. They differ where a load
was killed before its record was written, and where a shard was lost since; the next run mends both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from data_contracts import PINGS
from pipeline.engine.books import UNCOUNTED, Books, Record, rows_brought
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError

Brought = Mapping[str, Mapping[str, int] | None]
"""Path of each shard of `pings` → batch → rows it brought there, or `UNCOUNTED`; None where the shard is damaged."""


def find_brought(store: Store) -> dict[str, dict[str, int]]:
    """Return what the footers of all shards of `pings` say; StoreError where one is damaged."""
    return {key.path: rows_brought(store, key) for key in store.keys(PINGS)}


def lacking(records: Mapping[str, Record], brought: Brought) -> Iterator[tuple[str, str, int]]:
    """Yield the shards that lack rows a recorded batch brought them, but not damaged ones: path, batch, how many."""
    for record in records.values():
        for path, n_rows in record.shards.items():
            batches = brought.get(path, {})
            if batches is None:
                continue
            held = batches.get(record.batch_id)
            if held is None or (held != n_rows and UNCOUNTED not in (held, n_rows)):
                yield path, record.batch_id, n_rows - (held or 0)


def unrecorded(records: Mapping[str, Record], brought: Brought) -> Iterator[tuple[str, str]]:
    """Yield the shards with rows of a batch that no record has there, and the batch.

    Where shards were cut out of others, a batch may be named in some that it brought nothing: that is no difference.
    """
    for path, batches in brought.items():
        for batch_id, n_rows in (batches or {}).items():
            is_known = batch_id in records
            if not is_known or (path not in records[batch_id].shards and n_rows != UNCOUNTED):
                yield path, batch_id


def check_loaded(store: Store, command: str) -> None:
    """RunError where a load was stopped or shards were lost: `command` would take what is there for all."""
    records, brought = Books(store).records, find_brought(store)
    batches = {batch_id for _, batch_id, _ in lacking(records, brought)}
    batches |= {batch_id for _, batch_id in unrecorded(records, brought)}
    if batches:
        raise RunError(
            f"{store.root}: not all rows of {len(batches)} source files are in pings and noted, since a load was "
            f"stopped or shards are missing; `sojourn run` first, then {command}. Nothing was changed"
        )
