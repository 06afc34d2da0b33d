"""Sequitur: the grammar of what repeats in one sequence.

The algorithm is Nevill-Manning and Witten's, in the form its authors published as code: symbols are read one after
the other, every pair of neighbours that occurs twice becomes a rule (*digram uniqueness*), and a rule that is left
with one use is written out (*rule utility*). Step for step it is what scikit-sequitur 0.4.0 does, its treatment of
runs of equal symbols included, so the grammars are the same, not only equivalent.

Memory and time are linear in the sequence, the latter but for the hash table of pairs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel

SLOTS_PER_SYMBOL = 6
"""Symbols ever made for each symbol read, at the most: one as it is read, and five (its head, two in its body, two
uses) for each rule made. A rule made leaves the grammar as long as it was and a rule used again or written out makes
it shorter by one, so no more rules are made than symbols are read."""
SPARE_SLOTS = 16
HEAD = -1
"""Value of a rule's head, the symbol that closes the ring of its body. Other values: 2 * symbol, or 2 * head + 1."""
NONE = -1
HASH = np.uint64(0x9E3779B97F4A7C15)
HASH_SHIFT = np.uint64(32)


class Grammar(NamedTuple):
    """Rules of one sequence; rule 0 is the sequence, others are numbered as they are met in reading it from there."""

    body: NDArray[np.int64]
    """Bodies of all rules one after the other: a symbol (0 or more), or ~r for a use of rule r."""
    body_start: NDArray[np.int64]
    """Where each rule's body begins in `body`, and its length last."""
    start: NDArray[np.int64]
    """Where in the sequence each rule is met first."""
    length: NDArray[np.int64]
    """Number of symbols of the sequence that each rule stands for."""


def sequitur(sequence: NDArray[np.int64]) -> Grammar:
    """Return the grammar that Sequitur makes of a sequence of symbols numbered from 0.

    What rule r stands for is ``sequence[start[r]:start[r] + length[r]]``. ValueError for a negative symbol.
    """
    if sequence.size and sequence.min() < 0:
        raise ValueError("symbols are numbered from 0")
    rules = workspace(sequence.size)
    return Grammar(*numbered(parse(np.ascontiguousarray(sequence, np.int64), rules), rules))


AFTER, BEFORE, VALUE, N_USES, PAIR, PAIR_AT = range(6)
"""Columns of the workspace, one array as kernels pass on one array faster than several. A row is a slot for one symbol:
the next symbol's slot, the one's before, its value and, of heads, how many symbols stand for the rule. Slots are never
used again. Beside it, and of no concern to it, is a place of the hash table of pairs: the values of two neighbours in
one number (NONE: free), and the first one's slot."""
STATE, N_SLOTS, MASK = -1, 0, 1
"""The last row holds the number of slots in use, and of places of the table in use less one."""


@kernel
def _table_size(n):
    """Return a power of two: at most half of the hash table is in use."""
    size = 16
    while size < 2 * n + 8:
        size *= 2
    return size


@kernel
def workspace(n):
    """Return room for sequences of up to n symbols."""
    return np.empty((SLOTS_PER_SYMBOL * n + SPARE_SLOTS + 1, 6), np.int64)


@kernel
def parse(sequence, rules):
    """Read the sequence into `rules`, whatever they held before; return the head of the sequence's own rule."""
    size = _table_size(sequence.size)
    rules[STATE, N_SLOTS], rules[STATE, MASK] = 0, size - 1
    rules[:size, PAIR] = NONE
    root = _new_rule(rules)
    for symbol in sequence:
        _insert(rules, rules[root, BEFORE], 2 * symbol)
        _check(rules, rules[rules[root, BEFORE], BEFORE])
    return root


@kernel
def _new_symbol(rules, value):
    slot = rules[STATE, N_SLOTS]
    rules[STATE, N_SLOTS] = slot + 1
    rules[slot, VALUE] = value
    rules[slot, AFTER], rules[slot, BEFORE] = NONE, NONE
    rules[slot, N_USES] = 0
    if value > 0 and value % 2 == 1:
        rules[value // 2, N_USES] += 1
    return slot


@kernel
def _new_rule(rules):
    head = _new_symbol(rules, HEAD)
    rules[head, AFTER], rules[head, BEFORE] = head, head
    return head


@kernel
def _insert(rules, left, value):
    """Put a new symbol behind `left`."""
    slot = _new_symbol(rules, value)
    _join(rules, slot, rules[left, AFTER])
    _join(rules, left, slot)


@kernel
def _pair_of(rules, slot):
    return rules[slot, VALUE] * (2 * rules.shape[0] + 2) + rules[rules[slot, AFTER], VALUE]


@kernel
def _is_pair(rules, slot):
    """Whether a symbol and the one after it are both in a body, so that they are a pair at all."""
    return rules[slot, VALUE] != HEAD and rules[rules[slot, AFTER], VALUE] != HEAD


@kernel
def _is_middle_of_three(rules, slot):
    """Whether a symbol and both beside it are equal: of overlapping pairs only one is in the table."""
    value, before, after = rules[slot, VALUE], rules[slot, BEFORE], rules[slot, AFTER]
    if value == HEAD or before == NONE or after == NONE:
        return False
    return rules[before, VALUE] == value and rules[after, VALUE] == value


@kernel
def _join(rules, left, right):
    """Make `right` follow `left`; the pair that `left` began is forgotten.

    Where a run of three equal symbols is cut, its other pair takes the place of the one forgotten.
    """
    if rules[left, AFTER] != NONE:
        _forget(rules, left)
        if _is_middle_of_three(rules, right):
            _remember(rules, right)
        if _is_middle_of_three(rules, left):
            _remember(rules, rules[left, BEFORE])
    rules[left, AFTER] = right
    rules[right, BEFORE] = left


@kernel
def _find(rules, pair):
    """Return the place of a pair in the hash table, or the free place where it would go."""
    mask = rules[STATE, MASK]
    at = np.int64((np.uint64(pair) * HASH) >> HASH_SHIFT) & mask
    while rules[at, PAIR] != NONE and rules[at, PAIR] != pair:
        at = (at + 1) & mask
    return at


@kernel
def _remember(rules, slot):
    at = _find(rules, _pair_of(rules, slot))
    rules[at, PAIR] = _pair_of(rules, slot)
    rules[at, PAIR_AT] = slot


@kernel
def _forget(rules, slot):
    """Take the pair that begins with this very symbol out of the table, if it is in it."""
    if not _is_pair(rules, slot):
        return
    at = _find(rules, _pair_of(rules, slot))
    if rules[at, PAIR] == NONE or rules[at, PAIR_AT] != slot:
        return
    _free(rules, at)


@kernel
def _free(rules, at):
    """Free a place of the hash table and move up what would no longer be found behind it."""
    mask = rules[STATE, MASK]
    rules[at, PAIR] = NONE
    probe = (at + 1) & mask
    while rules[probe, PAIR] != NONE:
        pair, slot = rules[probe, PAIR], rules[probe, PAIR_AT]
        rules[probe, PAIR] = NONE
        place = _find(rules, pair)
        rules[place, PAIR], rules[place, PAIR_AT] = pair, slot
        probe = (probe + 1) & mask


@kernel
def _check(rules, slot):
    """Look for another occurrence of the pair that begins at `slot`; return whether there is one.

    Two occurrences that do not overlap become two uses of a rule: the one that consists of the pair, or a new one.
    """
    if not _is_pair(rules, slot):
        return False
    at = _find(rules, _pair_of(rules, slot))
    if rules[at, PAIR] == NONE:
        rules[at, PAIR], rules[at, PAIR_AT] = _pair_of(rules, slot), slot
        return False
    match = rules[at, PAIR_AT]
    if rules[match, AFTER] == slot:
        return True
    head = rules[match, BEFORE]
    if rules[head, VALUE] != HEAD or rules[rules[rules[match, AFTER], AFTER], VALUE] != HEAD:
        head = _new_rule(rules)
        _insert(rules, rules[head, BEFORE], rules[slot, VALUE])
        _insert(rules, rules[head, BEFORE], rules[rules[slot, AFTER], VALUE])
        left = _substitute(rules, match, head)
        if not _check(rules, left):
            _check(rules, rules[left, AFTER])
        left = _substitute(rules, slot, head)
        if not _check(rules, left):
            _check(rules, rules[left, AFTER])
        _remember(rules, rules[head, AFTER])
    else:
        left = _substitute(rules, slot, head)
        if not _check(rules, left):
            _check(rules, rules[left, AFTER])
    _write_out_if_used_once(rules, rules[head, AFTER])
    return True


@kernel
def _substitute(rules, slot, head):
    """Put a use of the rule in the place of a pair; return the symbol before it."""
    left = rules[slot, BEFORE]
    _delete(rules, rules[left, AFTER])
    _delete(rules, rules[left, AFTER])
    _insert(rules, left, 2 * head + 1)
    return left


@kernel
def _delete(rules, slot):
    _join(rules, rules[slot, BEFORE], rules[slot, AFTER])
    _forget(rules, slot)
    value = rules[slot, VALUE]
    if value > 0 and value % 2 == 1:
        rules[value // 2, N_USES] -= 1


@kernel
def _write_out_if_used_once(rules, slot):
    """Put a rule's body in the place of `slot`, where that is its last use."""
    value = rules[slot, VALUE]
    if value < 0 or value % 2 == 0 or rules[value // 2, N_USES] != 1:
        return
    head = value // 2
    left, right = rules[slot, BEFORE], rules[slot, AFTER]
    first, last = rules[head, AFTER], rules[head, BEFORE]
    _forget(rules, slot)
    _join(rules, left, first)
    _join(rules, last, right)
    if _is_pair(rules, last):
        _remember(rules, last)


@kernel
def numbered(root, rules):
    """Return the fields of `Grammar`: rules numbered as they are met, going into each where it is met first."""
    n_slots = rules[STATE, N_SLOTS]
    number = np.full(n_slots, NONE, np.int64)
    head = np.empty(n_slots, np.int64)
    start, length = np.zeros(n_slots, np.int64), np.zeros(n_slots, np.int64)
    back = np.empty(n_slots, np.int64)
    number[root], head[0], n_rules = 0, root, 1
    depth, at, position = 0, rules[root, AFTER], 0
    while True:
        value = rules[at, VALUE]
        if value == HEAD:
            length[number[at]] = position - start[number[at]]
            if depth == 0:
                break
            depth -= 1
            at = rules[back[depth], AFTER]
        elif value % 2 == 0:
            position += 1
            at = rules[at, AFTER]
        elif number[value // 2] != NONE:
            position += length[number[value // 2]]
            at = rules[at, AFTER]
        else:
            back[depth] = at
            depth += 1
            number[value // 2], head[n_rules], start[n_rules] = n_rules, value // 2, position
            n_rules += 1
            at = rules[value // 2, AFTER]
    body, body_start = _bodies(rules, head[:n_rules], number)
    return body, body_start, start[:n_rules], length[:n_rules]


@kernel
def _bodies(rules, head, number):
    body, body_start = np.empty(number.size, np.int64), np.zeros(head.size + 1, np.int64)
    n = 0
    for r in range(head.size):
        at = rules[head[r], AFTER]
        while rules[at, VALUE] != HEAD:
            value = rules[at, VALUE]
            body[n] = value // 2 if value % 2 == 0 else ~number[value // 2]
            n += 1
            at = rules[at, AFTER]
        body_start[r + 1] = n
    return body[:n].copy(), body_start
