"""Measures that Sojourn shares with scikit-mobility: each once, with ours, theirs, and what is known to set them apart.

Both sides are asked about the same visits, a visit standing at the centre of its location. `SHARED` says for each
measure what of ours it is compared with by default, and, where definitions differ, why and which of our variants is
theirs: under that one nothing may differ but rounding.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.kernels.entropy import location_entropy
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.gyration import radius_of_gyration
from pipeline.params import NoParams
from pipeline.reference import Ask
from pipeline.stages.trips import trips

VISIT_COLUMNS = ("device_id", "started_at", "finished_at", "lon", "lat", "location_id", "dwell_s")
"""What of `visits` the measures need."""
Answers = Mapping[str, pd.DataFrame]
Ours = Callable[["Visits", Answers], pd.Series]


class Visits:
    """The visits of some devices in order of device and start, and where each device begins."""

    def __init__(self, frame: pd.DataFrame) -> None:
        """Sort the frame; it has VISIT_COLUMNS."""
        self.frame = frame.sort_values(["device_id", "started_at"], kind="stable", ignore_index=True)
        self.start = group_starts(self.frame["device_id"].to_numpy())
        self.device = self.frame["device_id"].to_numpy()[self.start[:-1]]
        self.lon, self.lat = (self.frame[name].to_numpy() for name in ("lon", "lat"))
        self.place = self.frame["location_id"].to_numpy().astype(np.int64)

    def rows(self) -> pd.DataFrame:
        """Return the visits as the reference reads them: where, and since when."""
        return self.frame.rename(columns={"started_at": "tracked_at"})

    def by_device(self, values: np.ndarray) -> pd.Series:
        """Return one value for each device, by its id."""
        return pd.Series(values, index=pd.Index(self.device, name="device_id"))


@dataclass(frozen=True)
class SharedMeasure:
    """A measure, by ours and by scikit-mobility."""

    name: str
    unit: str
    ask: Ask
    ours: Ours
    """Our default definition: a value per device, or per device and a second thing, in the index."""
    theirs: Callable[["Visits", pd.DataFrame], pd.Series]
    """Their answer, in the same index."""
    alike: Ours | None = None
    """Our variant that is their definition; None: the default is."""
    variant: str = ""
    """What that variant is called."""
    reason: str = ""
    """Why the default differs, in a line."""
    tolerance: float = 1e-9
    """Largest difference that is rounding, in the unit."""
    stored: tuple[str, str] | None = None
    """Table and column that hold ours, of the window that is the whole study."""


# --- Ours ---------------------------------------------------------------------------------------


def gyration(visits: Visits, centre_space: str = "sphere") -> pd.Series:
    """Return the radius of gyration of each device in metres."""
    return visits.by_device(radius_of_gyration(visits.start, visits.lon, visits.lat, centre_space=centre_space))


def n_places(visits: Visits) -> pd.Series:
    """Return the locations of each device."""
    return visits.frame.groupby("device_id")["location_id"].nunique().astype(float)


def n_visits(visits: Visits) -> pd.Series:
    """Return the visits of each device."""
    return visits.by_device(np.diff(visits.start).astype(float))


def entropy(visits: Visits) -> pd.Series:
    """Return the entropy of the locations of each device in bits."""
    order = np.lexsort((visits.place, visits.frame["device_id"].to_numpy()))
    return visits.by_device(location_entropy(visits.start, visits.place[order]))


def trips_of(visits: Visits) -> pd.DataFrame:
    """Return the trips of the visits, as the stage makes them."""
    frame = visits.frame
    lacking = {"date": pd.NaT, "hour_of_week": 0, "tract_geoid": None}
    return trips(frame.assign(**{k: v for k, v in lacking.items() if k not in frame}), NoParams())


def in_turn(device: pd.Series | np.ndarray, values: pd.Series | np.ndarray) -> pd.Series:
    """Return values by device and number in turn."""
    device = pd.Series(np.asarray(device), name="device_id")
    turn = device.groupby(device).cumcount().rename("turn")
    return pd.Series(np.asarray(values, dtype=float), index=pd.MultiIndex.from_arrays([device, turn]))


def visit_counts(visits: Visits) -> pd.Series:
    """Return the visits to each location of each device."""
    return visits.frame.groupby(["device_id", "location_id"]).size().astype(float)


def falling(counts: pd.Series) -> pd.Series:
    """Return values by device and rank, the largest first, whatever stands behind equal ones."""
    counts = counts.rename("n").reset_index().sort_values(["device_id", "n"], ascending=[True, False])
    return in_turn(counts["device_id"], counts["n"])


def network(visits: Visits) -> pd.Series:
    """Return the trips between any two locations of each device, a way back to the same one included."""
    ends = ["device_id", "origin_location_id", "destination_location_id"]
    return trips_of(visits).groupby(ends).size().astype(float)


def _of_trips(how: str) -> Ours:
    def of(visits: Visits, _: Answers) -> pd.Series:
        found = trips_of(visits).groupby("device_id")["distance_m"].agg(how)
        return found.reindex(visits.device, fill_value=0.0 if how == "sum" else math.nan).rename_axis("device_id")

    return of


# --- Theirs -------------------------------------------------------------------------------------


def _per_device(_: Visits, answer: pd.DataFrame) -> pd.Series:
    return answer.set_index("device_id").iloc[:, -1].astype(float)


def _in_turn(_: Visits, answer: pd.DataFrame) -> pd.Series:
    return in_turn(answer["device_id"], answer.iloc[:, -1])


def _with_location(visits: Visits, answer: pd.DataFrame, prefix: str = "") -> pd.DataFrame:
    """Return an answer with the location that stands at each position of a device."""
    places = visits.frame[["device_id", "lon", "lat", "location_id"]].drop_duplicates(["device_id", "lon", "lat"])
    places = places.rename(columns={name: prefix + name for name in ("lon", "lat", "location_id")})
    return answer.merge(places, on=["device_id", f"{prefix}lon", f"{prefix}lat"], how="left")


def _per_location(visits: Visits, answer: pd.DataFrame) -> pd.Series:
    found = _with_location(visits, answer)
    return found.set_index(["device_id", "location_id"])[answer.columns[-1]].astype(float)


def _network(visits: Visits, answer: pd.DataFrame) -> pd.Series:
    found = _with_location(visits, _with_location(visits, answer, "origin_"), "destination_")
    return found.set_index(["device_id", "origin_location_id", "destination_location_id"])["n_trips"].astype(float)


def _falling(_: Visits, answer: pd.DataFrame) -> pd.Series:
    return falling(answer.set_index(["device_id", "lon", "lat"]).iloc[:, -1])


MEAN_OF_DEGREES = "their centre is the plain mean of degrees, ours the mean direction on the sphere"

SHARED: tuple[SharedMeasure, ...] = (
    SharedMeasure(
        "number_of_visits",
        "visits",
        Ask("number_of_visits"),
        lambda v, _: n_visits(v),
        _per_device,
        stored=("exploration", "n_visits"),
    ),
    SharedMeasure(
        "number_of_locations",
        "locations",
        Ask("number_of_locations"),
        lambda v, _: n_places(v),
        _per_device,
        stored=("exploration", "n_locations"),
    ),
    SharedMeasure(
        "radius_of_gyration",
        "m",
        Ask("radius_of_gyration"),
        lambda v, _: gyration(v),
        _per_device,
        lambda v, _: gyration(v, "degrees"),
        'params.gyration.centre_space = "degrees"',
        MEAN_OF_DEGREES,
        1e-6,
        ("gyration", "gyration_m"),
    ),
    SharedMeasure(
        "uncorrelated_entropy",
        "bit",
        Ask("uncorrelated_entropy"),
        lambda v, _: entropy(v),
        _per_device,
        stored=("entropy", "entropy_bits"),
    ),
    SharedMeasure(
        "jump_lengths",
        "m",
        Ask("jump_lengths"),
        lambda v, _: in_turn(trips_of(v)["device_id"], trips_of(v)["distance_m"]),
        _in_turn,
        tolerance=1e-6,
    ),
    SharedMeasure(
        "distance_straight_line", "m", Ask("distance_straight_line"), _of_trips("sum"), _per_device, tolerance=1e-6
    ),
    SharedMeasure(
        "frequency_of_ranks",
        "visits",
        Ask("location_frequency", {"normalize": 0}),
        lambda v, _: falling(visit_counts(v)),
        _falling,
    ),
    SharedMeasure(
        "location_frequency",
        "visits",
        Ask("location_frequency", {"normalize": 0}),
        lambda v, _: visit_counts(v),
        _per_location,
    ),
    SharedMeasure(
        "individual_mobility_network",
        "trips",
        Ask("individual_mobility_network", {"self_loops": 1}),
        lambda v, _: network(v),
        _network,
    ),
)
