"""Visits that all peers are asked about: simulated people, and people of GeoLife through our own stages."""

import numpy as np
import pandas as pd

from data_contracts import PINGS
from pipeline.evaluation.detection import detect_stays
from pipeline.stage import STAGES
from pipeline.study import Study
from pipeline.verification.visits import Visits
from tests.stay_rows import places_and_visits

N_SIMULATED, N_REAL = 20, 5
THIN_S = 60
DAYS = 120
"""Pings of real people: one a minute, of the first days of each."""
MONDAY = pd.Timestamp("2024-01-01", tz="UTC")
SHARED_PLACES = 8
"""Places of the simulated city that everybody goes to, besides ten of their own."""


def simulated(seed: int = 0, n_people: int = N_SIMULATED) -> Visits:
    """Four weeks of people who move between places of their own and a few that all share; one has a single visit."""
    rng = np.random.default_rng(seed)
    shared = np.round(rng.normal(0, 0.05, (SHARED_PLACES, 2)), 4)
    people = [_one(rng, device, shared, 1 if device == 1 else 140) for device in range(1, n_people + 1)]
    return Visits(pd.concat(people, ignore_index=True))


def _one(rng, device, shared, n):
    own = np.vstack([np.round(rng.normal(0, 0.05, (10, 2)), 4), shared])
    place = np.minimum(*rng.integers(0, len(own), (2, n)))
    place[rng.random(n) < 0.3] = 0
    is_out = rng.random(n) < 0.4
    place[is_out] = 10 + rng.integers(0, len(shared), is_out.sum())
    # whole seconds: stays of half an hour to eight hours, ways of up to an hour
    dwell_s, way_s = rng.integers(1800, 28_800, n), rng.integers(60, 3600, n)
    start_s = np.cumsum(dwell_s + way_s) - dwell_s
    started_at = MONDAY + pd.to_timedelta(start_s, unit="s")
    frame = pd.DataFrame(
        {
            "device_id": device,
            "started_at": started_at,
            "finished_at": started_at + pd.to_timedelta(dwell_s, unit="s"),
            "dwell_s": dwell_s.astype(float),
            "location_id": pd.factorize(place)[0],
            "lon": 10 + own[place, 0],
            "lat": 50 + own[place, 1],
        }
    )
    return _in_utc(frame)


def _in_utc(frame):
    local = frame["started_at"].dt.tz_localize(None)
    hour_of_week = local.dt.day_of_week * 24 + local.dt.hour
    return frame.assign(date=local.dt.normalize(), hour_of_week=hour_of_week, utc_offset_s=0, tract_geoid=None)


def real(pings: pd.DataFrame) -> Visits:
    """Visits of people whose pings these are (device_id, tracked_at, lon, lat), found by the stages themselves."""
    first = pings.groupby("device_id")["tracked_at"].transform("min")
    pings = pings[pings["tracked_at"] < first + pd.Timedelta(days=DAYS)]
    slot = pings["tracked_at"].astype("int64") // (THIN_S * 10**6)
    pings = pings.assign(slot=slot).drop_duplicates(["device_id", "slot"])
    # Everybody begins on the same day: only what follows within a device matters, and dates are walked one by one.
    start = pings["tracked_at"].dt.normalize().groupby(pings["device_id"]).transform("min")
    pings = pings.assign(tracked_at=MONDAY + (pings["tracked_at"] - start))
    study = Study(name="peers", start=MONDAY.date(), end=pings["tracked_at"].max().date(), zone="UTC", sources=())
    params = {name: STAGES[name].params() for name in ("pings", "stays")}
    _, visits = places_and_visits(detect_stays(_accepted(pings), study, params))
    return Visits(visits)


def _accepted(pings):
    import pyarrow as pa

    e7 = {f"{axis}_e7": np.round(pings[axis].to_numpy() * 1e7).astype(np.int32) for axis in ("lon", "lat")}
    frame = pd.DataFrame(
        {
            "device_id": pings["device_id"].to_numpy(),
            "tracked_at": pings["tracked_at"].to_numpy(),
            **e7,
            "accuracy_m": np.float32(np.nan),
            "utc_offset_s": np.int32(0),
            "is_jump": False,
        }
    )
    return pa.Table.from_pandas(frame, schema=PINGS.schema, preserve_index=False)
