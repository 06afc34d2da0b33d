"""Communities of a weighted undirected network: the two-level map equation, searched without chance.

A walker steps from a node to a linked one in proportion to the weight of the link. Its walk is told by naming
nodes; names can be short where they need to be unique only within a module, at the price of naming modules when it
goes from one to another. The partition that tells the walk in the fewest bits is the communities.

Source: Rosvall & Bergstrom 2008 (PNAS 105:1118) for the codelength; for the search, the core loop of
Infomap (Rosvall, Axelsson & Bergstrom 2009): nodes move between modules, then modules move as nodes, then
single nodes again, until nothing gains. Infomap tries nodes in random order and keeps the best of several runs; ours
tries them in their own order, once, with stated rules for ties, so that equal networks give equal answers.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.sphere_cubes import number_by_first, rows_by_cube

# A move must save more than this, and savings closer than this are equal: rounding stays far below.
MIN_SAVING_BITS = 1e-10


class Network(NamedTuple):
    """An undirected network: node u is linked with the others ``to[start[u]:start[u + 1]]``, never itself.

    ``weight`` (of each entry of ``to``) is the same both ways. ``strength`` is the weight of a node's links, the
    one to itself included; ``outside`` without that one; ``total`` the sum of strengths.
    """

    start: NDArray[np.int64]
    to: NDArray[np.int64]
    weight: NDArray[np.float64]
    strength: NDArray[np.float64]
    outside: NDArray[np.float64]
    total: float


class Modules(NamedTuple):
    """What is known of every module: nodes in it, strength, weight of links out of it, its term of the codelength.

    ``all_outside`` is the sum of ``outside``; no module below ``empty_from`` is empty. Both are arrays of one.
    """

    n_nodes: NDArray[np.int64]
    strength: NDArray[np.float64]
    outside: NDArray[np.float64]
    bits: NDArray[np.float64]
    all_outside: NDArray[np.float64]
    empty_from: NDArray[np.int64]


@kernel
def communities(network):
    """Return the module of every node of a connected network: 0, 1, 2... by the first node that belongs to it.

    At first every node is a module of its own. One by one, in order, nodes move to the module, of a neighbour or
    the lowest empty one, that shortens the code most (ties: the lowest number), until no move saves more than
    `MIN_SAVING_BITS`; then modules, renumbered, move likewise as if they were nodes, and again, until none does. All is
    repeated from single nodes in their modules until nothing moves. The network stays whole where that is no longer.
    """
    n = network.strength.size
    module = np.arange(n)
    while True:
        n_moved = _move_nodes(network, module)
        module, n_modules = _renumber(module)
        level, n_moved_above = network, 1
        merged = module
        while n_moved_above > 0:
            level = _merge(level, merged, n_modules)
            merged = np.arange(n_modules)
            n_moved_above = _move_nodes(level, merged)
            merged, n_modules = _renumber(merged)
            module = merged[module]
            n_moved += n_moved_above
        if n_moved == 0:
            break
    whole = np.zeros(n, np.int64)
    is_longer = codelength_bits(network, whole) > codelength_bits(network, module) + MIN_SAVING_BITS
    return module if is_longer else whole


@kernel
def codelength_bits(network, module):
    """Return how many bits a step of the walk takes, given each node's module (a number below the nodes').

    The two-level map equation: the entropy of what is named (modules entered, or nodes visited and the leaving of
    their module), each codebook weighing the share of steps in which it is used.
    """
    modules = _open_modules(network, module)
    bits = _plogp(modules.all_outside[0], network.total) + modules.bits.sum()
    for strength in network.strength:
        bits -= _plogp(strength, network.total)
    return bits


@kernel
def _plogp(part, total):
    return part / total * math.log2(part / total) if part > 0 else 0.0


@kernel
def _module_bits(strength, outside, total):
    return _plogp(strength + outside, total) - 2 * _plogp(outside, total)


@kernel
def _open_modules(network, module):
    n = module.size
    n_nodes, strength, outside, bits = np.zeros(n, np.int64), np.zeros(n), np.zeros(n), np.zeros(n)
    for u in range(n):
        n_nodes[module[u]] += 1
        strength[module[u]] += network.strength[u]
        for e in range(network.start[u], network.start[u + 1]):
            if module[network.to[e]] != module[u]:
                outside[module[u]] += network.weight[e]
    for m in range(n):
        bits[m] = _module_bits(strength[m], outside[m], network.total)
    return Modules(n_nodes, strength, outside, bits, np.full(1, outside.sum()), np.zeros(1, np.int64))


@kernel
def _renumber(module):
    number = number_by_first(module, np.arange(module.size))
    return number, number.max() + 1


@kernel
def _move_nodes(network, module):
    """Move nodes one by one, in `module`, until no move saves enough; return how many moves were made."""
    modules = _open_modules(network, module)
    n = module.size
    shared, near, change = np.zeros(n), np.empty(n, np.int64), np.empty(n)
    n_moves = 0
    while True:
        before = n_moves
        for u in range(n):
            n_near = _near_modules(network, module, u, shared, near)
            if modules.n_nodes[module[u]] > 1:
                near[n_near] = _lowest_empty(modules)
                n_near += 1
            target = _best_module(network, modules, u, module[u], shared, near[:n_near], change)
            if target != module[u]:
                _move(network, modules, u, module[u], target, shared)
                module[u] = target
                n_moves += 1
            for m in near[:n_near]:
                shared[m] = 0.0
        if n_moves == before:
            return n_moves


@kernel
def _near_modules(network, module, u, shared, near):
    """Fill `near` with the modules node u is linked with, `shared` with the weight of those links; return how many."""
    n_near = 0
    for e in range(network.start[u], network.start[u + 1]):
        m = module[network.to[e]]
        if shared[m] == 0.0:
            near[n_near] = m
            n_near += 1
        shared[m] += network.weight[e]
    return n_near


@kernel
def _lowest_empty(modules):
    """Return the lowest module without nodes; there is one wherever a module has two, of as many modules as nodes."""
    while modules.n_nodes[modules.empty_from[0]] > 0:
        modules.empty_from[0] += 1
    return modules.empty_from[0]


@kernel
def _best_module(network, modules, u, here, shared, near, change):
    """Return the module to move node u to: the lowest of those that save most, `here` where none saves enough."""
    least = _fill_changes(network, modules, u, here, shared, near, change)
    if least >= -MIN_SAVING_BITS:
        return here
    best = modules.bits.size
    for k in range(near.size):
        if change[k] <= least + MIN_SAVING_BITS:
            best = min(best, near[k])
    return best


@kernel
def _fill_changes(network, modules, u, here, shared, near, change):
    """Fill `change` with the bits by which the code grows as node u moves to each module `near`; return the least."""
    total, strength, outside = network.total, network.strength[u], network.outside[u]
    rest_outside = modules.outside[here] - outside + 2 * shared[here]
    rest_bits = _module_bits(modules.strength[here] - strength, rest_outside, total)
    left_bits = rest_bits - modules.bits[here] - _plogp(modules.all_outside[0], total)
    all_outside = modules.all_outside[0] + 2 * shared[here]
    least = 0.0
    for k in range(near.size):
        m = near[k]
        joined_outside = modules.outside[m] + outside - 2 * shared[m]
        joined_bits = _module_bits(modules.strength[m] + strength, joined_outside, total) - modules.bits[m]
        change[k] = left_bits + joined_bits + _plogp(all_outside - 2 * shared[m], total)
        if m == here:
            change[k] = 0.0
        least = min(least, change[k])
    return least


@kernel
def _move(network, modules, u, here, there, shared):
    """Bring what is known of two modules up to date with node u moving between them."""
    for m, sign in ((here, -1), (there, 1)):
        modules.n_nodes[m] += sign
        modules.strength[m] += sign * network.strength[u]
        modules.outside[m] += sign * (network.outside[u] - 2 * shared[m])
        if modules.n_nodes[m] == 0:
            modules.strength[m] = modules.outside[m] = 0.0
            modules.empty_from[0] = min(modules.empty_from[0], m)
        modules.bits[m] = _module_bits(modules.strength[m], modules.outside[m], network.total)
    modules.all_outside[0] += 2 * shared[here] - 2 * shared[there]


@kernel
def _merge(network, module, n_modules):
    """Return the network whose nodes are the modules of another."""
    nodes, node_start = rows_by_cube(module, n_modules)
    start = np.zeros(n_modules + 1, np.int64)
    to, weight = np.empty(network.to.size, np.int64), np.empty(network.to.size)
    strength, outside, shared = np.zeros(n_modules), np.zeros(n_modules), np.zeros(n_modules)
    for m in range(n_modules):
        end = start[m]
        for u in nodes[node_start[m] : node_start[m + 1]]:
            strength[m] += network.strength[u]
            end += _near_modules(network, module, u, shared, to[end:])
        start[m + 1] = _settle_links(to, weight, shared, start[m], end, m)
        outside[m] = weight[start[m] : start[m + 1]].sum()
    return Network(start, to[: start[-1]].copy(), weight[: start[-1]].copy(), strength, outside, network.total)


@kernel
def _settle_links(to, weight, shared, a, b, m):
    """Take the weights of entries a to b from `shared`, leave out the module itself; return where the entries end."""
    end = a
    for e in range(a, b):
        v, linked = to[e], shared[to[e]]
        shared[v] = 0.0
        if v != m:
            to[end], weight[end] = v, linked
            end += 1
    return end
