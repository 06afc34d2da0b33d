"""Whole evaluations: a study's raw files, or the tables of a root, against their truth."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.evaluation.detection import detect_stays, find_locations, place_of_stays
from pipeline.evaluation.locations import LocationsResult, evaluate_locations
from pipeline.evaluation.periods import Periods, periods_of_frame
from pipeline.evaluation.reading import (
    Coder,
    LabelledPings,
    count_labels,
    place_coder,
    read_labelled,
    stop_coder,
)
from pipeline.evaluation.scores import thin
from pipeline.evaluation.stays import StaysResult, evaluate_stays
from pipeline.evaluation.tables import TruthFile, read_true_stays
from pipeline.evaluation.truth import UNKNOWN, GroundTruth, truth_of_labels, truth_of_stays
from pipeline.params import Params
from pipeline.study import Study, StudyError

Result = TypeVar("Result", StaysResult, LocationsResult)


class Asked(NamedTuple):
    """What a user asks an evaluation for."""

    label: str | None = None
    """Column of the sources with a true label per ping; else `truth` is given."""
    stop_values: tuple[str, ...] = ()
    truth: TruthFile | None = None
    thin_s: tuple[float, ...] = (0.0,)
    gap_s: float = 3600.0
    """A silence longer than this ends a true stay that is told ping by ping."""
    overlap_s: float = 60.0
    min_stay_s: float = 300.0


class Thinned(NamedTuple, Generic[Result]):
    """The result for one thinning."""

    every_s: float
    """Seconds between the pings kept, at least; 0: all."""
    n_pings: int
    """Pings that stays were found in."""
    result: Result


class Evaluation(NamedTuple, Generic[Result]):
    """What was compared, with every row accounted for, and the result for each thinning."""

    rows: dict[str, Any]
    results: tuple[Thinned[Result], ...]


class _Known(NamedTuple):
    """Pings of a study and the truth about them."""

    labelled: LabelledPings
    truth: GroundTruth
    rows: dict[str, Any]


def evaluate_study_stays(
    study: Study, params: Mapping[str, Params], key: bytes, asked: Asked
) -> Evaluation[StaysResult]:
    """Return how good the stays are that the study's Params find in its files, thinned as asked.

    `params`: the Params of every stage by name. `key` hashes the ids of pings and truth alike.
    StudyError where there is nothing to compare, SourceError where a file cannot be read.
    """
    known = _know(study, params, key, asked, has_place=False)

    def compare(found: pd.DataFrame, is_kept: NDArray[np.bool_]) -> StaysResult:
        return evaluate_stays(known.truth, periods_of_frame(found), is_kept, asked.overlap_s, asked.min_stay_s)

    return Evaluation(known.rows, tuple(_thinned(known, study, params, asked, compare)))


def evaluate_study_locations(
    study: Study, params: Mapping[str, Params], key: bytes, asked: Asked
) -> Evaluation[LocationsResult]:
    """Return how well the places found in the study's files agree with the true ones, thinned as asked."""
    known = _know(study, params, key, asked, has_place=True)

    def compare(found: pd.DataFrame, _: NDArray[np.bool_]) -> LocationsResult:
        placed = found.assign(place=place_of_stays(found, find_locations(found, study, params)))
        return evaluate_locations(
            known.truth.stays,
            periods_of_frame(placed, "place"),
            asked.overlap_s,
            asked.min_stay_s,
            known.truth.spans,
        )

    return Evaluation(known.rows, tuple(_thinned(known, study, params, asked, compare)))


def evaluate_root_stays(pings: pd.DataFrame, stays: pd.DataFrame, key: bytes, asked: Asked) -> Evaluation[StaysResult]:
    """Return how good stays already computed are.

    Frames of `pings` and of `stays` or `visits`, whose ids were hashed with `key`.
    """
    truth, rows = _know_root(pings, key, asked, has_place=False)
    result = evaluate_stays(truth, periods_of_frame(stays), None, asked.overlap_s, asked.min_stay_s)
    return Evaluation(rows, (Thinned(0.0, len(pings), result),))


def evaluate_root_locations(
    pings: pd.DataFrame, stays: pd.DataFrame, locations: pd.DataFrame, key: bytes, asked: Asked
) -> Evaluation[LocationsResult]:
    """Return how well places already computed agree with true ones; frames of a root, ids hashed with `key`."""
    truth, rows = _know_root(pings, key, asked, has_place=True)
    found = periods_of_frame(stays.assign(place=place_of_stays(stays, locations)), "place")
    result = evaluate_locations(truth.stays, found, asked.overlap_s, asked.min_stay_s, truth.spans)
    return Evaluation(rows, (Thinned(0.0, len(pings), result),))


def _know_root(pings: pd.DataFrame, key: bytes, asked: Asked, has_place: bool) -> tuple[GroundTruth, dict[str, Any]]:
    pings = pings.sort_values(["device_id", "tracked_at"], ignore_index=True)
    device_id = pings["device_id"].to_numpy()
    true, told = _read_truth(asked, key, device_id, has_place)
    truth = truth_of_stays(device_id, pings["tracked_at"].astype("int64").to_numpy(), true)
    return truth, {"n_pings": len(pings), **told, **_count_truth(truth)}


def _thinned(
    known: _Known,
    study: Study,
    params: Mapping[str, Params],
    asked: Asked,
    compare: Callable[[pd.DataFrame, NDArray[np.bool_]], Result],
) -> Iterator[Thinned[Result]]:
    pings = known.labelled
    for every_s in asked.thin_s:
        is_kept = thin(pings.device_id, pings.at_us, every_s)
        found = detect_stays(pings.pings.filter(pa.array(is_kept)), study, params)
        yield Thinned(every_s, int(is_kept.sum()), compare(found, is_kept))


def _know(study: Study, params: Mapping[str, Params], key: bytes, asked: Asked, has_place: bool) -> _Known:
    code: Coder | None = None
    if asked.label:
        code = place_coder() if has_place else stop_coder(asked.label, list(asked.stop_values))
    pings = read_labelled(study, params, key, asked.label, code)
    rows: dict[str, Any] = {**pings.rows, "rejected": pings.reasons}
    if asked.label:
        truth = truth_of_labels(pings.device_id, pings.at_us, pings.place, asked.gap_s)
        rows |= count_labels(pings.place)
    else:
        true, told = _read_truth(asked, key, pings.device_id, has_place)
        truth = truth_of_stays(pings.device_id, pings.at_us, true)
        rows |= told
    return _Known(pings, truth, rows | _count_truth(truth))


def _read_truth(
    asked: Asked, key: bytes, device_id: NDArray[np.int64], has_place: bool
) -> tuple[Periods, dict[str, Any]]:
    """Return the true stays of a table and what became of its rows."""
    if asked.truth is None:
        raise StudyError("no truth is named")
    true = read_true_stays(asked.truth, key, has_place)
    devices = np.unique(true.stays.device_id)
    n_seen = int(np.isin(devices, device_id).sum())
    if not n_seen:
        raise StudyError(
            f"--truth: none of its {devices.size:,} devices has a ping; ids must be those of the source, "
            "and SOJOURN_KEY the one that tables were made with"
        )
    return true.stays, {
        "n_true_rows": true.n_rows,
        "n_true_unusable": true.n_unusable,
        "n_true_devices_without_pings": devices.size - n_seen,
    }


def _count_truth(truth: GroundTruth) -> dict[str, int]:
    """Return how much is known; StudyError where nothing is."""
    n_known = int((truth.label != UNKNOWN).sum())
    if not n_known:
        raise StudyError("no ping has a known label: is it the right column, or table, and the same span of time?")
    return {"n_scored": n_known, "n_devices": truth.devices.size, "n_true_stays": truth.stays.device_id.size}
