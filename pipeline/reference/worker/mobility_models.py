"""scikit-mobility's models of flows and of individual trajectories."""

import random

import numpy as np
import pandas as pd
from read_frames import floats, microseconds, whole
from skmob.core.flowdataframe import FlowDataFrame
from skmob.models.epr import DensityEPR, Ditras, SpatialEPR
from skmob.models.geosim import GeoSim
from skmob.models.gravity import Gravity
from skmob.models.markov_diary_generator import MarkovDiaryGenerator
from skmob.models.radiation import Radiation


def _seed(seed):
    """Seed every generator that any model draws from."""
    random.seed(int(seed))
    np.random.seed(int(seed))


def _flows(found):
    return {
        "origin_tile_id": found["origin"].to_numpy(),
        "destination_tile_id": found["destination"].to_numpy(),
        "flow": floats(found["flow"]),
    }


def _visits(found):
    return {
        "device_id": whole(found["uid"]),
        "tracked_at": microseconds(found["datetime"]),
        "lon": floats(found["lng"]),
        "lat": floats(found["lat"]),
    }


def _per_km(exponent, deterrence):
    return exponent * 1000 if deterrence == "exponential" else exponent


def gravity(tiles, gravity_type, deterrence, exponent, origin_exponent, destination_exponent, output, seed):
    """Return the flows of a gravity model."""
    _seed(seed)
    model = Gravity(
        deterrence_func_type=deterrence,
        deterrence_func_args=[_per_km(exponent, deterrence)],
        origin_exp=origin_exponent,
        destination_exp=destination_exponent,
        gravity_type=gravity_type,
    )
    return _flows(model.generate(tiles, out_format=output))


def gravity_fit(tiles, flows, gravity_type, deterrence):
    """Return the exponents of a gravity model fitted to flows."""
    model = Gravity(deterrence_func_type=deterrence, gravity_type=gravity_type)
    model.fit(FlowDataFrame(flows, tessellation=tiles))
    (exponent,) = model.deterrence_func_args
    return {
        "origin_exponent": floats([model.origin_exp]),
        "destination_exponent": floats([model.destination_exp]),
        "exponent": floats([exponent / 1000 if deterrence == "exponential" else exponent]),
    }


def radiation(tiles, output, seed):
    """Return the flows of the radiation model."""
    _seed(seed)
    return _flows(Radiation().generate(tiles, out_format=output))


def _epr(model, tiles, start, end, n_people, rho, gamma, beta, tau_h, min_wait_s, seed):
    _seed(seed)
    made = model(rho=rho, gamma=gamma, beta=beta, tau=tau_h, min_wait_time_minutes=min_wait_s / 60)
    found = made.generate(pd.Timestamp(start), pd.Timestamp(end), tiles, n_agents=int(n_people), random_state=int(seed))
    return _visits(found)


def density_epr(tiles, start, end, n_people, rho, gamma, beta, tau_h, min_wait_s, seed):
    """Return the visits of people who explore by gravity and return by preference."""
    return _epr(DensityEPR, tiles, start, end, n_people, rho, gamma, beta, tau_h, min_wait_s, seed)


def spatial_epr(tiles, start, end, n_people, rho, gamma, beta, tau_h, min_wait_s, seed):
    """Return the visits of people who explore by distance and return by preference."""
    return _epr(SpatialEPR, tiles, start, end, n_people, rho, gamma, beta, tau_h, min_wait_s, seed)


def ditras(tiles, rows, start, end, n_people, rho, gamma, seed):
    """Return the visits of people who follow diaries learned from rows."""
    _seed(seed)
    rows = rows.sort_values(["uid", "datetime"], kind="stable")
    rows["location"] = rows.groupby(["lat", "lng"]).ngroup().astype(str)
    diaries = MarkovDiaryGenerator()
    diaries.fit(rows, n_individuals=rows["uid"].nunique(), lid="location")
    model = Ditras(diaries, rho=rho, gamma=gamma)
    return _visits(
        model.generate(pd.Timestamp(start), pd.Timestamp(end), tiles, n_agents=int(n_people), random_state=int(seed))
    )


def geosim(tiles, start, end, n_people, rho, gamma, alpha, seed):
    """Return the visits of people who also go where their friends go."""
    _seed(seed)
    model = GeoSim(rho=rho, gamma=gamma, alpha=alpha)
    return _visits(
        model.generate(pd.Timestamp(start), pd.Timestamp(end), tiles, n_agents=int(n_people), random_state=int(seed))
    )


MODELS = {
    function.__name__: function
    for function in (gravity, gravity_fit, radiation, density_epr, spatial_epr, ditras, geosim)
}
