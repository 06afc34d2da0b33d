"""Who asked to be deleted: a root's list of withdrawn devices, applied whenever source files are read.

The list holds each device's id hashed once more with the key. So nothing under the root tells which device it was:
with the ids themselves, anyone who has an older copy of a table could look up who asked to be forgotten. Only whoever
has the key can find out whether a device is on the list, which is what reading has to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.engine.files import exists, read_replaceable, write_json
from pipeline.engine.trouble import RunError
from pipeline.sources import fill, is_device_in_name
from pipeline.sources.geolife_plt import TRACK_FOLDER
from pipeline.sources.hashing import IdHasher, key_check
from pipeline.sources.pieces import file_stem
from pipeline.study import Source

BOOK = "_withdrawn.json"
LOST = "lets withdrawn devices come back, so rather put it back from a backup"
"""What becomes of a list that is removed."""
MARK_BYTES = 16
"""Length of a mark (ours): two devices never share one."""


class Withdrawals:
    """The list of a root, as known to who has the key."""

    def __init__(self, key: bytes, marks: Iterable[str] = ()) -> None:
        """Take the key, and the marks of the devices on the list."""
        self._key, self.marks = key, frozenset(marks)
        self._known: dict[int, str | None] = {}
        self._hasher = IdHasher(key)

    def mark(self, device: int) -> str:
        """Return what stands for a device on the list."""
        data = device.to_bytes(8, "little", signed=True)
        return hashlib.blake2b(data, digest_size=MARK_BYTES, key=self._key, person=b"sojourn-gone").hexdigest()

    def mark_id(self, raw_id: bytes) -> str | None:
        """Return what stands for the device of a source's id; None where the text stands for no id."""
        device = self._hasher.hash_text(raw_id)
        return None if device is None else self.mark(device)

    def found(self, devices: NDArray[np.int64]) -> tuple[NDArray[np.bool_], set[str]]:
        """Return which of some rows are of devices on the list, and the marks of these devices."""
        if not self.marks:
            return np.zeros(len(devices), np.bool_), set()
        codes, distinct = pd.factorize(devices)
        marks = [self._mark_on_list(int(device)) for device in distinct]
        is_gone = np.array([mark is not None for mark in marks], np.bool_)
        return is_gone[codes], {mark for mark in marks if mark}

    def split(self, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return rows of devices that are not on the list, and of those that are."""
        is_gone, marks = self.found(rows["device_id"].to_numpy())
        if not marks:
            return rows, rows.slice(0, 0)
        return rows.filter(pa.array(~is_gone)), rows.filter(pa.array(is_gone))

    def owns(self, source: Source, path: Path) -> bool:
        """Return whether a file's name says that all of its rows are of a device on the list.

        Archives of tracks may hold those of several devices, so they are read and their rows judged one by one.
        """
        if not self.marks or not is_device_in_name(source):
            return False
        filled = fill(source)
        name, parts = file_stem(path), PurePosixPath(path.as_posix()).parts
        if filled.format == "geolife_plt":
            if not path.name.lower().endswith(".plt"):
                return False
            name = parts[-3] if len(parts) >= 3 and parts[-2] == TRACK_FOLDER else name
        return self.mark_id(name.encode()) in self.marks

    def _mark_on_list(self, device: int) -> str | None:
        if device not in self._known:
            mark = self.mark(device)
            self._known[device] = mark if mark in self.marks else None
        return self._known[device]


def read_withdrawals(root: Path, key: bytes) -> Withdrawals:
    """Return the list of a root; RunError where it was made with another key, under which nobody is found on it."""
    path = root / BOOK
    if not exists(path):
        return Withdrawals(key)
    noted = read_replaceable(path, LOST)
    if noted["key"] != key_check(key):
        raise RunError(
            f"{root}: {len(noted['marks'])} devices were withdrawn under another key, and would come back under this "
            "one; use that key, or begin a new root and withdraw them there first"
        )
    return Withdrawals(key, noted["marks"])


def write_withdrawals(root: Path, key: bytes, marks: Iterable[str]) -> Withdrawals:
    """Put devices on the list of a root by their marks, and return the list."""
    listed = sorted({*read_withdrawals(root, key).marks, *marks})
    write_json(root / BOOK, {"key": key_check(key), "marks": listed})
    return Withdrawals(key, listed)
