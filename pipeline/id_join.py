"""Which ids two tables share, and which stand on one side alone: what is said whenever reference data is joined."""

from collections.abc import Iterable
from typing import NamedTuple

MAX_NAMED = 20
"""Ids that are named of each side; the counts are of all."""


class IdJoin(NamedTuple):
    """How two sets of ids (of areas, of industries) join."""

    n_both: int
    n_only_left: int
    n_only_right: int
    only_left: tuple[str, ...]
    """The first of them in order, at most `MAX_NAMED`."""
    only_right: tuple[str, ...]


def join_ids(left: Iterable[str], right: Iterable[str]) -> IdJoin:
    """Return how many ids are on both sides and on one alone, and which these are.

    Repeated ids count once. The result is that of the sets, whatever the order: exchanging the sides
    exchanges its parts. Only ids that tell of no person are to be given here.
    """
    lefts, rights = set(left), set(right)
    only_left, only_right = sorted(lefts - rights), sorted(rights - lefts)
    return IdJoin(
        len(lefts & rights),
        len(only_left),
        len(only_right),
        tuple(only_left[:MAX_NAMED]),
        tuple(only_right[:MAX_NAMED]),
    )


def describe_join(left: str, right: str, what: str, join: IdJoin) -> str:
    """Return the join of two tables in words, with the ids that did not join."""
    n_left, n_right = join.n_both + join.n_only_left, join.n_both + join.n_only_right
    words = f"{left} and {right}: {join.n_both:,} {what} in both"
    words += _side(left, n_left, join.n_only_left, join.only_left)
    return words + _side(right, n_right, join.n_only_right, join.only_right)


def _side(table: str, n_all: int, n_only: int, names: tuple[str, ...]) -> str:
    if not n_only:
        return f"; all {n_all:,} of {table}"
    more = ", …" if n_only > len(names) else ""
    return f"; {n_only:,} of {n_all:,} in {table} alone ({', '.join(names)}{more})"


def longest_prefixes(ids: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return for each id the longest of the known ones that begins it, "" where none does: an area's region."""
    regions = set(known) - {""}
    return [next((one[:n] for n in range(len(one), 0, -1) if one[:n] in regions), "") for one in ids]
