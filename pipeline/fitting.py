"""Training: a model learns from the tables of a root, and what it learnt is kept there under a version of its own.

Training holds the root like a run, so that no table changes and nobody is withdrawn while a model learns; the card
says which contents were learnt from. Tables must be what a run of the study would leave.

Of several processes that train together the first does all this; the others read the tables that it holds, and learn.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from data_contracts import EMPLOYMENT_TRUTH, Shard, Table
from pipeline.engine.artifacts import CHECKPOINTS, LOGS, Artifact, training_folder, write_artifact
from pipeline.engine.files import remove_folder
from pipeline.engine.lineage import code_digest
from pipeline.engine.lock import Lock, root_lock
from pipeline.engine.opening import root_buckets
from pipeline.engine.run import not_current
from pipeline.engine.store import Store, content_of
from pipeline.engine.trouble import RunError
from pipeline.evaluation.employment_truth import read_employment_truth
from pipeline.models import MODELS, FitRun, Model
from pipeline.models.launched import is_first, n_processes
from pipeline.models.protocol import SOJOURN_TORCH, ModelError, missing_libraries
from pipeline.params import Params, digest, list_fields
from pipeline.settings import Settings
from pipeline.stages.predict import is_filled
from pipeline.study import Study, StudyError

Progress = Callable[[str, int, int], None]
METRICS, SUMMARY = "metrics", "summary"
"""Names among what a model gives back of how good it is on what it did not learn from, and of that in a few lines."""


class StoredTables:
    """The tables of a held root as a model learns from them: bucket by bucket, as they were when training began."""

    def __init__(self, store: Store, tables: Sequence[Table], lock: Lock | None) -> None:
        """Note what there is of some tables; without a lock another process holds the root."""
        self._store, self._lock = store, lock
        self._footers = {table.name: store.footers(table) for table in tables}

    @property
    def n_rows(self) -> dict[str, int]:
        """Rows of each table."""
        return {name: sum(footer.n_rows for footer in found.values()) for name, found in self._footers.items()}

    @property
    def contents(self) -> dict[str, str]:
        """Hash of the contents of each table, whatever they were made from."""
        return {name: content_of(found) for name, found in self._footers.items()}

    def shards(self, table: Table, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the rows of one shard after the other, each in the order of the table's key.

        RunError where one is no longer what it was; LockedError once the root is held no longer.
        """
        for key, footer in self._footers[table.name].items():
            if self._lock:
                self._lock.check()
            rows, now = self._store.read(table, key, columns), self._store.footer(table, key)
            if now is None or now.content != footer.content:
                raise RunError(f"{table.name} was written again while a model learnt from it: train again")
            yield rows.to_pandas(date_as_object=False)

    def whole(self, table: Table) -> pd.DataFrame:
        """Return a static or study table."""
        return next(self.shards(table))


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
        accepted = ", ".join(list_fields(model.params)) or "none"
        raise StudyError(f"--param {problems} (fields of {model.name}: {accepted})") from None


def train_model(
    study: Study,
    settings: Settings,
    name: str,
    values: Mapping[str, Any],
    run: FitRun,
    truth: pd.DataFrame | None = None,
) -> Artifact | None:
    """Train a model on the tables of a root, keep what it learnt there and return it.

    The same tables, Params and seed give the same version on as many processes and threads of one kind of machine: sums
    are made in the order that these leave. An interrupted training goes on where its last checkpoint
    was made. Of several processes that train together the first keeps what was learnt, and the others return None.
    StudyError where a table it learns from is not there or not current, or truth it needs is not given; LockedError
    where a run holds the root.
    """
    model = find_model(name)
    params = make_params(model, values)
    _check(model, study, Store(settings.root), truth)
    with _held(model, study, settings, run.device) as lock:
        tables, started = StoredTables(Store(settings.root), model.inputs, lock), time.perf_counter()
        run = _placed(model, settings, [tables.contents, _content_of(truth), params.model_dump(mode="json")], run)
        run = replace(run, on_progress=_watched(run.on_progress, lock))
        try:
            state = model.fit(tables, params, run, truth)
        except ModelError as error:
            raise RunError(f"{name}: {error}") from error
        _meet(run.device)  # none reads a table any more
        if lock is None:
            return None
        card = _card(model, study, params, run, tables, truth) | {
            METRICS: {},
            **{name: state.facts[name] for name in (METRICS, SUMMARY) if name in state.facts},
            "seconds": round(time.perf_counter() - started, 1),
        }
        # How good it is says nothing of what it is: that is in the card, and in no version.
        facts = {name: fact for name, fact in state.facts.items() if name not in (METRICS, SUMMARY)}
        lock.check()
        trained = write_artifact(settings.root, name, state.tensors, facts, card)
        _remove_checkpoints(training_folder(settings) / CHECKPOINTS, name)
    return trained


def _watched(on_progress: Progress, lock: Lock | None) -> Progress:
    """Return what is told of progress, and first looks whether the root is still held.

    Told before each checkpoint: what a withdrawal of the new holder removed is not written again.
    """

    def told(what: str, done: int, of: int) -> None:
        if lock:
            lock.check()
        on_progress(what, done, of)

    return told


def _remove_checkpoints(folder: Path, name: str) -> None:
    """Remove the checkpoints of a model, also those of tables or Params that are no more, and the folder with none."""
    remove_folder(folder / name)
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def _held(model: Model, study: Study, settings: Settings, device: str) -> Iterator[Lock | None]:
    """Hold the root, its tables current; in the others of several processes, wait until the first does: None."""
    if not is_first():
        _meet(device)
        yield None
        return
    with root_lock(settings.root, wait_s=settings.lock_wait_s) as lock:
        check_current(model, study, settings)
        _meet(device)
        yield lock


def _meet(device: str) -> None:
    from pipeline.models.processes import wait_for_all  # not above: it imports torch

    try:
        wait_for_all(device)
    except ModelError as error:  # no such device
        raise RunError(str(error)) from error


def check_current(model: Model, study: Study, settings: Settings) -> None:
    """StudyError where what a model learns from is not what a run of the study would leave (`not_current`).

    A table of another span, of other files or of older code would be learnt from in silence.
    """
    settings = settings.model_copy(update={"n_buckets": root_buckets(settings.root) or settings.n_buckets})
    if due := not_current(study, settings, [table.name for table in model.inputs]):
        told = ", ".join(table.name for table in model.inputs)
        raise StudyError(f"{model.name} learns from {told}, not up to date for this study ({due}): run the study first")


def _placed(model: Model, settings: Settings, learnt_from: list[Any], run: FitRun) -> FitRun:
    """Return the run with its folders: both are of the same data, code, Params, seed, processes and threads alone."""
    key = [*learnt_from, code_digest(_family(model)), run.seed, n_processes(), _n_threads()]
    folder, which = training_folder(settings), digest(key)
    return replace(run, checkpoints=folder / CHECKPOINTS / model.name / which, logs=folder / LOGS / model.name / which)


def _card(
    model: Model, study: Study, params: Params, run: FitRun, tables: StoredTables, truth: pd.DataFrame | None
) -> dict[str, Any]:
    """Return what the card says of what was learnt from and how."""
    return {
        "title": model.title,
        "source": model.source,
        "outputs": [output.table.name for output in model.outputs],
        "study": {"name": study.name, "start": study.start, "end": study.end},
        "params": json.loads(params.model_dump_json()),
        "seed": run.seed,
        "processes": n_processes(),
        "threads": _n_threads(),
        "rows": tables.n_rows | ({model.truth.name: len(truth)} if model.truth and truth is not None else {}),
        "data": tables.contents,
        "code": code_digest(_family(model)),
        "torch": version("torch"),
    }


def _n_threads() -> int:
    from pipeline.models.processes import n_threads  # not above: it imports torch

    return n_threads()


def _family(model: Model) -> str:
    return model.outputs[0].family


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
    """StudyError where training cannot begin, whatever else the root holds."""
    if missing := missing_libraries():
        raise StudyError(f"training needs {', '.join(missing)}: {SOJOURN_TORCH}")
    for table in model.inputs:
        is_own = is_filled(study, table) and (table.shard is not Shard.STATIC or getattr(study, table.name) is not None)
        if not is_own or not store.keys(table):
            raise StudyError(f"{model.name} learns from {table.name}, which is not there: run the study first")
    if model.truth and truth is None:
        raise StudyError(f"{model.name} takes --truth")
