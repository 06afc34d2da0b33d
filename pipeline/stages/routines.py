"""`routines`: sequences of places that recur in a device's visits beyond chance."""

from statistics import NormalDist
from typing import Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from data_contracts import ROUTINES, VISITS
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.keyed_random import keyed_bits
from pipeline.kernels.place_sequences import PlaceSequences, place_sequences
from pipeline.kernels.routines import find_routines
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import WindowKind, WindowParams, in_windows, monday_of, to_days


class RoutineParams(WindowParams):
    """What counts as a routine. Of the published rule it is known that routines got simpler, no more: all is ours."""

    windows: tuple[WindowKind, ...] = Field(default=("study", "month", "week"), min_length=1)
    """Kinds of window; weeks begin on Monday. Weeks are what responses are compared by, all of like length; but a week
    holds a few dozen visits, and a routine of once a week recurs in months only. The study describes the person."""
    n_shuffles: int = Field(default=199, ge=1, le=100_000)
    """Shuffled sequences that a window's own is compared with (ours)."""
    z_cutoff: float = Field(default=2.0, ge=0, le=6)
    """Standard normal deviate whose upper tail is the share of windows without any order in which a routine may be
    found: 2.0 is 2.3 %, in steps of 1 / (n_shuffles + 1) downwards, so 2 % with 199 (ours)."""
    min_occurrences: int = Field(default=2, ge=2)
    """Occurrences that a routine has beside those which are part of a better one (ours)."""
    merges_repeats: bool = True
    """Visits to one place that follow each other are one item of the sequence: what parts them is missing data, or a
    trip from which the person came back (ours). Shuffled sequences have no such repeats then, either."""

    @model_validator(mode="after")
    def _has_enough_shuffles(self) -> Self:
        if self.n_above < 0:
            raise ValueError(f"a z_cutoff of {self.z_cutoff} needs more than {self.n_shuffles} shuffled sequences")
        return self

    @property
    def n_above(self) -> int:
        """Shuffled sequences that may be above the score of a routine."""
        tail = 1 - NormalDist().cdf(self.z_cutoff)
        return int(tail * (self.n_shuffles + 1)) - 1


@stage(reads=(VISITS,), writes=ROUTINES, params=RoutineParams, needs=("study", "seed"))
def routines(visits: pd.DataFrame, study: Study, seed: int, params: RoutineParams) -> pd.DataFrame:
    """Return the routines per device and window of local dates.

    Routines are rules of the grammar of the window's sequence of places (Sequitur) whose counts are above what places
    in no order give (`kernels.routines`): in a window without order one is found with a probability of at most what
    `z_cutoff` says. What the order of places tells beside them is in `entropy`.
    """
    found = [_of_windows(visits, kind, study, seed, params) for kind in params.windows]
    return pd.concat(found).sort_values(list(ROUTINES.key), ignore_index=True)


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study, seed: int, params: RoutineParams) -> pd.DataFrame:
    visits = in_windows(visits[["device_id", "started_at", "location_id", "date"]], kind, study, params)
    visits = visits.sort_values(["device_id", "window_started", "started_at"], ignore_index=True)
    device, window = visits["device_id"].to_numpy(), visits["window_started"].to_numpy()
    start = group_starts(device, window)
    sequences = place_sequences(start, visits["location_id"].to_numpy().astype(np.int64), params.merges_repeats)
    owner = {"device_id": device[start[:-1]], "window_started": window[start[:-1]]}
    return pd.DataFrame(
        {
            "device_id": owner["device_id"],
            "window": pd.Series([kind] * (start.size - 1), dtype="str"),
            "window_started": owner["window_started"],
            "n_visits": np.diff(start),
            "n_locations": _n_locations(sequences),
            **_routines(sequences, _streams(owner, kind, study, seed), params),
        }
    )


def _streams(owner: dict[str, np.ndarray], kind: WindowKind, study: Study, seed: int) -> np.ndarray:
    """Return random bits by device, kind of window and days since the study's first Monday: no date itself counts."""
    first_day = to_days(pd.Series([pd.Timestamp(study.start)]))[0]
    days = to_days(pd.Series(owner["window_started"])) - monday_of(int(first_day))
    return keyed_bits(owner["device_id"], f"routines {kind}", seed, days)


def _n_locations(sequences: PlaceSequences) -> np.ndarray:
    """Return the number of places of each sequence: they are numbered from 0."""
    if sequences.symbol.size == 0:
        return np.zeros(sequences.start.size - 1, np.int64)
    return np.maximum.reduceat(sequences.symbol, sequences.start[:-1]) + 1


def _routines(sequences: PlaceSequences, stream: np.ndarray, params: RoutineParams) -> dict[str, np.ndarray]:
    """Return n_routines, routine_share and routine_length of each sequence."""
    found = find_routines(
        sequences.start,
        sequences.symbol,
        stream,
        params.n_shuffles,
        params.n_above,
        not params.merges_repeats,
        params.min_occurrences,
    )
    n_groups = sequences.start.size - 1
    owner = np.repeat(np.arange(n_groups), np.diff(sequences.start))
    n_routines = np.bincount(found.group, minlength=n_groups)
    covered = np.bincount(owner, sequences.n_visits * found.is_covered, n_groups)
    length = np.bincount(found.group, found.length, n_groups)
    return {
        "n_routines": n_routines,
        "routine_share": covered / np.bincount(owner, sequences.n_visits, n_groups),
        "routine_length": np.where(n_routines > 0, length / np.maximum(n_routines, 1), np.nan),
    }
