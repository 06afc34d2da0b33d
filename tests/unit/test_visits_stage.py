"""Places of interest of visits made by hand: the model's worked numbers, and what an analyst gets."""

import math

import numpy as np
import pandas as pd
import pytest

from pipeline.kernels.poi_lookup import nearest_pois, weigh_pois
from tests.stay_rows import LAT0, LON0, METRE_LAT, make_stays, places_and_visits

SCALE_M, LOG_SD = 40.0, 0.7


def pois_of(rows):
    """Places from (id, metres north of the origin, usual dwell in minutes or None, weight or None)."""
    ids, north_m, minutes, weight = zip(*sorted(rows), strict=True)
    return pd.DataFrame(
        {
            "poi_id": pd.Series(ids, dtype="str"),
            "poi_category": pd.Series([f"kind of {i}" for i in ids], dtype="str"),
            "lon": LON0,
            "lat": LAT0 + np.array(north_m) * METRE_LAT,
            "usual_dwell_s": np.array(minutes, float) * 60,
            "weight": np.array(weight, float),
        }
    )


def test_distance_alone():
    pois = pois_of([("b", 0.0, None, None), ("a", 40.0, None, None), ("far", 101.0, None, None)])
    _, found = places_and_visits(make_stays([(0, 30, 0.0, False)]), pois=pois)
    row = found.iloc[0]
    assert (row["poi_id"], row["poi_category"]) == ("b", "kind of b")
    assert row["poi_distance_m"] == pytest.approx(0.0, abs=1e-6)
    # 1 beside e^-0.5
    assert row["poi_probability"] == pytest.approx(1 / (1 + math.exp(-0.5)), rel=1e-9)
    assert list(row["candidate_poi_ids"]) == ["b", "a"]
    assert sum(row["candidate_probabilities"]) == pytest.approx(1.0)


def test_how_long_the_visit_lasts_decides_between_neighbours():
    pois = pois_of([("café", 20.0, 30, None), ("gym", 20.0, 90, None)])
    stays = make_stays([(0, 25, 0.0, False), (100, 200, 0.0, False)])
    _, found = places_and_visits(stays, pois=pois)
    assert found["poi_id"].tolist() == ["café", "gym"]
    fits = [math.exp(-(math.log(25 / usual) ** 2) / (2 * LOG_SD**2)) for usual in (30, 90)]
    assert found["poi_probability"][0] == pytest.approx(fits[0] / sum(fits), rel=1e-9)


def test_ties_go_to_the_smaller_id_and_weights_break_them():
    stays = make_stays([(0, 25, 0.0, False)])
    _, found = places_and_visits(stays, pois=pois_of([("b", 10.0, None, None), ("a", 10.0, None, None)]))
    assert found["poi_id"][0] == "a" and found["poi_probability"][0] == pytest.approx(0.5)
    _, found = places_and_visits(stays, pois=pois_of([("b", 10.0, None, 3), ("a", 10.0, None, None)]))
    assert found["poi_id"][0] == "b" and found["poi_probability"][0] == pytest.approx(0.75)


def test_not_knowing_the_usual_dwell_is_neither_good_nor_bad():
    stays = make_stays([(0, 30, 0.0, False)])
    pois = pois_of([("a", 0.0, 30, None), ("b", 0.0, None, None), ("c", 0.0, 60, None)])
    _, found = places_and_visits(stays, pois=pois)
    shares = dict(zip(found["candidate_poi_ids"][0], found["candidate_probabilities"][0], strict=True))
    assert shares["b"] == pytest.approx((shares["a"] + shares["c"]) / 2)
    # However badly all of them fit.
    pois["usual_dwell_s"] = [1e-6, np.nan, 1e-6]
    _, found = places_and_visits(stays, pois=pois, visit_params={"poi_dwell_log_sd": 0.01})
    assert found["candidate_probabilities"][0] == pytest.approx([1 / 3] * 3)


def test_only_the_nearest_within_the_radius_are_considered():
    pois = pois_of([(f"p{k}", 10.0 * k, None, None) for k in range(12)])
    _, found = places_and_visits(make_stays([(0, 25, 0.0, False), (50, 90, 9_000.0, False)]), pois=pois)
    assert list(found["candidate_poi_ids"][0]) == ["p0", "p1", "p2", "p3", "p4"]
    assert list(found["candidate_poi_ids"][1]) == [] and pd.isna(found["poi_id"][1])
    params = {"poi_k": 20, "poi_radius_m": 30.001}
    _, found = places_and_visits(make_stays([(0, 25, 0.0, False)]), pois=pois, visit_params=params)
    assert len(found["candidate_poi_ids"][0]) == 4


def test_what_the_kernels_refuse():
    at = np.zeros(1)
    for k, radius_m in ((0, 10.0), (1, 0.0), (1, math.nan)):
        with pytest.raises(ValueError, match="must be at least"):
            nearest_pois(at, at, at, at, k, radius_m)
    with pytest.raises(ValueError, match="finite"):
        nearest_pois(at, at * math.nan, at, at, 1, 10.0)
    near = nearest_pois(at[:0], at[:0], at, at, 2, 10.0)
    likely = weigh_pois(near, np.zeros(1, int), np.ones(1), at[:0], at[:0], SCALE_M, LOG_SD)
    assert likely.poi.tolist() == [[-1, -1]] and np.isnan(likely.probability).all()
