"""A run: the stages of a study over a root, in order, each bringing its shards up to date."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from data_contracts import PINGS, TABLES, Release
from pipeline.engine.artifacts import check_models
from pipeline.engine.books import UNCOUNTED, Books, Record, find_batches, find_todo
from pipeline.engine.forecast import FILES, MAX_BYTES, forecast
from pipeline.engine.gather import count_reports, visit_table
from pipeline.engine.ingest import load
from pipeline.engine.opening import HeldRoot, check_key, hold_root
from pipeline.engine.origins import Origins
from pipeline.engine.outlook import SHARD, Outlook, count_due, due_words
from pipeline.engine.plan import ShardReport, find_stage, params_of, stages_of, with_sources, work_for
from pipeline.engine.shard_records import ShardRecords
from pipeline.engine.statics import STATICS, declared_statics, foresee_static, load_static, static_origins
from pipeline.engine.store import Store
from pipeline.engine.trouble import RunError, named
from pipeline.engine.unfinished import check_whole_root
from pipeline.logs import log_event
from pipeline.settings import Settings, read_key
from pipeline.stages.predict import named_models
from pipeline.study import Study

OnShard = Callable[[str, ShardReport], None]
OnMore = Callable[[int], None]
WITHDRAWN = "withdrawn"
"""Reason why an accepted row is not kept: its device was deleted from the root."""


class StageSummary(NamedTuple):
    """What one stage did in a run."""

    stage: str
    seconds: float
    n_rows: int
    shards: dict[str, int]
    """State → number of shards."""
    details: dict[str, Any]


class Counts(NamedTuple):
    """The balance of a root: ``n_read = n_pings + n_duplicates + n_rejected``."""

    n_files: int
    n_read: int
    n_pings: int
    n_duplicates: int
    n_rejected: int
    reasons: dict[str, int]


def steps_of(study: Study) -> list[str]:
    """Return the tables that a run of a study brings up to date, in order: reference tables, then those of stages."""
    return [*declared_statics(study), *(stage.name for stage in stages_of(study))]


class Run:
    """An open run. `stages` are its steps in order; `execute` does one."""

    def __init__(self, study: Study, held: HeldRoot, dates: Collection[date] | None, is_forced: bool = False) -> None:
        """Hold what every step needs; `open_run` makes one."""
        self.study, self.settings, self.record = study, held.settings, held.record
        self._cluster, self._lock, self._dates = held.cluster, held.lock, dates
        self._shards = ShardRecords(Store(held.settings.root), held.record.run_id)
        self._is_forced, self._origins = is_forced, Origins(Store(held.settings.root))
        self._begun = set[str]()
        self.stages = steps_of(study)

    def execute(
        self, stage: str, on_shard: OnShard = lambda stage, report: None, on_more: OnMore = lambda n: None
    ) -> StageSummary:
        """Bring one table up to date and return what was done.

        `on_shard` hears of every shard, and of every part of work that has a record; `on_more` of how many of them
        there are still to come, once or twice.
        """
        started = time.perf_counter()
        states, n_rows, n_suppressed = Counter[str](), 0, 0
        details: dict[str, Any] = {}
        self._lock.check()
        self._log(logging.WARNING if stage in self._begun else logging.INFO, self._beginning(stage), stage=stage)
        try:
            with named(stage):
                for report in self._reports(stage, details, on_more):
                    self._lock.check()
                    self._shards.add(stage, report)
                    self._log_shard(stage, report)
                    on_shard(stage, report)
                    if report.step == SHARD:
                        states[report.state] += 1
                        n_rows += report.n_rows
                        n_suppressed += report.n_suppressed
        finally:
            self._shards.write()
        if TABLES[stage].release is Release.PUBLIC:
            details["n_suppressed"] = n_suppressed
        summary = StageSummary(stage, round(time.perf_counter() - started, 3), n_rows, dict(states), details)
        self.record.add_stage(summary._asdict())
        counts = {f"n_{state}": n for state, n in summary.shards.items()}
        self._log(logging.INFO, "stage finished", stage=stage, seconds=summary.seconds, n_rows=n_rows, **counts)
        return summary

    def reporting(self, path: Path | None) -> AbstractContextManager[None]:
        """Write Dask's performance report of the stages executed inside to a file; see `Cluster.reporting`."""
        return self._cluster.reporting(path)

    def _beginning(self, stage: str) -> str:
        """Return what to call the beginning of a stage, and remember that it has begun."""
        is_again = stage in self._begun
        self._begun.add(stage)
        return "stage tried again" if is_again else "stage started"

    def _log_shard(self, stage: str, report: ShardReport) -> None:
        if report.cost:
            cost = report.cost._asdict()
            facts = {"stage": stage, "step": report.step, "shard": report.path, "n_rows_out": report.n_rows, **cost}
            self._log(logging.DEBUG, "shard computed", **facts)

    def _log(self, level: int, event: str, **facts: Any) -> None:
        log_event("run", level, event, run_id=self.record.run_id, **facts)

    def _reports(self, stage: str, details: dict[str, Any], on_more: OnMore) -> Iterator[ShardReport]:
        self._origins.remember(*self._made_of(stage))
        if stage in STATICS:
            on_more(1)
            yield load_static(stage, self.study, Store(self.settings.root), details)
        elif stage == "pings":
            yield from self._ingest(details, on_more)
        else:
            work = work_for(find_stage(stage), self.study, self.settings, self._dates)
            work = replace(work, is_forced=self._is_forced)
            on_more(count_reports(work))
            yield from visit_table(work, self._cluster.map, self._cluster.exchange)

    def _made_of(self, stage: str) -> tuple[dict[str, str], dict[str, Any]]:
        if stage in STATICS:
            return static_origins(stage, self.study)
        work = work_for(find_stage(stage), self.study, self.settings)
        return work.parts, work.values

    def _ingest(self, details: dict[str, Any], on_more: OnMore) -> Iterator[ShardReport]:
        work = work_for(find_stage("pings"), self.study, self.settings)
        found = Books(work.store)
        key = read_key()
        batches, refused = find_batches(work, key, self._cluster.map)
        todo = find_todo(work, batches, found, refused, key)
        found.rename(batches)
        yield from load(work, todo, self._cluster, found, on_more)
        details.update(count_pings(work.store)._asdict())


def count_pings(store: Store) -> Counts:
    """Return the balance of a root, after checking that it balances; RunError when a row is lost."""
    records = Books(store).records.values()
    found = store.footers(PINGS)
    n_pings = sum(f.n_rows for f in found.values())
    n_withdrawn = sum(f.made_from.get("withdrawn", 0) for f in found.values())
    n_brought = _count_brought(records, {key.path: f.made_from["batches"] for key, f in found.items()})
    reasons = Counter[str]({WITHDRAWN: n_withdrawn} if n_withdrawn else {})
    for record in records:
        reasons.update(record.reasons)
    n_read, n_rejected = sum(r.n_read for r in records), sum(r.n_rejected for r in records)
    if n_read != n_brought + n_rejected:
        raise RunError(f"rows are missing: {n_read} read, {n_brought} in shards, {n_rejected} rejected")
    n_duplicates, n_refused = n_brought - n_pings - n_withdrawn, n_rejected + n_withdrawn
    return Counts(len(records), n_read, n_pings, n_duplicates, n_refused, dict(sorted(reasons.items())))


def _count_brought(records: Iterable[Record], shards: dict[str, dict[str, int]]) -> int:
    """Return how many rows all batches brought to shards, before duplicates were found."""
    n_brought = sum(sum(batches.values()) for batches in shards.values())
    for record in records:
        counts = [shards.get(path, {}).get(record.batch_id) for path in record.shards]
        if UNCOUNTED in counts and None not in counts:
            n_brought += record.n_accepted - sum(n for n in counts if n)
    return n_brought


@contextmanager
def open_run(
    study: Study, settings: Settings, command: str, dates: Collection[date] | None = None, is_forced: bool = False
) -> Iterator[Run]:
    """Yield a run that holds the root, a cluster and a record, and note how it ends.

    RunError where the study names a model that learnt from devices withdrawn since.

    With `is_forced` shards are computed although they are current (not `pings` and reference tables).
    """
    params_of(study)
    with hold_root(settings, command, study.shown()) as held:
        check_models(settings.root, named_models(study).values())
        yield Run(study, held, dates, is_forced)


def status(
    study: Study,
    settings: Settings,
    dates: Collection[date] | None = None,
    stages: Collection[str] | None = None,
    max_bytes: int | None = MAX_BYTES,
    is_forced: bool = False,
) -> list[ShardReport]:
    """Return the state of every source file and shard as a run would find it, computing and writing nothing.

    Of a run of some `stages` on some `dates`: the tables of other stages stay as they are. Waiting files are read,
    unless they have more than `max_bytes`, to say which shards they reach.
    """
    check_whole_root(settings.root)
    check_key(settings.root, read_key())
    store, outlook = Store(settings.root), Outlook()
    origins, reports = Origins(store), list[ShardReport]()
    steps = [name for name in steps_of(study) if stages is None or name in stages]
    check_models(settings.root, [model for table, model in named_models(study).items() if table in steps])
    for name in steps:
        if name in STATICS:
            reports.append(foresee_static(name, study, store, outlook, origins))
        elif name == "pings":
            reports[:0] = _foresee_load(study, settings, outlook, max_bytes)
        else:
            work = work_for(find_stage(name), study, settings, dates)
            reports += visit_table(replace(work, outlook=outlook, origins=origins, is_forced=is_forced), map)
    return reports


def left_stale(study: Study, settings: Settings) -> str:
    """Return a line that counts what a backfill of some dates or tables has left as it was; "" where all is current.

    Waiting source files are not read for it: shards they may reach count as waiting.
    """
    told = due_words(count_due(status(study, settings, max_bytes=0)))
    return f"left as it was, since it was not asked for: {told}" if told else ""


def not_current(study: Study, settings: Settings, tables: Collection[str]) -> str:
    """Return what a run would have to do for some tables, or what they are made from, in words; "" where all is done.

    Source files that cannot be read are passed over, as runs do.
    """
    reports = status(study, settings, stages=with_sources(tables))
    return due_words(count_due(report for report in reports if report.table != FILES))


def _foresee_load(study: Study, settings: Settings, outlook: Outlook, max_bytes: int | None) -> list[ShardReport]:
    work, key = work_for(find_stage("pings"), study, settings), read_key()
    books = Books(work.store)
    batches, refused = find_batches(work, key, map, is_dry=True)
    todo = find_todo(work, batches, books, refused, key)
    return list(forecast(work, batches, todo, books, key, outlook, max_bytes))
