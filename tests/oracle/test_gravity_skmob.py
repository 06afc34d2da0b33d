"""Gravity and radiation against scikit-mobility 1.3.1, on flows of which as many leave each area as reach it.

scikit-mobility has one relevance for an area, ours the trips that leave it and those that reach it: of symmetric flows
both are the same. Distances are great circles in kilometres in both.
"""

import numpy as np
import pandas as pd
import pytest

from pipeline.gravity import fit_by_origin, fit_free, flows_of, radiation_model
from pipeline.kernels.presence import distances_m
from pipeline.reference import Ask, ask_reference

pytestmark = pytest.mark.oracle
N = 9
FITS = {
    (gravity_type, deterrence): Ask("gravity_fit", {"gravity_type": gravity_type, "deterrence": deterrence})
    for gravity_type in ("globally constrained", "singly constrained")
    for deterrence in ("power_law", "exponential")
}


@pytest.fixture(scope="module")
def asked(reference):
    """(our flows, their answers)."""
    rng = np.random.default_rng(3)
    lon, lat = 10 + rng.random(N), 50 + rng.random(N)
    apart_km = distances_m(*(v.ravel() for v in _pairs(lon, lat))).reshape(N, N) / 1000
    mass = rng.uniform(5, 50, N)
    with np.errstate(divide="ignore"):
        expected = np.triu(40 * np.outer(mass, mass) / apart_km**1.5, 1)
    upper = rng.poisson(expected) + np.triu(np.ones((N, N)), 1)
    flows = flows_of(upper + upper.T, apart_km + np.eye(N))
    left = flows.n_trips.sum(axis=1)
    ids = np.arange(N).astype(str)
    tiles = pd.DataFrame({"tile_id": ids, "lon": lon, "lat": lat, "relevance": left, "outflow": left})
    origin, destination = np.nonzero(~np.eye(N, dtype=bool))
    pairs = {"origin_tile_id": ids[origin], "destination_tile_id": ids[destination]}
    given = pd.DataFrame({**pairs, "flow": flows.n_trips[origin, destination]})
    asks = {**FITS, "radiation": Ask("radiation", {"output": "probabilities"})}
    return flows, ask_reference(asks, tiles=tiles, flows=given)


def _pairs(lon, lat):
    ones = np.ones((N, N))
    return lon[:, None] * ones, lat[:, None] * ones, lon[None, :] * ones, lat[None, :] * ones


@pytest.mark.parametrize("deterrence", ["power_law", "exponential"])
def test_exponents_of_a_free_fit(asked, deterrence):
    flows, answers = asked
    ours = fit_free(flows, deterrence == "power_law", np.arange(N)).coefficients
    theirs = answers["globally constrained", deterrence].iloc[0]
    np.testing.assert_allclose(ours[:2], theirs[["origin_exponent", "destination_exponent"]].to_numpy(float), rtol=1e-6)
    np.testing.assert_allclose(_falling(ours[2], deterrence), theirs["exponent"], rtol=1e-6)


@pytest.mark.parametrize("deterrence", ["power_law", "exponential"])
def test_exponents_of_a_fit_by_origin(asked, deterrence):
    flows, answers = asked
    ours = fit_by_origin(flows, deterrence == "power_law", np.arange(N)).coefficients
    theirs = answers["singly constrained", deterrence].iloc[0]
    np.testing.assert_allclose(ours[1], theirs["destination_exponent"], rtol=1e-6)
    np.testing.assert_allclose(_falling(ours[2], deterrence), theirs["exponent"], rtol=1e-6)


def _falling(coefficient, deterrence):
    """Theirs is the exponent of d, which is negative, or one over metres."""
    return -coefficient if deterrence == "power_law" else coefficient / 1000


def test_radiation(asked):
    flows, answers = asked
    theirs = answers["radiation"]
    found = np.zeros((N, N))
    found[theirs["origin_tile_id"].astype(int), theirs["destination_tile_id"].astype(int)] = theirs["flow"]
    np.testing.assert_allclose(radiation_model(flows), flows.n_trips.sum(axis=1, keepdims=True) * found, rtol=1e-9)
