"""Visits of a made-up dense city, drawn at once: what contacts are timed on.

1,500 devices per km2 live five to a building; four of five work, at places large and small; each day they are at home,
at work twice and at three of their eight venues, of which all have the popular ones more often. Centres of places are
off by a normal error of 5 m for each device. Seven visits per device and day.
"""

import numpy as np
import pandas as pd

from pipeline.kernels.geodesy import EARTH_RADIUS_M

LON, LAT = -73.95, 40.75
PER_KM2 = 1_500.0
ERROR_M = 5.0
VISITS_PER_DAY = 7
HOURS = np.array([0.0, 7.6, 8.6, 12.1, 13.1, 17.3, 18.6, 24.0])
"""When visits start (local, UTC too), and the end of the day."""
AWAY_H = 0.3
"""On the way before each visit but the first."""
START = pd.Timestamp("2020-03-02", tz="UTC")


def zipf(chance: np.random.Generator, n: int, size: int | tuple[int, ...], exponent: float) -> np.ndarray:
    """Return ranks below n, that of k with a chance as k^-exponent."""
    share = np.arange(1, n + 1) ** -exponent
    return np.searchsorted(np.cumsum(share) / share.sum(), chance.random(size)).clip(0, n - 1)


def city_visits(n_devices: int, n_days: int, seed: int = 0, first_day: int = 0) -> pd.DataFrame:
    """Return visits in order of device and time, in the columns contacts need; the side goes with the devices."""
    chance = np.random.default_rng([seed, n_devices])
    side_m = 1000 * np.sqrt(n_devices / PER_KM2)
    n_homes, n_works, n_venues = (max(2, n_devices // each) for each in (5, 25, 17))
    spots = chance.uniform(0, side_m, (n_homes + n_works + n_venues, 2))
    home = chance.integers(0, n_homes, n_devices)
    work = np.where(chance.random(n_devices) < 0.8, n_homes + zipf(chance, n_works, n_devices, 0.5), home)
    # A device has eight venues of its own, so that it comes back to some.
    own = n_homes + n_works + zipf(chance, n_venues, (n_devices, 8), 0.5)
    centre = chance.normal(0, ERROR_M, (n_devices, 10, 2))
    days = np.random.default_rng([seed, n_devices, first_day])
    venue = days.integers(0, 8, (n_devices, n_days, 3))
    place = np.empty((n_devices, n_days, VISITS_PER_DAY), np.int64)
    place[..., [0, 6]], place[..., [2, 4]] = 0, 1
    place[..., [1, 3, 5]] = venue + 2
    where = np.concatenate([home[:, None], work[:, None], own], axis=1)
    device = np.broadcast_to(np.arange(n_devices)[:, None, None], place.shape)
    at = spots[where[device, place]] + centre[device, place]
    jitter = days.uniform(-0.25, 0.25, (n_devices, n_days, VISITS_PER_DAY))
    start_h = HOURS[:-1] + np.where(np.arange(VISITS_PER_DAY) > 0, jitter, 0)
    end_h = np.concatenate([start_h[..., 1:] - AWAY_H, np.full((n_devices, n_days, 1), 24.0)], axis=2)
    midnight = START.value // 1000 + (first_day + np.arange(n_days))[:, None] * 86_400_000_000
    us = [(hour * 3.6e9).astype(np.int64) + midnight for hour in (start_h, end_h)]
    started, finished = (pd.to_datetime(at_us.ravel() * 1000, utc=True).astype("datetime64[us, UTC]") for at_us in us)
    metre = np.degrees(1 / EARTH_RADIUS_M)
    date = np.broadcast_to((midnight // 1_000_000).astype("datetime64[s]"), place.shape).ravel()
    return pd.DataFrame(
        {
            "device_id": device.ravel() + seed * 10_000_000,
            "started_at": started,
            "finished_at": finished,
            "date": date,
            "utc_offset_s": np.zeros(place.size, np.int32),
            "location_id": place.ravel().astype(np.int32),
            "lon": LON + at[..., 0].ravel() * metre / np.cos(np.radians(LAT)),
            "lat": LAT + at[..., 1].ravel() * metre,
            "is_inferred": np.zeros(place.size, bool),
            "poi_category": pd.array(np.where(place.ravel() > 1, "venue", None), dtype="str"),
        }
    )


def homes_of(visits: pd.DataFrame) -> pd.DataFrame:
    """Return rows of home_work: location 0 is everybody's home, 1 the workplace, all the while."""
    device = np.unique(visits["device_id"].to_numpy())
    n = device.size
    rows = {"device_id": np.repeat(device, 2), "span": "moving", "role": np.tile(["home", "work"], n), "rank": 1}
    times = {"window_started": pd.Timestamp("2019-01-01"), "window_finished": pd.Timestamp("2030-01-01")}
    frame = pd.DataFrame(rows | times | {"location_id": np.tile([0, 1], n), "tract_geoid": "1"})
    return frame.astype({"span": "str", "role": "str", "tract_geoid": "str", "rank": "int16", "location_id": "int32"})
