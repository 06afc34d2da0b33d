"""Sequitur against scikit-sequitur 0.4.0; entropy rate against scikit-mobility 1.3.1 and fastmob 0.3.2.

The grammars are the same rule by rule. Entropy rates differ by definition, and by that alone:

- scikit-mobility takes a piece that reaches the end of the sequence to have been met before without looking, so that
  its length is one more than what is left. For pieces which are new only as they end there, the sum of lengths is one
  larger than ours each, and the rate lower: by up to a fifth in a sequence of a few places.
- fastmob lets the earlier occurrence overlap the piece itself, and a piece ends with the sequence. Both are written out
  here, so that the difference is known to the last digit.
"""

import json
import math
import subprocess

import fastmob
import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.sequence_entropy import entropy_rate
from pipeline.kernels.sequitur import sequitur
from pipeline.reference.environment import location, python_of
from tests.naive_routines import bodies_of, naive_count
from tests.planted_routines import orderless, place_shares, planted

pytestmark = pytest.mark.oracle

ASK_SKMOB = """
import json, sys
from skmob.measures.individual import _true_entropy
print(json.dumps([float(_true_entropy(tuple(one))) for one in json.load(sys.stdin)]))
"""


def some_sequences(n, size, seed):
    """Sequences with and without an order, with and without repeats."""
    rng, found = np.random.default_rng(seed), []
    for k in range(n):
        share, length = place_shares(int(rng.integers(3, 12)), rng.uniform(0, 1.5)), int(rng.integers(3, size))
        if k % 3 == 0:
            found.append(rng.choice(share.size, length, p=share).tolist())
        else:
            found.append(orderless(rng, length, share) if k % 3 == 1 else planted(rng, length, share, [3, 4], 4)[0])
    return found


def rates(sequences):
    start = np.cumsum([0, *(len(one) for one in sequences)])
    return entropy_rate(start, np.concatenate(sequences).astype(np.int64))


def test_grammars_are_those_of_scikit_sequitur():
    core = pytest.importorskip("sksequitur.core", reason="scikit-sequitur is not here: pip install -e .[dev]")
    for sequence in [*some_sequences(600, 150, 1), [0] * 50, [0, 1] * 60, []]:
        parser = core.Parser()
        parser.feed(sequence)
        theirs = bodies_of(parser.tree, lambda node: type(node) is core.Rule, lambda node: node.next_symbol)
        found = sequitur(np.array(sequence, np.int64))
        ours = [found.body[a:b].tolist() for a, b in zip(found.body_start[:-1], found.body_start[1:], strict=True)]
        assert ours == theirs


def test_entropy_rate_of_scikit_mobility_but_for_pieces_new_at_the_end(reference):
    sequences = [*some_sequences(120, 60, 2), [0, 1, 2, 3], [0, 1, 0, 1]]
    asked = subprocess.run(
        [str(python_of(location())), "-c", ASK_SKMOB],
        input=json.dumps(sequences),
        capture_output=True,
        text=True,
        check=True,
    )
    theirs, ours = np.array(json.loads(asked.stdout)), rates(sequences)
    n, n_new = np.array([len(one) for one in sequences]), np.array([new_at_the_end(one) for one in sequences])
    assert 0 < np.count_nonzero(n_new) < len(sequences)
    np.testing.assert_allclose(ours[n_new == 0], theirs[n_new == 0], rtol=1e-12)
    np.testing.assert_allclose(n * np.log2(n) / (n * np.log2(n) / ours + n_new), theirs, rtol=1e-12)
    assert (theirs <= ours * (1 + 1e-12)).all()


def new_at_the_end(sequence):
    """Pieces, the first excepted, of which all but the last symbol of the sequence was met before and all was not."""
    n = len(sequence)
    return sum(
        bool(i == n - 1 or naive_count(sequence[:i], sequence[i : n - 1]))
        and not naive_count(sequence[:i], sequence[i:])
        for i in range(1, n)
    )


def overlapping_rate(sequence):
    """The estimate where earlier occurrences may run on into the piece, and pieces end with the sequence."""
    n, total = len(sequence), 0
    for i in range(n):
        longest = 0
        for j in range(i):
            k = 0
            while i + k < n and sequence[j + k] == sequence[i + k]:
                k += 1
            longest = max(longest, k)
        total += min(longest + 1, n - i)
    return n * math.log2(n) / total


def test_entropy_rate_of_fastmob_is_the_estimate_with_overlaps():
    sequences = some_sequences(60, 80, 3)
    rows = [
        {"uid": who, "datetime": pd.Timestamp("2024-01-01") + pd.Timedelta(hours=k), "location_id": str(place)}
        for who, one in enumerate(sequences)
        for k, place in enumerate(one)
    ]
    theirs = fastmob.real_entropy(pd.DataFrame(rows)).sort_values("uid")["real_entropy"].to_numpy()
    np.testing.assert_allclose(theirs, [overlapping_rate(one) for one in sequences], rtol=1e-9)
    apart = np.abs(rates(sequences) / theirs - 1)
    assert np.count_nonzero(apart > 1e-12) > 20
    assert apart.max() < 0.25
