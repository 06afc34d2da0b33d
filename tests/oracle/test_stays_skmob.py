"""Stays against scikit-mobility 1.3.1 and fastmob, on real pings and in an artificial city.

With criterion "anchor", ``leaves_at_next_ping=True``, centre "median" and no gap rule the stays are the
same, times to the microsecond and centres to 1e-9 degrees, but for these differences of definition, each
undone or counted below:

* Duration: they ask for strictly more than the dwell, we for at least. Ours alone are the stays of exactly
  the dwell.
* The last ping of a device is never in their median, though its time ends the stay. It is in ours.
* A silence longer than the gap drops their candidate, however long it had lasted; ours closes at its last
  ping. Ours alone are the stays followed by such a silence.
* Leaving: their stay ends at the first ping outside, so stays swallow the start of the journey. Ours does
  only if told to; a stay of one ping can then exist in both.
* They sort by time with an unstable sort, so that which of two pings at the same second comes first is
  theirs to choose; the tests keep one ping per device and second.

Not differences, though they look like it: distances are ``>`` outside in both; the first ping of a
candidate is in the median of both, and the ping outside in neither. fastmob 0.3.2 does
all of this as scikit-mobility does.
"""

import math

import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.stays import detect_stays, no_open_stays
from pipeline.reference import run_reference

pytestmark = pytest.mark.oracle

ROAM_M, DWELL_S = 200.0, 600
KEY = ["device_id", "started_at", "finished_at"]


def on_the_grid(pings):
    """One ping per device and second, on the lattice of 1e-7 degrees, sorted."""
    pings = pings.assign(lon=pings["lon"].round(7), lat=pings["lat"].round(7))
    pings = pings.sort_values(["device_id", "tracked_at"], kind="stable")
    return pings.drop_duplicates(["device_id", "tracked_at"], ignore_index=True)


def ours(pings, gap_s=math.inf, roam_m=ROAM_M):
    stays, _ = detect_stays(
        pings["device_id"].to_numpy(),
        pings["tracked_at"].astype("datetime64[us, UTC]").astype("int64").to_numpy(),
        np.round(pings["lon"].to_numpy() * 1e7).astype(np.int32),
        np.round(pings["lat"].to_numpy() * 1e7).astype(np.int32),
        no_open_stays(),
        criterion="anchor",
        centre="median",
        roam_m=roam_m,
        dwell_s=DWELL_S,
        gap_s=gap_s,
        leaves_at_next_ping=True,
        day_end_us=2**62,
        is_last=True,
    )
    frame = pd.DataFrame(stays._asdict())
    for name in ("started_at", "finished_at"):
        frame[name] = frame[name].astype("datetime64[us]").dt.tz_localize("UTC")
    lasts_s = (frame["finished_at"] - frame["started_at"]).dt.total_seconds()
    return frame[lasts_s > DWELL_S].reset_index(drop=True)


def theirs(pings, gap_s=None):
    return run_reference("stay_locations", pings, roam_m=ROAM_M, dwell_s=DWELL_S, gap_s=gap_s)


def is_last_of_device(stays, pings):
    """Whether each stay ends with the last ping of its device."""
    return stays["finished_at"] == stays["device_id"].map(pings.groupby("device_id")["tracked_at"].max())


def assert_same_stays(mine, reference, pings):
    assert len(mine) > 50
    pd.testing.assert_frame_equal(mine[KEY], reference[KEY], check_dtype=False)
    is_last = is_last_of_device(mine, pings)
    apart = (mine[["lon", "lat"]] - reference[["lon", "lat"]]).abs().max(axis=1)
    assert (apart[~is_last] < 1e-9).all()
    # One ping more or less moves a median, but not out of the place.
    assert (apart[is_last] < 0.01).all()


def test_real_people_without_a_gap_rule(reference, geolife_pings):
    pings = on_the_grid(geolife_pings(3))
    assert_same_stays(ours(pings), theirs(pings), pings)


@pytest.mark.parametrize(("lon", "lat"), [(-77.0, 38.9), (25.5, 66.5), (36.8, -1.3)])
def test_an_artificial_city_without_a_gap_rule(reference, city_pings, lon, lat):
    pings = on_the_grid(city_pings(lon, lat))
    assert_same_stays(ours(pings), theirs(pings), pings)


def test_under_a_gap_rule_ours_alone_are_the_stays_that_a_silence_ends(reference, geolife_pings):
    pings = on_the_grid(geolife_pings(3))
    mine = ours(pings, gap_s=1200)
    is_cut = is_last_ping_inside(mine, pings) & ~is_last_of_device(mine, pings)
    assert is_cut.sum() > 50
    ended_at = mine.loc[is_cut, ["device_id", "finished_at"]]
    after = ended_at.merge(pings, left_on=["device_id", "finished_at"], right_on=["device_id", "tracked_at"])
    silence_s = pings.groupby("device_id")["tracked_at"].diff(-1).dt.total_seconds().abs()
    is_silent = pings.loc[silence_s > 1200, ["device_id", "tracked_at"]]
    assert len(after.merge(is_silent)) == is_cut.sum()
    assert_same_stays(mine[~is_cut].reset_index(drop=True), theirs(pings, gap_s=1200), pings)


def is_last_ping_inside(stays, pings):
    """Whether the ping at `finished_at` belongs to the stay, from the number of pings up to it."""
    number = pings.reset_index().set_index(["device_id", "tracked_at"])["index"]
    first = number.loc[list(zip(stays["device_id"], stays["started_at"], strict=True))].to_numpy()
    last = number.loc[list(zip(stays["device_id"], stays["finished_at"], strict=True))].to_numpy()
    return stays["n_pings"] == last - first + 1


def test_fastmob_agrees_in_the_city(city_pings):
    import fastmob

    pings = on_the_grid(city_pings(-77.0, 38.9))
    names = {"device_id": "uid", "tracked_at": "datetime", "lon": "lng"}
    found = fastmob.stay_locations(
        pings.assign(tracked_at=pings["tracked_at"].dt.tz_localize(None)).rename(columns=names),
        minutes_for_a_stop=DWELL_S / 60,
        spatial_radius_km=ROAM_M / 1000,
    )
    found = found.rename(columns={v: k for k, v in names.items()})
    found = found.rename(columns={"tracked_at": "started_at", "leaving_datetime": "finished_at"})
    for name in ("started_at", "finished_at"):
        found[name] = found[name].astype("datetime64[us]").dt.tz_localize("UTC")
    assert_same_stays(ours(pings), found, pings)
