"""Entropy against scikit-mobility 1.3.1's uncorrelated entropy where it is asked about something else than visits.

scikit-mobility takes every distinct position, to the last digit, for a place, and every row for a visit.
Given the same places and rows, the numbers agree to rounding (`test_peers`). On pings its places are therefore not
locations: rounding positions to 3 digits (100 m) before asking shows by how much the answer hangs on that.
It knows no weights; ours by dwell is a row repeated once a minute to it.
"""

import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.entropy import location_entropy
from pipeline.reference import run_reference

pytestmark = pytest.mark.oracle


def _theirs(pings):
    result = run_reference("uncorrelated_entropy", pings)
    assert result["device_id"].tolist() == sorted(pings["device_id"].unique())
    return result["entropy_bits"].to_numpy()


def _rounded(pings, digits):
    return pings.assign(lon=pings["lon"].round(digits), lat=pings["lat"].round(digits))


def test_positions_are_not_locations(reference, city_pings):
    """Nearly every ping has a position of its own, so that theirs is the logarithm of the number of pings."""
    pings = city_pings(-77.0, 38.9)
    n_pings = pings.groupby("device_id").size().to_numpy()
    np.testing.assert_allclose(_theirs(pings), np.log2(n_pings), rtol=1e-3)
    assert (_theirs(_rounded(pings, 2)) < 0.8 * np.log2(n_pings)).all()


def test_dwell_is_rows_repeated(reference):
    """The method notes' example: a row for every minute spent there."""
    minutes = [700, 400, 60]
    lon, lat = np.repeat([-74.0, -74.0, -73.8], minutes), np.repeat([40.0, 40.1, 40.0], minutes)
    tracked_at = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(lon.size), unit="min")
    pings = pd.DataFrame({"device_id": 1, "tracked_at": tracked_at, "lon": lon, "lat": lat})
    ours = location_entropy(np.array([0, 3]), np.arange(3), np.array(minutes, float))
    np.testing.assert_allclose(ours, _theirs(pings), rtol=1e-12)
    assert ours[0] == pytest.approx(1.190423, abs=5e-7)
