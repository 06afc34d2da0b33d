"""Distances, waits, k-radii and ranks of the stages against scikit-mobility, asked about the same visits in one call.

Every definition but one is the same: scikit-mobility says that its maximum_distance is the largest of any two
positions, and computes the largest jump. The k-radius takes its centre from plain means of degrees.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from data_contracts import TABLES
from pipeline.reference import Ask, ask_reference
from pipeline.stage import STAGES
from pipeline.stages import distances, gyration, visit_frequencies  # noqa: F401
from pipeline.study import Study
from tests.measure_rows import run_measure

pytestmark = pytest.mark.oracle

STUDY = Study(name="s", start=date(2024, 1, 1), end=date(2024, 1, 14), zone="UTC", sources=())
NAMES = ("jump_lengths", "maximum_distance", "distance_straight_line", "waiting_times", "number_of_locations",
         "location_frequency", "frequency_rank", "recency_rank", "k_radius_of_gyration")  # fmt: skip


def visits_of(pings):
    """VISITS of rows at places on a grid of a hundredth of a degree, in order of time, dwelling no time."""
    rows = pings.drop_duplicates(["device_id", "tracked_at"]).sort_values(["device_id", "tracked_at"])
    rows = rows.reset_index(drop=True).assign(lon=rows["lon"].round(2).to_numpy(), lat=rows["lat"].round(2).to_numpy())
    place = rows.groupby(["device_id", "lon", "lat"], sort=False).ngroup()
    at = rows["tracked_at"].astype("datetime64[us, UTC]")
    frame = pd.DataFrame({name: np.zeros(len(rows)) for name in TABLES["visits"].names})
    return frame.assign(
        **{name: rows[name] for name in ("device_id", "lon", "lat")},
        started_at=at,
        finished_at=at,
        date=at.dt.tz_localize(None).dt.normalize(),
        hour_of_week=np.int16(0),
        location_id=place.astype("int32"),
        tract_geoid=pd.Series([None] * len(rows), dtype="str"),
    )


@pytest.fixture(scope="module")
def both(reference, city_pings):
    """Ours by table, and theirs by question."""
    visits = visits_of(city_pings(-77.0, 38.9))
    params = {"gyration": {"centre_space": "degrees", "k": 3}}
    ours = {}
    for name in ("distances", "visit_frequencies", "gyration"):
        declared = STAGES[name]
        given = declared.params(windows=("study",), **params.get(name, {}))
        ours[name] = run_measure(declared, visits, STUDY, given)
    asks = {name: Ask(name, {"k": 3.0} if name.startswith("k_") else {}) for name in NAMES}
    return visits, ours, ask_reference(asks, rows=visits.rename(columns={"started_at": "tracked_at"}))


def column(answer, name):
    return answer.sort_values("device_id", kind="stable")[name].to_numpy()


def test_jumps_and_waits(both):
    _, ours, theirs = both
    found = ours["distances"]
    np.testing.assert_allclose(found["distance_m"], column(theirs["distance_straight_line"], "distance_m"), rtol=1e-9)
    jumps = theirs["jump_lengths"].groupby("device_id")["distance_m"]
    waits = theirs["waiting_times"].groupby("device_id")["duration_s"]
    assert found["n_trips"].tolist() == jumps.size().tolist()
    for name in ("mean", "median", "max"):
        np.testing.assert_allclose(found[f"jump_{name}_m"], getattr(jumps, name)(), rtol=1e-9)
    for name in ("mean", "median"):
        np.testing.assert_allclose(found[f"wait_{name}_s"], getattr(waits, name)(), rtol=1e-9)


def test_their_maximum_distance_is_the_longest_jump(both):
    _, ours, theirs = both
    found = ours["distances"]
    longest_m = column(theirs["maximum_distance"], "distance_m")
    np.testing.assert_allclose(found["jump_max_m"], longest_m, rtol=1e-9)
    assert (found["max_distance_m"] > longest_m * (1 + 1e-6)).any()


def test_k_radius(both):
    _, ours, theirs = both
    np.testing.assert_allclose(
        ours["gyration"]["k_gyration_m"], column(theirs["k_radius_of_gyration"], "gyration_m"), rtol=1e-9
    )


def test_frequencies_and_ranks(both):
    visits, ours, theirs = both
    place = ["device_id", "lon", "lat"]
    positions = visits[["device_id", "location_id", "lon", "lat"]].drop_duplicates(["device_id", "location_id"])
    found = ours["visit_frequencies"].merge(positions, on=["device_id", "location_id"])
    for name in ("location_frequency", "frequency_rank", "recency_rank"):
        found = found.merge(theirs[name], on=place, suffixes=("", "_theirs"))
    assert len(found) == len(ours["visit_frequencies"])
    assert (found["recency_rank"] == found["recency_rank_theirs"]).all()
    np.testing.assert_allclose(found["visit_share"], found["visit_share_theirs"], rtol=1e-12)
    # Places visited equally often are in no order of theirs: a rank is of so many visits on both sides.
    at_rank = [found.set_index(["device_id", rank])["n_visits"] for rank in ("frequency_rank", "frequency_rank_theirs")]
    assert at_rank[0].sort_index().tolist() == at_rank[1].sort_index().tolist()
