"""Recurrent places as communities of a network of stays (the map equation), in metres on the sphere.

Single linkage (`clustering.cluster_places` with ``min_samples=1``) joins whatever a chain of stays
connects: two shops become one place once somebody stops between them. Here a place is a group of stays
that are mutually close. Stays within ``link_m`` are linked, a walker steps from a stay to one of
those linked with it, and the places are the partition under which its walk is told in the fewest bits.

Source: Infostop (Aslak & Alessandretti 2020, arXiv:2003.14370), its second half: the places of stationary
positions. The communities are those of `map_equation`. Ours differs from Infostop 0.1.9:

* The weight of a link is the product of the weights of its ends, and a stay is linked with itself: the walker goes
  to any stay within ``link_m`` of where it is, itself included, in proportion to weight. Infostop has one node
  per distinct position, no links to itself, and a link weighs the larger of the two counts of stays. With ours,
  stays at one position and one stay of their summed weight are the same network, so that a node can stand for
  many stays; and where all stays are within ``link_m`` of each other, one place is the best there is.
* A node is all stays within ``node_m`` of the first of them (Infostop: equal positions, which may be rounded).
  Nodes are then more than ``node_m`` apart, so about ``(1 + 2 link_m / node_m)^2`` at most lie within ``link_m`` of
  one, and a million stays at one spot cost a million steps.
* Every connected component is a network of its own: what lies out of reach changes nothing. In one network of
  all, what it costs to cut a place in two depends on how the others are cut (the resolution limit of the map
  equation).
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.clustering import MIN_EPS_M
from pipeline.kernels.map_equation import Network, communities
from pipeline.kernels.sphere_cubes import (
    find_slot,
    is_within,
    number_by_first,
    number_cubes,
    points_in_space,
    reach_of,
    rows_by_cube,
)

# In simulated cities whose stays are off by 15 to 30 m (standard deviation along each axis), the places nearest to
# the truth are had with four to three times that; 70 m loses least over all of it.
DEFAULT_LINK_M = 70.0
DEFAULT_NODE_M = 10.0
# What is within reach lies in the same cube or in one that touches it; the slack is for rounding.
CUBE_SLACK = 1 + 1e-6
MAX_TOUCHING = 27
NONE = -1


def network_places(
    device_start: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
    link_m: float = DEFAULT_LINK_M,
    node_m: float = DEFAULT_NODE_M,
) -> NDArray[np.int64]:
    """Return the place number of every stay: 0, 1, 2... within its device.

    Rows are stays grouped by device and in time order; device d owns rows
    ``device_start[d]:device_start[d + 1]``; positions are degrees; ``weight`` is positive, for example
    seconds of dwell, and one each where None. Places are numbered by the first stay that belongs to them. There is no
    noise: a stay with nothing within ``link_m`` metres is a place of its own.

    In the order of time, a stay joins the earliest node whose first stay is within ``node_m`` metres, or else begins
    a node. Nodes are linked where their first stays are at most ``link_m`` apart (`geodesy.haversine_m`). The
    places of a connected component are its `map_equation.communities`, nodes taken in the order of time.

    Work and memory grow with stays, and with nodes times the nodes within ``link_m`` of each. Raises ValueError where
    ``node_m`` is under a centimetre or over ``link_m``, a position is not finite, a weight is not
    finite and positive, or ``device_start`` does not cover the rows.
    """
    weight = np.ones(lon.size) if weight is None else weight
    _check(device_start, lon, lat, weight, link_m, node_m)
    return _network_devices(device_start, lon, lat, weight, float(link_m), float(node_m))


def _check(
    device_start: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    weight: NDArray[np.float64],
    link_m: float,
    node_m: float,
) -> None:
    if not MIN_EPS_M <= node_m <= link_m:
        raise ValueError(f"node_m must be from {MIN_EPS_M} m to link_m, got {node_m} and {link_m}")
    if device_start[0] != 0 or any(column.size != device_start[-1] for column in (lon, lat, weight)):
        raise ValueError("device_start, lon, lat and weight must cover the same rows")
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise ValueError("positions must be finite")
    if not (np.isfinite(weight).all() and (weight > 0).all()):
        raise ValueError("weights must be finite and positive")


@kernel
def _network_devices(device_start, lon, lat, weight, link_m, node_m):
    label = np.empty(lon.size, np.int64)
    for d in range(device_start.size - 1):
        a, b = device_start[d], device_start[d + 1]
        if b > a:
            label[a:b] = _places_of_one(lon[a:b], lat[a:b], weight[a:b], link_m, node_m)
    return label


@kernel
def _places_of_one(lon, lat, weight, link_m, node_m):
    points = points_in_space(lon, lat)
    node_of, first = _find_nodes(points, node_m)
    mass = np.zeros(first.size)
    for i in range(lon.size):
        mass[node_of[i]] += weight[i]
    start, to = _link_nodes(points[first], link_m)
    place = _find_places(start, to, mass)
    return number_by_first(place[node_of], np.arange(lon.size))


# --- Nodes and links -----------------------------------------------------------------------------


@kernel
def _find_nodes(points, node_m):
    """Return (node of every row, first row of every node): the earliest node within node_m, or a new one."""
    reach = reach_of(node_m)
    cube_of, cubes, slots = number_cubes(points, reach[1] * CUBE_SLACK)
    # The nodes that began in a cube, latest first, as a chain.
    head = np.full(cubes.shape[0], NONE, np.int64)
    following = np.empty(points.shape[0], np.int64)
    node_of, first = np.empty(points.shape[0], np.int64), np.empty(points.shape[0], np.int64)
    near = np.empty(MAX_TOUCHING, np.int64)
    n_nodes = 0
    for i in range(points.shape[0]):
        n_near = _touching_cubes(cubes, slots, cube_of[i], near)
        node_of[i] = _earliest_within(points, i, near[:n_near], head, following, first, n_nodes, reach)
        if node_of[i] == n_nodes:
            first[n_nodes] = i
            following[n_nodes], head[cube_of[i]] = head[cube_of[i]], n_nodes
            n_nodes += 1
    return node_of, first[:n_nodes].copy()


@kernel
def _touching_cubes(cubes, slots, c, near):
    """Fill `near` with the occupied cubes that touch cube c, itself included; return how many."""
    n_near = 0
    for dx in range(-1, 2):
        for dy in range(-1, 2):
            for dz in range(-1, 2):
                slot = find_slot(slots, cubes, cubes[c, 0] + dx, cubes[c, 1] + dy, cubes[c, 2] + dz)
                if slots[slot] >= 0:
                    near[n_near] = slots[slot]
                    n_near += 1
    return n_near


@kernel
def _earliest_within(points, i, near, head, following, first, n_nodes, reach):
    """Return the lowest node whose first row is within reach of row i; n_nodes where there is none."""
    best = n_nodes
    for c in near:
        node = head[c]
        while node != NONE:
            if node < best and is_within(points, i, first[node], reach):
                best = node
            node = following[node]
    return best


@kernel
def _link_nodes(points, link_m):
    """Return (start, to): the other nodes within link_m of node u are ``to[start[u]:start[u + 1]]``."""
    n = points.shape[0]
    reach = reach_of(link_m)
    cube_of, cubes, slots = number_cubes(points, reach[1] * CUBE_SLACK)
    nodes, cube_start = rows_by_cube(cube_of, cubes.shape[0])
    start, to = np.zeros(n + 1, np.int64), np.empty(8 * n, np.int64)
    near = np.empty(MAX_TOUCHING, np.int64)
    for u in range(n):
        n_near = _touching_cubes(cubes, slots, cube_of[u], near)
        end = start[u]
        for c in near[:n_near]:
            to = _with_room(to, end, cube_start[c + 1] - cube_start[c])
            for v in nodes[cube_start[c] : cube_start[c + 1]]:
                if v != u and is_within(points, u, v, reach):
                    to[end] = v
                    end += 1
        start[u + 1] = end
    return start, to[: start[n]].copy()


@kernel
def _with_room(to, used, wanted):
    """Return the array, or a longer one with the same first entries, so that `wanted` more fit."""
    if used + wanted <= to.size:
        return to
    longer = np.empty(2 * (used + wanted), np.int64)
    longer[:used] = to[:used]
    return longer


# --- Components ----------------------------------------------------------------------------------


@kernel
def _find_places(start, to, mass):
    """Return for every node the lowest node of its place."""
    nodes, component_start = _components(start, to)
    place = np.empty(mass.size, np.int64)
    lowest, rank = np.empty(mass.size, np.int64), np.empty(mass.size, np.int64)
    for c in range(component_start.size - 1):
        here = np.sort(nodes[component_start[c] : component_start[c + 1]])
        module = np.zeros(here.size, np.int64)
        # Where every node is linked with every other, one module is the best there is.
        if (start[here + 1] - start[here]).sum() < here.size * (here.size - 1):
            module = communities(_cut_out(start, to, mass, here, rank))
        for k in range(here.size - 1, -1, -1):
            lowest[module[k]] = here[k]
        place[here] = lowest[module]
    return place


@kernel
def _components(start, to):
    """Return (nodes grouped by connected component, start of each group)."""
    n = start.size - 1
    nodes, group_start = np.empty(n, np.int64), np.zeros(n + 1, np.int64)
    is_reached = np.zeros(n, np.bool_)
    n_reached = n_groups = 0
    for u in range(n):
        if is_reached[u]:
            continue
        done = n_reached
        nodes[n_reached], is_reached[u] = u, True
        n_reached += 1
        while done < n_reached:
            for v in to[start[nodes[done]] : start[nodes[done] + 1]]:
                if not is_reached[v]:
                    nodes[n_reached], is_reached[v] = v, True
                    n_reached += 1
            done += 1
        n_groups += 1
        group_start[n_groups] = n_reached
    return nodes, group_start[: n_groups + 1]


@kernel
def _cut_out(start, to, mass, here, rank):
    """Return the network of some nodes that are linked with no others; `rank` is scratch space."""
    sub_start = np.zeros(here.size + 1, np.int64)
    for k in range(here.size):
        rank[here[k]] = k
        sub_start[k + 1] = sub_start[k] + start[here[k] + 1] - start[here[k]]
    sub_to, weight = np.empty(sub_start[-1], np.int64), np.empty(sub_start[-1])
    outside = np.zeros(here.size)
    for k in range(here.size):
        for j in range(sub_start[k + 1] - sub_start[k]):
            v = to[start[here[k]] + j]
            e = sub_start[k] + j
            sub_to[e], weight[e] = rank[v], mass[here[k]] * mass[v]
            outside[k] += weight[e]
    strength = outside + mass[here] ** 2
    return Network(sub_start, sub_to, weight, strength, outside, strength.sum())
