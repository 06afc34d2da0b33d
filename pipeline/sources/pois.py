"""Places of interest with an id, a kind and a position to the table `pois`."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyproj
import shapely
from pyproj.exceptions import ProjError

from data_contracts import POIS
from pipeline.references import Pois
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import WGS84, members_digest, read_geo_frame, text_ids, to_wgs84
from pipeline.sources.pieces import expand
from pipeline.sources.reference_files import find_reference, read_columns, read_numbers, select_from_frame

LOG = logging.getLogger(__name__)
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def read_pois(pois: Pois, folder: Path) -> pa.Table:
    """Return one row of POIS per place, sorted by id.

    ``pois.path`` is a file, or a glob of files that are read as one; the ending says the format, once
    a .gz is taken off. Every place needs an id and a position; its kind, usual dwell and weight may be
    missing. Rows that repeat a place in every column are one; SourceError where two rows of one
    id differ, and otherwise names the file, the rows concerned and the reason.
    """
    files = find_reference(pois.path, folder, "places")
    found = pd.concat([_read(path, pois) for path in files], ignore_index=True)
    distinct = found.drop_duplicates(ignore_index=True)
    n_torn = int(distinct["poi_id"].duplicated(keep=False).sum())
    if n_torn:
        raise SourceError(f"{pois.path}: {n_torn} of {len(found)} rows share an id with a row that differs")
    if len(distinct) < len(found):
        LOG.info("%s: %d repeated rows left out", pois.path, len(found) - len(distinct))
    table = pa.Table.from_pandas(distinct[POIS.names], preserve_index=False)
    return table.cast(POIS.schema).sort_by("poi_id").replace_schema_metadata(None)


def pois_digest(pois: Pois, folder: Path) -> str:
    """Return a hash of the contents of the files of places."""
    return members_digest(expand(pois.path, folder))


def _read(path: Path, pois: Pois) -> pd.DataFrame:
    """Return the places of one file with the columns of POIS, in file order."""
    data, geometry = _read_columns(path, pois)
    if data.num_rows == 0:
        raise SourceError(f"{path}: no places")
    lon, lat = _positions_of_shapes(geometry) if pois.lon_column is None else _positions_of_columns(data, path, pois)
    bad = ~((np.abs(lon) <= 180) & (np.abs(lat) <= 90))
    if bad.any():
        raise SourceError(f"{path}: {int(bad.sum())} of {bad.size} places have no position, or one that is not degrees")
    categories = _as_text(data[pois.category_column])
    return pd.DataFrame(
        {
            "poi_id": text_ids(data[pois.id_column].to_pandas(), path, "places"),
            "poi_category": categories.where(categories.isna(), categories.astype("str")).astype("str"),
            "lon": lon,
            "lat": lat,
            "usual_dwell_s": _positive(data, pois.usual_dwell_column, path) * SECONDS[pois.usual_dwell_unit],
            "weight": _positive(data, pois.weight_column, path),
        }
    )


def _as_text(column: pa.ChunkedArray) -> pd.Series:
    """Return a column as text, missing where it is; whole numbers have no point, whatever is missing beside them."""
    values = column.to_pandas(types_mapper=pd.ArrowDtype)
    if pa.types.is_floating(column.type) and pc.all(pc.equal(pc.round(column), column)).as_py():
        values = values.astype("Int64")
    return values.astype(object).where(values.notna(), None).map(str, na_action="ignore")


def _read_columns(path: Path, pois: Pois) -> tuple[pa.Table, np.ndarray]:
    """Return the columns a declaration names, and the geometries, in degrees, where it names no position."""
    position = pois.lon_column, pois.lat_column
    named = pois.id_column, pois.category_column, *position, pois.usual_dwell_column, pois.weight_column
    wanted = [name for name in named if name is not None]
    if pois.lon_column is not None:
        return read_columns(path, wanted, pois.delimiter, pois.layer, "places"), np.empty(0, dtype=object)
    remedy = "set lon_column and lat_column of [pois] to those with the positions"
    frame = to_wgs84(read_geo_frame(path, pois.layer, "places"), path, remedy)
    return select_from_frame(frame, wanted, path), shapely.force_2d(frame.geometry.to_numpy())


def _positions_of_shapes(geometry: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return longitudes and latitudes of points, or of the centroids of what is no point; NaN for nothing."""
    points = shapely.centroid(geometry)
    return shapely.get_x(points), shapely.get_y(points)


def _positions_of_columns(data: pa.Table, path: Path, pois: Pois) -> tuple[np.ndarray, np.ndarray]:
    assert pois.lon_column and pois.lat_column  # a study has both or none
    x, y = (read_numbers(data, name, path) for name in (pois.lon_column, pois.lat_column))
    if pois.crs == WGS84:
        return x, y
    try:
        return pyproj.Transformer.from_crs(pois.crs, WGS84, always_xy=True).transform(x, y)
    except ProjError:
        raise SourceError(f"crs {pois.crs!r} is not one that pyproj knows") from None


def _positive(data: pa.Table, name: str | None, path: Path) -> np.ndarray:
    if name is None:
        return np.full(data.num_rows, np.nan)
    values = read_numbers(data, name, path)
    n_bad = int((values <= 0).sum())
    if n_bad:
        raise SourceError(f"{path}: column {name} is not above 0 in {n_bad} of {data.num_rows} rows")
    return values
