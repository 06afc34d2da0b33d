"""Whole files or none, on a disk and on an object store.

On a disk a file is written beside its place under a name that no reader looks at, flushed and renamed. On an object
store it is put together in memory and sent by one call, which the store shows once it is complete: a PUT, or a
multipart upload whose last step makes the object. Either way a reader sees the old file or the new one, a killed
writer leaves the old one, and of two writers one wins with all of its bytes.

Readers get the same: on a disk an open file stays what it was, and of an object a reader fetches all it needs by one
GET, so that nothing read is of two versions.
"""

from __future__ import annotations

import fnmatch
import io
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from data_contracts import ContractError
from pipeline.paths import is_remote, list_below, protocol_of, remote

WHOLE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory")
"""Protocols whose stores show an object only when all of it has arrived. Tested: s3, and memory in unit tests."""
TAIL_BYTES = 1 << 16
"""What is fetched of a Parquet object for its footer: more than all of ours but the widest (ours)."""
_MAGIC_BYTES = 8
"""Bytes at the end of a Parquet file: the footer's length in 4 bytes, and PAR1."""


class StoreError(RuntimeError):
    """A root or a file that cannot be used; says which and why."""


class UnreachableError(StoreError):
    """A store that does not answer; waiting may mend it."""


@contextmanager
def reaching(path: Path) -> Iterator[None]:
    """Turn a store's error into a StoreError that names the file and the kind of error; FileNotFoundError passes.

    Connections refused and the like were tried again by the store's client before they come here.
    """
    try:
        yield
    except (FileNotFoundError, StoreError):
        raise
    except Exception as error:
        if not is_remote(path):
            raise
        if isinstance(error, PermissionError):
            raise StoreError(f"{path}: the store refuses these credentials (PermissionError)") from None
        # Every store has errors of its own, and their texts may quote headers: only the kind is told.
        raise UnreachableError(
            f"{path}: the store does not answer ({type(error).__name__}); run again once it does"
        ) from None


def check_whole(root: Path) -> None:
    """StoreError where a root's store does not write whole objects, as a disk's rename does."""
    if is_remote(root) and protocol_of(root) not in WHOLE:
        raise StoreError(f"{root}: tables cannot be kept there, only on a disk or at {', '.join(WHOLE)}")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under `path` complete, or not at all, whether by a kill or a power cut."""
    if is_remote(path):
        buffer = io.BytesIO()
        yield buffer
        store, name = remote(path)
        with reaching(path):
            try:
                store.pipe_file(name, buffer.getvalue())
            except FileNotFoundError:
                raise StoreError(f"{path}: there is no such bucket") from None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, all or nothing."""
    with atomic_file(path) as file:
        file.write(json.dumps(value, indent=1, sort_keys=True, default=str).encode())


@contextmanager
def reading(path: Path, outcome: str) -> Iterator[None]:
    """Name a file of a root that cannot be read, in a StoreError; FileNotFoundError stays what it is.

    `outcome` says what becomes of a damaged file that is removed before the next run.
    """
    again = f"remove it and run again, and it {outcome}"
    try:
        yield
    except (FileNotFoundError, StoreError):
        raise
    except ContractError as error:
        raise StoreError(f"{path}: {error}; {again}") from None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        # What the operating system refuses has a number; what Arrow finds damaged has none.
        if isinstance(error, OSError) and error.errno:
            raise StoreError(f"{path}: {os.strerror(error.errno)}") from None
        raise StoreError(f"{path} is damaged ({type(error).__name__}); {again}") from None


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; FileNotFoundError where there is none."""
    return json.loads(read_bytes(path))


def read_replaceable(path: Path, outcome: str = "is written again") -> Any:
    """Return what a JSON file holds that may be removed where it is damaged; the StoreError of `reading` says so."""
    with reading(path, outcome):
        return read_json(path)


def read_bytes(path: Path) -> bytes:
    """Return all bytes of a file, of one version; FileNotFoundError where there is none."""
    if not is_remote(path):
        return path.read_bytes()
    store, name = remote(path)
    with reaching(path):
        # With a start it is one GET; without, larger objects are fetched in pieces, which may be of two versions.
        return bytes(store.cat_file(name, start=0))


def read_tail(path: Path, n_bytes: int = TAIL_BYTES) -> bytes:
    """Return the last bytes of a file, all of it where it is shorter."""
    if not is_remote(path):
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - n_bytes))
            return file.read()
    store, name = remote(path)
    with reaching(path):
        return bytes(store.cat_file(name, start=-n_bytes))


def whole_source(path: Path) -> Any:
    """Return what pyarrow reads a file from: the open file on a disk, else its bytes.

    Of a name pyarrow asks the size first and opens it then, and another version may have come between.
    """
    return pa.BufferReader(read_bytes(path)) if is_remote(path) else pa.OSFile(str(path))


def footer_source(path: Path) -> Any:
    """Return what pyarrow reads a Parquet file's metadata from: its name on a disk, else its last bytes."""
    if not is_remote(path):
        return path
    asked, tail = TAIL_BYTES, read_tail(path)
    # Anew from the end where the footer is longer, since another version may be there by then.
    while len(tail) == asked < (needed := int.from_bytes(tail[-_MAGIC_BYTES:-4], "little") + _MAGIC_BYTES):
        asked, tail = needed, read_tail(path, needed)
    return pa.BufferReader(tail)


@contextmanager
def scratch_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for rows that wait between steps; it need not outlive a power cut, and a part is never read."""
    if is_remote(path):
        with atomic_file(path) as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        yield file


def exists(path: Path) -> bool:
    """Return whether a file is there."""
    with reaching(path):
        return path.exists()


def remove_file(path: Path) -> None:
    """Remove a file if it is there."""
    if not is_remote(path):
        path.unlink(missing_ok=True)
        return
    store, name = remote(path)
    with reaching(path):
        try:
            store.rm_file(name)
        except FileNotFoundError:
            return


def move_file(path: Path, target: Path) -> None:
    """Move a file of a root to another place there; killed meanwhile, it is at the old place, or whole at both."""
    if not is_remote(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        _flush_folder(target.parent)
        return
    store, name = remote(path)
    with reaching(path):
        store.cp_file(name, remote(target)[1])
        store.rm_file(name)


def names_below(folder: Path, pattern: str) -> list[str]:
    """Return the names of the files below a folder, relative to it, whose last part matches."""
    with reaching(folder):
        found = list_below(folder)
    is_match = re.compile(fnmatch.translate(pattern)).match
    return [name for name in found if is_match(name.rpartition("/")[2])]


def create_file(path: Path, data: bytes) -> bool:
    """Write an object unless there is one of that name, as one step; return whether it was written."""
    store, name = remote(path)
    with reaching(path):
        try:
            store.pipe_file(name, data, mode="create")
        except FileNotFoundError:
            raise StoreError(f"{path}: there is no such bucket") from None
        except OSError:
            # What a refusal is called differs between stores; that the object is there does not.
            if not store.exists(name):
                raise
            return False
    return True


def remove_folder(folder: Path) -> None:
    """Remove a folder with all files below it, if it is there."""
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    store, name = remote(folder)
    with reaching(folder):
        for found in list_below(folder):
            store.rm_file(f"{name.rstrip('/')}/{found}")


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
