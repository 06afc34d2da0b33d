"""Why a part of the page has nothing to show, in one line."""

from __future__ import annotations

from typing import NamedTuple

from data_contracts import Table
from pipeline.engine.store import Store


class Missing(NamedTuple):
    """A part of the page that is left out."""

    why: str


def has_shards(store: Store, table: Table) -> bool:
    """Return whether a table has been computed at all."""
    return bool(store.keys(table))


def not_computed(table: Table) -> Missing:
    """Return that a table is not there."""
    return Missing(f"the table {table.name} has not been computed.")
