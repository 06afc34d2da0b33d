"""Routines: sequences of places that recur more often than they would without an order.

Candidates are the rules of a sequence's grammar (`kernels.sequitur`). A rule exists because it was found to recur, so
its count must not be compared with that of the same rule in shuffled sequences: there it recurs next to never, and
sequences without any order would be full of "significant" rules. What is compared is the best rule of the sequence
with the best rule of each shuffled sequence, found there in the same way:

- A candidate's score is that of its count against the count expected of places in no order: the signed root of the
  Poisson deviance over the root of the variance by mean, so that long rare rules and short common ones are on one
  scale, about that of a standard normal deviate. What is expected follows from how often each place is visited and is
  the same for all sequences compared; that it is an approximation costs power, not the error rate.
- A candidate counts where its score is above the (n_above + 1)-th largest of the best scores of K shuffled sequences.
  Of sequences without order a share (n_above + 1) / (K + 1), and not more, has such a candidate, whatever the score:
  a rank test, exact for any K.

Sequences in which no place follows itself are shuffled within such sequences: places are swapped two by two where no
place comes to follow itself. From the sequence the chain of swaps runs to a middle one, and from there anew to each
of the K. Swaps can be undone with the same probability, so the sequence, if without order, is one like the K whether
or not the chain runs long enough to forget where it began (known as Besag and Clifford's parallel method).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.sequitur import numbered, parse, workspace

LEAST_SYMBOLS = 4
"""Two occurrences of two places."""
SWAPS_PER_SYMBOL = 10
"""Swaps tried between one shuffled sequence and the next for each of its symbols (ours)."""
BALANCE_ROUNDS = 100
"""Rounds in which the expected neighbours of each place are brought to its number of visits (ours)."""
LEAST_SPREAD = 0.05
"""Least variance by mean of a count that a score is taken at, and factor of it: where the order is all but forced, the
approximation ends (ours)."""
TIE = 1e-9
"""Scores that differ by less, relatively, are equal: the same product taken in another order."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
U27, U30, U31, U32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


class Routines(NamedTuple):
    """Routines of all groups, in the order of groups and there the best score first."""

    group: NDArray[np.int64]
    start: NDArray[np.int64]
    """Row at which the routine is met first."""
    length: NDArray[np.int64]
    """Places in it, 2 or more."""
    n_occurrences: NDArray[np.int64]
    """Occurrences that overlap neither each other nor those of a better routine."""
    score: NDArray[np.float64]
    is_covered: NDArray[np.bool_]
    """Of every row: whether it lies in an occurrence that counts."""


def find_routines(
    group_start: NDArray[np.int64],
    symbol: NDArray[np.int64],
    stream: NDArray[np.uint64],
    n_shuffles: int,
    n_above: int,
    has_repeats: bool,
    min_count: int = 2,
) -> Routines:
    """Return the routines of every group's sequence: candidates beyond chance, less those that better ones make up.

    Of the candidates that count, the best score first, each is a routine if at least `min_count` of its occurrences
    overlap no routine taken before: what remains of a longer routine, or comes with it, is none of its own. Group g
    owns ``symbol[group_start[g]:group_start[g + 1]]``, numbered from 0 in order of appearance
    (`kernels.place_sequences`); `stream` is 64 random bits for each group. `has_repeats`: places may follow
    themselves, and shuffled sequences are plain permutations. Equal streams give equal answers.

    ValueError on arrays that disagree, repeats where there should be none, and n_above not below n_shuffles.
    """
    if group_start[0] != 0 or group_start[-1] != symbol.size or stream.size != group_start.size - 1:
        raise ValueError("group_start and symbol must cover the same rows, and each group needs a stream")
    if not 0 <= n_above < n_shuffles or min_count < 1:
        raise ValueError("n_above must be below n_shuffles, and min_count at least 1")
    if not has_repeats and _n_repeats(group_start, symbol):
        raise ValueError("places follow themselves: merge them, or say has_repeats")
    return Routines(*_find_all(group_start, symbol, stream, n_shuffles, n_above, has_repeats, min_count))


@kernel
def _n_repeats(group_start, symbol):
    n = 0
    for g in range(group_start.size - 1):
        for k in range(group_start[g] + 1, group_start[g + 1]):
            n += symbol[k] == symbol[k - 1]
    return n


@kernel
def _find_all(group_start, symbol, stream, n_shuffles, n_above, has_repeats, min_count):
    longest = 0
    for g in range(group_start.size - 1):
        longest = max(longest, group_start[g + 1] - group_start[g])
    rules = workspace(longest)
    is_covered = np.zeros(symbol.size, np.bool_)
    # Every routine covers two symbols or more of its own.
    n, room = 0, symbol.size // 2 + 1
    owner, start, length = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    count, score = np.empty(room, np.int64), np.empty(room)
    for g in range(group_start.size - 1):
        a, b = group_start[g], group_start[g + 1]
        sequence = symbol[a:b].copy()
        if sequence.size < LEAST_SYMBOLS:
            continue
        odds = _odds(sequence, has_repeats)
        found = _candidates(sequence, odds, rules)
        best = found.score.max() if found.score.size else 0.0
        if best == 0:
            continue
        cut = _cut(sequence, odds, rules, stream[g], n_shuffles, n_above, has_repeats, best)
        kept, counts = _select(sequence, odds, found, cut, min_count, is_covered[a:b])
        for k in range(kept.size):
            c = kept[k]
            owner[n], start[n], length[n] = g, a + found.start[c], found.length[c]
            count[n], score[n] = counts[k], found.score[c]
            n += 1
    return owner[:n].copy(), start[:n].copy(), length[:n].copy(), count[:n].copy(), score[:n].copy(), is_covered


class Odds(NamedTuple):
    """How often patterns of places are expected without an order; natural logarithms, by symbol."""

    n_visits: NDArray[np.int64]
    end: NDArray[np.float64]
    """Added for the first and the last symbol of a pattern."""
    inner: NDArray[np.float64]
    """Added for every other symbol."""
    pair: NDArray[np.float64]
    """[0]: added for every pair of neighbours."""


@kernel
def _odds(sequence, has_repeats):
    """Return the odds of the sequence's places.

    A pattern is expected as a chain with the places' shares and the shares of pairs: products of both places' where
    places may follow themselves, else those of a table without its diagonal that has the places' shares as margins.
    """
    n_visits = np.bincount(sequence)
    share = n_visits / sequence.size
    pull, total = share.copy(), 1.0
    if not has_repeats:
        pull, total = _balanced(share)
    end = np.log(pull)
    return Odds(n_visits, end, 2 * end - np.log(share), np.full(1, -math.log(total)))


@kernel
def _balanced(share):
    """Return a factor for each place, and the sum of the products of all ordered pairs of different places.

    The product of two factors over that sum is the expected share of the pair; sums over either place approach
    `share`, which they meet unless one place is every other symbol.
    """
    pull = np.ones(share.size)
    for _ in range(BALANCE_ROUNDS):
        total = pull.sum()
        pull = np.sqrt(pull * share / (total - pull))
    return pull, pull.sum() ** 2 - (pull * pull).sum()


@kernel
def _expected(sequence, start, length, odds):
    """Return the logarithm of how often the pattern that begins at `start` is expected, and variance by mean of that.

    Occurrences that overlap one before are not counted, so that each stands for those that would follow it. There are
    no more occurrences than visits to each place of the pattern, so the variance is less than a Poisson number's.
    """
    log_expected = math.log(sequence.size - length + 1) + (length - 1) * odds.pair[0]
    log_expected += odds.end[sequence[start]] + odds.end[sequence[start + length - 1]]
    for k in range(start + 1, start + length - 1):
        log_expected += odds.inner[sequence[k]]
    expected, spread, again = math.exp(log_expected), 1.0, 0.0
    for k in range(start, start + length):
        spread *= max(LEAST_SPREAD, 1 - expected / odds.n_visits[sequence[k]])
    for shift in range(1, length):
        if _is_at(sequence, start, length - shift, start + shift):
            again += math.exp(_log_going_on(sequence, start + length - 1 - shift, shift, odds))
    return log_expected - math.log1p(again), max(LEAST_SPREAD, spread)


@kernel
def _log_going_on(sequence, at, n, odds):
    """Return the logarithm of the probability of the n places after `at`, given the place there."""
    log_p = n * odds.pair[0]
    for k in range(at, at + n):
        log_p += odds.end[sequence[k + 1]] + odds.inner[sequence[k]] - odds.end[sequence[k]]
    return log_p


@kernel
def _score(count, log_expected, spread):
    """Return the signed root of the deviance of a count from what is expected; 0 where it is no more than that."""
    if count < 1 or math.log(count) <= log_expected:
        return 0.0
    deviance = 2 * (count * (math.log(count) - log_expected) - count + math.exp(log_expected))
    return math.sqrt(max(0.0, deviance) / spread)


class Candidates(NamedTuple):
    """Rules of one sequence."""

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    score: NDArray[np.float64]


@kernel
def _candidates(sequence, odds, rules):
    """Return the rules of the sequence, less the sequence itself, with their scores."""
    _, _, start, length = numbered(parse(sequence, rules), rules)
    start, length = start[1:], length[1:]
    places = _places(sequence, odds.n_visits)
    score = np.empty(start.size)
    for c in range(start.size):
        log_expected, spread = _expected(sequence, start[c], length[c], odds)
        score[c] = _score(_count(sequence, start[c], length[c], odds.n_visits, places), log_expected, spread)
    return Candidates(start, length, score)


@kernel
def _best_score(sequence, odds, rules, floor):
    """Return the best score of the sequence's rules; any number up to `floor` where it is not above that."""
    _, _, start, length = numbered(parse(sequence, rules), rules)
    places = _places(sequence, odds.n_visits)
    best = floor
    for c in range(1, start.size):
        log_expected, spread = _expected(sequence, start[c], length[c], odds)
        # No pattern occurs more often than its rarest place.
        rarest = sequence[_rarest(sequence, start[c], length[c], odds.n_visits)]
        if _score(odds.n_visits[rarest], log_expected, spread) > best:
            count = _count(sequence, start[c], length[c], odds.n_visits, places)
            best = max(best, _score(count, log_expected, spread))
    return best


class Places(NamedTuple):
    """Where in a sequence each symbol is."""

    at: NDArray[np.int64]
    first: NDArray[np.int64]


@kernel
def _places(sequence, n_visits):
    at, first = np.empty(sequence.size, np.int64), np.empty(n_visits.size + 1, np.int64)
    first[0] = 0
    for symbol in range(n_visits.size):
        first[symbol + 1] = first[symbol] + n_visits[symbol]
    # Ends move down to the beginnings, and are what they were again one symbol on.
    for k in range(sequence.size - 1, -1, -1):
        first[sequence[k] + 1] -= 1
        at[first[sequence[k] + 1]] = k
    for symbol in range(n_visits.size):
        first[symbol] = first[symbol + 1]
    first[n_visits.size] = sequence.size
    return Places(at, first)


@kernel
def _rarest(sequence, start, length, n_visits):
    """Return where the rarest symbol of a pattern is first."""
    rarest = start
    for k in range(start + 1, start + length):
        if n_visits[sequence[k]] < n_visits[sequence[rarest]]:
            rarest = k
    return rarest


@kernel
def _is_at(sequence, start, length, at):
    """Whether the pattern that begins at `start` is at `at`, too."""
    if at < 0 or at + length > sequence.size:
        return False
    k = 0
    while k < length and sequence[at + k] == sequence[start + k]:
        k += 1
    return k == length


@kernel
def _count(sequence, start, length, n_visits, places):
    """Return how often the pattern that begins at `start` occurs, counting from the left without overlaps."""
    rarest = _rarest(sequence, start, length, n_visits)
    symbol = sequence[rarest]
    free, count = 0, 0
    for k in range(places.first[symbol], places.first[symbol + 1]):
        at = places.at[k] - (rarest - start)
        if at >= free and _is_at(sequence, start, length, at):
            count += 1
            free = at + length
    return count


@kernel
def _cut(sequence, odds, rules, stream, n_shuffles, n_above, has_repeats, best):
    """Return the (n_above + 1)-th largest of the best scores of shuffled sequences; `best` or more ends the search."""
    state = np.full(1, stream, np.uint64)
    middle = sequence.copy()
    _shuffle(middle, state, has_repeats)
    top, shuffled = np.zeros(n_above + 1), np.empty_like(sequence)
    for _ in range(n_shuffles):
        shuffled[:] = middle
        _shuffle(shuffled, state, has_repeats)
        score = _best_score(shuffled, odds, rules, top[0])
        _replace_least(top, score)
        if top[0] * (1 + TIE) >= best:
            break
    return top[0]


@kernel
def _replace_least(top, score):
    """Put a score among the best ones, ascending, in the place of the least, if it is above that."""
    if score <= top[0]:
        return
    k = 0
    while k + 1 < top.size and top[k + 1] < score:
        top[k] = top[k + 1]
        k += 1
    top[k] = score


@kernel
def _below(state, n):
    """Return a whole number from 0 to n - 1 and advance the stream (splitmix64)."""
    state[0] += GOLDEN
    bits = state[0]
    bits = (bits ^ (bits >> U30)) * MIX_1
    bits = (bits ^ (bits >> U27)) * MIX_2
    return np.int64((((bits ^ (bits >> U31)) >> U32) * np.uint64(n)) >> U32)


@kernel
def _shuffle(sequence, state, has_repeats):
    """Permute the sequence; without `has_repeats` by swaps after which no place follows itself."""
    n = sequence.size
    if has_repeats:
        for k in range(n - 1, 0, -1):
            other = _below(state, k + 1)
            sequence[k], sequence[other] = sequence[other], sequence[k]
        return
    for _ in range(SWAPS_PER_SYMBOL * n):
        i, j = _below(state, n), _below(state, n)
        if sequence[i] != sequence[j]:
            sequence[i], sequence[j] = sequence[j], sequence[i]
            if _follows_itself(sequence, i) or _follows_itself(sequence, j):
                sequence[i], sequence[j] = sequence[j], sequence[i]


@kernel
def _follows_itself(sequence, at):
    """Whether the place at `at` is beside itself."""
    if at > 0 and sequence[at - 1] == sequence[at]:
        return True
    return at + 1 < sequence.size and sequence[at + 1] == sequence[at]


@kernel
def _select(sequence, odds, found, cut, min_count, is_covered):
    """Mark what routines cover; return the candidates that are routines, the best first, and how often each counts."""
    places = _places(sequence, odds.n_visits)
    kept, counts, n = np.empty(found.score.size, np.int64), np.empty(found.score.size, np.int64), 0
    at = np.empty(sequence.size, np.int64)
    for c in np.argsort(-found.score, kind="mergesort"):
        if found.score[c] <= cut * (1 + TIE):
            break
        length = found.length[c]
        count = _uncovered(sequence, found.start[c], length, odds.n_visits, places, is_covered, at)
        if count < min_count:
            continue
        kept[n], counts[n] = c, count
        n += 1
        for k in range(count):
            for row in range(at[k], at[k] + length):
                is_covered[row] = True
    return kept[:n], counts[:n]


@kernel
def _uncovered(sequence, start, length, n_visits, places, is_covered, found):
    """Return how often a pattern occurs without overlapping itself or what is covered; `found` tells where."""
    rarest = _rarest(sequence, start, length, n_visits)
    symbol = sequence[rarest]
    free, count = 0, 0
    for k in range(places.first[symbol], places.first[symbol + 1]):
        at = places.at[k] - (rarest - start)
        if at >= free and _is_at(sequence, start, length, at) and not _is_any(is_covered, at, length):
            found[count] = at
            count += 1
            free = at + length
    return count


@kernel
def _is_any(is_covered, at, length):
    k = at
    while k < at + length and not is_covered[k]:
        k += 1
    return k < at + length
