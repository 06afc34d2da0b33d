"""Training: a model learns from the tables of a root, and what it learnt is kept there under a version of its own.

Tables are only read: training and runs may go on side by side, and the card says which contents were learnt from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from data_contracts import Shard, Table
from pipeline.engine.artifacts import MODELS_FOLDER, Artifact, write_artifact
from pipeline.engine.lineage import code_digest
from pipeline.engine.opening import check_key
from pipeline.engine.store import ALL, Store
from pipeline.models import MODELS, FitRun, Model
from pipeline.models.protocol import missing_libraries
from pipeline.params import Params, digest
from pipeline.paths import is_remote
from pipeline.settings import Settings, read_key
from pipeline.stages.predict import SOJOURN_TORCH, is_filled
from pipeline.study import Study, StudyError

CHECKPOINTS, LOGS = "_checkpoints", "_logs"
"""Folders below that of models: where an interrupted training goes on, and what TensorBoard shows."""


class StoredTables:
    """The tables of a root as models learn from them: bucket by bucket, and counted on the way."""

    def __init__(self, store: Store, study: Study) -> None:
        """Read from `store` what is the study's own."""
        self._store, self._study = store, study
        self.contents: dict[str, dict[str, str]] = {}
        """Table → path of a shard → hash of what was read of it."""
        self.n_rows: dict[str, int] = {}

    def shards(self, table: Table, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the rows of one shard after the other, each in the order of the table's key."""
        for key in self._store.keys(table):
            footer = self._store.footer(table, key)
            if footer is None:
                continue
            self._note(table, key.path, footer.content, footer.n_rows)
            yield self._store.read(table, key, columns).to_pandas(date_as_object=False)

    def whole(self, table: Table) -> pd.DataFrame:
        """Return a static or study table; a frame without rows where the study has none."""
        is_own = getattr(self._study, table.name) is not None if table.shard is Shard.STATIC else True
        if not is_own or not is_filled(self._study, table) or not self._store.has(table, ALL):
            return table.schema.empty_table().to_pandas(date_as_object=False)
        return next(self.shards(table))

    def _note(self, table: Table, path: str, content: str, n_rows: int) -> None:
        seen = self.contents.setdefault(table.name, {})
        if path not in seen:
            self.n_rows[table.name] = self.n_rows.get(table.name, 0) + n_rows
        if seen.setdefault(path, content) != content:
            raise StudyError(f"{table.name} was written again while a model learnt from it: train again")


def find_model(name: str) -> Model:
    """Return a model by name; StudyError lists the names."""
    if name not in MODELS:
        raise StudyError(f"no model {name!r}; there are {', '.join(sorted(MODELS))}")
    return MODELS[name]


def make_params(model: Model, values: Mapping[str, Any]) -> Params:
    """Return a model's Params of training; StudyError names a field or value that cannot be."""
    try:
        return model.params(**values)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        accepted = ", ".join(model.params.model_fields) or "none"
        raise StudyError(f"--set {problems} (fields of {model.name}: {accepted})") from None


def train_model(
    study: Study,
    settings: Settings,
    name: str,
    values: Mapping[str, Any],
    run: FitRun,
    truth: pd.DataFrame | None = None,
) -> Artifact:
    """Train a model on the tables of a root, keep what it learnt there and return it.

    The same tables, Params and seed give the same version. An interrupted training goes on where its last checkpoint
    was made. StudyError where a table it learns from is not there, or truth it needs is not given.
    """
    model = find_model(name)
    params, store = make_params(model, values), Store(settings.root)
    _check(model, study, store, truth)
    tables, started = StoredTables(store, study), time.perf_counter()
    run = _with_folders(run, settings, name)
    state = model.fit(tables, params, run, truth)
    card = {
        "title": model.title,
        "source": model.source,
        "outputs": [output.table.name for output in model.outputs],
        "study": {"name": study.name, "start": study.start, "end": study.end},
        "params": json.loads(params.model_dump_json()),
        "seed": run.seed,
        "metrics": state.facts.get("metrics", {}),
        "rows": tables.n_rows,
        "data": {table: digest(sorted(seen.items())) for table, seen in tables.contents.items()},
        "code": code_digest(model.outputs[0].family),
        "torch": version("torch"),
        "seconds": round(time.perf_counter() - started, 1),
    }
    return write_artifact(settings.root, name, state.tensors, state.facts, card)


TRUTHS: dict[str, Callable[[Path], pd.DataFrame]] = {}
"""Contract of a ground truth → what reads a file of it."""


def _with_folders(run: FitRun, settings: Settings, name: str) -> FitRun:
    """Return a run that keeps its checkpoints and logs beside the trained models, on a local disk in any case."""
    folder = settings.disk if is_remote(settings.root) else settings.root / MODELS_FOLDER
    return replace(
        run, checkpoints=run.checkpoints or folder / CHECKPOINTS / name, logs=run.logs or folder / LOGS / name
    )


def read_truth(name: str, path: Path | None) -> pd.DataFrame | None:
    """Return the ground truth in a file, as a model learns from it; None without a file."""
    model = find_model(name)
    if path is None or model.truth is None:
        return None
    return TRUTHS[model.truth.name](path)


def _check(model: Model, study: Study, store: Store, truth: pd.DataFrame | None) -> None:
    """StudyError where training cannot begin."""
    if missing := missing_libraries():
        raise StudyError(f"training needs {', '.join(missing)}: {SOJOURN_TORCH}")
    check_key(store.root, read_key())
    for table in model.inputs:
        is_declared = table.shard is not Shard.STATIC or getattr(study, table.name) is not None
        if not is_declared or not store.keys(table):
            raise StudyError(f"{model.name} learns from {table.name}, which is not there: run the study first")
    if (model.truth is None) != (truth is None):
        raise StudyError(f"{model.name} takes {'--truth' if model.truth else 'no truth'}")
