"""Census tracts of the artificial city: polygons that cover it, small where many people live."""

import math
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.simulation import random_streams as streams
from pipeline.simulation.city import build_city, degrees_of, draw_sites
from pipeline.simulation.params import CityParams

_SAMPLE = 50_000  # residents drawn to share out the population
_MARGIN = 1.05  # tracts reach this much further out than the last home
_HALF_TURN = 180.0  # degrees
_EDGE_STEPS = 64  # corners of a quarter of the outer edge


def _sites(params: CityParams, stream: int, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x_m, y_m = np.empty(n), np.empty(n)
    draw_sites(np.uint64(params.seed), stream, build_city(params), x_m, y_m)
    return x_m, y_m


def _to_degrees(params: CityParams, polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    def degrees(corners: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(degrees_of(params, corners[:, 0].copy(), corners[:, 1].copy()))

    return np.asarray(shapely.transform(polygons, degrees))


def _polygons(params: CityParams) -> NDArray[np.object_]:
    """Return n_tracts Voronoi cells in metres, around points drawn like homes, cut at the city's edge."""
    points = shapely.multipoints(np.column_stack(_sites(params, streams.TRACTS, params.n_tracts)))
    edge = shapely.buffer(shapely.Point(0.0, 0.0), params.radius_m * _MARGIN, quad_segs=_EDGE_STEPS)
    cells = shapely.get_parts(shapely.voronoi_polygons(points, extend_to=edge))
    return np.asarray(shapely.intersection(cells, edge))


def _populations(params: CityParams, polygons: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return residents per tract, in proportion to where homes are drawn."""
    residents = shapely.points(*_sites(params, streams.RESIDENTS, _SAMPLE))
    tree = shapely.STRtree(polygons)
    inside = tree.query(residents, predicate="within")[1]
    shares = np.bincount(inside, minlength=polygons.size) / _SAMPLE
    return np.rint(shares * params.population).astype(np.int64)


def _refuse_antimeridian(params: CityParams) -> None:
    reach = math.degrees(params.radius_m * _MARGIN / EARTH_RADIUS_M)
    north = math.radians(abs(params.centre_lat) + reach)
    if abs(params.centre_lon) + reach / math.cos(north) >= _HALF_TURN:
        raise ValueError("tracts of a city across the antimeridian cannot be drawn")


def _geoids(params: CityParams, polygons: NDArray[np.object_]) -> list[str]:
    """Return one id per tract: state, county (by direction from the centre), number."""
    middle = shapely.centroid(polygons)
    turn = np.arctan2(shapely.get_y(middle), shapely.get_x(middle)) / (2.0 * math.pi) % 1.0
    county = int(params.tract_state_county) + 2 * np.floor(turn * params.n_counties).astype(int)
    return [f"{digits:05d}{100 * number:06d}" for number, digits in enumerate(county.tolist(), 1)]


def own_populations(params: CityParams) -> NDArray[np.int64]:
    """Return the residents of the tracts of ``own_tracts``, in their order."""
    return _populations(params, _polygons(params))


def own_tracts(params: CityParams) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return (tract_geoid, polygon as well-known binary in degrees) of the tracts of ``simulate_tracts``."""
    _refuse_antimeridian(params)
    polygons = _polygons(params)
    return np.array(_geoids(params, polygons), object), shapely.to_wkb(_to_degrees(params, polygons))


def simulate_tracts(params: CityParams) -> gpd.GeoDataFrame:
    """Return one row per census tract: tract_geoid (11 digits, text), population, polygon in EPSG:4326.

    Tracts do not overlap and cover every home, workplace and place of the city. Raises ValueError
    for a city across the antimeridian, where planar polygons cannot do that.
    """
    _refuse_antimeridian(params)
    polygons = _polygons(params)
    columns = {"tract_geoid": _geoids(params, polygons), "population": _populations(params, polygons)}
    return gpd.GeoDataFrame(columns, geometry=_to_degrees(params, polygons), crs="EPSG:4326")


def write_tracts(params: CityParams, folder: Path) -> Path:
    """Return the path of ``tracts.geojson`` in `folder`, whole or absent; equal params give equal bytes."""
    path = Path(folder) / "tracts.geojson"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(".tracts.geojson.partial")
    simulate_tracts(params).to_file(partial, driver="GeoJSON", layer="tracts")
    partial.replace(path)
    return path
