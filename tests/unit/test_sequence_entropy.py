"""Entropy rate and predictability: sequences worked out by hand."""

import math

import numpy as np
import pytest

from pipeline.kernels.sequence_entropy import entropy_rate, highest_predictability


def rate(text, variant="ours"):
    return entropy_rate(np.array([0, len(text)]), np.array([ord(letter) for letter in text], np.int64), variant)[0]


def test_pieces_not_met_before():
    """abab: a, b are new; "ab" was met and the rest ends there, so 3; "b" was met, so 2. Their sum is 7."""
    assert rate("abab") == pytest.approx(4 * 2 / 7)
    # All new: every piece is of one symbol, and the rate that of four symbols alike.
    assert rate("abcd") == 2.0
    # aaaa: 1; then what comes before is shorter than the rest: 2 ("aa" is not in "a"), 3, 2.
    assert rate("aaaa") == pytest.approx(4 * 2 / (1 + 2 + 3 + 2))


def test_variants_by_hand():
    """Of the same sequences, what the peers count instead.

    abcb: 1, 1, 1, and "b" was met and ends the sequence, so 2; none is new at the end. abcd: "d" is new there, and 2
    by scikit-mobility. aaaa: it counts 1, 2, 3, 2 like us: "aa" at 1 is new before the end. aabaa: "aa" at 3 was met.
    Where pieces may overlap, "aaa" at 1 of aaaa was met at 0, and ends with the sequence: 1, 3, 2, 1.
    """
    assert rate("abcb", "skmob") == rate("abcb") == pytest.approx(4 * 2 / (1 + 1 + 1 + 2))
    assert rate("abcd", "skmob") == pytest.approx(4 * 2 / (1 + 1 + 1 + 2))
    assert rate("aaaa", "skmob") == rate("aaaa")
    assert rate("aaaa", "fastmob") == pytest.approx(4 * 2 / (1 + 3 + 2 + 1))
    assert rate("abcb", "fastmob") == rate("abcd", "fastmob") == 2.0


@pytest.mark.parametrize("symbol", [np.zeros(3000, np.int64), np.arange(3000) % 7, np.arange(3000)])
def test_long_runs_periods_and_all_new(symbol):
    """A run, a period of 7, and all symbols new. What was met at i, the first period excepted, is whole periods of what
    came before, or all the rest: lengths rise to half of the sequence and fall again."""
    n = symbol.size
    p = np.unique(symbol).size
    total = p + sum(min((i // p) * p, n - i) + 1 for i in range(p, n))
    assert entropy_rate(np.array([0, n]), symbol)[0] == pytest.approx(n * math.log2(n) / total, rel=1e-12)


def test_too_short():
    assert math.isnan(rate(""))
    assert math.isnan(rate("a"))
    assert rate("ab") == 1.0


def test_groups_are_apart():
    text = np.array([ord(letter) for letter in "ababcd"])
    assert entropy_rate(np.array([0, 4, 4, 6]), text).tolist()[::2] == [rate("abab"), rate("cd")]
    with pytest.raises(ValueError, match="same rows"):
        entropy_rate(np.array([0, 4]), text)


def test_order_is_told_from_disorder():
    rng = np.random.default_rng(1)
    days = np.tile([0, 1, 2, 3, 0, 4, 5, 6], 50)
    both = np.concatenate([days, rng.permutation(days)])
    ordered, shuffled = entropy_rate(np.array([0, 400, 800]), both)
    assert ordered < 0.3 < 2.2 < shuffled


def test_predictability_by_hand():
    """A coin of 0.9 has 0.468996 bits; with 5 options the 0.1 that is not foretold is worth 0.2 bits more."""
    coin = -0.9 * math.log2(0.9) - 0.1 * math.log2(0.1)
    found = highest_predictability(np.array([coin, coin + 0.1 * 2]), np.array([2, 5]))
    np.testing.assert_allclose(found, 0.9, rtol=1e-12)


def test_ends_of_predictability():
    entropy = np.array([0.0, 3.0, 3.1, 0.5, 0.0, 0.5, np.nan, 1e-300])
    options = np.array([8, 8, 8, 1, 1, 0, 4, 8])
    found = highest_predictability(entropy, options)
    np.testing.assert_allclose(found, [1.0, 0.125, 0.125, 1.0, 1.0, 1.0, np.nan, 1.0])
