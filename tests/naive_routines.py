"""Slow, obvious twins of the kernels of routines: plain loops over the definitions."""

import math
from itertools import pairwise


class NaiveSequitur:
    """Sequitur on linked objects, written from the algorithm and not from the kernel: a dict of pairs, no arrays."""

    class Node:
        def __init__(self, value, is_head=False):
            self.value, self.is_head, self.before, self.after, self.n_uses = value, is_head, None, None, 0
            if isinstance(value, NaiveSequitur.Node):
                value.n_uses += 1

        def is_like(self, other):
            return other is not None and not (self.is_head or other.is_head) and self.value == other.value

    def __init__(self, sequence):
        self.pairs = {}
        self.root = self.new_rule()
        for symbol in sequence:
            self.insert(self.root.before, symbol)
            self.check(self.root.before.before)

    def new_rule(self):
        head = self.Node(None, is_head=True)
        head.before = head.after = head
        return head

    def insert(self, left, value):
        node = self.Node(value)
        self.join(node, left.after)
        self.join(left, node)

    def join(self, left, right):
        if left.after is not None:
            self.forget(left)
            for middle, first in ((right, right), (left, left.before)):
                if middle.is_like(middle.before) and middle.is_like(middle.after):
                    self.pairs[first.value, first.after.value] = first
        left.after, right.before = right, left

    def forget(self, node):
        if self.pairs.get((node.value, node.after.value)) is node:
            del self.pairs[node.value, node.after.value]

    def check(self, node):
        if node.is_head or node.after.is_head:
            return False
        match = self.pairs.setdefault((node.value, node.after.value), node)
        if match is node:
            return False
        if match.after is not node:
            self.reduce(node, match)
        return True

    def reduce(self, node, match):
        if match.before.is_head and match.after.after.is_head:
            head = match.before
            self.substitute(node, head)
        else:
            head = self.new_rule()
            self.insert(head.before, node.value)
            self.insert(head.before, node.after.value)
            self.substitute(match, head)
            self.substitute(node, head)
            self.pairs[head.after.value, head.after.after.value] = head.after
        inner = head.after
        if isinstance(inner.value, self.Node) and inner.value.n_uses == 1:
            first, last, right = inner.value.after, inner.value.before, inner.after
            self.forget(inner)
            self.join(inner.before, first)
            self.join(last, right)
            if not (last.is_head or right.is_head):
                self.pairs[last.value, right.value] = last

    def substitute(self, node, head):
        left = node.before
        for _ in range(2):
            gone = left.after
            self.join(left, gone.after)
            self.forget(gone)
            if isinstance(gone.value, self.Node):
                gone.value.n_uses -= 1
        self.insert(left, head)
        if not self.check(left):
            self.check(left.after)

    def bodies(self):
        """Bodies of the rules, numbered as they are met: a symbol, or ~r for rule r."""
        return bodies_of(self.root, lambda node: node.is_head, lambda node: node.after)


def bodies_of(root, is_head, after):
    """Bodies of rules held in rings of linked objects, numbered as they are met going into each at once."""
    number, bodies = {}, []

    def visit(head):
        number[id(head)] = len(bodies)
        body = []
        bodies.append(body)
        node = after(head)
        while not is_head(node):
            value = node.value
            if not isinstance(value, int):
                if id(value) not in number:
                    visit(value)
                value = ~number[id(value)]
            body.append(value)
            node = after(node)

    visit(root)
    return bodies


def naive_expansion(bodies, rule):
    """The symbols that a rule stands for."""
    out = []
    for value in bodies[rule]:
        out += naive_expansion(bodies, ~value) if value < 0 else [value]
    return out


def naive_count(sequence, pattern, is_taken=None):
    """Occurrences of a pattern that do not overlap each other, nor anything taken, from left to right: their starts."""
    found, at, length = [], 0, len(pattern)
    while at + length <= len(sequence):
        is_free = is_taken is None or not any(is_taken[at : at + length])
        if is_free and sequence[at : at + length] == pattern:
            found.append(at)
            at += length
        else:
            at += 1
    return found


def naive_pair_shares(sequence, is_merged):
    """Expected share of each ordered pair of neighbours among all, in sequences of the same places without an order."""
    n = len(sequence)
    share = {place: sequence.count(place) / n for place in set(sequence)}
    if not is_merged:
        return {(a, b): share[a] * share[b] for a in share for b in share}
    pull = dict.fromkeys(share, 1.0)
    for _ in range(100):
        total = sum(pull.values())
        pull = {a: math.sqrt(pull[a] * share[a] / (total - pull[a])) if total > pull[a] else 0.0 for a in share}
    total = sum(pull.values()) ** 2 - sum(x * x for x in pull.values())
    return {(a, b): pull[a] * pull[b] / total if a != b else 0.0 for a in share for b in share}


def naive_expected(sequence, pattern, is_merged):
    """How often a pattern is expected without an order, counting no overlaps, and variance by mean of that."""
    pairs, n = naive_pair_shares(sequence, is_merged), len(sequence)
    share = {place: sequence.count(place) / n for place in set(sequence)}

    def chance(places):
        """The product of the chances that each place follows the one before."""
        return math.prod(pairs[a, b] / share[a] for a, b in pairwise(places))

    length = len(pattern)
    expected = (n - length + 1) * share[pattern[0]] * chance(pattern)
    spread = math.prod(max(0.05, 1 - expected / sequence.count(place)) for place in pattern)
    periods = [d for d in range(1, length) if pattern[d:] == pattern[:-d]]
    again = sum(chance(pattern[length - 1 - d :]) for d in periods)
    return expected / (1 + again), max(0.05, spread)


def naive_score(sequence, pattern, is_merged):
    """Signed root of the deviance of the pattern's count; 0 where it is no more than expected."""
    expected, spread = naive_expected(sequence, pattern, is_merged)
    count = len(naive_count(sequence, pattern))
    if count <= expected:
        return 0.0
    return math.sqrt(2 * (count * math.log(count / expected) - count + expected) / spread)


def naive_candidates(sequence, is_merged):
    """Score of every rule by the places it stands for, the best first; equal ones in order of their first place."""
    bodies = NaiveSequitur(sequence).bodies()
    patterns = [naive_expansion(bodies, rule) for rule in range(1, len(bodies))]
    return [(naive_score(sequence, pattern, is_merged), pattern) for pattern in patterns]


def naive_routines(sequence, candidates, cut, min_count):
    """Patterns that score above the cut and have `min_count` occurrences beside better ones; and what they cover."""
    is_taken, chosen = [False] * len(sequence), []
    for score, pattern in sorted(candidates, key=lambda pair: -pair[0]):
        starts = naive_count(sequence, pattern, is_taken)
        if score <= cut or len(starts) < min_count:
            continue
        chosen.append(pattern)
        for start in starts:
            is_taken[start : start + len(pattern)] = [True] * len(pattern)
    return chosen, is_taken
