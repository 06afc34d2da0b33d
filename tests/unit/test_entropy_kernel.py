"""Entropy of locations: the vectors of the method notes, and a stage's frame counted by hand."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from data_contracts import ENTROPY
from pipeline.kernels.entropy import location_entropy
from pipeline.kernels.sequence_entropy import entropy_rate, highest_predictability
from pipeline.stages.entropy import EntropyParams, entropy
from pipeline.study import Study
from tests.day_rows import make_day_visits
from tests.stay_rows import empty, make_stays, places_and_visits, through_contract

# Method notes 2.7: three locations, visits 10, 5, 1, minutes 700, 400, 60.
PLACE = np.repeat([0, 1, 2], [10, 5, 1])
MINUTES = np.concatenate([np.full(10, 70.0), np.full(5, 80.0), [60.0]])
ONE = np.array([0, 16])
STUDY = Study(name="s", start=date(2024, 1, 1), end=date(2024, 1, 31), zone="UTC", sources=())
CITY = Study(name="s", start=date(2020, 1, 6), end=date(2020, 2, 9), zone="UTC", sources=())
DAY = 24 * 60


def test_vectors_of_the_method_notes():
    by_visits, by_time = location_entropy(ONE, PLACE)[0], location_entropy(ONE, PLACE, MINUTES)[0]
    assert by_visits == pytest.approx(1.198192, abs=5e-7)
    assert by_time == pytest.approx(1.190423, abs=5e-7)
    assert by_visits / np.log2(3) == pytest.approx(0.755975, abs=5e-7)
    assert by_time / np.log2(3) == pytest.approx(0.751073, abs=5e-7)


def test_one_place_has_no_entropy_and_equal_places_have_the_most():
    assert str(location_entropy(np.array([0, 3]), np.array([7, 7, 7]))[0]) == "0.0"
    assert location_entropy(np.array([0, 8]), np.arange(8))[0] == 3.0


def test_nothing_is_not_zero():
    found = location_entropy(np.array([0, 0, 2]), np.array([1, 2]), np.zeros(2))
    assert np.isnan(found).all()
    assert location_entropy(np.array([0]), np.empty(0, np.int64)).size == 0


def test_a_place_that_weighs_nothing_adds_nothing():
    assert location_entropy(np.array([0, 3]), np.array([1, 2, 3]), np.array([1.0, 1.0, 0.0]))[0] == 1.0


def test_bad_arrays_are_refused():
    with pytest.raises(ValueError, match="same rows"):
        location_entropy(np.array([0, 1]), np.array([1, 2]))
    with pytest.raises(ValueError, match="same rows"):
        location_entropy(np.array([0, 2]), np.array([1, 2]), np.ones(3))
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            location_entropy(np.array([0, 2]), np.array([1, 2]), np.array([1.0, bad]))


def test_stage_by_study_and_week():
    """Week 1: home twice, shop once. Week 2: home only. An hour each, 500 m apart."""
    hours = [(0, 0.0), (DAY, 500.0), (2 * DAY, 0.0), (7 * DAY, 0.0)]
    stays = make_stays([(at, at + 60, north_m, False) for at, north_m in hours])
    _, visits = places_and_visits(stays)
    found = through_contract(entropy(visits, STUDY, EntropyParams()), ENTROPY.name)
    assert found["window"].tolist() == ["study", "week", "week"]
    assert found["n_visits"].tolist() == [4, 3, 1]
    assert found["n_locations"].tolist() == [2, 2, 1]
    third = -(2 / 3) * np.log2(2 / 3) - (1 / 3) * np.log2(1 / 3)
    expected = [-0.75 * np.log2(0.75) + 0.5, third, 0.0]
    np.testing.assert_allclose(found["entropy_bits"], expected)
    np.testing.assert_allclose(found["entropy_dwell_bits"], expected)
    np.testing.assert_allclose(found["random_entropy_bits"], [1.0, 1.0, 0.0])


def test_stage_without_visits():
    found = entropy(empty("visits"), STUDY, EntropyParams())
    assert len(through_contract(found, ENTROPY.name)) == 0


def test_dwell_of_no_time_is_null():
    stays = make_stays([(0, 60, 0.0, False)])
    _, visits = places_and_visits(stays)
    found = through_contract(entropy(visits.assign(dwell_s=0.0), STUDY, EntropyParams()), ENTROPY.name)
    assert found["entropy_dwell_bits"].isna().all()
    assert pd.notna(found["entropy_bits"]).all()


WEEK = [0, 1, 2, 0, 1, 3, 0, 1, 2, 0, 4, 2, 0, 1, 2, 5]


def of_sequence(places, **params):
    """ENTROPY of one device that visits places, all in one week, as one row."""
    visits = make_day_visits([(1, 60 * k, 30, place, None, 0) for k, place in enumerate(places)])
    found = entropy(visits, CITY, EntropyParams(**{"windows": ("study",), **params}))
    return through_contract(found, ENTROPY.name).iloc[0]


def test_order_of_places_by_hand():
    """0 0 1 0 1 with repeats merged is 0 1 0 1: pieces of 1, 1, 3 and 2, eight bits over seven; one place may come."""
    found = of_sequence([0, 0, 1, 0, 1], min_sequence=4)
    assert found["entropy_rate_bits"] == pytest.approx(4 * 2 / 7)
    assert found["predictability"] == 1.0
    kept = of_sequence([0, 0, 1, 0, 1], min_sequence=4, merges_repeats=False)
    # 0, then "01", "1", and "01" was met to the end, "1" too: 1, 2, 1, 3, 2.
    assert kept["entropy_rate_bits"] == pytest.approx(5 * np.log2(5) / 9)
    assert kept["predictability"] == 0.5


def test_order_of_a_week_of_visits():
    found, sequence = of_sequence(WEEK), np.array(WEEK)
    rate = entropy_rate(np.array([0, 16]), sequence)
    assert found["entropy_rate_bits"] == rate[0] < found["entropy_bits"] < found["random_entropy_bits"] == np.log2(6)
    assert found["predictability"] == highest_predictability(rate, np.array([5]))[0]
    assert of_sequence(WEEK, variant="skmob")["entropy_rate_bits"] < rate[0]
    twice = of_sequence(np.repeat(WEEK, 2))
    assert twice["entropy_rate_bits"] == rate[0]
    assert twice["n_visits"] == 32


def test_short_sequences_have_no_entropy_rate():
    found = of_sequence([0, 1, 0, 1, 0, 1, 0, 1, 0])
    assert found[["entropy_rate_bits", "predictability"]].isna().all()
    assert of_sequence([0] * 30)[["entropy_rate_bits", "predictability"]].isna().all()
    assert of_sequence([0, 1] * 5)["predictability"] == 1.0
