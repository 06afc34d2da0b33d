"""What the weeks before it say of a week's new places: features, target and baselines per device and week."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.kernels.weekdays import EPOCH_WEEKDAY, SATURDAY, WEEK_DAYS
from pipeline.models.people.weeks import (
    FIXED,
    NONE_KNOWN,
    OTHER,
    Ints,
    VisitWeeks,
    by_week,
    distinct,
    entropy_of_weeks,
    n_ln_n,
)

RECENT_WEEKS = (8, 26)
"""Spans of the shares of late weeks, beside those of the lags and of all (ours)."""
KIND_PRIOR = 0.5
"""New places of each kind that are added to those seen before a logarithm of shares is taken (ours)."""
UNKNOWN = -1

Floats = NDArray[np.float64]
Columns = dict[str, NDArray]


class ExplorationRows(NamedTuple):
    """One row per device and week that is forecast, in order of both; everything but the targets is of earlier days."""

    device_id: Ints
    monday: Ints
    """Of the week that is forecast, days since 1970."""
    n_weeks_before: Ints
    is_last: NDArray[np.bool_]
    """The week is not over: its forecast cannot be checked."""
    features: NDArray[np.float32]
    n_observed: Ints
    """Observed weeks before."""
    n_new: Ints
    """Those of them with a new place."""
    n_recent_observed: Ints
    n_recent_new: Ints
    """The same of the last RECENT_WEEKS[0] weeks."""
    kinds_before: NDArray[np.int64]
    """New places so far by kind; shape (rows, kinds)."""
    has_new: NDArray[np.int8]
    """Target: whether a new place is visited; UNKNOWN where the week is not over or not observed."""
    kind: NDArray[np.int16]
    """Target: number of the kind of the first new place; UNKNOWN where there is none."""


def kind_names(kinds: Sequence[str]) -> list[str]:
    """Return the names of the classes: the kinds learnt, then `other`, then `none known`."""
    return [*kinds, OTHER, NONE_KNOWN]


def feature_names(n_lags: int, kinds: Sequence[str]) -> list[str]:
    """Return the names of the features in their order."""
    return list(_features(by_week(_no_visits()), n_lags, kinds))


def exploration_rows(visits: pd.DataFrame, n_lags: int, kinds: Sequence[str], min_days: int) -> ExplorationRows:
    """Return features and targets of VISITS, for the week after each whole week of a device's record.

    A week is observed when visits start on at least `min_days` of its days. Features of a week use visits of earlier
    local dates only; a place is new when no visit before it, by local date and start, was there. `kinds` are those
    that have a class of their own.
    """
    weeks = by_week(visits)
    counts = distinct(weeks, weeks.day)
    is_observed = counts >= min_days
    new, kind = weeks.visits_in_cells(weeks.is_first), class_of(weeks.kind, kinds)
    has_new = (new > 0) & is_observed
    at, is_last = np.arange(weeks.n_cells), np.zeros(weeks.n_cells, np.bool_)
    is_last[weeks.start[1:][np.diff(weeks.start) > 0] - 1] = True
    after = np.minimum(at + 1, max(weeks.n_cells - 1, 0))
    is_known = ~is_last & is_observed[after]
    recent = RECENT_WEEKS[0]
    return ExplorationRows(
        weeks.device_id[weeks.device_of_cell],
        weeks.monday[weeks.device_of_cell] + WEEK_DAYS * (weeks.week_of_cell + 1),
        weeks.week_of_cell + 1,
        is_last,
        np.stack(list(_features(weeks, n_lags, kinds).values()), axis=1).astype(np.float32),
        weeks.so_far(is_observed),
        weeks.so_far(has_new),
        _lately(weeks, is_observed, recent),
        _lately(weeks, has_new, recent),
        _kinds_so_far(weeks, kind, len(kinds) + 2),
        np.where(is_known, has_new[after], UNKNOWN).astype(np.int8),
        np.where(is_known, _first_kind(weeks, kind)[after], UNKNOWN).astype(np.int16),
    )


def class_of(kind: NDArray[np.object_], kinds: Sequence[str]) -> Ints:
    """Return the number of each kind's class among `kind_names`."""
    codes, texts = pd.factorize(kind)
    known = {NONE_KNOWN: len(kinds) + 1} | {name: number for number, name in enumerate(kinds)}
    return np.array([known.get(text, len(kinds)) for text in texts], np.int64)[codes]


def _first_kind(weeks: VisitWeeks, kind: Ints) -> Ints:
    """Return the class of each cell's first new place, UNKNOWN where it has none."""
    found = np.full(weeks.n_cells, UNKNOWN)
    at = np.flatnonzero(weeks.is_first & (weeks.cell >= 0))[::-1]
    found[weeks.cell[at]] = kind[at]
    return found


def _kinds_so_far(weeks: VisitWeeks, kind: Ints, n_kinds: int) -> NDArray[np.int64]:
    """Return how many new places of each class a device had by the end of each cell."""
    counts = [weeks.so_far(weeks.visits_in_cells(weeks.is_first & (kind == number))) for number in range(n_kinds)]
    return np.stack(counts, axis=1)


def _lately(weeks: VisitWeeks, cells: NDArray, n_weeks: int) -> Ints:
    """Return the sums of the last `n_weeks` cells up to each."""
    sums = weeks.so_far(cells)
    return sums - np.where(weeks.week_of_cell >= n_weeks, _lagged(weeks, sums, n_weeks), 0)


def _lagged(weeks: VisitWeeks, cells: NDArray, lag: int) -> NDArray:
    """Return the value `lag` cells earlier, 0 where the record does not go back so far."""
    before = np.concatenate((np.zeros(min(lag, cells.size), cells.dtype), cells[: max(cells.size - lag, 0)]))
    return np.where(weeks.week_of_cell >= lag, before, 0)


def _features(weeks: VisitWeeks, n_lags: int, kinds: Sequence[str]) -> dict[str, Floats]:
    """Return the features by name: of single weeks back from the forecast, and of the record so far."""
    week = _of_weeks(weeks)
    single = {
        f"{name}_{lag + 1}_back": _lagged(weeks, values, lag) for lag in range(n_lags) for name, values in week.items()
    }
    is_there = {f"is_in_record_{lag + 1}_back": (weeks.week_of_cell >= lag).astype(float) for lag in range(n_lags)}
    return single | is_there | _of_record(weeks) | _of_mix(weeks) | _of_kinds(weeks, kinds)


def _of_weeks(weeks: VisitWeeks) -> dict[str, Floats]:
    """Return what is told of each week by itself."""
    everything, new = np.ones(weeks.cell.size, np.bool_), weeks.visits_in_cells(weeks.is_first)
    return {
        "log_visits": np.log1p(weeks.visits_in_cells(everything)),
        "days_seen": distinct(weeks, weeks.day) / WEEK_DAYS,
        "log_places": np.log1p(distinct(weeks, weeks.location)),
        "log_new_places": np.log1p(new),
        "has_new_place": (new > 0).astype(float),
        "entropy": entropy_of_weeks(weeks),
    }


def _of_record(weeks: VisitWeeks) -> dict[str, Floats]:
    """Return how much was seen so far, how many places, how evenly they were visited and how new they were."""
    n = weeks.so_far(weeks.visits_in_cells(np.ones(weeks.cell.size, np.bool_)))
    new = weeks.visits_in_cells(weeks.is_first)
    places = weeks.so_far(new)
    once = places - weeks.so_far(weeks.visits_in_cells(weeks.n_there == 1))
    spread = weeks.so_far(weeks.total(n_ln_n(weeks.n_there + 1) - n_ln_n(weeks.n_there)))
    entropy = np.log(np.maximum(n, 1)) - spread / FIXED / np.maximum(n, 1)
    n_weeks = weeks.week_of_cell + 1
    is_seen, has_new = distinct(weeks, weeks.day) > 0, new > 0
    seen = weeks.so_far(is_seen)
    found = {
        "log_weeks": np.log(n_weeks),
        "log_visits_so_far": np.log1p(n),
        "log_places_so_far": np.log1p(places),
        "new_share_of_visits": _share(places, n),
        "places_seen_once": _share(once, places),
        "entropy_so_far": entropy,
        "evenness_so_far": np.where(places > 1, entropy / np.log(np.maximum(places, 2)), 0.0),
        "weeks_seen": seen / n_weeks,
        "new_share_of_weeks": (weeks.so_far(has_new) + 1) / (seen + 2),
        "log_new_per_week": np.log1p(_share(places, seen)),
        "log_weeks_since_seen": np.log1p(_since(weeks, is_seen)),
        "log_weeks_since_new": np.log1p(_since(weeks, has_new)),
    }
    for span in RECENT_WEEKS:
        found[f"new_share_of_{span}_weeks"] = (_lately(weeks, has_new, span) + 1) / (_lately(weeks, is_seen, span) + 2)
        found[f"log_new_per_week_of_{span}"] = np.log1p(
            _share(_lately(weeks, new, span), _lately(weeks, is_seen, span))
        )
    return found


def _of_mix(weeks: VisitWeeks) -> dict[str, Floats]:
    """Return on which weekdays visits so far started, and what was not observed of them."""
    weekday = (weeks.day + EPOCH_WEEKDAY) % WEEK_DAYS
    n = weeks.so_far(weeks.visits_in_cells(weekday >= 0))
    weekend_new = weeks.so_far(weeks.visits_in_cells(weeks.is_first & (weekday >= SATURDAY)))
    shares = {
        f"visits_on_weekday_{d}": _share(weeks.so_far(weeks.visits_in_cells(weekday == d)), n) for d in range(WEEK_DAYS)
    }
    return shares | {
        "new_places_on_weekends": _share(weekend_new, weeks.so_far(weeks.visits_in_cells(weeks.is_first))),
        "inferred_visits": _share(weeks.so_far(weeks.visits_in_cells(weeks.is_inferred)), n),
    }


def _of_kinds(weeks: VisitWeeks, kinds: Sequence[str]) -> dict[str, Floats]:
    """Return the logarithms of the shares of the kinds among the new places so far."""
    counts = _kinds_so_far(weeks, class_of(weeks.kind, kinds), len(kinds) + 2) + KIND_PRIOR
    logs = np.log(counts / counts.sum(axis=1, keepdims=True))
    return {f"log_new_places_{name}": logs[:, k] for k, name in enumerate(kind_names(kinds))}


def _share(part: Ints, whole: Ints) -> Floats:
    """Return part of whole, 0 of nothing."""
    return part / np.maximum(whole, 1)


def _since(weeks: VisitWeeks, is_so: NDArray[np.bool_]) -> Ints:
    """Return cells since the last where something was so, 0 at it; the record's weeks where it never was."""
    at = np.where(is_so, np.arange(weeks.n_cells), -1)
    latest = np.maximum(np.maximum.accumulate(at), weeks.start[weeks.device_of_cell] - 1)
    return np.arange(weeks.n_cells) - latest


def _no_visits() -> pd.DataFrame:
    times = pd.Series([], dtype="datetime64[us, UTC]")
    whole, text = pd.Series([], dtype="int64"), pd.Series([], dtype="str")
    return pd.DataFrame(
        {
            "device_id": whole,
            "started_at": times,
            "finished_at": times,
            "date": pd.Series([], dtype="datetime64[s]"),
            "utc_offset_s": whole,
            "is_inferred": pd.Series([], dtype="bool"),
            "location_id": whole,
            "poi_category": text,
        }
    )
