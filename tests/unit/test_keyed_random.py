"""Keyed random numbers: what they depend on, what they do not, and that they are spread evenly."""

import numpy as np
import pytest

from pipeline.kernels.keyed_random import keyed_bits, keyed_uniform, mixed

DEVICES = np.array([-5, 0, 7, 2**62, -(2**63)])


def naive_mixed(z):
    """The finaliser of splitmix64 in whole numbers."""
    mask = 2**64 - 1
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def test_the_finaliser_is_that_of_splitmix64():
    # First output of the published generator at state 0: the finaliser of the golden increment.
    golden = 0x9E3779B97F4A7C15
    assert naive_mixed(golden) == 0xE220A8397B1DCDAF
    values = [0, 1, golden, 2**64 - 1]
    assert mixed(np.array(values, np.uint64)).tolist() == [naive_mixed(v) for v in values]


def test_a_number_depends_on_its_key_alone():
    alone = [keyed_bits(DEVICES[k : k + 1], "jobs", 3)[0] for k in range(DEVICES.size)]
    assert keyed_bits(DEVICES, "jobs", 3).tolist() == alone
    assert keyed_bits(DEVICES[::-1], "jobs", 3).tolist() == alone[::-1]
    table = keyed_bits(DEVICES[:, None], "jobs", 3, np.arange(4))
    assert table.shape == (5, 4)
    assert table[:, 0].tolist() == alone
    assert table[2, 3] == keyed_bits(DEVICES[2:3], "jobs", 3, 3)[0]


def test_every_part_of_the_key_matters():
    one = keyed_bits(DEVICES, "jobs", 3)
    for other in (("jobs", 4, 0), ("panel", 3, 0), ("jobs", 3, 1)):
        assert not (keyed_bits(DEVICES, *other) == one).any()
    assert np.unique(one).size == DEVICES.size


def test_uniform_numbers_fill_the_unit_interval():
    values = keyed_uniform(np.arange(100_000), "even", 0)
    assert values.min() >= 0 and values.max() < 1
    counts = np.histogram(values, 20, (0, 1))[0]
    assert ((counts - 5_000) ** 2 / 5_000).sum() < 45  # chi-square, 19 degrees: p above 0.0007
    next_draw = keyed_uniform(np.arange(100_000), "even", 0, 1)
    assert np.corrcoef(values, next_draw)[0, 1] == pytest.approx(0, abs=0.01)
    assert np.corrcoef(values[1:], values[:-1])[0, 1] == pytest.approx(0, abs=0.01)
