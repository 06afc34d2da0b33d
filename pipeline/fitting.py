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

from data_contracts import EMPLOYMENT_TRUTH, Shard, Table
from pipeline.engine.artifacts import MODELS_FOLDER, Artifact, write_artifact
from pipeline.engine.files import remove_folder
from pipeline.engine.lineage import code_digest
from pipeline.engine.opening import check_key
from pipeline.engine.store import Footer, ShardKey, Store
from pipeline.engine.trouble import RunError
from pipeline.engine.unfinished import check_whole_root
from pipeline.evaluation.employment_truth import read_employment_truth
from pipeline.models import MODELS, FitRun, Model
from pipeline.models.protocol import ModelError, missing_libraries
from pipeline.params import Params, digest
from pipeline.paths import is_remote
from pipeline.settings import Settings, read_key
from pipeline.stages.predict import SOJOURN_TORCH, is_filled
from pipeline.study import Study, StudyError

METRICS = "metrics"
"""Name among what a model gives back of how good it is on what it did not learn from."""
CHECKPOINTS, LOGS = "_checkpoints", "_logs"
"""Folders below that of models: where an interrupted training goes on, and what TensorBoard shows."""


class StoredTables:
    """The tables of a root as a model learns from them: bucket by bucket, as they were when training began."""

    def __init__(self, store: Store, tables: Sequence[Table]) -> None:
        """Note what there is of some tables."""
        self._store = store
        self._footers = {table.name: dict(_footers(store, table)) for table in tables}

    @property
    def n_rows(self) -> dict[str, int]:
        """Rows of each table."""
        return {name: sum(footer.n_rows for footer in found.values()) for name, found in self._footers.items()}

    @property
    def contents(self) -> dict[str, str]:
        """Hash of the contents of each table, whatever they were made from."""
        return {
            name: digest([[key.path, footer.content] for key, footer in found.items()])
            for name, found in self._footers.items()
        }

    def shards(self, table: Table, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the rows of one shard after the other, each in the order of the table's key.

        RunError where one is no longer what it was.
        """
        for key, footer in self._footers[table.name].items():
            rows, now = self._store.read(table, key, columns), self._store.footer(table, key)
            if now is None or now.content != footer.content:
                raise RunError(f"{table.name} was written again while a model learnt from it: train again")
            yield rows.to_pandas(date_as_object=False)

    def whole(self, table: Table) -> pd.DataFrame:
        """Return a static or study table."""
        return next(self.shards(table))


def _footers(store: Store, table: Table) -> Iterator[tuple[ShardKey, Footer]]:
    for key in store.keys(table):
        if footer := store.footer(table, key):
            yield key, footer


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
        raise StudyError(f"--param {problems} (fields of {model.name}: {accepted})") from None


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
    tables, started = StoredTables(store, model.inputs), time.perf_counter()
    local = settings.disk if is_remote(settings.root) else settings.root / MODELS_FOLDER
    code = code_digest(model.outputs[0].family)
    which = digest([tables.contents, _content_of(truth), code, params.model_dump(mode="json"), run.seed])
    run = replace(run, checkpoints=local / CHECKPOINTS / name / which, logs=local / LOGS / name)
    try:
        state = model.fit(tables, params, run, truth)
    except ModelError as error:
        raise RunError(f"{name}: {error}") from error
    card = {
        "title": model.title,
        "source": model.source,
        "outputs": [output.table.name for output in model.outputs],
        "study": {"name": study.name, "start": study.start, "end": study.end},
        "params": json.loads(params.model_dump_json()),
        "seed": run.seed,
        "metrics": state.facts.get(METRICS, {}),
        "rows": tables.n_rows | ({model.truth.name: len(truth)} if model.truth and truth is not None else {}),
        "data": tables.contents,
        "code": code,
        "torch": version("torch"),
        "seconds": round(time.perf_counter() - started, 1),
    }
    # How good it is says nothing of what it is: metrics are in the card, and in no version.
    facts = {name: fact for name, fact in state.facts.items() if name != METRICS}
    trained = write_artifact(settings.root, name, state.tensors, facts, card)
    remove_folder(run.checkpoints)
    return trained


TRUTHS: dict[str, Callable[[Path, Study], pd.DataFrame]] = {EMPLOYMENT_TRUTH.name: read_employment_truth}
"""Contract of a ground truth → what reads a file of it."""


def read_truth(name: str, path: Path | None, study: Study) -> pd.DataFrame | None:
    """Return the ground truth in a file, as a model learns from it; None without a file."""
    model = find_model(name)
    if path is None:
        return None
    if model.truth is None:
        raise StudyError(f"{name} learns from tables alone: leave out --truth")
    return TRUTHS[model.truth.name](path, study)


def _content_of(truth: pd.DataFrame | None) -> str:
    """Return the hash of a ground truth; "" of none."""
    return "" if truth is None else digest(pd.util.hash_pandas_object(truth, index=False).tolist())


def _check(model: Model, study: Study, store: Store, truth: pd.DataFrame | None) -> None:
    """StudyError where training cannot begin."""
    if missing := missing_libraries():
        raise StudyError(f"training needs {', '.join(missing)}: {SOJOURN_TORCH}")
    check_whole_root(store.root)
    check_key(store.root, read_key())
    for table in model.inputs:
        is_own = is_filled(study, table) and (table.shard is not Shard.STATIC or getattr(study, table.name) is not None)
        if not is_own or not store.keys(table):
            raise StudyError(f"{model.name} learns from {table.name}, which is not there: run the study first")
    if model.truth and truth is None:
        raise StudyError(f"{model.name} takes --truth")
