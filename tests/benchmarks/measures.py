"""Measures shared with fastmob, ours and theirs, each from the same sorted rows (`bench_measures`)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import fastmob
import numpy as np
import pyarrow as pa

from pipeline.kernels.entropy import location_entropy
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.gyration import radius_of_gyration
from pipeline.kernels.moves import distances_from, jump_lengths, waiting_times
from pipeline.kernels.place_counts import (
    PlaceCounts,
    count_moves,
    count_places,
    distinct_places,
    frequency_ranks,
    main_places,
    most_first,
)
from pipeline.kernels.sequence_entropy import entropy_rate

FASTMOB_RADIUS_M = 6_371_008.8
HOUR_US = 3_600_000_000
NIGHT = (22, 7)
K = 2
REAL_ENTROPY = "real_entropy"


class Rows(NamedTuple):
    """Rows sorted by device and time."""

    device_id: np.ndarray
    at_us: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    place: np.ndarray


class Measure(NamedTuple):
    """A measure, ours and fastmob's, and what of fastmob's answer is compared with ours."""

    ours: Callable[[Rows], np.ndarray]
    fastmob: Callable[[pa.Table], Any]
    column: str
    unit: float = 1.0
    """How many of our units one of theirs is."""


def starts(rows: Rows) -> np.ndarray:
    return group_starts(rows.device_id)


def gyration_m(rows: Rows) -> np.ndarray:
    return radius_of_gyration(starts(rows), rows.lon, rows.lat)


def k_gyration_m(rows: Rows) -> np.ndarray:
    """Return the radius over the main places, each weighing its rows."""
    places = count_places(starts(rows), rows.place)
    main = np.flatnonzero(main_places(places, K))
    start = np.searchsorted(main, places.start)
    first = places.first[main]
    return radius_of_gyration(start, rows.lon[first], rows.lat[first], places.n_rows[main].astype(np.float64))


def n_locations(rows: Rows) -> np.ndarray:
    return distinct_places(starts(rows), rows.place)


def random_entropy_bits(rows: Rows) -> np.ndarray:
    return np.log2(n_locations(rows))


def entropy_bits(rows: Rows) -> np.ndarray:
    return location_entropy(starts(rows), rows.place)


def entropy_rate_bits(rows: Rows) -> np.ndarray:
    return entropy_rate(starts(rows), rows.place, "fastmob")


def jumps_m(rows: Rows) -> np.ndarray:
    return jump_lengths(starts(rows), rows.lon, rows.lat)


def largest_jump_m(rows: Rows) -> np.ndarray:
    """Return what the peers call maximum_distance."""
    start = starts(rows)
    return np.fmax.reduceat(jump_lengths(start, rows.lon, rows.lat), start[:-1])


def way_m(rows: Rows) -> np.ndarray:
    start = starts(rows)
    length_m = jump_lengths(start, rows.lon, rows.lat)
    length_m[start[:-1]] = 0.0
    return np.add.reduceat(length_m, start[:-1])


def waits_s(rows: Rows) -> np.ndarray:
    return waiting_times(starts(rows), rows.at_us)


def from_home_m(rows: Rows) -> np.ndarray:
    """Return the largest distance from home, which is the place with most rows at night, as the peers have it."""
    start = starts(rows)
    time_us = rows.at_us % (24 * HOUR_US)
    is_night = (time_us >= NIGHT[0] * HOUR_US) | (time_us < NIGHT[1] * HOUR_US)
    places = count_places(start, rows.place, is_night)
    home = places.first[main_places(places, 1)]
    return np.fmax.reduceat(distances_from(start, rows.lon, rows.lat, rows.lon[home], rows.lat[home]), start[:-1])


def n_visits(rows: Rows) -> np.ndarray:
    return np.diff(starts(rows))


def owners(places: PlaceCounts) -> np.ndarray:
    """Return the group of each place."""
    return np.repeat(np.arange(places.start.size - 1), np.diff(places.start))


def frequencies(rows: Rows) -> np.ndarray:
    """Return the share of rows of each place, the most frequent of a device first."""
    start = starts(rows)
    places = count_places(start, rows.place)
    share = places.n_rows / np.diff(start)[owners(places)]
    return share[most_first(places)]


def ranks_of_places(rows: Rows) -> np.ndarray:
    return frequency_ranks(count_places(starts(rows), rows.place))


def latest_ranks(rows: Rows) -> np.ndarray:
    """Return the ranks of places by their last row: rows walked backwards, they come in this order."""
    backwards = rows.place.size - starts(rows)[::-1]
    start = count_places(backwards, np.ascontiguousarray(rows.place[::-1])).start
    return np.arange(1, start[-1] + 1) - np.repeat(start[:-1], np.diff(start))


def visitors(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return where each place of all devices begins among the devices that are there, and how many rows each has.

    As in `place_visits`: rows are counted by device and place first, and only these counts are put in order of places.
    """
    places = count_places(starts(rows), rows.place)
    place = rows.place[places.first]
    order = np.argsort(place, kind="stable")
    return group_starts(place[order]), places.n_rows[order]


def random_entropy_of_places_bits(rows: Rows) -> np.ndarray:
    return np.log2(np.diff(visitors(rows)[0]))


def entropy_of_places_bits(rows: Rows) -> np.ndarray:
    start, n_rows = visitors(rows)
    return location_entropy(start, np.arange(n_rows.size), n_rows.astype(np.float64))


def visits_of_places(rows: Rows) -> np.ndarray:
    """Return the rows of each place of all devices, most first."""
    return -np.sort(-count_places(np.array([0, rows.place.size]), rows.place).n_rows)


def square_displacement_m2(rows: Rows) -> np.ndarray:
    """Return the mean over devices of the squared distance from their first row to where they were an hour later."""
    start = starts(rows)
    first, last = start[:-1], start[1:]
    pairs = zip(first, last, strict=True)
    then = [a + np.searchsorted(rows.at_us[a:b], rows.at_us[a] + HOUR_US, side="right") - 1 for a, b in pairs]
    points = np.arange(first.size + 1)
    distance_m = distances_from(points, rows.lon[then], rows.lat[then], rows.lon[first], rows.lat[first])
    return (distance_m**2).mean(keepdims=True)


def moves(rows: Rows) -> np.ndarray:
    return count_moves(starts(rows), rows.place).n_moves


MEASURES = {
    "radius_of_gyration": Measure(gyration_m, fastmob.radius_of_gyration, "radius_of_gyration", 1000),
    "k_radius_of_gyration": Measure(k_gyration_m, fastmob.k_radius_of_gyration, "k_radius_of_gyration", 1000),
    "random_entropy": Measure(random_entropy_bits, fastmob.random_entropy, "random_entropy"),
    "uncorrelated_entropy": Measure(entropy_bits, fastmob.uncorrelated_entropy, "uncorrelated_entropy"),
    REAL_ENTROPY: Measure(entropy_rate_bits, fastmob.real_entropy, REAL_ENTROPY),
    "jump_lengths": Measure(jumps_m, fastmob.jump_lengths, "jump_lengths", 1000),
    "waiting_times": Measure(waits_s, fastmob.waiting_times, "waiting_times"),
    "maximum_distance": Measure(largest_jump_m, fastmob.maximum_distance, "maximum_distance", 1000),
    "distance_straight_line": Measure(way_m, fastmob.distance_straight_line, "distance_straight_line", 1000),
    "max_distance_from_home": Measure(from_home_m, fastmob.max_distance_from_home, "max_distance_from_home", 1000),
    "number_of_visits": Measure(n_visits, fastmob.number_of_visits, "number_of_visits"),
    "number_of_locations": Measure(n_locations, fastmob.number_of_locations, "number_of_locations"),
    "location_frequency": Measure(frequencies, fastmob.location_frequency, "location_frequency"),
    "frequency_rank": Measure(ranks_of_places, fastmob.frequency_rank, "frequency_rank"),
    "recency_rank": Measure(latest_ranks, fastmob.recency_rank, "recency_rank"),
    "random_location_entropy": Measure(
        random_entropy_of_places_bits, fastmob.random_location_entropy, "random_entropy"
    ),
    "uncorrelated_location_entropy": Measure(
        entropy_of_places_bits, fastmob.uncorrelated_location_entropy, "uncorrelated_entropy"
    ),
    "visits_per_location": Measure(visits_of_places, fastmob.visits_per_location, "n_visits"),
    "mean_square_displacement": Measure(square_displacement_m2, fastmob.mean_square_displacement, "", 1e6),
    "individual_mobility_network": Measure(moves, fastmob.individual_mobility_network, "n_trips"),
}


def check(rows: Rows, table: pa.Table) -> None:
    """Stop unless fastmob's answers are ours, on one sphere: an answer that differs is not worth timing."""
    for name, measure in MEASURES.items():
        ours, theirs = measure.ours(rows), _values(measure.fastmob(table), measure.column) * measure.unit
        if measure.unit != 1:
            theirs = theirs * (EARTH_RADIUS_M / FASTMOB_RADIUS_M) ** (2 if measure.unit == 1e6 else 1)
        ours = ours[~np.isnan(ours)]
        np.testing.assert_allclose(np.sort(ours), np.sort(theirs), rtol=1e-6, atol=1e-4, err_msg=name)


def _values(answer: Any, column: str) -> np.ndarray:
    """Return the numbers of one of fastmob's answers: a number, a column, or a column of lists."""
    if isinstance(answer, float):
        return np.array([answer])
    values = answer[column].combine_chunks()
    return np.asarray(values.flatten() if pa.types.is_list(values.type) else values, np.float64)
