"""Which files a source has, and the pieces in which tasks read them."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from pipeline.paths import Refused, join, list_below, matching, open_file, raise_refused
from pipeline.sources.errors import SourceError
from pipeline.sources.presets import fill
from pipeline.study import Source

ENDINGS = {
    "delimited": (".csv", ".tsv", ".psv", ".gz", ".bz2", ".zst"),
    "parquet": (".parquet", ".pq", ".parq"),
    "geolife_plt": (".plt", ".tar", ".tar.gz", ".tgz"),
}
"""What counts as data in a folder, by format (a plain .txt is more often a readme).

A file or glob that is named is read whatever the ending.
"""
STEM_ENDINGS = (
    ".gz",
    ".bz2",
    ".zst",
    ".tgz",
    ".tar",
    ".csv",
    ".tsv",
    ".txt",
    ".psv",
    ".parquet",
    ".pq",
    ".parq",
    ".plt",
)
READ_BYTES = 1 << 20


class Piece(NamedTuple):
    """A part of a file that one task reads.

    `first_row` is the number of rows of the file before the piece; `part` the half-open range of
    Parquet row groups, None where the piece is the whole file.
    """

    path: Path
    source: Source
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs of a piece
    n_pieces: int
    first_row: int
    part: tuple[int, int] | None


def find_files(source: Source, folder: Path, on_refused: Refused = raise_refused) -> list[Path]:
    """Return the data files of `source`, sorted; SourceError naming the path when there are none.

    Of folders of a disk that may not be listed `on_refused` hears; what else there is is returned, be it nothing.

    ``source.path`` is a file, a folder or a glob, absolute, relative to `folder` or at a URL. A folder
    stands for all data files below it (by their endings), hive partitions included; names that
    start with "." or "_" are left out, as the engines that write such folders mean them to be.
    """
    source = fill(source)
    files: set[Path] = set()
    refused: list[OSError] = []
    for path in expand(source.path, folder, refused.append):
        files.update(_files_below(path, source.format, refused.append) if path.is_dir() else [path])
    for error in refused:
        on_refused(error)
    if not files and not refused:
        raise SourceError(f"{join(folder, source.path)}: no {source.format} file there")
    return sorted(files, key=lambda path: path.parts)


def expand(pattern: str, folder: Path, on_refused: Refused = raise_refused) -> list[Path]:
    """Return the files and folders that a name or glob stands for; SourceError where a store does not answer.

    Of folders of a disk that may not be listed `on_refused` hears.
    """
    try:
        return matching(pattern, folder, on_refused)
    except FileNotFoundError:
        return []
    except PermissionError as error:
        if error.filename is None:
            raise SourceError(f"{pattern}: cannot be listed ({type(error).__name__})") from None
        raise SourceError(f"{error.filename}: {error.strerror}") from None
    except Exception as error:
        # Names of errors only: every store's client has its own, and their texts may quote headers.
        raise SourceError(f"{pattern}: cannot be listed ({type(error).__name__})") from None


def _files_below(folder: Path, file_format: str, on_refused: Refused) -> list[Path]:
    return [
        path
        for path in (folder / name for name in list_below(folder, on_refused))
        if path.name.lower().endswith(ENDINGS[file_format])
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    ]


def file_digest(path: Path) -> str:
    """Return 32 hex digits of the BLAKE2b hash of a file's bytes, read in pieces of 1 MiB."""
    digest = hashlib.blake2b(digest_size=16)
    with open_file(path) as file:
        while chunk := file.read(READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def file_stem(path: Path) -> str:
    """Return a file's name without its folder and all its known endings (000.tar.gz → 000)."""
    name = path.name
    while True:
        ending = next((e for e in STEM_ENDINGS if name.lower().endswith(e) and len(name) > len(e)), None)
        if ending is None:
            return name
        name = name[: -len(ending)]
