"""How good found homes and workplaces are: over time, over places, over people, and by HoWDe's own rule.

One figure is not enough. HoWDe's rule (that of its published regression test, V-code) asks only how many true places
were ever found, so that naming every place scores best; time alone forgives a wrong place that is seldom visited.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.scores import ratio
from pipeline.kernels.howde import DAY_S, cut_at_midnight

Role = Literal["home", "work"]
ROLES: tuple[Role, ...] = ("home", "work")
STOP_COLUMNS = ["device_id", "location_id", "started_s", "finished_s", "label"]
FOUND_COLUMNS = ["device_id", "role", "window_started", "window_finished", "location_id"]


class Rates(NamedTuple):
    """Precision, recall and F1; NaN where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float


class RoleScores(NamedTuple):
    """How well one role was found."""

    n_people: int
    """People with a true place of the role."""
    n_detected: int
    """Of these, people with any place found in the role."""
    n_false_people: int
    """People without a true place of the role for whom one was found."""
    undetected_share: float
    """HoWDe's rule: share of people with a true place for whom none was found."""
    right_share: float
    """HoWDe's rule: share of the true places of the detected people that were ever found in the role."""
    time: Rates
    """Over time spent: truly in a place of the role, and in one found in the role on that day."""
    places: Rates
    """Over places of all people: ever truly in the role, and ever found in it."""
    people: Rates
    """Those over time, of each person alone, and the mean over people for whom they are defined."""
    true_h: float
    """Hours truly spent in the role."""
    found_h: float
    """Hours found to be spent in it."""


class HomeWorkScores(NamedTuple):
    """How well homes and workplaces were found."""

    n_people: int
    home: RoleScores
    work: RoleScores


class Spells(NamedTuple):
    """Spells of time, each at a place that was found, at a true one, or both: what all scores are taken of."""

    person: NDArray[np.int64]
    """Number of the person, from 0."""
    seconds: NDArray[np.int64]
    found_place: NDArray[np.int64]
    """Number of the place in what was found, over all people; -1 where no place was found."""
    true_place: NDArray[np.int64]
    """Number of the true place, over all people; -1 where the truth knows none."""
    is_true: dict[Role, NDArray[np.bool_]]
    """Whether the person is truly in a place of the role."""
    is_found: dict[Role, NDArray[np.bool_]]
    """Whether the place has the role on that day in what was found."""
    true_of_found: NDArray[np.int64]
    """The true place that each found place stands for; -1 for none."""


def score_home_work(stops: pd.DataFrame, found: pd.DataFrame) -> HomeWorkScores:
    """Return the scores of found roles on stops of known label.

    `stops`: one row a stop, in any order: device_id, location_id, started_s and finished_s (s since 1970 by the local
    clock) and label ("home", "work"; anything else is neither). `found`: one row for each device, role, location
    and span of local dates (window_started to window_finished, both included) in which the location has the role;
    any number of places may have it at once, and rows may overlap. Rows of devices without stops are passed over,
    so that people may be split. A stop is cut at midnight, and each part is judged by its own date.

    ValueError where a stop finishes before it starts or a found place has no stop.
    """
    if (stops["finished_s"] < stops["started_s"]).any():
        raise ValueError("a stop finishes before it starts")
    started_s, finished_s = (stops[name].to_numpy(np.int64) for name in ("started_s", "finished_s"))
    stop, day = cut_at_midnight(started_s, finished_s)
    seconds = np.minimum(finished_s[stop], (day + 1) * DAY_S) - np.maximum(started_s[stop], day * DAY_S)
    # A stop until midnight has no part on the next day; one without length keeps the only part it has.
    is_part = (seconds > 0) | (started_s == finished_s)[stop]
    stop, day, seconds = stop[is_part], day[is_part], seconds[is_part]
    names = _Names(stops)
    rows = names.locate(found)
    place = names.place[stop]
    spells = Spells(
        names.person[stop],
        seconds,
        place,
        place,
        {role: (stops["label"] == role).to_numpy(np.bool_)[stop] for role in ROLES},
        {role: _is_within(rows[rows["role"] == role], place, day) for role in ROLES},
        np.arange(names.n_places),
    )
    return score_spells(spells, names.people.size)


class _Names:
    """The numbers of people and of their places, each from 0."""

    def __init__(self, stops: pd.DataFrame) -> None:
        """Number what `stops` name: a place is a location of a device."""
        self.person, self.people = pd.factorize(pd.Index(stops["device_id"]))
        location, self.locations = pd.factorize(pd.Index(stops["location_id"]))
        self.pairs, self.place = np.unique(self.person * self.locations.size + location, return_inverse=True)

    @property
    def n_places(self) -> int:
        """How many places there are, over all people."""
        return self.pairs.size

    def locate(self, found: pd.DataFrame) -> pd.DataFrame:
        """Return role, place (its number), first and last day (since 1970) of the found rows of these people."""
        person = self.people.get_indexer(pd.Index(found["device_id"]))
        found, person = found[person >= 0], person[person >= 0]
        location = self.locations.get_indexer(pd.Index(found["location_id"]))
        pair = person * self.locations.size + location
        place = np.searchsorted(self.pairs, pair)
        is_known = (location >= 0) & (self.pairs[np.minimum(place, self.n_places - 1)] == pair)
        if not is_known.all():
            raise ValueError(f"{int((~is_known).sum())} found rows name a place at which their device has no stop")
        first, last = (to_days(found[name]) for name in ("window_started", "window_finished"))
        return pd.DataFrame({"role": found["role"].to_numpy(), "place": place, "first": first, "last": last})


def to_days(dates: pd.Series) -> NDArray[np.int64]:
    """Return dates, of any kind that pandas reads, as days since 1970."""
    return pd.to_datetime(dates).astype("datetime64[s]").astype("int64").to_numpy() // DAY_S


def _is_within(rows: pd.DataFrame, place: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each (place, day) whether a row holds it: `rows` have place, first and last day."""
    if rows.empty or not day.size:
        return np.zeros(day.size, np.bool_)
    low, high = day.min(), day.max()
    width = high - low + 1
    rows = rows[(rows["last"] >= low) & (rows["first"] <= high)].sort_values(["place", "first"])
    if rows.empty:
        return np.zeros(day.size, np.bool_)
    # Places one after the other on one axis of days: spans that overlap then end where the last of them ends.
    base = rows["place"].to_numpy() * width
    first = base + np.maximum(rows["first"].to_numpy() - low, 0)
    last = np.maximum.accumulate(base + np.minimum(rows["last"].to_numpy() - low, width - 1))
    asked = place * width + day - low
    k = np.searchsorted(first, asked, "right") - 1
    return (k >= 0) & (last[k] >= asked)


def score_spells(spells: Spells, n_people: int) -> HomeWorkScores:
    """Return the scores of spells of time of `n_people` people."""
    return HomeWorkScores(n_people, *(_score_role(spells, role, n_people) for role in ROLES))


def _score_role(spells: Spells, role: Role, n_people: int) -> RoleScores:
    is_true, is_found = spells.is_true[role], spells.is_found[role]
    true_places = np.unique(spells.true_place[is_true & (spells.true_place >= 0)])
    found_places = np.unique(spells.found_place[is_found & (spells.found_place >= 0)])
    stands_for = spells.true_of_found[found_places]
    was_found = np.isin(true_places, stands_for)
    with_true, with_found = np.zeros(n_people, np.bool_), np.zeros(n_people, np.bool_)
    with_true[spells.person[is_true]] = True
    with_found[spells.person[is_found]] = True
    owner = np.zeros(spells.true_place.max(initial=-1) + 1, np.int64)
    is_placed = spells.true_place >= 0
    owner[spells.true_place[is_placed]] = spells.person[is_placed]
    of_detected = with_found[owner[true_places]]
    n_detected = int((with_true & with_found).sum())
    time, people = _rates_of_time(spells.person, spells.seconds, is_true, is_found, n_people)
    return RoleScores(
        n_people=int(with_true.sum()),
        n_detected=n_detected,
        n_false_people=int((with_found & ~with_true).sum()),
        undetected_share=1 - ratio(n_detected, int(with_true.sum())),
        right_share=ratio(int(was_found[of_detected].sum()), int(of_detected.sum())),
        time=time,
        places=_rates(
            ratio(int(np.isin(stands_for, true_places).sum()), found_places.size),
            ratio(int(was_found.sum()), true_places.size),
        ),
        people=people,
        true_h=float(spells.seconds[is_true].sum() / 3600),
        found_h=float(spells.seconds[is_found].sum() / 3600),
    )


def _rates(precision: float, recall: float) -> Rates:
    """Return both and their harmonic mean: 0 where nothing was found or nothing of it is right."""
    if math.isnan(precision) or math.isnan(recall) or not precision + recall:
        return Rates(precision, recall, math.nan if math.isnan(precision) and math.isnan(recall) else 0.0)
    return Rates(precision, recall, 2 * precision * recall / (precision + recall))


def _rates_of_time(
    person: NDArray[np.int64],
    seconds: NDArray[np.int64],
    is_true: NDArray[np.bool_],
    is_found: NDArray[np.bool_],
    n_people: int,
) -> tuple[Rates, Rates]:
    """Return the rates over all time, and the means of each person's own."""

    def sums(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(person[rows], seconds[rows], n_people).astype(np.float64)

    hit, true, found = sums(is_true & is_found), sums(is_true), sums(is_found)
    with np.errstate(invalid="ignore"):
        each = hit / found, hit / true, 2 * hit / (true + found)
    means = [float(value[~np.isnan(value)].mean()) if (~np.isnan(value)).any() else math.nan for value in each]
    h, t, f = (float(value.sum()) for value in (hit, true, found))
    return Rates(ratio(h, f), ratio(h, t), ratio(2 * h, t + f)), Rates(*means)
