"""Stage → Prefect task. One task a stage; its shards are Dask's, inside the engine.

A Prefect task costs some milliseconds and a row in a database, and there are thousands of shards.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import TerminationSignal
from prefect.tasks import exponential_backoff

from pipeline.engine.run import Run, StageSummary, open_run
from pipeline.engine.trouble import named
from pipeline.settings import Settings
from pipeline.study import Study

RETRIES = 2
"""Trying again is safe: shards that are current are skipped, and writing one again gives the same bytes."""
FIRST_DELAY_S = 5
"""Wait before the first retry, doubled for each further one: long enough for storage to recover."""


# An open run holds a lock, a cluster and a record: it has no hash to cache under, and cannot be
# pickled, so these tasks are called in the flow's own process and their results stay in it.
@task(
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(FIRST_DELAY_S),
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


def run_stages(run: Run, stages: Sequence[str]) -> list[StageSummary]:
    """Return what each of some stages did, one after the other; the first that fails ends it."""
    return [task_for(stage)(run, stage) for stage in stages]


@contextmanager
def open_flow_run(study: Study, settings: Settings, command: str, dates: Collection[date]) -> Iterator[Run]:
    """Yield an open run of the engine, recorded as cancelled when Prefect stops the flow (SIGTERM).

    The engine knows Ctrl-C but not Prefect's signal; Prefect needs its own signal back.
    """
    try:
        with open_run(study, settings, command, dates) as run:
            try:
                yield run
            except TerminationSignal as signal:
                raise KeyboardInterrupt from signal
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt.__cause__, TerminationSignal):
            raise interrupt.__cause__ from None
        raise
