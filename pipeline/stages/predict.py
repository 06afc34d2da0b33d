"""Tables that trained models fill: each output that a family of models declares becomes an ordinary stage.

A study names trained models (`Study.models`); a table that none of them fills is left out of its runs.
"""

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import pandas as pd

import pipeline.models.families  # noqa: F401  (fills the registries)
from data_contracts import Table
from pipeline.models import MODELS, OUTPUTS, Output, State
from pipeline.models.protocol import SOJOURN_TORCH, missing_libraries
from pipeline.params import Params
from pipeline.stage import Stage, stage
from pipeline.study import Study, StudyError


class Artifact(Protocol):
    """What the engine hands on of a trained model."""

    model: str
    tensors: dict[str, Any]
    facts: dict[str, Any]


def named_models(study: Study) -> dict[str, str]:
    """Return table → trained model (name@version) of the tables that a study has filled.

    StudyError where a model is not known, or two fill one table.
    """
    found: dict[str, str] = {}
    for pin in study.models:
        name = pin.partition("@")[0]
        if name not in MODELS:
            raise StudyError(f"models: no model {name}; there are {', '.join(MODELS)}")
        for output in MODELS[name].outputs:
            if output.table.name in found:
                raise StudyError(f"models: {found[output.table.name]} and {pin} both fill {output.table.name}")
            found[output.table.name] = pin
    return found


def is_filled(study: Study, table: Table) -> bool:
    """Return whether a table is the study's own: of models it is where the study names one that fills it."""
    return table.name not in OUTPUTS or table.name in named_models(study)


def left_out(study: Study) -> dict[str, str]:
    """Return the tables of models that a run of this study leaves out, each with the reason."""
    named = named_models(study)
    reasons = {}
    for table in OUTPUTS:
        if table not in named:
            reasons[table] = "no model named, see `sojourn models`"
        elif missing := missing_libraries():
            reasons[table] = f"{named[table]} needs {', '.join(missing)}: {SOJOURN_TORCH}"
    return reasons


def left_out_words(study: Study) -> str:
    """Return one line that says which tables of models a run of this study leaves out, and why; "" where none is."""
    by_reason: dict[str, list[str]] = {}
    for table, reason in left_out(study).items():
        by_reason.setdefault(reason, []).append(table)
    told = "; ".join(f"{', '.join(tables)} ({reason})" for reason, tables in by_reason.items())
    return f"left out: {told}" if told else ""


def _declare(output: Output) -> Stage:
    table, names = output.table, [read.name for read in output.reads]

    def fill(*arguments: Any) -> pd.DataFrame:
        *frames, artifact, params = arguments
        model = MODELS[artifact.model]
        state = State(artifact.tensors, artifact.facts)
        return model.predict(output, state, dict(zip(names, frames, strict=True)), params)

    fill.__name__ = fill.__qualname__ = table.name
    fill.__doc__ = f"Return {table.name}, one row per {table.row}, from the trained model that the study names."
    _take(fill, [*names, "artifact"], output.params)
    return stage(
        reads=output.reads, writes=table, params=output.params, needs=("artifact",), code=output.family
    )(fill)  # fmt: skip


def _take(function: Callable[..., Any], names: list[str], params: type[Params]) -> None:
    """Give a function that takes anything the arguments that its declaration says."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    arguments = [inspect.Parameter(name, kind) for name in names]
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*arguments, inspect.Parameter("params", kind, annotation=params)]
    )


for _output in OUTPUTS.values():
    _declare(_output)
