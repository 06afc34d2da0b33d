"""OxCGRT's index is what the obvious version says, and rises with every policy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.stringency import HIGHEST, INDICATORS, stringency
from tests.naive_stringency import naive_stringency

LEVELS = st.tuples(*(st.one_of(st.none(), st.integers(0, int(highest))) for highest in HIGHEST))
FLAGS = st.tuples(*(st.sampled_from([None, 0, 1]) for _ in HIGHEST))


def to_row(values):
    return [np.nan if value is None else value for value in values]


@given(st.lists(st.tuples(LEVELS, FLAGS), max_size=20))
def test_it_is_the_naive_one(rows):
    levels = np.array([to_row(level) for level, _ in rows], dtype=float).reshape(-1, 9)
    flags = np.array([to_row(flag) for _, flag in rows], dtype=float).reshape(-1, 9)
    naive = [
        naive_stringency(dict(zip(INDICATORS, level, strict=True)), dict(zip(INDICATORS, flag, strict=True)))
        for level, flag in rows
    ]
    np.testing.assert_allclose(stringency(levels, flags), to_row(naive), rtol=1e-12)


@given(
    st.tuples(*(st.integers(0, int(highest)) for highest in HIGHEST)),
    st.tuples(*(st.sampled_from([0, 1]) for _ in HIGHEST)),
    st.integers(0, 8),
)
def test_a_stricter_policy_is_a_higher_index(levels, flags, which):
    if levels[which] == HIGHEST[which]:
        return
    stricter = [level + (k == which) for k, level in enumerate(levels)]
    (before,), (after,) = stringency([levels], [flags]), stringency([stricter], [flags])
    assert 0 <= before < after <= 100
