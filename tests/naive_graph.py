"""Slow, obvious twins of what the place models compute: the graph, its layer, histories, losses. Plain loops."""

import itertools
import math


def naive_links(events, n_persons_per_link, max_places, window_s):
    """Pairs of places by (person, place, time_s, is_weak) events: those that enough persons were at."""
    strong = [(person, place, time_s) for person, place, time_s, is_weak in events if not is_weak]
    last = max((time_s for *_, time_s in strong), default=0)
    latest = {}
    for person, place, time_s in strong:
        if time_s > last - window_s:
            latest[person, place] = max(latest.get((person, place), time_s), time_s)
    persons_of = {}
    for person in {person for person, _ in latest}:
        places = sorted((-time_s, place) for (who, place), time_s in latest.items() if who == person)
        for a, b in itertools.combinations(sorted(place for _, place in places[:max_places]), 2):
            persons_of.setdefault((a, b), set()).add(person)
    return sorted(pair for pair, persons in persons_of.items() if len(persons) >= n_persons_per_link)


def naive_neighbours(links, node_type, node, other_type):
    """Neighbours of a node that are of one type, rising."""
    found = {b for a, b in links if a == node} | {a for a, b in links if b == node}
    return sorted(v for v in found if node_type[v] == other_type)


def naive_layer(vectors, neighbours_of, node_type, own, relation, bias, is_rectified):
    """One layer: sigma(W_c h_c + sum over types of the maximum over neighbours of sigma(W_r h + b)).

    `own[type]`, `relation[source, target]` are weights by rows, `bias[source, target]` numbers; `neighbours_of(node,
    source type)` lists nodes.
    """
    updated = []
    for node, vector in enumerate(vectors):
        target = node_type[node]
        summed = naive_product(own[target], vector)
        for source in sorted(own):
            said = [
                [
                    max(0.0, x + b)
                    for x, b in zip(
                        naive_product(relation[source, target], vectors[v]), bias[source, target], strict=True
                    )
                ]
                for v in neighbours_of(node, source)
            ]
            if said:
                summed = [x + max(column) for x, column in zip(summed, zip(*said, strict=True), strict=True)]
        updated.append([max(0.0, x) for x in summed] if is_rectified else summed)
    return updated


def naive_product(weights, vector):
    return [sum(w * x for w, x in zip(row, vector, strict=True)) for row in weights]


def naive_unit(vector):
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length if length else x for x in vector]


def naive_hinge(anchors, positives, negatives, margin):
    """Mean over all negatives there are (None: there is none) of max(0, z_a z_n - z_a z_p + margin)."""
    losses = [
        max(0.0, dot(a, n) - dot(a, p) + margin)
        for a, p, several in zip(anchors, positives, negatives, strict=True)
        for n in several
        if n is not None
    ]
    return sum(losses) / max(len(losses), 1)


def naive_literal(persons, places, numbers, shares, is_corrected):
    """Mean over pairs of the weighted mean over negatives of o_u o_n - o_u o_a."""
    total = 0.0
    for i, person in enumerate(persons):
        others = [j for j in range(len(places)) if numbers[j] != numbers[i]]
        weights = [1 / shares[j] if is_corrected else 1.0 for j in others]
        gaps = [dot(person, places[j]) - dot(person, places[i]) for j in others]
        if others:
            total += sum(w * g for w, g in zip(weights, gaps, strict=True)) / sum(weights)
    return total / len(persons)


def naive_softmax(persons, places, numbers, shares, is_corrected, temperature):
    """Mean over pairs of -log of the own place's part among it and the others of the batch."""
    total = 0.0
    for i, person in enumerate(persons):
        logits = {
            j: dot(person, places[j]) / temperature - (math.log(shares[j]) if is_corrected else 0.0)
            for j in range(len(places))
            if j == i or numbers[j] != numbers[i]
        }
        total += math.log(sum(math.exp(x) for x in logits.values())) - logits[i]
    return total / len(persons)


def naive_mean_vectors(events, person, until_s, vectors, group, n_groups, window_s, max_places):
    """Per group the mean vector of the distinct places last visited in the window, None where there is none."""
    latest = {}
    for who, place, time_s in events:
        if who == person and until_s - window_s <= time_s < until_s:
            latest[place] = max(latest.get(place, time_s), time_s)
    means = []
    for g in range(n_groups):
        # Of places visited last at one time, the one of the higher number comes first.
        places = sorted(((-time_s, -place) for place, time_s in latest.items() if group[place] == g))[:max_places]
        chosen = [vectors[-place] for _, place in places]
        means.append([sum(column) / len(chosen) for column in zip(*chosen, strict=True)] if chosen else None)
    return means


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def naive_typed_links(links, types, dropped, only):
    """Links that ablations leave: none of a dropped pair of types, or those within one type alone."""
    if only is not None:
        return [(a, b) for a, b in links if types[a] == types[b] == only]
    return [(a, b) for a, b in links if {types[a], types[b]} not in [set(pair) for pair in dropped]]
