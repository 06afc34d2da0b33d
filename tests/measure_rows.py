"""Stages of measures run on visits made by hand: what else they read is made of the same visits."""

import pandas as pd

from data_contracts import TABLES
from pipeline.params import NoParams
from pipeline.stages.trips import trips
from tests.day_rows import make_day_visits
from tests.employment_rows import home_work_row
from tests.stay_rows import empty, through_contract


def run_measure(declared, visits, study, params, home_work=None):
    """Return a stage's table, through its contract."""
    made = {
        "visits": lambda: visits,
        "trips": lambda: through_contract(trips(visits, NoParams()), "trips"),
        "home_work": lambda: empty("home_work") if home_work is None else home_work,
    }
    facts = {"study": study, "seed": 0}
    given = {table.name: made[table.name]() for table in declared.reads} | {
        name: facts[name] for name in declared.needs
    }
    return through_contract(declared(**given, params=params), declared.name)


def make_visits_with_dwell(rows):
    """VISITS as `make_day_visits` makes them, with their dwell."""
    visits = make_day_visits(rows)
    return visits.assign(dwell_s=(visits["finished_at"] - visits["started_at"]).dt.total_seconds())


def make_homes(homes):
    """HOME_WORK with homes of the baseline: (device, location, rank)."""
    rows = [
        home_work_row("home", location, device_id=device, rank=rank, tract_geoid=None)
        for device, location, rank in homes
    ]
    if not rows:
        return empty("home_work")
    frame = pd.DataFrame(rows).astype({"tract_geoid": "str", "location_id": "int32", "rank": "int16"})
    return through_contract(frame.sort_values(list(TABLES["home_work"].key), ignore_index=True), "home_work")


def make_ends(ends):
    """HOME_WORK of {device: (home or None, work or None)}, each with a second place of the role."""
    import pandas as pd

    rows = [
        home_work_row(role, place + more, device_id=device, rank=1 + more, tract_geoid=None)
        for device, places in sorted(ends.items())
        for role, place in zip(("home", "work"), places, strict=True)
        if place is not None
        for more in (0, 1)
    ]
    if not rows:
        return empty("home_work")
    frame = pd.DataFrame(rows).astype({"tract_geoid": "str", "location_id": "int32", "rank": "int16"})
    return through_contract(frame, "home_work")
