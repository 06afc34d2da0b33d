"""Stays by the peers and by Sojourn, on the same pings and in one form.

A ping counts as stop where the method says that it belongs to a stay: trackintel and Infostop label pings;
the stays of scikit-mobility and fastmob end at the first ping *outside*, which is not counted (nor is it
in theirs), but for the last ping of a device, with which a stay still open ends.
"""

import subprocess
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import fastmob  # type: ignore[import-untyped]
import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from trackintel import Positionfixes  # type: ignore[import-untyped]

from data_contracts import PINGS
from pipeline.evaluation.detection import DAY_US, EPOCH, detect_stays
from pipeline.evaluation.scores import labels_of
from pipeline.reference import is_installed, run_reference
from pipeline.stage import STAGES
from pipeline.study import Study
from tests.benchmarks import infostop_environment
from tests.benchmarks.stay_truths import DEGREE_E7, US_PER_S, Pings

WORKER = Path(__file__).with_name("infostop_worker.py")
NO_GAP_RULE_MIN = 1e8  # 190 years; scikit-mobility's own 1e12 is too long for trackintel


class Setting(NamedTuple):
    """What the peers let one choose."""

    radius_m: float
    dwell_min: float
    gap_s: float | None = None
    """None: silences never end a stay."""
    include_last: bool = True
    """Whether a stay still open at the end counts; asked of trackintel only, the others always say yes."""

    def __str__(self) -> str:
        gap = "no gap rule" if self.gap_s is None else f"gap {self.gap_s / 3600:g} h"
        return f"{self.radius_m:g} m, {self.dwell_min:g} min, {gap}" + ("" if self.include_last else ", not the last")


RADII_M, DWELLS_MIN, GAPS_S = (30, 50, 75, 100, 150, 200, 300), (3, 5, 10, 15, 20, 30), (3600, 86_400, None)
GRID = [Setting(*setting) for setting in product(RADII_M, DWELLS_MIN, GAPS_S)]
NARROW = [s for s in GRID if s.radius_m >= 50 and s.dwell_min <= 10 and s.gap_s]
"""The part of the grid that the first measurement of peers was made on: short dwells, and a gap rule always."""


class Found(NamedTuple):
    """Stays (shape (m,) each, sorted by device and start) and which of the pings belong to one."""

    is_stop: NDArray[np.bool_]
    device_id: NDArray[np.int64]
    started_us: NDArray[np.int64]
    finished_us: NDArray[np.int64]


class Peer(NamedTuple):
    """A method with the settings it comes with."""

    name: str
    default: Setting
    find: Callable[[Pings, Sequence[Setting]], list[Found]]
    is_absent: Callable[[], str | None] = lambda: None
    """Why it cannot run here, if it cannot."""
    same_as: str | None = None
    """The peer of the same definition whose best settings it is given: it is too slow to be searched."""


def gap_min(setting: Setting) -> float:
    """Return the longest silence within a stay, in minutes."""
    return NO_GAP_RULE_MIN if setting.gap_s is None else setting.gap_s / 60


def of_leaving_times(pings: Pings, device_id: Any, started_us: Any, leaving_us: Any) -> Found:
    """Return stays that end at the first ping outside."""
    device_id, started_us, leaving_us = (np.asarray(v, np.int64) for v in (device_id, started_us, leaving_us))
    last = np.append(np.flatnonzero(np.diff(pings.device_id)), pings.device_id.size - 1)
    last_us = pings.at_us[last][np.searchsorted(pings.device_id[last], device_id)]
    inside_us = np.where(leaving_us == last_us, leaving_us, np.maximum(leaving_us - 1, started_us))
    is_stop = labels_of(pings.device_id, pings.at_us, device_id, started_us, inside_us)
    return Found(is_stop, device_id, started_us, leaving_us)


def always_stop(pings: Pings) -> Found:
    """Return one stay per device, from its first ping to its last."""
    first = np.append(0, np.flatnonzero(np.diff(pings.device_id)) + 1)
    last = np.append(first[1:] - 1, pings.device_id.size - 1)
    is_stop = np.ones(pings.device_id.size, np.bool_)
    return Found(is_stop, pings.device_id[first], pings.at_us[first], pings.at_us[last])


def fastmob_stays(pings: Pings, settings: Sequence[Setting]) -> list[Found]:
    """Return fastmob's `stay_locations`."""
    times = pa.array(pings.at_us).cast(pa.timestamp("us"))
    lat, lon = pings.lat_e7 / DEGREE_E7, pings.lon_e7 / DEGREE_E7
    table = pa.table({"uid": pings.device_id, "datetime": times, "lat": lat, "lng": lon})
    return [_fastmob_stays(pings, table, setting) for setting in settings]


def _fastmob_stays(pings: Pings, table: pa.Table, setting: Setting) -> Found:
    stays = fastmob.stay_locations(
        table,
        minutes_for_a_stop=setting.dwell_min,
        spatial_radius_km=setting.radius_m / 1000,
        no_data_for_minutes=gap_min(setting),
    )
    us = [stays[name].cast(pa.timestamp("us")).cast(pa.int64()) for name in ("datetime", "leaving_datetime")]
    return of_leaving_times(pings, stays["uid"], *us)


def skmob_stays(pings: Pings, settings: Sequence[Setting]) -> list[Found]:
    """Return scikit-mobility's `stay_locations`, from the reference environment."""
    frame = pd.DataFrame(
        {
            "device_id": pings.device_id,
            "tracked_at": pd.DatetimeIndex(pings.at_us.astype("datetime64[us]"), tz="UTC"),
            "lon": pings.lon_e7 / DEGREE_E7,
            "lat": pings.lat_e7 / DEGREE_E7,
        }
    )
    return [_skmob_stays(pings, frame, setting) for setting in settings]


def _skmob_stays(pings: Pings, frame: pd.DataFrame, setting: Setting) -> Found:
    rules = {"roam_m": setting.radius_m, "dwell_s": setting.dwell_min * 60, "gap_s": setting.gap_s}
    stays = run_reference("stay_locations", frame, **rules)
    us = [stays[name].astype("int64") for name in ("started_at", "finished_at")]
    return of_leaving_times(pings, stays["device_id"], *us)


def trackintel_stays(pings: Pings, settings: Sequence[Setting]) -> list[Found]:
    """Return trackintel's staypoints by the method "sliding", with the pings it counts to each."""
    points = gpd.points_from_xy(pings.lon_e7 / DEGREE_E7, pings.lat_e7 / DEGREE_E7, crs="EPSG:4326")
    tracked_at = pd.DatetimeIndex(pings.at_us.astype("datetime64[us]"), tz="UTC")
    columns = {"user_id": pings.device_id, "tracked_at": tracked_at}
    fixes = Positionfixes(gpd.GeoDataFrame(columns, geometry=points))
    return [_trackintel_stays(fixes, setting) for setting in settings]


def _trackintel_stays(fixes: Positionfixes, setting: Setting) -> Found:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labelled, stays = fixes.generate_staypoints(
            method="sliding",
            dist_threshold=setting.radius_m,
            time_threshold=setting.dwell_min,
            gap_threshold=gap_min(setting),
            include_last=setting.include_last,
        )
    is_stop = labelled["staypoint_id"].notna().reindex(fixes.index, fill_value=False).to_numpy(np.bool_)
    us = [stays[name].astype("datetime64[us, UTC]").astype("int64") for name in ("started_at", "finished_at")]
    return _in_order(is_stop, stays["user_id"].to_numpy(np.int64), *(column.to_numpy() for column in us))


def infostop_stays(pings: Pings, settings: Sequence[Setting]) -> list[Found]:
    """Return Infostop's stops, from its own environment.

    The radius is r1. r2 and Infomap only say which stops are the same place: with label_singleton, its
    default, they do not decide what is a stop.
    """
    asked: dict[str, Any] = {
        "device_id": pings.device_id,
        "at_s": pings.at_us / US_PER_S,
        "lat": pings.lat_e7 / DEGREE_E7,
        "lon": pings.lon_e7 / DEGREE_E7,
        "settings": np.array([(s.radius_m, s.dwell_min * 60, gap_min(s) * 60) for s in settings]),
    }
    with TemporaryDirectory(prefix="sojourn-infostop-") as folder:
        files = [Path(folder) / name for name in ("asked.npz", "answered.npz")]
        np.savez(files[0], **asked)
        subprocess.run([infostop_environment.python(), "-I", "-W", "ignore", WORKER, *files], check=True)
        labels = np.load(files[1])["labels"]
    return [_runs(pings, found, gap_min(setting) * 60) for found, setting in zip(labels, settings, strict=True)]


def _runs(pings: Pings, labels: NDArray[np.int32], gap_s: float) -> Found:
    """Return runs of one place, cut at silences, as Infostop's `compute_intervals` makes them."""
    is_new = np.ones(labels.size, np.bool_)
    is_new[1:] = np.diff(labels) != 0
    is_new[1:] |= (np.diff(pings.device_id) != 0) | (np.diff(pings.at_us) / US_PER_S >= gap_s)
    first = np.flatnonzero(is_new)
    last = np.append(first[1:] - 1, labels.size - 1)
    is_stay = labels[first] >= 0
    first, last = first[is_stay], last[is_stay]
    return Found(labels >= 0, pings.device_id[first], pings.at_us[first], pings.at_us[last])


def _in_order(is_stop: NDArray[np.bool_], *stays: NDArray[np.int64]) -> Found:
    order = np.lexsort((stays[1], stays[0]))
    return Found(is_stop, *(column[order] for column in stays))


def sojourn_stays(pings: Pings, **params: Any) -> Found:
    """Return Sojourn's stays by its own stages, as a run with these parameters of `stays` finds them."""
    first, last = (EPOCH + timedelta(days=int(at) // DAY_US) for at in (pings.at_us.min(), pings.at_us.max()))
    study = Study(name="accuracy", start=first, end=last, zone="UTC", sources=())
    chosen = {"pings": STAGES["pings"].params(), "stays": STAGES["stays"].params(**params)}
    stays = detect_stays(_rows(pings), study, chosen)
    columns = [stays[name].astype("int64").to_numpy() for name in ("device_id", "started_at", "finished_at")]
    return Found(labels_of(pings.device_id, pings.at_us, *columns), *columns)


def _rows(pings: Pings) -> pa.Table:
    """Return accepted rows as the stage `pings` makes them, in UTC."""
    offset_s = np.zeros(pings.device_id.size, np.int32)
    columns = dict(zip(PINGS.schema.names, [*pings, offset_s, offset_s.astype(np.bool_)], strict=True))
    columns["accuracy_m"] = pa.array(pings.accuracy_m, from_pandas=True)
    return pa.table(columns).cast(PINGS.schema)


def _no_reference() -> str | None:
    return None if is_installed() else "no reference environment: `sojourn reference install` makes it"


def _no_infostop() -> str | None:
    how = "`python -m tests.benchmarks.infostop_environment` makes it"
    return None if infostop_environment.is_installed() else f"no environment of Infostop: {how}"


PEERS = (
    Peer("fastmob", Setting(200, 20), fastmob_stays),
    Peer("scikit-mobility", Setting(200, 20), skmob_stays, _no_reference, same_as="fastmob"),
    Peer("trackintel", Setting(100, 5, 900, include_last=False), trackintel_stays, same_as="fastmob"),
    Peer("Infostop", Setting(10, 5, 86_400), infostop_stays, _no_infostop),
)
