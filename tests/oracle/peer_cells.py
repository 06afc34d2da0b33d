"""What a cell of the table of measures and peers is, and how fastmob and trackintel are asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import fastmob
import pandas as pd
import trackintel.analysis

from pipeline.exchange import to_skmob, to_staypoints
from pipeline.verification.measures import AS_THEY_ARE, SEQUENCES, Answers, Ours, SharedMeasure, rate
from pipeline.verification.visits import Visits

SKMOB, FASTMOB, TRACKINTEL = "scikit-mobility 1.3.1", "fastmob 0.3.2", "trackintel 1.4.2"
PEERS = (SKMOB, FASTMOB, TRACKINTEL)
Theirs = Callable[[Visits, Answers], pd.Series]


@dataclass(frozen=True)
class Cell:
    """A measure by a peer; equal to our default, or to `alike` for a `reason`."""

    theirs: Theirs
    alike: Ours | None = None
    variant: str = ""
    reason: str = ""
    tolerance: float | None = None
    """Largest difference that is rounding, where the peer rounds more than the measure's own tolerance."""


@dataclass(frozen=True)
class Elsewhere:
    """A cell that another test compares, or one that cannot be compared; says which and why."""

    words: str


@dataclass(frozen=True)
class Row:
    """A measure with its cells; a peer without one has no such function."""

    measure: str
    unit: str
    where: str
    ours: Ours | None
    cells: Mapping[str, Cell | Elsewhere]
    tolerance: float = 1e-9
    is_release: bool = False
    """Ours tells of ten devices or more: of fewer people there is nothing to compare."""
    is_one: bool = False
    """One value for all people together."""


# --- fastmob ------------------------------------------------------------------------------------

FASTMOB_NAMES = {
    "uid": "device_id",
    "lng": "lon",
    "lat_origin": "origin_lat",
    "lng_origin": "origin_lon",
    "lat_dest": "destination_lat",
    "lng_dest": "destination_lon",
}
IN_KM = frozenset(
    {
        "radius_of_gyration",
        "k_radius_of_gyration",
        "jump_lengths",
        "maximum_distance",
        "distance_straight_line",
        "max_distance_from_home",
    }
)


def fastmob_frame(visits: Visits) -> pd.DataFrame:
    """Return the visits as fastmob reads them."""
    return to_skmob(visits.frame)[["uid", "datetime", "lat", "lng", "location_id"]]


def ask_fastmob(visits: Visits, name: str, **params: object) -> pd.DataFrame:
    """Return fastmob's answer with our names and units."""
    found = getattr(fastmob, name)(fastmob_frame(visits), **params).rename(columns=FASTMOB_NAMES)
    value = next(c for c in found.columns[::-1] if c != "device_id")
    found = found[[*(c for c in found if c != value), value]]
    if name in ("jump_lengths", "waiting_times"):
        found = found.explode(value).dropna(subset=value)
    return found.assign(**{value: found[value].astype(float) * 1000}) if name in IN_KM else found


def of_fastmob(shared: SharedMeasure) -> Theirs:
    """Return fastmob's function of the same name, read as scikit-mobility's answer is."""
    params = dict(shared.ask.params)
    if "normalize" in params:
        params["normalize"] = bool(params["normalize"])
    return lambda visits, _: shared.theirs(visits, ask_fastmob(visits, shared.ask.name, **params))


FASTMOBS_EARTH = 6371.0088 / 6371
EARTH = "their Earth has a radius of 6,371.0088 km, ours and the others' one of 6,371 km"


def on_fastmobs_earth(ours: Ours) -> Ours:
    """Return distances on an Earth as large as fastmob's."""
    return lambda visits, answers: ours(visits, answers) * FASTMOBS_EARTH


def from_fastmobs_home(visits: Visits, _: Answers) -> pd.Series:
    """Return our largest distance from the home that fastmob finds."""
    homes = visits.with_location(ask_fastmob(visits, "home_location")[["device_id", "lon", "lat"]])
    return visits.column("distances", "home_distance_max_m", home_work=homes)


def fastmob_cell(shared: SharedMeasure) -> Cell:
    """Return the cell of fastmob's function of the same name."""
    alike, variant, reason = shared.alike or shared.ours, shared.variant, shared.reason
    if shared.name == "real_entropy":
        alike, variant = rate("fastmob"), AS_THEY_ARE.format("fastmob")
        reason = f"{SEQUENCES}; theirs lets earlier occurrences run on into the piece and ends pieces with the sequence"
    if shared.name == "max_distance_from_home":
        alike = from_fastmobs_home
        reason = "their home is the position most frequent from 22 to 7 o'clock UTC, ours that of home_work"
    if shared.name in IN_KM:
        alike = on_fastmobs_earth(alike)
        variant, reason = f"{variant or 'distances'} on their Earth", f"{reason}; {EARTH}".lstrip("; ")
    is_ours = alike is shared.ours
    return Cell(of_fastmob(shared), None if is_ours else alike, variant, reason)


# --- trackintel ---------------------------------------------------------------------------------


def trackintels_radius(method: str) -> Theirs:
    """Return trackintel's radius of gyration, by visits or by dwell."""
    return lambda visits, _: trackintel.analysis.radius_gyration(to_staypoints(visits.frame), method).rename_axis(
        "device_id"
    )


def trackintels_jumps(visits: Visits, _: Answers) -> pd.Series:
    """Return trackintel's jump lengths in turn."""
    staypoints = to_staypoints(visits.frame)
    found = pd.Series(trackintel.analysis.jump_length(staypoints).astype(float).to_numpy())
    turn = staypoints.groupby("user_id").cumcount().rename("turn")
    found.index = pd.MultiIndex.from_arrays([staypoints["user_id"].rename("device_id"), turn])
    return found.dropna()
