"""Exploration and preferential return: planted parameters are found, whatever the buckets."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.truncated_power import fit_exploration, fit_truncated_power
from pipeline.stages.epr_fits import EprParams, _finish, epr_fits
from tests.collective_rows import buckets_of, together
from tests.naive_laws import explore, naive_log_likelihood
from tests.stay_rows import empty, through_contract


def draw(rng, n, exponent, cutoff, low, high):
    """Values of a truncated power law, by the inverse of its distribution on a fine grid."""
    edges = np.geomspace(low, high, 20_001)
    middle = np.sqrt(edges[1:] * edges[:-1])
    mass = np.cumsum(middle**-exponent * np.exp(-middle / cutoff) * np.diff(edges))
    return middle[np.searchsorted(mass / mass[-1], rng.random(n))]


@pytest.mark.parametrize(("exponent", "cutoff"), [(1.75, 80.0), (1.2, 20.0)])
def test_a_planted_power_law_and_its_cutoff_are_found(exponent, cutoff):
    values = draw(np.random.default_rng(1), 100_000, exponent, cutoff, 1.0, 1000.0)
    edges = np.geomspace(1.0, 1000.0, 31)
    found = fit_truncated_power(np.histogram(values, edges)[0], edges)
    assert found[0] == pytest.approx(exponent, abs=0.03)
    assert found[1] == pytest.approx(cutoff, rel=0.1)


@given(st.lists(st.integers(0, 40), min_size=6, max_size=6).filter(lambda n: np.count_nonzero(n) > 2))
@settings(max_examples=15, deadline=None)
def test_no_law_nearby_is_likelier_by_the_twin(n):
    edges = np.geomspace(1.0, 100.0, 7)
    exponent, cutoff = fit_truncated_power(np.array(n), edges)
    best = naive_log_likelihood(n, edges, exponent, cutoff)
    for other, end in (
        (exponent + 0.1, cutoff),
        (exponent - 0.1, cutoff),
        (exponent, 1.1 * cutoff),
        (exponent, cutoff / 1.1),
    ):
        if 1.0 <= end <= 1000.0:
            assert naive_log_likelihood(n, edges, other, end) <= best + 1e-4 * max(1, abs(best))


def test_a_power_law_without_a_cutoff_has_one_beyond_what_was_seen():
    values = draw(np.random.default_rng(2), 50_000, 1.5, 1e9, 1.0, 1000.0)
    edges = np.geomspace(1.0, 1000.0, 31)
    exponent, cutoff = fit_truncated_power(np.histogram(values, edges)[0], edges)
    assert exponent == pytest.approx(1.5, abs=0.03)
    assert cutoff > 1000.0


def test_shares_of_new_places_by_hand():
    # Of moves with one place so far half are to a new one, with four a quarter: rho 1/2, gamma 1/2.
    rho, gamma = fit_exploration(np.array([1, 4]), np.array([100, 100]), np.array([50, 25]))
    assert (rho, gamma) == (pytest.approx(0.5, abs=1e-4), pytest.approx(0.5, abs=1e-4))
    with pytest.raises(ValueError, match="no moves"):
        fit_exploration(np.array([1]), np.array([0]), np.array([0]))
    with pytest.raises(ValueError, match="no values"):
        fit_truncated_power(np.array([0, 0]), np.array([1.0, 2.0, 4.0]))


def city(n_devices, n_moves, rho, gamma):
    """VISITS and TRIPS of devices that explore and return."""
    rng = np.random.default_rng(3)
    paths = [explore(rng, n_moves, rho, gamma) for _ in range(n_devices)]
    n = n_devices * (n_moves + 1)
    places = np.concatenate(paths)
    device = np.repeat(np.arange(n_devices), n_moves + 1)
    is_new = ~pd.DataFrame({"device": device, "place": places}).duplicated().to_numpy()
    visits = (
        empty("visits")
        .reindex(range(n))
        .assign(
            device_id=device,
            location_id=places.astype(np.int32),
            is_new=is_new,
            dwell_s=3600 * draw(rng, n, 1.6, 12.0, 1, 168),
        )
    )
    trips = (
        empty("trips").reindex(range(n)).assign(device_id=device, distance_m=1000 * draw(rng, n, 1.8, 50.0, 1, 1000))
    )
    return visits, trips


def test_planted_parameters_of_exploration_jumps_and_dwell_are_found_whatever_the_buckets():
    visits, trips = city(60, 150, 0.6, 0.25)
    params = EprParams(n_replicates=20)

    def table(n_buckets):
        frames = zip(buckets_of(visits, n_buckets), buckets_of(trips, n_buckets), strict=True)
        return _finish(together([epr_fits(*pair, 0, params) for pair in frames]), 0, params)

    found = table(1)
    assert len(through_contract(found, "epr_fits")) == 6
    planted = {
        "rho": 0.6,
        "gamma": 0.25,
        "jump_exponent": 1.8,
        "jump_cutoff": 50.0,
        "dwell_exponent": 1.6,
        "dwell_cutoff": 12.0,
    }
    tolerance = {
        "rho": 0.06,
        "gamma": 0.04,
        "jump_exponent": 0.06,
        "jump_cutoff": 15.0,
        "dwell_exponent": 0.15,
        "dwell_cutoff": 2.5,
    }
    by_name = found.set_index("parameter")
    for name, value in planted.items():
        assert by_name.loc[name, "estimate"] == pytest.approx(value, abs=tolerance[name]), name
        assert by_name.loc[name, "estimate_low"] <= by_name.loc[name, "estimate"] <= by_name.loc[name, "estimate_high"]
    assert (by_name["n_devices"] == 60).all()
    assert by_name.loc["rho", "n_observations"] == 60 * 149  # the first move is left out
    pd.testing.assert_frame_equal(table(4), found)


def test_nothing_seen_has_no_fit():
    params = EprParams(n_replicates=20)
    assert _finish(epr_fits(empty("visits"), empty("trips"), 0, params), 0, params).empty
