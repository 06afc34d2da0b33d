"""scikit-mobility's measures of one device."""

import numpy as np
import pandas as pd
from read_frames import floats, whole
from skmob.measures import individual


def _in_order(rows):
    """Return rows by device and time, as several measures want them; equal times keep their order."""
    return rows.sort_values(["uid", "datetime"], kind="stable")


def _one_per_device(found, name, factor=1.0):
    return {"device_id": found["uid"].to_numpy(), name: floats(found.iloc[:, -1]) * factor}


def _counts(found, name):
    return {"device_id": found["uid"].to_numpy(), name: whole(found.iloc[:, -1])}


def _lists(found, name, factor=1.0):
    """Return one row per element of the lists in the last column."""
    lists = [floats(values) for values in found.iloc[:, -1]]
    lengths = [len(values) for values in lists]
    joined = np.concatenate(lists) if lists else np.empty(0)
    return {"device_id": np.repeat(found["uid"].to_numpy(), lengths), name: joined * factor}


def _places(found):
    return {"device_id": whole(found["uid"]), "lon": floats(found["lng"]), "lat": floats(found["lat"])}


def radius_of_gyration(rows):
    """Return one radius in metres per device."""
    return _one_per_device(individual.radius_of_gyration(rows, show_progress=False), "gyration_m", 1000)


def k_radius_of_gyration(rows, k):
    """Return one radius in metres per device, of its k most visited positions."""
    return _one_per_device(individual.k_radius_of_gyration(rows, k=int(k), show_progress=False), "gyration_m", 1000)


def random_entropy(rows):
    """Return the logarithm of the number of positions, in bits."""
    return _one_per_device(individual.random_entropy(rows, show_progress=False), "entropy_bits")


def uncorrelated_entropy(rows, normalize):
    """Return one entropy in bits per device; normalised, in units of the logarithm of its positions."""
    found = individual.uncorrelated_entropy(rows, normalize=bool(normalize), show_progress=False)
    return _one_per_device(found, "entropy_bits")


def real_entropy(rows):
    """Return one entropy rate in bits per device."""
    return _one_per_device(individual.real_entropy(_in_order(rows), show_progress=False), "entropy_bits")


def jump_lengths(rows):
    """Return the distances from row to row in metres."""
    return _lists(individual.jump_lengths(_in_order(rows), show_progress=False), "distance_m", 1000)


def maximum_distance(rows):
    """Return the longest jump in metres per device."""
    return _one_per_device(individual.maximum_distance(_in_order(rows), show_progress=False), "distance_m", 1000)


def distance_straight_line(rows):
    """Return the sum of jumps in metres per device."""
    return _one_per_device(individual.distance_straight_line(_in_order(rows), show_progress=False), "distance_m", 1000)


def waiting_times(rows):
    """Return the times from row to row in seconds."""
    return _lists(individual.waiting_times(_in_order(rows), show_progress=False), "duration_s")


def number_of_locations(rows):
    """Return the number of distinct positions per device."""
    return _counts(individual.number_of_locations(rows, show_progress=False), "n_locations")


def number_of_visits(rows):
    """Return the number of rows per device."""
    return _counts(individual.number_of_visits(rows, show_progress=False), "n_visits")


def home_location(rows, night_start, night_end):
    """Return the position of home per device."""
    return _places(individual.home_location(rows, night_start, night_end, show_progress=False))


def max_distance_from_home(rows, night_start, night_end):
    """Return the farthest distance from home in metres per device."""
    found = individual.max_distance_from_home(rows, night_start, night_end, show_progress=False)
    return _one_per_device(found, "distance_m", 1000)


def location_frequency(rows, normalize):
    """Return the share of visits of every position of every device.

    By device, since for a frame of one the published function forgets to pass `normalize` on.
    """
    counted = {
        device: individual._location_frequency_individual(own, normalize=bool(normalize))
        for device, own in rows.groupby("uid")
    }
    found = pd.concat(counted, names=["uid"]).rename("visit_share").reset_index()
    return {**_places(found), "visit_share": floats(found["visit_share"])}


def frequency_rank(rows):
    """Return the rank by frequency of every position of every device."""
    found = individual.frequency_rank(rows, show_progress=False).reset_index()
    return {**_places(found), "frequency_rank": whole(found["frequency_rank"])}


def recency_rank(rows):
    """Return the rank by recency of every position of every device."""
    found = individual.recency_rank(_in_order(rows), show_progress=False).reset_index(level=0)
    return {**_places(found), "recency_rank": whole(found["recency_rank"])}


def individual_mobility_network(rows, self_loops):
    """Return the trips between any two positions of every device."""
    found = individual.individual_mobility_network(_in_order(rows), self_loops=bool(self_loops), show_progress=False)
    return {
        "device_id": found["uid"].to_numpy(),
        "origin_lon": floats(found["lng_origin"]),
        "origin_lat": floats(found["lat_origin"]),
        "destination_lon": floats(found["lng_dest"]),
        "destination_lat": floats(found["lat_dest"]),
        "n_trips": whole(found["n_trips"]),
    }


INDIVIDUAL = {
    function.__name__: function
    for function in (
        radius_of_gyration,
        k_radius_of_gyration,
        random_entropy,
        uncorrelated_entropy,
        real_entropy,
        jump_lengths,
        maximum_distance,
        distance_straight_line,
        waiting_times,
        number_of_locations,
        number_of_visits,
        home_location,
        max_distance_from_home,
        location_frequency,
        frequency_rank,
        recency_rank,
        individual_mobility_network,
    )
}
