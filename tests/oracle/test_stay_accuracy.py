"""The peers in the form in which the accuracy benchmark scores them: who agrees with whom, and two cases by hand."""

import numpy as np
import pytest

from pipeline.evaluation.scores import score_labels
from pipeline.simulation import CityParams
from tests.benchmarks import infostop_environment
from tests.benchmarks.stay_peers import (
    Found,
    Setting,
    always_stop,
    fastmob_stays,
    infostop_stays,
    skmob_stays,
    sojourn_stays,
    trackintel_stays,
)
from tests.benchmarks.stay_trips import Spans, shares, time_in_stays
from tests.benchmarks.stay_truths import city_as_seen_by, sorted_pings

pytestmark = pytest.mark.oracle

MINUTE_US = 60_000_000
START_US = 1_704_067_200_000_000
SETTINGS = [Setting(200, 10), Setting(100, 5, 3600)]


@pytest.fixture(scope="module")
def city():
    return city_as_seen_by("app", CityParams(n_devices=4, n_days=3, faults=0.0)).pings


@pytest.fixture
def day():
    """Two hours at a place, half an hour northwards at 10 m/s, two hours there: a ping a minute. Device 3."""
    minutes = np.arange(271)
    north_m = np.clip(minutes - 120, 0, 30) * 600.0
    lat = 52.0 + north_m / 111_195 + np.random.default_rng(0).normal(0, 5e-5, minutes.size)
    pings, _ = sorted_pings(np.full(minutes.size, 3), START_US + minutes * MINUTE_US, np.full(minutes.size, 5.0), lat)
    return pings, (minutes <= 120) | (minutes >= 150)


def test_fastmob_and_trackintel_label_alike(city):
    for theirs, others in zip(fastmob_stays(city, SETTINGS), trackintel_stays(city, SETTINGS), strict=True):
        assert 0.2 < theirs.is_stop.mean() < 1
        # At exactly the dwell, and at exactly the radius, they decide differently.
        assert (theirs.is_stop != others.is_stop).mean() < 0.01


def test_fastmob_and_scikit_mobility_label_alike(city, reference):
    for theirs, others in zip(fastmob_stays(city, SETTINGS), skmob_stays(city, SETTINGS), strict=True):
        assert (theirs.is_stop != others.is_stop).mean() < 0.01


@pytest.mark.parametrize("find", [fastmob_stays, trackintel_stays, infostop_stays])
def test_peers_find_both_places_of_a_plain_day(day, find):
    if find is infostop_stays and not infostop_environment.is_installed():
        pytest.skip("no environment of Infostop: python -m tests.benchmarks.infostop_environment makes it")
    pings, is_stop = day
    (found,) = find(pings, [Setting(100, 10)])
    assert found.device_id.tolist() == [3, 3]
    assert score_labels(is_stop, found.is_stop).macro_f1 > 0.95


def test_sojourn_finds_both_places_of_a_plain_day(day):
    pings, is_stop = day
    found = sojourn_stays(pings)
    assert found.device_id.tolist() == [3, 3]
    assert score_labels(is_stop, found.is_stop).macro_f1 > 0.9


def test_always_stop_is_one_stay_a_device(city):
    found = always_stop(city)
    assert found.is_stop.all()
    assert found.device_id.tolist() == np.unique(city.device_id).tolist()


def test_time_in_stays_is_that_of_the_same_device():
    stays = np.array([[1, 0, 10], [1, 20, 30], [2, 0, 100]]).T
    trips = np.array([[1, 5, 25], [1, 12, 18], [2, 90, 130], [3, 0, 50]]).T
    spans = Spans(*trips, np.array(["walk", "walk", "bus", "bus"]))
    inside = time_in_stays(spans, Found(np.zeros(0, bool), *stays))
    assert inside.tolist() == [10, 0, 10, 0]
    assert shares(spans, inside)["walk"] == 10 / 26
    assert shares(spans, inside)["all"] == 20 / 116
