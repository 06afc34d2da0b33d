"""`stays`: where and when each device stayed, date by date, with what a date leaves open."""

import itertools
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import OPEN_STAYS, PINGS, STAYS
from pipeline.kernels.stays import OpenStays, Stays, detect_stays
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.windows import group_starts

KEPT = ("kept_lon_e7", "kept_lat_e7", "kept_at")
DAY_US = 86_400_000_000


class StayParams(Params):
    """What a stay is. Defaults of distance and dwell are recalled from the literature, unverified."""

    criterion: Literal["diameter", "anchor"] = "diameter"
    """All pings within `roam_m` of each other (Hariharan and Toyama 2004), or of the first one."""
    roam_m: float = Field(default=65.0, gt=0)
    """Roaming distance in metres."""
    dwell_s: float = Field(default=300.0, gt=0)
    """Shortest stay in seconds, from the first to the last ping inside."""
    gap_s: float = Field(default=3600.0, gt=0)
    """A silence longer than this many seconds ends a stay (ours); inf: silences never do."""
    centre: Literal["mean", "median", "medoid"] = "mean"
    """Centre of the pings. Median and medoid carry all pings of a stay that is open at midnight."""
    leaves_at_next_ping: bool = False
    """End a stay at the first ping outside, as the peers do, and not at the last one inside."""


@stage(reads=(PINGS,), writes=STAYS, carries=OPEN_STAYS, params=StayParams, needs=("day_end", "is_last"))
def stays(
    pings: pd.DataFrame, open_stays: pd.DataFrame, day_end: pd.Timestamp, is_last: bool, params: StayParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the stays known to be over by the end of a UTC date, and the candidates still open.

    Stays are found by `kernels.stays.detect_stays`; cutting a span into dates does not change them.
    A stay's offset from UTC is that of its first ping.
    """
    found, left = detect_stays(
        pings["device_id"].to_numpy(),
        _as_us(pings["tracked_at"]),
        pings["lon_e7"].to_numpy(),
        pings["lat_e7"].to_numpy(),
        _to_kernel(open_stays),
        criterion=params.criterion,
        centre=params.centre,
        roam_m=params.roam_m,
        dwell_s=params.dwell_s,
        gap_s=params.gap_s,
        leaves_at_next_ping=params.leaves_at_next_ping,
        day_end_us=day_end.value // 1000,
        is_last=is_last,
    )
    offsets = _Offsets(pings, open_stays, day_end)
    return _stays_frame(found, offsets), _open_frame(left, offsets)


class _Offsets:
    """Looks up the offset from UTC of a ping of the date, or of one that was carried here."""

    def __init__(self, pings: pd.DataFrame, open_stays: pd.DataFrame, day_end: pd.Timestamp) -> None:
        self._pings = pings
        self._day_start = (day_end - pd.Timedelta(days=1)).value // 1000
        names = ["device_id", "at", "offset"]
        firsts = open_stays[["device_id", "started_at", "utc_offset_s"]].set_axis(names, axis=1)
        kept = open_stays[["device_id", "kept_at", "kept_utc_offset_s"]].set_axis(names, axis=1)
        known = [firsts.assign(at=_as_us(firsts["at"])), kept.explode(["at", "offset"]).dropna()]
        self._carried = pd.concat(known).astype("int64").drop_duplicates(["device_id", "at"])

    def of(self, device_id: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the offset in seconds (int32) of each ping named by device and time (µs)."""
        offsets = np.empty(at.size, np.int32)
        is_today = at >= self._day_start
        offsets[is_today] = self._of_today(device_id[is_today], at[is_today])
        earlier = pd.DataFrame({"device_id": device_id[~is_today], "at": at[~is_today]})
        if len(earlier):
            offsets[~is_today] = earlier.merge(self._carried, on=["device_id", "at"], how="left")["offset"]
        return offsets

    def _of_today(self, device_id: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Find the pings by one number that rises with (device, time): the date is at most a day long."""
        start = group_starts(self._pings["device_id"].to_numpy())
        devices = self._pings["device_id"].to_numpy()[start[:-1]]
        codes = np.repeat(np.arange(devices.size), np.diff(start))
        pings = codes * DAY_US + _as_us(self._pings["tracked_at"]) - self._day_start
        wanted = np.searchsorted(devices, device_id) * DAY_US + at - self._day_start
        return self._pings["utc_offset_s"].to_numpy()[np.searchsorted(pings, wanted)]


def _as_us(times: pd.Series) -> np.ndarray:
    return times.astype("int64").to_numpy()


def _as_times(us: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(us.astype("datetime64[us]"), tz="UTC")


def _to_kernel(open_stays: pd.DataFrame) -> OpenStays:
    """Return the carried table as the kernel's flat arrays."""
    lengths = open_stays["kept_at"].map(len).to_numpy(dtype=np.int64)
    kept = [
        np.concatenate([np.empty(0, t), *open_stays[name]]) for name, t in zip(KEPT, ("i4", "i4", "i8"), strict=True)
    ]
    return OpenStays(
        open_stays["device_id"].to_numpy(),
        open_stays["is_qualified"].to_numpy(dtype=bool),
        open_stays["anchor_lon_e7"].to_numpy(),
        open_stays["anchor_lat_e7"].to_numpy(),
        _as_us(open_stays["started_at"]),
        _as_us(open_stays["last_at"]),
        open_stays["n_pings"].to_numpy(),
        open_stays["max_gap_us"].to_numpy(),
        open_stays["sum_dlon_e7"].to_numpy(),
        open_stays["sum_dlat_e7"].to_numpy(),
        np.append(0, lengths.cumsum()),
        *kept,
    )


def _open_frame(left: OpenStays, offsets: _Offsets) -> pd.DataFrame:
    start = left.kept_start
    device = np.repeat(left.device_id, np.diff(start))
    # Corners of a hull are kept without their time; a stay's offset is that of its first ping alone.
    is_timed = left.kept_at > 0
    kept_offset = np.zeros(device.size, np.int32)
    kept_offset[is_timed] = offsets.of(device[is_timed], left.kept_at[is_timed])

    def lists(values: np.ndarray) -> list[np.ndarray]:
        return [values[a:b] for a, b in itertools.pairwise(start)]

    return pd.DataFrame(
        {
            "device_id": left.device_id,
            "is_qualified": left.is_qualified,
            "anchor_lon_e7": left.anchor_lon_e7,
            "anchor_lat_e7": left.anchor_lat_e7,
            "started_at": _as_times(left.started_at),
            "last_at": _as_times(left.last_at),
            "n_pings": left.n_pings,
            "max_gap_us": left.max_gap_us,
            "sum_dlon_e7": left.sum_dlon,
            "sum_dlat_e7": left.sum_dlat,
            "utc_offset_s": offsets.of(left.device_id, left.started_at),
            "kept_lon_e7": lists(left.kept_lon_e7),
            "kept_lat_e7": lists(left.kept_lat_e7),
            "kept_at": lists(left.kept_at),
            "kept_utc_offset_s": lists(kept_offset),
        }
    )


def _stays_frame(found: Stays, offsets: _Offsets) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "device_id": found.device_id,
            "started_at": _as_times(found.started_at),
            "finished_at": _as_times(found.finished_at),
            "lon": found.lon,
            "lat": found.lat,
            "utc_offset_s": offsets.of(found.device_id, found.started_at),
            "n_pings": found.n_pings,
            "max_gap_s": found.max_gap_s,
            "is_inferred": np.zeros(found.device_id.size, dtype=bool),
        }
    )
