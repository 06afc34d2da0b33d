"""Hashes of source files, remembered for as long as nothing says that a file was touched."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.engine.files import exists, read_replaceable, write_json
from pipeline.engine.plan import RunMap
from pipeline.engine.store import ROOT_FILE, Store
from pipeline.paths import is_remote, stamp_of
from pipeline.sources import file_digest

DIGESTS = "_digests.json"
"""File below a root that remembers hashes of source files."""
SETTLED_NS = 2_000_000_000
"""Age from which a file's times are believed to differ from those of a later change, in ns (ours: the coarsest tick of
file systems still in use). Files that are younger, or from the future by a clock set back, are hashed every time."""


def digest_files(
    store: Store, paths: Sequence[Path], run_map: RunMap, is_dry: bool
) -> tuple[dict[Path, str], dict[Path, str]]:
    """Return the hash of each file's contents, and why others cannot be read.

    A hash is remembered for as long as size and times of the file, or the mark of its contents, stay the same.
    """
    book = store.root / DIGESTS
    known = read_replaceable(book) if exists(book) else {}
    settled_ns = time.time_ns() - SETTLED_NS
    seen = {stamp.path: stamp for stamp in map(_stamp, paths)}
    settled = {p for p, s in seen.items() if not s.trouble and _is_settled(s, settled_ns)}
    fresh = [
        p for p, s in seen.items() if not s.trouble and (p not in settled or known.get(str(p), [])[:-1] != s.values)
    ]
    hashed = {path: (found, trouble) for path, found, trouble in run_map(_digest_file, fresh)}
    refused = {p: trouble for p, s in seen.items() if (trouble := s.trouble or hashed.get(p, ("", ""))[1])}
    digests = {p: hashed[p][0] if p in hashed else known[str(p)][-1] for p in seen if p not in refused}
    if fresh and not is_dry and exists(store.root / ROOT_FILE):
        write_json(book, {str(p): [*seen[p].values, found] for p, found in digests.items() if p in settled})
    return digests, refused


class _Stamp(NamedTuple):
    """What tells that a file was not touched since, or why it may not be looked at."""

    path: Path
    values: list[Any]
    trouble: str = ""


def _is_settled(stamp: _Stamp, settled_ns: int) -> bool:
    """Return whether another file would have another stamp: it is old enough, or its store marks contents."""
    marks = stamp.values[1:]
    return bool(marks[0]) if is_remote(stamp.path) else max(marks) < settled_ns


def _stamp(path: Path) -> _Stamp:
    try:
        return _Stamp(path, stamp_of(path))
    except OSError as error:
        if is_remote(path):  # A store that is away is no trouble of one file.
            raise
        return _Stamp(path, [], str(error.strerror))


def _digest_file(path: Path) -> tuple[Path, str, str]:
    """Return a path, the hash of the file's contents, and why it cannot be read."""
    try:
        return path, file_digest(path), ""
    except OSError as error:
        if is_remote(path):
            raise
        return path, "", str(error.strerror)
