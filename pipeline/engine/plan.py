"""What has to be done: the order of stages, the shards of each, and whether each is current.

`visit_dates` walks a bucket date by date, `visit_whole` makes one shard of all of a bucket, or of the
study. In a dry run they only say what state each shard is in and note in the run's `Outlook` what becomes of it, so
that `sojourn status` and a run cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any

import pandas as pd
import pyarrow as pa
from pydantic import ValidationError

import pipeline.stages  # noqa: F401  (fills the registry)
from data_contracts import Shard, Table
from pipeline.engine.artifacts import read_artifact
from pipeline.engine.foresee import foresee, note, wait_for
from pipeline.engine.lineage import code_digest, differences, stage_parts, stage_values
from pipeline.engine.metering import metered
from pipeline.engine.origins import Origins
from pipeline.engine.outlook import Fate, Outlook, ShardReport, details
from pipeline.engine.store import ALL, Footer, ShardKey, Store, is_dated
from pipeline.engine.trouble import RunError, named
from pipeline.params import Params, digest
from pipeline.settings import Settings
from pipeline.stage import STAGES, Stage
from pipeline.stages.predict import is_filled, left_out, named_models
from pipeline.study import Study, StudyError

Input = tuple[Table, ShardKey]
RunMap = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""`map`, or a cluster's."""


@dataclass(frozen=True)
class Work:
    """Everything a worker needs for the shards of one stage."""

    stage: Stage
    params: Params
    study: Study
    settings: Settings
    parts: dict[str, str]
    dates: frozenset[date]
    outlook: Outlook | None = None
    """Dry runs: what becomes of the shards of the tables before, and takes what becomes of these."""
    origins: Origins | None = None
    """Dry runs: what the digests in footers stand for."""
    is_forced: bool = False
    """Whether shards are computed although they are current."""

    @property
    def is_dry(self) -> bool:
        """Whether nothing is computed."""
        return self.outlook is not None

    def keys(self, table: Table, bucket: int | None = None) -> list[ShardKey]:
        """Return the shards of a table that are there; in a dry run those that will or may be there."""
        return self.outlook.keys(self.store, table, bucket) if self.outlook else self.store.keys(table, bucket)

    def fate(self, table: Table, key: ShardKey) -> Fate:
        """Return what becomes of a shard; in a run that is not dry what is there stays."""
        return self.outlook.fate(table, key) if self.outlook else Fate.STAYS

    @cached_property
    def values(self) -> dict[str, Any]:
        """What the digests among `parts` stand for."""
        return stage_values(self.stage, self.params, self.study)

    @property
    def store(self) -> Store:
        """The tables of the run."""
        return Store(self.settings.root)


def stages_in_order() -> list[Stage]:
    """Return all stages, each after those whose tables it reads."""
    reads = {name: [t.name for t in s.reads if t.name in STAGES] for name, s in sorted(STAGES.items())}
    return [STAGES[name] for name in TopologicalSorter(reads).static_order()]


def stages_of(study: Study) -> list[Stage]:
    """Return the stages that a run of a study has: all but the tables of models that it leaves out."""
    out = left_out(study)
    return [stage for stage in stages_in_order() if stage.name not in out]


def with_followers(names: Collection[str]) -> set[str]:
    """Return tables of those names and all that are made from them, however far down."""
    found = set(names)
    for stage in stages_in_order():
        if any(table.name in found for table in stage.reads):
            found.add(stage.name)
    return found


def with_sources(names: Collection[str]) -> set[str]:
    """Return tables of those names and all that they are made from, however far up."""
    found = set(names)
    for stage in reversed(stages_in_order()):
        if stage.name in found:
            found |= {table.name for table in stage.reads}
    return found


def find_stage(name: str) -> Stage:
    """Return the stage that writes the table of that name; KeyError lists the names."""
    if name not in STAGES:
        raise KeyError(f"no stage {name!r}; there are {', '.join(STAGES)}")
    return STAGES[name]


def params_of(study: Study) -> dict[str, Params]:
    """Return the Params of every stage; StudyError names a stage, field or value that does not exist.

    So does it a model of the study that is not known.
    """
    named_models(study)
    stages = {stage.name: stage for stage in stages_in_order()}
    unknown = sorted(set(study.params) - set(stages))
    if unknown:
        raise StudyError(f"params.{unknown[0]}: no such stage; accepted: {', '.join(stages)}")
    return {name: _params_of_stage(stage, study) for name, stage in stages.items()}


def _params_of_stage(stage: Stage, study: Study) -> Params:
    try:
        params = stage.params(**study.params.get(stage.name, {}))
    except ValidationError as error:
        problems = [f"params.{stage.name}.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        accepted = ", ".join(stage.params.model_fields) or "none"
        raise StudyError(f"{'; '.join(problems)} (fields of {stage.name}: {accepted})") from None
    try:
        params.check_study(study)
    except ValueError as error:
        raise StudyError(f"params.{stage.name}: {error}") from None
    _check_models(stage, params, study)
    return params


def _check_models(stage: Stage, params: Params, study: Study) -> None:
    """StudyError where a stage asks for a model's table that the run leaves out: an older one may still lie there."""
    out = left_out(study)
    for table in stage.reads:
        if table.name in out and stage.name not in out and params.takes(table.name):
            raise StudyError(f"params.{stage.name} asks for {table.name}, which is left out: {out[table.name]}")


def work_for(stage: Stage, study: Study, settings: Settings, dates: Collection[date] | None = None) -> Work:
    """Return the work of one stage under the Params of a study, on all dates or some."""
    params = params_of(study)[stage.name]
    parts = stage_parts(stage, params, study)
    return Work(stage, params, study, settings, parts, frozenset(study.dates() if dates is None else dates))


def visit_shards(work: Work, bucket: int) -> list[ShardReport]:
    """Bring one bucket of the stage's table up to date and report every shard of it."""
    return visit_dates(work, bucket) if is_dated(work.stage.writes) else visit_whole(work, ShardKey(bucket=bucket))


def visit_dates(work: Work, bucket: int) -> list[ShardReport]:
    """Bring one bucket of a dated table up to date, date by date.

    A date is visited when it is asked for, when its shard exists already (what the date before
    leaves open may have changed), and when nothing was measured on it but something is open.
    """
    store, stage = work.store, work.stage
    reports = _remove_outside(work, bucket)
    measured = {key.date for key in work.keys(stage.reads[0], bucket)}
    existing = {key.date for key in store.keys(stage.writes, bucket)}
    is_settled, is_open = True, False
    for day in work.study.dates():
        key, before = ShardKey(day, bucket), ShardKey(day - timedelta(days=1), bucket)
        is_left = stage.carries is not None and store.has(stage.carries, key)
        is_sure = (day in measured and work.fate(stage.reads[0], key) is not Fate.DOUBTFUL) or (is_open and is_settled)
        if day not in measured and not is_open and is_settled:
            reports += remove_shard(work, key) if day in existing else []
            if stage.carries and not work.is_dry:
                store.remove(stage.carries, key)
            is_left = False
        elif not is_sure:
            reports.append(wait_for(work, key, ["what the date before leaves open may change"]))
            is_settled = False
        elif day in work.dates or day in existing or day not in measured:
            inputs = [(stage.reads[0], key)] if day in measured else []
            report = _visit(work, key, inputs + _single_inputs(work), before if is_open else None, is_settled)
            is_left = stage.carries is not None and store.has(stage.carries, key)
            is_settled = stage.carries is None or report.state in ("current", "computed")
            reports.append(report)
        else:
            is_settled = True
        is_open = is_left
    return reports


def _remove_outside(work: Work, bucket: int) -> list[ShardReport]:
    """Remove shards of dates that are no longer in the study's span, and what they left open."""
    span = set(work.study.dates())
    tables = [table for table in (work.stage.carries, work.stage.writes) if table]
    kept = {key for table in tables for key in work.store.keys(table, bucket)}
    return [report for key in sorted(kept) if key.date not in span for report in remove_shard(work, key)]


Compute = Callable[["Work", ShardKey, Sequence[Input], ShardKey | None, dict[str, Any]], Footer]
"""Makes a shard of its inputs and of what the date before left, and writes it with the parts of its fingerprint."""


def visit_whole(
    work: Work, key: ShardKey, compute: Compute | None = None, inputs: list[Input] | None = None
) -> list[ShardReport]:
    """Bring the one shard of a bucket up to date, or (`ALL`) that of the study, by `compute`.

    Its `inputs` are those of the bucket, unless others are given.
    """
    inputs = inputs_of(work, key) if inputs is None else inputs
    first, is_whole = work.stage.reads[0], work.stage.is_whole
    needed = [(t, found) for t, found in inputs if (t is first if is_whole else not t.shard.is_single)]
    if not needed:
        return remove_shard(work, key) if work.store.has(work.stage.writes, key) else []
    if all(work.fate(table, found) is Fate.DOUBTFUL for table, found in needed):
        return [wait_for(work, key, ["perhaps nothing is left to make it of"])]
    return [_visit(work, key, inputs, compute=compute)]


def inputs_of(work: Work, key: ShardKey) -> list[Input]:
    """Return all shards that the one shard of a bucket, or of the study, is made from."""
    shards = [table for table in _taken(work) if not table.shard.is_single and is_filled(work.study, table)]
    return [(table, found) for table in shards for found in work.keys(table, key.bucket)] + _single_inputs(work)


def _visit(
    work: Work,
    key: ShardKey,
    inputs: list[Input],
    before: ShardKey | None = None,
    is_settled: bool = True,
    compute: Compute | None = None,
) -> ShardReport:
    """Return the state of one shard, after computing it if it is not current and the run is not dry.

    `is_settled` says that what the date before leaves open is what it will be.
    """
    store, table = work.store, work.stage.writes
    expected = expected_parts(work, key, inputs, before)
    footer = store.footer(table, key)
    if work.outlook is not None:
        return foresee(work, key, inputs, footer, expected, is_settled)
    why = differences(footer.made_from, expected) if footer else ["never computed"]
    if not why and work.is_forced and (key.date is None or key.date in work.dates):
        why = ["asked for"]
    if not why and footer:
        return ShardReport(table.name, key.path, "current", (), footer.n_rows, n_suppressed=footer.n_suppressed)
    check_code(work)
    with metered() as meter, named(f"{table.name}/{key.path}"):
        made = (compute or _compute)(work, key, inputs, before, expected)
    return ShardReport(table.name, key.path, "computed", tuple(why), made.n_rows, made.n_suppressed, cost=meter.cost())


def check_code(work: Work) -> None:
    """RunError when this process would compute with other code than the one that planned the work."""
    if code_digest(work.stage.module) != work.parts["code"]:
        raise RunError("a worker runs another version of the project than this process: restart the workers")


def expected_parts(work: Work, key: ShardKey, inputs: Sequence[Input], before: ShardKey | None) -> dict[str, Any]:
    """Return the parts of the fingerprint the shard would have if it were computed now."""
    store, carries = work.store, work.stage.carries
    contents: dict[str, list[tuple[str, str]]] = {}
    for table, found in inputs:
        footer = store.footer(table, found)
        contents.setdefault(table.name, []).append((found.path, footer.content if footer else ""))
    parts: dict[str, Any] = {
        **work.parts,
        "inputs": {name: digest([" ".join(one) for one in found]) for name, found in contents.items()},
        **details(contents),
    }
    if carries:
        parts["is_last"] = key.date == work.study.end
        parts["carry"] = _content(store, carries, before) if before else ""
        parts["leaves"] = _content(store, carries, key)
    return parts


def _compute(
    work: Work, key: ShardKey, inputs: Sequence[Input], before: ShardKey | None, made_from: dict[str, Any]
) -> Footer:
    """Read, call, check, write one shard and what it carries; return its footer."""
    store, stage = work.store, work.stage
    arguments: list[Any] = read_frames(work, stage.reads, inputs)
    if stage.carries:
        arguments.append(_read_frame(store, stage.carries, [before] if before else []))
    result = stage(*arguments, *facts(work, key), work.params)
    if stage.carries:
        result, left = result
        made_from = {**made_from, "leaves": _write_carry(store, stage.carries, key, left)}
    return store.write(stage.writes, key, to_arrow(result), made_from)


def _write_carry(store: Store, carries: Table, key: ShardKey, left: pd.DataFrame) -> str:
    """Write what a date leaves open, before the date's own shard vouches for it; return its content."""
    if left.empty:
        store.remove(carries, key)
        return ""
    return store.write(carries, key, to_arrow(left), {}).content


def facts(work: Work, key: ShardKey) -> list[Any]:
    """Return what the stage needs besides tables, in the order of its declaration."""
    study, day = work.study, key.date or work.study.end
    known = {
        "study": study,
        "seed": study.seed,
        "day_end": pd.Timestamp(day + timedelta(days=1), tz="UTC"),
        "is_last": day == study.end,
    }
    if "artifact" in work.stage.needs:
        known["artifact"] = read_artifact(str(work.store.root), work.parts["artifact"])
    return [known[name] for name in work.stage.needs]


def read_frames(work: Work, tables: Iterable[Table], inputs: Sequence[Input]) -> list[pd.DataFrame]:
    """Return the rows of each of some tables that are in `inputs`; a frame without rows for one that is not."""
    return [_read_frame(work.store, table, [key for t, key in inputs if t is table]) for table in tables]


def _read_frame(store: Store, table: Table, keys: Sequence[ShardKey]) -> pd.DataFrame:
    """Return the rows of some shards of a table in key order, as a frame; empty when there are none."""
    parts = [store.read(table, key) for key in keys]
    data = pa.concat_tables(parts) if parts else table.schema.empty_table()
    if len(parts) > 1:
        data = data.sort_by([(name, "ascending") for name in table.key])
    return data.to_pandas(date_as_object=False)


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """Return a frame as the store takes it."""
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def _single_inputs(work: Work) -> list[Input]:
    """Return the tables of one shard that the stage reads and that exist.

    A table that the study does not declare is none of its inputs, even if an earlier study left it there.
    """
    single = [table for table in _taken(work) if table.shard.is_single]
    known = [t for t in single if _is_declared(work.study, t)]
    return [(table, ALL) for table in known if work.keys(table)]


def _taken(work: Work) -> list[Table]:
    """Return the tables that the stage reads under its Params."""
    return [table for table in work.stage.reads if work.params.takes(table.name)]


def _is_declared(study: Study, table: Table) -> bool:
    return is_filled(study, table) if table.shard is Shard.STUDY else getattr(study, table.name) is not None


def _content(store: Store, table: Table, key: ShardKey) -> str:
    footer = store.footer(table, key)
    return footer.content if footer else ""


def remove_shard(work: Work, key: ShardKey) -> list[ShardReport]:
    """Remove a shard whose inputs are gone, and what it carried."""
    report = ShardReport(
        work.stage.writes.name, key.path, "stale" if work.is_dry else "removed", ("its inputs are gone",)
    )
    if work.is_dry:
        note(work, key, Fate.GOES)
        return [report]
    for table in (work.stage.carries, work.stage.writes):
        if table:
            work.store.remove(table, key)
    return [report]
