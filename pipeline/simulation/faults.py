"""Faulty rows as vendors ship them, one kind per row, so that a reader's refusals can be counted exactly.

A fault replaces one good ping by a bad row, except "duplicate", which adds a second exact copy of
a good one. The remaining good pings of a device have distinct seconds, so no other row repeats.
"""

import math

import numpy as np

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import EARTH_RADIUS_M
from pipeline.simulation.clock import DAY_S
from pipeline.simulation.random_streams import uniform

CLEAN, SPIKE = 0, 1
NULL_ISLAND, LATITUDE_BEYOND_POLE, TERRIBLE_ACCURACY, OUTSIDE_STUDY = 2, 3, 4, 5
MISSING_DEVICE_ID, MISSING_TIMESTAMP, MISSING_LATITUDE, MISSING_LONGITUDE, DUPLICATE = 6, 7, 8, 9, 10

KINDS = (
    "clean",
    "spike",  # a good row thrown off by hundreds of metres; no rule on a single row can see it
    "null_island",  # latitude and longitude exactly 0
    "latitude_beyond_pole",  # latitude above 90
    "terrible_accuracy",  # reported accuracy of kilometres, position as far off
    "outside_study",  # timestamp a month to a year before or after the study
    "missing_device_id",
    "missing_timestamp",
    "missing_latitude",
    "missing_longitude",
    "duplicate",  # the second copy of a clean row
)
FAULTS = KINDS[NULL_ISLAND:]

_FIRST_FAULT, _N_FAULTS = NULL_ISLAND, len(FAULTS)
_POLE_E7 = 900_000_000
_BEYOND_POLE_E7 = 900_000_000  # up to 180 degrees
_HALF_TURN_E7 = 1_800_000_000
_DEGREE_M = math.radians(EARTH_RADIUS_M)
_ACCURACY_STRETCH = 9.0  # a terrible accuracy is up to ten times the least one
_OUTSIDE_MIN_S, _OUTSIDE_SPREAD_S = 30 * DAY_S, 335 * DAY_S


@kernel
def draw_fault(state, share):
    """Return CLEAN or, with chance `share`, one of the kinds of fault, equally likely."""
    if uniform(state) >= share:
        return CLEAN
    return _FIRST_FAULT + int(uniform(state) * _N_FAULTS)


@kernel
def spoil(state, kind, clock, worst_m, at_s, lon_e7, lat_e7, accuracy_m):
    """Return (at_s, lon_e7, lat_e7, accuracy_m) of a ping after a fault; missing values are nulled later."""
    if kind == NULL_ISLAND:
        return at_s, 0, 0, accuracy_m
    if kind == LATITUDE_BEYOND_POLE:
        return at_s, lon_e7, _POLE_E7 + 1 + int(uniform(state) * _BEYOND_POLE_E7), accuracy_m
    if kind == TERRIBLE_ACCURACY:
        accuracy_m = worst_m * (1.0 + _ACCURACY_STRETCH * uniform(state))
        angle = 2.0 * math.pi * uniform(state)
        off_e7 = accuracy_m / _DEGREE_M * 1e7  # as if at the equator; a rough position needs no better
        lon_e7 += int(off_e7 * math.cos(angle))
        lat_e7 += int(off_e7 * math.sin(angle))
        return at_s, (lon_e7 + _HALF_TURN_E7) % (2 * _HALF_TURN_E7) - _HALF_TURN_E7, lat_e7, accuracy_m
    if kind == OUTSIDE_STUDY:
        away_s = _OUTSIDE_MIN_S + np.int64(uniform(state) * _OUTSIDE_SPREAD_S)
        span_s = clock.closed_s - clock.opened_s
        at_s = at_s - span_s - away_s if uniform(state) < 0.5 else at_s + span_s + away_s
    return at_s, lon_e7, lat_e7, accuracy_m
