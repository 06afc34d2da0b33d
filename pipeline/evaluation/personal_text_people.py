"""Who is one person in dialogues with personas, and which people are kept for the test.

Persona files give no ids, and show one person's lines in several choices and orders. Whoever shares a line, directly or
through others, is therefore taken for one person: nothing about a person of the test is then seen in training.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NOT_WORDS = re.compile(r"\W+")


class People(NamedTuple):
    """People by number, from 0 in the order of their first line in the alphabet."""

    of_line: dict[str, int]
    """Person of each normalised line."""
    names: list[str]
    """First line of each in the alphabet: what the split is drawn from."""

    def of(self, persona: Sequence[str]) -> int:
        """Return the person with these lines."""
        return self.of_line[normalise(persona[0])]


class Split(NamedTuple):
    """Numbers of people, no one twice."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def normalise(line: str) -> str:
    """Return a line in lower case without punctuation: files write the same line differently."""
    return NOT_WORDS.sub(" ", line.lower()).strip()


def find_people(personas: Sequence[Sequence[str]]) -> People:
    """Return who is one person: personas that share a line, directly or through others."""
    parent: dict[str, str] = {}

    def root(line: str) -> str:
        while parent.setdefault(line, line) != line:
            parent[line] = parent[parent[line]]
            line = parent[line]
        return line

    for persona in personas:
        lines = [normalise(line) for line in persona]
        for line in lines:
            # The smaller is the root, so that the order of personas changes nothing.
            first, second = sorted((root(lines[0]), root(line)))
            parent[second] = first
    names = sorted({root(line) for line in parent})
    number = {name: k for k, name in enumerate(names)}
    return People({line: number[root(line)] for line in parent}, names)


def split_people(
    people: People, testable: Sequence[int], test_share: float, validation_share: float, seed: int
) -> Split:
    """Return the split: a share of those that can be tested (who are in the file tested), the rest for training.

    Who is drawn hangs on seed and lines, not on what else is in the files. `validation_share`: of those for training.
    """
    rank = {k: _draw(people.names[k], seed) for k in range(len(people.names))}
    order = sorted(set(testable), key=rank.__getitem__)
    test = order[: max(round(test_share * len(order)), 2)]
    rest = sorted(set(rank) - set(test), key=rank.__getitem__)
    n_validation = max(round(validation_share * len(rest)), 2)
    return Split(*(np.array(sorted(part), np.int64) for part in (rest[n_validation:], rest[:n_validation], test)))


def derange(people: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return for each row one of another person: people in a ring in an order drawn, each given rows of the next.

    ValueError where there are fewer than two people.
    """
    names = np.unique(people)
    if len(names) < 2:
        raise ValueError("embeddings can be exchanged among two or more people")
    from pipeline.models.devices import numpy_generator

    generator = numpy_generator(seed, "exchanged embeddings")
    ring = generator.permutation(names)
    follower = dict(zip(ring.tolist(), np.roll(ring, 1).tolist(), strict=True))
    rows = {name: np.flatnonzero(people == name) for name in names.tolist()}
    return np.array([generator.choice(rows[follower[name]]) for name in people.tolist()], np.int64)


def _draw(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()
