"""OxCGRT's index: the worked example of its codebook, and what cannot be known or is none."""

import numpy as np
import pytest

from pipeline.kernels.stringency import HIGHEST, INDICATORS, stringency

NAN = np.nan
EXAMPLE_LEVELS = [2, 0, 2, 2, 0, 1, 1, 3, 2]
EXAMPLE_FLAGS = [1, NAN, 0, 0, NAN, 0, 1, NAN, 0]


def test_the_worked_example_is_43_98():
    (index,) = stringency([EXAMPLE_LEVELS], [EXAMPLE_FLAGS])
    # 66.67 + 0 + 75 + 37.5 + 0 + 16.67 + 50 + 75 + 75, over nine.
    assert index == pytest.approx(43.9815, abs=5e-5)


def test_everything_is_100_and_nothing_is_0():
    levels = np.array([HIGHEST, np.zeros(9)])
    assert stringency(levels, np.ones((2, 9))).tolist() == [100.0, 0.0]


def test_it_is_unknown_where_an_indicator_is():
    levels, flags = np.tile(EXAMPLE_LEVELS, (3, 1)).astype(float), np.tile(EXAMPLE_FLAGS, (3, 1))
    levels[0, 1] = NAN
    flags[1, 0] = NAN
    flags[2, INDICATORS.index("c8")] = 1  # C8 has no flag: not looked at
    assert np.isnan(stringency(levels, flags)).tolist() == [True, True, False]


@pytest.mark.parametrize(("place", "value"), [(0, 4), (0, -1), (0, 1.5), (4, 3)])
def test_levels_that_oxcgrt_does_not_know(place, value):
    levels = np.array([EXAMPLE_LEVELS], dtype=float)
    levels[0, place] = value
    with pytest.raises(ValueError, match="1 of 9 indicators"):
        stringency(levels, [EXAMPLE_FLAGS])
    with pytest.raises(ValueError, match="1 of 9 indicators"):
        stringency([EXAMPLE_LEVELS], [[*EXAMPLE_FLAGS[:-1], 0.5]])


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(n, 9\), not \(1, 8\)"):
        stringency([EXAMPLE_LEVELS[:8]], [EXAMPLE_FLAGS[:8]])
    assert stringency(np.empty((0, 9)), np.empty((0, 9))).shape == (0,)
