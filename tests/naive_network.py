"""Slow, obvious twin of the places of a network of stays: the codelength from entropies, moves by trying them."""

import math

from pipeline.kernels.geodesy import haversine_m

MIN_SAVING_BITS = 1e-10


def entropy_bits(parts):
    """Shannon entropy of parts that are brought to sum to one."""
    whole = sum(parts)
    return -sum(p / whole * math.log2(p / whole) for p in parts if p > 0)


def naive_codelength_bits(modules, link):
    """Bits per step of a walk, `modules` being lists of nodes and `link[a][b]` the weight between two nodes."""
    total = sum(map(sum, link))
    visits = [[sum(link[a]) / total for a in module] for module in modules]
    leaves = [sum(link[a][b] for a in m for b in range(len(link)) if b not in m) / total for m in modules]
    bits = sum(leaves) * entropy_bits(leaves) if sum(leaves) > 0 else 0.0
    for visited, left in zip(visits, leaves, strict=True):
        bits += (left + sum(visited)) * entropy_bits([left, *visited])
    return bits


def naive_nodes(lons, lats, node_m):
    """(node of every stay, first stay of every node): the earliest node near enough, or a new one."""
    node_of, first = [], []
    for lon, lat in zip(lons, lats, strict=True):
        near = [k for k, i in enumerate(first) if haversine_m(lons[i], lats[i], lon, lat) <= node_m]
        if not near:
            first.append(len(node_of))
        node_of.append(near[0] if near else len(first) - 1)
    return node_of, first


def naive_network(lons, lats, weights, link_m, node_m):
    """(node of every stay, matrix of link weights of the nodes, their links to themselves included)."""
    node_of, first = naive_nodes(lons, lats, node_m)
    mass = [sum(w for w, k in zip(weights, node_of, strict=True) if k == node) for node in range(len(first))]

    def weight(a, b):
        i, j = first[a], first[b]
        return mass[a] * mass[b] if haversine_m(lons[i], lats[i], lons[j], lats[j]) <= link_m else 0.0

    return node_of, [[weight(a, b) for b in range(len(first))] for a in range(len(first))]


def naive_components(link):
    """Lists of nodes that are connected with each other, each sorted."""
    components = []
    for a in range(len(link)):
        if not any(a in component for component in components):
            reached = [a]
            for b in reached:
                reached += [c for c in range(len(link)) if link[b][c] > 0 and c not in reached]
            components.append(sorted(reached))
    return components


def _renumbered(numbers):
    seen = {}
    return [seen.setdefault(number, len(seen)) for number in numbers]


def _bits(groups, number, link):
    """The codelength where every group of nodes is in the module of its number."""
    modules = {}
    for group, m in zip(groups, number, strict=True):
        modules.setdefault(m, []).extend(group)
    return naive_codelength_bits(list(modules.values()), link)


def _settle(groups, number, link):
    """Move groups of nodes between modules until no move shortens the code; return (numbers, whether any moved)."""
    number, has_moved, is_moving = list(number), False, True
    while is_moving:
        is_moving = False
        for g, group in enumerate(groups):
            linked = {number[h] for h, other in enumerate(groups) if any(link[a][b] > 0 for a in group for b in other)}
            if number.count(number[g]) > 1:
                linked.add(min(set(range(len(groups))) - set(number)))
            now = _bits(groups, number, link)
            change = {m: _bits(groups, [*number[:g], m, *number[g + 1 :]], link) - now for m in linked - {number[g]}}
            least = min(change.values(), default=0.0)
            if least < -MIN_SAVING_BITS:
                number[g] = min(m for m, bits in change.items() if bits <= least + MIN_SAVING_BITS)
                has_moved = is_moving = True
    return number, has_moved


def naive_communities(link):
    """Module of every node of a connected network, numbered by first node."""
    singles = [[a] for a in range(len(link))]
    module, has_moved = list(range(len(link))), True
    while has_moved:
        module, has_moved = _settle(singles, module, link)
        module, is_merging = _renumbered(module), True
        while is_merging:
            groups = [[a for a in range(len(link)) if module[a] == m] for m in range(max(module) + 1)]
            merged, is_merging = _settle(groups, range(len(groups)), link)
            merged = _renumbered(merged)
            module, has_moved = [merged[m] for m in module], has_moved or is_merging
    whole = [0] * len(link)
    is_longer = _bits(singles, whole, link) > _bits(singles, module, link) + MIN_SAVING_BITS
    return module if is_longer else whole


def naive_network_places(lons, lats, weights, link_m, node_m):
    """Place numbers of one device's stays."""
    node_of, link = naive_network(lons, lats, weights, link_m, node_m)
    place = [None] * len(link)
    for nodes in naive_components(link):
        modules = naive_communities([[link[a][b] for b in nodes] for a in nodes])
        for node, module in zip(nodes, modules, strict=True):
            place[node] = (nodes[0], module)
    return _renumbered([place[node] for node in node_of])
