"""`centroid_stays`: the scan about the running mean over the pings of many devices, date by date."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.kernels.stay_centroid import (
    ALL_READ,
    DEVICE,
    LAST,
    MAX_GAP,
    N_FLOATS,
    N_INTS,
    N_PINGS,
    STARTED,
    Candidate,
    CentroidRules,
    begin,
    centre_of,
    follow,
    is_stay,
)
from pipeline.kernels.stay_geometry import Track
from pipeline.kernels.stay_states import (
    DEVICES_UNSORTED,
    TIMES_GO_BACK,
    Stays,
    end_of_device,
    frozen,
    raise_unsorted,
    with_room,
)

INITIAL_ROWS = 1024


class OpenCentroids(NamedTuple):
    """Candidates that the next date continues, one row per device in device order.

    ``ints`` and ``floats`` are rows of `stay_centroid.Candidate`. Pings outside a candidate that may
    yet come back are ``kept_*[kept_start[i]:kept_start[i + 1]]``: at most those of the longest
    bridge, so that what is carried does not grow with a stay.
    """

    ints: NDArray[np.int64]
    floats: NDArray[np.float64]
    kept_start: NDArray[np.int64]
    kept_lon_e7: NDArray[np.int32]
    kept_lat_e7: NDArray[np.int32]
    kept_at: NDArray[np.int64]
    kept_accuracy_m: NDArray[np.float32]


class _Found(NamedTuple):
    """Rows filled so far: stays (ints, floats), open candidates (ints, floats), first ping each still needs."""

    stay_ints: NDArray[np.int64]
    stay_floats: NDArray[np.float64]
    open_ints: NDArray[np.int64]
    open_floats: NDArray[np.float64]
    open_pings: NDArray[np.int64]


def no_open_centroids() -> OpenCentroids:
    """Return the state before the first date: no device has an open candidate."""
    i4 = np.empty(0, np.int32)
    return OpenCentroids(
        np.empty((0, N_INTS), np.int64),
        np.empty((0, N_FLOATS)),
        np.zeros(1, np.int64),
        i4,
        i4,
        np.empty(0, np.int64),
        np.empty(0, np.float32),
    )


@kernel
def _add_stay(found: _Found, used: int, candidate: Candidate, finished: int) -> _Found:
    """Return the rows with the candidate as stay number `used`."""
    ints, floats = with_room(found.stay_ints, used, 1), with_room(found.stay_floats, used, 1)
    source = candidate.ints
    ints[used, 0], ints[used, 1], ints[used, 2] = source[DEVICE], source[STARTED], finished
    ints[used, 3], ints[used, 4] = source[N_PINGS], source[MAX_GAP]
    floats[used, 0], floats[used, 1] = centre_of(candidate)
    return _Found(ints, floats, found.open_ints, found.open_floats, found.open_pings)


@kernel
def _add_open(found: _Found, used: int, candidate: Candidate, first: int, stop: int) -> _Found:
    """Return the rows with the candidate as open number `used`, which needs pings first..stop-1."""
    ints, floats = with_room(found.open_ints, used, 1), with_room(found.open_floats, used, 1)
    pings = with_room(found.open_pings, used, 1)
    ints[used] = candidate.ints
    floats[used] = candidate.floats
    pings[used, 0], pings[used, 1] = first, stop
    return _Found(found.stay_ints, found.stay_floats, ints, floats, pings)


@kernel
def _sweep_device(
    device: int,
    track: Track,
    accuracy_m: NDArray[np.float32],
    lo: int,
    hi: int,
    candidate: Candidate,
    is_final: bool,
    rules: CentroidRules,
    found: _Found,
    n_stays: int,
    n_open: int,
) -> tuple[int, int, _Found]:
    """Return (stays, open candidates, rows) after the pings lo..hi-1 of one device.

    A candidate with pings is continued. `is_final`: no ping can come within the gap any more.
    """
    k, cut = lo, True
    while True:
        if candidate.ints[N_PINGS] == 0:
            if k == hi:
                return n_stays, n_open, found
            begin(candidate, device, track, accuracy_m, k, cut, rules)
            k += 1
        k, outside, why = follow(candidate, track, accuracy_m, k, hi, rules)
        if why == ALL_READ and not is_final:
            return n_stays, n_open + 1, _add_open(found, n_open, candidate, hi if outside < 0 else outside, hi)
        cut = outside < 0
        if is_stay(candidate, cut, rules):
            finished = candidate.ints[LAST]
            if rules.is_left_at_next_ping and not cut:
                finished = track.at[outside]
            found = _add_stay(found, n_stays, candidate, finished)
            n_stays += 1
        candidate.ints[N_PINGS] = 0
        k = k if cut else outside


@kernel
def _sweep(
    device_id: NDArray[np.int64],
    track: Track,
    accuracy_m: NDArray[np.float32],
    open_ints: NDArray[np.int64],
    open_floats: NDArray[np.float64],
    rules: CentroidRules,
    day_end_us: int,
    is_last: bool,
) -> tuple[int, int, _Found]:
    """Return (stays or an error, open candidates, rows), device by device."""
    found = _Found(
        np.empty((INITIAL_ROWS, 5), np.int64),
        np.empty((INITIAL_ROWS, 2)),
        np.empty((INITIAL_ROWS, N_INTS), np.int64),
        np.empty((INITIAL_ROWS, N_FLOATS)),
        np.empty((INITIAL_ROWS, 2), np.int64),
    )
    candidate = Candidate(np.zeros(N_INTS, np.int64), np.zeros(N_FLOATS))
    n, n_carried = device_id.size, open_ints.shape[0]
    n_stays = n_open = lo = row = 0
    while lo < n or row < n_carried:
        hi = lo
        candidate.ints[:] = 0
        if row < n_carried and (lo == n or open_ints[row, DEVICE] <= device_id[lo]):
            candidate.ints[:] = open_ints[row]
            candidate.floats[:] = open_floats[row]
            row += 1
        device = candidate.ints[DEVICE] if candidate.ints[N_PINGS] > 0 else device_id[lo]
        newest = candidate.ints[LAST]
        if lo < n and device_id[lo] == device:
            hi = end_of_device(device_id, track.at, lo)
            if hi < 0 or (candidate.ints[N_PINGS] > 0 and track.at[lo] < newest):
                return TIMES_GO_BACK, 0, found
            if hi < n and device_id[hi] < device:
                return DEVICES_UNSORTED, 0, found
            newest = track.at[hi - 1]
        is_final = is_last or day_end_us - newest > rules.gap_us
        n_stays, n_open, found = _sweep_device(
            device, track, accuracy_m, lo, hi, candidate, is_final, rules, found, n_stays, n_open
        )
        lo = hi
    return n_stays, n_open, found


def _with_kept(
    device_id: NDArray[np.int64], track: Track, accuracy_m: NDArray[np.float32], still_open: OpenCentroids
) -> tuple[NDArray[np.int64], Track, NDArray[np.float32]]:
    """Return the pings with the kept ones put before those of the same device."""
    kept_id = np.repeat(still_open.ints[:, DEVICE], np.diff(still_open.kept_start))
    if not kept_id.size:
        return device_id, track, accuracy_m
    place = np.searchsorted(device_id, kept_id, side="left")
    kept = (still_open.kept_at, still_open.kept_lon_e7, still_open.kept_lat_e7)
    merged = Track(*(np.insert(mine, place, theirs) for mine, theirs in zip(track, kept, strict=True)))
    if accuracy_m.size < device_id.size:  # no ping of this date states any
        accuracy_m = np.full(device_id.size, np.nan, np.float32)
    return np.insert(device_id, place, kept_id), merged, np.insert(accuracy_m, place, still_open.kept_accuracy_m)


def centroid_stays(
    device_id: NDArray[np.int64],
    track: Track,
    accuracy_m: NDArray[np.float32] | None,
    open_centroids: OpenCentroids,
    rules: CentroidRules,
    day_end_us: int,
    is_last: bool,
) -> tuple[Stays, OpenCentroids]:
    """Return the stays about their mean that close with these pings, and the candidates still open.

    Pings, `day_end_us`, `is_last` and errors are those of `stays.detect_stays`; the rules are taken as
    they are. `accuracy_m` (metres, NaN where not stated; None where no ping states any) tells noise from
    movement and, with `rules.is_weighted`, weighs the pings of a centre (`weight_of`).
    """
    accuracy = np.empty(0, np.float32) if accuracy_m is None else np.ascontiguousarray(accuracy_m, np.float32)
    if accuracy_m is None and rules.is_weighted:
        accuracy = np.full(device_id.size, np.nan, np.float32)
    if not device_id.shape == track.at.shape == track.lon_e7.shape == track.lat_e7.shape:
        raise ValueError("device_id and the columns of track must have the same length")
    if accuracy.size not in (0, device_id.size):
        raise ValueError("accuracy_m must have a value for each ping")
    device_id, track, accuracy = _with_kept(device_id, track, accuracy, open_centroids)
    device_id, accuracy = frozen(device_id, np.int64), frozen(accuracy, np.float32)
    track = Track(frozen(track.at, np.int64), frozen(track.lon_e7, np.int32), frozen(track.lat_e7, np.int32))
    n_stays, n_open, found = _sweep(
        device_id,
        track,
        accuracy,
        np.ascontiguousarray(open_centroids.ints),
        np.ascontiguousarray(open_centroids.floats),
        rules,
        int(day_end_us),
        bool(is_last),
    )
    raise_unsorted(n_stays)
    still_open = _as_open(found, n_open, track, accuracy)
    return Stays.from_rows(found.stay_ints[:n_stays], found.stay_floats[:n_stays]), still_open


def _as_open(found: _Found, n_open: int, track: Track, accuracy_m: NDArray[np.float32]) -> OpenCentroids:
    """Return the open candidates with the pings they still need."""
    first, stop = found.open_pings[:n_open].T
    start = np.concatenate([[0], np.cumsum(stop - first)]).astype(np.int64)
    rows = np.repeat(first - start[:-1], stop - first) + np.arange(start[-1])
    accuracy = accuracy_m[rows] if accuracy_m.size else np.full(rows.size, np.nan, np.float32)
    return OpenCentroids(
        found.open_ints[:n_open].copy(),
        found.open_floats[:n_open].copy(),
        start,
        track.lon_e7[rows],
        track.lat_e7[rows],
        track.at[rows],
        accuracy,
    )
