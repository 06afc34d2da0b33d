"""Slow, obvious twin of the stays about their running mean, and of inferred stays: the definition, ping by ping."""

import itertools
import math

from tests.naive import naive_distance_m

RADIUS_M = 6_371_000.0


def _plane_m(ping, first):
    """Metres (x, y) of a ping in the plane through the first one, or through the pole near it."""
    _, lon, lat = ping
    _, lon0, lat0 = first
    if abs(lat0) > 89:
        r = RADIUS_M * math.cos(math.radians(lat))
        return r * math.cos(math.radians(lon - lon0)), r * math.sin(math.radians(lon - lon0))
    dlon = (lon - lon0 + 180) % 360 - 180
    return RADIUS_M * math.radians(dlon) * math.cos(math.radians(lat0)), RADIUS_M * math.radians(lat - lat0)


def _mean(points):
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _allowed_s(apart_m, lasted_s, rules):
    if apart_m > rules["far_m"]:
        return rules["far_bridge_s"]
    return max(rules["bridge_s"], min(rules["bridge_share"] * lasted_s, rules["max_bridge_s"]))


def _run(pings, i, rules):
    """Members of the candidate that begins at ping i, where reading stopped, the first ping outside (or None)."""
    members, points, outside = [i], [_plane_m(pings[i], pings[i])], None
    for j in range(i + 1, len(pings)):
        if pings[j][0] - pings[j - 1][0] > rules["gap_s"]:
            return members, j, outside
        point = _plane_m(pings[j], pings[i])
        apart_m = math.dist(point, _mean(points))
        if apart_m <= rules["roam_m"]:
            members.append(j)
            points.append(point)
            outside = None
            continue
        outside = j if outside is None else outside
        lasted_s = pings[members[-1]][0] - pings[i][0]
        if pings[j][0] - pings[outside][0] > _allowed_s(apart_m, lasted_s, rules):
            return members, j, outside
    return members, len(pings), outside


def naive_spread_m(members, accuracy_m, rules):
    """Mean distance of pings to the mean of those before them, less the mean distance their accuracies state.

    68 % of a normal error with a variance of 1 per axis are within sqrt(-2 ln 0.32); its mean is sqrt(pi / 2).
    """
    points = [_plane_m(p, members[0]) for p in members]
    apart_m = [math.dist(points[k], _mean(points[:k])) for k in range(1, len(points))]
    spread_m = sum(apart_m) / len(points)
    noise_m = [
        0.0 if math.isnan(a) else min(a, rules["roam_m"]) * math.sqrt(math.pi / 2 / (-2 * math.log(0.32)))
        for a in accuracy_m
    ]
    noise_square = sum(m * m for m in noise_m) / len(noise_m)
    return math.sqrt(max(0.0, spread_m**2 - rules["noise_share"] * noise_square))


def naive_centroid_stays(pings, accuracy_m, rules):
    """The members of each stay of one device's pings (s, lon, lat) in time order, with their accuracies (m)."""
    stays, i, cut = [], 0, True
    while i < len(pings):
        members, j, outside = _run(pings, i, rules)
        cut_after = outside is None
        chosen = [pings[k] for k in members]
        needed = rules["edge_dwell_s"] if cut or cut_after else rules["dwell_s"]
        needed += rules["dwell_s_per_m"] * max(
            0.0, naive_spread_m(chosen, [accuracy_m[k] for k in members], rules) - rules["spread_m"]
        )
        if chosen[-1][0] - chosen[0][0] >= needed:
            stays.append(chosen)
        i, cut = (j, True) if cut_after else (outside, False)
    return stays


def naive_silences(pings, gap_s, infer_gap_s, infer_m):
    """Pairs of one device's consecutive pings (s, lon, lat) between which it is taken to have stayed."""
    return [
        (a, b)
        for a, b in itertools.pairwise(pings)
        if gap_s < b[0] - a[0] <= infer_gap_s and naive_distance_m(*a[1:], *b[1:]) <= infer_m
    ]
