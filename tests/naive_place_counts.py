"""Slow, obvious twins of the kernels of place counts: plain loops over the definitions."""

from itertools import pairwise


def naive_places(rows):
    """(place, first row, rows) of each place of one group, in order of appearance."""
    return [(place, rows.index(place), rows.count(place)) for place in dict.fromkeys(rows)]


def naive_order(rows):
    """Places of one group by their rows, most first; of equals, the first visited."""
    return [place for place, _, _ in sorted(naive_places(rows), key=lambda found: (-found[2], found[1]))]


def naive_moves(rows):
    """{(origin, destination): moves} of one group, in order of appearance."""
    moves = [pair for pair in pairwise(rows) if pair[0] != pair[1]]
    return {pair: moves.count(pair) for pair in dict.fromkeys(moves)}


def naive_rows_before(names):
    """The row before each at the same place, -1 for none, and the last row of each place in order of appearance."""
    before, last = [], {}
    for row, name in enumerate(names):
        before.append(last.get(name, -1))
        last[name] = row
    return before, list(last.values())
