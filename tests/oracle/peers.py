"""All measures and all peers: for each cell ours, theirs, and what is known to set them apart.

What scikit-mobility has per device stands in `pipeline.verification.measures`, which `sojourn verify` uses too; here
are the other peers, the measures of places, and those that scikit-mobility lacks. `tests.oracle.table` makes a page.
"""

import fastmob
import pandas as pd

from pipeline.reference import Ask
from pipeline.verification.measures import (
    AS_THEY_ARE,
    MEAN_OF_DEGREES,
    METRES,
    OF_DEGREES,
    SHARED,
    Answers,
    Ours,
    SharedMeasure,
    column,
)
from pipeline.verification.visits import Visits
from tests.oracle.peer_cells import (
    EARTH,
    FASTMOB,
    FASTMOBS_EARTH,
    SKMOB,
    TRACKINTEL,
    Cell,
    Elsewhere,
    Row,
    Theirs,
    ask_fastmob,
    fastmob_cell,
    fastmob_frame,
    trackintels_jumps,
    trackintels_radius,
)
from tests.oracle.peer_places import (
    LAG_HOURS,
    as_one,
    by_position,
    displacement,
    of_positions,
    place_visits_column,
    position_of,
    random_visitor_entropy,
    shown,
)

MILLIMETRE = 1e-3
ARCCOSINE = "theirs is the arccosine of a cosine, which rounds short distances: compared to a millimetre"


def _row(shared: SharedMeasure) -> Row:
    def theirs(visits: Visits, answers: Answers) -> pd.Series:
        return shared.theirs(visits, answers[shared.name])

    cells: dict[str, Cell | Elsewhere] = {
        SKMOB: Cell(theirs, shared.alike, shared.variant, shared.reason),
        FASTMOB: fastmob_cell(shared),
    }
    if shared.name == "radius_of_gyration":
        reason = f"{shared.reason}; {ARCCOSINE}"
        cells[TRACKINTEL] = Cell(trackintels_radius("count"), shared.alike, shared.variant, reason, MILLIMETRE)
    if shared.name == "jump_lengths":
        cells[TRACKINTEL] = Cell(trackintels_jumps, reason=ARCCOSINE, tolerance=MILLIMETRE)
    where = ".".join(shared.stored) if shared.stored else shared.where
    return Row(shared.name, shared.unit, where, shared.ours, cells, shared.tolerance)


# --- measures that scikit-mobility lacks --------------------------------------------------------


def fastmobs_predictability(visits: Visits, _: Answers) -> pd.Series:
    """Return ours by fastmob's sequences and rate; 1 of one visit."""
    params = {"merges_repeats": False, "min_sequence": 2, "variant": "fastmob"}
    return visits.column("entropy", "predictability", **params).fillna(1.0)


def repeat_share(visits: Visits, _: Answers) -> pd.Series:
    """Return the share of visits that are not the first to their location."""
    return 1 - visits.column("exploration", "n_locations") / visits.column("exploration", "n_visits")


def _fastmobs(name: str, value: str) -> Theirs:
    return lambda visits, _: ask_fastmob(visits, name).set_index("device_id")[value].astype(float)


OTHERS: tuple[Row, ...] = (
    Row(
        "radius_of_gyration by dwell",
        "m",
        "gyration.gyration_dwell_m",
        column("gyration", "gyration_dwell_m"),
        {
            TRACKINTEL: Cell(
                trackintels_radius("duration"),
                column("gyration", "gyration_dwell_m", centre_space="degrees"),
                OF_DEGREES,
                f"{MEAN_OF_DEGREES}; {ARCCOSINE}",
                MILLIMETRE,
            )
        },
        METRES,
    ),
    Row(
        "predictability",
        "1",
        "entropy.predictability",
        column("entropy", "predictability"),
        {
            FASTMOB: Cell(
                _fastmobs("trajectory_predictability", "predictability"),
                fastmobs_predictability,
                AS_THEY_ARE.format("fastmob"),
                "their entropy rate is another (real_entropy)",
                1e-6,
            )
        },
    ),
    Row(
        "regularity",
        "1",
        "regularity.regularity",
        column("regularity", "regularity"),
        {
            FASTMOB: Cell(
                _fastmobs("regularity", "regularity"),
                repeat_share,
                "1 - exploration.n_locations / exploration.n_visits",
                "theirs knows no time: the share of visits that are not the first to their location",
            )
        },
    ),
)


# --- measures of places -------------------------------------------------------------------------

HIDDEN = "positions of fewer than ten devices are hidden in ours and not compared"
IN_NATS = "theirs is in nats, although documented in bits; turned into bits here"


def _fastmobs_places(name: str, value: str) -> Theirs:
    return lambda visits, _: shown(visits, by_position(ask_fastmob(visits, name), value))


def fastmobs_visits(visits: Visits, _: Answers) -> pd.Series:
    """Return fastmob's visits per location, of locations with ids that are the same for everybody."""
    started_at = visits.frame["started_at"].dt.tz_localize(None)
    rows = {"uid": visits.frame["device_id"], "datetime": started_at, "location_id": position_of(visits.frame)}
    found = fastmob.visits_per_location(pd.DataFrame(rows))
    return shown(visits, found.set_index("location_id")["n_visits"])


PLACES: tuple[Row, ...] = (
    Row(
        "visits_per_location",
        "visits",
        "place_visits.n_visits",
        place_visits_column("n_visits"),
        {
            SKMOB: Cell(of_positions("visits_per_location"), reason=HIDDEN),
            FASTMOB: Cell(fastmobs_visits, reason=HIDDEN),
        },
    ),
    Row(
        "random_location_entropy",
        "bit",
        "log2 of place_visits.n_devices",
        random_visitor_entropy,
        {
            SKMOB: Cell(of_positions("random_location_entropy"), reason=HIDDEN),
            FASTMOB: Cell(_fastmobs_places("random_location_entropy", "random_entropy"), reason=HIDDEN),
        },
    ),
    Row(
        "uncorrelated_location_entropy",
        "bit",
        "place_visits.visitor_entropy_bits",
        place_visits_column("visitor_entropy_bits"),
        {
            SKMOB: Cell(of_positions("uncorrelated_location_entropy"), reason=f"{HIDDEN}; {IN_NATS}"),
            FASTMOB: Cell(_fastmobs_places("uncorrelated_location_entropy", "uncorrelated_entropy"), reason=HIDDEN),
        },
        1e-8,
    ),
)

FIRST_PAIR = (
    "theirs is one pair of positions a device, from the first visit on, ours the mean over all hours at which a device "
    "is on a visit and on one a lag later"
)


def _of_first_pairs(factor: float = 1.0) -> Ours:
    return lambda visits, _: displacement(visits, "first") * factor


DISPLACEMENT = Row(
    "mean_square_displacement",
    "km²",
    "displacement.mean_square_km2",
    lambda visits, _: displacement(visits, "hours"),
    {
        SKMOB: Cell(
            lambda _, answers: as_one(answers["mean_square_displacement"]["displacement_m2"].iloc[0] / 1e6),
            _of_first_pairs(),
            'params.displacement.method = "first"',
            FIRST_PAIR,
        ),
        FASTMOB: Cell(
            lambda visits, _: as_one(fastmob.mean_square_displacement(fastmob_frame(visits), hours=LAG_HOURS)),
            _of_first_pairs(FASTMOBS_EARTH**2),
            'params.displacement.method = "first" on their Earth',
            f"{FIRST_PAIR}; {EARTH}",
        ),
    },
    1e-6,
)


# --- what other tests compare, and what cannot be compared --------------------------------------

OTHER_RULE = "other definition: theirs is the most frequent position at night, ours a logit over windows or HoWDe"


def _elsewhere(measure: str, unit: str, where: str, **words: str) -> Row:
    names = {"skmob": SKMOB, "fastmob": FASTMOB, "trackintel": TRACKINTEL}
    return Row(measure, unit, where, None, {names[peer]: Elsewhere(text) for peer, text in words.items()})


ELSEWHERE: tuple[Row, ...] = (
    _elsewhere(
        "stay_locations",
        "stays",
        "stays",
        skmob='equal under `criterion = "anchor"` and its other params: `test_stays_skmob.py`',
        fastmob="as scikit-mobility: `test_stays_skmob.py`",
        trackintel="as fastmob but for stays of exactly the dwell and radius: `test_stay_accuracy.py`",
    ),
    _elsewhere(
        "cluster",
        "locations",
        "locations",
        skmob="equal but for the radius of the Earth: `test_clustering_peers.py`",
        trackintel="equal once its axes are exchanged: `test_clustering_peers.py`",
    ),
    _elsewhere(
        "home_location", "", "home_work", skmob=OTHER_RULE, fastmob=OTHER_RULE, trackintel="other definition: OSNA"
    ),
    _elsewhere(
        "homes_per_location", "homes", "panel_weights counts homes by area", skmob=OTHER_RULE, fastmob=OTHER_RULE
    ),
    _elsewhere(
        "od_matrix",
        "trips",
        "od_flows.n_trips",
        fastmob="other definition: theirs counts pairs as they are given; ours hides flows of few devices",
    ),
    _elsewhere(
        "gravity and radiation",
        "",
        "gravity_fits",
        skmob="equal where as many leave an area as reach it (theirs has one relevance): `test_gravity_skmob.py`",
    ),
    _elsewhere(
        "daily_motifs",
        "",
        "daily_motifs.motif",
        fastmob="other definition: theirs is anchored at a home that is given with the visits",
    ),
    _elsewhere(
        "privacy attacks",
        "1",
        "sojourn audit",
        skmob="location and unique location attack equal where each place is known once: `test_audit_skmob.py`",
    ),
)

ROWS: tuple[Row, ...] = (*map(_row, SHARED), *OTHERS, *PLACES, DISPLACEMENT, *ELSEWHERE)
PLACE_ASKS = {
    **{name: Ask(name) for name in ("visits_per_location", "random_location_entropy", "uncorrelated_location_entropy")},
    "mean_square_displacement": Ask("mean_square_displacement", {"lag_s": LAG_HOURS * 3600.0}),
}
"""Questions besides those of the shared measures."""
