"""`contacts`: how many people each device met on a day, by kind of place, for how long, and who of them lives with it.

A *contact* is time two devices spend within `contact_m` of each other. Their visits say where they were: at the
centre of one of their places, from the visit's start to its finish. Distance, least overlap, the household rule and
the correction for the sample are ours: the method page finds none of the paper's.
"""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import CONTACTS, HOME_WORK, PANEL_WEIGHTS, TRACTS, VISITS
from pipeline.h3_cells import CELL_BITS, MAX_REACH_M, cells_in_reach
from pipeline.homes import baseline_homes
from pipeline.kernels.contacts import BEFORE, GUEST, OWN, Presences, meet_people
from pipeline.params import Params
from pipeline.place_kinds import HOME, OTHER, VENUE, WORK, place_kinds
from pipeline.stage import MEETS_AT, stage
from pipeline.study import Study
from pipeline.sums import from_fixed, to_fixed
from pipeline.visit_days import SECOND_US, day_pieces
from pipeline.windows import to_dates, to_days

KINDS = (HOME, WORK, VENUE, OTHER)
BLOCK_DAYS = 28
"""Days that are worked on together: more need more memory, fewer repeat more of the days before. Changes no number."""
DATES_APART = 2
"""Two devices at one place may be so many local dates apart, their offsets differing by up to 28 hours."""
UNKNOWN = -1
KEY = ["device_id", "day", "kind"]
SUMS = ["n_people", "worth", "n_repeated", "contact_us", "n_household", "household_us"]


class ContactParams(Params):
    """What a contact is. All defaults are ours."""

    contact_m: float = Field(default=20.0, gt=0, le=MAX_REACH_M)
    """Two people are together while the centres of the places they are at are at most this far apart, in metres. Of
    10 to 75 m it found most of those in one place of a dense simulated city for each that was not
    (`bench_contacts_accuracy`); beyond 30 m those next door come in (ours)."""
    overlap_s: float = Field(default=900.0, gt=0, le=86_400)
    """They met at a place on a day when they were together for at least so long there, all in all, in seconds. Of
    shorter meetings phones that report every 15 minutes miss more (ours)."""
    household_m: float = Field(default=20.0, ge=0, le=1_000)
    """Two people are of one household when their main homes on the date are at most this far apart, in metres.
    Neighbours in one building cannot be told from a household."""
    repeat_days: int = Field(default=7, ge=1, le=60)
    """Somebody is met repeatedly who was met at the same place in so many local days before."""
    is_inferred_counted: bool = True
    """Whether visits count of which nothing was observed: silences that ended where they began. In the simulation it
    made no difference; real phones are often silent at night (ours)."""


def _meet(rows: pd.DataFrame, params: ContactParams) -> pd.DataFrame:
    """Return what devices met in each cell and block of days, by device, day and kind of place."""
    presences = Presences(*(rows[name].to_numpy() for name in (MEETS_AT, *Presences._fields[1:])))
    overlap_us = round(params.overlap_s * SECOND_US)
    met = meet_people(presences, params.contact_m, overlap_us, params.repeat_days, params.household_m)
    found = rows[["device", "day", "kind"]].take(met.row).rename(columns={"device": "device_id"})
    return found.assign(**{name: getattr(met, name) for name in SUMS}).groupby(KEY, as_index=False).sum()


def _finish(rows: pd.DataFrame, params: ContactParams) -> pd.DataFrame:
    """Return the contacts of the devices of one bucket."""
    sums = rows.groupby(KEY, as_index=False)[SUMS].sum()
    table = pd.DataFrame(
        {
            "device_id": sums["device_id"],
            "date": to_dates(sums["day"].to_numpy()),
            "place_kind": pd.Series(np.array(KINDS)[sums["kind"].to_numpy()], dtype="str"),
            "n_people": sums["n_people"],
            "people_weighted": np.where(sums["worth"] < 0, np.nan, from_fixed(sums["worth"].to_numpy())),
            "n_repeated": sums["n_repeated"],
            "contact_s": sums["contact_us"] / SECOND_US,
            "n_household": sums["n_household"],
            "household_s": sums["household_us"] / SECOND_US,
        }
    )
    return table.sort_values(list(CONTACTS.key), ignore_index=True)[CONTACTS.names]


@stage(
    reads=(VISITS, HOME_WORK, TRACTS, PANEL_WEIGHTS),
    writes=CONTACTS,
    params=ContactParams,
    needs=("study",),
    meet=_meet,
    finish=_finish,
)
def contacts(
    visits: pd.DataFrame,
    home_work: pd.DataFrame,
    tracts: pd.DataFrame,
    panel_weights: pd.DataFrame,
    study: Study,
    params: ContactParams,
) -> pd.DataFrame:
    """Return visits of one bucket in day pieces, once for each cell of the H3 grid and block of days they matter to.

    A piece belongs to the cell that holds it and is a guest in others within reach, so that both of a pair find each
    other in their own cells and no pair is counted twice. A block of days holds those before that repeated contacts
    ask for, and guests of the dates around it. Each person met stands for as many residents as its home area has for
    each device (`_worth`). That assumes that whether a device is observed has nothing to do with whom it meets.
    """
    counted = visits if params.is_inferred_counted else visits[~visits["is_inferred"]]
    pieces = _pieces(counted, home_work)
    places = visits.drop_duplicates(["device_id", "location_id"])[["device_id", "location_id", "lon", "lat"]]
    pieces = _with_homes(pieces, places, home_work)
    pieces["worth"] = _worth(pieces["device"], home_work, tracts, panel_weights)
    return _by_block(_by_cell(pieces, params.contact_m), study, params.repeat_days)


def _pieces(visits: pd.DataFrame, home_work: pd.DataFrame) -> pd.DataFrame:
    """Return visits cut at local midnights, in UTC, with their place and its kind: that of the visit's first day."""
    cut = day_pieces(visits)
    kind = pd.Categorical(place_kinds(visits, home_work), categories=KINDS).codes
    columns = {name: visits[name].to_numpy()[cut.row] for name in ("lon", "lat")}
    # What a day's local midnight is in UTC: the start of the visit less its time since midnight.
    midnight = cut.day * 86_400 * SECOND_US - visits["utc_offset_s"].to_numpy().astype(np.int64)[cut.row] * SECOND_US
    pieces = pd.DataFrame(
        {
            "device": visits["device_id"].to_numpy()[cut.row],
            "place": visits["location_id"].to_numpy().astype(np.int64)[cut.row],
            "day": cut.day,
            "started_us": midnight + cut.start_us,
            "finished_us": midnight + cut.finish_us,
            **columns,
            "kind": kind.astype(np.int8)[cut.row],
        }
    )
    return pieces[pieces["finished_us"] > pieces["started_us"]].reset_index(drop=True)


def _with_homes(pieces: pd.DataFrame, places: pd.DataFrame, home_work: pd.DataFrame) -> pd.DataFrame:
    """Return pieces with the position of the device's main home on the day; NaN where unknown."""
    is_main = (home_work["span"] == "moving") & (home_work["role"] == "home") & (home_work["rank"] == 1)
    homes = home_work[is_main].merge(places, on=["device_id", "location_id"])
    spans = pd.DataFrame(
        {
            "device": homes["device_id"].to_numpy(),
            "day": to_days(homes["window_started"]),
            "last": to_days(homes["window_finished"]),
            "home_lon": homes["lon"].to_numpy(),
            "home_lat": homes["lat"].to_numpy(),
        }
    ).sort_values("day", kind="stable")
    found = pd.merge_asof(pieces.sort_values("day", kind="stable"), spans, on="day", by="device")
    is_over = ~(found["last"] >= found["day"])
    found.loc[is_over, ["home_lon", "home_lat"]] = np.nan
    return found.drop(columns="last")


def _worth(device: pd.Series, home_work: pd.DataFrame, tracts: pd.DataFrame, panel_weights: pd.DataFrame) -> np.ndarray:
    """Return how many residents each device stands for, in fixed point; `UNKNOWN` where no population is known.

    Residents of all areas by devices with a home in one, times the weight of the home area (`panel_weights`): these
    stand for all residents, as if homes were found of devices drawn at random. A device without such a home, a visitor
    perhaps, stands for nobody.
    """
    population = tracts["population"].astype(float).sum()
    n_devices = panel_weights["n_devices"].sum()
    if not population > 0 or not panel_weights["area_weight"].notna().any():
        return np.full(len(device), UNKNOWN, np.int64)
    area = baseline_homes(home_work).set_index("device_id")["tract_geoid"]
    weight = device.map(area).map(panel_weights.set_index("home_tract_geoid")["area_weight"]).astype(float)
    return to_fixed(weight.fillna(0.0).to_numpy() * (population / n_devices))


def _by_cell(pieces: pd.DataFrame, contact_m: float) -> pd.DataFrame:
    """Return pieces once for each cell within reach of their place, with the cell and whether it is their own."""
    places = pieces[["device", "place"]].drop_duplicates()
    at = pieces.loc[places.index]
    found = cells_in_reach(at["lon"].to_numpy(), at["lat"].to_numpy(), contact_m)
    cells = places.iloc[found.row].assign(cell=found.cell, is_own=found.is_own)
    return pieces.merge(cells, on=["device", "place"])


def _by_block(pieces: pd.DataFrame, study: Study, repeat_days: int) -> pd.DataFrame:
    """Return pieces once for each block of days that they matter to, and as what they do."""
    first_day = np.datetime64(study.start, "D").astype(int)
    last_block = (np.datetime64(study.end, "D").astype(int) - first_day) // BLOCK_DAYS

    def block(day: np.ndarray) -> np.ndarray:
        return np.clip((day - first_day) // BLOCK_DAYS, 0, last_block)

    day = pieces["day"].to_numpy()
    first, last = block(day - DATES_APART), block(day + DATES_APART + repeat_days)
    n_each = last - first + 1
    row = np.repeat(np.arange(len(pieces)), n_each)
    here = np.arange(row.size) - np.repeat(np.cumsum(n_each) - n_each, n_each) + first[row]
    before, until = block(day)[row], block(day + repeat_days)[row]
    role = np.select([here == before, (here > before) & (here <= until)], [OWN, BEFORE], GUEST)
    rows = pieces.take(row).drop(columns=["cell", "is_own"])
    is_own = pieces["is_own"].to_numpy()[row]
    group = (here << CELL_BITS) | pieces["cell"].to_numpy()[row]
    return rows.assign(role=np.where(is_own, role, GUEST).astype(np.int8), **{MEETS_AT: group})
