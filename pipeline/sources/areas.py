"""Polygons with an id (census tracts, a city's zones) to the table `tracts`."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from data_contracts import TRACTS
from pipeline.references import Areas
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import members_digest, read_geo_frame, text_ids, to_wgs84
from pipeline.sources.pieces import expand
from pipeline.sources.reference_files import find_reference

LOG = logging.getLogger(__name__)
POLYGONS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


def read_areas(areas: Areas, folder: Path) -> pa.Table:
    """Return one row of TRACTS per area, sorted by id; the schema's metadata counts mended geometries.

    ``areas.path`` is a file, or a glob of files that are read as one. Whatever geopandas reads is
    read, also gzipped, also a shapefile whose members are gzipped one by one. Positions become
    WGS 84; a file without a coordinate system must hold degrees. Invalid polygons are mended
    (``make_valid``, the lines and points that leaves dropped). Several rows of one id are dissolved
    if they agree on the population. SourceError names the file and what is wrong.
    """
    frames = [_read(path, areas) for path in find_reference(areas.path, folder, "areas")]
    ids = pd.concat([ids for ids, _, _ in frames], ignore_index=True)
    shapes = np.concatenate([shapes for _, shapes, _ in frames])
    population = pd.concat([population for _, _, population in frames], ignore_index=True)
    shapes, n_mended = _mend(shapes, areas)
    ids, shapes, population = _dissolve(ids, shapes, population, areas)
    wkb = pa.array(shapely.to_wkb(shapes), pa.binary())
    table = pa.table(
        [pa.array(ids, pa.string()), pa.array(population, pa.float64(), from_pandas=True), wkb], TRACTS.names
    )
    table = table.cast(TRACTS.schema).sort_by("tract_geoid")
    return table.replace_schema_metadata({"n_mended": str(n_mended)})


def areas_digest(areas: Areas, folder: Path) -> str:
    """Return a hash of the contents of the files of areas, the members of a shapefile included."""
    return members_digest(expand(areas.path, folder))


def _read(path: Path, areas: Areas) -> "tuple[pd.Series[str], np.ndarray, pd.Series[float]]":
    """Return (ids as text, geometries in WGS 84, populations) of one file."""
    frame = read_geo_frame(path, areas.layer, "areas")
    wanted = [name for name in (areas.id_column, areas.population_column) if name is not None]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise SourceError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}")
    shapes = shapely.force_2d(to_wgs84(frame, path, "give a file with the polygons of areas").geometry.to_numpy())
    return text_ids(frame[areas.id_column], path, "areas"), shapes, _population(frame, areas, path)


def _population(frame: pd.DataFrame, areas: Areas, path: Path) -> "pd.Series[float]":
    if areas.population_column is None:
        return pd.Series(np.full(len(frame), np.nan))
    try:
        return pd.to_numeric(frame[areas.population_column]).astype(float)
    except (ValueError, TypeError):
        raise SourceError(f"{path}: column {areas.population_column} holds values that are no numbers") from None


def _mend(shapes: np.ndarray, areas: Areas) -> tuple[np.ndarray, int]:
    """Return polygons that are all valid, and how many were not; SourceError where one is no polygon."""
    is_polygon = np.isin(shapely.get_type_id(shapes), POLYGONS) & ~shapely.is_empty(shapes)
    if not is_polygon.all():
        raise SourceError(f"{areas.path}: {int((~is_polygon).sum())} areas have no polygon")
    is_invalid = ~shapely.is_valid(shapes)
    mended = shapes.copy()
    mended[is_invalid] = [_polygonal(shape) for shape in shapely.make_valid(shapes[is_invalid])]
    if shapely.is_empty(mended).any():
        raise SourceError(f"{areas.path}: {int(shapely.is_empty(mended).sum())} areas have no surface")
    if is_invalid.any():
        LOG.info("%s: %d invalid geometries mended", areas.path, int(is_invalid.sum()))
    return mended, int(is_invalid.sum())


def _polygonal(shape: shapely.Geometry) -> shapely.Geometry:
    """Return the surface of a mended geometry without the lines and points left over."""
    parts = shapely.get_parts(shape)
    return shapely.union_all(parts[np.isin(shapely.get_type_id(parts), POLYGONS)])


def _dissolve(
    ids: "pd.Series[str]", shapes: np.ndarray, population: "pd.Series[float]", areas: Areas
) -> "tuple[pd.Series[str], np.ndarray, pd.Series[float]]":
    """Return one row per id: parts united, their common population kept."""
    if ids.is_unique:
        return ids, shapes, population
    n_populations = population.groupby(ids).nunique(dropna=False)
    if (n_populations > 1).any():
        n_torn = int((n_populations > 1).sum())
        raise SourceError(f"{areas.path}: {n_torn} ids occur in several rows with different populations")
    groups = pd.Series(np.arange(len(ids))).groupby(ids, sort=True)
    LOG.info("%s: %d rows dissolved into %d areas", areas.path, len(ids), groups.ngroups)
    united = [shapely.union_all(shapes[rows.to_numpy()]) for _, rows in groups]
    first = groups.first()
    return (
        pd.Series(first.index),
        np.array(united, dtype=object),
        population.iloc[first].reset_index(drop=True),
    )
