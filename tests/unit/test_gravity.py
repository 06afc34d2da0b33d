"""Gravity: planted exponents are found, the peer's errors agree, and where distance says nothing a baseline wins."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from pipeline.gravity import (
    NotIdentifiedError,
    common_part,
    fit_by_origin,
    fit_free,
    flows_of,
    margins_model,
    radiation_model,
)
from pipeline.stages.gravity_fits import GravityParams, _finish, gravity_fits
from tests.collective_rows import buckets_of, make_trips, together
from tests.naive_laws import naive_radiation
from tests.stay_rows import through_contract

N = 25


def planted(seed, decay, is_power=True, n=N, n_trips=400):
    """Flows by gravity with masses of their own, and where areas are (km)."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(0, 30, (n, 2))
    distance_km = np.maximum(np.hypot(*(at[:, None] - at).transpose(2, 0, 1)), 0.5)
    weight = rng.lognormal(0, 0.7, n) * (distance_km**-decay if is_power else np.exp(-decay * distance_km))
    np.fill_diagonal(weight, 0)
    expected = n_trips * rng.lognormal(0, 0.5, (n, 1)) * weight / weight.sum(axis=1, keepdims=True)
    return flows_of(rng.poisson(expected).astype(float), distance_km), at


@pytest.mark.parametrize(("is_power", "decay"), [(True, 1.5), (False, 0.2)])
def test_a_planted_decay_is_found_within_its_error(is_power, decay):
    flows, _ = planted(1, decay, is_power)
    fit = fit_by_origin(flows, is_power, np.arange(N))
    # What reaches an area falls with its distance to others, so that its trips are not its planted weight.
    assert abs(fit.coefficients[2] - decay) < 0.15 * decay
    assert common_part(flows.n_trips, fit.predict(flows)) > 0.8
    np.testing.assert_allclose(fit.predict(flows).sum(axis=1), flows.n_trips.sum(axis=1))


def test_the_fit_by_origin_is_a_poisson_regression_with_an_effect_of_each():
    flows, _ = planted(2, 1.0, n=8)
    fit = fit_by_origin(flows, True, np.arange(8))
    origin, to = np.nonzero(~np.eye(8, dtype=bool))
    reached = np.log(flows.n_trips.sum(axis=0))[to]
    design = np.column_stack([np.eye(8)[origin], reached, -np.log(flows.distance_km[origin, to])])
    theirs = sm.GLM(flows.n_trips[origin, to], design, family=sm.families.Poisson()).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": origin, "use_correction": False}
    )
    np.testing.assert_allclose(fit.coefficients[1:], theirs.params[8:], rtol=1e-6)
    np.testing.assert_allclose(fit.std_errors[1:], theirs.bse[8:] * np.sqrt(8 / 7), rtol=1e-5)


def test_without_distance_a_baseline_is_as_good_and_the_decay_is_nought():
    flows, _ = planted(3, 0.0)
    free = fit_free(flows, True, np.arange(N))
    assert abs(free.coefficients[2]) < 4 * free.std_errors[2]
    assert common_part(flows.n_trips, margins_model(flows)) > 0.8


def test_the_common_part_of_commuters_by_hand():
    seen, expected = np.array([[0.0, 6.0], [2.0, 0.0]]), np.array([[0.0, 4.0], [4.0, 0.0]])
    assert common_part(seen, expected) == 2 * (4 + 2) / 16
    assert common_part(seen, seen) == 1.0
    assert np.isnan(common_part(0 * seen, 0 * seen))


def test_radiation_is_that_of_the_twin_and_keeps_the_trips_of_origins():
    flows, _ = planted(4, 1.0, n=7)
    np.testing.assert_allclose(radiation_model(flows), naive_radiation(flows.n_trips, flows.distance_km))
    np.testing.assert_allclose(radiation_model(flows).sum(axis=1), flows.n_trips.sum(axis=1))


def test_flows_that_all_go_to_the_nearest_area_tell_no_exponent():
    at = np.array([0.0, 1.0, 10.0, 11.0, 30.0, 31.0])
    n_trips = np.kron(np.eye(3), [[0.0, 5.0], [5.0, 0.0]])
    with pytest.raises(NotIdentifiedError):
        fit_by_origin(flows_of(n_trips, np.abs(at[:, None] - at) + 1e-3), True, np.arange(6))


def trips_of(flows, at):
    """TRIPS of devices that make one trip each; kilometres are thousandths of a degree or so near the equator."""
    origin, to = np.nonzero(flows.n_trips)
    n = flows.n_trips[origin, to].astype(int)
    rows = [
        (k, f"{o:02d}", f"{d:02d}", 0, 8, 0)
        for k, (o, d) in enumerate(zip(np.repeat(origin, n), np.repeat(to, n), strict=True))
    ]
    trips, degrees = make_trips(rows), at / 111.195
    for end in ("origin", "destination"):
        area = trips[f"{end}_tract_geoid"].astype(int).to_numpy()
        trips[f"{end}_lon"], trips[f"{end}_lat"] = degrees[area].T
    return trips


def fitted(trips, n_buckets=1):
    params = GravityParams()
    parts = [gravity_fits(part, params) for part in buckets_of(trips, n_buckets)]
    return _finish(together(parts), params)


def test_the_stage_finds_what_was_planted_and_says_which_model_is_best_whatever_the_buckets():
    flows, at = planted(5, 2.0, n_trips=60)
    trips = trips_of(flows, at)
    found = through_contract(fitted(trips), "gravity_fits")
    table = found.set_index("model")
    assert table["is_best"].sum() == 1
    assert table.loc[table["is_best"]].index[0] == "origin_power"
    direct = fit_by_origin(flows, True, np.arange(N))
    assert table.loc["origin_power", "distance_decay"] == pytest.approx(direct.coefficients[2], rel=0.02)
    assert (table["n_trips"] == flows.n_trips.sum()).all()
    assert table["is_baseline"].sum() == 2
    pd.testing.assert_frame_equal(fitted(trips, 3), fitted(trips))
    unaware = trips_of(planted(6, 0.0, n_trips=60)[0], at)
    best = fitted(unaware).set_index("model").query("is_best")
    assert best["is_baseline"].all() or abs(best["distance_decay"].iloc[0]) < 0.1
    assert fitted(trips.iloc[:5]).empty


def test_devices_whose_trips_are_not_in_the_fit_do_not_count():
    # One device makes all trips among five areas; 200 others go elsewhere, from where nobody comes back.
    rng = np.random.default_rng(0)
    at = np.vstack([rng.uniform(0, 0.2, (5, 2)), np.ones((2, 2))])
    ends = [tuple(rng.choice(5, 2, replace=False)) for _ in range(300)]
    rows = [(1, f"{o:02d}", f"{d:02d}", 0, 8, 0) for o, d in ends] + [(9 + k, "05", "06", 0, 8, 0) for k in range(200)]
    trips = make_trips(rows)
    for end in ("origin", "destination"):
        trips[f"{end}_lon"], trips[f"{end}_lat"] = at[trips[f"{end}_tract_geoid"].astype(int)].T
    params = GravityParams(min_areas=5)
    parts = [gravity_fits(part, params) for part in buckets_of(trips, 3)]
    found = _finish(together(parts), params)
    assert (found["n_trips"] == 300).all()
    assert (found["n_devices"] == 1).all()
