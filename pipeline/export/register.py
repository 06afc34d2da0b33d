"""The register of releases under a root: per table the rows as they left, and what they were made from.

It stays inside, for its note tells of rows that did not leave. One file a table, written before what leaves is: a
process killed between the two has registered rows that nobody saw, and the next export tells just these.
"""

import json
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts import Table
from pipeline.engine.files import StoreError, atomic_file, exists, whole_source
from pipeline.study import StudyError

FOLDER = "_exports"
NOTE = b"sojourn_release"


class Register(NamedTuple):
    """What was released of a table."""

    rows: pd.DataFrame
    """In the order of the key, as they left."""
    facts: dict[str, str]
    """What they were made from, by name; empty: nothing was released."""
    until: date | None = None
    """Last local date that they cover; None: they have no dates, or nothing was released."""
    study_end: date | None = None
    """End of the study when the first of them were released: that of rows of the whole study."""


def register_path(root: Path, table: Table) -> Path:
    """Return where the register of a table is or would be."""
    return root / FOLDER / f"{table.name}.parquet"


def read_register(root: Path, table: Table) -> Register:
    """Return what was released so far; StoreError where that was under another contract."""
    path, schema = register_path(root, table), table.schema.remove_metadata()
    if not exists(path):
        return Register(schema.empty_table().to_pandas(date_as_object=False), {})
    found = pq.read_table(whole_source(path), partitioning=None, use_threads=False)
    note = (found.schema.metadata or {}).get(NOTE)
    if note is None or found.schema.remove_metadata() != schema:
        raise StoreError(
            f"{path} was written under another contract of {table.name}: what was released before cannot be compared; "
            "export from another root, or move the register away and answer for the difference"
        )
    facts = json.loads(note)
    until, study_end = (date.fromisoformat(facts[k]) if facts[k] else None for k in ("until", "study_end"))
    return Register(found.to_pandas(date_as_object=False), facts["facts"], until, study_end)


def check_facts(past: Register, facts: dict[str, str], table: Table) -> None:
    """StudyError where rows are made from something else than those released, but for the study's end."""
    differing = [name for name in sorted({*past.facts, *facts}) if past.facts.get(name) != facts.get(name)]
    if len(past.rows) and differing:
        raise StudyError(
            f"{table.name} was released before with other {', '.join(differing)}: differences of the two would tell of "
            "few devices; put these back, or export from another root and answer for the difference"
        )


def write_register(root: Path, table: Table, released: Register, counts: dict[str, int]) -> None:
    """Write the register of a table and the counts of its last export, all or nothing."""
    note: dict[str, Any] = {**released._asdict(), "counts": counts}
    del note["rows"]
    text = json.dumps(note, sort_keys=True, default=str)
    schema = table.schema.remove_metadata()
    data = pa.Table.from_pandas(released.rows, schema, preserve_index=False)
    with atomic_file(register_path(root, table)) as file:
        pq.write_table(data.replace_schema_metadata({NOTE: text.encode()}), file, compression="zstd")
