"""Displacement against its naive twin and a peer's, whatever the buckets, and a worked example."""

import fastmob
import numpy as np
import pandas as pd
from hypothesis import given, settings

from pipeline.stages import displacement as module
from pipeline.stages.displacement import DisplacementParams, _finish, displacement
from tests.collective_rows import buckets_of, together
from tests.day_rows import make_day_visits, naive_visits
from tests.naive_laws import naive_displacement
from tests.property.test_trips import days, rows_of
from tests.stay_rows import empty


def table(visits, n_buckets=1, **params):
    chosen = DisplacementParams(n_replicates=20, **params)
    parts = [displacement(part, 0, chosen) for part in buckets_of(visits, n_buckets)]
    return _finish(together(parts), 0, chosen)


@given(days)
@settings(max_examples=15, deadline=None)
def test_displacement_is_that_of_the_twin_whatever_the_buckets_and_blocks(drawn):
    rows, lags = rows_of(drawn), (1, 3, 24)
    visits = make_day_visits(rows)
    found = table(visits, lags_hours=lags)
    expected = {lag: naive_displacement(naive_visits(rows), lag) for lag in lags}
    assert found["lag_hours"].tolist() == [lag for lag in lags if expected[lag][0]]
    for row in found.itertuples():
        n_devices, n_pairs, km2 = expected[row.lag_hours]
        assert (row.n_devices, row.n_pairs) == (n_devices, n_pairs)
        np.testing.assert_allclose(row.mean_square_km2, km2, rtol=1e-6, atol=1e-5)
    pd.testing.assert_frame_equal(table(visits, 3, lags_hours=lags), found)


@given(days)
@settings(max_examples=10, deadline=None)
def test_from_the_first_position_it_is_that_of_the_peer(drawn):
    visits = make_day_visits(rows_of(drawn))
    seen = visits[["device_id", "started_at", "lon", "lat"]].set_axis(["uid", "datetime", "lng", "lat"], axis=1)
    found = table(visits, method="first", lags_hours=(1, 24))
    for row in found.itertuples():
        theirs = fastmob.mean_square_displacement(seen, hours=row.lag_hours)
        np.testing.assert_allclose(row.mean_square_km2, theirs, rtol=1e-5, atol=1e-5)
        assert row.n_devices == visits["device_id"].nunique()


def test_a_worked_example():
    # From 8:00 to 11:00 at 0, from 12:00 to 14:00 a kilometre or so away: 8 to 12, 9 to 13, and no 10 to 14.
    found = table(make_day_visits([(1, 480, 180, 0, None, 0), (1, 720, 120, 1, None, 0)]), lags_hours=(4,))
    assert found[["lag_hours", "n_devices", "n_pairs"]].to_numpy().tolist() == [[4, 1, 2]]
    np.testing.assert_allclose(found["mean_square_km2"], 1.249, atol=0.001)


def test_blocks_of_devices_change_nothing(monkeypatch):
    visits = make_day_visits([(who, 60 * k, 60, k % 3, None, 0) for who in range(5) for k in range(6)])
    found = table(visits)
    monkeypatch.setattr(module, "BLOCK_DEVICES", 2)
    pd.testing.assert_frame_equal(table(visits), found)
    assert table(empty("visits")).empty
    assert (found["mean_square_low_km2"] <= found["mean_square_high_km2"]).all()
