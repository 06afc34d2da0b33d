"""Who is alone with a few places, beside scikit-mobility's attacks."""

import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.uniqueness import fewest_with_points, index_points
from pipeline.reference import Ask, ask_reference

pytestmark = pytest.mark.oracle
N_DEVICES = 7
ATTACKS = ("location_attack", "unique_location_attack")


def visits(seed):
    """Thirty visits of seven people to eight places; some are where others are, one has a single place."""
    chance = np.random.default_rng(seed)
    device = np.r_[chance.integers(0, N_DEVICES - 1, 30), N_DEVICES - 1]
    place = np.r_[chance.integers(0, 8, 30) // (1 + device[:30] % 2), 0]
    at = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(np.arange(device.size), unit="h")
    return pd.DataFrame({"device_id": device, "tracked_at": at, "lon": 10 + 0.01 * place, "lat": 50.0}), place


def test_risks_are_those_of_scikit_mobilitys_attacks(reference):
    """One over the devices with the points that fewest have: of places known once each, both attacks are ours."""
    rows, place = visits(1)
    index = index_points(rows["device_id"].to_numpy(), place, N_DEVICES)
    once = rows.drop_duplicates(["device_id", "lon"], ignore_index=True)
    asks = {(name, known): Ask(name, {"n_known": known}) for name in ATTACKS for known in (1, 2, 3)}
    for (name, known), answer in ask_reference(asks, rows=once).items():
        ours = 1 / fewest_with_points(*index, known)
        theirs = answer.sort_values("device_id")["risk"].to_numpy()
        assert len(set(ours)) > 1
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, err_msg=name)
