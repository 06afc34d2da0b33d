"""Worked examples of exploration counts."""

from datetime import date

from pipeline.stage import STAGES
from pipeline.stages.exploration import ExplorationParams
from pipeline.study import Study
from tests.day_rows import make_day_visits
from tests.measure_rows import run_measure
from tests.stay_rows import empty


def test_two_devices_and_their_days():
    """Device 0: home, work, home | home, shop | shop, work, home; device 1: one place, on days 3 and 5."""
    days = {0: [[1, 2, 1], [1, 3], [3, 2, 1]], 1: [[], [], [1], [], [1]]}
    rows = [
        (device, 1440 * day + 60 * k, 30, place, None, 0)
        for device, by_day in days.items()
        for day, places in enumerate(by_day)
        for k, place in enumerate(places)
    ]
    study = Study(name="s", start=date(2020, 1, 6), end=date(2020, 1, 10), zone="UTC", sources=())
    found = run_measure(STAGES["exploration"], make_day_visits(rows), study, ExplorationParams(windows=("day",)))
    assert found["device_id"].tolist() == [0, 0, 0, 1, 1]
    assert found["window_started"].dt.day.tolist() == [6, 7, 8, 8, 10]
    assert found["n_visits"].tolist() == [3, 2, 3, 1, 1]
    assert found["n_locations"].tolist() == [2, 2, 3, 1, 1]
    assert found["n_new_locations"].tolist() == [2, 1, 0, 1, 0]
    assert found["n_locations_so_far"].tolist() == [2, 3, 3, 1, 1]


def test_new_locations_of_sliding_windows_are_new_in_the_study():
    """A place a day, then the first again: each window counts those whose first visit it holds."""
    study = Study(name="s", start=date(2020, 1, 6), end=date(2020, 1, 9), zone="UTC", sources=())
    visits = make_day_visits([(1, 1440 * day, 30, place, None, 0) for day, place in enumerate([0, 1, 0, 2])])
    params = ExplorationParams(windows=("sliding",), sliding_days=2, sliding_step_days=1)
    found = run_measure(STAGES["exploration"], visits, study, params)
    assert found["n_locations"].tolist() == [2, 2, 2]
    assert found["n_new_locations"].tolist() == [2, 1, 1]
    assert found["n_locations_so_far"].tolist() == [2, 2, 3]


def test_no_visits_have_no_exploration():
    study = Study(name="s", start=date(2020, 1, 6), end=date(2020, 1, 9), zone="UTC", sources=())
    params = ExplorationParams(windows=("week", "sliding"))
    assert run_measure(STAGES["exploration"], empty("visits"), study, params).empty
