"""`employment_scores`: training, scores and the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_contracts import EMPLOYMENT_SCORES, PRESENCE
from pipeline.models.people.fitting import (
    TEST,
    TRAIN,
    VALIDATE,
    Fitted,
    Sides,
    add_rows,
    empty_sides,
    fit_both,
    mean_event,
    scored_rows,
    side_of,
)
from pipeline.models.people.network import from_tensors, results, to_tensors
from pipeline.models.people.params import EmploymentTraining
from pipeline.models.people.presence_windows import PRESENCE_COLUMNS, PresenceRows, feature_names, presence_rows
from pipeline.models.people.scores import compare, summary
from pipeline.models.protocol import FitRun, ModelError, State, Tables
from pipeline.models.streaming import StreamedRows

PHASE = "employment_scores"
FORECASTERS = ["network", "logistic", "lasting_absence", "absent", "population"]
LASTING_WEEKS = 3
"""Absent weeks in a row from which on the baseline takes an absence for a loss, as `presence` does by default."""


def fit(tables: Tables, params: EmploymentTraining, run: FitRun, truth: pd.DataFrame) -> State:
    """Return what was learnt of PRESENCE and true weeks of EMPLOYMENT_TRUTH, scored on people held out.

    ModelError where no device has both, or too few have.
    """
    sides = _read(tables, truth, params, run.seed)
    fitted = fit_both(sides, 0, 0.0, params, run, PHASE)
    population = mean_event(sides.train)
    metrics = _metrics(sides.test, fitted, population, params, run.seed)
    told = summary(metrics, FORECASTERS)
    facts: dict[str, Any] = {
        "features": feature_names(params.weeks_before, params.weeks_after),
        "weeks_before": params.weeks_before,
        "weeks_after": params.weeks_after,
        "population_share": population,
        "n_train_rows": sides.train.n_rows,
        "n_validation_rows": sides.validate.n_rows,
        "summary": told,
        "metrics": metrics,
    }
    return State(to_tensors(fitted.network), facts)


def predict(state: State, presence: pd.DataFrame, device: str) -> pd.DataFrame:
    """Return the rows of EMPLOYMENT_SCORES, one for each row of PRESENCE."""
    rows = presence_rows(presence, state.facts["weeks_before"], state.facts["weeks_after"])
    score, _ = results(from_tensors(state.tensors, device), rows.features)
    return pd.DataFrame(
        {
            "device_id": rows.device_id,
            "window_started": rows.monday.astype("datetime64[D]").astype("datetime64[s]"),
            "n_observed_weeks": rows.n_observed,
            "loss_score": score,
        }
    )[EMPLOYMENT_SCORES.names]


def _read(tables: Tables, truth: pd.DataFrame, params: EmploymentTraining, seed: int) -> Sides:
    """Return the device-weeks of known truth, split by person."""
    sides = empty_sides(params, seed)
    known = _lookup(truth)
    for presence in tables.shards(PRESENCE, PRESENCE_COLUMNS):
        rows = presence_rows(presence, params.weeks_before, params.weeks_after)
        is_employed = known.reindex(pd.MultiIndex.from_arrays([rows.device_id, rows.monday])).to_numpy(np.float64)
        columns, side = _columns(rows, is_employed), side_of(rows.device_id, seed, params)
        for into, number in ((sides.train, TRAIN), (sides.validate, VALIDATE), (sides.test, TEST)):
            add_rows(into, columns, ~np.isnan(is_employed) & (side == number))
    if not any(each.n_rows for each in sides):
        raise ModelError(f"no device of the truth has a week in {PRESENCE.name}; ids must be hashed alike")
    return sides


def _lookup(truth: pd.DataFrame) -> pd.Series:
    """Return whether people are employed (1 or 0) by device and Monday, days since 1970."""
    monday = truth["window_started"].to_numpy().astype("datetime64[D]").astype(np.int64)
    index = pd.MultiIndex.from_arrays([truth["device_id"].to_numpy(np.int64), monday])
    return pd.Series(truth["is_employed"].to_numpy(np.float64), index)


def _columns(rows: PresenceRows, is_employed: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    n = rows.device_id.size
    return {
        "device_id": rows.device_id,
        "monday": rows.monday,
        "features": rows.features,
        "event": (is_employed == 0).astype(np.float32),
        "kind": np.full(n, -1),
        "is_observed": rows.is_observed,
        "is_absent": rows.is_absent,
        "n_absent": rows.n_absent,
    }


def _metrics(
    rows: StreamedRows, fitted: Fitted, population: float, params: EmploymentTraining, seed: int
) -> dict[str, float]:
    """Return the metrics of observed weeks of people held out: of those alone `employment` says anything."""
    if not rows.n_rows:
        return {"n_devices": 0.0}
    found = scored_rows(rows, fitted)
    said = {
        "network": found["network"],
        "logistic": found["logistic"],
        "lasting_absence": (found["is_absent"] & (found["n_absent"] >= LASTING_WEEKS)).astype(float),
        "absent": found["is_absent"].astype(float),
        "population": np.full(found["event"].size, population),
    }
    seen = found["is_observed"]
    said = {name: values[seen] for name, values in said.items()}
    return compare(found["device_id"][seen], found["event"][seen] > 0, said, seed, params.n_replicates)
