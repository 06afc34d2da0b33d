"""People simulated after NOMAD (Watts-Lab/nomad, MIT) in its garden city, so that the truth is known.

The pings NOMAD ships come without the diaries behind them, so people are simulated anew from what it
does ship and document: the city's buildings, doors and streets (garden-city.gpkg), the destination diaries of
its experiments (exp_*.csv, the first four people, over and over), and for the others days that keep its opening
hours and its mean stays (home 14 h, work 7 h, park 1 h, shop half an hour). Inside, a person stands still or
takes a step within the walls; outside they walk along the streets at 50 m a minute. Pings come as
NOMAD's `sample_hier_nhpp` draws them: bursts at exponential intervals and of exponential length, pings at exponential
intervals within, a Pareto accuracy of at least 8 m, a normal error that fits it. All numbers are NOMAD's;
the code is ours. A block is 15 m.

What it is good for: burst sampling that is not our own simulation's, and places that lie close together; the town is
330 m wide, so a radius that suits a real city swallows whole trips. What it is not: evidence about people. Labels
are exact: a stop is inside a building one went to.
"""

import functools
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from shapely import Point as ShapelyPoint

N_PEOPLE, N_DAYS = 16, 4
START_S = 1_704_067_200  # 2024-01-01, as in NOMAD's pings
TICK_MIN = 0.25
BLOCK_M = 15.0
METRES_PER_DEGREE = 111_195.0
LON, LAT = -38.32, 36.668
SLOT_MIN = 15
KINDS = {"workplace": "work"}
OPEN_HOURS = {
    "retail": (8, 12, 13, 18, 19, 20),
    "park": (7, 8, 12, 13, 18, 19, 20),
    "work": (8, 9, 10, 11, 14, 15, 16, 17),
}
HOME_HOURS = (*range(8), *range(18, 24))
MEAN_STAY_H = {"park": 1.0, "retail": 0.5, "work": 7.0, "home": 14.0}
STILL_SHARE = {"park": 0.5, "home": 0.9, "work": 0.9, "retail": 0.5}
STEP_BLOCKS = {"park": 2 / 1.96, "home": 0.75 / 1.96, "work": 0.75 / 1.96, "retail": 1.75 / 1.96}
WALK_BLOCKS, SWAY_BLOCKS, SWAY_MEMORY = 3.33, 0.5 / 1.96, 0.7
MEAN_ACCURACY_M, LEAST_ACCURACY_M, MOST_ACCURACY_M = 11.25, 8.0, 300.0
ACCURACY_PER_SIGMA = 1.515
EXPERIMENTS = (
    "exp_1_destinations_balanced.csv",
    "exp_1_destinations_unbalanced.csv",
    "exp_2_stops.csv",
    "exp_2_stops_aws.csv",
)
SAMPLERS = ("dense", "bursts")
"""dense: one burst without end, a ping every 15 s. bursts: by person, bursts every 80 to 450 minutes that last 50
to 300, with a ping every 1.5 to 20 (means; NOMAD's `gen_params_ranges`)."""

Cell = tuple[int, int]
Point = NDArray[np.float64]


class Rows(NamedTuple):
    """Pings and their labels."""

    device_id: NDArray[np.int64]
    at_us: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    accuracy_m: NDArray[np.float64]
    is_stop: NDArray[np.bool_]


class Building(NamedTuple):
    """A building, in blocks."""

    kind: str
    cells: frozenset[Cell]
    door: Point
    door_cell: Cell
    middle: Point


class Town:
    """Buildings by name, and the streets between their doors."""

    def __init__(self, file: Path) -> None:
        """Read the town."""
        rows = gpd.read_file(file, layer="buildings")
        self.buildings = {row.id: _building(row) for row in rows.itertuples()}
        streets = gpd.read_file(file, layer="streets")
        self._streets = set(zip(streets["coord_x"].astype(int), streets["coord_y"].astype(int), strict=True))
        self.way = functools.cache(self._way)

    def of_kind(self, kind: str) -> list[str]:
        """Return the names of the buildings of a kind."""
        return [name for name, building in self.buildings.items() if building.kind == kind]

    def _way(self, here: Cell, there: Cell) -> list[Point]:
        """Return the middles of the street cells on a shortest way, both ends included."""
        before = {there: there}
        waiting = deque([there])
        while waiting and here not in before:
            x, y = waiting.popleft()
            for cell in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if cell in self._streets and cell not in before:
                    before[cell] = (x, y)
                    waiting.append(cell)
        cells = [here]
        while cells[-1] != there:
            cells.append(before[cells[-1]])
        return [np.add(cell, 0.5) for cell in cells]


def _building(row: Any) -> Building:
    west, south, east, north = (round(v) for v in row.geometry.bounds)
    cells = [(x, y) for x in range(west, east) for y in range(south, north)]
    inside = frozenset(c for c in cells if row.geometry.contains(ShapelyPoint(c[0] + 0.5, c[1] + 0.5)))
    centre = np.array(row.geometry.centroid.coords[0])
    middle = min((np.add(c, 0.5) for c in inside), key=lambda p: float(np.hypot(*(p - centre))))
    door_cell = (int(row.door_cell_x), int(row.door_cell_y))
    kind = KINDS.get(row.building_type, row.building_type)
    return Building(kind, inside, np.array([row.door_point_x, row.door_point_y]), door_cell, middle)


def experiment(file: Path) -> Iterator[tuple[str, float]]:
    """Yield (building, minutes) of a diary NOMAD ships, over and over."""
    rows = pd.read_csv(file)
    while True:
        yield from zip(rows["location"], rows["duration"].astype(float), strict=True)


def days(town: Town, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Yield (building, minutes) of somebody with a home and a work, a quarter of an hour at a time."""
    own = {kind: str(rng.choice(town.of_kind(kind))) for kind in ("home", "work")}
    minute, here = 0, own["home"]
    while True:
        hour = minute // 60 % 24
        choices = [kind for kind, hours in OPEN_HOURS.items() if hour in hours]
        choices += ["home"] if hour in HOME_HOURS else []
        kind = town.buildings[here].kind
        leaves = rng.random() < SLOT_MIN / 60 / MEAN_STAY_H[kind]
        if kind not in choices or leaves:
            kind = str(rng.choice(choices))
            here = own.get(kind) or str(rng.choice(town.of_kind(kind)))
        yield here, SLOT_MIN
        minute += SLOT_MIN


def track(town: Town, diary: Iterator[tuple[str, float]], rng: np.random.Generator) -> tuple[Point, NDArray[np.bool_]]:
    """Return (x, y in blocks, whether at a stop) of a person at every tick."""
    n_ticks = round(N_DAYS * 1440 / TICK_MIN)
    name, minutes = next(diary)
    at, last, owed = town.buildings[name].middle, name, 0.0
    positions: list[Point] = []
    stops: list[bool] = []
    while len(positions) < n_ticks:
        owed += minutes / TICK_MIN
        if name != last:
            walked = walk(town, town.buildings[last], at, town.buildings[name], rng)
            positions += walked
            stops += [False] * len(walked)
            at, last, owed = town.buildings[name].middle, name, owed - len(walked)
        stayed = stay(town.buildings[name], at, int(owed), rng)
        owed -= len(stayed)
        positions += stayed
        stops += [True] * len(stayed)
        at = positions[-1]
        name, minutes = next(diary)
    return np.array(positions[:n_ticks]), np.array(stops[:n_ticks])


def stay(building: Building, at: Point, n_ticks: int, rng: np.random.Generator) -> list[Point]:
    """Return the positions of somebody inside: still, or a step within the walls."""
    scale = STEP_BLOCKS[building.kind] * np.sqrt(TICK_MIN)
    # A share of minutes, not of ticks, in which one stands still.
    still = STILL_SHARE[building.kind] ** TICK_MIN
    found = []
    for moves in rng.random(n_ticks) >= still:
        while moves:
            step = at + rng.normal(0, scale, 2)
            if (int(step[0] // 1), int(step[1] // 1)) in building.cells:
                at, moves = step, False
        found.append(at)
    return found


def walk(town: Town, left: Building, at: Point, to: Building, rng: np.random.Generator) -> list[Point]:
    """Return the positions of somebody on the way from `at` in one building to the door of another."""
    corners = np.array([at, left.door, *town.way(left.door_cell, to.door_cell), to.door])
    legs = np.hypot(*np.diff(corners, axis=0).T)
    along = np.append(0, np.cumsum(legs))
    sway = SWAY_BLOCKS * TICK_MIN * np.sqrt(TICK_MIN)
    passed, aside = 0.0, 0.0
    found: list[Point] = []
    while True:
        passed += max(0.0, rng.normal(WALK_BLOCKS * TICK_MIN, sway))
        aside = SWAY_MEMORY * aside + rng.normal(0, sway)
        if passed >= along[-1]:
            return found
        leg = int(np.searchsorted(along, passed, side="right")) - 1
        ahead = (corners[leg + 1] - corners[leg]) / legs[leg]
        found.append(corners[leg] + ahead * (passed - along[leg]) + aside * np.array([-ahead[1], ahead[0]]))


def ping_minutes(sampler: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return when a phone reports, in minutes from the start."""
    length = N_DAYS * 1440.0
    if sampler == "dense":
        return _poisson(0.25, length, rng)
    every, lasting, between = rng.uniform(80, 450), rng.uniform(50, 300), rng.uniform(1.5, 20)
    starts = _poisson(every, length, rng)
    ends = np.minimum(starts + rng.exponential(lasting, starts.size), np.append(starts[1:], length))
    bursts = [start + _poisson(between, end - start, rng) for start, end in zip(starts, ends, strict=True)]
    return np.concatenate([np.empty(0), *bursts])


def _poisson(mean: float, length: float, rng: np.random.Generator) -> NDArray[np.float64]:
    at = np.cumsum(rng.exponential(mean, int(3 * length / mean) + 10))
    return at[at < length]


def sampled_people(folder: Path, sampler: str) -> Rows:
    """Return the pings of everybody by one of the SAMPLERS; the people are the same by each."""
    town = Town(folder / "garden-city.gpkg")
    found = []
    for person in range(N_PEOPLE):
        rng = np.random.default_rng([7, person])
        diary = experiment(folder / EXPERIMENTS[person]) if person < len(EXPERIMENTS) else days(town, rng)
        found.append(_sampled(person, *track(town, diary, rng), sampler))
    return Rows(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _sampled(person: int, positions: Point, stops: NDArray[np.bool_], sampler: str) -> Rows:
    rng = np.random.default_rng([11, person])
    at_s = np.unique(np.floor(ping_minutes(sampler, rng) * 60).astype(np.int64))
    tick = (at_s / 60 / TICK_MIN).astype(np.int64)
    shape = MEAN_ACCURACY_M / (MEAN_ACCURACY_M - LEAST_ACCURACY_M)
    accuracy_m = np.minimum((rng.pareto(shape, at_s.size) + 1) * LEAST_ACCURACY_M, MOST_ACCURACY_M)
    noise_m = rng.standard_normal((at_s.size, 2)) * (accuracy_m / ACCURACY_PER_SIGMA)[:, None]
    x_m, y_m = (positions[tick] * BLOCK_M + noise_m).T
    lon = LON + x_m / METRES_PER_DEGREE / np.cos(np.radians(LAT))
    lat = LAT + y_m / METRES_PER_DEGREE
    return Rows(np.full(at_s.size, person), (START_S + at_s) * 1_000_000, lon, lat, accuracy_m, stops[tick])
