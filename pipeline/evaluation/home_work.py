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


class Places(NamedTuple):
    """Numbers, from 0, of people and of their places: pairs of a person and a location."""

    people: pd.Index
    locations: pd.Index
    """Locations of all people, whose numbers are only the person's own."""
    pairs: NDArray[np.int64]
    """Rising; the place with the number k is ``divmod(pairs[k], locations.size)``: person and location."""

    def number(self, device_id: pd.Series, location_id: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers of person and place of each row, -1 where there is none."""
        person = self.people.get_indexer(pd.Index(device_id))
        location = self.locations.get_indexer(pd.Index(location_id))
        pair = person * self.locations.size + location
        place = np.searchsorted(self.pairs, pair)
        is_there = (person >= 0) & (location >= 0) & (self.pairs[np.minimum(place, self.pairs.size - 1)] == pair)
        return person, np.where(is_there, place, -1)


class KnownTime(NamedTuple):
    """Spells of time within one day, at a place that was found, at a true one, or both: what scores are taken of."""

    places: Places
    """The places that may be found."""
    person: NDArray[np.int64]
    day: NDArray[np.int64]
    """Local days since 1970."""
    seconds: NDArray[np.int64]
    found_place: NDArray[np.int64]
    """Number of the place in what was found; -1 where none was."""
    true_place: NDArray[np.int64]
    """Number of the true place, over all people; -1 where the truth knows none."""
    role: NDArray[np.int64]
    """Number of the true role in ROLES; -1 for neither."""

    def take(self, rows: NDArray[np.bool_]) -> "KnownTime":
        """Return some of the spells."""
        columns = (self.person, self.day, self.seconds, self.found_place, self.true_place, self.role)
        return KnownTime(self.places, *(column[rows] for column in columns))


def score_home_work(stops: pd.DataFrame, found: pd.DataFrame) -> HomeWorkScores:
    """Return the scores of found roles on stops of known label.

    `stops`: one row a stop, in any order: device_id, location_id, started_s and finished_s (s since 1970 by the local
    clock) and label ("home", "work"; anything else is neither). `found`: one row for each device, role, location
    and span of local dates (window_started to window_finished, both included) in which the location has the role;
    any number of places may have it at once, and rows may overlap. Rows of devices without stops are passed over,
    so that people may be split. A stop is cut at midnight, and each part is judged by its own date.

    ValueError where a stop finishes before it starts or a found place has no stop.
    """
    known = know_stops(stops)
    person, place = known.places.number(found["device_id"], found["location_id"])
    n_strange = int(((person >= 0) & (place < 0)).sum())
    if n_strange:
        raise ValueError(f"{n_strange} found rows name a place at which their device has no stop")
    return score_known_time(known, found)


def know_stops(stops: pd.DataFrame) -> KnownTime:
    """Return stops as `score_home_work` takes them, cut at midnight: places that may be found are the true ones."""
    started_s, finished_s = (stops[name].to_numpy(np.int64) for name in ("started_s", "finished_s"))
    if (finished_s < started_s).any():
        raise ValueError("a stop finishes before it starts")
    stop, day, seconds = cut_by_day(started_s, finished_s)
    person, place, places = number_places(stops["device_id"], stops["location_id"])
    role = number_roles(stops["label"])
    return KnownTime(places, person[stop], day, seconds, place[stop], place[stop], role[stop])


def number_roles(labels: pd.Series) -> NDArray[np.int64]:
    """Return the number of each label in ROLES, -1 for labels of neither role."""
    return pd.Index(ROLES).get_indexer(pd.Index(labels))


def cut_by_day(
    started_s: NDArray[np.int64], finished_s: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return (spell, day, seconds) of each part of a spell; one without length keeps the only part it has."""
    spell, day = cut_at_midnight(started_s, finished_s)
    seconds = np.minimum(finished_s[spell], (day + 1) * DAY_S) - np.maximum(started_s[spell], day * DAY_S)
    is_part = (seconds > 0) | (started_s == finished_s)[spell]
    return spell[is_part], day[is_part], seconds[is_part]


def number_places(device_id: pd.Series, location_id: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64], Places]:
    """Return the numbers of person and place of each row, and what they stand for."""
    person, people = pd.factorize(pd.Index(device_id))
    location, locations = pd.factorize(pd.Index(location_id))
    pairs, place = np.unique(person * locations.size + location, return_inverse=True)
    return person, place, Places(pd.Index(people), pd.Index(locations), pairs)


def score_known_time(known: KnownTime, found: pd.DataFrame) -> HomeWorkScores:
    """Return the scores of found roles, as `score_home_work` takes them; rows of other places are passed over."""
    _, place = known.places.number(found["device_id"], found["location_id"])
    first, last = (to_days(found[name]) for name in ("window_started", "window_finished"))
    rows = pd.DataFrame({"role": found["role"].to_numpy(), "place": place, "first": first, "last": last})
    rows = rows[place >= 0]
    stands_for = _true_of_found(known)
    scores = (
        _score_role(
            known, known.role == k, _is_within(rows[rows["role"] == role], known.found_place, known.day), stands_for
        )
        for k, role in enumerate(ROLES)
    )
    return HomeWorkScores(np.unique(known.person).size, *scores)


def _true_of_found(known: KnownTime) -> NDArray[np.int64]:
    """Return the true place that each found place stands for: where most of its time was spent; -1 for none."""
    stands_for = np.full(known.places.pairs.size, -1, np.int64)
    is_both = (known.found_place >= 0) & (known.true_place >= 0)
    both = pd.DataFrame({name: getattr(known, name)[is_both] for name in ("found_place", "true_place", "seconds")})
    shared = both.groupby(["found_place", "true_place"], as_index=False)["seconds"].sum()
    most = shared.sort_values(["seconds", "true_place"], ascending=[False, True]).drop_duplicates("found_place")
    stands_for[most["found_place"]] = most["true_place"]
    return stands_for


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


def _score_role(
    known: KnownTime, is_true: NDArray[np.bool_], is_found: NDArray[np.bool_], true_of_found: NDArray[np.int64]
) -> RoleScores:
    n_people = known.places.people.size
    true_places, index = np.unique(known.true_place[is_true], return_index=True)
    owner = known.person[is_true][index]
    stands_for = true_of_found[np.unique(known.found_place[is_found])]
    was_found = np.isin(true_places, stands_for)
    with_true, with_found = (np.bincount(known.person[rows], minlength=n_people) > 0 for rows in (is_true, is_found))
    n_detected = int((with_true & with_found).sum())
    time, people = _rates_of_time(known.person, known.seconds, is_true, is_found, n_people)
    return RoleScores(
        n_people=int(with_true.sum()),
        n_detected=n_detected,
        n_false_people=int((with_found & ~with_true).sum()),
        undetected_share=1 - ratio(n_detected, int(with_true.sum())),
        right_share=ratio(int(was_found[with_found[owner]].sum()), int(with_found[owner].sum())),
        time=time,
        places=_rates(
            ratio(int(np.isin(stands_for, true_places).sum()), stands_for.size),
            ratio(int(was_found.sum()), true_places.size),
        ),
        people=people,
        true_h=float(known.seconds[is_true].sum() / 3600),
        found_h=float(known.seconds[is_found].sum() / 3600),
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
