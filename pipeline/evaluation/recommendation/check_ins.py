"""Check-ins as numbers: people and places from 0 in the order of their ids, which are not kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.check_in_files import (
    FRIEND_ROLES,
    PLACE_ROLES,
    PLACE_TEXTS,
    Table,
    read_check_in_rows,
    read_friend_rows,
    read_place_rows,
)

IDENTITY = ["person", "at_us", "place"]


@dataclass(frozen=True)
class CheckIns:
    """Who was where when, what is told of the places, and who are friends."""

    rows: pd.DataFrame
    """person, place (from 0), at_us (µs since 1970 UTC), is_held_out, and what the check-in tells of its place: name,
    category, area (text or None), lon, lat (degrees or NaN); by person, time and place, each once."""
    told: pd.DataFrame
    """What a table of places tells: name, category, area, lon, lat, and is_told, whether it has the place; row = place.
    What check-ins tell is not in here, since those of the hold-out may not be known (`describe_places`)."""
    n_people: int
    friends: NDArray[np.int64]
    """Pairs of people, the lower number first; shape (n, 2)."""
    counts: dict[str, int]
    """What became of the rows, by file and reason."""

    @property
    def n_places(self) -> int:
        """Number of places, those of the hold-out alone among them."""
        return len(self.told)


def read_check_ins(
    check_ins: Table, held_out: Table | None = None, places: Table | None = None, friends: Table | None = None
) -> CheckIns:
    """Return the check-ins of a table, with those held out, if any, of another.

    A check-in told twice is one, and held out if either is. Pairs of friends are of people with a check-in. Order of
    rows changes nothing. StudyError as of the readers.
    """
    tables = {"check_ins": check_ins, "held_out": held_out}
    read = {name: read_check_in_rows(table) for name, table in tables.items() if table}
    counts = {f"{name}_{reason}": n for name, (_, reasons) in read.items() for reason, n in sorted(reasons.items())}
    rows = pd.concat([r.assign(is_held_out=name == "held_out") for name, (r, _) in read.items()], ignore_index=True)
    told, reasons = read_place_rows(places) if places else (rows.iloc[:0], Counter[str]())
    counts |= {f"places_{reason}": n for reason, n in sorted(reasons.items())}
    people, place_ids = np.unique(rows["person"]), np.unique(np.concatenate([rows["place"], told["place"]]))
    pairs, n_friends = _read_friends(friends, people)
    numbered = rows.assign(
        person=np.searchsorted(people, rows["person"]), place=np.searchsorted(place_ids, rows["place"])
    )
    kept = _distinct(numbered)
    counts |= {"check_ins_repeated": len(rows) - len(kept), **n_friends}
    told = told.assign(place=np.searchsorted(place_ids, told["place"]))
    return CheckIns(kept, _table_of_places(told, len(place_ids)), len(people), pairs, +Counter(counts))


def describe_places(told: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of each place: name, category, area, lon, lat and is_told; row = place.

    `told` is as in `CheckIns`, `rows` are the check-ins that may be known. What the table of places tells of one goes
    before what check-ins do; of several values the most frequent is taken, then the first of the alphabet.
    """
    known = told.copy()
    for role in PLACE_TEXTS:
        by_rows = _most_frequent(rows, [role])[role].reindex(told.index).astype(object)
        both = told[role].astype(object).where(told[role].notna(), by_rows)
        known[role] = both.where(both.notna(), None)
    by_rows = _most_frequent(rows, ["lon", "lat"]).reindex(told.index).astype(np.float64)
    known[["lon", "lat"]] = told[["lon", "lat"]].where(told["lon"].notna(), by_rows)
    return known


def _distinct(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each check-in once; of one told twice the row that is held out, then the last by what it tells."""
    columns = rows[["person", "place", "at_us", "is_held_out", *PLACE_ROLES]]
    order = columns.sort_values([*IDENTITY, "is_held_out", *PLACE_ROLES], kind="stable", na_position="first")
    return order.drop_duplicates(IDENTITY, keep="last").reset_index(drop=True)


def _table_of_places(told: pd.DataFrame, n_places: int) -> pd.DataFrame:
    """Return what the rows of a table of places tell, one row for each place."""
    table = pd.DataFrame(index=pd.RangeIndex(n_places))
    for role in PLACE_TEXTS:
        texts = _most_frequent(told, [role])[role].reindex(table.index).astype(object)
        table[role] = texts.where(texts.notna(), None)
    table[["lon", "lat"]] = _most_frequent(told, ["lon", "lat"]).reindex(table.index).astype(np.float64)
    table["is_told"] = np.isin(np.arange(n_places), told["place"])
    return table


def _most_frequent(rows: pd.DataFrame, values: list[str]) -> pd.DataFrame:
    """Return the most frequent values of each place that has any, indexed by place; ties: the least."""
    counted = rows.dropna(subset=values).groupby(["place", *values], as_index=False).size()
    order = counted.sort_values(["place", "size", *values], ascending=[True, False, *[True] * len(values)])
    return order.drop_duplicates("place").set_index("place")[values]


def _read_friends(table: Table | None, people: NDArray[np.object_]) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Return pairs of people who are known, each once, and what became of the rows."""
    if table is None:
        return np.zeros((0, 2), np.int64), {}
    rows, reasons = read_friend_rows(table)
    is_known = rows[list(FRIEND_ROLES)].isin(set(people.tolist())).all(axis=1)
    numbered = np.searchsorted(people, rows.loc[is_known, list(FRIEND_ROLES)].to_numpy(dtype=object))
    pairs = np.sort(numbered.reshape(-1, 2), axis=1)
    is_pair = pairs[:, 0] != pairs[:, 1]
    distinct = np.unique(pairs[is_pair], axis=0).astype(np.int64)
    counts = {
        "friends_unknown_person": int((~is_known).sum()),
        "friends_with_oneself": int((~is_pair).sum()),
        "friends_repeated": int(is_pair.sum()) - len(distinct),
    }
    return distinct, {f"friends_{reason}": n for reason, n in sorted(reasons.items())} | counts
