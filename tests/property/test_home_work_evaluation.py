"""Time shared out between visits and true stays, against looking at every hour on its own."""

from collections import Counter

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.home_work_run import know_visits

START = pd.Timestamp("2024-03-04", tz="UTC")
HOUR_US = 3_600_000_000
LABELS = ("home", "work", "other")


@st.composite
def spells(draw, values):
    """Spells (start, finish, value) of one device in whole hours, one after the other."""
    hour, found = draw(st.integers(0, 20)), []
    for _ in range(draw(st.integers(1, 6))):
        finish = hour + draw(st.integers(0, 30))
        found.append((hour, finish, draw(values)))
        hour = finish + draw(st.sampled_from([0, 0, 1, 7]))
    return found


PLACES = st.integers(0, 2)
TRUE = st.tuples(PLACES, st.sampled_from(LABELS))


def holder(rows, hour):
    """The value of the spell that holds an hour."""
    return next((value for start, finish, value in rows if start <= hour < finish), None)


@given(st.lists(st.tuples(spells(PLACES), spells(TRUE)), min_size=1, max_size=3), st.integers(-12, 12))
@settings(max_examples=150, deadline=None)
def test_every_hour_is_counted_once(devices, offset_h):
    visits = pd.DataFrame(
        [
            (d, place, START + pd.Timedelta(hours=a), START + pd.Timedelta(hours=b), 3600 * offset_h)
            for d, (seen, _) in enumerate(devices)
            for a, b, place in seen
        ],
        columns=["device_id", "location_id", "started_at", "finished_at", "utc_offset_s"],
    )
    start_us = START.value // 1000
    truth = pd.DataFrame(
        [
            (d, place, start_us + a * HOUR_US, start_us + b * HOUR_US, label)
            for d, (_, true) in enumerate(devices)
            for a, b, (place, label) in true
        ],
        columns=["device_id", "location_id", "started_us", "finished_us", "label"],
    )
    known = know_visits(visits, truth)
    expected = Counter()
    for d, (seen, true) in enumerate(devices):
        for hour in range(max(seen[0][0], true[0][0]), min(seen[-1][1], true[-1][1])):
            place, stay = holder(seen, hour), holder(true, hour)
            if place is not None or stay is not None:
                day = (start_us // HOUR_US + hour + offset_h) // 24
                role = -1 if stay is None or stay[1] == "other" else LABELS.index(stay[1])
                expected[d, day, place is not None, stay is not None, role] += 1
    counted = Counter()
    for d, day, seconds, found, true, role in zip(*known[1:], strict=True):
        counted[d, day, found >= 0, true >= 0, role] += seconds / 3600
    assert counted == expected
