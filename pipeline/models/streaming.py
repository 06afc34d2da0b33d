"""Rows for training, read shard by shard: shuffled anew in each epoch, never whole in memory.

A first pass reads each shard once and appends its rows, sorted by a random key of each, to temporary files. A chunk of
a bounded number of rows is a range of that key, so it is a random sample of all rows; an epoch goes through the chunks
in an order of its own, and through the rows of a chunk in another. Keys are hashes of (seed, device, number of the
row within its device), so batches depend on the seed and the epoch alone: not on the number or size of the shards.
(ours: a shuffle buffer over shards, the common way, mixes neighbours only and gives other batches for other shards.)
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from data_contracts import Table
from pipeline.kernels.keyed_random import keyed_bits
from pipeline.models.devices import numpy_generator

CHUNK_ROWS = 1 << 16
"""Rows held in memory at a time, about (ours)."""
KEY_SPACE = 1 << 64
Arrays = Mapping[str, NDArray[Any]]
"""Rows to learn from: arrays of one length, of fixed width, one of them device_id."""


class StreamedRows:
    """The rows of one side of a split, on disk, that give the batches of any epoch.

    Memory is one chunk and one batch while it is read, one shard while it is filled. The files are unlinked: they are
    gone with the process, however it ends.
    """

    def __init__(
        self, batch_size: int, seed: int = 0, chunk_rows: int = CHUNK_ROWS, scratch: Path | None = None
    ) -> None:
        """Start without rows. `scratch` is the folder of the temporary files, by default the system's."""
        if batch_size < 1 or chunk_rows < 1:
            raise ValueError(f"batch_size {batch_size} and chunk_rows {chunk_rows} are 1 or more")
        self.batch_size, self.seed, self.chunk_rows, self.scratch = batch_size, seed, chunk_rows, scratch
        self.n_rows = 0
        self._keys: _Column | None = None
        self._columns: dict[str, _Column] = {}
        self._runs: list[int] = []
        self._bounds: NDArray[np.int64] | None = None

    @property
    def n_batches(self) -> int:
        """Batches of an epoch; the last may be smaller."""
        return -(-self.n_rows // self.batch_size)

    def add(self, arrays: Arrays) -> None:
        """Add all rows of some devices: one array is device_id, rows of one device in an order of their own.

        ValueError where the arrays differ in length, or in columns or widths from those added before.
        """
        device_id = np.asarray(arrays["device_id"], np.int64)
        if any(len(array) != device_id.size for array in arrays.values()):
            raise ValueError(f"arrays of rows differ in length: { {name: len(a) for name, a in arrays.items()} }")
        if not device_id.size:
            return
        keys = keyed_bits(device_id, "streaming", self.seed, _number_within(device_id))
        order = np.argsort(keys, kind="stable")
        if self._keys is None:
            self._keys = _Column(keys, self.scratch)
            self._columns = {name: _Column(array, self.scratch) for name, array in arrays.items()}
        if self._columns.keys() != arrays.keys():
            raise ValueError(f"arrays of rows are {sorted(arrays)}, before {sorted(self._columns)}")
        self._keys.append(keys[order])
        for name, array in arrays.items():
            self._columns[name].append(np.asarray(array)[order])
        self._runs.append(device_id.size)
        self.n_rows += device_id.size
        self._bounds = None

    def batches(self, epoch: int) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the batches of an epoch, by column: the same for the same epoch."""
        return self.batches_from(epoch, 0)

    def batches_from(self, epoch: int, start: int) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the batches of an epoch from number `start` on, counted from 0, without reading those before."""
        bounds = self._chunk_bounds()
        chunks = numpy_generator(self.seed, "chunks", epoch).permutation(bounds.shape[1] - 1)
        skip, rest = start * self.batch_size, None
        for chunk in chunks:
            n_chunk = int((bounds[:, chunk + 1] - bounds[:, chunk]).sum())
            if skip >= n_chunk:
                skip -= n_chunk
                continue
            rows = self._chunk(int(chunk), epoch, skip)
            rows = rows if rest is None else {name: np.concatenate([rest[name], rows[name]]) for name in rows}
            skip, rest = 0, (yield from self._whole_batches(rows))
        if rest is not None and len(rest["device_id"]):
            yield _tensors(rest)

    def _whole_batches(
        self, rows: dict[str, NDArray[Any]]
    ) -> Generator[dict[str, torch.Tensor], None, dict[str, NDArray[Any]]]:
        """Yield the full batches of some rows and return the rows left over."""
        n_rows, size = len(rows["device_id"]), self.batch_size
        for first in range(0, n_rows - size + 1, size):
            yield _tensors({name: array[first : first + size] for name, array in rows.items()})
        return {name: array[n_rows - n_rows % size :] for name, array in rows.items()}

    def _chunk(self, chunk: int, epoch: int, skip: int) -> dict[str, NDArray[Any]]:
        """Return the rows of one chunk in the epoch's order, but for the first `skip`."""
        bounds, firsts = self._chunk_bounds(), np.cumsum([0, *self._runs[:-1]])
        slices = [(f + b[chunk], f + b[chunk + 1]) for f, b in zip(firsts, bounds, strict=True)]
        assert self._keys is not None
        keys = self._keys.read(slices)
        order = np.argsort(keyed_bits(keys.view(np.int64), "order", self.seed, epoch), kind="stable")[skip:]
        return {name: column.read(slices)[order] for name, column in self._columns.items()}

    def _chunk_bounds(self) -> NDArray[np.int64]:
        """Return, for each run of rows added together, where the key's range of each chunk begins and ends in it."""
        if self._bounds is None:
            n_chunks = max(1, -(-self.n_rows // self.chunk_rows))
            edges = np.array([KEY_SPACE * k // n_chunks for k in range(1, n_chunks)], np.uint64)
            bounds = np.zeros((len(self._runs), n_chunks + 1), np.int64)
            first = 0
            for k, n_run in enumerate(self._runs):
                assert self._keys is not None
                bounds[k, 1:-1] = np.searchsorted(self._keys.read([(first, first + n_run)]), edges)
                bounds[k, -1] = n_run
                first += n_run
            self._bounds = bounds
        return self._bounds


class FrameTables:
    """Tables in memory, for tests and evaluations: one frame by table name, or several, one for each bucket."""

    def __init__(self, frames: Mapping[str, pd.DataFrame | Sequence[pd.DataFrame]]) -> None:
        """Take frames by table name; they are not changed."""
        self.frames = {name: [f] if isinstance(f, pd.DataFrame) else list(f) for name, f in frames.items()}

    def shards(self, table: Table, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield one frame after the other, each in the order of the table's key where it has its columns."""
        for frame in self.frames.get(table.name, []):
            key = [name for name in table.key if name in frame]
            rows = frame.sort_values(key, kind="stable", ignore_index=True) if key else frame
            yield rows if columns is None else rows[list(columns)]

    def whole(self, table: Table) -> pd.DataFrame:
        """Return all rows; a frame without rows where the table is not there."""
        frames = list(self.shards(table))
        return pd.concat(frames, ignore_index=True) if frames else table.schema.empty_table().to_pandas()


class _Column:
    """One array of growing length in an unlinked temporary file."""

    def __init__(self, like: NDArray[Any], scratch: Path | None) -> None:
        like = np.asarray(like)
        self.dtype, self.width = like.dtype, like.shape[1:]
        if self.dtype.hasobject:
            raise ValueError(f"an array of rows is of {self.dtype}: text and objects have no fixed width")
        self.row_bytes = self.dtype.itemsize * int(np.prod(self.width, dtype=np.int64))
        self.file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115

    def append(self, array: NDArray[Any]) -> None:
        if array.dtype != self.dtype or array.shape[1:] != self.width:
            raise ValueError(f"an array of rows is {array.dtype}{array.shape[1:]}, before {self.dtype}{self.width}")
        self.file.seek(0, 2)
        self.file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    def read(self, slices: Sequence[tuple[int, int]]) -> NDArray[Any]:
        """Return the rows of some slices, one after the other."""
        n_rows = sum(int(end - first) for first, end in slices)
        rows = np.empty((n_rows, *self.width), self.dtype)
        content, done = rows.reshape(-1).view(np.uint8).data, 0
        for first, end in slices:
            n_bytes = int(end - first) * self.row_bytes
            self.file.seek(int(first) * self.row_bytes)
            if n_bytes and self.file.readinto(content[done : done + n_bytes]) != n_bytes:
                raise OSError("a temporary file of rows is shorter than what was written to it")
            done += n_bytes
        return rows


def _number_within(device_id: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each row's number among the rows of its device, in order."""
    order = np.argsort(device_id, kind="stable")
    ordered = device_id[order]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]]
    firsts = np.flatnonzero(is_first)
    numbers = np.empty(device_id.size, np.int64)
    numbers[order] = np.arange(device_id.size) - firsts[np.cumsum(is_first) - 1]
    return numbers


def _tensors(rows: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in rows.items()}
