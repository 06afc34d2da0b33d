"""Compare the measures of a root with scikit-mobility's, on the same visits and pings of some of its devices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from data_contracts import TABLES
from pipeline.catalog import load
from pipeline.engine.store import Store
from pipeline.params import digest
from pipeline.reference import ask_reference
from pipeline.stage import STAGES
from pipeline.verification.measures import ASKS, SHARED, SharedMeasure
from pipeline.verification.stays import ASK, REASON, VARIANT, durations, one_ping_a_time, stays_as_theirs
from pipeline.verification.visits import VISIT_COLUMNS, Visits

PING_COLUMNS = ["device_id", "tracked_at", "lon_e7", "lat_e7"]
ROUNDING = 1e-9
"""Largest relative difference that sums in another order may make (ours)."""
SECOND = 1e-6
"""Times are whole microseconds on both sides."""


class Agreement(NamedTuple):
    """How far two sides agree."""

    n_people: int
    n_equal: int
    """People of whom every value is equal within the tolerance."""
    max_absolute: float
    """Largest difference of values that both sides have, in the measure's unit; NaN where there are none."""
    max_relative: float
    """Largest difference over theirs."""


class Verified(NamedTuple):
    """A measure of the root beside scikit-mobility's."""

    measure: str
    unit: str
    source: str
    """Where ours was taken from: a table, or the visits."""
    found: Agreement
    explanation: str
    """Why the two differ, if they do and it is known."""
    is_explained: bool
    """Equal, or equal under their definition; never where there was nobody to compare."""

    @property
    def state(self) -> str:
        """Say what came out in a word or two."""
        if self.found.n_people == 0:
            return "not verified"
        if self.found.n_equal == self.found.n_people:
            return "equal"
        return "explained" if self.is_explained else "DIFFERS"


def agreement(ours: pd.Series, theirs: pd.Series, tolerance: float) -> Agreement:
    """Return how far two series agree, by device, or whatever the index has first; NaN is equal to NaN.

    Equal: within `tolerance`, or within `ROUNDING` of the larger.
    """
    sides = pd.concat([ours.rename("ours"), theirs.rename("theirs")], axis=1)
    a, b = sides["ours"].to_numpy(dtype=float), sides["theirs"].to_numpy(dtype=float)
    is_there = sides.index.isin(ours.index) & sides.index.isin(theirs.index)
    is_equal = np.isclose(a, b, rtol=ROUNDING, atol=tolerance, equal_nan=True) & is_there
    people = pd.Series(is_equal).groupby(sides.index.get_level_values(0).to_numpy()).all()
    apart = np.abs(a - b)[is_there]
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(apart > 0, apart / np.abs(b[is_there]), 0.0)
    return Agreement(len(people), int(people.sum()), _largest(apart), _largest(relative))


def _largest(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else float("nan")


def verify(root: Path, n_people: int, seed: int, n_stay_people: int, n_stay_days: int) -> list[Verified]:
    """Return every shared measure of a sample of the root's devices beside scikit-mobility's.

    Measures are of all visits of `n_people` devices; where a table holds ours for the whole study, it is the table that
    is compared. Stays are of the pings of `n_stay_people` of them on the first `n_stay_days` UTC dates; 0 leaves them
    out. A measure that nobody has is not verified. CatalogError without visits; errors of `ask_reference` come through.
    """
    frame = load("visits", root=root, columns=VISIT_COLUMNS)
    people = _sample(frame["device_id"].unique(), n_people, seed)
    visits = Visits(frame[frame["device_id"].isin(people)], _homes(root, people))
    answers = ask_reference(ASKS, rows=visits.rows())
    found = [_verify_one(root, shared, visits, answers) for shared in SHARED]
    stays = _verify_stays(root, people[:n_stay_people], n_stay_days) if n_stay_people and n_stay_days else []
    return [*stays, *found]


def _sample(devices: np.ndarray, n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.sort(devices))[:n]


def _homes(root: Path, people: np.ndarray) -> pd.DataFrame | None:
    if not Store(root).keys(TABLES["home_work"]):
        return None
    homes = load("home_work", root=root)
    return homes[homes["device_id"].isin(people)]


def _verify_one(root: Path, shared: SharedMeasure, visits: Visits, answers: dict[str, pd.DataFrame]) -> Verified:
    theirs, computed = shared.theirs(visits, answers[shared.name]), shared.ours(visits, answers)
    stored = _stored(root, shared, visits)
    ours = computed if stored is None else stored
    found = agreement(ours, theirs, shared.tolerance)
    source = "visits" if stored is None or shared.stored is None else shared.stored[0]
    if found.n_people == 0:
        return Verified(shared.name, shared.unit, source, found, "nobody drawn has a value", False)
    explanation, is_explained = "", found.n_equal == found.n_people
    if not is_explained:
        alike = shared.alike(visits, answers) if shared.alike else computed
        is_explained = _is_equal(alike, theirs, shared.tolerance)
        explanation = f"{shared.reason}; equal under {shared.variant}" if is_explained and shared.alike else ""
        if not _is_equal(ours, computed, shared.tolerance):
            is_other = shared.stored is not None and _has_other_params(root, shared.stored[0])
            is_explained = is_explained and is_other
            explanation = f"{source} was computed under other Params than the defaults" if is_other else ""
    return Verified(shared.name, shared.unit, source, found, explanation, is_explained)


def _is_equal(a: pd.Series, b: pd.Series, tolerance: float) -> bool:
    found = agreement(a, b, tolerance)
    return found.n_equal == found.n_people > 0


def _stored(root: Path, shared: SharedMeasure, visits: Visits) -> pd.Series | None:
    """Return the values of a table for the whole study; None where there is no such table or window."""
    if shared.stored is None or not Store(root).keys(TABLES[shared.stored[0]]):
        return None
    table, column = shared.stored
    frame = load(table, root=root, columns=["device_id", "window", column])
    frame = frame[(frame["window"] == "study") & frame["device_id"].isin(visits.device)]
    return frame.set_index("device_id")[column].astype(float) if len(frame) else None


def _has_other_params(root: Path, table: str) -> bool:
    store, declared = Store(root), TABLES[table]
    footers = [store.footer(declared, key) for key in store.keys(declared)]
    defaults = digest(STAGES[table].params().model_dump())
    return any(footer is not None and footer.made_from.get("params") != defaults for footer in footers)


def _verify_stays(root: Path, people: np.ndarray, n_days: int) -> list[Verified]:
    pings = one_ping_a_time(_pings(root, people, n_days))
    if pings.empty:
        return [_no_stays("there are no pings of those drawn on these dates")]
    theirs = durations(ask_reference({"stays": ASK}, rows=pings)["stays"])
    stays = load("stays", root=root, columns=["device_id", "started_at", "finished_at"])
    last = pings["tracked_at"].max()
    ours = durations(stays[stays["device_id"].isin(people) & (stays["started_at"] <= last)])
    found = agreement(ours, theirs, SECOND)
    if found.n_people == 0:
        return [_no_stays("neither side has a stay of those drawn on these dates")]
    is_explained = _is_equal(stays_as_theirs(pings), theirs, SECOND)
    explanation = f"{REASON}; equal under {VARIANT}" if is_explained else ""
    return [Verified("stay_locations", "s", "stays", found, explanation, is_explained)]


def _no_stays(why: str) -> Verified:
    nobody = Agreement(0, 0, float("nan"), float("nan"))
    return Verified("stay_locations", "s", "stays", nobody, why, False)


def _pings(root: Path, people: np.ndarray, n_days: int) -> pd.DataFrame:
    """Return the pings of some devices on the first dates, read date by date so that no more than one is in memory."""
    parts = [
        rows[rows["device_id"].isin(people)]
        for day in _first_dates(root, n_days)
        for rows in [load("pings", dates=day, root=root, columns=PING_COLUMNS)]
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=PING_COLUMNS)


def _first_dates(root: Path, n: int) -> Sequence[date]:
    return sorted({key.date for key in Store(root).keys(TABLES["pings"]) if key.date})[:n]
