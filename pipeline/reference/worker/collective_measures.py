"""scikit-mobility's measures of positions and of all devices together."""

import numpy as np
from read_frames import floats, microseconds, whole
from skmob.measures import collective


def _places(found):
    return {"lon": floats(found["lng"]), "lat": floats(found["lat"])}


def random_location_entropy(rows):
    """Return the logarithm of the number of devices seen at every position, in bits."""
    found = collective.random_location_entropy(rows, show_progress=False)
    return {**_places(found), "entropy_bits": floats(found.iloc[:, -1])}


def uncorrelated_location_entropy(rows, normalize):
    """Return the entropy of the devices seen at every position, in bits; normalised, nats over bits as published."""
    found = collective.uncorrelated_location_entropy(rows, normalize=bool(normalize), show_progress=False)
    return {**_places(found), "entropy_bits": floats(found.iloc[:, -1]) / (1 if normalize else np.log(2))}


def visits_per_location(rows):
    """Return the rows at every position."""
    found = collective.visits_per_location(rows)
    return {**_places(found), "n_visits": whole(found["n_visits"])}


def homes_per_location(rows, night_start, night_end):
    """Return the devices that have their home at every position."""
    found = collective.homes_per_location(rows, start_night=night_start, end_night=night_end)
    return {**_places(found), "n_homes": whole(found["n_homes"])}


def mean_square_displacement(rows, lag_s):
    """Return one row: the mean squared displacement after a time, in square metres."""
    rows = rows.sort_values(["uid", "datetime"], kind="stable")
    found = collective.mean_square_displacement(rows, days=0, hours=0, minutes=lag_s / 60, show_progress=False)
    return {"displacement_m2": floats([found]) * 1e6}


def visits_per_time_unit(rows, unit_s):
    """Return the rows of every unit of time from the first to the last."""
    found = collective.visits_per_time_unit(rows, time_unit=f"{int(unit_s)}s")
    return {"started_at": microseconds(found.index), "n_visits": whole(found["n_visits"])}


COLLECTIVE = {
    function.__name__: function
    for function in (
        random_location_entropy,
        uncorrelated_location_entropy,
        visits_per_location,
        homes_per_location,
        mean_square_displacement,
        visits_per_time_unit,
    )
}
