"""Sequences of places with routines planted in them, or without any order: the truth that routines are judged by."""

from typing import NamedTuple

import numpy as np


class Planted(NamedTuple):
    """A sequence, and the routines planted in it."""

    sequence: list[int]
    routines: list[list[int]]


def place_shares(n_places, exponent):
    """Shares of visits that fall as a power of the place's rank."""
    share = 1.0 / np.arange(1, n_places + 1) ** exponent
    return share / share.sum()


def orderless(rng, n, share, before=-1):
    """Draw n places, one after the other and none after itself; `before` is the one before the first."""
    found = []
    for draw in rng.choice(share.size, 20 * n + 100, p=share):
        if len(found) == n:
            break
        if draw != (found[-1] if found else before):
            found.append(int(draw))
    return found


def planted(rng, n, share, lengths, n_occurrences):
    """A sequence of about n places in which one routine of each length is followed so often, the rest without order.

    Routines are made of the person's own places. Where they stand is drawn; none follows another at once.
    """
    routines = []
    while len(routines) < len(lengths):
        routine = orderless(rng, lengths[len(routines)], share)
        if routine not in routines and len(set(routine)) > 1:
            routines.append(routine)
    order = rng.permutation(np.repeat(np.arange(len(routines)), n_occurrences))
    n_free = max(len(order) + 1, n - n_occurrences * sum(lengths))
    room = 1 + rng.multinomial(n_free - len(order) - 1, np.full(len(order) + 1, 1 / (len(order) + 1)))
    sequence = orderless(rng, room[0], share)
    for which, free in zip(order, room[1:], strict=True):
        routine = routines[which]
        while sequence[-1] == routine[0]:
            sequence[-1] = orderless(rng, 1, share, before=sequence[-2] if len(sequence) > 1 else -1)[0]
        sequence += routine
        sequence += orderless(rng, free, share, before=sequence[-1])
    return Planted(sequence, routines)


def is_found(routine, found):
    """Whether a found pattern is the routine, holds it, or is all of it but one place at an end."""

    def holds(outer, inner):
        return any(outer[k : k + len(inner)] == inner for k in range(len(outer) - len(inner) + 1))

    short = max(2, len(routine) - 1)
    return any(holds(one, routine) or (len(one) >= short and holds(routine, one)) for one in found)
