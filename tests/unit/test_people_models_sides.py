"""What exploration forecasts learn from: rows and kinds of the people and the weeks of each side, and no others."""

import numpy as np
import pytest

pytest.importorskip("torch")

from pipeline.models import MODELS
from pipeline.models.people.exploration import _read, _survey
from pipeline.models.people.fitting import TEST, TRAIN, VALIDATE, side_of
from pipeline.models.streaming import FrameTables
from tests.people_models_rows import explorers

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
