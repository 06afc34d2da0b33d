"""Whole evaluations of homes and workplaces: of a table of labelled stops, or of a root beside true stays."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.home_work import (
    FOUND_COLUMNS,
    ROLES,
    HomeWorkScores,
    KnownTime,
    cut_by_day,
    know_stops,
    number_places,
    number_roles,
    score_known_time,
    to_days,
)
from pipeline.evaluation.labelled_stops import US_PER_S, LabelledStops, find_home_work, visits_of_stops
from pipeline.evaluation.periods import Periods
from pipeline.evaluation.scores import ratio
from pipeline.evaluation.trivial_roles import trivial_roles
from pipeline.params import Params
from pipeline.study import Study, StudyError


class HomeWorkEvaluation(NamedTuple):
    """What was compared, with every row accounted for, and the scores of each answer."""

    rows: dict[str, int]
    seen_share: dict[str, float]
    """Role → share of the time truly spent in it during which a visit was found: no recall over time is higher."""
    results: dict[str, HomeWorkScores]
    """Answer → its scores: moving and baseline (within its dates), then the trivial rules."""


def evaluate_stops(labelled: LabelledStops, study: Study, params: Params) -> HomeWorkEvaluation:
    """Return how good the homes and workplaces are that HOME_WORK finds in stops of known purpose."""
    stops = labelled.stops.assign(
        started_s=labelled.stops["started_us"] // US_PER_S, finished_s=labelled.stops["finished_us"] // US_PER_S
    )
    visits = visits_of_stops(labelled.stops)
    rows = labelled.rows | {"n_same_start": len(stops) - len(visits)}
    return _evaluate(rows, know_stops(stops), stops, find_home_work(visits, study, params))


def evaluate_root(visits: pd.DataFrame, home_work: pd.DataFrame, truth: LabelledStops) -> HomeWorkEvaluation:
    """Return how good the HOME_WORK of a root is beside true stays, whose ids were hashed with the root's key.

    Compared is the time from the later of a device's first visit and first true stay to the earlier of the last ones.
    A place found stands for the true place where most of its time was truly spent. StudyError where no device of the
    truth has a visit.
    """
    devices = np.intersect1d(visits["device_id"], truth.stops["device_id"])
    if not devices.size:
        raise StudyError(
            f"--truth: none of its {truth.rows['n_people']:,} devices has a visit; ids must be those of the source, "
            "and SOJOURN_KEY the one that tables were made with"
        )
    visits = visits[visits["device_id"].isin(devices)].sort_values(["device_id", "started_at"], ignore_index=True)
    rows = truth.rows | {"n_true_devices_without_visits": truth.rows["n_people"] - devices.size}
    return _evaluate(rows, know_visits(visits, truth.stops), _as_stops(visits), home_work)


def _evaluate(
    rows: dict[str, int], known: KnownTime, stops: pd.DataFrame, home_work: pd.DataFrame
) -> HomeWorkEvaluation:
    answers = {span: home_work.loc[home_work["span"] == span, FOUND_COLUMNS] for span in ("moving", "baseline")}
    results = {"moving": score_known_time(known, answers["moving"])}
    if len(answers["baseline"]):
        first, last = (to_days(answers["baseline"][name]) for name in FOUND_COLUMNS[2:4])
        within = known.take((known.day >= first.min()) & (known.day <= last.max()))
        results["baseline"] = score_known_time(within, answers["baseline"])
    trivial = {name: score_known_time(known, found) for name, found in trivial_roles(stops).items()}
    return HomeWorkEvaluation(rows, _seen_share(known), results | trivial)


def _seen_share(known: KnownTime) -> dict[str, float]:
    shares: dict[str, float] = {}
    for number, role in enumerate(ROLES):
        is_true = known.role == number
        seen_s, true_s = (int(known.seconds[rows].sum()) for rows in (is_true & (known.found_place >= 0), is_true))
        shares[role] = ratio(seen_s, true_s)
    return shares


def _as_stops(visits: pd.DataFrame) -> pd.DataFrame:
    """Return visits as local stops."""
    local = {
        f"{name}_s": _as_us(visits[f"{name}_at"]) // US_PER_S + visits["utc_offset_s"].to_numpy(np.int64)
        for name in ("started", "finished")
    }
    return visits[["device_id", "location_id"]].assign(**local)


def _as_us(times: pd.Series) -> NDArray[np.int64]:
    return times.astype("datetime64[us, UTC]").astype("int64").to_numpy()


def know_visits(visits: pd.DataFrame, truth: pd.DataFrame) -> KnownTime:
    """Return the time in visits, in true stays or in both, of the devices of `visits`; see `evaluate_root`.

    `visits` (device_id, location_id, started_at, finished_at, utc_offset_s) and `truth` (stops of `LabelledStops`) are
    sorted by device and start. Of stays that overlap the one begun last holds.
    """
    person, place, places = number_places(visits["device_id"], visits["location_id"])
    _, true_place, _ = number_places(truth["device_id"], truth["location_id"])
    begun_us, ended_us = _as_us(visits["started_at"]), _as_us(visits["finished_at"])
    found = Periods(visits["device_id"].to_numpy(), begun_us, ended_us, place)
    begun_us, ended_us = truth["started_us"].to_numpy(), truth["finished_us"].to_numpy()
    true = Periods(truth["device_id"].to_numpy(), begun_us, ended_us, true_place)
    pieces = [_overlay(found, true, device) for device in places.people]
    visit, last_visit, stay, started_us, finished_us = np.concatenate(pieces, axis=1)
    offset_s = visits["utc_offset_s"].to_numpy(np.int64)[last_visit]
    piece, day, seconds = cut_by_day(started_us // US_PER_S + offset_s, finished_us // US_PER_S + offset_s)
    visit, last_visit, stay = (rows[piece] for rows in (visit, last_visit, stay))
    role = np.where(stay < 0, -1, number_roles(truth["label"])[stay])
    found_place, place_there = np.where(visit < 0, -1, place[visit]), np.where(stay < 0, -1, true_place[stay])
    return KnownTime(places, person[last_visit], day, seconds, found_place, place_there, role)


def _overlay(visits: Periods, stays: Periods, device: int) -> NDArray[np.int64]:
    """Return (visit, last visit begun, stay, start, finish) of the pieces of one device's time, of shape (5, n).

    Visit and stay are rows of `visits` and `stays`, -1 where a piece is in none; in neither there is no piece.
    """
    mine, true = visits.only(device), stays.only(device)
    begin = max(mine.started_us[0], true.started_us[0])
    end = max(begin, min(mine.finished_us.max(), true.finished_us.max()))
    every = np.concatenate([mine.started_us, mine.finished_us, true.started_us, true.finished_us])
    bounds = np.unique(np.clip(every, begin, end))
    visit, stay = _holder(mine, bounds, visits.of(device).start), _holder(true, bounds, stays.of(device).start)
    last_visit = np.searchsorted(mine.started_us, bounds[:-1], "right") - 1 + visits.of(device).start
    pieces = np.stack([visit, last_visit, stay, bounds[:-1], bounds[1:]])
    return pieces[:, (visit >= 0) | (stay >= 0)]


def _holder(spells: Periods, bounds: NDArray[np.int64], first_row: int) -> NDArray[np.int64]:
    """Return the row of the spell that holds each piece between two bounds, -1 for none."""
    k = np.searchsorted(spells.started_us, bounds[:-1], "right") - 1
    return np.where((k >= 0) & (spells.finished_us[k] >= bounds[1:]), k + first_row, -1)
