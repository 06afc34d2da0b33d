"""Slow, obvious twins of the kernels of places: areas, places of interest, visits. Plain loops over definitions."""

import itertools
import math
from fractions import Fraction

from tests.naive import naive_great_circle_m

# --- Areas: exact arithmetic on every edge ----------------------------------------------------------


def naive_holds(rings, lon, lat):
    """Whether one area (all its rings, holes and parts alike) holds a position, border included; exact."""
    px, py = Fraction(lon), Fraction(lat)
    is_inside = False
    for ring in rings:
        corners = [(Fraction(x), Fraction(y)) for x, y in ring]
        for (ax, ay), (bx, by) in itertools.pairwise(corners):
            turn = (ax - px) * (by - py) - (ay - py) * (bx - px)
            if turn == 0 and min(ax, bx) <= px <= max(ax, bx) and min(ay, by) <= py <= max(ay, by):
                return True
            # The ray to the east; a vertex level with the position counts as below it.
            if (ay > py) != (by > py) and px < ax + (bx - ax) * (py - ay) / (by - ay):
                is_inside = not is_inside
    return is_inside


def naive_area_at(areas, lon, lat):
    """Number of the first area that holds a position, -1 for none."""
    return next((a for a, rings in enumerate(areas) if naive_holds(rings, lon, lat)), -1)


def naive_border_m(rings, lon, lat):
    """Distance to an area's border in the position's local plane, the shorter way round the Earth."""
    metres = 6_371_000.0 * math.radians(1)
    best = math.inf
    for ring in rings:
        for turn in (-360, 0, 360):
            plane = [((x - lon - turn) * math.cos(math.radians(lat)) * metres, (y - lat) * metres) for x, y in ring]
            for a, b in itertools.pairwise(plane):
                best = min(best, _naive_segment_m(a, b))
    return best


def _naive_segment_m(a, b):
    """Distance from the origin to a segment: to its ends, and to the foot where that lies between them."""
    length = math.dist(a, b)
    ends = min(math.hypot(*a), math.hypot(*b))
    if length == 0:
        return ends
    along = -(a[0] * (b[0] - a[0]) + a[1] * (b[1] - a[1])) / length
    return abs(a[0] * b[1] - a[1] * b[0]) / length if 0 < along < length else ends


# --- Places of interest: compare with every one ------------------------------------------------------


def naive_nearest_pois(poi_lons, poi_lats, lon, lat, k, radius_m):
    """The k nearest within the radius as (poi, metres), ties by number."""
    apart = [(naive_great_circle_m(lon, lat, *at), i) for i, at in enumerate(zip(poi_lons, poi_lats, strict=True))]
    return [(i, metres) for metres, i in sorted(apart) if metres <= radius_m][:k]


def naive_poi_probabilities(candidates, dwell_s, usual_dwell_s, weight, scale_m, dwell_log_sd):
    """Probability of each candidate (poi, metres) of one visit, in the order given."""
    fits = {
        i: math.exp(-(math.log(max(dwell_s, 1) / usual_dwell_s[i]) ** 2) / (2 * dwell_log_sd**2))
        for i, _ in candidates
        if not math.isnan(usual_dwell_s[i])
    }
    neutral = sum(fits.values()) / len(fits) if fits else 1.0
    shares = [
        (1.0 if math.isnan(weight[i]) else weight[i]) * math.exp(-(metres**2) / (2 * scale_m**2)) * fits.get(i, neutral)
        for i, metres in candidates
    ]
    return [share / sum(shares) for share in shares]


# --- Visits: stays one after another -----------------------------------------------------------------


def naive_visits(stays, merge_gap_s):
    """Lists of the stays (dictionaries with device_id, location_id, started_at, finished_at in s) of each visit."""
    visits = []
    for stay in stays:
        last = visits[-1][-1] if visits else None
        is_same = last is not None and all(last[name] == stay[name] for name in ("device_id", "location_id"))
        if is_same and stay["started_at"] - last["finished_at"] <= merge_gap_s:
            visits[-1].append(stay)
        else:
            visits.append([stay])
    return [visit for visit in visits if visit[0]["location_id"] >= 0]
