"""The candidates that one date leaves to the next: as flat columns, and as the kernel's rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.stay_geometry import Track
from pipeline.kernels.stay_scans import FIRST, N_FIELDS


class OpenStays(NamedTuple):
    """Candidates that the next date continues, one row per device in device order.

    Times are int64 µs, positions int32 of 1e-7 degrees; the sums are integer offsets from the
    anchor, which is the first ping. ``kept_*[kept_start[i]:kept_start[i + 1]]`` are the pings that
    row i still needs: none for criterion "anchor" with centre "mean"; the corners of the hull for
    a qualified stay with "diameter" and "mean" (their ``kept_at`` is 0); all pings so far in every
    other case, which for "median" and "medoid" grows with the stay.
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
