"""The files of a root: deterministic names, atomic writes, footers that say how a shard was made.

A shard is one Parquet file, written whole or not at all (`files`), so a reader sees the old shard or the new one and
never a part; writing it again gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts import Release, Shard, Table, conform, suppress_small
from pipeline.engine.files import (
    atomic_file,
    check_whole,
    exists,
    footer_source,
    names_below,
    reading,
    remove_file,
    whole_source,
)
from pipeline.engine.metering import note_read, note_written
from pipeline.params import digest
from pipeline.paths import as_path, is_remote

FOOTER_KEY = b"sojourn"
ROOT_FILE = "_root.json"
"""How a root is laid out; the first thing that is written there."""
ROW_GROUP_ROWS = 1 << 20
_NAME = re.compile(r"^(?:date=(?P<date>\d{4}-\d\d-\d\d)/)?(?:bucket=(?P<bucket>\d{4})|(?P<name>[^/.][^/]*))\.parquet$")


class ShardKey(NamedTuple):
    """Which shard of a table: the parts that its `Shard` kind does not use are None."""

    date: date | None = None
    bucket: int | None = None
    name: str | None = None

    @property
    def path(self) -> str:
        """File path below the table's folder."""
        folder = f"date={self.date.isoformat()}/" if self.date else ""
        return folder + (f"bucket={self.bucket:04d}" if self.bucket is not None else str(self.name)) + ".parquet"

    @classmethod
    def from_path(cls, path: str) -> ShardKey | None:
        """Return the key of a path below the table's folder; None when it is no shard (temporary files)."""
        match = _NAME.match(path)
        if match is None:
            return None
        day, bucket, name = match.group("date", "bucket", "name")
        return cls(date.fromisoformat(day) if day else None, int(bucket) if bucket else None, name)

    def order(self) -> tuple[Any, ...]:
        """Return what keys are sorted by: date, bucket, name."""
        return self.date or date.min, self.bucket or 0, self.name or ""


ALL = ShardKey(name="all")
"""The one shard of a static or study table."""


class Footer(NamedTuple):
    """What a shard says of itself."""

    content: str
    """Hash of the data alone."""
    made_from: dict[str, Any]
    """The parts of its fingerprint."""
    n_rows: int
    n_suppressed: int = 0
    """Rows of a release table that were left out, too few devices being behind them."""
    place: str | None = None
    """Where below the root it was written, to tell a file that was moved; None in shards from before this was noted."""


class Store:
    """The tables under one root, a folder or a URL."""

    def __init__(self, root: Path | str) -> None:
        """Use `root`; nothing is created before the first write. StoreError where tables cannot be kept there."""
        self.root = as_path(root)
        check_whole(self.root)

    def path(self, table: Table, key: ShardKey) -> Path:
        """Return where a shard is or would be."""
        return self.root / table.name / key.path

    def keys(self, table: Table, bucket: int | None = None) -> list[ShardKey]:
        """Return the keys of the shards that exist, of all buckets or one, by date, bucket and name."""
        folder = self.root / table.name
        pattern = "*.parquet" if bucket is None else f"bucket={bucket:04d}.parquet"
        found = (ShardKey.from_path(name) for name in names_below(folder, pattern))
        return sorted((k for k in found if k), key=ShardKey.order)

    def has(self, table: Table, key: ShardKey) -> bool:
        """Return whether there is such a shard."""
        return exists(self.path(table, key))

    def footer(self, table: Table, key: ShardKey) -> Footer | None:
        """Return what a shard says of itself; None when there is no such shard."""
        path = self.path(table, key)
        try:
            with reading(path, "is made again"):
                return read_footer(footer_source(path))
        except FileNotFoundError:
            return None

    def footers(self, table: Table) -> dict[ShardKey, Footer]:
        """Return what every shard of a table says of itself, in the order of `keys`."""
        return {key: footer for key in self.keys(table) if (footer := self.footer(table, key))}

    def read(self, table: Table, key: ShardKey, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a shard's rows, checked against the contract unless only some columns are asked for.

        StoreError where it is damaged. Every page carries a checksum: most flipped bits would pass unseen without.
        """
        path = self.path(table, key)
        with reading(path, "is made again"):
            source = whole_source(path)
            data = read_rows(source, table, columns)
            note_read(data.num_rows, source.size(), table.shard.is_single)
            return data

    def write(self, table: Table, key: ShardKey, data: pa.Table, made_from: dict[str, Any]) -> Footer:
        """Write a shard that conforms to its contract, all or nothing, and return its footer.

        No file of a release table ever holds a row with too few devices: such rows are left out and counted.
        """
        data, n_suppressed = suppress_small(data, table)
        data = conform(data, table)
        path = self.path(table, key)
        with atomic_file(path) as file:
            sink = _HashingFile(file)
            with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), table.schema, **_encoding(table)) as writer:
                writer.write_table(data, row_group_size=ROW_GROUP_ROWS)
                content = sink.digest()
                place = f"{table.name}/{key.path}"
                note: dict[str, Any] = {"place": place, "content": content, "made_from": made_from}
                if table.release is Release.PUBLIC:
                    note["n_suppressed"] = n_suppressed
                writer.add_key_value_metadata({FOOTER_KEY.decode(): json.dumps(note, sort_keys=True)})
            note_written(file.tell())
        return Footer(content, made_from, data.num_rows, n_suppressed, place)

    def remove(self, table: Table, key: ShardKey) -> None:
        """Remove a shard if it exists, and its date folder once that is empty."""
        path = self.path(table, key)
        remove_file(path)
        if key.date and not is_remote(path) and path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()

    def remove_leftovers(self) -> int:
        """Remove the temporary files that killed processes left; return how many. An object store is left none."""
        if is_remote(self.root):
            return 0
        leftovers = names_below(self.root, ".*.tmp")
        for name in leftovers:
            (self.root / name).unlink(missing_ok=True)
        return len(leftovers)


def content_of(footers: Mapping[ShardKey, Footer]) -> str:
    """Return the hash of the contents of a table's shards, whatever they were made from."""
    return digest([[key.path, footer.content] for key, footer in footers.items()])


def read_footer(source: Any) -> Footer:
    """Return what the shard that pyarrow reads from `source` says of itself; errors as pyarrow raises them."""
    metadata = pq.read_metadata(source)
    note = json.loads(metadata.metadata[FOOTER_KEY])
    n_suppressed = note.get("n_suppressed", 0)
    return Footer(note["content"], note["made_from"], metadata.num_rows, n_suppressed, note.get("place"))


def read_rows(source: Any, table: Table, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows that pyarrow reads from `source`, as `Store.read` does; errors as pyarrow raises them."""
    data = pq.read_table(
        source,
        columns=list(columns) if columns else None,
        partitioning=None,
        use_threads=False,
        page_checksum_verification=True,
    )
    return data.replace_schema_metadata(None) if columns else conform(data, table)


def content_hash() -> Any:
    """Return the hash, still of nothing, that `Footer.content` is of the bytes before a shard's footer."""
    return hashlib.blake2b(digest_size=16)


class _HashingFile:
    """A file that hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = content_hash()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def digest(self) -> str:
        return self._hash.hexdigest()

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self._file.tell()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        """Leave the file open: `atomic_file` has still to flush it to the disk."""


def _encoding(table: Table) -> dict[str, Any]:
    """Return the Parquet settings of a table: differences for rising integers, dictionaries for texts."""
    texts = [c.name for c in table.columns if pa.types.is_string(c.dtype)]
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": texts or False,
        "column_encoding": {c.name: "DELTA_BINARY_PACKED" for c in table.columns if c.is_sequence},
        "write_statistics": True,
        "write_page_checksum": True,
        "store_schema": True,
    }


def is_dated(table: Table) -> bool:
    """Return whether a table is kept per date as well as per bucket."""
    return table.shard is Shard.DATE_BUCKET
