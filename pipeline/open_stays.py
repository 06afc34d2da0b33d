"""The carried table `open_stays` as the stay kernels' flat arrays, and back."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from data_contracts import OPEN_STAYS
from pipeline.kernels.stay_centroid_sweep import OpenCentroids
from pipeline.kernels.stays import OpenStays

# Columns in the order of `stay_centroid.Candidate`.
INTS = (
    *("device_id", "anchor_lon_e7", "anchor_lat_e7", "started_at", "last_at", "n_pings", "max_gap_us"),
    *("sum_dlon_e7", "sum_dlat_e7", "is_cut"),
)
FLOATS = ("sum_distance", "sum_accuracy_m2", "sum_weight", "weighted_dlon", "weighted_dlat")
KEPT = {"kept_lon_e7": "i4", "kept_lat_e7": "i4", "kept_at": "i8", "kept_utc_offset_s": "i4", "kept_accuracy_m": "f4"}
TIMES = ("started_at", "last_at", "ping_at")
Columns = dict[str, np.ndarray]


class LastPings(NamedTuple):
    """The last ping of each device, in device order: times in µs, offsets from UTC in seconds."""

    device_id: np.ndarray
    at: np.ndarray
    lon_e7: np.ndarray
    lat_e7: np.ndarray
    utc_offset_s: np.ndarray


def as_us(times: pd.Series) -> np.ndarray:
    """Return times as µs since 1970."""
    return times.astype("int64").to_numpy()


def as_times(us: np.ndarray) -> pd.DatetimeIndex:
    """Return µs since 1970 as times in UTC."""
    return pd.DatetimeIndex(us.astype("datetime64[us]"), tz="UTC")


def _column(frame: pd.DataFrame, name: str) -> np.ndarray:
    return as_us(frame[name]) if name in TIMES else frame[name].to_numpy()


def _kept(frame: pd.DataFrame, name: str) -> np.ndarray:
    return np.concatenate([np.empty(0, KEPT[name]), *frame[name]])


def _kept_start(frame: pd.DataFrame) -> np.ndarray:
    return np.append(0, frame["kept_at"].map(len).to_numpy(dtype=np.int64).cumsum())


def to_open_stays(frame: pd.DataFrame) -> OpenStays:
    """Return the open candidates of the scans by diameter, anchor or density."""
    # By density, pings may be kept that are of no stay yet.
    frame = frame[(frame["n_pings"] > 0) | (frame["kept_at"].map(len) > 0)]
    names = ["device_id", "is_qualified", "anchor_lon_e7", "anchor_lat_e7", "started_at", "last_at"]
    names += ["n_pings", "max_gap_us", "sum_dlon_e7", "sum_dlat_e7"]
    columns = [_column(frame, name) for name in names]
    columns += [_kept_start(frame), *(_kept(frame, name) for name in ("kept_lon_e7", "kept_lat_e7", "kept_at"))]
    return OpenStays(*columns)


def to_open_centroids(frame: pd.DataFrame) -> OpenCentroids:
    """Return the open candidates of the scan about the running mean."""
    frame = frame[frame["n_pings"] > 0]
    ints = np.column_stack([_column(frame, name).astype(np.int64) for name in INTS])
    floats = np.column_stack([frame[name].to_numpy(float) for name in FLOATS])
    kept = (_kept(frame, n) for n in ("kept_lon_e7", "kept_lat_e7", "kept_at", "kept_accuracy_m"))
    return OpenCentroids(ints, floats, _kept_start(frame), *kept)


def to_last_pings(frame: pd.DataFrame) -> LastPings:
    """Return the last ping of every device in the table."""
    return LastPings(*(_column(frame, name) for name in _ping_names()))


def _ping_names() -> tuple[str, ...]:
    return "device_id", "ping_at", "ping_lon_e7", "ping_lat_e7", "ping_utc_offset_s"


def of_open_stays(left: OpenStays) -> Columns:
    """Return columns of the table from the scans by diameter, anchor or density."""
    columns: Columns = {
        "sum_dlon_e7" if name == "sum_dlon" else "sum_dlat_e7" if name == "sum_dlat" else name: values
        for name, values in left._asdict().items()
        if name != "kept_start" and not name.startswith("kept_")
    }
    kept = {name: getattr(left, name) for name in ("kept_lon_e7", "kept_lat_e7", "kept_at")}
    return columns | _as_lists(left.kept_start, kept)


def of_open_centroids(left: OpenCentroids) -> Columns:
    """Return columns of the table from the scan about the running mean."""
    columns: Columns = dict(zip(INTS, left.ints.T, strict=True)) | dict(zip(FLOATS, left.floats.T, strict=True))
    kept = {name: getattr(left, name) for name in ("kept_lon_e7", "kept_lat_e7", "kept_at", "kept_accuracy_m")}
    return columns | _as_lists(left.kept_start, kept)


def _as_lists(start: np.ndarray, flat: Columns) -> Columns:
    return {name: objects(values[a:b] for a, b in itertools.pairwise(start)) for name, values in flat.items()}


def flat(lists: Iterable[np.ndarray]) -> np.ndarray:
    """Return the whole numbers of some lists one after the other."""
    return np.concatenate([np.empty(0, np.int64), *lists])


def objects(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """Return arrays as the elements of one (numpy would make a matrix of those of one length)."""
    listed = list(arrays)
    column = np.empty(len(listed), object)
    for k, array in enumerate(listed):
        column[k] = array
    return column


def open_stays_frame(candidates: Columns, last: LastPings) -> pd.DataFrame:
    """Return the table: a row per device of `last`, its candidate where it has one.

    Every device with a candidate must be among `last`. What a scan does not use is zero or empty;
    times that are not there repeat the last ping's.
    """
    columns: Columns = dict(zip(_ping_names(), last, strict=True))
    place = np.searchsorted(last.device_id, candidates["device_id"])
    blank = {"started_at": last.at, "last_at": last.at, "utc_offset_s": last.utc_offset_s}
    blank |= {"anchor_lon_e7": last.lon_e7, "anchor_lat_e7": last.lat_e7}
    for field in OPEN_STAYS.schema:
        if field.name not in columns:
            columns[field.name] = _spread(field.name, candidates.get(field.name), place, last.at.size, blank)
    frame = pd.DataFrame({name: columns[name] for name in OPEN_STAYS.names})
    return frame.assign(**{name: as_times(columns[name]) for name in TIMES})


def _spread(name: str, values: np.ndarray | None, place: np.ndarray, n: int, blank: Columns) -> np.ndarray:
    """Return a column of n rows with `values` at rows `place`, blank elsewhere."""
    if name in KEPT:
        column = objects([np.empty(0, KEPT[name])] * n)
    else:
        dtype = "i8" if name in TIMES else OPEN_STAYS.column(name).dtype.to_pandas_dtype()
        column = blank[name].astype(dtype) if name in blank else np.zeros(n, dtype)
    if values is not None:
        column[place] = values
    return column
