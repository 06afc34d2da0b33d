"""Locations and visits of random days: against the twin, and what must add up whatever the stays."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.naive_places import naive_visits
from tests.stay_rows import make_stays, places_and_visits

GAP_S = st.sampled_from([0, 60, 600, 90_000])


@st.composite
def days(draw, inferred=True):
    """Stays of one to three devices at a few places 500 m apart, minutes to hours apart."""
    frames = []
    for device_id in range(draw(st.integers(1, 3))):
        minute, rows = 0, []
        for _ in range(draw(st.integers(1, 12))):
            minute += draw(st.sampled_from([0, 1, 5, 10, 11, 300]))
            finish = minute + draw(st.sampled_from([5, 30, 400]))
            rows.append((minute, finish, 500.0 * draw(st.integers(0, 2)), inferred and draw(st.booleans())))
            minute = finish
        frames.append(make_stays(rows, device_id))
    return pd.concat(frames, ignore_index=True)


@given(days(), GAP_S, st.sampled_from(["anywhere", "known", "none"]))
@settings(max_examples=150, deadline=None)
def test_visits_equal_the_twin(stays, merge_gap_s, choice):
    params = {"merge_gap_s": merge_gap_s, "inferred_stays": choice}
    places, found = places_and_visits(stays, location_params=params)
    rows = stays.assign(
        location_id=np.round((stays["lat"] - stays["lat"].min()) * 1e4),
        started_at=stays["started_at"].astype("int64") / 1e6,
        finished_at=stays["finished_at"].astype("int64") / 1e6,
    )
    if choice == "none":
        rows = rows[~rows["is_inferred"]]
    if choice == "known":
        rows = rows[(~rows["is_inferred"]).groupby([rows["device_id"], rows["location_id"]]).transform("any")]
    expected = naive_visits(rows.to_dict("records"), merge_gap_s)
    assert found["n_stays"].tolist() == [len(visit) for visit in expected]
    assert (found["started_at"].astype("int64") / 1e6).tolist() == [visit[0]["started_at"] for visit in expected]
    assert (found["finished_at"].astype("int64") / 1e6).tolist() == [visit[-1]["finished_at"] for visit in expected]
    assert found["is_inferred"].tolist() == [all(s["is_inferred"] for s in visit) for visit in expected]
    inferred_s = [sum(s["finished_at"] - s["started_at"] for s in visit if s["is_inferred"]) for visit in expected]
    assert found["inferred_s"].tolist() == inferred_s
    assert places["n_visits"].sum() == len(expected)


@given(days(), GAP_S)
@settings(max_examples=100, deadline=None)
def test_places_and_visits_add_up(stays, merge_gap_s):
    places, found = places_and_visits(stays, location_params={"merge_gap_s": merge_gap_s})
    assert places["n_stays"].sum() == found["n_stays"].sum() == len(stays)
    assert places["n_inferred_stays"].sum() == stays["is_inferred"].sum()
    assert found["is_new"].sum() == len(places)
    by_place = found.groupby(["device_id", "location_id"])
    for name in ("dwell_s", "inferred_s", "bridged_s"):
        assert by_place[name].sum().to_numpy() == pytest.approx(places[name].to_numpy())
    assert by_place.size().tolist() == places["n_visits"].tolist()
    stayed_s = (stays["finished_at"] - stays["started_at"]).dt.total_seconds().sum()
    assert (found["dwell_s"] - found["bridged_s"]).sum() == pytest.approx(stayed_s)
    assert found.groupby("device_id")["started_at"].is_monotonic_increasing.all()


@given(days(), st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_whole_weeks_later_nothing_but_the_date_differs(stays, n_weeks):
    shift = pd.Timedelta(weeks=n_weeks)
    later = stays.assign(started_at=stays["started_at"] + shift, finished_at=stays["finished_at"] + shift)
    times = ["started_at", "finished_at", "date"]
    one, other = (places_and_visits(s)[1] for s in (stays, later))
    pd.testing.assert_frame_equal(one.drop(columns=times), other.drop(columns=times))


@given(days(inferred=False))
@settings(max_examples=50, deadline=None)
def test_without_inferred_stays_the_choice_does_not_matter(stays):
    found = [places_and_visits(stays, location_params={"inferred_stays": c})[1] for c in ("anywhere", "known", "none")]
    pd.testing.assert_frame_equal(found[0], found[1])
    pd.testing.assert_frame_equal(found[0], found[2])
