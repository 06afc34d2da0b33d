"""The built city of a seed: secondary centres, errand places, workplaces by sector; or one built on real areas.

Positions are metres east (x) and north (y) of the centre. Every process that simulates a bucket
builds the same city again: it costs milliseconds and nothing has to be shared.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import EARTH_RADIUS_M, wrap_lon
from pipeline.simulation import random_streams as streams
from pipeline.simulation.ground import Ground, Plots, draw_in_area, no_plots
from pipeline.simulation.params import CityParams
from pipeline.simulation.random_streams import exponential, normal_pair, open_stream, pick, uniform
from pipeline.simulation.sectors import SECTOR_NUMBERS, SECTORS

Floats = NDArray[np.float64]
_VISITED_SECTORS = ("44-45", "62", "71", "72", "81")  # errand places are where these have their jobs
_VISITED_SHARE = 0.6  # of errand places; the others are where people live


class Category(NamedTuple):
    """A kind of errand place: its share of places and how long people stay (round figures of ours)."""

    name: str
    place_share: float  # relative
    median_s: int  # median length of an errand there


CATEGORIES = (
    Category("grocery", 16.0, 1_800),
    Category("restaurant", 26.0, 3_000),
    Category("shop", 24.0, 1_500),
    Category("health", 8.0, 2_700),
    Category("sports", 7.0, 4_500),
    Category("culture", 4.0, 6_000),
    Category("school", 5.0, 900),
    Category("friend", 10.0, 6_600),
)


class City(NamedTuple):
    """The built city as flat arrays for kernels; lengths n_towns, n_places and n_workplaces."""

    radius_m: float
    decay_m: float
    town_share: float
    town_spread_m: float
    town_x_m: Floats
    town_y_m: Floats
    place_x_m: Floats
    place_y_m: Floats
    place_pull: Floats  # running sum of popularity
    place_median_s: Floats
    place_category: NDArray[np.int64]  # index into CATEGORIES
    work_x_m: Floats
    work_y_m: Floats
    work_pull: Floats  # running sum of size
    work_sector: NDArray[np.int64]  # index into SECTORS; workplaces are sorted by it
    sector_first: NDArray[np.int64]  # workplaces of sector k are sector_first[k] : sector_first[k + 1]
    sector_share: Floats  # of jobs, relative
    plots: Plots  # of the areas the city is built on, if any


@kernel
def draw_near_centre(state, decay_m, radius_m):
    """Return (x_m, y_m) with density falling as exp(-r / decay_m), none beyond radius_m."""
    while True:
        r = decay_m * (exponential(state) + exponential(state))  # gamma(2): exp density times circumference
        angle = 2.0 * math.pi * uniform(state)
        if r <= radius_m:
            return r * math.cos(angle), r * math.sin(angle)


@kernel
def draw_around(state, x_m, y_m, spread_m, radius_m):
    """Return a normal position around (x_m, y_m), none beyond radius_m of the city's centre."""
    while True:
        dx, dy = normal_pair(state)
        x, y = x_m + spread_m * dx, y_m + spread_m * dy
        if math.hypot(x, y) <= radius_m:
            return x, y


@kernel
def draw_site(state, city):
    """Return (x_m, y_m) of a home or place: in a secondary centre or in the main city, or where people live."""
    if city.plots.home_pull.size:
        return draw_in_area(state, city.plots, pick(state, city.plots.home_pull, 0, city.plots.home_pull.size))
    if uniform(state) < city.town_share:
        town = int(uniform(state) * city.town_x_m.size)
        return draw_around(state, city.town_x_m[town], city.town_y_m[town], city.town_spread_m, city.radius_m)
    return draw_near_centre(state, city.decay_m, city.radius_m)


@kernel
def draw_towns(seed, decay_m, radius_m, x_m, y_m):
    """Fill x_m, y_m with secondary centres, spread twice as wide as homes."""
    state = np.empty(1, np.uint64)
    for town in range(x_m.size):
        open_stream(state, seed, town, streams.TOWNS)
        x_m[town], y_m[town] = draw_near_centre(state, 2.0 * decay_m, 0.85 * radius_m)


@kernel
def draw_sites(seed, stream, city, x_m, y_m):
    """Fill x_m, y_m with sites, one stream per site."""
    state = np.empty(1, np.uint64)
    for site in range(x_m.size):
        open_stream(state, seed, site, stream)
        x_m[site], y_m[site] = draw_site(state, city)


@kernel
def draw_workplaces(seed, city, cluster_x_m, cluster_y_m, cluster_share, cluster_spread_m):
    """Fill the workplaces of `city`: near a cluster of their sector or anywhere."""
    state = np.empty(1, np.uint64)
    for work in range(city.work_x_m.size):
        open_stream(state, seed, work, streams.WORKPLACES)
        if uniform(state) < cluster_share:
            sector = city.work_sector[work]
            cluster = int(uniform(state) * cluster_x_m.shape[1])
            x, y = cluster_x_m[sector, cluster], cluster_y_m[sector, cluster]
            x, y = draw_around(state, x, y, cluster_spread_m, city.radius_m)
        else:
            x, y = draw_site(state, city)
        city.work_x_m[work], city.work_y_m[work] = x, y


@kernel
def pick_by_distance(state, pull, first, last, x_m, y_m, from_x_m, from_y_m, decay_m, exponent):
    """Return an index in [first, last) with weight pull * (1 + distance / decay_m)^-exponent.

    By rejection, exact up to the thousandth try; after that the nearest of the last tries is taken,
    which only happens to somebody for whom everything is far away.
    """
    best, best_m = first, math.inf
    for _ in range(1_000):
        site = pick(state, pull, first, last)
        distance_m = math.hypot(x_m[site] - from_x_m, y_m[site] - from_y_m)
        if uniform(state) < (1.0 + distance_m / decay_m) ** -exponent:
            return site
        if distance_m < best_m:
            best, best_m = site, distance_m
    return best


def _zipf(n: int, exponent: float) -> Floats:
    return np.arange(1, n + 1, dtype=np.float64) ** -exponent


def _counts(shares: Floats, total: int) -> NDArray[np.int64]:
    """Return whole numbers near shares * total, at least one each."""
    counts = np.maximum(1, np.floor(shares / shares.sum() * total)).astype(np.int64)
    counts[np.argmax(counts)] += total - counts.sum()
    return counts


@kernel
def draw_in_areas(seed, stream, plots, area, x_m, y_m):
    """Fill x_m, y_m with positions uniform within the areas given, one stream per position."""
    state = np.empty(1, np.uint64)
    for site in range(x_m.size):
        open_stream(state, seed, site, stream)
        x_m[site], y_m[site] = draw_in_area(state, plots, area[site])


def build_city(params: CityParams, ground: Ground | None = None) -> City:
    """Return the built city of `params`, on `ground` if there is any; equal arguments give the equal city."""
    generator = np.random.default_rng([params.seed, streams.PLACES])
    sector_share = np.array([sector.job_share for sector in SECTORS]) if ground is None else ground.jobs.sum(axis=0)
    sector_counts = _counts(sector_share, params.n_workplaces)
    category_shares = np.array([category.place_share for category in CATEGORIES])
    categories = generator.choice(len(CATEGORIES), params.n_places, p=category_shares / category_shares.sum())
    medians = np.array([category.median_s for category in CATEGORIES], np.float64)
    sizes = generator.permuted(_zipf(params.n_workplaces, params.workplace_size_exponent))
    city = City(
        radius_m=params.radius_m,
        decay_m=params.density_decay_m,
        town_share=params.town_share,
        town_spread_m=params.town_spread_m,
        town_x_m=np.empty(params.n_towns),
        town_y_m=np.empty(params.n_towns),
        place_x_m=np.empty(params.n_places),
        place_y_m=np.empty(params.n_places),
        place_pull=np.cumsum(_zipf(params.n_places, params.place_popularity_exponent)),
        place_median_s=medians[categories],
        place_category=categories.astype(np.int64),
        work_x_m=np.empty(params.n_workplaces),
        work_y_m=np.empty(params.n_workplaces),
        work_pull=np.cumsum(sizes),
        work_sector=np.repeat(np.arange(len(SECTORS)), sector_counts),
        sector_first=np.concatenate([[0], np.cumsum(sector_counts)]).astype(np.int64),
        sector_share=sector_share,
        plots=no_plots() if ground is None else ground.plots,
    )
    if ground is not None:
        return _fill_areas(params, city, ground, generator)
    _fill_open_land(params, city)
    return city


def _fill_open_land(params: CityParams, city: City) -> None:
    """Fill towns, errand places and workplaces of a city that has the plain to itself."""
    seed = np.uint64(params.seed)
    draw_towns(seed, params.density_decay_m, params.radius_m, city.town_x_m, city.town_y_m)
    draw_sites(seed, streams.PLACES, city, city.place_x_m, city.place_y_m)
    shape = (len(SECTORS), params.clusters_per_sector)
    cluster_x_m = np.empty(shape[0] * shape[1])
    cluster_y_m = np.empty_like(cluster_x_m)
    draw_sites(seed, streams.CLUSTERS, city, cluster_x_m, cluster_y_m)
    draw_workplaces(
        seed,
        city,
        cluster_x_m.reshape(shape),
        cluster_y_m.reshape(shape),
        params.cluster_share,
        params.cluster_spread_m,
    )


def _fill_areas(params: CityParams, city: City, ground: Ground, generator: np.random.Generator) -> City:
    """Return the city with places and workplaces in the areas of `ground`, workplaces as large as its jobs.

    Areas get workplaces of a sector by systematic sampling: n of them share out what n workplaces
    can tell apart. Those of one area and sector share its jobs evenly.
    """
    seed, n_areas = np.uint64(params.seed), ground.population.size
    visited = ground.jobs[:, [SECTOR_NUMBERS[naics] for naics in _VISITED_SECTORS]].sum(axis=1)
    weights = (1.0 - _VISITED_SHARE) * ground.population / ground.population.sum()
    weights += _VISITED_SHARE * visited / max(visited.sum(), 1.0)
    place_area = generator.choice(n_areas, params.n_places, p=weights / weights.sum())
    draw_in_areas(seed, streams.PLACES, city.plots, place_area, city.place_x_m, city.place_y_m)
    work_area, sizes = np.empty(params.n_workplaces, np.int64), np.empty(params.n_workplaces)
    for sector, (first, last) in enumerate(itertools.pairwise(city.sector_first)):
        jobs = ground.jobs[:, sector] if ground.jobs[:, sector].any() else ground.population
        steps = (np.arange(last - first) + generator.uniform()) / (last - first)
        area = np.minimum(np.searchsorted(np.cumsum(jobs) / jobs.sum(), steps, side="right"), n_areas - 1)
        work_area[first:last] = area
        sizes[first:last] = jobs[area] / np.bincount(area, minlength=n_areas)[area]
    draw_in_areas(seed, streams.WORKPLACES, city.plots, work_area, city.work_x_m, city.work_y_m)
    return city._replace(work_pull=np.cumsum(sizes))


def degrees_of(params: CityParams, x_m: Floats, y_m: Floats) -> tuple[Floats, Floats]:
    """Return (lon, lat) in degrees, rounded to 1e-7, of positions in metres from the city's centre."""
    lon_e7, lat_e7 = np.empty(x_m.size, np.int64), np.empty(x_m.size, np.int64)
    to_e7(x_m, y_m, params.centre_lon, params.centre_lat, lon_e7, lat_e7)
    return lon_e7 / 1e7, lat_e7 / 1e7


@kernel
def one_to_e7(x_m, y_m, centre_lon, centre_lat):
    """Return (lon_e7, lat_e7) of one position: north along the meridian, then east along its own parallel."""
    lat = centre_lat + math.degrees(y_m / EARTH_RADIUS_M)
    lon = centre_lon + math.degrees(x_m / (EARTH_RADIUS_M * math.cos(math.radians(lat))))
    return round(wrap_lon(lon) * 1e7), round(lat * 1e7)


@kernel
def to_e7(x_m, y_m, centre_lon, centre_lat, lon_e7, lat_e7):
    """Fill lon_e7, lat_e7 with positions given in metres from the centre."""
    for k in range(x_m.size):
        lon_e7[k], lat_e7[k] = one_to_e7(x_m[k], y_m[k], centre_lon, centre_lat)
