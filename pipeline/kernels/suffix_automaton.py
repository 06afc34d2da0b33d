"""Suffix automaton of a sequence: where each of its pieces ends for the first time, in time and memory linear in it.

A state stands for pieces of the sequence that end at the same positions. The longest of them is of LENGTH; the shorter
ones, by a symbol each, go down to one more than the LENGTH of the state's LINK, which holds the next shorter one. FIRST
is the position at which they all end for the first time. Which state a piece is of follows from walking its symbols
from the ROOT, the state of the empty piece. Well known as the smallest automaton that knows all suffixes (Blumer et
al., 1985: recalled, unverified); built symbol by symbol from the left.

Sequences of places have many symbols, and nearly all states one that may follow. So a state keeps the first target in
itself and others in a table common to all; the root, which most symbols follow, has a row of its own. All of it lies in
one array, the room, and a state or a slot of the table is told by where it begins there: arrays that are handed from
function to function cost more than what is done with them here.
"""

import numpy as np

from pipeline.kernels._numba import kernel
from pipeline.kernels.place_sequences import GOLDEN

LENGTH, LINK, FIRST, SYMBOL, TARGET, OTHERS, STATE_WIDTH = 0, 1, 2, 3, 4, 5, 8
"""Numbers of a state, and its width: 8 of 4 bytes, so that a state is within a line of the cache."""
OWNER, OTHER_SYMBOL, OTHER_TARGET, NEXT, SLOT_WIDTH = 0, 1, 2, 3, 4
"""Numbers of a slot: whose target, on which symbol, the target, and the owner's next slot."""
ROOT, NOTHING = 0, -1
MOST_SYMBOLS = 2**26
"""Longest sequence whose room, of at most 28 numbers a symbol, is told in 32 bits."""


@kernel
def automaton_room(n):
    """Return room for the automaton of a sequence of up to n symbols, two or more: used anew for each sequence.

    States, of which there are at most 2 n; the root's row; the table, of at most n targets that are neither a state's
    first nor the root's.
    """
    return np.empty(_table(n) + (SLOT_WIDTH << table_bits(n)), np.int32)


@kernel
def _row(n):
    return 2 * STATE_WIDTH * n


@kernel
def _table(n):
    return (2 * STATE_WIDTH + 1) * n


@kernel
def table_bits(n):
    """Return the logarithm of the slots that a sequence of n symbols needs: at most three in four are ever taken."""
    bits = 2
    while 3 << bits < 4 * n:
        bits += 1
    return bits


@kernel
def build_automaton(sequence, room):
    """Fill the room with the automaton of a sequence of symbols numbered from 0, each below its length."""
    n, bits = sequence.size, table_bits(sequence.size)
    room[_row(n) : _table(n) + (SLOT_WIDTH << bits)] = NOTHING
    _set_state(room, ROOT, 0, NOTHING, NOTHING)
    unused, last = ROOT + STATE_WIDTH, ROOT
    for k in range(n):
        symbol, new, at, found = sequence[k], unused, last, NOTHING
        unused += STATE_WIDTH
        _set_state(room, new, k + 1, ROOT, k)
        while at != NOTHING:
            # Most states are done with here: a call costs more.
            if room[at + SYMBOL] == symbol:
                found = room[at + TARGET]
            elif room[at + SYMBOL] == NOTHING and at != ROOT:
                room[at + SYMBOL] = symbol
                room[at + TARGET] = new
            else:
                found = _other_or_add(room, n, bits, at, symbol, new)
            if found != NOTHING:
                break
            at = room[at + LINK]
        if found != NOTHING:
            length = room[at + LENGTH] + 1
            if room[found + LENGTH] != length:
                twin = unused
                unused += STATE_WIDTH
                _split(room, n, bits, found, twin, length)
                _redirect(room, n, bits, at, symbol, found, twin)
                found = twin
            room[new + LINK] = found
        last = new


@kernel
def target_of(room, n, bits, state, symbol):
    """Return the state that a symbol leads to from a state, one that does follow there."""
    if room[state + SYMBOL] == symbol:
        return room[state + TARGET]
    return room[_where(room, n, bits, state, symbol)]


@kernel
def _set_state(room, state, length, link, first):
    room[state + LENGTH] = length
    room[state + LINK] = link
    room[state + FIRST] = first
    room[state + SYMBOL] = NOTHING
    room[state + TARGET] = NOTHING
    room[state + OTHERS] = NOTHING


@kernel
def _slot(room, n, bits, state, symbol):
    """Return the slot of the target of a state on a symbol, or the empty one where it belongs."""
    key = (np.uint64(state) << np.uint64(32)) | np.uint64(symbol)
    at, mask = np.int64((key * GOLDEN) >> np.uint64(64 - bits)), (1 << bits) - 1
    while True:
        slot = _table(n) + at * SLOT_WIDTH
        owner = room[slot + OWNER]
        if owner == NOTHING or (owner == state and room[slot + OTHER_SYMBOL] == symbol):
            return slot
        at = (at + 1) & mask


@kernel
def _where(room, n, bits, state, symbol):
    """Return where the target of a state on a symbol that does follow it is kept."""
    if state == ROOT:
        return _row(n) + symbol
    if room[state + SYMBOL] == symbol:
        return state + TARGET
    return _slot(room, n, bits, state, symbol) + OTHER_TARGET


@kernel
def _other_or_add(room, n, bits, state, symbol, new):
    """Return the target, not kept in the state, of a state on a symbol; where there is none, add `new`: NOTHING."""
    if state == ROOT:
        found = room[_row(n) + symbol]
        if found == NOTHING:
            room[_row(n) + symbol] = new
        return found
    slot = _slot(room, n, bits, state, symbol)
    if room[slot + OWNER] != NOTHING:
        return room[slot + OTHER_TARGET]
    _fill(room, slot, state, symbol, new)
    return NOTHING


@kernel
def _fill(room, slot, state, symbol, target):
    room[slot + OWNER] = state
    room[slot + OTHER_SYMBOL] = symbol
    room[slot + OTHER_TARGET] = target
    room[slot + NEXT] = room[state + OTHERS]
    room[state + OTHERS] = slot


@kernel
def _split(room, n, bits, state, twin, length):
    """Make `twin` the state of those pieces of a state that are of up to `length`: the same symbols follow it."""
    _set_state(room, twin, length, room[state + LINK], room[state + FIRST])
    room[twin + SYMBOL] = room[state + SYMBOL]
    room[twin + TARGET] = room[state + TARGET]
    other = room[state + OTHERS]
    while other != NOTHING:
        symbol = room[other + OTHER_SYMBOL]
        _fill(room, _slot(room, n, bits, twin, symbol), twin, symbol, room[other + OTHER_TARGET])
        other = room[other + NEXT]
    room[state + LINK] = twin


@kernel
def _redirect(room, n, bits, state, symbol, old, new):
    """Make a symbol that leads to `old` from a state, and from those it links to, lead to `new` instead."""
    while state != NOTHING:
        where = _where(room, n, bits, state, symbol)
        if room[where] != old:
            return
        room[where] = new
        state = room[state + LINK]
