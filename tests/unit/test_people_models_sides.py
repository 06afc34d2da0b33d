"""Which people, weeks and kinds models of people learn from and are scored on, and what their baselines say."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from pipeline.models import MODELS
from pipeline.models.people import employment
from pipeline.models.people.exploration import KindBaselines, _read, _survey
from pipeline.models.people.fitting import TEST, TRAIN, VALIDATE, side_of
from pipeline.models.streaming import FrameTables
from tests.people_models_rows import MONDAY, explorers, make_visits

PARAMS = MODELS["exploration_forecasts"].params(min_kind_devices=3)
SEED = 3


@pytest.fixture(scope="module")
def visits():
    return explorers(80, 14)


def test_each_side_has_its_people_and_its_weeks_alone(visits):
    tables = FrameTables({"visits": visits})
    survey = _survey(tables, PARAMS, SEED)
    sides, later = _read(tables, survey, PARAMS, SEED)
    for rows, side, is_after in (
        (sides.train, TRAIN, False), (sides.validate, VALIDATE, False), (sides.test, TEST, True), (later, TRAIN, True)
    ):  # fmt: skip
        monday, device_id = (
            np.concatenate([batch[name].numpy() for batch in rows.batches(0)]) for name in ("monday", "device_id")
        )
        assert monday.size
        assert ((monday >= survey.cut) == is_after).all()
        assert (side_of(device_id, SEED, PARAMS) == side).all()


@pytest.mark.parametrize("side", [VALIDATE, TEST])
def test_kinds_that_only_people_held_out_know_are_not_learnt(visits, side):
    is_out = side_of(visits["device_id"].to_numpy(), SEED, PARAMS) == side
    assert visits.loc[is_out, "device_id"].nunique() >= PARAMS.min_kind_devices
    renamed = visits.assign(poi_category=visits["poi_category"].where(~is_out, "Clinic"))
    assert set(_survey(FrameTables({"visits": renamed}), PARAMS, SEED).kinds) == {"Food", "Shop", "Leisure"}


@pytest.mark.parametrize(("n_weeks", "n_learnt"), [(8, 6), (10, 7), (12, 9)])
def test_a_quarter_of_the_weeks_is_held_out_and_a_part_of_one_is_a_whole(n_weeks, n_learnt):
    visits = make_visits([(1, day, 0, None) for day in range(7 * n_weeks)])
    cut = _survey(FrameTables({"visits": visits}), PARAMS, SEED).cut
    assert np.datetime64(cut, "D") == MONDAY + 7 * n_learnt


def test_own_kinds_are_drawn_to_those_of_all():
    """Somebody who went to one shop in a city that eats: 1 beside 4 x 0.9; five shops outweigh it."""
    baselines = KindBaselines(np.array([0.9, 0.1]), None, 4.0)
    before = np.array([[0, 0], [0, 1], [0, 5]])
    found = baselines.ranked({"kinds_before": before}, np.zeros((3, 1)))
    assert found["own_kinds"] == pytest.approx(np.array([[3.6, 0.4], [3.6, 1.4], [3.6, 5.4]]))
    assert found["population"] == pytest.approx(np.array([[0.9, 0.1]] * 3))


def test_employment_is_judged_on_observed_weeks_and_an_absence_lasts_from_its_third_week(monkeypatch):
    """Of each of twelve people: absent for two and for three weeks, back after three, and a week not observed."""
    n_people, event = 12, np.tile([0.0, 1.0, 0.0, 1.0], 12)
    found = {
        "device_id": np.repeat(np.arange(n_people), 4),
        "event": event,
        "network": np.full(event.size, 0.5),
        "logistic": np.full(event.size, 0.5),
        "is_absent": np.tile([True, True, False, False], n_people),
        "n_absent": np.tile([2, 3, 3, 0], n_people),
        "is_observed": np.tile([True, True, True, False], n_people),
    }
    monkeypatch.setattr(employment, "scored_rows", lambda rows, fitted: found)
    params = MODELS["employment_scores"].params(n_replicates=5)
    metrics = employment._metrics(SimpleNamespace(n_rows=event.size), None, 0.5, params, SEED)
    assert metrics["n_rows"] == 3 * n_people and metrics["true_share"] == pytest.approx(1 / 3)
    assert metrics["lasting_absence.brier"] == 0 and metrics["absent.brier"] == pytest.approx(1 / 3)
