"""`venues` and `device_days` against their slow twins, and what must not change them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.params import NoParams
from pipeline.stages.device_days import device_days
from pipeline.stages.venues import VenueParams, venues
from tests.day_rows import (
    as_date,
    make_day_coverage,
    make_day_visits,
    make_roles,
    naive_roles,
    naive_visits,
)
from tests.naive_days import naive_device_days, naive_gyration_m, naive_venues
from tests.stay_rows import through_contract

DAY = 1440
OFFSETS = {1: -18_000, 2: 0, 3: 19_800}


@st.composite
def histories(draw):
    """Visits of three devices, one after the other, some over midnights, some of no length or back to back."""
    rows = []
    for device, offset in OFFSETS.items():
        at = draw(st.integers(0, DAY))
        for _ in range(draw(st.integers(0, 8))):
            at += draw(st.sampled_from([0, 1, 30, 600, 2 * DAY]))
            length = draw(st.sampled_from([0, 5, 90, DAY - at % DAY, 1500, 3000]))
            category = draw(st.sampled_from([None, "Food", "Park"]))
            rows.append((device, at, length, draw(st.integers(0, 4)), category, offset))
            at += length + 1
    return rows or [(1, 0, 10, 0, None, 0)]


roles = st.lists(
    st.tuples(
        st.sampled_from(list(OFFSETS)),
        st.integers(0, 4),
        st.integers(0, 9),
        st.integers(10, 20),
        st.sampled_from(["home", "work"]),
    ),
    max_size=6,
    unique_by=lambda r: (r[0], r[2], r[4]),
)
observed = st.sets(st.tuples(st.sampled_from(list(OFFSETS)), st.integers(0, 25)), min_size=1)


def venues_of(rows, spans):
    found = through_contract(venues(make_day_visits(rows), make_roles(spans), VenueParams()), "venues")
    keys = zip(found["device_id"], found["date"].dt.date, found["place_kind"], found["poi_category"], strict=True)
    return dict(zip(keys, zip(found["n_visits"], found["dwell_s"], strict=True), strict=True))


@settings(deadline=None)
@given(histories(), roles)
def test_venues_are_those_of_the_slow_twin(rows, spans):
    assert venues_of(rows, spans) == naive_venues(naive_visits(rows), naive_roles(spans))


@settings(deadline=None)
@given(histories(), roles)
def test_venues_hold_every_visit_once_and_all_their_time(rows, spans):
    found = venues_of(rows, spans)
    assert sum(n for n, _ in found.values()) == len(rows)
    assert sum(seconds for _, seconds in found.values()) == 60 * sum(row[2] for row in rows)


@settings(deadline=None)
@given(histories(), observed)
def test_device_days_are_those_of_the_slow_twin(rows, days):
    table = through_contract(device_days(make_day_coverage(days), make_day_visits(rows), NoParams()), "device_days")
    expected = naive_device_days(naive_visits(rows), {(device, as_date(day)) for device, day in days})
    keys = list(zip(table["device_id"], table["date"].dt.date, strict=True))
    assert sorted(keys) == sorted(expected)
    for key, row in zip(keys, table.itertuples(), strict=True):
        n, places, seconds, metres, by_position = expected[key]
        assert (row.n_visits, row.n_locations, row.dwell_s) == (n, places, seconds)
        assert row.distance_m == pytest.approx(metres, abs=1e-6)
        radius = naive_gyration_m(by_position)
        assert np.isnan(row.gyration_m) if radius is None else row.gyration_m == pytest.approx(radius, abs=1e-2)


@settings(deadline=None)
@given(histories(), roles, st.integers(1, 60))
def test_whole_weeks_later_is_the_same_whole_weeks_later(rows, spans, weeks):
    later = [(device, start + weeks * 7 * DAY, *rest) for device, start, *rest in rows]
    spans_later = [(d, p, first + 7 * weeks, last + 7 * weeks, role) for d, p, first, last, role in spans]
    moved = {
        (d, day - pd.Timedelta(weeks=weeks), *rest): v for (d, day, *rest), v in venues_of(later, spans_later).items()
    }
    assert moved == venues_of(rows, spans)
    days = {(row[0], row[1] // DAY) for row in rows}
    one, two = (
        device_days(make_day_coverage({(d, day + w * 7) for d, day in days}), make_day_visits(visits), NoParams())
        for w, visits in ((0, rows), (weeks, later))
    )
    pd.testing.assert_frame_equal(two.drop(columns="date"), one.drop(columns="date"))
