"""What is learnt from and what is looked for: one cut in time, or a second file; places of a kind, new ones or any."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.evaluation.recommendation.check_ins import CheckIns
from pipeline.evaluation.recommendation.params import RecommendParams
from pipeline.evaluation.recommendation.world import World, make_world
from pipeline.study import StudyError

DAY_US = 86_400_000_000
NEW, EVERY_NEW, RARE, EVERY_RARE, ANY = "new", "every_new", "rare", "every_rare", "any"
TARGETS = (RARE, EVERY_RARE, NEW, EVERY_NEW, ANY)
"""What lists are searched for: a person's first place of the hold-out that is new to them (a repeat is trivial), every
one of those, the same of the rare node type in lists of that type only (2403.05185 [READ]: its tables are of lists of
audiobooks), and the first of any kind."""
VALIDATION_SHARE = 0.25
"""Most of the training span that is held out to choose settings on (ours)."""
PEOPLE, PLACES = 0, 1
"""Keys of the random streams that say who and what is made cold."""
COLUMNS = ["person", "place", "at_us"]
NOTHING_LEFT = (
    "check-ins leave nothing to learn from before the hold-out or no new place in it; is the unit of times the right "
    "one? --holdout-days sets its length"
)


NO_COMMON_CLOCK = (
    "--friends: a friend's place is a hint where the friend was there before, and with --valid times are moved person "
    "by person, so that before is not known; leave out one of the two"
)


class Targets(NamedTuple):
    """Places that the lists of people are searched for; by person, some have several."""

    person: NDArray[np.int64]
    place: NDArray[np.int64]
    may_list: NDArray[np.bool_]
    """Whether a place may be in the lists; the share of these that is in any list is coverage."""
    hides_visited: bool
    """Whether places that the person visited before the hold-out are left out of the list."""


class Split(NamedTuple):
    """Check-ins to learn from, and the places that each person's list is searched for.

    Places that are in neither training nor a table of places have no number: nothing of them can leak.
    """

    world: World
    training: pd.DataFrame
    """person, place, at_us; by person, time and place: what every method learns from."""
    record: pd.DataFrame
    """The same of all check-ins before the hold-out, which training is the end of: they say what was visited."""
    now_us: int
    """When lists are asked for: the cut, or just after the last check-in of training. Where a second file holds
    check-ins out, everybody's times are moved so that their training ends just before."""
    is_catalogued: NDArray[np.bool_]
    """Whether a place can be recommended: it occurs in training or in a table of places."""
    is_warm: NDArray[np.bool_]
    """Whether a person has a check-in in training."""
    targets: dict[str, Targets]
    """By name of TARGETS; places of the catalogue. New: not visited by the person before the hold-out."""
    counts: dict[str, int]


def split_check_ins(check_ins: CheckIns, params: RecommendParams, seed: int = 0) -> Split:
    """Return the split of check-ins: those a second file holds out, else the last `holdout_days` of all.

    Training are the `training_days` before it. Targets are places of the catalogue; check-ins of the hold-out elsewhere
    are passed over and counted. With `hidden_share` that share of people and of places, drawn by `seed` and number,
    loses its check-ins of training: such people are cold, and such places stay in the catalogue only where a table of
    places tells of them. What people visited, hidden or not, is no new place and in no list of new ones. StudyError
    where nothing is left to learn from or to look for.
    """
    rows = check_ins.rows
    is_held_out = rows["is_held_out"].to_numpy()
    by_person = bool(is_held_out.any())
    if by_person and len(check_ins.friends):
        raise StudyError(NO_COMMON_CLOCK)
    if by_person:
        now_us = int(rows["at_us"][~is_held_out].max()) + 1
    else:
        now_us = int(rows["at_us"].max() - params.holdout_days * DAY_US)
        is_held_out = rows["at_us"].to_numpy() >= now_us
    is_hidden = ~is_held_out & _hidden(rows, check_ins, params.hidden_share, seed)
    record = rows[~is_held_out]
    record = end_together(record, now_us) if by_person else record
    is_training = record["at_us"].to_numpy() >= now_us - (params.training_days or np.inf) * DAY_US
    is_training &= ~is_hidden[~is_held_out]
    if not is_training.any():
        raise StudyError(NOTHING_LEFT)
    world, number = make_world(check_ins, record[is_training], by_person, params)
    numbered, held_out = (of[COLUMNS].assign(place=number[of["place"]]) for of in (record, rows[is_held_out]))
    is_known = numbered["place"].to_numpy() >= 0
    split = make_split(
        numbered[is_training].reset_index(drop=True),
        numbered[is_known].reset_index(drop=True),
        held_out, now_us, world,
    )  # fmt: skip
    if not len(split.targets[NEW].person):
        raise StudyError(NOTHING_LEFT)
    return split._replace(counts=split.counts | {"n_record": len(record), "n_hidden": int(is_hidden.sum())})


def validation_split(split: Split, params: RecommendParams) -> Split:
    """Return a split inside the training span, for choosing settings: its last `holdout_days`, or VALIDATION_SHARE.

    The lesser of both, so that something is left to learn from.

    Where a second file holds check-ins out there is no common cut: each person's last new place of the training span
    is looked for, and their training ends before it.
    """
    training, record, world = split.training, split.record, split.world
    if world.ends_by_person:
        first = record.drop_duplicates(["person", "place"])
        first = first[first["at_us"] >= training["at_us"].min()]
        cut_us = first.groupby("person")["at_us"].max().reindex(range(world.n_people)).to_numpy()
        now_us = split.now_us
    else:
        span_us = split.now_us - int(training["at_us"].min())
        now_us = int(split.now_us - min(params.holdout_days * DAY_US, VALIDATION_SHARE * span_us))
        cut_us = np.full(world.n_people, now_us)
    is_late, was_late = (of["at_us"].to_numpy() >= cut_us[of["person"]] for of in (training, record))
    learnt = training[~is_late].reset_index(drop=True)
    learnt = end_together(learnt, now_us) if world.ends_by_person else learnt
    return make_split(learnt, record[~was_late].reset_index(drop=True), training[is_late], now_us, world)


def make_split(
    training: pd.DataFrame, record: pd.DataFrame, held_out: pd.DataFrame, now_us: int, world: World
) -> Split:
    """Return the split of check-ins, all by person, time and place; of the hold-out places may be -1: unnumbered."""
    is_catalogued = world.places["is_told"].to_numpy().copy()
    is_catalogued[training["place"]] = True
    place = held_out["place"].to_numpy()
    is_known = (place >= 0) & is_catalogued[place]
    known = held_out[is_known]
    is_new = ~pair_codes(known, world.n_places).isin(pair_codes(record, world.n_places)).to_numpy()
    is_rare = is_catalogued & world.is_rare
    new, rare = known[is_new], known[is_new & is_rare[known["place"]]]
    targets = {
        RARE: _first(rare, ["person"], is_rare),
        EVERY_RARE: _first(rare, ["person", "place"], is_rare),
        NEW: _first(new, ["person"], is_catalogued),
        EVERY_NEW: _first(new, ["person", "place"], is_catalogued),
        ANY: _first(known, ["person"], is_catalogued, hides_visited=False),
    }
    is_warm = np.isin(np.arange(world.n_people), training["person"])
    counts = {
        "n_training": len(training),
        "n_held_out": len(held_out),
        "n_held_out_outside_catalogue": int((~is_known).sum()),
        "n_people_training": int(is_warm.sum()),
        "n_people_held_out": int(held_out["person"].nunique()),
        "n_people_any_target": len(targets[ANY].person),
        "n_people_new_target": len(targets[NEW].person),
        "n_new_targets": len(targets[EVERY_NEW].person),
        "n_people_rare_target": len(targets[RARE].person),
        "n_rare_targets": len(targets[EVERY_RARE].person),
        "n_people_cold": int((~is_warm[targets[NEW].person]).sum()),
        "n_places_catalogue": int(is_catalogued.sum()),
        "n_places_cold": int(is_catalogued.sum() - training["place"].nunique()),
    }
    return Split(world, training, record, now_us, is_catalogued, is_warm, targets, counts)


def pair_codes(rows: pd.DataFrame, n_places: int) -> pd.Series[int]:
    """Return one number for each pair of person and place."""
    return rows["person"].astype(np.int64) * n_places + rows["place"]


def end_together(rows: pd.DataFrame, now_us: int) -> pd.DataFrame:
    """Return the rows with everybody's times moved so that their last one is just before a moment."""
    last_us = rows.groupby("person")["at_us"].transform("max")
    return rows.assign(at_us=rows["at_us"] - last_us + now_us - 1)


def _first(rows: pd.DataFrame, by: list[str], may_list: NDArray[np.bool_], hides_visited: bool = True) -> Targets:
    """Return the first check-in of each person, or of each person and place."""
    first = rows.sort_values(["person", "at_us", "place"], kind="stable").drop_duplicates(by)
    return Targets(first["person"].to_numpy(np.int64), first["place"].to_numpy(np.int64), may_list, hides_visited)


def _hidden(rows: pd.DataFrame, check_ins: CheckIns, share: float, seed: int) -> NDArray[np.bool_]:
    """Return which check-ins are of people or places that are made cold."""
    people, places = (
        np.random.default_rng([seed, key]).random(n) < share
        for key, n in ((PEOPLE, check_ins.n_people), (PLACES, check_ins.n_places))
    )
    return people[rows["person"]] | places[rows["place"]]
