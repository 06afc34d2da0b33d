"""`exploration_forecasts`: training, scores and forecasts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_contracts import EXPLORATION_FORECASTS, VISITS
from pipeline.kernels.weekdays import WEEK_DAYS
from pipeline.models.people.features import UNKNOWN, ExplorationRows, exploration_rows, feature_names, kind_names
from pipeline.models.people.fitting import (
    SCORED_AT_ONCE,
    TEST,
    TRAIN,
    VALIDATE,
    Columns,
    Fitted,
    Floats,
    Sides,
    add_rows,
    empty_sides,
    fit_both,
    mean_event,
    prefixed,
    scored_rows,
    side_of,
)
from pipeline.models.people.kind_regression import KindRegression, fit_kinds
from pipeline.models.people.kinds import compare_kinds, hits_of
from pipeline.models.people.network import from_tensors, results, standardised, to_tensors
from pipeline.models.people.params import ExplorationOutput, ExplorationTraining
from pipeline.models.people.scores import compare, summary, verdicts
from pipeline.models.people.weeks import NONE_KNOWN, VISIT_COLUMNS, by_week
from pipeline.models.protocol import FitRun, ModelError, State, Tables
from pipeline.models.streaming import StreamedRows

PHASE = "exploration_forecasts"
FORECASTERS = ["network", "logistic", "recent_share", "own_share", "population"]
SHOWN = [*FORECASTERS, "multinomial", "own_kinds"]
"""Of the summary: those of the event, then those of kinds alone."""


class Survey(NamedTuple):
    """What a first look at all visits tells: the kinds to learn, and where the held-out weeks begin."""

    kinds: list[str]
    cut: int
    """Monday from which on nothing is learnt, days since 1970."""


def fit(tables: Tables, params: ExplorationTraining, run: FitRun) -> State:
    """Return what was learnt of VISITS, scored on people and weeks that nothing was learnt from.

    ModelError where there are too few people or weeks to train and to validate with.
    """
    survey = _survey(tables, params, run.seed)
    sides, later = _read(tables, survey, params, run.seed)
    fitted = fit_both(sides, len(survey.kinds) + 2, params.kind_weight, params, run, PHASE)
    population, of_kinds = mean_event(sides.train), _kind_shares(sides.train, len(survey.kinds) + 2)
    facts: dict[str, Any] = {
        "features": feature_names(params.n_lags, survey.kinds),
        "kinds": survey.kinds,
        "n_lags": params.n_lags,
        "min_days": params.min_days,
        "prior_weeks": params.prior_weeks,
        "population_share": population,
        "held_out_from": str(np.datetime64(survey.cut, "D")),
        "n_train_rows": sides.train.n_rows,
        "n_validation_rows": sides.validate.n_rows,
    }
    kinds = KindBaselines(of_kinds, fit_kinds(sides.train, fitted.mean, fitted.scale), params.prior_weeks)
    # First people nothing was learnt from, then those of the training in weeks after it, of whom a study forecasts.
    metrics, known = (_metrics(rows, fitted, facts, kinds, params, run.seed) for rows in (sides.test, later))
    facts["metrics"] = metrics | prefixed("known_people", known)
    facts["summary"] = [
        *summary(metrics, SHOWN),
        *(f"people known from before, later weeks: {line}" for line in verdicts(known, SHOWN)),
    ]
    return State(to_tensors(fitted.network), facts)


def predict(state: State, visits: pd.DataFrame, params: ExplorationOutput, device: str) -> pd.DataFrame:
    """Return the rows of EXPLORATION_FORECASTS of the devices in VISITS; none for a device without a whole week."""
    facts = state.facts
    rows = exploration_rows(visits, facts["n_lags"], facts["kinds"], facts["min_days"])
    rows = _chosen(rows, _is_wanted(rows, params.back_weeks))
    event, kinds = results(from_tensors(state.tensors, device), rows.features)
    own = _shares(rows.n_new, rows.n_observed, facts["population_share"], facts["prior_weeks"])
    order = np.argsort(-kinds, axis=1, kind="stable")
    names = np.array(kind_names(facts["kinds"]), dtype=object)
    return pd.DataFrame(
        {
            "device_id": rows.device_id,
            "window_started": rows.monday.astype("datetime64[D]").astype("datetime64[s]"),
            "n_weeks_before": rows.n_weeks_before,
            "is_back_forecast": ~rows.is_last,
            "new_place_probability": event,
            "baseline_probability": own,
            "kinds": pd.Series(list(names[order]), dtype=object),
            "kind_probabilities": pd.Series(list(np.take_along_axis(kinds, order, axis=1)), dtype=object),
        }
    )[EXPLORATION_FORECASTS.names]


def _is_wanted(rows: ExplorationRows, back_weeks: int) -> NDArray[np.bool_]:
    """Return which rows are their device's last, or at most so many weeks before it."""
    last = np.flatnonzero(rows.is_last)
    of_row = np.searchsorted(last, np.arange(rows.is_last.size))
    return rows.monday >= rows.monday[last[of_row]] - WEEK_DAYS * back_weeks


def _chosen(rows: ExplorationRows, chosen: NDArray) -> ExplorationRows:
    return ExplorationRows(*(column[chosen] for column in rows))


def _survey(tables: Tables, params: ExplorationTraining, seed: int) -> Survey:
    """Return where the held-out weeks begin, and the kinds that enough people of the training side visited newly
    before."""
    cut = _cut(tables, params)
    n_new: Counter[str] = Counter()
    n_devices: Counter[str] = Counter()
    for visits in tables.shards(VISITS, VISIT_COLUMNS):
        weeks = by_week(visits)
        is_learnt = np.repeat(side_of(weeks.device_id, seed, params) == TRAIN, _n_visits(weeks.device_id, visits))
        new = pd.DataFrame({"device": _device_of_visits(weeks.device_id, visits), "kind": weeks.kind})
        new = new[weeks.is_first & is_learnt & (weeks.day < cut) & (weeks.kind != NONE_KNOWN)]
        n_new.update(new["kind"].value_counts().to_dict())
        n_devices.update(new.drop_duplicates()["kind"].value_counts().to_dict())
    common = [kind for kind, n in n_devices.items() if n >= params.min_kind_devices]
    return Survey(sorted(common, key=lambda kind: (-n_new[kind], kind))[: params.most_kinds], cut)


def _cut(tables: Tables, params: ExplorationTraining) -> int:
    """Return the Monday of the first held-out week, days since 1970."""
    first, last = [], []
    for visits in tables.shards(VISITS, VISIT_COLUMNS):
        weeks = by_week(visits)
        if not weeks.n_cells:
            continue
        n_weeks = np.diff(weeks.start)
        first.append(int(weeks.monday.min()))
        last.append(int((weeks.monday + WEEK_DAYS * (n_weeks - 1))[n_weeks > 0].max()))
    if not first:
        raise ModelError(f"no device of {VISITS.name} is seen to the end of a week")
    n_calendar_weeks = (max(last) - min(first)) // WEEK_DAYS + 1
    return max(last) + WEEK_DAYS * (1 - int(np.ceil(n_calendar_weeks * params.held_out_share)))


def _n_visits(device_id: NDArray[np.int64], visits: pd.DataFrame) -> NDArray[np.int64]:
    return np.bincount(np.searchsorted(device_id, visits["device_id"].to_numpy()), minlength=device_id.size)


def _device_of_visits(device_id: NDArray[np.int64], visits: pd.DataFrame) -> NDArray[np.int64]:
    return np.repeat(device_id, _n_visits(device_id, visits))


def _read(tables: Tables, survey: Survey, params: ExplorationTraining, seed: int) -> tuple[Sides, StreamedRows]:
    """Return the rows with a target: training and validation before the cut, tests after it; and later weeks of the
    people of the training."""
    sides, later = empty_sides(params, seed), StreamedRows(SCORED_AT_ONCE, seed)
    for visits in tables.shards(VISITS, VISIT_COLUMNS):
        rows = exploration_rows(visits, params.n_lags, survey.kinds, params.min_days)
        columns, side = _columns(rows), side_of(rows.device_id, seed, params)
        is_known, is_after = rows.has_new != UNKNOWN, rows.monday >= survey.cut
        for into, number, is_then in (
            (sides.train, TRAIN, ~is_after),
            (sides.validate, VALIDATE, ~is_after),
            (sides.test, TEST, is_after),
            (later, TRAIN, is_after),
        ):
            add_rows(into, columns, is_known & is_then & (side == number))
    return sides, later


def _columns(rows: ExplorationRows) -> dict[str, NDArray[Any]]:
    return {
        "device_id": rows.device_id,
        "monday": rows.monday,
        "features": rows.features,
        "event": rows.has_new.astype(np.float32),
        "kind": rows.kind.astype(np.int64),
        "n_new": rows.n_new,
        "n_observed": rows.n_observed,
        "n_recent_new": rows.n_recent_new,
        "n_recent_observed": rows.n_recent_observed,
        "kinds_before": rows.kinds_before,
    }


def _kind_shares(rows: StreamedRows, n_kinds: int) -> Floats:
    """Return the shares of the kinds among first new places of the training."""
    counts = np.zeros(n_kinds)
    for batch in rows.batches(0):
        kind = batch["kind"].numpy()
        counts += np.bincount(kind[kind != UNKNOWN], minlength=n_kinds)
    return counts / max(counts.sum(), 1)


def _shares(part: NDArray, whole: NDArray, prior: float, weight: float) -> Floats:
    return (part + weight * prior) / (whole + weight)


class KindBaselines(NamedTuple):
    """What forecasts of kinds have to beat."""

    population: Floats
    """Share of each kind among all first new places of the training."""
    multinomial: KindRegression | None
    prior_weeks: float

    def ranked(self, batch: Columns, standard: Floats) -> dict[str, Floats]:
        """Return the scores of kinds, (rows, kinds), by baseline; `standard` are standardised features."""
        found = {
            "own_kinds": batch["kinds_before"] + self.prior_weeks * self.population,
            "population": np.tile(self.population, (len(standard), 1)),
        }
        if self.multinomial is None:
            return found
        return {"multinomial": self.multinomial.probabilities(standard, self.population.size), **found}


def _metrics(
    rows: StreamedRows,
    fitted: Fitted,
    facts: Mapping[str, Any],
    kinds: KindBaselines,
    params: ExplorationTraining,
    seed: int,
) -> dict[str, float]:
    """Return the metrics of held-out rows, of the network and of what it has to beat."""
    if not rows.n_rows:
        return {"n_devices": 0.0}

    def hits(batch: Columns, of_network: Floats) -> Columns:
        standard = standardised(batch["features"], fitted.mean, fitted.scale)
        found = hits_of(batch["kind"], {"network": of_network, **kinds.ranked(batch, standard)})
        return {f"hits.{name}": values for name, values in found.items()}

    found = scored_rows(rows, fitted, hits)
    said = {"network": found["network"], "logistic": found["logistic"], **_baselines(found, facts)}
    metrics = compare(found["device_id"], found["event"] > 0, said, seed, params.n_replicates)
    is_new = found["kind"] != UNKNOWN
    of_kinds = {name.removeprefix("hits."): v[is_new] for name, v in found.items() if name.startswith("hits.")}
    return metrics | compare_kinds(
        found["device_id"][is_new], found["kind"][is_new], of_kinds, seed, params.n_replicates
    )


def _baselines(found: Columns, facts: Mapping[str, Any]) -> dict[str, Floats]:
    share, weight = facts["population_share"], facts["prior_weeks"]
    return {
        "recent_share": _shares(found["n_recent_new"], found["n_recent_observed"], share, weight),
        "own_share": _shares(found["n_new"], found["n_observed"], share, weight),
        "population": np.full(len(found["event"]), share),
    }
