"""Visits for tests of `contacts`, and its three steps without a cluster."""

import numpy as np
import pandas as pd

from data_contracts import HOME_WORK, PANEL_WEIGHTS, TRACTS
from pipeline.params import Params
from pipeline.stage import MEETS_AT
from pipeline.stages.contacts import contacts
from pipeline.study import Study

MIDNIGHT = pd.Timestamp("2020-03-02", tz="UTC")
FIRST_DAY = MIDNIGHT.value // 86_400_000_000_000


def study_of(n_days: int = 90) -> Study:
    end = (MIDNIGHT + pd.Timedelta(days=n_days - 1)).date()
    return Study.from_dict({"name": "x", "start": MIDNIGHT.date(), "end": end, "zone": "UTC", "sources": []})


def visit(device_id: int, location_id: int, start_h: float, hours: float, lon: float, lat: float, **fields) -> dict:
    """A visit that starts `start_h` hours UTC after the study's first midnight."""
    started = MIDNIGHT + pd.Timedelta(hours=start_h)
    offset = fields.get("utc_offset_s", 0)
    return {
        "device_id": device_id,
        "started_at": started,
        "finished_at": started + pd.Timedelta(hours=hours),
        "date": (started + pd.Timedelta(seconds=offset)).tz_localize(None).normalize(),
        "utc_offset_s": offset,
        "location_id": location_id,
        "lon": lon,
        "lat": lat,
        "is_inferred": False,
        "poi_category": None,
    } | fields


def visits_of(rows: list[dict]) -> pd.DataFrame:
    """The columns of `visits` that contacts ask for."""
    types = {"started_at": "datetime64[us, UTC]", "finished_at": "datetime64[us, UTC]", "date": "datetime64[s]"}
    types |= {"utc_offset_s": "int32", "location_id": "int32", "lon": "float64", "lat": "float64", "is_inferred": bool}
    names = list(visit(0, 0, 0, 0, 0, 0))
    return pd.DataFrame(rows, columns=names).astype(types | {"device_id": "int64", "poi_category": "str"})


def empty(table) -> pd.DataFrame:
    return table.schema.empty_table().to_pandas(date_as_object=False)


def home(device_id: int, location_id: int, first: str = "2020-02-28", last: str = "2020-12-31", **fields) -> dict:
    row = {"device_id": device_id, "span": "moving", "role": "home", "rank": 1, "location_id": location_id}
    return (
        row
        | {"window_started": pd.Timestamp(first), "window_finished": pd.Timestamp(last), "tract_geoid": "1"}
        | fields
    )


def homes_of(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(home(0, 0))) if rows else empty(HOME_WORK)


def contacts_of(
    visits: pd.DataFrame,
    home_work: pd.DataFrame | None = None,
    tracts: pd.DataFrame | None = None,
    panel_weights: pd.DataFrame | None = None,
    n_buckets: int = 1,
    n_parts: int = 1,
    study: Study | None = None,
    **params,
) -> pd.DataFrame:
    """The table as a run makes it: rows of each bucket, parts of them together, then each bucket's again."""
    home_work = empty(HOME_WORK) if home_work is None else home_work
    given: Params = contacts.params(**{"contact_m": 30.0, "overlap_s": 300.0} | params)
    whole = [empty(t) if frame is None else frame for t, frame in ((TRACTS, tracts), (PANEL_WEIGHTS, panel_weights))]

    def bucket(frame: pd.DataFrame, number: int) -> pd.DataFrame:
        return frame[frame["device_id"].to_numpy().astype(np.uint64) % np.uint64(n_buckets) == number]

    buckets = range(n_buckets)
    rows = [contacts(bucket(visits, b), bucket(home_work, b), *whole, study or study_of(), given) for b in buckets]
    together = pd.concat(rows).sample(frac=1.0, random_state=1)
    part = together[MEETS_AT].to_numpy() * 7919 % 104_729 % n_parts
    met = pd.concat([contacts.meet(together[part == p], given) for p in range(n_parts)])
    tables = [contacts.finish(bucket(met, b), given) for b in buckets]
    return pd.concat(tables).sort_values(["device_id", "date", "place_kind"], ignore_index=True)
