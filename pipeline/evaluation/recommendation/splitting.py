"""What is learnt from and what is looked for: one cut in time, or a second file; places new to a person, or any."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.check_ins import CheckIns
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.study import StudyError

DAY_US = 86_400_000_000
NEW, EVERY_NEW, ANY = "new", "every_new", "any"
TARGETS = (NEW, EVERY_NEW, ANY)
"""What lists are searched for: a person's first place of the hold-out that is new to them (the main one: a repeat is
trivial), every one of those, and the first of any kind."""
PEOPLE, PLACES = 0, 1
"""Keys of the random streams that say who and what is made cold."""


class Targets(NamedTuple):
    """Places that the lists of people are searched for; by person, some have several."""

    person: NDArray[np.int64]
    place: NDArray[np.int64]


class Split(NamedTuple):
    """Check-ins to learn from, and the places that each person's list is searched for."""

    training: pd.DataFrame
    """person, place, at_us; by person, time and place."""
    now_us: int
    """When lists are asked for: the cut, or just after the last check-in of training."""
    is_catalogued: NDArray[np.bool_]
    """Whether a place can be recommended: it occurs in training or in a table of places."""
    targets: dict[str, Targets]
    """By name of TARGETS; places of the catalogue. New: not visited by the person in training."""
    counts: dict[str, int]


def split_check_ins(check_ins: CheckIns, params: RecommendParams, seed: int = 0) -> Split:
    """Return the split of check-ins: those a second file holds out, else the last `holdout_days` of all.

    Targets are places of the catalogue; check-ins of the hold-out elsewhere are passed over and counted. With
    `hidden_share` that share of people and of places, drawn by `seed` and number, loses its check-ins of training:
    such people are cold, and such places stay in the catalogue only where a table of places tells of them. StudyError
    where nothing is left to learn from or to look for.
    """
    rows = check_ins.rows
    if rows["is_held_out"].any():
        is_held_out = rows["is_held_out"].to_numpy()
        now_us = int(rows["at_us"][~is_held_out].max()) + 1
    else:
        now_us = int(rows["at_us"].max() - params.holdout_days * DAY_US)
        is_held_out = rows["at_us"].to_numpy() >= now_us
    is_hidden = ~is_held_out & _hidden(rows, check_ins, params.hidden_share, seed)
    training = rows.loc[~is_held_out & ~is_hidden, ["person", "place", "at_us"]].reset_index(drop=True)
    split = make_split(training, rows[is_held_out], now_us, check_ins)
    if not len(training) or not len(split.targets[NEW].person):
        raise StudyError(
            "check-ins leave nothing to learn from before the hold-out or no new place in it; is the unit of times the "
            "right one? --holdout-days sets its length"
        )
    return split._replace(counts=split.counts | {"n_hidden": int(is_hidden.sum())})


def validation_split(split: Split, check_ins: CheckIns, params: RecommendParams) -> Split:
    """Return a split inside the training span, for choosing settings: the same days cut off once more.

    Where a second file holds check-ins out there is no common cut: each person's last new place is looked for, and
    their training ends before it.
    """
    training = split.training
    if check_ins.rows["is_held_out"].any():
        first = training.drop_duplicates(["person", "place"])
        cut_us = first.groupby("person")["at_us"].max().reindex(range(check_ins.n_people)).to_numpy()
        is_late = training["at_us"].to_numpy() >= cut_us[training["person"]]
        now_us = split.now_us
    else:
        now_us = int(split.now_us - params.holdout_days * DAY_US)
        is_late = training["at_us"].to_numpy() >= now_us
    return make_split(training[~is_late].reset_index(drop=True), training[is_late], now_us, check_ins)


def make_split(training: pd.DataFrame, held_out: pd.DataFrame, now_us: int, check_ins: CheckIns) -> Split:
    """Return the split of two sets of check-ins, both by person, time and place."""
    is_catalogued = check_ins.places["is_told"].to_numpy().copy()
    is_catalogued[training["place"]] = True
    is_known = is_catalogued[held_out["place"]]
    known = held_out[is_known]
    is_new = ~pair_codes(known, check_ins.n_places).isin(pair_codes(training, check_ins.n_places))
    targets = {NEW: _first(known[is_new], "person"), ANY: _first(known, "person")}
    targets[EVERY_NEW] = _first(known[is_new], ["person", "place"])
    is_trained = np.isin(np.arange(check_ins.n_people), training["person"])
    counts = {
        "n_training": len(training),
        "n_held_out": len(held_out),
        "n_held_out_outside_catalogue": int((~is_known).sum()),
        "n_people_training": int(is_trained.sum()),
        "n_people_held_out": int(held_out["person"].nunique()),
        "n_people_any_target": len(targets[ANY].person),
        "n_people_new_target": len(targets[NEW].person),
        "n_new_targets": len(targets[EVERY_NEW].person),
        "n_people_cold": int((~is_trained[targets[NEW].person]).sum()),
        "n_places_catalogue": int(is_catalogued.sum()),
        "n_places_cold": int(is_catalogued.sum() - training["place"].nunique()),
    }
    return Split(training, now_us, is_catalogued, targets, counts)


def pair_codes(rows: pd.DataFrame, n_places: int) -> pd.Series[int]:
    """Return one number for each pair of person and place."""
    return rows["person"].astype(np.int64) * n_places + rows["place"]


def _first(rows: pd.DataFrame, by: str | list[str]) -> Targets:
    """Return the first check-in of each person, or of each person and place."""
    first = rows.sort_values(["person", "at_us", "place"], kind="stable").drop_duplicates(by)
    return Targets(first["person"].to_numpy(np.int64), first["place"].to_numpy(np.int64))


def _hidden(rows: pd.DataFrame, check_ins: CheckIns, share: float, seed: int) -> NDArray[np.bool_]:
    """Return which check-ins are of people or places that are made cold."""
    people, places = (
        np.random.default_rng([seed, key]).random(n) < share
        for key, n in ((PEOPLE, check_ins.n_people), (PLACES, check_ins.n_places))
    )
    return people[rows["person"]] | places[rows["place"]]
