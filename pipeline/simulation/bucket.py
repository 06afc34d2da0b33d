"""One bucket of the city in memory: its pings as a vendor sells them and the truth behind them."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation import faults
from pipeline.simulation.areas import NO_AREAS, Areas, areas_of
from pipeline.simulation.city import City, build_city
from pipeline.simulation.clock import Clock, offset_at, study_clock
from pipeline.simulation.ground import Ground
from pipeline.simulation.households import home_of
from pipeline.simulation.params import CityParams
from pipeline.simulation.people import People, device_ids, draw_people, persons_of
from pipeline.simulation.responses import caution_of, stay_off_work, thin_diaries
from pipeline.simulation.sampling import Pings, draw_pings
from pipeline.simulation.schedules import HOME, Diaries, draw_diaries
from pipeline.simulation.truth import Lives, employment_table, id_column, people_table, stays_table


class SimulatedBucket(NamedTuple):
    """Pings and truth of the people of one bucket; see ``simulate_bucket`` for the columns."""

    pings: pa.Table
    stays: pa.Table
    people: pa.Table
    employment: pa.Table
    counts: dict[str, int]  # rows, clean, spike, every kind of fault, stays, people


class DrawnBucket(NamedTuple):
    """A bucket before it is made into tables; pings in order of time received."""

    params: CityParams  # centred where the city is
    clock: Clock
    city: City
    areas: Areas
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


def name_homes(city: City, home: NDArray[np.int64], diaries: Diaries) -> None:
    """Fill the places of all stays at home with that of the shared home."""
    owner = np.repeat(np.arange(home.size), np.diff(diaries.first))
    is_home = diaries.purpose == HOME
    diaries.place[is_home] = city.place_x_m.size + city.work_x_m.size + home[owner[is_home]]


def live(
    params: CityParams, clock: Clock, city: City, areas: Areas, people: People, ground: Ground | None = None
) -> Diaries:
    """Return the diaries of `people`, who answer to policies and share homes where `params` say so."""
    caution = caution_of(params, params.response, areas, ground) if params.response else None
    if caution:
        stay_off_work(np.uint64(params.seed), caution, people)
    diaries = draw_diaries(params, clock, city, people)
    if caution:
        diaries = thin_diaries(params, clock, caution, people, diaries)
    if params.households:
        name_homes(city, home_of(params, people.person), diaries)
    return diaries


def draw_bucket(params: CityParams, bucket: int, n_buckets: int, ground: Ground | None = None) -> DrawnBucket:
    """Return everything about the people whose number % n_buckets == bucket, as arrays."""
    params, clock, city, areas, people, diaries, _ = draw_lives(params, bucket, n_buckets, ground)
    pings = draw_pings(params, clock, people, diaries)
    order = time_order(pings.received_s)
    pings = Pings._make(column[order] for column in pings)
    return DrawnBucket(params, clock, city, areas, people, diaries, pings)


def draw_lives(params: CityParams, bucket: int, n_buckets: int, ground: Ground | None = None) -> Lives:
    """Return who the people of a bucket are and where they are when: everything but their pings."""
    if ground is not None:
        params = params.model_copy(update={"centre_lon": ground.centre_lon, "centre_lat": ground.centre_lat})
    clock, city = study_clock(params), build_city(params, ground)
    has_areas = ground is not None or params.employment or params.phones or params.policies
    areas = areas_of(params, ground) if has_areas else NO_AREAS
    people = draw_people(params, city, persons_of(params, bucket, n_buckets), areas)
    diaries = live(params, clock, city, areas, people, ground)
    return Lives(params, clock, city, areas, people, diaries, device_ids(params, people.person))


def lives_of(drawn: DrawnBucket, ids: list[str]) -> Lives:
    """Return what the tables of truth of a bucket are made of."""
    return Lives(drawn.params, drawn.clock, drawn.city, drawn.areas, drawn.people, drawn.diaries, ids)


@kernel
def _fill_offsets(clock, at_s, offsets_s):
    for row in range(at_s.size):
        offsets_s[row] = offset_at(clock, at_s[row])


def pings_table(params: CityParams, clock: Clock, pings: Pings, ids: list[str]) -> pa.Table:
    """Return raw rows as a vendor writes them; see ``simulate_bucket`` for the columns."""
    columns = {
        "device_id": id_column(ids, pings.owner, pings.kind == faults.MISSING_DEVICE_ID),
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


def count_rows(pings: Pings) -> dict[str, int]:
    """Return the number of rows and of every kind; ``rows`` is the sum of all kinds."""
    per_kind = np.bincount(pings.kind, minlength=len(faults.KINDS)).tolist()
    return {"rows": int(pings.kind.size), **dict(zip(faults.KINDS, per_kind, strict=True))}


def simulate_bucket(params: CityParams, bucket: int, n_buckets: int, ground: Ground | None = None) -> SimulatedBucket:
    """Return pings and truth of the people whose number % n_buckets == bucket.

    People are drawn from (seed, person), so the union over buckets is the same whatever
    `n_buckets`; only which rows share a table changes. On `ground` the city is centred there,
    whatever the centre of `params`.

    - ``pings``, in order of time received: device_id (32 hexadecimal digits; a dictionary here, a
      plain string on disk), timestamp (UTC seconds), latitude, longitude (degrees, 1e-7),
      horizontal_accuracy (metres), tz_offset_s (local minus UTC; if ``has_tz_offset``). Faulty
      rows keep the place in the order at which they were received.
    - ``stays``: device_id, started_at, finished_at (UTC, half-open), lon, lat of the place,
      place_id (the same for everybody), purpose home, work or errand. Between two stays a person
      is on a trip; the last stay or trip is cut at the end of the study.
    - ``people``: device_id, home_lon, home_lat, home_place_id (shared in a household), is_employed, and for the
      employed work_lon, work_lat, work_place_id, sector (NAICS sector as LODES writes it), all of the day
      on which the study begins. In a city with areas (with ``employment``, ``phones``, ``policies`` or on
      a ground) also home_tract_geoid, affluence of that tract (-1..1), has_phone (those without
      have no pings) and n_days_carried.
    - ``employment``: the spells of people, see ``employment_table``.
    - ``counts``: rows, then clean, spike and every kind of fault (their sum is rows), stays, people.

    Raises ValueError where `bucket` is not in 0..n_buckets-1.
    """
    drawn = draw_bucket(params, bucket, n_buckets, ground)
    ids = device_ids(params, drawn.people.person)
    lives = lives_of(drawn, ids)
    stays, people = stays_table(lives), people_table(lives)
    counts = {**count_rows(drawn.pings), "stays": stays.num_rows, "people": people.num_rows}
    pings = pings_table(drawn.params, drawn.clock, drawn.pings, ids)
    return SimulatedBucket(pings, stays, people, employment_table(lives), counts)
