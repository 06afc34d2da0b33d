"""All measures and all peers: for each cell ours, theirs, and what is known to set them apart.

What scikit-mobility has per device stands in `pipeline.verification.measures`, which `sojourn verify` uses too. Here
are the other peers, measures of places, and those that scikit-mobility lacks. `tests.oracle.table` makes the page.
"""

import fastmob
import pandas as pd

from pipeline.gravity import common_part
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
    rate,
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
from tests.oracle.peer_elsewhere import ELSEWHERE
from tests.oracle.peer_places import (
    LAG_HOURS,
    as_one,
    by_day,
    by_position,
    displacement,
    ends_of,
    flows,
    of_days,
    of_positions,
    place_visits_column,
    position_of,
    random_visitor_entropy,
    shown,
    visits_by_day,
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


def fastmobs_trajectory_entropy(visits: Visits, _: Answers) -> pd.Series:
    """Return fastmob's entropy of trajectories in bits."""
    found = ask_fastmob(visits, "trajectory_entropy", normalized=False)
    return found.set_index("device_id")["entropy"].astype(float)


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
        "trajectory_entropy",
        "bit",
        "entropy.entropy_rate_bits",
        column("entropy", "entropy_rate_bits"),
        {
            FASTMOB: Cell(
                fastmobs_trajectory_entropy,
                rate("fastmob"),
                AS_THEY_ARE.format("fastmob"),
                "real_entropy by another name, here not divided by its most",
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
HIDDEN_DAYS = "days of fewer than ten devices are hidden in ours and not compared"
HIDDEN_FLOWS = "pairs of positions of fewer than ten devices are hidden in ours and not compared"
IN_NATS = "theirs is in nats, although documented in bits; turned into bits here"


def _fastmobs_places(name: str, value: str) -> Theirs:
    return lambda visits, _: shown(visits, by_position(ask_fastmob(visits, name), value))


def fastmobs_visits(visits: Visits, _: Answers) -> pd.Series:
    """Return fastmob's visits per location, of locations with ids that are the same for everybody."""
    started_at = visits.frame["started_at"].dt.tz_localize(None)
    rows = {"uid": visits.frame["device_id"], "datetime": started_at, "location_id": position_of(visits.frame)}
    found = fastmob.visits_per_location(pd.DataFrame(rows))
    return shown(visits, found.set_index("location_id")["n_visits"])


def skmobs_days(visits: Visits, answers: Answers) -> pd.Series:
    """Return scikit-mobility's visits by day, of those that our release shows."""
    found = answers["visits_per_time_unit"]
    return of_days(visits, by_day(found["started_at"], found["n_visits"]))


def fastmobs_days(visits: Visits, _: Answers) -> pd.Series:
    """Return the same of fastmob."""
    found = fastmob.visits_per_time_unit(fastmob_frame(visits), freq="1D")
    return of_days(visits, by_day(found["datetime"], found["n_visits"]))


def fastmobs_flows(visits: Visits, answers: Answers) -> pd.Series:
    """Return fastmob's matrix of our trips' ends, of the pairs that our release shows."""
    names = {"origin_col": "origin_area", "destination_col": "destination_area"}
    found = fastmob.od_matrix(ends_of(visits.trips()), **names).set_index(list(names.values()))
    counted = found.iloc[:, -1].astype(float).rename_axis(["place", "to"])
    return counted[counted.index.isin(flows(visits, answers).index)]


def halves(visits: Visits) -> pd.DataFrame:
    """Return the trips from one position to another of the first and of the second half of all trips."""
    ends = ends_of(visits.trips())
    is_late = (visits.trips()["finished_at"].rank() > len(ends) / 2).map({False: "early", True: "late"})
    is_move = ends["origin_area"] != ends["destination_area"]
    counted = ends[is_move].groupby([*ends.columns, is_late[is_move].rename("half")]).size()
    return counted.unstack(fill_value=0).astype(float)


def ours_in_common(visits: Visits, _: Answers) -> pd.Series:
    """Return the common part of both halves by `gravity_fits`' function."""
    found = halves(visits)
    return as_one(common_part(found["early"].to_numpy(), found["late"].to_numpy()))


def fastmobs_in_common(visits: Visits, _: Answers) -> pd.Series:
    """Return fastmob's common part of both halves."""
    found = halves(visits).rename_axis(["origin", "destination"]).reset_index()
    early, late = (found[["origin", "destination", half]].set_axis(FLOW, axis=1) for half in ("early", "late"))
    return as_one(fastmob.common_part_of_commuters(fastmob.FlowDataFrame(early), fastmob.FlowDataFrame(late)))


FLOW = ["origin", "destination", "flow"]
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
        is_release=True,
    ),
    Row(
        "visits_per_time_unit",
        "visits",
        "place_visits.n_visits, area all, window day",
        visits_by_day,
        {SKMOB: Cell(skmobs_days, reason=HIDDEN_DAYS), FASTMOB: Cell(fastmobs_days, reason=HIDDEN_DAYS)},
        is_release=True,
    ),
    Row(
        "od_matrix",
        "trips",
        "od_flows.n_trips",
        flows,
        {
            SKMOB: Elsewhere("not compared: `TrajDataFrame.to_flowdataframe` counts points that follow each other"),
            FASTMOB: Cell(fastmobs_flows, reason=f"asked of the ends of our trips; {HIDDEN_FLOWS}"),
        },
        is_release=True,
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
        is_release=True,
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
        1e-6,
        is_release=True,
    ),
)
IN_COMMON = Row(
    "common_part_of_commuters",
    "1",
    "gravity_fits.cpc",
    ours_in_common,
    {
        SKMOB: Elsewhere("not compared: a formula of two arrays"),
        FASTMOB: Cell(
            fastmobs_in_common,
            reason="asked of the first and of the second half of all trips between two positions",
        ),
    },
    is_one=True,
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
    is_one=True,
)


ROWS: tuple[Row, ...] = (*map(_row, SHARED), *OTHERS, *PLACES, IN_COMMON, DISPLACEMENT, *ELSEWHERE)
PLACE_ASKS = {
    **{name: Ask(name) for name in ("visits_per_location", "random_location_entropy", "uncorrelated_location_entropy")},
    "visits_per_time_unit": Ask("visits_per_time_unit", {"unit_s": 86_400.0}),
    "mean_square_displacement": Ask("mean_square_displacement", {"lag_s": LAG_HOURS * 3600.0}),
}
"""Questions besides those of the shared measures."""
