"""Stage → Prefect task. One task a stage; its shards are Dask's, inside the engine.

A Prefect task costs some milliseconds and a row in a database, and there are thousands of shards.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from prefect import State, Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.exceptions import TerminationSignal
from prefect.states import Failed
from prefect.tasks import exponential_backoff

from flows.artifacts import show_counts, show_links
from pipeline.engine.lock import LockedError
from pipeline.engine.run import Run, StageSummary, open_run
from pipeline.engine.trouble import PassingError, named
from pipeline.settings import Settings
from pipeline.study import Study

RETRIES = 3
"""Trying again is safe: shards that are current are skipped, and writing one again gives the same bytes."""
FIRST_DELAY_S = 5
"""Wait before the first retry, doubled for each further one: long enough for storage to recover."""
JITTER = 0.5
"""Waits vary by up to this share, so that runs which storage failed together do not all return together."""
REFUSED = "Refused"
"""Name of the state of a run that found its root taken. It has a name of its own so that automations
on failed runs pass over it: whoever holds the root is doing the work."""


def may_pass(stage: Task[..., Any], run: TaskRun, state: State) -> bool:
    """Return whether a failed stage is worth another try: whether its trouble may pass by itself."""
    return isinstance(state.data, PassingError)


# An open run holds a lock, a cluster and a record: it has no hash to cache under, and cannot be
# pickled, so these tasks are called in the flow's own process and their results stay in it.
@task(
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(FIRST_DELAY_S),
    retry_jitter_factor=JITTER,
    retry_condition_fn=may_pass,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def run_stage(run: Run, stage: str) -> StageSummary:
    """Bring one table of an open run up to date and return what was done; RunError when it cannot be."""
    with named(stage):
        summary = run.execute(stage)
    shards = ", ".join(f"{n} {state}" for state, n in sorted(summary.shards.items())) or "none"
    get_run_logger().info("%s: shards %s; %d rows; %.1f s", stage, shards, summary.n_rows, summary.seconds)
    return summary


def task_for(stage: str) -> Task[[Run, str], StageSummary]:
    """Return the Prefect task of one stage, which carries the stage's name."""
    return run_stage.with_options(name=stage, task_run_name=stage)


def do_run(
    study: Study,
    settings: Settings,
    command: str,
    dates: Sequence[date],
    stages: Collection[str],
    report: Path | None,
    is_forced: bool = False,
) -> list[StageSummary] | State:
    """Run some stages in order, one task each, and show what they did on the page of the flow run.

    Returns what each did, the first that fails ends it; or state "Refused" when another run holds the root.
    """
    title = f"{study.name}, {dates[0]} to {dates[-1]}"
    try:
        with open_flow_run(study, settings, command, dates, is_forced) as run:
            summaries = [task_for(stage)(run, stage) for stage in run.stages if stage in stages]
    except LockedError as error:
        return Failed(name=REFUSED, message=str(error), data=error)
    show_counts(title, summaries)
    if report:
        from pipeline.report import write_report

        with named("report"):
            write_report(study, settings.root, report)
    show_links(title, settings.root.as_uri(), run.record.path.as_uri(), report)
    return summaries


@contextmanager
def open_flow_run(
    study: Study, settings: Settings, command: str, dates: Collection[date], is_forced: bool
) -> Iterator[Run]:
    """Yield an open run of the engine, recorded as cancelled when Prefect stops the flow (SIGTERM).

    The engine knows Ctrl-C but not Prefect's signal; Prefect needs its own signal back.
    """
    try:
        with open_run(study, settings, command, dates, is_forced) as run:
            try:
                yield run
            except TerminationSignal as signal:
                raise KeyboardInterrupt from signal
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt.__cause__, TerminationSignal):
            raise interrupt.__cause__ from None
        raise
