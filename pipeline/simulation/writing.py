"""The city on disk: raw files by UTC date as a vendor delivers them, truth beside them.

``raw/date=YYYY-MM-DD/part-BBB.parquet``, ``truth/stays/part-BBB.parquet``,
``truth/people/part-BBB.parquet`` and, of a city with ``employment`` or ``households``,
``truth/employment/part-BBB.parquet`` and ``truth/households/part-BBB.parquet``. Buckets may be
written in parallel and in any order: each process writes files of its own, under a temporary name until they are whole.
"""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.simulation.bucket import DrawnBucket, count_rows, draw_bucket, lives_of, pings_table
from pipeline.simulation.clock import DAY_S
from pipeline.simulation.ground import Ground
from pipeline.simulation.households import home_of, households_table
from pipeline.simulation.params import CityParams, raw_dates
from pipeline.simulation.people import device_ids
from pipeline.simulation.sampling import Pings
from pipeline.simulation.truth import employment_table, people_table, stays_table

ROW_GROUP_ROWS = 500_000
_EPOCH = date(1970, 1, 1)


def write_table(table: pa.Table, path: Path, dictionary: list[str]) -> None:
    """Write one Parquet file whole or not at all, with plain strings in its schema."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(
        table, partial, row_group_size=ROW_GROUP_ROWS, compression="snappy",
        use_dictionary=dictionary, store_schema=False,
    )  # fmt: skip
    partial.replace(path)


def _write_raw(folder: Path, name: str, drawn: DrawnBucket, ids: list[str]) -> None:
    """Write one raw file per UTC date, also where it has no rows, so that a rerun leaves nothing stale."""
    dates = raw_dates(drawn.params)
    first_s = [(day - _EPOCH) // timedelta(days=1) * DAY_S - drawn.clock.opened_s for day in dates]
    bounds = [0, *np.searchsorted(drawn.pings.received_s, first_s[1:]), drawn.pings.received_s.size]
    for day, start, stop in zip(dates, bounds[:-1], bounds[1:], strict=True):
        rows = Pings._make(column[start:stop] for column in drawn.pings)
        table = pings_table(drawn.params, drawn.clock, rows, ids)
        write_table(table, folder / "raw" / f"date={day.isoformat()}" / name, ["device_id", "tz_offset_s"])


def write_city(
    params: CityParams, folder: Path, bucket: int, n_buckets: int, ground: Ground | None = None
) -> dict[str, int]:
    """Return counts of what was written for one bucket: rows, every kind of row, stays, people.

    A row is in the folder of the UTC date on which it was received; that is the date of its
    timestamp except for the kinds outside_study and missing_timestamp. Within a file rows are in
    order of receipt, devices mixed, in row groups of at most 500,000. Accepted pings are
    ``clean + spike``; the counts of all kinds add up to ``rows``. Equal params (and ground) give
    byte-equal files.

    Memory grows with the pings of the bucket, about 0.1 GB per million; choose `n_buckets` by
    ``suggest_n_buckets`` or more, so that every process has work.

    Raises ValueError where `bucket` is not in 0..n_buckets-1.
    """
    folder, name = Path(folder), f"part-{bucket:03d}.parquet"
    drawn = draw_bucket(params, bucket, n_buckets, ground)
    ids = device_ids(params, drawn.people.person)
    _write_raw(folder, name, drawn, ids)
    lives = lives_of(drawn, ids)
    stays, people = stays_table(lives), people_table(lives)
    write_table(stays, folder / "truth" / "stays" / name, ["device_id", "purpose"])
    write_table(people, folder / "truth" / "people" / name, ["sector"])
    if params.households:
        households = households_table(ids, home_of(params, drawn.people.person))
        write_table(households, folder / "truth" / "households" / name, ["device_id"])
    if params.employment:
        write_table(employment_table(lives), folder / "truth" / "employment" / name, ["device_id", "status", "sector"])
    return {**count_rows(drawn.pings), "stays": stays.num_rows, "people": people.num_rows}
