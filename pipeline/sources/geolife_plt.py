"""GeoLife's PLT files: plain ones, or archives (tar, tar.gz) of the folder of a device.

A PLT file has six lines of preamble, then latitude, longitude, 0, altitude in feet, days since
1899-12-30, date, time, without a header (user guide of GeoLife 1.3). Times are GMT, whatever the
source's time zone says. Altitude and the day count are ignored.

The device of ``NNN/Trajectory/x.plt`` is NNN, in an archive as in a folder, so that an archive of
several devices never becomes one; any other file is named by its stem (or the archive's).
"""

import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.paths import open_file
from pipeline.sources.delimited import Layout, TextBlock, raw_blocks, read_text
from pipeline.sources.errors import SourceError
from pipeline.sources.pieces import READ_BYTES, Piece, file_stem
from pipeline.sources.rows import RowReader
from pipeline.sources.streams import open_stream

PREAMBLE_LINES = 6
LAYOUT = Layout(",", ["lat", "lon", "zero", "altitude_ft", "days", "day", "clock"], PREAMBLE_LINES)
WANTED = ["lat", "lon", "day", "clock"]
TRACK_FOLDER = "Trajectory"


def read_blocks(piece: Piece, key: bytes, block_rows: int) -> Iterator[pa.Table]:
    """Yield the rows of a PLT file or archive as RAW_PINGS, at most `block_rows` at a time.

    Rows of an archive are numbered through its members in the order of their names.
    """
    source = piece.source.model_copy(update={"time_zone": "UTC", "time_unit": "text", "time_format": None})
    reader = RowReader(source, key)
    for device, block in _gather(_member_blocks(piece), block_rows):
        name = source.device_name if source.device_from == "constant" else device
        yield from raw_blocks(reader, block, name, block_rows)


def _member_blocks(piece: Piece) -> Iterator[tuple[str, TextBlock]]:
    """Yield (device, block of text by role) for every member, row numbers running through."""
    n_before = 0
    for device, stream, name in _members(piece.path):
        n_rows = 0
        for block in read_text(stream, LAYOUT, WANTED, name):
            n_rows += len(block.row_number) + len(block.malformed)
            yield device, _by_role(block, n_before)
        n_before += n_rows


def _by_role(block: TextBlock, n_before: int) -> TextBlock:
    c = block.columns
    tracked_at = pc.binary_join_element_wise(c["day"], c["clock"], "T")
    columns = {"tracked_at": tracked_at, "lon": c["lon"], "lat": c["lat"]}
    return TextBlock(columns, block.row_number + n_before, block.malformed + n_before)


def _gather(blocks: Iterator[tuple[str, TextBlock]], n_rows: int) -> Iterator[tuple[str, TextBlock]]:
    """Yield blocks of one device joined up to `n_rows` rows: members are small and many."""
    waiting: list[TextBlock] = []
    waiting_for, n_waiting = "", 0
    for device, block in blocks:
        if waiting and (device != waiting_for or n_waiting + len(block.row_number) > n_rows):
            yield waiting_for, _join(waiting)
            waiting, n_waiting = [], 0
        waiting_for = device
        waiting.append(block)
        n_waiting += len(block.row_number)
    if waiting:
        yield waiting_for, _join(waiting)


def _join(blocks: list[TextBlock]) -> TextBlock:
    columns = {role: pa.concat_arrays([b.columns[role] for b in blocks]) for role in blocks[0].columns}
    numbers = np.concatenate([b.row_number for b in blocks])
    return TextBlock(columns, numbers, np.concatenate([b.malformed for b in blocks]))


def _members(path: Path) -> Iterator[tuple[str, pa.NativeFile, Path]]:
    """Yield (device, stream, name for messages) of the PLT file, or of each in the archive by name."""
    if path.name.lower().endswith(".plt"):
        yield (
            _device(PurePosixPath(path.as_posix()), file_stem(path)),
            _past_check(open_file(path), path),
            path,
        )
        return
    try:
        with _seekable(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            members = [m for m in archive.getmembers() if m.isfile() and m.name.lower().endswith(".plt")]
            if not members:
                raise SourceError(f"{path}: the archive holds no .plt file")
            for member in sorted(members, key=lambda m: m.name):
                stream = archive.extractfile(member)
                assert stream is not None  # a plain file, as filtered above
                inside = PurePosixPath(member.name)
                yield (
                    _device(inside, file_stem(path)),
                    _past_check(stream, path / inside.name),
                    path / inside.name,
                )
    except tarfile.TarError:
        raise SourceError(f"{path}: not a readable PLT file or tar archive") from None


def _device(path: PurePosixPath, otherwise: str) -> str:
    parts = path.parts
    return parts[-3] if len(parts) >= 3 and parts[-2] == TRACK_FOLDER else otherwise


def _seekable(path: Path) -> IO[bytes]:
    """Return the archive uncompressed on disk: members are wanted in order and memory is bounded."""
    stream = open_stream(path)
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
    try:
        while chunk := stream.read(READ_BYTES):
            file.write(chunk)
    except OSError:
        file.close()
        raise SourceError(f"{path}: the compressed file is truncated or damaged") from None
    file.seek(0)
    return file


def _past_check(file: IO[bytes], name: Path) -> pa.NativeFile:
    """Return the file as a stream from its start, once its first line is that of a PLT file."""
    first = file.readline(READ_BYTES)
    if not first:
        raise SourceError(f"{name}: the file is empty")
    if not first.startswith(b"Geolife"):
        raise SourceError(f"{name}: not a GeoLife PLT file")
    file.seek(0)
    return pa.PythonFile(file, mode="r")
