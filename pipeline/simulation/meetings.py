"""Who really met whom: pairs of people who were in one place of the city at one time.

``truth/contacts/part-000.parquet``, one row per pair of people × local date × place:

- ``device_a``, ``device_b``: ids as in the raw files, device_a < device_b as text;
- ``date``: local date; time together across midnight is cut there;
- ``place_kind``: home, work or venue (an errand place), the same for both;
- ``place_id``: as in ``truth/stays``; everybody in a place is at one spot;
- ``overlap_s``: seconds that both were there on the date, and ``longest_s`` of them in one go;
- ``is_household``: they share a home, wherever they met: one home_place_id of ``truth/people``.

Only an artificial city may hold such a table: no table of the pipeline names pairs.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.kernels._numba import kernel
from pipeline.simulation.clock import DAY_S, Clock, offset_at, study_clock, utc_at
from pipeline.simulation.params import CityParams
from pipeline.simulation.truth import EPOCH_ORDINAL
from pipeline.simulation.writing import write_table

PLACE_KINDS = {"home": "home", "work": "work", "errand": "venue"}
"""Purpose of a true stay → kind of place."""
_COLUMNS = ("device_id", "started_at", "finished_at", "place_id", "purpose")

Integers = NDArray[np.int64]


class Meetings(NamedTuple):
    """Times that two people were in one place, cut at local midnights: one element each."""

    left: Integers  # row of the earlier stay
    right: Integers
    day: Integers  # local, counted from the study's first
    lasted_s: Integers


@kernel
def _meet(clock, place, person, started_s, finished_s, meetings):
    """Return the number of meetings of stays in order of place and start; fill as many as there is room for."""
    n_found, first_s = 0, clock.opened_s + offset_at(clock, clock.opened_s)
    for left in range(place.size):
        right = left + 1
        while right < place.size and place[right] == place[left] and started_s[right] < finished_s[left]:
            at_s, end_s = started_s[right], min(finished_s[left], finished_s[right])
            while person[left] != person[right] and at_s < end_s:
                day = (at_s + offset_at(clock, at_s) - first_s) // DAY_S
                until_s = min(end_s, max(utc_at(clock, day + 1, 0), at_s + 1))
                if n_found < meetings.day.size:
                    meetings.left[n_found], meetings.right[n_found] = left, right
                    meetings.day[n_found], meetings.lasted_s[n_found] = day, until_s - at_s
                n_found += 1
                at_s = until_s
            right += 1
    return n_found


def _all_meetings(clock: Clock, place: Integers, person: Integers, started_s: Integers, finished_s: Integers):
    columns = (clock, place, person, started_s, finished_s)
    room = Meetings._make(np.empty(0, np.int64) for _ in Meetings._fields)
    room = Meetings._make(np.empty(_meet(*columns, room), np.int64) for _ in Meetings._fields)
    _meet(*columns, room)
    return room


def find_contacts(params: CityParams, stays: pa.Table, people: pa.Table) -> pa.Table:
    """Return the contacts between people of a table of true stays, in order of all columns; see the module.

    `people` has the device_id and home_place_id of everybody; who of the stays is missing there is a ValueError.
    """
    person, ids = pd.factorize(stays["device_id"].to_pandas(), sort=True)
    home = _homes(ids, people)
    started_s, finished_s = (_seconds(stays[name]) for name in ("started_at", "finished_at"))
    place, purpose = stays["place_id"].to_numpy(), stays["purpose"].to_pandas().to_numpy()
    order = np.lexsort((person, started_s, place))
    person, place, purpose = person[order].astype(np.int64), place[order], purpose[order]
    met = _all_meetings(study_clock(params), place, person, started_s[order], finished_s[order])
    pairs = pd.DataFrame(
        {
            "a": np.minimum(person[met.left], person[met.right]),
            "b": np.maximum(person[met.left], person[met.right]),
            "day": met.day,
            "place_id": place[met.left],
            "lasted_s": met.lasted_s,
            "row": met.left,
        }
    )
    grouped = pairs.groupby(["a", "b", "day", "place_id"], as_index=False)
    days = grouped.agg(overlap_s=("lasted_s", "sum"), longest_s=("lasted_s", "max"), row=("row", "first"))
    kind = pd.Series(purpose[days["row"]], dtype="str").map(PLACE_KINDS)
    is_household = home[days["a"]] == home[days["b"]]
    return _as_table(params, days, ids.to_numpy(), kind, is_household)


def _homes(ids: pd.Index, people: pa.Table) -> Integers:
    """Return the place of the home of each id; ValueError that counts those who have none."""
    homes = pd.Series(people["home_place_id"].to_numpy(), people["device_id"].to_pandas()).reindex(ids)
    n_missing = int(homes.isna().sum())
    if n_missing:
        raise ValueError(f"people: no home of {n_missing} of {len(ids)} devices in the stays")
    return homes.to_numpy(np.int64)


def _seconds(times: pa.ChunkedArray) -> Integers:
    """Return times as UTC seconds."""
    return times.cast(pa.timestamp("s", tz="UTC"), safe=False).cast(pa.int64()).to_numpy()


def _as_table(
    params: CityParams,
    days: pd.DataFrame,
    ids: NDArray[np.object_],
    kind: pd.Series,
    is_household: NDArray[np.bool_],
) -> pa.Table:
    date = (params.start.toordinal() - EPOCH_ORDINAL + days["day"].to_numpy()).astype(np.int32)
    return pa.table(
        {
            "device_a": pa.array(ids[days["a"]], pa.string()),
            "device_b": pa.array(ids[days["b"]], pa.string()),
            "date": pa.array(date).cast(pa.date32()),
            "place_kind": pa.array(kind, pa.string()),
            "place_id": pa.array(days["place_id"].to_numpy()),
            "overlap_s": pa.array(days["overlap_s"].to_numpy()),
            "longest_s": pa.array(days["longest_s"].to_numpy()),
            "is_household": pa.array(is_household),
        }
    )


def write_contacts(params: CityParams, folder: Path) -> int:
    """Return the number of contacts written for the city in `folder`, whose buckets have all been written.

    Memory grows with the stays of the whole city: about 0.2 GB per million.
    """
    stays, people = _read(folder, "stays", _COLUMNS), _read(folder, "people", ("device_id", "home_place_id"))
    contacts = find_contacts(params, stays, people)
    write_table(contacts, Path(folder) / "truth" / "contacts" / "part-000.parquet", ["device_a", "device_b"])
    return contacts.num_rows


def _read(folder: Path, name: str, columns: tuple[str, ...]) -> pa.Table:
    """Return columns of a table of truth of all buckets."""
    return pq.ParquetDataset(sorted(Path(folder).glob(f"truth/{name}/*.parquet"))).read(columns=list(columns))
