"""What stays are scored against: pings and, for each, whether its device was at a stop.

Every loader returns pings as the table `pings` has them: sorted by device, time and position, one row for
rows alike in these. How far each truth is to be trusted is said at its loader.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.scores import labels_of, thin
from pipeline.simulation import CityParams, simulate_bucket
from tests.benchmarks.nomad_people import SAMPLERS, sampled_people
from tests.shared import DATA

US_PER_S = 1_000_000
DEGREE_E7 = 10_000_000

PHONES = {
    "app": CityParams(n_devices=20, n_days=14, faults=0.0),
    "logger": CityParams(
        n_devices=6,
        n_days=2,
        pings_per_day=40_000.0,
        rate_log_spread=0.1,
        moving_boost=1.0,
        burst_pings=1_800.0,
        burst_gap_s=1.0,
        night_silence_share=0.1,
        silences_per_day=0.2,
        dark_day_share=0.0,
        faults=0.0,
    ),
    "saver": CityParams(n_devices=20, n_days=14, pings_per_day=600.0, moving_boost=30.0, faults=0.0),
}
"""Phones of the artificial city. app: the simulation's own default, bursts of five pings 20 s apart. logger: records
at 1 Hz for half an hour at a time and pauses as long, awake or moving. saver: saves its battery while still
and sends 30 times as densely on a trip."""


class Pings(NamedTuple):
    """Pings sorted by device, time and position: shape (n,) each."""

    device_id: NDArray[np.int64]
    at_us: NDArray[np.int64]
    lon_e7: NDArray[np.int32]
    lat_e7: NDArray[np.int32]
    accuracy_m: NDArray[np.float32]
    """NaN where none is stated."""

    def take(self, rows: NDArray) -> "Pings":
        """Return some rows, by mask or by number."""
        return Pings(*(column[rows] for column in self))


class Truth(NamedTuple):
    """Pings of known label."""

    title: str
    names: tuple[str, ...]
    """Of the devices, which are numbered from 0."""
    pings: Pings
    is_stop: NDArray[np.bool_]

    def thinned(self, every_s: float) -> "Truth":
        """Return the truth of a device that reports at most every `every_s` seconds."""
        kept = thin(self.pings.device_id, self.pings.at_us, every_s)
        return self._replace(pings=self.pings.take(kept), is_stop=self.is_stop[kept])


def sorted_pings(
    device_id: NDArray, at_us: NDArray, lon: NDArray, lat: NDArray, accuracy_m: NDArray | None = None
) -> tuple[Pings, NDArray[np.int64]]:
    """Return pings of rows in any order, and for each of them the row it was."""
    if accuracy_m is None:
        accuracy_m = np.full(len(at_us), np.nan)
    lon_e7, lat_e7 = (np.rint(np.asarray(degrees) * DEGREE_E7).astype(np.int32) for degrees in (lon, lat))
    columns = (np.asarray(device_id, np.int64), np.asarray(at_us, np.int64), lon_e7, lat_e7)
    order = np.lexsort(columns[::-1])
    is_new = np.ones(order.size, np.bool_)
    is_new[1:] = np.any([np.diff(column[order]) != 0 for column in columns], axis=0)
    rows = order[is_new]
    return Pings(*columns, np.asarray(accuracy_m, np.float32)).take(rows), rows


def ssi() -> list[Truth]:
    """Return the pings of CBS's Smart Survey phones with the label their owner's diary gives each.

    One person, three accounts, 200,102 rows at about 1 Hz, half of the time with several phones at once. A
    diary is good to some minutes: stops end late or begin early by that, and short waits are move. Rows are
    grouped by the column user_id, because four file names lie. Exact duplicates are dropped.
    """
    files = sorted((DATA / "ssi_open_geodata").glob("*.csv.gz"))
    if not files:
        raise FileNotFoundError(f"no files below {DATA}: set SOJOURN_SHARED")
    rows = pd.concat([pd.read_csv(path) for path in files], ignore_index=True).drop_duplicates()
    device_id, names = pd.factorize(rows["user_id"], sort=True)
    at_us = pd.to_datetime(rows["timestamp"], utc=True).astype("datetime64[us, UTC]").astype("int64")
    pings, taken = sorted_pings(device_id, at_us.to_numpy(), rows["longitude"].to_numpy(), rows["latitude"].to_numpy())
    return [Truth("ssi", tuple(names), pings, rows["stop"].to_numpy(np.bool_)[taken])]


def city() -> list[Truth]:
    """Return the artificial city as seen by each kind of phone; a ping is a stop where its person truly stays.

    The labels are exact. The people are ours: still while they stay, on a smooth line with a little bend
    between places, with an error that drifts over a minute and spikes now and then. No queue, no red
    light, no walk about a park. True stays last at least seven minutes. Spikes come by the ping, so the logger
    has one in half an hour of recording, which is harsh.
    """
    return [city_as_seen_by(phone, params) for phone, params in PHONES.items()]


def city_as_seen_by(phone: str, params: CityParams) -> Truth:
    """Return an artificial city by one kind of phone."""
    """Return the pings of one kind of phone with exact labels."""
    simulated = simulate_bucket(params, 0, 1)
    rows = simulated.pings.to_pandas()
    stays = simulated.stays.to_pandas()
    ids = {name: number for number, name in enumerate(sorted(set(stays["device_id"])))}
    device_id = rows["device_id"].astype("object").map(ids).to_numpy(np.int64)
    pings, _ = sorted_pings(
        device_id,
        rows["timestamp"].to_numpy(np.int64) * US_PER_S,
        rows["longitude"].to_numpy(),
        rows["latitude"].to_numpy(),
        rows["horizontal_accuracy"].to_numpy(),
    )
    started, finished = (stays[name].astype("int64").to_numpy() for name in ("started_at", "finished_at"))
    stays_device_id = stays["device_id"].map(ids).to_numpy(np.int64)
    is_stop = labels_of(pings.device_id, pings.at_us, stays_device_id, started, finished - 1)
    return Truth(f"city, {phone}", tuple(f"person {k}" for k in range(len(ids))), pings, is_stop)


def nomad() -> list[Truth]:
    """Return people simulated after NOMAD in its garden city, by each kind of sampling; see `nomad_people`."""
    folder = DATA / "nomad_gardencity"
    found = []
    for sampler in SAMPLERS:
        rows = sampled_people(folder, sampler)
        pings, taken = sorted_pings(rows.device_id, rows.at_us, rows.lon, rows.lat, rows.accuracy_m)
        names = tuple(f"person {k}" for k in range(int(rows.device_id.max()) + 1))
        found.append(Truth(f"nomad, {sampler}", names, pings, rows.is_stop[taken]))
    return found


LOADERS: dict[str, Callable[[], list[Truth]]] = {"ssi": ssi, "city": city, "nomad": nomad}
