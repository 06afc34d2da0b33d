"""Holm's rule by hand, and beside statsmodels to the last bit."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pipeline.multiple_tests import holm

P_VALUES = st.lists(st.sampled_from([0.0, 0.01, 0.5, 1.0, np.nan]) | st.floats(0, 1), min_size=1, max_size=40)


def test_by_hand():
    """Thrice the least, twice the next, and none below one before it; never above 1."""
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.6])), [1.0, 1.0])


@given(P_VALUES)
def test_the_same_bits_as_statsmodels(values):
    p_value = np.array(values)
    with patch("gc.collect"):  # takes longer than all else here
        expected = multipletests(p_value, method="holm")[1]
    np.testing.assert_array_equal(holm(p_value), expected)
