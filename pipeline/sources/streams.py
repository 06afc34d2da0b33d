"""Bytes of a file, decompressed as they are read."""

from pathlib import Path

import pyarrow as pa

from pipeline.paths import open_bytes, open_file
from pipeline.sources.errors import SourceError

MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
FOREIGN = {b"PAR1": "Parquet", b"PK\x03\x04": "a zip archive", b"SQLite format 3": "an SQLite database"}
LONGEST_MAGIC = 16


def open_stream(path: Path) -> pa.NativeFile:
    """Return a stream of a file's bytes, decompressed if its first bytes say it is compressed.

    The first bytes decide and not the ending, which lies often enough. SourceError where the file
    is absent, empty or of a kind that is no text.
    """
    try:
        with open_file(path) as file:
            start = file.read(LONGEST_MAGIC)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    if not start:
        raise SourceError(f"{path}: the file is empty")
    for magic, kind in FOREIGN.items():
        if start.startswith(magic):
            raise SourceError(f"{path}: this is {kind}, not text")
    codec = next((codec for magic, codec in MAGIC.items() if start.startswith(magic)), None)
    stream = open_bytes(path)
    return pa.CompressedInputStream(stream, codec) if codec else stream
