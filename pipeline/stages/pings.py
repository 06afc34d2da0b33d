"""`pings`: accepted GPS fixes. Every row read is either accepted or refused with the first rule it breaks.

Frames in and out are pyarrow Tables, not pandas frames: rows arrive by the million and most columns
pass through untouched.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import timezonefinder
from numpy.typing import NDArray
from pydantic import Field

from data_contracts import PINGS, RAW_PINGS, REASONS, REJECTED_PINGS
from pipeline.kernels.jumps import jumps
from pipeline.kernels.ordering import radix_order
from pipeline.kernels.quarters import by_quarter
from pipeline.params import Params
from pipeline.stage import stage

ACCEPTED = len(REASONS)
CODE = {reason: code for code, reason in enumerate(REASONS)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
US_PER_S = 1_000_000
DAY_US = 86_400 * US_PER_S
DEGREE_E7 = 10_000_000
ANTIMERIDIAN_E7 = 1_800_000_000
MAX_OFFSET_S = int(PINGS.column("utc_offset_s").maximum or 0)
MAX_KEY_BITS = 63
ROW = pa.schema([field for field in PINGS.schema if field.name != "is_jump"])


class PingParams(Params):
    """Which rows are refused and which pings are flagged. All defaults are ours."""

    max_accuracy_m: float | None = Field(default=None, gt=0)
    """Metres; a row that states a larger accuracy radius is refused, one that states none is kept.
    None keeps all, since no radius suits every use and what is refused cannot be had back later."""
    null_island_deg: float = Field(default=0.01, ge=0)
    """Degrees; a row nearer than this to 0, 0 in both coordinates is refused: about 1 km of open sea,
    where software puts fixes that failed. 0 refuses none."""
    max_speed_mps: float = Field(default=100.0, gt=0)
    """Metres per second; pings reached faster are flagged `is_jump` and kept. 360 km/h: above the
    fastest trains in service, below airliners, whose flights are flagged with the faults."""
    zone_cell_deg: float = Field(default=0.05, gt=0, le=1)
    """Degrees; with ``zone_from_coordinates`` one time zone holds for a cell of this width (5.6 km
    north to south), that of its centre."""


def merge_pings(rows: pa.Table, params: PingParams) -> pa.Table:
    """Return the PINGS of one UTC date and bucket from all rows accepted for it, old and new.

    `rows` has the columns of PINGS in any order of rows; `is_jump` is ignored if present. Rows alike
    in device, time and position are one ping: the one with the smallest accuracy radius (none
    stated counts as largest), then the smallest offset. So any order of rows, any repetition and
    any succession of merges gives the same table.
    """
    device_id, at_us = rows["device_id"].to_numpy(), _as_us(rows["tracked_at"])
    lon_e7, lat_e7 = rows["lon_e7"].to_numpy(), rows["lat_e7"].to_numpy()
    # Adding zero turns -0.0 into 0.0: they compare as one value, and the same bytes must be kept.
    accuracy_m, offset_s = rows["accuracy_m"].to_numpy() + np.float32(0), rows["utc_offset_s"].to_numpy()
    order, is_tied = _order_by_time(device_id, at_us)
    if is_tied.any():
        columns = (lon_e7, lat_e7, accuracy_m, offset_s)
        order, is_tied = _drop_copies(order, is_tied, columns)
        order = _order_ties(order, is_tied, columns)
        order = order[_is_first(order, is_tied, lon_e7, lat_e7)]
    device_id, at_us = device_id.take(order), at_us.take(order)
    lon_e7, lat_e7 = lon_e7.take(order), lat_e7.take(order)
    accuracy_m, offset_s = accuracy_m.take(order), offset_s.take(order)
    is_jump = jumps(device_id, at_us, lon_e7, lat_e7, params.max_speed_mps)
    tracked_at = pa.array(at_us).cast(ROW.field("tracked_at").type)
    arrays = [
        device_id,
        tracked_at,
        lon_e7,
        lat_e7,
        pa.array(accuracy_m, from_pandas=True),
        offset_s,
        is_jump,
    ]
    return pa.Table.from_arrays([pa.array(values) for values in arrays], schema=PINGS.schema)


@stage(
    reads=(RAW_PINGS,),
    writes=PINGS,
    rejects=REJECTED_PINGS,
    params=PingParams,
    finish=merge_pings,
    needs=("study",),
)
def pings(raw_pings: pa.Table, study: Any, params: PingParams) -> tuple[pa.Table, pa.Table]:
    """Return (accepted, rejected) rows of a block of RAW_PINGS.

    Accepted rows have the columns of PINGS but `is_jump`, which `merge_pings` adds, in the order
    read; rejected ones `row_number` and `reason`. Positions are rounded to 1e-7 degrees, and
    longitude 180 becomes -180, so that a place has one key. An offset the row does not state is
    that of the study's zone, or with ``study.zone_from_coordinates`` of the zone at the position.
    """
    reason = _find_reasons(raw_pings, study, params)
    is_accepted = reason == ACCEPTED
    good = raw_pings if is_accepted.all() else raw_pings.filter(pa.array(is_accepted))
    lon_e7, lat_e7 = (np.rint(good[name].to_numpy() * DEGREE_E7).astype(np.int32) for name in ("lon", "lat"))
    lon_e7[lon_e7 == ANTIMERIDIAN_E7] = -ANTIMERIDIAN_E7
    offset_s = _offsets(good, lon_e7, lat_e7, study, params)
    columns = [good["device_id"], good["tracked_at"], lon_e7, lat_e7, good["accuracy_m"], offset_s]
    accepted = pa.table(dict(zip(ROW.names, columns, strict=True)), schema=ROW)
    refused = np.flatnonzero(~is_accepted)
    rejected = pa.table(
        {
            "row_number": raw_pings["row_number"].take(pa.array(refused)),
            "reason": pa.array(REASONS, pa.string()).take(pa.array(reason[refused])),
        }
    )
    return accepted, rejected


def _find_reasons(raw: pa.Table, study: Any, params: PingParams) -> NDArray[np.uint8]:
    """Return the index in REASONS of the first rule each row breaks, ACCEPTED where it breaks none."""
    reason = np.full(raw.num_rows, ACCEPTED, np.uint8)
    fault = _fault_codes(raw["fault"])
    for name, is_broken in (
        ("missing_device", _is_null(raw["device_id"])),
        ("missing_time", _is_null(raw["tracked_at"], fault, "bad_time")),
        ("missing_position", _is_null(raw["lon"], fault, "bad_position")),
        ("missing_position", _is_null(raw["lat"], fault, "bad_position")),
        ("latitude_out_of_range", _is_outside(raw["lat"], -90.0, 90.0)),
        ("longitude_out_of_range", _is_outside(raw["lon"], -180.0, 180.0)),
        ("null_island", _is_null_island(raw["lon"], raw["lat"], params.null_island_deg)),
        (
            "outside_study",
            _is_outside(_clock(raw["tracked_at"]), _start_us(study.start), _start_us(study.end) + DAY_US - 1),
        ),
        ("bad_accuracy", _is_outside(raw["accuracy_m"], 0.0, float(np.finfo(np.float32).max))),
        ("poor_accuracy", _is_outside(raw["accuracy_m"], -np.inf, params.max_accuracy_m or np.inf)),
        ("bad_utc_offset", _is_outside(raw["utc_offset_s"], -MAX_OFFSET_S, MAX_OFFSET_S)),
    ):
        if is_broken is not None:
            reason[is_broken & (reason > CODE[name])] = CODE[name]
    if fault is None:
        return reason
    # Of a malformed row nothing was read, so that nothing else about it can be missing.
    return np.where(fault == CODE["malformed_row"], fault, np.minimum(reason, fault))


def _fault_codes(faults: pa.ChunkedArray) -> NDArray[np.uint8] | None:
    """Return the index in REASONS of each row's fault, ACCEPTED for none; None where no row has one."""
    if faults.null_count == len(faults):
        return None
    codes = pc.fill_null(pc.index_in(faults, pa.array(REASONS, faults.type)), ACCEPTED)
    return codes.to_numpy().astype(np.uint8)


def _is_null(
    column: pa.ChunkedArray, fault: NDArray[np.uint8] | None = None, unless: str | None = None
) -> NDArray[np.bool_] | None:
    """Return which rows have no value, not counting those where the reader could not read one."""
    if not column.null_count:
        return None
    is_null = column.is_null().to_numpy()
    return is_null if fault is None or unless is None else is_null & (fault != CODE[unless])


def _is_outside(column: pa.ChunkedArray, low: float, high: float) -> NDArray[np.bool_] | None:
    """Return which rows have a value below `low` or above `high`; None, and quickly, where none has."""
    bounds = pc.min_max(column).as_py()
    if bounds["min"] is None or (low <= bounds["min"] and bounds["max"] <= high):
        return None
    is_inside = pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))
    return pc.invert(is_inside).fill_null(False).to_numpy()


def _is_null_island(lon: pa.ChunkedArray, lat: pa.ChunkedArray, within_deg: float) -> NDArray[np.bool_] | None:
    """Return which rows are nearer than `within_deg` to 0, 0; None, and quickly, where none can be."""
    for column in (lon, lat):
        bounds = pc.min_max(column).as_py()
        if bounds["min"] is None or bounds["min"] >= within_deg or bounds["max"] <= -within_deg:
            return None
    # A null compares as null: not on the island.
    is_near = pc.and_(pc.less(pc.abs(lon), within_deg), pc.less(pc.abs(lat), within_deg))
    return is_near.fill_null(False).to_numpy()


def _clock(tracked_at: pa.ChunkedArray) -> pa.ChunkedArray:
    return tracked_at.cast(pa.int64())


def _as_us(tracked_at: pa.ChunkedArray) -> NDArray[np.int64]:
    return _clock(tracked_at).to_numpy()


def _start_us(day: date) -> int:
    return (day - EPOCH.date()).days * DAY_US


def _offsets(
    good: pa.Table, lon_e7: NDArray[np.int32], lat_e7: NDArray[np.int32], study: Any, params: PingParams
) -> pa.Array | pa.ChunkedArray:
    """Return local time minus UTC in seconds of accepted rows."""
    stated = good["utc_offset_s"]
    if not stated.null_count:
        return stated
    at_us = _as_us(good["tracked_at"])
    if study.zone_from_coordinates:
        offsets = _offsets_at(at_us, lon_e7, lat_e7, study.zone, params.zone_cell_deg)
    else:
        offsets = _offsets_in(at_us, study.zone)
    return pa.array(offsets) if stated.null_count == len(stated) else pc.coalesce(stated, pa.array(offsets))


def _offsets_in(at_us: NDArray[np.int64], zone: str) -> NDArray[np.int32]:
    """Return the offset of one zone at each instant."""
    info = ZoneInfo(zone)

    def find(us: int) -> int:
        return int((EPOCH + timedelta(microseconds=us)).astimezone(info).utcoffset().total_seconds())  # type: ignore[union-attr]

    return by_quarter(at_us, find).astype(np.int32)


def _offsets_at(
    at_us: NDArray[np.int64],
    lon_e7: NDArray[np.int32],
    lat_e7: NDArray[np.int32],
    otherwise: str,
    cell_deg: float,
) -> NDArray[np.int32]:
    """Return the offset at each instant of the zone at each position, looked up once per cell."""
    cell_e7 = round(cell_deg * DEGREE_E7)
    column, row = lon_e7 // cell_e7, lat_e7 // cell_e7
    codes, cells = pd.factorize((column.astype(np.int64) << 32) + row)
    rows_of = cells & 0xFFFFFFFF
    rows_of = np.where(rows_of >= 1 << 31, rows_of - (1 << 32), rows_of)
    columns_of = (cells - rows_of) >> 32
    zones = [_zone_of_cell(int(c), int(r), cell_e7) or otherwise for c, r in zip(columns_of, rows_of, strict=True)]
    zone_codes, names = pd.factorize(np.array(zones, dtype=object))
    zone_of_row = zone_codes[codes]
    offsets = np.zeros(len(at_us), np.int32)
    for k, name in enumerate(names):
        is_here = zone_of_row == k
        offsets[is_here] = _offsets_in(at_us[is_here], name)
    return offsets


@lru_cache(maxsize=1 << 18)
def _zone_of_cell(column: int, row: int, cell_e7: int) -> str | None:
    """Return the IANA zone at the centre of a cell, None where there is none."""
    lon = min((column + 0.5) * cell_e7 / DEGREE_E7, 180.0)
    lat = min((row + 0.5) * cell_e7 / DEGREE_E7, 90.0)
    return timezonefinder.timezone_at(lng=max(lon, -180.0), lat=max(lat, -90.0))


def _order_by_time(
    device_id: NDArray[np.int64], at_us: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return (order by device and time, which places in it tie with the one before)."""
    codes, devices = pd.factorize(device_id)
    rank = np.empty(len(devices), np.uint64)
    rank[np.argsort(devices)] = np.arange(len(devices), dtype=np.uint64)
    first = at_us.min() if len(at_us) else np.int64(0)
    time_bits = int(at_us.max() - first).bit_length() if len(at_us) else 0
    n_bits = time_bits + len(devices).bit_length()
    if n_bits > MAX_KEY_BITS:  # not within one date, for which 2**26 devices fit
        order = np.lexsort((at_us, device_id)).astype(np.int32)
        is_tied = (np.diff(at_us[order]) == 0) & (np.diff(device_id[order]) == 0)
        return order, np.concatenate([[False], is_tied])
    keys, order = radix_order((rank.take(codes) << np.uint64(time_bits)) | (at_us - first).view(np.uint64), n_bits)
    is_tied = np.zeros(len(keys), np.bool_)
    np.equal(keys[1:], keys[:-1], out=is_tied[1:])
    return order, is_tied


def _drop_copies(
    order: NDArray[np.int32], is_tied: NDArray[np.bool_], columns: tuple[NDArray[Any], ...]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return `order` and `is_tied` without rows that repeat the one before them in every column.

    Only saves time: overlapping deliveries repeat most rows, and the sort of ties is slow.
    """
    places = np.flatnonzero(is_tied)
    here, before = order[places], order[places - 1]
    is_copy = np.ones(len(places), np.bool_)
    for column in columns:
        bits = column.view(np.int32)  # NaN equals itself
        is_copy &= bits[here] == bits[before]
    is_kept = np.ones(len(order), np.bool_)
    is_kept[places[is_copy]] = False
    return order[is_kept], is_tied[is_kept]


def _order_ties(
    order: NDArray[np.int32], is_tied: NDArray[np.bool_], columns: tuple[NDArray[Any], ...]
) -> NDArray[np.int32]:
    """Return `order` with the rows that tie put in the order of `columns`, NaN last."""
    is_in_run = is_tied.copy()
    is_in_run[:-1] |= is_tied[1:]
    places = np.flatnonzero(is_in_run)
    run = np.cumsum(~is_tied[places])
    rows = order[places]
    by_columns = np.lexsort((*(column.take(rows) for column in reversed(columns)), run))
    order = order.copy()
    order[places] = rows[by_columns]
    return order


def _is_first(
    order: NDArray[np.int32], is_tied: NDArray[np.bool_], lon_e7: NDArray[np.int32], lat_e7: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Return which places of `order` do not repeat the position of the tying row before them."""
    places = np.flatnonzero(is_tied)
    here, before = order[places], order[places - 1]
    is_first = np.ones(len(order), np.bool_)
    is_first[places] = (lon_e7[here] != lon_e7[before]) | (lat_e7[here] != lat_e7[before])
    return is_first
