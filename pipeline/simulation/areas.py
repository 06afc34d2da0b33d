"""The tracts of a city to its people: which holds a home, and how affluent it is."""

import math
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from pipeline.geography import areas_at
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.simulation import random_streams as streams
from pipeline.simulation.city import degrees_of
from pipeline.simulation.ground import Ground, ranked
from pipeline.simulation.params import CityParams
from pipeline.simulation.tracts import own_tracts

Floats = NDArray[np.float64]
_NEAR_M = 5.0  # a position that rounding has put outside all areas belongs to the nearest within this
_WAVES, _WAVE_LENGTHS = 3, (0.7, 1.5)  # how many, and how long at least and most, in radii of the city


class Areas(NamedTuple):
    """Tracts as rows; a city that needs none has a single one without shape."""

    geoid: NDArray[np.object_]
    wkb: NDArray[np.object_]
    affluence: Floats  # -1..1


NO_AREAS = Areas(np.array([""], object), np.array([], object), np.zeros(1))


def affluence_of(params: CityParams, lon: Floats, lat: Floats) -> Floats:
    """Return ranks in -1..1 of a smooth random surface at positions in degrees: neighbours are alike.

    A sum of plane waves about as long as the city's radius.
    """
    generator = np.random.default_rng([params.seed, streams.AFFLUENCE])
    east, north = np.radians(lon - params.centre_lon) * np.cos(np.radians(lat)), np.radians(lat - params.centre_lat)
    surface = np.zeros(lon.size)
    for _ in range(_WAVES):
        angle, phase = generator.uniform(0.0, 2.0 * math.pi, 2)
        wave = 2.0 * math.pi * EARTH_RADIUS_M / (params.radius_m * generator.uniform(*_WAVE_LENGTHS))
        surface += np.cos(wave * (math.cos(angle) * east + math.sin(angle) * north) + phase)
    return ranked(surface)


def areas_of(params: CityParams, ground: Ground | None = None) -> Areas:
    """Return the tracts of a city with their affluence: those of `ground`, else its own."""
    geoid, wkb = own_tracts(params) if ground is None else (ground.geoid, ground.wkb)
    if ground is not None and ground.affluence is not None:
        return Areas(geoid, wkb, ground.affluence)
    middle = shapely.centroid(shapely.from_wkb(wkb))
    return Areas(geoid, wkb, affluence_of(params, shapely.get_x(middle), shapely.get_y(middle)))


def areas_at_metres(params: CityParams, areas: Areas, x_m: Floats, y_m: Floats) -> NDArray[np.int64]:
    """Return the row of the area of each position, in metres from the centre; 0 in a city without areas."""
    if not areas.wkb.size:
        return np.zeros(x_m.size, np.int64)
    return areas_at(areas.wkb, *degrees_of(params, x_m, y_m), _NEAR_M)
