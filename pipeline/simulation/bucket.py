"""One bucket of the city in memory: its pings as a vendor sells them and the truth behind them."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import faults
from pipeline.simulation.city import SECTORS, City, build_city, degrees_of
from pipeline.simulation.clock import Clock, offset_at, study_clock
from pipeline.simulation.params import CityParams
from pipeline.simulation.people import People, device_ids, draw_people, persons_of
from pipeline.simulation.sampling import Pings, draw_pings
from pipeline.simulation.schedules import PURPOSES, Diaries, draw_diaries

_UTC = pa.timestamp("us", tz="UTC")


class SimulatedBucket(NamedTuple):
    """Pings and truth of the people of one bucket; see ``simulate_bucket`` for the columns."""

    pings: pa.Table
    stays: pa.Table
    people: pa.Table
    counts: dict[str, int]  # rows, clean, spike, every kind of fault, stays, people


class DrawnBucket(NamedTuple):
    """A bucket before it is made into tables; pings in order of time received."""

    clock: Clock
    city: City
    people: People
    diaries: Diaries
    pings: Pings


@kernel
def _counting_pass(digits, order_in, order_out):
    """Fill order_out with order_in sorted by its digit, equal digits in the order given."""
    starts = np.zeros(65_537, np.int64)
    for row in range(digits.size):
        starts[digits[row] + 1] += 1
    for digit in range(1, starts.size):
        starts[digit] += starts[digit - 1]
    for row in order_in:
        digit = digits[row]
        order_out[starts[digit]] = row
        starts[digit] += 1


def time_order(seconds: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Return the row numbers in order of `seconds` (not negative), equal seconds in the order given.

    Two counting passes over 16 bits each: linear, where a comparison sort of 5 M rows takes seconds.
    """
    by_low, by_high = np.empty(seconds.size, np.uint32), np.empty(seconds.size, np.uint32)
    low, high = (seconds & 0xFFFF).astype(np.uint16), (seconds >> 16).astype(np.uint16)
    _counting_pass(low, np.arange(seconds.size, dtype=np.uint32), by_low)
    _counting_pass(high, by_low, by_high)
    return by_high


def draw_bucket(params: CityParams, bucket: int, n_buckets: int) -> DrawnBucket:
    """Return everything about the people whose number % n_buckets == bucket, as arrays."""
    clock, city = study_clock(params), build_city(params)
    people = draw_people(params, city, persons_of(params, bucket, n_buckets))
    diaries = draw_diaries(params, clock, city, people)
    pings = draw_pings(params, clock, people, diaries)
    order = time_order(pings.received_s)
    return DrawnBucket(clock, city, people, diaries, Pings._make(column[order] for column in pings))


@kernel
def _fill_offsets(clock, at_s, offsets_s):
    for row in range(at_s.size):
        offsets_s[row] = offset_at(clock, at_s[row])


def _id_column(ids: list[str], owner: NDArray[np.integer], mask: NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(owner.astype(np.int32), mask=mask), pa.array(ids, pa.string()))


def pings_table(params: CityParams, clock: Clock, pings: Pings, ids: list[str]) -> pa.Table:
    """Return raw rows as a vendor writes them; see ``simulate_bucket`` for the columns."""
    columns = {
        "device_id": _id_column(ids, pings.owner, pings.kind == faults.MISSING_DEVICE_ID),
        "timestamp": pa.array(pings.reported_s, mask=pings.kind == faults.MISSING_TIMESTAMP),
        "latitude": pa.array(pings.lat_e7 / 1e7, mask=pings.kind == faults.MISSING_LATITUDE),
        "longitude": pa.array(pings.lon_e7 / 1e7, mask=pings.kind == faults.MISSING_LONGITUDE),
        "horizontal_accuracy": pa.array(pings.accuracy_m),
    }
    if params.has_tz_offset:
        offsets_s = np.empty(pings.owner.size, np.int32)
        _fill_offsets(clock, pings.received_s + clock.opened_s, offsets_s)
        columns["tz_offset_s"] = pa.array(offsets_s)
    return pa.table(columns)


def stays_table(params: CityParams, drawn: DrawnBucket, ids: list[str]) -> pa.Table:
    """Return the true stays within the study, by person and time."""
    diaries, clock = drawn.diaries, drawn.clock
    owner = np.repeat(np.arange(drawn.people.person.size), np.diff(diaries.first))
    kept = diaries.started_s < clock.closed_s  # a last trip may lead to a stay after the study
    lon, lat = degrees_of(params, diaries.x_m[kept], diaries.y_m[kept])
    finished_s = np.minimum(diaries.finished_s[kept], clock.closed_s)
    purpose = pa.DictionaryArray.from_arrays(pa.array(diaries.purpose[kept]), pa.array(PURPOSES))
    return pa.table(
        {
            "device_id": _id_column(ids, owner[kept]).cast(pa.string()),
            "started_at": pa.array(diaries.started_s[kept] * 1_000_000).cast(_UTC),
            "finished_at": pa.array(finished_s * 1_000_000).cast(_UTC),
            "lon": pa.array(lon),
            "lat": pa.array(lat),
            "place_id": pa.array(diaries.place[kept]),
            "purpose": purpose.cast(pa.string()),
        }
    )


def people_table(params: CityParams, city: City, people: People, ids: list[str]) -> pa.Table:
    """Return who lives and works where; job columns are null for those without a job."""
    home_lon, home_lat = degrees_of(params, people.home_x_m, people.home_y_m)
    jobless = ~people.is_employed
    work_x_m = np.where(jobless, 0.0, people.work_x_m)
    work_lon, work_lat = degrees_of(params, work_x_m, np.where(jobless, 0.0, people.work_y_m))
    n_places, n_works = city.place_x_m.size, city.work_x_m.size
    labels = pa.array([sector.naics for sector in SECTORS])
    sector = pa.DictionaryArray.from_arrays(pa.array(people.sector.astype(np.int8), mask=jobless), labels)
    return pa.table(
        {
            "device_id": pa.array(ids, pa.string()),
            "home_lon": pa.array(home_lon),
            "home_lat": pa.array(home_lat),
            "home_place_id": pa.array(n_places + n_works + people.person),
            "is_employed": pa.array(people.is_employed),
            "work_lon": pa.array(work_lon, mask=jobless),
            "work_lat": pa.array(work_lat, mask=jobless),
            "work_place_id": pa.array(n_places + people.workplace, mask=jobless),
            "sector": sector.cast(pa.string()),
        }
    )


def count_rows(pings: Pings) -> dict[str, int]:
    """Return the number of rows and of every kind; ``rows`` is the sum of all kinds."""
    per_kind = np.bincount(pings.kind, minlength=len(faults.KINDS)).tolist()
    return {"rows": int(pings.kind.size), **dict(zip(faults.KINDS, per_kind, strict=True))}


def simulate_bucket(params: CityParams, bucket: int, n_buckets: int) -> SimulatedBucket:
    """Return pings and truth of the people whose number % n_buckets == bucket.

    People are drawn from (seed, person), so the union over buckets is the same whatever
    `n_buckets`; only which rows share a table changes.

    - ``pings``, in order of time received: device_id (32 hexadecimal digits; a dictionary here, a
      plain string on disk), timestamp (UTC seconds), latitude, longitude (degrees, 1e-7),
      horizontal_accuracy (metres), tz_offset_s (local minus UTC; if ``has_tz_offset``). Faulty
      rows keep the place in the order at which they were received.
    - ``stays``: device_id, started_at, finished_at (UTC, half-open), lon, lat of the place,
      place_id (the same for everybody), purpose home, work or errand. Between two stays a person
      is on a trip; the last stay or trip is cut at the end of the study.
    - ``people``: device_id, home_lon, home_lat, home_place_id, is_employed, and for the employed
      work_lon, work_lat, work_place_id, sector (NAICS sector as LODES writes it).
    - ``counts``: rows, then clean, spike and every kind of fault (their sum is rows), stays, people.

    Raises ValueError where `bucket` is not in 0..n_buckets-1.
    """
    drawn = draw_bucket(params, bucket, n_buckets)
    ids = device_ids(params, drawn.people.person)
    stays = stays_table(params, drawn, ids)
    people = people_table(params, drawn.city, drawn.people, ids)
    counts = {**count_rows(drawn.pings), "stays": stays.num_rows, "people": people.num_rows}
    return SimulatedBucket(pings_table(params, drawn.clock, drawn.pings, ids), stays, people, counts)
