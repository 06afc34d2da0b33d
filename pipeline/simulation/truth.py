"""What really happened in a bucket, as tables: stays, people, employment."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.simulation.areas import Areas, areas_at_metres
from pipeline.simulation.careers import EMPLOYED, STATUSES
from pipeline.simulation.city import City, degrees_of
from pipeline.simulation.clock import Clock
from pipeline.simulation.households import home_of
from pipeline.simulation.params import CityParams
from pipeline.simulation.people import People
from pipeline.simulation.schedules import PURPOSES, Diaries
from pipeline.simulation.sectors import SECTORS

_UTC = pa.timestamp("us", tz="UTC")
_NAICS = [sector.naics for sector in SECTORS]
EPOCH_ORDINAL = 719_163  # 1970-01-01 as date.toordinal counts


class Lives(NamedTuple):
    """What tables of truth are made of: the people of a bucket, where and when."""

    params: CityParams  # centred where the city is
    clock: Clock
    city: City
    areas: Areas
    people: People
    diaries: Diaries
    ids: list[str]


def id_column(ids: list[str], owner: NDArray[np.integer], mask: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return the ids of people by index, null where masked."""
    return pa.DictionaryArray.from_arrays(pa.array(owner.astype(np.int32), mask=mask), pa.array(ids, pa.string()))


def _labels(numbers: NDArray[np.integer], labels: list[str], mask: NDArray[np.bool_] | None = None) -> pa.Array:
    index = pa.array(numbers.astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(index, pa.array(labels, pa.string())).cast(pa.string())


def stays_table(lives: Lives) -> pa.Table:
    """Return the true stays within the study, by person and time."""
    diaries, clock = lives.diaries, lives.clock
    owner = np.repeat(np.arange(lives.people.person.size), np.diff(diaries.first))
    kept = diaries.started_s < clock.closed_s  # a last trip may lead to a stay after the study
    lon, lat = degrees_of(lives.params, diaries.x_m[kept], diaries.y_m[kept])
    finished_s = np.minimum(diaries.finished_s[kept], clock.closed_s)
    return pa.table(
        {
            "device_id": id_column(lives.ids, owner[kept]).cast(pa.string()),
            "started_at": pa.array(diaries.started_s[kept] * 1_000_000).cast(_UTC),
            "finished_at": pa.array(finished_s * 1_000_000).cast(_UTC),
            "lon": pa.array(lon),
            "lat": pa.array(lat),
            "place_id": pa.array(diaries.place[kept]),
            "purpose": _labels(diaries.purpose[kept], list(PURPOSES)),
        }
    )


def people_table(lives: Lives) -> pa.Table:
    """Return who lives and works where when the study begins; job columns are null for those without a job."""
    params, city, people = lives.params, lives.city, lives.people
    n_people, jobs = people.person.size, people.jobs
    home_lon, home_lat = degrees_of(params, people.home_x_m, people.home_y_m)
    jobless = ~people.is_employed
    work_x_m = np.where(jobless, 0.0, jobs.x_m[:n_people])
    work_lon, work_lat = degrees_of(params, work_x_m, np.where(jobless, 0.0, jobs.y_m[:n_people]))
    n_places, n_works = city.place_x_m.size, city.work_x_m.size
    columns = {
        "device_id": pa.array(lives.ids, pa.string()),
        "home_lon": pa.array(home_lon),
        "home_lat": pa.array(home_lat),
        "home_place_id": pa.array(n_places + n_works + home_of(params, people.person)),
        "is_employed": pa.array(people.is_employed),
        "work_lon": pa.array(work_lon, mask=jobless),
        "work_lat": pa.array(work_lat, mask=jobless),
        "work_place_id": pa.array(n_places + jobs.workplace[:n_people], mask=jobless),
        "sector": _labels(jobs.sector[:n_people], _NAICS, jobless),
    }
    return pa.table(columns | _home_columns(lives))


def _home_columns(lives: Lives) -> dict[str, pa.Array]:
    """Return what is known of people in a city with areas; nothing in another."""
    people, areas = lives.people, lives.areas
    if not areas.wkb.size:
        return {}
    return {
        "home_tract_geoid": pa.array(areas.geoid[people.area], pa.string()),
        "affluence": pa.array(areas.affluence[people.area]),
        "has_phone": pa.array(people.has_phone),
        "n_days_carried": pa.array(np.where(people.has_phone, people.carries.sum(axis=1), 0)),
    }


def _spell_starts(people: People) -> NDArray[np.int64]:
    """Return the (person, day) cells, numbered row by row, at which a person's status, job or place of work changes."""
    state = np.stack([people.status, people.job, people.is_remote & (people.status == EMPLOYED)])
    is_start = np.ones(people.job.shape, np.bool_)
    is_start[:, 1:] = (state[:, :, 1:] != state[:, :, :-1]).any(axis=0)
    return np.flatnonzero(is_start)


def employment_table(lives: Lives) -> pa.Table:
    """Return one row per person and spell, by person and time; the spells of a person cover the study.

    started_on and finished_on (local dates, inclusive), status; then of the job held, or lost last:
    sector, work_place_id, work_tract_geoid (null in a city without areas), is_part_time, is_night,
    can_telework; and is_remote (works at home on all working days). Job columns are null for those
    who never had one, and is_remote is false but for the employed. A night shift belongs to the
    date on which it starts.
    """
    people, city, areas = lives.people, lives.city, lives.areas
    n_days, starts = people.job.shape[1], _spell_starts(people)
    owner, first = starts // n_days, starts % n_days
    last = np.append(starts[1:], people.job.size) - 1 - owner * n_days
    job, status = people.job.ravel()[starts], people.status.ravel()[starts]
    has_none = job < 0
    epoch_day = lives.params.start.toordinal() - EPOCH_ORDINAL
    work = people.jobs.workplace[job]
    tract = areas_at_metres(lives.params, areas, city.work_x_m, city.work_y_m)[work]
    return pa.table(
        {
            "device_id": id_column(lives.ids, owner).cast(pa.string()),
            "started_on": pa.array((epoch_day + first).astype(np.int32)).cast(pa.date32()),
            "finished_on": pa.array((epoch_day + last).astype(np.int32)).cast(pa.date32()),
            "status": _labels(status, list(STATUSES)),
            "sector": _labels(people.jobs.sector[job], _NAICS, has_none),
            "work_place_id": pa.array(city.place_x_m.size + work, mask=has_none),
            "work_tract_geoid": pa.array(areas.geoid[tract], pa.string(), mask=has_none | (areas.wkb.size == 0)),
            "is_remote": pa.array(people.is_remote.ravel()[starts]),
            "is_part_time": pa.array(people.jobs.is_part_time[job], mask=has_none),
            "is_night": pa.array(people.jobs.is_night[job], mask=has_none),
            "can_telework": pa.array(people.jobs.can_telework[job], mask=has_none),
        }
    )
