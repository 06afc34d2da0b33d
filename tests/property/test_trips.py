"""`trips` against its naive twin, and what it must add up to."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.params import NoParams
from pipeline.stages.trips import trips
from tests.day_rows import make_day_visits, naive_visits
from tests.naive_trips import naive_trips
from tests.stay_rows import empty, through_contract

# (device, minutes since the visit before, minutes there, location)
days = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 2000), st.integers(0, 600), st.integers(0, 4)), min_size=1, max_size=12
)


def rows_of(drawn):
    """Visits that do not overlap, as `make_day_visits` takes them."""
    at, rows = dict.fromkeys((1, 2, 3), 0), []
    for device, gap, length, place in drawn:
        start = at[device] + gap + 1
        at[device] = start + length
        rows.append((device, start, length, place, None, 0))
    return rows


@given(days)
@settings(max_examples=60, deadline=None)
def test_trips_are_those_of_the_twin(drawn):
    rows = rows_of(drawn)
    found = through_contract(trips(make_day_visits(rows), NoParams()), "trips")
    expected = naive_trips(naive_visits(rows))
    for row, (device, start, finish, origin, destination, way_m) in zip(found.itertuples(), expected, strict=True):
        assert (row.device_id, row.origin_location_id, row.destination_location_id) == (device, origin, destination)
        assert row.duration_s == (finish - start).total_seconds()
        assert row.date == pd.Timestamp(finish.date())
        np.testing.assert_allclose(row.distance_m, way_m, rtol=1e-9)


def test_no_visits_and_one_visit_have_no_trip():
    assert trips(empty("visits"), NoParams()).empty
    assert trips(make_day_visits([(1, 0, 5, 0, None, 0)]), NoParams()).empty


def test_a_trip_belongs_to_the_local_day_and_hour_of_its_arrival():
    visits = make_day_visits([(1, 60, 22 * 60, 0, None, 7200), (1, 1450, 30, 1, None, 7200)])
    found = trips(visits.assign(hour_of_week=np.array([1, 24], np.int16)), NoParams())
    assert found["date"].dt.strftime("%Y-%m-%d").tolist() == ["2020-01-07"]
    assert found[["hour_of_week", "duration_s"]].to_numpy().tolist() == [[24, 4200.0]]
