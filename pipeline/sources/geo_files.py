"""Files with geometry, as areas and places of interest come: reading, unzipping, degrees, ids, hashes."""

import glob
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio

from pipeline.paths import is_remote, open_file
from pipeline.sources.errors import SourceError
from pipeline.sources.pieces import file_digest
from pipeline.sources.streams import open_stream

LOG = logging.getLogger(__name__)
WGS84 = "EPSG:4326"


def read_geo_frame(path: Path, layer: str | None, what: str) -> pd.DataFrame:
    """Return a file that geopandas reads, gzipped or not; SourceError names it, and `what` it should hold.

    A GeoDataFrame, or a plain frame of a file without geometry.
    """
    try:
        with _unzipped(path) as plain:
            if plain.suffix.lower() in (".parquet", ".pq"):
                has_geometry = b"geo" in (pq.read_schema(plain).metadata or {})
                return gpd.read_parquet(plain) if has_geometry else pd.read_parquet(plain)
            return gpd.read_file(plain, **({"layer": layer} if layer else {}))
    except SourceError:
        raise
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pa.ArrowException,
        ValueError,
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # What the system refuses is told by its words.
        # GDAL's words name files, layers and drivers.
        raise SourceError(f"{path}: not readable as {what} ({type(error).__name__})") from None


@contextmanager
def _unzipped(path: Path) -> Iterator[Path]:
    """Give a file as GDAL wants it: on a disk, gunzipped, with the other members of a shapefile beside it."""
    if is_remote(path) and path.suffix.lower() != ".gz":
        with tempfile.TemporaryDirectory() as folder:
            for member in _members(path):
                with open_file(member) as there, (Path(folder) / member.name).open("wb") as here:
                    shutil.copyfileobj(there, here)
            yield Path(folder) / path.name
        return
    if path.suffix.lower() != ".gz":
        yield path
        return
    stem = path.name.split(".")[0]
    with tempfile.TemporaryDirectory() as folder:
        for member in (
            path.parent.glob(f"{glob.escape(stem)}.*.gz") if path.name.lower().endswith(".shp.gz") else [path]
        ):
            with (
                open_stream(member) as packed,
                (Path(folder) / member.name[: -len(".gz")]).open("wb") as plain,
            ):
                _copy(packed, plain, member)
        yield Path(folder) / path.stem


def _copy(packed: pa.NativeFile, plain: IO[bytes], path: Path) -> None:
    """Decompress a file; SourceError where it is damaged, while a disk that is full stays the OSError it is."""
    try:
        shutil.copyfileobj(packed, plain)
    except OSError as error:
        if error.errno:
            raise
        raise SourceError(f"{path}: the compressed file is truncated or damaged") from None


def to_wgs84(frame: pd.DataFrame, path: Path, remedy: str) -> gpd.GeoDataFrame:
    """Return `frame` in degrees; SourceError where it states no system and its positions are no degrees.

    And where it has no geometry: `remedy` says what to do then.
    """
    if not isinstance(frame, gpd.GeoDataFrame):
        raise SourceError(f"{path}: no geometry in it, but columns {', '.join(map(str, frame.columns))}; {remedy}")
    if frame.crs is None:
        if _is_beyond_degrees(frame, 180):
            raise SourceError(f"{path}: no coordinate system is stated and the positions are not degrees")
        LOG.warning("%s states no coordinate system; read as WGS 84 degrees", path.name)
        return frame.set_crs(WGS84)
    is_projected, frame = frame.crs.is_projected, frame.to_crs(WGS84)
    # Areas may run past the antimeridian.
    if _is_beyond_degrees(frame, 360):
        raise SourceError(
            f"{path}: in the stated coordinate system, positions are not degrees (are the axes exchanged?)"
        )
    # Each vertex is brought into [-180, 180] alone: an area across the antimeridian would girdle the globe.
    n_leaping = int((frame.bounds["maxx"] - frame.bounds["minx"] > 180).sum()) if is_projected else 0
    if n_leaping:
        raise SourceError(f"{path}: {n_leaping} shapes cross the antimeridian; give them in degrees, cut there")
    return frame


def _is_beyond_degrees(frame: gpd.GeoDataFrame, widest: float) -> bool:
    west, south, east, north = frame.total_bounds
    return bool(west < -widest or east > widest or south < -90 or north > 90)


def text_ids(values: "pd.Series[str]", path: Path, what: str) -> "pd.Series[str]":
    """Return ids as text; numbers lose their point, not their digits. SourceError where `what` has none."""
    n_missing = int(values.isna().sum())
    if n_missing:
        raise SourceError(f"{path}: {n_missing} {what} have no id")
    if pd.api.types.is_float_dtype(values) and (values % 1 == 0).all():
        values = values.astype("int64")
    return values.astype(str)


def members_digest(paths: Sequence[Path]) -> str:
    """Return a hash of the contents of files, the members of a shapefile included."""
    digests = [f"{member.name} {file_digest(member)}" for path in paths for member in _members(path)]
    return blake2b("\n".join(digests).encode(), digest_size=16).hexdigest()


def _members(path: Path) -> list[Path]:
    """Return the files that hold what a path names; SourceError for a folder."""
    if not path.is_file():
        raise SourceError(f"{path}: not a file; folders, as of a geodatabase, are not read")
    if not path.name.lower().endswith((".shp", ".shp.gz")):
        return [path]
    siblings = path.parent.glob(f"{glob.escape(path.name.split('.')[0])}.*")
    return sorted((member for member in siblings if member.is_file()), key=str)
