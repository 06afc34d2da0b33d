"""Models of people, as the registry knows them. No torch is imported here but by `fit` and `predict`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from data_contracts import EMPLOYMENT_SCORES, EMPLOYMENT_TRUTH, EXPLORATION_FORECASTS, PRESENCE, VISITS, Table
from pipeline.models.people.params import EmploymentTraining, ExplorationOutput, ExplorationTraining
from pipeline.models.protocol import FitRun, Output, State, Tables, register
from pipeline.params import Params

FAMILY = "pipeline.models.people"
FORECASTS = Output(EXPLORATION_FORECASTS, (VISITS,), FAMILY, ExplorationOutput)
SCORES = Output(EMPLOYMENT_SCORES, (PRESENCE,), FAMILY)


@register
class ExplorationForecasts:
    """Forecasts of new places."""

    name = "exploration_forecasts"
    title = "Whether somebody will visit a new place in the next week, and of which kind"
    source = "Ours throughout: a small network on counts of earlier weeks, beside a logistic regression and shares"
    inputs: tuple[Table, ...] = (VISITS,)
    outputs: tuple[Output, ...] = (FORECASTS,)
    params: type[Params] = ExplorationTraining
    truth: Table | None = None

    def fit(self, tables: Tables, params: Any, run: FitRun, truth: pd.DataFrame | None = None) -> State:
        """Return what was learnt of VISITS; see `exploration.fit`."""
        from pipeline.models.people import exploration

        return exploration.fit(tables, params, run)

    def predict(
        self, output: Output, state: State, frames: Mapping[str, pd.DataFrame], params: Any, device: str = "auto"
    ) -> pd.DataFrame:
        """Return the forecasts of one bucket."""
        from pipeline.models.people import exploration

        return exploration.predict(state, frames[VISITS.name], params, device)


@register
class EmploymentScores:
    """Learned probabilities of job loss."""

    name = "employment_scores"
    title = "How probable it is, by presence at work alone, that somebody has lost the job"
    source = "Ours throughout: a small network on presence in the weeks around, learnt from true spells of employment"
    inputs: tuple[Table, ...] = (PRESENCE,)
    outputs: tuple[Output, ...] = (SCORES,)
    params: type[Params] = EmploymentTraining
    truth: Table | None = EMPLOYMENT_TRUTH

    def fit(self, tables: Tables, params: Any, run: FitRun, truth: pd.DataFrame | None = None) -> State:
        """Return what was learnt of PRESENCE and the truth; ValueError without truth."""
        from pipeline.models.people import employment

        if truth is None:
            raise ValueError(f"{self.name} learns from true spells of employment: none were given")
        return employment.fit(tables, params, run, truth)

    def predict(
        self, output: Output, state: State, frames: Mapping[str, pd.DataFrame], params: Any, device: str = "auto"
    ) -> pd.DataFrame:
        """Return the scores of one bucket."""
        from pipeline.models.people import employment

        return employment.predict(state, frames[PRESENCE.name], device)
