"""Sequitur against scikit-sequitur 0.4.0; entropy rate against scikit-mobility 1.3.1 and fastmob 0.3.2.

The grammars are the same rule by rule. Entropy rates differ by definition, and by that alone:

- scikit-mobility takes a piece that reaches the end of the sequence to have been met before without looking, so that
  its length is one more than what is left. For pieces which are new only as they end there, the sum of lengths is one
  larger than ours each, and the rate lower: by up to a fifth in a sequence of a few places. Variant "skmob".
- fastmob lets the earlier occurrence overlap the piece itself, and a piece ends with the sequence. Variant "fastmob".
"""

import json
import subprocess

import fastmob
import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.sequence_entropy import entropy_rate
from pipeline.kernels.sequitur import sequitur
from pipeline.reference.environment import location, python_of
from tests.naive_routines import bodies_of
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


def rates(sequences, variant="ours"):
    start = np.cumsum([0, *(len(one) for one in sequences)])
    return entropy_rate(start, np.concatenate(sequences).astype(np.int64), variant)


def test_grammars_are_those_of_scikit_sequitur():
    core = pytest.importorskip("sksequitur.core", reason="scikit-sequitur is not here: pip install -e .[dev]")
    for sequence in [*some_sequences(600, 150, 1), [0] * 50, [0, 1] * 60, []]:
        parser = core.Parser()
        parser.feed(sequence)
        theirs = bodies_of(parser.tree, lambda node: type(node) is core.Rule, lambda node: node.next_symbol)
        found = sequitur(np.array(sequence, np.int64))
        ours = [found.body[a:b].tolist() for a, b in zip(found.body_start[:-1], found.body_start[1:], strict=True)]
        assert ours == theirs


def test_entropy_rate_of_scikit_mobility_is_its_variant(reference):
    sequences = [*some_sequences(120, 60, 2), [0, 1, 2, 3], [0, 1, 0, 1]]
    asked = subprocess.run(
        [str(python_of(location())), "-c", ASK_SKMOB],
        input=json.dumps(sequences),
        capture_output=True,
        text=True,
        check=True,
    )
    theirs, ours = np.array(json.loads(asked.stdout)), rates(sequences)
    np.testing.assert_allclose(rates(sequences, "skmob"), theirs, rtol=1e-12)
    assert 0 < np.count_nonzero(ours > theirs * (1 + 1e-12)) < len(sequences)


def test_entropy_rate_of_fastmob_is_its_variant():
    sequences = [*some_sequences(60, 80, 3), [7], [7] * 50, [1, 2] * 30]
    rows = [
        {"uid": who, "datetime": pd.Timestamp("2024-01-01") + pd.Timedelta(hours=k), "location_id": str(place)}
        for who, one in enumerate(sequences)
        for k, place in enumerate(one)
    ]
    theirs = fastmob.real_entropy(pd.DataFrame(rows)).sort_values("uid")["real_entropy"].to_numpy()
    same = rates(sequences, "fastmob")
    np.testing.assert_allclose(np.nan_to_num(same), theirs, rtol=1e-9)
    apart = np.abs(rates(sequences[:60]) / theirs[:60] - 1)
    assert np.count_nonzero(apart > 1e-12) > 20
    assert apart.max() < 0.25
