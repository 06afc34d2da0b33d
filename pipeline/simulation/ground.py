"""Real areas to build a city on: homes where people live, workplaces where jobs are.

Areas are cut into triangles, in which uniform positions are drawn. Metres are those of
``city.one_to_e7`` around the middle of the areas, a projection that keeps surfaces.
"""

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.simulation.random_streams import pick, uniform
from pipeline.simulation.sectors import N_SECTORS, SECTOR_NUMBERS

Floats = NDArray[np.float64]


class Plots(NamedTuple):
    """Areas as triangles for kernels, in metres; lengths n_areas, n_areas + 1 and n_triangles. Empty: no areas."""

    home_pull: Floats  # running sum of population
    first: NDArray[np.int64]  # triangles of area k are first[k] : first[k + 1]
    triangle_pull: Floats  # running sum of surfaces
    x_m: Floats  # (triangle, corner)
    y_m: Floats


class Ground(NamedTuple):
    """What a city can be built on; see ``ground_of``."""

    geoid: NDArray[np.object_]
    wkb: NDArray[np.object_]
    population: Floats
    jobs: Floats  # (area, sector)
    affluence: Floats | None  # -1..1 per area; None: the city draws its own
    centre_lon: float  # degrees
    centre_lat: float
    plots: Plots


def no_plots() -> Plots:
    """Return the plots of a city that is not built on areas."""
    return Plots(np.empty(0), np.zeros(1, np.int64), np.empty(0), np.empty((0, 3)), np.empty((0, 3)))


def ground_of(
    tracts: pa.Table,
    jobs: pa.Table,
    demographics: pa.Table | None = None,
    affluent: tuple[str, str] | None = None,
) -> Ground:
    """Return the ground made of rows of TRACTS, JOBS and perhaps DEMOGRAPHICS.

    People live in proportion to population; unknown population counts as none. Jobs of areas that
    are not in `tracts` are left out. With `affluent` (axis, group), areas are ordered by the share of
    that group of the demographics and their ranks become the affluence, -1 to 1; areas without that
    axis get 0. ValueError where nobody lives in the areas, no jobs are in them, a sector is
    unknown or the group does not occur.
    """
    tracts = tracts.sort_by("tract_geoid")
    geoid = np.array(tracts["tract_geoid"].to_pylist(), object)
    affluence = None
    if demographics is not None and affluent:
        affluence = _ranked_share(geoid, demographics, *affluent)
    shapes = shapely.from_wkb(tracts["geometry"].to_numpy())
    population = np.nan_to_num(tracts["population"].to_numpy().astype(float))
    if not population.sum():
        raise ValueError("nobody lives in these tracts: their population is unknown or 0")
    west, south, east, north = shapely.total_bounds(shapes)
    lon, lat = (west + east) / 2.0, (south + north) / 2.0
    return Ground(
        geoid=geoid,
        wkb=shapely.to_wkb(shapes),
        population=population,
        jobs=_jobs_of(geoid, jobs),
        affluence=affluence,
        centre_lon=lon,
        centre_lat=lat,
        plots=_plots_of(shapes, population, lon, lat),
    )


def _rows_of(geoid: NDArray[np.object_], wanted: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return the row of each id, -1 where there is none."""
    return pc.fill_null(pc.index_in(wanted, pa.array(geoid, pa.string())), -1).to_numpy().astype(np.int64)


def _jobs_of(geoid: NDArray[np.object_], jobs: pa.Table) -> Floats:
    sectors = jobs["sector"].to_pylist()
    strange = sorted(set(sectors) - SECTOR_NUMBERS.keys())
    if strange:
        raise ValueError(f"no such sector: {', '.join(strange)}; there are {', '.join(SECTOR_NUMBERS)}")
    rows = _rows_of(geoid, jobs["tract_geoid"])
    columns = np.array([SECTOR_NUMBERS[sector] for sector in sectors], np.int64)
    table = np.zeros((geoid.size, N_SECTORS))
    np.add.at(table, (rows[rows >= 0], columns[rows >= 0]), jobs["n_jobs"].to_numpy()[rows >= 0])
    if not table.sum():
        raise ValueError("none of the jobs is in these tracts")
    return table


def ranked(values: Floats) -> Floats:
    """Return the ranks of values, spread evenly within -1..1; equal values in the order given."""
    ranks = np.empty(values.size)
    ranks[np.argsort(values, kind="stable")] = (np.arange(values.size) + 0.5) / values.size * 2.0 - 1.0
    return ranks


def _ranked_share(geoid: NDArray[np.object_], demographics: pa.Table, axis: str, group: str) -> Floats:
    rows = demographics.filter(pc.equal(demographics["axis"], axis))
    groups = np.array(rows["group"].to_pylist(), object)
    if group not in groups:
        raise ValueError(f"no group {group!r} on the axis {axis!r} of the demographics")
    area, persons = _rows_of(geoid, rows["tract_geoid"]), rows["n_persons"].to_numpy()
    total, ours = np.zeros(geoid.size), np.zeros(geoid.size)
    np.add.at(total, area[area >= 0], persons[area >= 0])
    is_ours = (groups == group) & (area >= 0)
    np.add.at(ours, area[is_ours], persons[is_ours])
    affluence = np.zeros(geoid.size)
    known = total > 0
    affluence[known] = ranked(ours[known] / total[known])
    return affluence


def _plots_of(shapes: NDArray[np.object_], population: Floats, centre_lon: float, centre_lat: float) -> Plots:
    pieces = [shapely.get_parts(shapely.constrained_delaunay_triangles(shape)) for shape in shapes]
    corners = np.array([shapely.get_coordinates(triangle)[:3] for piece in pieces for triangle in piece])
    lon, lat = np.radians(corners[..., 0]), np.radians(corners[..., 1])
    x_m = EARTH_RADIUS_M * np.cos(lat) * (lon - math.radians(centre_lon))
    y_m = EARTH_RADIUS_M * (lat - math.radians(centre_lat))
    across = (x_m[:, 1] - x_m[:, 0]) * (y_m[:, 2] - y_m[:, 0]) - (x_m[:, 2] - x_m[:, 0]) * (y_m[:, 1] - y_m[:, 0])
    first = np.cumsum([0, *map(len, pieces)]).astype(np.int64)
    return Plots(np.cumsum(population), first, np.cumsum(np.abs(across)), x_m, y_m)


@kernel
def draw_in_area(state, plots, area):
    """Return (x_m, y_m), uniform within an area."""
    triangle = pick(state, plots.triangle_pull, plots.first[area], plots.first[area + 1])
    u, v = uniform(state), uniform(state)
    if u + v > 1.0:
        u, v = 1.0 - u, 1.0 - v
    x, y = plots.x_m[triangle], plots.y_m[triangle]
    return (
        x[0] + u * (x[1] - x[0]) + v * (x[2] - x[0]),
        y[0] + u * (y[1] - y[0]) + v * (y[2] - y[0]),
    )
