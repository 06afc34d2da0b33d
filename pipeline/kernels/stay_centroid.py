"""Stays about their running mean: noise is bridged, and loose or short ones need more evidence.

A candidate is a run of pings near the mean of those before them. Four rules of ours separate it
from the plain roaming-distance scan:

* **Bridging.** A ping outside does not end a candidate at once. If the device comes back inside in
  time, counted from the first ping outside, what it did there was noise or a step out, and takes no
  part in the stay. A lone wrong ping is bridged however sparse pings are.
* **Spread.** A loose candidate must last longer than a tight one: strolling looks like staying, but
  is seldom tight. The noise that the pings' own accuracy radii admit is not counted as spread.
* **Cuts.** A candidate at the start or end of the record, or beside a long silence, was longer than
  what was seen of it, so it need not last as long.
* **Retry.** A candidate that ends is followed by a search from the first ping outside it.

The idea of testing against a running centre is Infostop's (Aslak and Alessandretti 2020, who take
the median); the four rules and all defaults are ours.

Distances are those in the plane through the candidate's first ping (longitudes shortened by the
cosine of its latitude; within one degree of a pole the plane through the pole). They differ from the
great circle by less than 0.1 % for `roam_m` up to 200 m at any latitude.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import E7_RADIANS, EARTH_RADIUS_M
from pipeline.kernels.stay_geometry import POLAR_UNIT, Track, is_polar, polar_offset, position, wrapped_e7

# Why following a candidate stopped.
ALL_READ, SILENCE, LEFT = 0, 1, 2
# Whole numbers of a candidate.
DEVICE, LON, LAT, STARTED, LAST, N_PINGS, MAX_GAP, SUM_U, SUM_V, IS_CUT = range(10)
# Other numbers: sum of distances in units of the plane, of accuracy radii squared, and sums weighted by accuracy.
SUM_DISTANCE, SUM_ACCURACY, WEIGHT, WEIGHT_U, WEIGHT_V = range(5)
N_INTS, N_FLOATS = 10, 5
# An accuracy radius holds 68 % of positions (as Android defines it): of a normal error its square is
# -2 ln(0.32) = 2.28 variances per axis, and the mean distance to the truth is sqrt(pi / 2) deviations.
NOISE_PER_ACCURACY = math.pi / 2 / (-2 * math.log(0.32))
# Accuracy radii are not trusted to be better than this (ours): one lucky fix must not be the centre.
BEST_ACCURACY_M = 3.0
# A ping that states no accuracy weighs as much as one with this radius (ours: common outdoors).
MISSING_ACCURACY_M = 30.0


class CentroidRules(NamedTuple):
    """What makes a stay about its mean: metres, and µs for times (see `stays.CentroidParams`)."""

    roam_m: float
    dwell_us: int
    edge_dwell_us: int
    gap_us: int
    spread_m: float
    dwell_us_per_m: float
    noise_share: float
    bridge_us: int
    bridge_share: float
    max_bridge_us: int
    far_m: float
    far_bridge_us: int
    is_left_at_next_ping: bool
    is_weighted: bool


class Candidate(NamedTuple):
    """The one open candidate of a device: ``ints`` and ``floats``, by the names above."""

    ints: NDArray[np.int64]
    floats: NDArray[np.float64]


@kernel
def _plane(lat0_e7: int) -> tuple[float, float]:
    """Return (what longitudes are multiplied by, metres per unit) of the plane at a latitude."""
    if is_polar(lat0_e7):
        return 1.0, POLAR_UNIT * EARTH_RADIUS_M
    return math.cos(lat0_e7 * E7_RADIANS), E7_RADIANS * EARTH_RADIUS_M


@kernel
def weight_of(accuracy_m: float) -> float:
    """Return the weight of a ping in a centre: one over the square of its accuracy radius."""
    radius = MISSING_ACCURACY_M if math.isnan(accuracy_m) else max(accuracy_m, BEST_ACCURACY_M)
    return 1.0 / (radius * radius)


@kernel
def _weigh(floats: NDArray[np.float64], accuracy_m: float, u: int, v: int) -> None:
    """Add a ping at (u, v) to the sums weighted by accuracy."""
    weight = weight_of(accuracy_m)
    floats[WEIGHT] += weight
    floats[WEIGHT_U] += weight * u
    floats[WEIGHT_V] += weight * v


@kernel
def _admitted_m2(accuracy_m: float, roam_m: float) -> float:
    """Return the square of what a ping's accuracy admits of noise: no more than it was off the mean, at most."""
    return 0.0 if math.isnan(accuracy_m) else min(accuracy_m, roam_m) ** 2


@kernel
def begin(
    candidate: Candidate,
    device: int,
    track: Track,
    accuracy_m: NDArray[np.float32],
    k: int,
    cut: bool,
    rules: CentroidRules,
) -> None:
    """Make ping k the first and only ping of the candidate."""
    ints, floats = candidate.ints, candidate.floats
    ints[:] = 0
    floats[:] = 0.0
    ints[DEVICE], ints[LON], ints[LAT] = device, track.lon_e7[k], track.lat_e7[k]
    ints[STARTED] = ints[LAST] = track.at[k]
    ints[N_PINGS], ints[IS_CUT] = 1, cut
    if is_polar(ints[LAT]):
        ints[SUM_U], ints[SUM_V] = polar_offset(0, ints[LAT])
    if accuracy_m.size > 0:
        floats[SUM_ACCURACY] = _admitted_m2(accuracy_m[k], rules.roam_m)
        if rules.is_weighted:
            _weigh(floats, accuracy_m[k], ints[SUM_U], ints[SUM_V])


@kernel
def follow(
    candidate: Candidate, track: Track, accuracy_m: NDArray[np.float32], lo: int, hi: int, rules: CentroidRules
) -> tuple[int, int, int]:
    """Return (next ping, first ping outside since the last inside or -1, why it stopped).

    Reads pings lo..hi-1 of the candidate's device. This is the loop over all pings, so the
    candidate's numbers live in locals here and the mean is never divided out.
    """
    ints, floats = candidate.ints, candidate.floats
    lon0, lat0, started, last = ints[LON], ints[LAT], ints[STARTED], ints[LAST]
    n, max_gap, sum_u, sum_v = ints[N_PINGS], ints[MAX_GAP], ints[SUM_U], ints[SUM_V]
    sum_distance, sum_accuracy = floats[SUM_DISTANCE], floats[SUM_ACCURACY]
    polar = is_polar(lat0)
    scale, unit_m = _plane(lat0)
    roam_square, far_square = (rules.roam_m / unit_m) ** 2, (rules.far_m / unit_m) ** 2
    has_accuracy = accuracy_m.size > 0
    outside, why = -1, ALL_READ
    before, silence = last, 0
    k = lo
    while k < hi:
        at = track.at[k]
        if at - before > rules.gap_us:
            why = SILENCE
            break
        silence = max(silence, at - before)
        before = at
        u = wrapped_e7(np.int64(track.lon_e7[k]) - lon0)
        v = np.int64(track.lat_e7[k]) - lat0
        if polar:
            u, v = polar_offset(u, np.int64(track.lat_e7[k]))
        x, y = float(u * n - sum_u) * scale, float(v * n - sum_v)
        square, n_square = x * x + y * y, float(n) * n
        if square <= roam_square * n_square:
            sum_distance += math.sqrt(square) / n
            n += 1
            sum_u += u
            sum_v += v
            max_gap = max(max_gap, silence)
            last, silence, outside = at, 0, -1
            if has_accuracy:
                accuracy = float(accuracy_m[k])
                sum_accuracy += _admitted_m2(accuracy, rules.roam_m)
                if rules.is_weighted:
                    _weigh(floats, accuracy, u, v)
        else:
            if outside < 0:
                outside = k
            allowed = rules.far_bridge_us
            if square <= far_square * n_square:
                share = int(rules.bridge_share * (last - started))
                allowed = max(rules.bridge_us, min(share, rules.max_bridge_us))
            if at - track.at[outside] > allowed:
                why = LEFT
                break
        k += 1
    ints[LAST], ints[N_PINGS], ints[MAX_GAP], ints[SUM_U], ints[SUM_V] = last, n, max_gap, sum_u, sum_v
    floats[SUM_DISTANCE], floats[SUM_ACCURACY] = sum_distance, sum_accuracy
    return k, outside, why


@kernel
def spread_of_m(candidate: Candidate, noise_share: float) -> float:
    """Return how far the candidate's pings are from the mean of those before them on average, less noise, in metres.

    The mean distance, not the mean square: the last pings of an approach must not spoil a stay. Taken
    off, as squares, is `noise_share` of what the accuracy radii state; a ping that states none counts
    as exact.
    """
    ints, floats = candidate.ints, candidate.floats
    n = float(ints[N_PINGS])
    distance_m = floats[SUM_DISTANCE] / n * _plane(ints[LAT])[1]
    noise_m2 = noise_share * NOISE_PER_ACCURACY * floats[SUM_ACCURACY] / n
    return math.sqrt(max(0.0, distance_m * distance_m - noise_m2))


@kernel
def is_stay(candidate: Candidate, is_cut_after: bool, rules: CentroidRules) -> bool:
    """Return whether the candidate lasted long enough for how loose it is and where it stands."""
    ints = candidate.ints
    lasted = ints[LAST] - ints[STARTED]
    needed = rules.edge_dwell_us if is_cut_after or ints[IS_CUT] else rules.dwell_us
    if lasted < needed:
        return False
    excess_m = spread_of_m(candidate, rules.noise_share) - rules.spread_m
    return excess_m <= 0 or lasted >= needed + rules.dwell_us_per_m * excess_m


@kernel
def centre_of(candidate: Candidate) -> tuple[float, float]:
    """Return (lon, lat) in degrees: the mean, weighted by accuracy where accuracies were given."""
    ints, floats = candidate.ints, candidate.floats
    if floats[WEIGHT] > 0:
        weight = floats[WEIGHT]
        return position(ints[LON], ints[LAT], floats[WEIGHT_U] / weight, floats[WEIGHT_V] / weight)
    n = ints[N_PINGS]
    return position(ints[LON], ints[LAT], ints[SUM_U] / n, ints[SUM_V] / n)
