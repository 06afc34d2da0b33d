"""What the stay kernels take and give: stays, and the candidates that one date leaves to the next."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.stay_geometry import Track
from pipeline.kernels.stay_scans import FIRST, N_FIELDS

US_PER_S = 1_000_000
DEVICES_UNSORTED, TIMES_GO_BACK = -1, -2


class Stays(NamedTuple):
    """Closed stays sorted by (device_id, started_at): times int64 µs, lon and lat float64 degrees.

    ``n_pings`` is int64; ``max_gap_s`` (float64) is the longest silence inside the stay, which is
    the most that was bridged without observation in one piece.
    """

    device_id: NDArray[np.int64]
    started_at: NDArray[np.int64]
    finished_at: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    n_pings: NDArray[np.int64]
    max_gap_s: NDArray[np.float64]

    @classmethod
    def from_rows(cls, ints: NDArray[np.int64], floats: NDArray[np.float64]) -> Self:
        """Return the columns of rows (device, started, finished, pings, longest silence in µs) and (lon, lat)."""
        columns = [np.ascontiguousarray(column) for column in ints.T]
        lon, lat = (np.ascontiguousarray(column) for column in floats.T)
        return cls(columns[0], columns[1], columns[2], lon, lat, columns[3], columns[4] / US_PER_S)


class OpenStays(NamedTuple):
    """Candidates that the next date continues, one row per device in device order.

    Times are int64 µs, positions int32 of 1e-7 degrees; the sums are integer offsets from the
    anchor, which is the first ping. ``kept_*[kept_start[i]:kept_start[i + 1]]`` are the pings that
    row i still needs: none for criterion "anchor" with centre "mean"; the corners of the hull for
    a qualified stay with "diameter" and "mean" (their ``kept_at`` is 0); the pings of the last few
    reaches by density; all pings so far in every other case, which for "median" and "medoid" grows
    with the stay.
    """

    device_id: NDArray[np.int64]
    is_qualified: NDArray[np.bool_]
    anchor_lon_e7: NDArray[np.int32]
    anchor_lat_e7: NDArray[np.int32]
    started_at: NDArray[np.int64]
    last_at: NDArray[np.int64]
    n_pings: NDArray[np.int64]
    max_gap_us: NDArray[np.int64]
    sum_dlon: NDArray[np.int64]
    sum_dlat: NDArray[np.int64]
    kept_start: NDArray[np.int64]
    kept_lon_e7: NDArray[np.int32]
    kept_lat_e7: NDArray[np.int32]
    kept_at: NDArray[np.int64]


class CarriedRows(NamedTuple):
    """Open candidates as the sweep holds them: candidate fields, and (at, lon_e7, lat_e7) kept pings."""

    fields: NDArray[np.int64]
    kept_start: NDArray[np.int64]
    kept: NDArray[np.int64]


@kernel
def with_room(table: NDArray, used: int, extra: int) -> NDArray:
    """Return `table`, or a larger copy of its first `used` rows, with room for `extra` more."""
    if used + extra <= table.shape[0]:
        return table
    larger = np.empty((max(2 * table.shape[0], used + extra), table.shape[1]), table.dtype)
    larger[:used] = table[:used]
    return larger


@kernel
def end_of_device(device_id: NDArray[np.int64], at: NDArray[np.int64], lo: int) -> int:
    """Return one past the last ping of the device of ping `lo`, or -1 if its times go back."""
    hi = lo + 1
    while hi < device_id.size and device_id[hi] == device_id[lo]:
        if at[hi] < at[hi - 1]:
            return -1
        hi += 1
    return hi


def frozen(values: NDArray, dtype: type) -> NDArray:
    """Return a contiguous read-only view (a copy if need be), so that one compiled kernel serves all."""
    view: NDArray = np.ascontiguousarray(values, dtype).view()
    view.flags.writeable = False
    return view


def raise_unsorted(code: int) -> None:
    """ValueError where a sweep returned an error in place of a number of stays."""
    if code == DEVICES_UNSORTED:
        raise ValueError("pings are not sorted by device_id")
    if code == TIMES_GO_BACK:
        raise ValueError("tracked_at_us goes back within a device, or behind its open stay")


def no_open_stays() -> OpenStays:
    """Return the state before the first date: no device has an open candidate."""
    return OpenStays(
        device_id=np.empty(0, np.int64),
        is_qualified=np.empty(0, np.bool_),
        anchor_lon_e7=np.empty(0, np.int32),
        anchor_lat_e7=np.empty(0, np.int32),
        started_at=np.empty(0, np.int64),
        last_at=np.empty(0, np.int64),
        n_pings=np.empty(0, np.int64),
        max_gap_us=np.empty(0, np.int64),
        sum_dlon=np.empty(0, np.int64),
        sum_dlat=np.empty(0, np.int64),
        kept_start=np.zeros(1, np.int64),
        kept_lon_e7=np.empty(0, np.int32),
        kept_lat_e7=np.empty(0, np.int32),
        kept_at=np.empty(0, np.int64),
    )


def with_kept_pings(
    device_id: NDArray[np.int64], track: Track, open_stays: OpenStays, is_raw: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Track]:
    """Return the pings with the kept pings of the raw rows put before those of the same device."""
    counts = np.diff(open_stays.kept_start)
    is_kept = np.repeat(is_raw, counts)
    if not is_kept.any():
        return device_id, track
    kept_id = np.repeat(open_stays.device_id, counts)[is_kept]
    place = np.searchsorted(device_id, kept_id, side="left")
    kept = (open_stays.kept_at, open_stays.kept_lon_e7, open_stays.kept_lat_e7)
    merged = (np.insert(mine, place, theirs[is_kept]) for mine, theirs in zip(track, kept, strict=True))
    return np.insert(device_id, place, kept_id), Track(*merged)


def carried_rows(open_stays: OpenStays, is_compact: NDArray[np.bool_]) -> CarriedRows:
    """Return the rows that go on from their running totals."""
    o = open_stays
    n = o.device_id.size
    columns: list[NDArray] = [o.device_id, o.anchor_lon_e7, o.anchor_lat_e7, o.started_at, o.last_at]
    columns += [o.n_pings, o.max_gap_us, o.sum_dlon, o.sum_dlat]
    fields = np.zeros((n, N_FIELDS), np.int64)
    fields[:, : len(columns)] = np.column_stack([np.asarray(column, np.int64) for column in columns])
    counts = np.diff(o.kept_start)
    kept = np.column_stack([o.kept_at, o.kept_lon_e7, o.kept_lat_e7]).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(counts[is_compact])]).astype(np.int64)
    return CarriedRows(fields[is_compact], start, kept[np.repeat(is_compact, counts)])


def as_open_stays(still_open: CarriedRows, n_open: int, dwell_us: int) -> OpenStays:
    """Return the sweep's open candidates as flat columns."""
    kept_start = still_open.kept_start[: n_open + 1].copy()
    kept = still_open.kept[: kept_start[-1]]
    columns = [np.ascontiguousarray(column) for column in still_open.fields[:n_open].T]
    device_id, lon, lat, started, last, n_pings, max_gap, sum_u, sum_v = columns[:FIRST]
    return OpenStays(
        device_id=device_id,
        is_qualified=last - started >= dwell_us,
        anchor_lon_e7=lon.astype(np.int32),
        anchor_lat_e7=lat.astype(np.int32),
        started_at=started,
        last_at=last,
        n_pings=n_pings,
        max_gap_us=max_gap,
        sum_dlon=sum_u,
        sum_dlat=sum_v,
        kept_start=kept_start,
        kept_lon_e7=kept[:, 1].astype(np.int32),
        kept_lat_e7=kept[:, 2].astype(np.int32),
        kept_at=kept[:, 0].copy(),
    )
