"""Measures that Sojourn shares with scikit-mobility: each once, with ours, theirs, and what is known to set them apart.

Both sides are asked about the same visits, a visit standing at the centre of its location. `SHARED` says for each
measure what of ours it is compared with by default, and, where definitions differ, why and which of our variants is
theirs: under that one nothing may differ but rounding.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.kernels.moves import waiting_times
from pipeline.reference import Ask
from pipeline.verification.visits import Visits, in_turn

Answers = Mapping[str, pd.DataFrame]
Ours = Callable[[Visits, Answers], pd.Series]


@dataclass(frozen=True)
class SharedMeasure:
    """A measure, by ours and by scikit-mobility."""

    name: str
    unit: str
    ask: Ask
    ours: Ours
    """Our default definition: a value per device, or per device and a second thing, in the index."""
    theirs: Callable[[Visits, pd.DataFrame], pd.Series]
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
    where: str = ""
    """Where else ours is to be had."""


# --- Ours ---------------------------------------------------------------------------------------


def column(table: str, name: str, **params: object) -> Ours:
    """Return a column of a table of measures by device, as its stage makes it of the whole study."""
    return lambda visits, _: visits.column(table, name, **params)


def jumps(visits: Visits, _: Answers) -> pd.Series:
    """Return the distance of each trip, in turn."""
    trips = visits.trips().sort_values(["device_id", "finished_at"])
    turn = trips.groupby("device_id").cumcount().rename("turn")
    return pd.Series(trips["distance_m"].to_numpy(), index=pd.MultiIndex.from_arrays([trips["device_id"], turn]))


def waits(visits: Visits, _: Answers) -> pd.Series:
    """Return the seconds from the start of each visit to that of the next, in turn."""
    return in_turn(visits, waiting_times(visits.start, visits.started_us))


def rate(variant: str) -> Ours:
    """Return the entropy rate of each device's visits in order, by a peer's variant; 0 of one visit, as theirs."""
    found = column("entropy", "entropy_rate_bits", merges_repeats=False, min_sequence=2, variant=variant)
    return lambda visits, answers: found(visits, answers).fillna(0.0)


def normalised(visits: Visits, answers: Answers) -> pd.Series:
    """Return the entropy of each device's locations over their random entropy; NaN of one location."""
    found = visits.table("entropy").set_index("device_id")
    return (found["entropy_bits"] / found["random_entropy_bits"].where(found["random_entropy_bits"] > 0)).astype(float)


def places(name: str) -> Ours:
    """Return a column of visit_frequencies by device and location."""
    return lambda visits, _: visits.of_places(name)


def counts_by_rank(visits: Visits, _: Answers) -> pd.Series:
    """Return the visits to each device's locations by their rank in frequency."""
    found = visits.table("visit_frequencies")
    return found.set_index(["device_id", "frequency_rank"])["n_visits"].astype(float).rename_axis(["device_id", "turn"])


def network(visits: Visits, _: Answers) -> pd.Series:
    """Return the trips between any two locations of each device, those back to the same one included."""
    ends = ["device_id", "origin_location_id", "destination_location_id"]
    return visits.trips().groupby(ends).size().astype(float)


def network_of_moves(visits: Visits, answers: Answers) -> pd.Series:
    """Return the same without trips back to the same location."""
    found = network(visits, answers)
    ends = [found.index.get_level_values(f"{end}_location_id") for end in ("origin", "destination")]
    return found[ends[0] != ends[1]]


def from_their_home(visits: Visits, answers: Answers) -> pd.Series:
    """Return the largest distance of each device's visits from the home that the reference finds."""
    homes = visits.with_location(answers["home_location"])
    return visits.column("distances", "home_distance_max_m", home_work=homes)


# --- Theirs -------------------------------------------------------------------------------------


def _per_device(_: Visits, answer: pd.DataFrame) -> pd.Series:
    return answer.set_index("device_id").iloc[:, -1].astype(float)


def _in_turn(_: Visits, answer: pd.DataFrame) -> pd.Series:
    turn = answer.groupby("device_id").cumcount().rename("turn")
    index = pd.MultiIndex.from_arrays([answer["device_id"], turn])
    return pd.Series(answer.iloc[:, -1].to_numpy(dtype=float), index=index)


def _per_location(visits: Visits, answer: pd.DataFrame) -> pd.Series:
    found = visits.with_location(answer)
    return found.set_index(["device_id", "location_id"])[answer.columns[-1]].astype(float)


def _network(visits: Visits, answer: pd.DataFrame) -> pd.Series:
    found = visits.with_location(visits.with_location(answer, "origin_"), "destination_")
    return found.set_index(["device_id", "origin_location_id", "destination_location_id"])["n_trips"].astype(float)


def _by_rank(visits: Visits, answer: pd.DataFrame) -> pd.Series:
    n_visits = visits.of_places("n_visits").rename("n_visits").reset_index()
    found = visits.with_location(answer).rename(columns={"frequency_rank": "turn"})
    found = found.merge(n_visits, on=["device_id", "location_id"], how="left")
    return found.set_index(["device_id", "turn"])["n_visits"].astype(float)


MEAN_OF_DEGREES = "their centre is the plain mean of degrees, ours the mean direction on the sphere"
OF_DEGREES = 'params.gyration.centre_space = "degrees"'
SEQUENCES = "ours merges visits to one place that follow each other and wants ten items"
AS_THEY_ARE = 'params.entropy: merges_repeats = false, min_sequence = 2, variant = "{}"'
METRES = 1e-6
"""A thousandth of a millimetre: what is left of sines and cosines."""

SHARED: tuple[SharedMeasure, ...] = (
    SharedMeasure(
        "number_of_visits",
        "visits",
        Ask("number_of_visits"),
        column("exploration", "n_visits"),
        _per_device,
        stored=("exploration", "n_visits"),
    ),
    SharedMeasure(
        "number_of_locations",
        "locations",
        Ask("number_of_locations"),
        column("exploration", "n_locations"),
        _per_device,
        stored=("exploration", "n_locations"),
    ),
    SharedMeasure(
        "radius_of_gyration",
        "m",
        Ask("radius_of_gyration"),
        column("gyration", "gyration_m"),
        _per_device,
        column("gyration", "gyration_m", centre_space="degrees"),
        OF_DEGREES,
        MEAN_OF_DEGREES,
        METRES,
        ("gyration", "gyration_m"),
    ),
    SharedMeasure(
        "k_radius_of_gyration",
        "m",
        Ask("k_radius_of_gyration", {"k": 2}),
        column("gyration", "k_gyration_m"),
        _per_device,
        column("gyration", "k_gyration_m", centre_space="degrees"),
        OF_DEGREES,
        MEAN_OF_DEGREES,
        METRES,
        ("gyration", "k_gyration_m"),
    ),
    SharedMeasure(
        "random_entropy",
        "bit",
        Ask("random_entropy"),
        column("entropy", "random_entropy_bits"),
        _per_device,
        stored=("entropy", "random_entropy_bits"),
    ),
    SharedMeasure(
        "uncorrelated_entropy",
        "bit",
        Ask("uncorrelated_entropy"),
        column("entropy", "entropy_bits"),
        _per_device,
        stored=("entropy", "entropy_bits"),
    ),
    SharedMeasure(
        "uncorrelated_entropy normalised",
        "1",
        Ask("uncorrelated_entropy", {"normalize": 1}),
        normalised,
        _per_device,
        lambda visits, answers: normalised(visits, answers).fillna(0.0),
        "0 of one location",
        "of one location theirs is 0, ours, 0 over 0, is left to the reader",
        where="entropy.entropy_bits over entropy.random_entropy_bits",
    ),
    SharedMeasure(
        "real_entropy",
        "bit",
        Ask("real_entropy"),
        column("entropy", "entropy_rate_bits"),
        _per_device,
        rate("skmob"),
        AS_THEY_ARE.format("skmob"),
        f"{SEQUENCES}; they take a piece that reaches the end to have been met before without looking",
        stored=("entropy", "entropy_rate_bits"),
    ),
    SharedMeasure(
        "jump_lengths", "m", Ask("jump_lengths"), jumps, _in_turn, tolerance=METRES, where="trips.distance_m"
    ),
    SharedMeasure(
        "distance_straight_line",
        "m",
        Ask("distance_straight_line"),
        column("distances", "distance_m"),
        _per_device,
        tolerance=METRES,
        stored=("distances", "distance_m"),
    ),
    SharedMeasure(
        "maximum_distance",
        "m",
        Ask("maximum_distance"),
        column("distances", "max_distance_m"),
        _per_device,
        column("distances", "jump_max_m"),
        "distances.jump_max_m",
        "theirs is the longest jump, ours the largest distance between any two locations",
        METRES,
        ("distances", "max_distance_m"),
    ),
    SharedMeasure(
        "waiting_times",
        "s",
        Ask("waiting_times"),
        waits,
        _in_turn,
        lambda visits, answers: np.floor(waits(visits, answers)),
        "cut to whole seconds",
        "theirs are cut to whole seconds",
        where="kernels.moves.waiting_times; distances.wait_mean_s and wait_median_s are of these",
    ),
    SharedMeasure(
        "max_distance_from_home",
        "m",
        Ask("max_distance_from_home"),
        column("distances", "home_distance_max_m"),
        _per_device,
        from_their_home,
        "their home_location for ours",
        "their home is the position most frequent from 22:00 to 07:00 UTC, ours that of home_work",
        METRES,
        ("distances", "home_distance_max_m"),
    ),
    SharedMeasure(
        "location_frequency",
        "1",
        Ask("location_frequency"),
        places("visit_share"),
        _per_location,
        where="visit_frequencies.visit_share",
    ),
    SharedMeasure(
        "frequency_rank",
        "visits",
        Ask("frequency_rank"),
        counts_by_rank,
        _by_rank,
        reason="compared by the visits to the location of each rank, since equal numbers stand in no stated order",
        where="visit_frequencies.frequency_rank",
    ),
    SharedMeasure(
        "recency_rank",
        "rank",
        Ask("recency_rank"),
        places("recency_rank"),
        _per_location,
        where="visit_frequencies.recency_rank",
    ),
    SharedMeasure(
        "individual_mobility_network",
        "trips",
        Ask("individual_mobility_network"),
        network,
        _network,
        network_of_moves,
        "trips between two locations",
        "two visits to one location between which something was missed are a trip of ours, and none of theirs",
        where="trips, counted by their ends",
    ),
)
ASKS: Mapping[str, Ask] = {
    **{shared.name: shared.ask for shared in SHARED},
    "home_location": Ask("home_location"),
}
"""Every question whose answer a measure needs."""
