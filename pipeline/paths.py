"""Files and folders on a disk or at a URL: one kind of path for both.

A path on a disk is a `pathlib.Path`. A URL (``s3://bucket/folder``, any protocol of fsspec) is a `UPath`, which
answers the same calls through fsspec. Endpoints and credentials are found by fsspec and the store's own client
(environment, configuration files), never in a path, so that records and messages may show every path.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
from upath import UPath

URL_MARK = "://"
MARKS = ("ETag", "etag", "md5Hash", "Content-MD5")
"""What stores call the mark of an object's contents. A time of the last write is none: it may be whole seconds."""


def is_url(text: str) -> bool:
    """Return whether a text names a place by its protocol."""
    return URL_MARK in text


def as_path(given: str | Path) -> Path:
    """Return the path of a name or URL; ValueError where a URL holds credentials or its protocol is not installed.

    Listings are never remembered: another process may have written since.
    """
    text = str(given)
    if isinstance(given, UPath) and is_remote(given):
        return cast(Path, given)
    if not is_url(text):
        return Path(given)
    protocol, _, rest = text.partition(URL_MARK)
    user, at, _ = rest.split("/")[0].partition("@")
    if at and ":" in user:
        raise ValueError(f"a {protocol} URL must not hold credentials; set them in the environment")
    if protocol in ("file", "local"):
        return Path(rest)
    try:
        # Cast: no subclass of Path, but with all of its calls that are used here.
        return cast(Path, UPath(text, use_listings_cache=False))
    except ImportError as error:
        raise ValueError(f"{text}: {error}") from None


def settled(given: str | Path) -> Path:
    """Return the path made absolute: links of a disk are resolved, URLs stay."""
    path = as_path(given)
    return path if is_remote(path) else path.resolve()


def join(folder: Path, name: str) -> Path:
    """Return where a name lies that is a URL, absolute, or relative to `folder`."""
    return as_path(name) if is_url(name) else folder / name


def is_remote(path: Path) -> bool:
    """Return whether a path is a URL's and not a disk's."""
    return not isinstance(path, Path)


def protocol_of(path: Path) -> str:
    """Return the protocol of a URL's path."""
    return str(cast(UPath, path).protocol)


def remote(path: Path) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the name of the object in it."""
    there = cast(UPath, path)
    return there.fs, there.path


def open_file(path: Path) -> IO[bytes]:
    """Return a file open for reading; whatever goes wrong, then or later, is an OSError."""
    if not is_remote(path):
        return path.open("rb")
    with _as_os_error():
        return cast(IO[bytes], _RemoteFile(path.open("rb")))


def open_bytes(path: Path) -> pa.NativeFile:
    """Return a stream of a file's bytes for pyarrow, which may seek in it."""
    return pa.PythonFile(open_file(path), mode="r") if is_remote(path) else pa.OSFile(str(path))


class _RemoteFile(io.BufferedIOBase):
    """A file of a store whose every error is an OSError."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int | None = -1) -> bytes:
        with _as_os_error():
            return self._file.read(-1 if size is None else size)

    def readline(self, size: int | None = -1) -> bytes:
        with _as_os_error():
            return self._file.readline(-1 if size is None else size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        # Every store's client has errors of its own, and their texts may quote headers.
        raise OSError(errno.EIO, f"the store does not answer or refuses ({type(error).__name__})") from None


Refused = Callable[[OSError], None]
"""Hears of a folder that the system does not let us list; its error names it."""


def raise_refused(error: OSError) -> None:
    """Let nothing go on without such a folder."""
    raise error


def _unless_gone(on_refused: Refused) -> Refused:
    """Return what hears of all but folders that are gone: these hold nothing."""

    def hear(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            on_refused(error)

    return hear


def list_below(folder: Path, on_refused: Refused = raise_refused) -> list[str]:
    """Return the names of all files below a folder, relative to it, in no order; none where there is no folder.

    A store is asked for its listing once. Of folders of a disk that may not be listed `on_refused` hears.
    """
    if is_remote(folder):
        store, prefix = remote(folder)
        start = len(prefix.rstrip("/")) + 1
        try:
            return [name[start:] for name in store.find(prefix)]
        except FileNotFoundError:
            return []
    names, start = list[str](), len(os.path.join(folder, ""))  # noqa: PTH118 (pathlib drops the separator)
    for place, _, files in os.walk(folder, onerror=_unless_gone(on_refused)):
        below = f"{place[start:]}{os.sep}" if len(place) > start else ""
        names += [f"{below}{name}" for name in files]
    return names


def matching(pattern: str, folder: Path, on_refused: Refused = raise_refused) -> list[Path]:
    """Return the files and folders that a name or glob stands for, a URL, absolute, or relative to `folder`.

    Of folders of a disk that may not be listed, and may hold what is meant, `on_refused` hears.
    """
    path = join(folder, pattern)
    try:
        if path.exists():
            return [path]
    except PermissionError as error:
        if is_remote(path):
            raise
        on_refused(error)
        return []
    if is_remote(path):
        store, name = remote(path)
        return [as_path(str(store.unstrip_protocol(found))) for found in sorted(store.glob(name))]
    # `glob` passes over folders that it may not list.
    _look_into(path, on_refused)
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def _look_into(pattern: Path, on_refused: Refused) -> None:
    """Tell `on_refused` of the folders that a glob leads into and that may not be listed."""
    parts = pattern.parts
    n_plain = next(k for k, part in enumerate((*parts, "*")) if glob.has_magic(part))
    is_deep = any("**" in part for part in parts)
    n_levels = next((k for k, part in enumerate(parts) if "**" in part), len(parts) - 1)

    def is_meant(place: str, name: str) -> bool:
        depth = len(Path(place).parts)
        return is_deep if depth >= n_levels else fnmatch.fnmatchcase(name, parts[depth])

    for place, folders, _ in os.walk(Path(*parts[:n_plain]), onerror=_unless_gone(on_refused)):
        folders[:] = [name for name in folders if is_meant(place, name)]


def dataset_source(paths: Sequence[Path]) -> tuple[list[str], Any]:
    """Return the names of files of one root, and the file system in which pyarrow finds them (None: the disk)."""
    if not paths or not is_remote(paths[0]):
        return [str(path) for path in paths], None
    return [remote(path)[1] for path in paths], remote(paths[0])[0]


def stamp_of(path: Path) -> list[Any]:
    """Return what tells that a file was not touched since: size, and the store's mark of its contents, "" for none.

    Of a disk size, time of the last write, and of the last change of all, which nobody can set back.
    """
    if not is_remote(path):
        stat = path.stat()
        return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    store, name = remote(path)
    with _as_os_error():
        info = store.info(name)
    return [info["size"], next((str(info[name]) for name in MARKS if name in info), "")]
