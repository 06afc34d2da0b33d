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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.pattern_scores import count_of, expected_of, is_at, odds_of, places_of, rarest_of, score_of
from pipeline.kernels.sequence_shuffles import shuffle
from pipeline.kernels.sequitur import numbered, parse, workspace

LEAST_SYMBOLS = 4
"""Two occurrences of two places."""
TIE = 1e-9
"""Scores that differ by less, relatively, are equal: the same product taken in another order."""


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
        odds = odds_of(sequence, has_repeats)
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
    places = places_of(sequence, odds.n_visits)
    score = np.empty(start.size)
    for c in range(start.size):
        log_expected, spread = expected_of(sequence, start[c], length[c], odds)
        score[c] = score_of(count_of(sequence, start[c], length[c], odds.n_visits, places), log_expected, spread)
    return Candidates(start, length, score)


@kernel
def _best_score(sequence, odds, rules, floor):
    """Return the best score of the sequence's rules; any number up to `floor` where it is not above that."""
    _, _, start, length = numbered(parse(sequence, rules), rules)
    places = places_of(sequence, odds.n_visits)
    best = floor
    for c in range(1, start.size):
        log_expected, spread = expected_of(sequence, start[c], length[c], odds)
        # No pattern occurs more often than its rarest place.
        rarest = sequence[rarest_of(sequence, start[c], length[c], odds.n_visits)]
        if score_of(odds.n_visits[rarest], log_expected, spread) > best:
            count = count_of(sequence, start[c], length[c], odds.n_visits, places)
            best = max(best, score_of(count, log_expected, spread))
    return best


@kernel
def _cut(sequence, odds, rules, stream, n_shuffles, n_above, has_repeats, best):
    """Return the (n_above + 1)-th largest of the best scores of shuffled sequences; `best` or more ends the search."""
    state = np.full(1, stream, np.uint64)
    middle = sequence.copy()
    shuffle(middle, state, has_repeats)
    top, shuffled = np.zeros(n_above + 1), np.empty_like(sequence)
    for _ in range(n_shuffles):
        shuffled[:] = middle
        shuffle(shuffled, state, has_repeats)
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
def _select(sequence, odds, found, cut, min_count, is_covered):
    """Mark what routines cover; return the candidates that are routines, the best first, and how often each counts."""
    places = places_of(sequence, odds.n_visits)
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
    rarest = rarest_of(sequence, start, length, n_visits)
    symbol = sequence[rarest]
    free, count = 0, 0
    for k in range(places.first[symbol], places.first[symbol + 1]):
        at = places.at[k] - (rarest - start)
        if at >= free and is_at(sequence, start, length, at) and not _is_any(is_covered, at, length):
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
