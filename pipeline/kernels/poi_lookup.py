"""Places of interest near a position, and how probable each is to be the one visited.

**Search.** Places are sorted into bands of latitude as high as the radius, and by longitude within a
band. Those within the radius of a position lie in three bands, there in one run of longitudes (two across the
antimeridian, the whole band near a pole); `geodesy.haversine_m` decides each. Exact everywhere on the sphere.

**Probability** (ours). Of the k nearest places within the radius, place j is visited with probability
proportional to

    weight_j x exp(-distance_j^2 / 2 scale^2) x exp(-(ln dwell - ln usual_j)^2 / 2 spread^2)

a half-normal in distance (error of the centre and size of the place), and a log-normal likelihood of the
visit's dwell given the dwell usual at the place. The factor 1/dwell of the log-normal is common to all. A place whose
usual dwell is unknown takes the mean dwell factor of the candidates that have one, so that not knowing neither
favours nor hurts it. Probabilities are among the candidates: that the device was at none of them is not weighed.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.geodesy import EARTH_RADIUS_M, haversine_m

NO_POI = -1
SLACK_DEG = 1e-9
"""Widens bands and runs beyond rounding: 0.1 mm, and the haversine decides."""
MIN_RADIUS_M = 0.01
SHORTEST_DWELL_S = 1.0
"""A shorter dwell counts as this, so that its logarithm exists."""


class NearPois(NamedTuple):
    """Row p: the places near position p by rising distance, ties by number, then `NO_POI` and NaN."""

    poi: NDArray[np.int64]
    distance_m: NDArray[np.float64]


class LikelyPois(NamedTuple):
    """Row v: the places visit v may be at by falling probability, ties by number, then `NO_POI` and NaN."""

    poi: NDArray[np.int64]
    distance_m: NDArray[np.float64]
    probability: NDArray[np.float64]


def nearest_pois(
    poi_lon: NDArray[np.float64],
    poi_lat: NDArray[np.float64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    k: int,
    radius_m: float,
) -> NearPois:
    """Return the `k` nearest places at most `radius_m` metres from each position (arrays of positions x k).

    Positions are degrees, places are named by their row. ValueError where `k` is below 1, the radius below a
    centimetre, or a position not finite.
    """
    if k < 1 or not radius_m >= MIN_RADIUS_M:
        raise ValueError(f"k must be at least 1 and radius_m at least {MIN_RADIUS_M}, got {k} and {radius_m}")
    if not all(np.isfinite(values).all() for values in (poi_lon, poi_lat, lon, lat)):
        raise ValueError("positions must be finite")
    height = math.degrees(radius_m / EARTH_RADIUS_M) + SLACK_DEG
    band = np.floor((poi_lat + 90.0) / height).astype(np.int64)
    east = (poi_lon + 180.0) % 360.0
    order = np.lexsort((east, band))
    n_bands = int(band.max(initial=0)) + 1
    start = np.searchsorted(band[order], np.arange(n_bands + 1))
    return NearPois(*_search(poi_lon[order], poi_lat[order], east[order], order, start, height, lon, lat, k, radius_m))


def weigh_pois(
    near: NearPois,
    row: NDArray[np.int64],
    dwell_s: NDArray[np.float64],
    usual_dwell_s: NDArray[np.float64],
    weight: NDArray[np.float64],
    scale_m: float,
    dwell_log_sd: float,
) -> LikelyPois:
    """Return the candidates of every visit with their probabilities (arrays of visits x k).

    Visit v is at position ``row[v]`` of `near` and lasts ``dwell_s[v]``; `usual_dwell_s` and `weight` (above
    zero) are per place, NaN where unknown: an unknown weight is 1. The model is the module's.
    """
    return LikelyPois(*_weigh(near.poi, near.distance_m, row, dwell_s, usual_dwell_s, weight, scale_m, dwell_log_sd))


@kernel
def _search(poi_lon, poi_lat, east, order, start, height, lon, lat, k, radius_m):
    poi = np.full((lon.size, k), NO_POI, np.int64)
    distance_m = np.full((lon.size, k), np.nan)
    for p in range(lon.size):
        reach = _reach_east(lat[p], radius_m)
        middle = (lon[p] + 180.0) % 360.0
        home = math.floor((lat[p] + 90.0) / height)
        n_found = 0
        for b in range(max(home - 1, 0), min(home + 2, start.size - 1)):
            for turn in (-360.0, 0.0, 360.0):
                if reach >= 180.0 and turn != 0.0:
                    continue
                low, high = (0.0, 360.0) if reach >= 180.0 else (middle + turn - reach, middle + turn + reach)
                if high < 0.0 or low > 360.0:
                    continue
                for q in range(_first_from(east, start[b], start[b + 1], low), start[b + 1]):
                    if east[q] > high:
                        break
                    apart_m = haversine_m(lon[p], lat[p], poi_lon[q], poi_lat[q])
                    if apart_m <= radius_m:
                        n_found = _insert(poi[p], distance_m[p], n_found, order[q], apart_m)
    return poi, distance_m


@kernel
def _reach_east(lat, radius_m):
    """Return how many degrees of longitude a circle about a position reaches; 180 where it holds a pole."""
    angle = radius_m / EARTH_RADIUS_M
    if math.radians(abs(lat)) + angle >= math.pi / 2 - 1e-12:
        return 180.0
    return math.degrees(math.asin(math.sin(angle) / math.cos(math.radians(lat)))) * (1 + 1e-9) + SLACK_DEG


@kernel
def _first_from(east, first, last, low):
    """Return the first row of a sorted run whose longitude is at least `low`."""
    while first < last:
        middle = (first + last) // 2
        if east[middle] < low:
            first = middle + 1
        else:
            last = middle
    return first


@kernel
def _insert(poi, distance_m, n_found, new, apart_m):
    """Put a place where its distance belongs if it is among the nearest; return how many are held."""
    k = n_found
    while k > 0 and (apart_m < distance_m[k - 1] or (apart_m == distance_m[k - 1] and new < poi[k - 1])):
        if k < poi.size:
            poi[k], distance_m[k] = poi[k - 1], distance_m[k - 1]
        k -= 1
    if k < poi.size:
        poi[k], distance_m[k] = new, apart_m
    return min(n_found + 1, poi.size)


@kernel
def _weigh(near_poi, near_m, row, dwell_s, usual_dwell_s, weight, scale_m, dwell_log_sd):
    n, k = row.size, near_poi.shape[1]
    poi, distance_m = np.full((n, k), NO_POI, np.int64), np.full((n, k), np.nan)
    probability = np.full((n, k), np.nan)
    log_fit, share = np.empty(k), np.empty(k)
    for v in range(n):
        candidates, apart_m = near_poi[row[v]], near_m[row[v]]
        n_near = 0
        while n_near < k and candidates[n_near] != NO_POI:
            n_near += 1
        _log_fits(
            candidates[:n_near], math.log(max(dwell_s[v], SHORTEST_DWELL_S)), usual_dwell_s, dwell_log_sd, log_fit
        )
        for j in range(n_near):
            prior = weight[candidates[j]]
            share[j] = log_fit[j] + (0.0 if math.isnan(prior) else math.log(prior)) - (apart_m[j] / scale_m) ** 2 / 2
        _normalise(share[:n_near])
        for held in range(n_near):
            _place(poi[v], distance_m[v], probability[v], held, candidates[held], apart_m[held], share[held])
    return poi, distance_m, probability


@kernel
def _log_fits(candidates, log_dwell, usual_dwell_s, dwell_log_sd, log_fit):
    """Fill `log_fit` with the logarithm of each candidate's dwell factor."""
    n_known, best = 0, -math.inf
    for j in range(candidates.size):
        usual = usual_dwell_s[candidates[j]]
        log_fit[j] = math.nan
        if not math.isnan(usual):
            log_fit[j] = -(((log_dwell - math.log(usual)) / dwell_log_sd) ** 2) / 2
            best = max(best, log_fit[j])
            n_known += 1
    total = 0.0
    for j in range(candidates.size):
        if not math.isnan(log_fit[j]):
            total += math.exp(log_fit[j] - best)
    neutral = best + math.log(total / n_known) if n_known else 0.0
    for j in range(candidates.size):
        if math.isnan(log_fit[j]):
            log_fit[j] = neutral


@kernel
def _normalise(share):
    """Turn logarithms into shares of one, in place; the greatest is taken out first, lest all vanish."""
    if share.size:
        share[:] = np.exp(share - share.max())
        share /= share.sum()


@kernel
def _place(poi, distance_m, probability, n_held, new, apart_m, share):
    """Put a candidate among the `n_held` before it, by falling probability and then by number."""
    k = n_held
    while k > 0 and (share > probability[k - 1] or (share == probability[k - 1] and new < poi[k - 1])):
        poi[k], distance_m[k], probability[k] = poi[k - 1], distance_m[k - 1], probability[k - 1]
        k -= 1
    poi[k], distance_m[k], probability[k] = new, apart_m, share
