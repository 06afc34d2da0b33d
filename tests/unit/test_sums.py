"""Sums in fixed point: worked examples, and that neither order nor cutting changes a bit of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sums import SCALE, from_fixed, group_sums, to_fixed

WEIGHTS = st.floats(-1e6, 1e6, allow_nan=False)
ROWS = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2), WEIGHTS), max_size=30)


def make_frame(rows):
    group, week, weight = zip(*rows, strict=True) if rows else ((), (), ())
    return pd.DataFrame(
        {
            "group": pd.Series(group, dtype="str"),
            "week": np.array(week, dtype=np.int16),
            "weight": to_fixed(weight),
            "is_seen": np.array(weight, dtype=np.float64) > 0,
        }
    )


def sums(frame):
    return group_sums(frame, ["group", "week"], ["weight", "is_seen"])


def test_worked_example():
    # 0.1 is 107374182.4 steps of 2**-30, so 107374182; ten of them are 4 steps short of one.
    assert to_fixed(0.1) == 107_374_182
    assert to_fixed([1.0, -0.5, 2.0**-31, 1.5 * 2.0**-30]).tolist() == [SCALE, -SCALE // 2, 0, 2]
    ten = group_sums(pd.DataFrame({"g": [7] * 10, "x": to_fixed([0.1] * 10)}), ["g"], ["x"])
    assert ten.to_dict("list") == {"g": [7], "x": [1_073_741_820]}
    assert from_fixed(ten["x"])[0] == pytest.approx(1.0, abs=10 / 2**31)
    # The same sum in floats is 0.9999999999999999, and other orders of other terms differ by more.
    assert from_fixed(to_fixed([0.25, 3.0])).tolist() == [0.25, 3.0]


def test_integers_beyond_the_reach_of_floats_add_up_exactly():
    found = group_sums(pd.DataFrame({"g": [1, 1, 2], "x": [2**53, 1, -5]}), ["g"], ["x"])
    assert found["x"].tolist() == [2**53 + 1, -5]


@given(st.lists(st.floats(-8.5e9, 8.5e9, allow_nan=False), max_size=20))
@settings(deadline=None)
def test_fixed_point_is_within_half_a_step(values):
    fixed = to_fixed(values)
    assert fixed.dtype == np.int64
    assert fixed.tolist() == [round(v * SCALE) for v in values]
    np.testing.assert_allclose(from_fixed(fixed), values, rtol=2**-53, atol=2**-31)


@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 5))
@settings(deadline=None)
def test_neither_order_nor_cutting_changes_a_sum(rows, chance, n_parts):
    whole = sums(make_frame(rows))
    shuffled = rows.copy()
    chance.shuffle(shuffled)
    parts = [sums(make_frame(shuffled[k::n_parts])) for k in range(n_parts)]
    pd.testing.assert_frame_equal(sums(pd.concat(parts, ignore_index=True)), whole)


@given(ROWS)
@settings(deadline=None)
def test_sums_are_those_of_a_loop(rows):
    expected: dict = {}
    for group, week, weight in rows:
        expected[group, week] = expected.get((group, week), 0) + round(weight * SCALE)
    found = sums(make_frame(rows))
    assert {(None if pd.isna(g) else g, w): x for g, w, x, _ in found.itertuples(index=False)} == expected
    keys = [(pd.isna(g), "" if pd.isna(g) else g, w) for g, w, *_ in found.itertuples(index=False)]
    assert keys == sorted(keys)


def test_no_rows_make_no_groups_and_keep_types():
    found = sums(make_frame([]))
    assert len(found) == 0
    assert found.dtypes.astype(str).to_dict() == {
        "group": "str",
        "week": "int16",
        "weight": "int64",
        "is_seen": "int64",
    }


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_and_counted(value):
    with pytest.raises(ValueError, match="1 of 3 values are not finite"):
        to_fixed([0.0, value, 1.0])


@pytest.mark.parametrize("value", [2.0**33, -(2.0**33), 1e300])
def test_what_does_not_fit_is_refused(value):
    with pytest.raises(OverflowError, match=r"1 of 2 values are 8\.6e"):
        to_fixed([0.0, value])
    assert to_fixed(np.nextafter(2.0**33, 0)) == 2**63 - 1024


def test_sums_that_do_not_fit_are_refused():
    large = pd.DataFrame({"g": [1, 1, 2], "x": [2**62, 2**62, 3], "y": [1, 2, 3]})
    with pytest.raises(OverflowError, match="sums of x do not fit"):
        group_sums(large, ["g"], ["x", "y"])


def test_floats_are_refused():
    frame = pd.DataFrame({"g": [1], "x": [0.5]})
    with pytest.raises(TypeError, match="column x is float64"):
        group_sums(frame, ["g"], ["x"])
    with pytest.raises(TypeError, match="fixed point numbers are integers, not float64"):
        from_fixed(frame["x"])
