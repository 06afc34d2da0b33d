"""Bounded sums against their naive twin, and how far a data set and the same without one device may differ."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.contribution import drawn_rows
from pipeline.private.aggregate import PrivateQuery, bounded_sums
from pipeline.private.domain import Domain
from tests.naive_private import naive_bounded_counts, naive_clipped, naive_drawn

DOMAIN = Domain(("tract_geoid",), (pd.Index(["a", "b", "c", "d"], dtype="str"),))
# (device, area or None, seconds)
row = st.tuples(st.integers(1, 5), st.sampled_from(["a", "b", "c", "d", None, "elsewhere"]), st.floats(0, 2e5))
rows = st.lists(row, max_size=16).map(lambda found: sorted(found, key=lambda one: one[0]))
counted = st.sampled_from(["rows", "devices", "dwell_s"])


def frame_of(drawn):
    device, area, dwell_s = zip(*drawn, strict=True) if drawn else ((), (), ())
    return pd.DataFrame(
        {
            "device_id": np.array(device, np.int64),
            "tract_geoid": pd.Series(area, dtype="str"),
            "dwell_s": np.array(dwell_s, np.float64),
        }
    )


def sums_of(frame, query, n_buckets=1):
    shards = [frame[frame["device_id"] % n_buckets == bucket] for bucket in range(n_buckets)]
    found = bounded_sums(shards, query, DOMAIN, 7)
    values = np.zeros(DOMAIN.n_cells, np.int64)
    values[found["cell"]] = found["steps"]
    return values


@given(rows, counted, st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_a_device_more_or_less_changes_the_sums_by_no_more_than_is_declared(drawn, counted, max_rows, n_buckets):
    query = PrivateQuery("visits", ("tract_geoid",), 1.0, counted=counted, max_rows=max_rows)
    frame, sensitivity = frame_of(drawn), query.sensitivity()
    whole = sums_of(frame, query, n_buckets)
    assert whole.tolist() == sums_of(frame, query).tolist()
    for device in frame["device_id"].unique():
        change = np.abs(whole - sums_of(frame[frame["device_id"] != device], query, n_buckets))
        assert np.count_nonzero(change) <= sensitivity.n_cells
        assert change.sum() <= sensitivity.total
        assert change.max() <= sensitivity.of_cell


@given(rows, st.booleans(), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_bounded_counts_are_those_of_the_twin(drawn, is_devices, max_rows):
    query = PrivateQuery(
        "visits", ("tract_geoid",), 1.0, counted="devices" if is_devices else "rows", max_rows=max_rows
    )
    inside = [(device, "abcd".index(area)) for device, area, _ in drawn if area and len(area) == 1]
    expected = naive_bounded_counts(inside, max_rows, 7, is_devices)
    assert sums_of(frame_of(drawn), query).tolist() == [expected.get(cell, 0) for cell in range(4)]


@given(st.lists(st.integers(-3, 3), max_size=20), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_drawn_rows_are_those_of_the_twin(device_ids, max_rows):
    found = drawn_rows(np.array(device_ids, np.int64), max_rows, "draw", 3)
    assert found.tolist() == naive_drawn(device_ids, max_rows, "draw", 3)


def test_the_bounds_are_reached_and_so_are_no_larger_than_need_be():
    frame = frame_of([(1, "a", 2e5)] * 9 + [(2, "b", 1.0)])
    for counted, change in (("rows", 3), ("devices", 1), ("dwell_s", 3 * 86_400 * 8)):
        query = PrivateQuery("visits", ("tract_geoid",), 1.0, counted=counted, max_rows=3)
        assert sums_of(frame, query)[0] == change == query.sensitivity().of_cell


def test_what_is_summed_is_clipped_and_rounded_to_an_eighth_of_a_second():
    query = PrivateQuery("visits", ("tract_geoid",), 1.0, counted="dwell_s")
    given_s = [0.0, 0.06, 0.07, 86_399.9, 86_400.0, 1e9]
    assert query.step == 1 / 8
    assert query.sensitivity().total == 50 * 86_400 * 8
    found = [sums_of(frame_of([(1, "a", value)]), query)[0] * query.step for value in given_s]
    assert found == pytest.approx([naive_clipped(value, 0, 86_400) for value in given_s], abs=1 / 16)
