"""`stays`: where and when each device stayed, date by date, with what a date leaves open."""

import itertools
import math
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from data_contracts import OPEN_STAYS, PINGS, STAYS
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.silences import midpoints, still_silences
from pipeline.kernels.stay_centroid import CentroidRules
from pipeline.kernels.stay_centroid_sweep import centroid_stays
from pipeline.kernels.stay_density import dense_stays
from pipeline.kernels.stay_geometry import Track
from pipeline.kernels.stays import Stays, detect_stays
from pipeline.open_stays import (
    LastPings,
    as_times,
    as_us,
    flat,
    objects,
    of_open_centroids,
    of_open_stays,
    open_stays_frame,
    to_last_pings,
    to_open_centroids,
    to_open_stays,
)
from pipeline.params import Params
from pipeline.stage import stage

DAY_US = 86_400_000_000
US_PER_S = 1_000_000
NEVER_US = np.iinfo(np.int64).max
"""A silence that never comes."""
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # Phones sampled by applications: bursts, long silences, positions that scatter by tens of metres.
    "app": {
        "dwell_s": 300.0,
        "dwell_s_per_m": 0.0,
        "bridge_s": 600.0,
        "far_bridge_s": 300.0,
        "infer_m": 100.0,
    },
    # Loggers that record every few seconds, and are off or asleep while nothing moves.
    "dense": {
        "edge_dwell_s": 120.0,
        "bridge_s": 120.0,
        "far_m": 200.0,
        "far_bridge_s": 300.0,
    },
    # Recalled from the literature on job loss and mobility, unverified: nothing bridged, nothing inferred.
    "literature": {
        "criterion": "diameter",
        "roam_m": 65.0,
        "dwell_s": 300.0,
        "infer_gap_s": 0.0,
        "skip_jumps": False,
    },
}


CENTRES = {
    "centroid": ("mean", "accuracy"),
    "diameter": ("mean", "median", "medoid"),
    "anchor": ("mean", "median", "medoid"),
    "density": ("mean",),
}


class StayParams(Params):
    """What a stay is. All values are ours unless said otherwise.

    Those of "centroid" were measured on simulated phones and on GeoLife's labelled trips
    (`tests/benchmarks/choose_stay_defaults.py`); no diary was used that they are judged on.
    """

    preset: Literal["default", "app", "dense", "literature"] = "default"
    """Kind of data whose values the fields below take where they are left out."""
    criterion: Literal["centroid", "diameter", "anchor", "density"] = "centroid"
    """All pings near the running mean of those before (ours, after Infostop), within `roam_m` of each
    other (Hariharan and Toyama 2004), near the first one (scikit-mobility, trackintel), or dense in place
    and time (after ST-DBSCAN and SeqScan)."""
    roam_m: float = Field(default=80.0, gt=0, le=50_000)
    """Roaming distance in metres."""
    dwell_s: float = Field(default=450.0, ge=1, allow_inf_nan=False)
    """Shortest stay in seconds, from the first to the last ping inside."""
    gap_s: float = Field(default=3600.0, gt=0)
    """A silence longer than this many seconds ends a stay; inf: silences never do."""
    centre: Literal["mean", "accuracy", "median", "medoid"] = "mean"
    """Centre of the pings. "accuracy" weighs them by one over the square of their accuracy radius ("centroid"
    only); median and medoid ("diameter" and "anchor" only) carry all pings of a stay open at midnight."""
    leaves_at_next_ping: bool = False
    """End a stay at the first ping outside, as the peers do, and not at the last one inside (not "density")."""
    skip_jumps: bool = True
    """Leave out pings flagged `is_jump`: no journey reaches them from the one before."""
    infer_gap_s: float = Field(default=86_400.0, ge=0)
    """A silence longer than `gap_s` and up to this many seconds, between two pings at one place, is taken
    for a stay marked `is_inferred`; 0: none is."""
    infer_m: float = Field(default=50.0, gt=0, le=50_000)
    """How far apart, in metres, the two pings about such a silence may be."""
    edge_dwell_s: float = Field(default=60.0, ge=1, allow_inf_nan=False)
    """"centroid": shortest stay beside a silence longer than `gap_s`, or at the start or end of the record,
    where only part of it was seen."""
    spread_m: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    """"centroid": mean distance of pings to the mean of those before, noise taken off, up to which `dwell_s`
    is enough."""
    dwell_s_per_m: float = Field(default=400.0, ge=0, allow_inf_nan=False)
    """"centroid": seconds that a stay must last longer for each metre beyond `spread_m`."""
    noise_share: float = Field(default=1.0, ge=0, le=1)
    """"centroid": share of the error stated by the pings' accuracy radii that is noise and no spread; pings
    that state none count as exact."""
    bridge_s: float = Field(default=300.0, ge=0, allow_inf_nan=False)
    """"centroid": how long, in seconds from its first ping outside, a device may be there and yet come back to
    the same stay."""
    bridge_share: float = Field(default=0.3, ge=0, le=1)
    """"centroid": as `bridge_s`, as a share of how long the stay has lasted, up to `max_bridge_s`."""
    max_bridge_s: float = Field(default=1800.0, ge=0, allow_inf_nan=False)
    """"centroid": the most that `bridge_share` can grow to, in seconds."""
    far_m: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    """"centroid": further than this from the mean, in metres, only `far_bridge_s` are bridged."""
    far_bridge_s: float = Field(default=180.0, ge=0, allow_inf_nan=False)
    """"centroid": how long, in seconds, a device may be further than `far_m` away and yet come back."""
    reach_s: float = Field(default=300.0, ge=20, le=7200)
    """"density": time before and after a ping, in seconds, of which `density_share` is spent within `roam_m`."""
    density_share: float = Field(default=0.5, gt=0, le=1)
    """"density": share of that time that makes a ping dense."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {**PRESETS.get(values.get("preset", "default"), {}), **values}

    @model_validator(mode="after")
    def _criterion_can(self) -> Self:
        if self.centre not in CENTRES[self.criterion]:
            raise ValueError(f'criterion "{self.criterion}" has centre {" or ".join(CENTRES[self.criterion])}')
        if self.criterion == "centroid" and not (
            self.edge_dwell_s <= self.dwell_s and self.bridge_s <= self.max_bridge_s and self.roam_m <= self.far_m
        ):
            raise ValueError("edge_dwell_s, bridge_s and roam_m must be at most dwell_s, max_bridge_s and far_m")
        if self.leaves_at_next_ping and self.criterion == "density":
            raise ValueError('criterion "density" knows no next ping to leave at')
        return self


@stage(reads=(PINGS,), writes=STAYS, carries=OPEN_STAYS, params=StayParams, needs=("day_end", "is_last"))
def stays(
    pings: pd.DataFrame, open_stays: pd.DataFrame, day_end: pd.Timestamp, is_last: bool, params: StayParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the stays known to be over by the end of a UTC date, and what may yet become one.

    Observed stays are found by the `criterion`: `kernels.stay_centroid_sweep.centroid_stays`,
    `kernels.stay_density.dense_stays` or `kernels.stays.detect_stays`. Inferred ones are long silences
    that end where they began (`kernels.silences.still_silences`): their two pings are counted, their
    centre lies half-way.
    Cutting a span into dates changes neither. A stay's offset from UTC is that of its first ping.
    """
    if params.skip_jumps and pings["is_jump"].any():
        pings = pings[~pings["is_jump"]]
    last = to_last_pings(open_stays)
    offsets = _Offsets(pings, open_stays, day_end)
    found, candidates = _observe(pings, open_stays, day_end, is_last, params)
    start_offset = offsets.of(found.device_id, found.started_at)
    observed = _frame(found._asdict() | {"utc_offset_s": start_offset}).assign(is_inferred=False)
    inferred = _frame(_infer(pings, last, params)).assign(is_inferred=True)
    # Observed stays last longer than no time, so none begins with the ping that begins a silence.
    rows = pd.concat([observed, inferred]).sort_values(["device_id", "started_at"], kind="stable")
    return rows, _left(candidates, _newest(pings, last), offsets, day_end, params)


def _observe(
    pings: pd.DataFrame, open_stays: pd.DataFrame, day_end: pd.Timestamp, is_last: bool, params: StayParams
) -> tuple[Stays, dict[str, np.ndarray]]:
    """Return the observed stays that close, and columns of the candidates still open."""
    device_id, day_end_us = pings["device_id"].to_numpy(), day_end.value // 1000
    track = Track(as_us(pings["tracked_at"]), pings["lon_e7"].to_numpy(), pings["lat_e7"].to_numpy())
    if params.criterion == "centroid":
        accuracy_m = pings["accuracy_m"].to_numpy(np.float32)
        carried = to_open_centroids(open_stays)
        found, centroids = centroid_stays(
            device_id, track, accuracy_m, carried, centroid_rules(params), day_end_us, is_last
        )
        return found, of_open_centroids(centroids)
    common: dict[str, Any] = {name: getattr(params, name) for name in ("roam_m", "dwell_s", "gap_s")}
    common |= {"day_end_us": day_end_us, "is_last": is_last}
    carried_stays = to_open_stays(open_stays)
    if params.criterion == "density":
        common |= {"reach_s": params.reach_s, "density_share": params.density_share}
        found, left = dense_stays(device_id, *track, carried_stays, **common)
    else:
        common |= {name: getattr(params, name) for name in ("criterion", "centre", "leaves_at_next_ping")}
        found, left = detect_stays(device_id, *track, carried_stays, **common)
    return found, of_open_stays(left)


def _us(seconds: float) -> int:
    return NEVER_US if seconds == math.inf else round(seconds * US_PER_S)


def centroid_rules(params: StayParams) -> CentroidRules:
    """Return the parameters of the scan about the running mean in its units."""
    return CentroidRules(
        roam_m=params.roam_m,
        dwell_us=_us(params.dwell_s),
        edge_dwell_us=_us(params.edge_dwell_s),
        gap_us=_us(params.gap_s),
        spread_m=params.spread_m,
        dwell_us_per_m=params.dwell_s_per_m * US_PER_S,
        noise_share=params.noise_share,
        bridge_us=_us(params.bridge_s),
        bridge_share=params.bridge_share,
        max_bridge_us=_us(params.max_bridge_s),
        far_m=params.far_m,
        far_bridge_us=_us(params.far_bridge_s),
        is_left_at_next_ping=params.leaves_at_next_ping,
        is_weighted=params.centre == "accuracy",
    )


def _of_pings(pings: pd.DataFrame, rows: np.ndarray) -> LastPings:
    """Return some pings of the date."""
    columns = (pings[name].to_numpy()[rows] for name in ("lon_e7", "lat_e7", "utc_offset_s"))
    return LastPings(pings["device_id"].to_numpy()[rows], as_us(pings["tracked_at"])[rows], *columns)


def _newest(pings: pd.DataFrame, last: LastPings) -> LastPings:
    """Return the last ping of every device, of the date or before it."""
    today = _of_pings(pings, group_starts(pings["device_id"].to_numpy())[1:] - 1)
    is_old = ~np.isin(last.device_id, today.device_id)
    both = [np.concatenate([mine, theirs[is_old]]) for mine, theirs in zip(today, last, strict=True)]
    order = np.argsort(both[0])
    return LastPings(*(column[order] for column in both))


def _infer(pings: pd.DataFrame, last: LastPings, params: StayParams) -> dict[str, np.ndarray]:
    """Return the stays inferred from silences that a ping of the date ends."""
    today = _of_pings(pings, np.arange(len(pings)))
    first = LastPings(*(column[group_starts(today.device_id)[:-1]] for column in today))
    _, old, new = np.intersect1d(last.device_id, first.device_id, assume_unique=True, return_indices=True)
    # From the last ping of an earlier date to the first of this one, device by device.
    pairs = LastPings(*(np.column_stack([a[old], b[new]]).ravel() for a, b in zip(last, first, strict=True)))
    parts = [_still(today, params), _still(pairs, params)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _still(pings: LastPings, params: StayParams) -> dict[str, np.ndarray]:
    """Return the stays inferred between consecutive pings."""
    device_id, at, lon_e7, lat_e7, utc_offset_s = pings
    rows = still_silences(device_id, at, lon_e7, lat_e7, _us(params.gap_s), _us(params.infer_gap_s), params.infer_m)
    lon, lat = midpoints(lon_e7, lat_e7, rows)
    return {
        "device_id": device_id[rows],
        "started_at": at[rows],
        "finished_at": at[rows + 1],
        "lon": lon,
        "lat": lat,
        "n_pings": np.full(rows.size, 2),
        "max_gap_s": (at[rows + 1] - at[rows]) / US_PER_S,
        "utc_offset_s": utc_offset_s[rows],
    }


class _Offsets:
    """Looks up the offset from UTC of a ping of the date, or of one that was carried here."""

    def __init__(self, pings: pd.DataFrame, open_stays: pd.DataFrame, day_end: pd.Timestamp) -> None:
        self._pings = pings
        self._day_start = (day_end - pd.Timedelta(days=1)).value // 1000
        device_id, at, offset = (open_stays[name].to_numpy() for name in ("device_id", "kept_at", "kept_utc_offset_s"))
        kept = (np.repeat(device_id, [len(found) for found in at]), flat(at), flat(offset))
        firsts = (device_id, as_us(open_stays["started_at"]), open_stays["utc_offset_s"].to_numpy())
        both = (np.concatenate(parts).astype(np.int64) for parts in zip(firsts, kept, strict=True))
        names = ("device_id", "at", "offset")
        self._carried = pd.DataFrame(dict(zip(names, both, strict=True))).drop_duplicates(["device_id", "at"])

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
        devices, numbers = self._today
        wanted = np.searchsorted(devices, device_id) * DAY_US + at - self._day_start
        return self._pings["utc_offset_s"].to_numpy()[np.searchsorted(numbers, wanted)]

    @cached_property
    def _today(self) -> tuple[np.ndarray, np.ndarray]:
        """The devices, and for each ping one number that rises with (device, time): the date is at most a day long."""
        start = group_starts(self._pings["device_id"].to_numpy())
        devices = self._pings["device_id"].to_numpy()[start[:-1]]
        codes = np.repeat(np.arange(devices.size), np.diff(start))
        return devices, codes * DAY_US + as_us(self._pings["tracked_at"]) - self._day_start


def _left(
    candidates: dict[str, np.ndarray], last: LastPings, offsets: _Offsets, day_end: pd.Timestamp, params: StayParams
) -> pd.DataFrame:
    """Return the open candidates, and the last ping of devices whose silence may yet be taken for a stay."""
    is_open = np.isin(last.device_id, candidates["device_id"])
    is_open |= day_end.value // 1000 - last.at <= _us(params.infer_gap_s)
    device_id, kept_at = candidates["device_id"], candidates["kept_at"]
    lengths = [len(at) for at in kept_at]
    every = flat(kept_at)
    # Corners of a hull are kept without their time; a stay's offset is that of its first ping alone.
    is_timed = every > 0
    kept_offset = np.zeros(every.size, np.int32)
    kept_offset[is_timed] = offsets.of(np.repeat(device_id, lengths)[is_timed], every[is_timed])
    start = np.append(0, np.cumsum(lengths)).astype(np.int64)
    candidates = candidates | {
        "kept_utc_offset_s": objects(kept_offset[a:b] for a, b in itertools.pairwise(start)),
        "utc_offset_s": offsets.of(device_id, candidates["started_at"]),
    }
    return open_stays_frame(candidates, LastPings(*(column[is_open] for column in last)))


def _frame(columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Return rows of STAYS but for how they were found, from times in µs."""
    return pd.DataFrame(columns | {name: as_times(columns[name]) for name in ("started_at", "finished_at")})
