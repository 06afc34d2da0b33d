"""What the oracle tests share: real pings and an artificial city."""

import io
import os
import tarfile
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SHARED = Path(os.environ.get("SOJOURN_SHARED", Path(__file__).parents[3] / "shared"))
PLT_HEADER_LINES = 6
PLT_COLUMNS = ["lat", "lon", "zero", "altitude_ft", "days", "date", "time"]


def pytest_configure(config):
    config.addinivalue_line("markers", "oracle: compares with another program's answer")


@pytest.fixture(scope="session")
def geolife_pings():
    """A function of n_devices: pings of the first GeoLife people as device_id, tracked_at, lon, lat."""
    folder = SHARED / "data" / "geolife_users"
    archives = sorted(folder.glob("[0-9][0-9][0-9].tar.gz"))

    def read(n_devices):
        if len(archives) < n_devices:
            pytest.skip("GeoLife is not here: it is private test data, looked for under $SOJOURN_SHARED/data")
        return read_geolife(archives[:n_devices])

    return read


def read_geolife(archives):
    """Pings of the people in some archives."""
    return pd.concat([_read_device(path) for path in archives], ignore_index=True)


def _read_device(path):
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.name.endswith(".plt")]
        tracks = [_read_plt(archive.extractfile(member).read()) for member in members]
    pings = pd.concat(tracks, ignore_index=True)
    pings.insert(0, "device_id", int(path.name[:3]))
    pings = pings[pings["lat"].between(-90, 90) & pings["lon"].between(-180, 180)]
    return pings.sort_values("tracked_at", kind="stable", ignore_index=True)


def _read_plt(content):
    rows = pd.read_csv(io.BytesIO(content), skiprows=PLT_HEADER_LINES, header=None, names=PLT_COLUMNS)
    tracked_at = pd.to_datetime(rows["date"] + " " + rows["time"], format="%Y-%m-%d %H:%M:%S")
    return pd.DataFrame({"tracked_at": tracked_at.dt.tz_localize(UTC), "lon": rows["lon"], "lat": rows["lat"]})


@pytest.fixture(scope="session")
def city_pings():
    """A function of (lon, lat, seed): thirty people who move between their own few places of a city."""
    return _city_pings


def _city_pings(lon, lat, seed=0, n_devices=30, n_days=14):
    rng = np.random.default_rng(seed)
    n_hours = 24 * n_days
    devices = np.repeat(np.arange(n_devices) + 1, n_hours)
    places = rng.normal(0, 0.05, (n_devices, 12, 2))
    chosen = np.minimum(*rng.integers(0, 12, (2, n_devices, n_hours // 6)))
    here = places[np.arange(n_devices)[:, None], np.repeat(chosen, 6, axis=1)].reshape(-1, 2)
    here = here + rng.normal(0, 2e-4, here.shape)
    hours = np.tile(np.arange(n_hours), n_devices)
    minutes = hours * 60 + rng.integers(0, 60, hours.size)
    tracked_at = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    return pd.DataFrame(
        {"device_id": devices, "tracked_at": tracked_at, "lon": lon + here[:, 0], "lat": lat + here[:, 1]}
    )
