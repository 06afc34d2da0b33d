"""Entropy rate and predictability against their naive twins and their own invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.sequence_entropy import entropy_rate, highest_predictability
from tests import naive_entropy as naive

VARIANTS = ["ours", "skmob", "fastmob"]


@st.composite
def sequences(draw):
    """Sequences of few and of many symbols, without an order, in long runs, of a period, and of one symbol alone."""
    symbol = np.array(draw(st.lists(st.integers(0, draw(st.integers(0, 12))), max_size=24)), np.int64)
    kind = draw(st.sampled_from(["drawn", "runs", "period"]))
    if kind == "runs":
        symbol = np.repeat(symbol, np.arange(symbol.size) * 7 % 5 + 1)[:40]
    elif kind == "period" and symbol.size:
        symbol = np.resize(symbol[:7], 40)
    return symbol


def rates(parts, variant):
    start = np.cumsum([0, *(part.size for part in parts)])
    return entropy_rate(start, np.concatenate(parts), variant)


@pytest.mark.parametrize("variant", VARIANTS)
@given(st.lists(sequences(), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_entropy_rate_is_that_of_the_naive_twin(variant, parts):
    """Of several sequences at once: each uses the room of those before it anew."""
    theirs = [naive.naive_entropy_rate(part.tolist(), variant) for part in parts]
    np.testing.assert_allclose(rates(parts, variant), theirs, rtol=1e-12)


@given(sequences(), st.permutations(range(13)))
@settings(max_examples=60, deadline=None)
def test_names_of_symbols_do_not_matter(symbol, names):
    renamed = np.array(names)[symbol] * 10**17 - 10**18
    np.testing.assert_array_equal(rates([renamed], "ours"), rates([symbol], "ours"))


@given(sequences())
@settings(max_examples=60, deadline=None)
def test_the_rate_of_scikit_mobility_is_never_above_ours(symbol):
    """scikit-mobility counts some pieces longer and none shorter, so that its rate is never above ours."""
    ours, skmob = rates([symbol], "ours")[0], rates([symbol], "skmob")[0]
    assert symbol.size < 2 or skmob <= ours


@given(st.floats(0, 8), st.integers(0, 200))
@settings(max_examples=100, deadline=None)
def test_predictability_is_that_of_the_naive_twin(entropy_bits, n_options):
    found = highest_predictability(np.array([entropy_bits]), np.array([n_options]))[0]
    assert found == pytest.approx(naive.naive_predictability(entropy_bits, n_options), abs=2e-5)


@given(st.floats(0, 6), st.floats(0, 6), st.integers(2, 100))
@settings(max_examples=100, deadline=None)
def test_more_entropy_is_no_easier_to_foretell(one, other, n_options):
    low, high = sorted((one, other))
    found = highest_predictability(np.array([low, high]), np.full(2, n_options))
    assert 1 / n_options - 1e-15 <= found[1] <= found[0] <= 1
