"""What scikit-mobility 1.3.1 can be asked: each question once, with its parameters, what it reads and what it answers.

Names of parameters and columns are ours, and so are units: metres, seconds, bits. Notes say where a definition may
surprise; all of them were read in the released package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

Value = float | str | None


class Kind(StrEnum):
    """What a question is about, in the words of the package's folders."""

    PREPROCESSING = "preprocessing"
    INDIVIDUAL = "individual measure"
    COLLECTIVE = "collective measure"
    MODEL = "mobility model"
    ATTACK = "privacy attack"


class Required:
    """Marks a parameter that has no default."""


REQUIRED = Required()

READS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "rows": ("device_id", "tracked_at", "lon", "lat"),
        "tiles": ("tile_id", "lon", "lat", "relevance"),
        "flows": ("origin_tile_id", "destination_tile_id", "flow"),
    }
)
"""Columns of what may be handed over; ``tiles`` may have ``outflow`` besides, the trips that leave each."""


@dataclass(frozen=True)
class Question:
    """A function of scikit-mobility, as it is asked and answered through Parquet."""

    kind: Kind
    answers: Mapping[str, str]
    """Columns of the answer and their units; "" where a column has none."""
    params: Mapping[str, Value | Required] = field(default_factory=dict)
    reads: tuple[str, ...] = ("rows",)
    note: str = ""


_DEVICE = {"device_id": ""}
_PLACE = {"lon": "degree", "lat": "degree"}
_VISIT = {**_DEVICE, "tracked_at": "UTC", **_PLACE}
_NIGHT = {"night_start": "22:00", "night_end": "07:00"}
_FLOW = {"origin_tile_id": "", "destination_tile_id": "", "flow": "trips"}
_EPR = {
    "start": REQUIRED,
    "end": REQUIRED,
    "n_people": REQUIRED,
    "rho": 0.6,
    "gamma": 0.21,
    "beta": 0.8,
    "tau_h": 17.0,
    "min_wait_s": 1200.0,
    "seed": 0.0,
}
_GRAVITY = {"gravity_type": "singly constrained", "deterrence": "power_law"}
_FLOWS_OUT = {"output": "flows", "seed": 0.0}


def _individual(answers: Mapping[str, str], note: str = "", **params: Value | Required) -> Question:
    return Question(Kind.INDIVIDUAL, {**_DEVICE, **answers}, params, note=note)


def _collective(answers: Mapping[str, str], note: str = "", **params: Value | Required) -> Question:
    return Question(Kind.COLLECTIVE, answers, params, note=note)


def _attack(note: str = "", **params: Value | Required) -> Question:
    given = {"n_known": REQUIRED, **params}
    return Question(Kind.ATTACK, {**_DEVICE, "risk": "1"}, given, note=note)


_PREPROCESSING = {
    "stay_locations": Question(
        Kind.PREPROCESSING,
        {**_DEVICE, "started_at": "UTC", "finished_at": "UTC", **_PLACE},
        {"roam_m": REQUIRED, "dwell_s": REQUIRED, "gap_s": REQUIRED},
        note="a stay ends at the first ping outside; gap_s None is its own default, no gap rule",
    ),
    "cluster": Question(
        Kind.PREPROCESSING,
        {**_DEVICE, "cluster": ""},
        {"eps_m": REQUIRED, "min_samples": REQUIRED},
        note="a row of the frame, in its order; clusters by falling size; eps_m over 6,371,008.8 m; fails on noise",
    ),
}

_INDIVIDUAL = {
    "radius_of_gyration": _individual({"gyration_m": "m"}, "centre is the plain mean of degrees"),
    "k_radius_of_gyration": _individual(
        {"gyration_m": "m"}, "most frequent positions, ties by first time; mean of degrees", k=2.0
    ),
    "random_entropy": _individual({"entropy_bits": "bit"}),
    "uncorrelated_entropy": _individual(
        {"entropy_bits": "bit"}, "normalize 1: over the logarithm of the places, 0 for one place", normalize=0.0
    ),
    "real_entropy": _individual(
        {"entropy_bits": "bit"}, "rows by time; pieces that reach the end are counted one longer; one visit: 0"
    ),
    "jump_lengths": _individual({"distance_m": "m"}, "a row for each two rows that follow each other"),
    "maximum_distance": _individual({"distance_m": "m"}, "the longest jump, not the widest extent; null for one row"),
    "distance_straight_line": _individual({"distance_m": "m"}, "sum of the jumps"),
    "waiting_times": _individual({"duration_s": "s"}, "from row to row, starts to starts; whole seconds"),
    "number_of_locations": _individual({"n_locations": "locations"}),
    "number_of_visits": _individual({"n_visits": "visits"}, "rows"),
    "home_location": _individual(_PLACE, "most frequent position at night, both ends included; else of all", **_NIGHT),
    "max_distance_from_home": _individual({"distance_m": "m"}, "home as in home_location", **_NIGHT),
    "location_frequency": _individual(
        {**_PLACE, "visit_share": "1"}, "normalize 0: numbers of visits; ties in no stated order", normalize=1.0
    ),
    "frequency_rank": _individual({**_PLACE, "frequency_rank": ""}, "1 is most visited; ties in no stated order"),
    "recency_rank": _individual({**_PLACE, "recency_rank": ""}, "1 is the last position"),
    "individual_mobility_network": _individual(
        {
            "origin_lon": "degree",
            "origin_lat": "degree",
            "destination_lon": "degree",
            "destination_lat": "degree",
            "n_trips": "trips",
        },
        "self_loops 1: rows that stay where they were count",
        self_loops=0.0,
    ),
}

_COLLECTIVE = {
    "random_location_entropy": _collective({**_PLACE, "entropy_bits": "bit"}, "of the devices seen at a position"),
    "uncorrelated_location_entropy": _collective(
        {**_PLACE, "entropy_bits": "bit"},
        "it computes nats, turned into bits here; normalize 1 is its quotient of nats and bits, at most 0.69",
        normalize=0.0,
    ),
    "visits_per_location": _collective({**_PLACE, "n_visits": "visits"}),
    "homes_per_location": _collective({**_PLACE, "n_homes": "homes"}, **_NIGHT),
    "mean_square_displacement": _collective(
        {"displacement_m2": "m²"},
        "one row: mean over devices of the squared distance from the first row to the last within lag_s",
        lag_s=3600.0,
    ),
    "visits_per_time_unit": _collective({"started_at": "UTC", "n_visits": "visits"}, unit_s=3600.0),
}

_MODELS = {
    "gravity": Question(
        Kind.MODEL,
        _FLOW,
        {**_GRAVITY, "exponent": -2.0, "origin_exponent": 1.0, "destination_exponent": 1.0, **_FLOWS_OUT},
        ("tiles",),
        "output flows, flows_sample or probabilities; an exponential deterrence is exp(-exponent metres)",
    ),
    "gravity_fit": Question(
        Kind.MODEL,
        {"origin_exponent": "1", "destination_exponent": "1", "exponent": "1, or 1/m where exponential"},
        _GRAVITY,
        ("tiles", "flows"),
        "one row; Poisson regression on the flows given, absent pairs left out",
    ),
    "radiation": Question(Kind.MODEL, _FLOW, _FLOWS_OUT, ("tiles",), "expected flows are rounded to whole trips"),
    "density_epr": Question(Kind.MODEL, _VISIT, _EPR, ("tiles",), "d-EPR: explores by gravity and relevance"),
    "spatial_epr": Question(Kind.MODEL, _VISIT, _EPR, ("tiles",), "s-EPR: explores by distance alone"),
    "ditras": Question(
        Kind.MODEL,
        _VISIT,
        {"start": REQUIRED, "end": REQUIRED, "n_people": REQUIRED, "rho": 0.3, "gamma": 0.21, "seed": 0.0},
        ("tiles", "rows"),
        "diaries are learned from rows, positions taken for places",
    ),
    "geosim": Question(
        Kind.MODEL,
        _VISIT,
        {
            "start": REQUIRED,
            "end": REQUIRED,
            "n_people": REQUIRED,
            "rho": 0.6,
            "gamma": 0.21,
            "alpha": 0.2,
            "seed": 0.0,
        },
        ("tiles",),
        "its own seed does not reach its random graph: all generators are seeded here",
    ),
}

_ATTACKS = {
    "location_attack": _attack("knows positions and how often each"),
    "location_sequence_attack": _attack("knows positions in their order"),
    "location_time_attack": _attack(
        "knows positions and times; its precisions Hour, Minute and Second leave the hour out", precision="Hour"
    ),
    "unique_location_attack": _attack("knows distinct positions"),
    "location_frequency_attack": _attack("knows distinct positions and visits to each", tolerance=0.0),
    "location_probability_attack": _attack("knows distinct positions and shares of visits", tolerance=0.0),
    "location_proportion_attack": _attack("knows distinct positions and visits relative to the most", tolerance=0.0),
    "home_work_attack": Question(
        Kind.ATTACK,
        {**_DEVICE, "risk": "1"},
        note="knows the two positions that stand first by rising frequency: the least visited, not the most",
    ),
}

QUESTIONS: Mapping[str, Question] = MappingProxyType(
    {**_PREPROCESSING, **_INDIVIDUAL, **_COLLECTIVE, **_MODELS, **_ATTACKS}
)


def filled(name: str, params: Mapping[str, Value]) -> dict[str, Value]:
    """Return the parameters of a question, defaults filled in; ValueError where it or they are not known."""
    if name not in QUESTIONS:
        raise ValueError(f"unknown measure {name!r}; known: {', '.join(QUESTIONS)}")
    declared = QUESTIONS[name].params
    lacking = {key for key, value in declared.items() if isinstance(value, Required)} - set(params)
    if lacking or not set(params) <= set(declared):
        raise ValueError(f"{name} takes {sorted(declared)}, got {sorted(params)}")
    return {**{k: v for k, v in declared.items() if not isinstance(v, Required)}, **params}
