"""The cluster: the only module that knows Dask."""

from __future__ import annotations

import errno
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import dask
import pandas as pd
from dask.system import CPU_COUNT
from distributed import Client, Future, LocalCluster, as_completed, futures_of
from distributed.client import FutureCancelledError, performance_report
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker, NoWorkerError
from distributed.security import Security
from distributed.shuffle._exceptions import P2POutOfDiskError
from distributed.system import MEMORY_LIMIT

from pipeline.engine.files import atomic_file
from pipeline.engine.trouble import ClusterError, RunError, refusal
from pipeline.engine.workers import Checked, Terms, look
from pipeline.settings import Settings

log = logging.getLogger("sojourn")
MEMORY_SHARE = 0.7
"""Share of the memory of this machine, or of the container it is, for all workers started here (ours)."""
WORKERS_WAIT_S = 300.0
"""How long a run waits for a first worker, or another one: clouds start a machine in minutes (ours)."""
PAUSED_WAIT_S = 60.0
"""How long nothing is computed while workers are paused, before a run ends: a worker that has results to put on its
disk is done with that in seconds, and no other can free what fills it (ours)."""
AT_REST_GB = 0.5
"""Memory of a worker that has loaded the libraries and computes nothing, as measured."""
MAX_RESTARTS = 3
"""How often one stage goes on after its scheduler was lost: one that our work brings down must not loop (ours)."""
POLL_S, LOOK_S = 0.02, 5.0
"""How often results are looked for, and how often workers when no result comes (ours)."""
NO_BOKEH = "a performance report needs bokeh where the Dask scheduler is: pip install 'sojourn[performance]'"
FETCHED = rb'<link rel="shortcut icon"[^>]*>'
"""All that the page of Dask's report would fetch from elsewhere, scripts being in it (`mode="inline"`)."""
RUNNING = ("executing", "long-running", "flight")
"""States of tasks on a worker that end without anybody's doing; a paused worker begins no others."""
NO_WORKERS = "the Dask scheduler has no workers, and none came; start `dask worker` with its address"

NO_CERTIFICATES = (
    "tls:// needs certificates; name their files in DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
    "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY"
)


class Step(NamedTuple):
    """One shuffle of an exchange, and what becomes of the rows it brings together."""

    by: str
    """Column in which rows agree that come together."""
    n_parts: int
    function: Callable[[pd.DataFrame], pd.DataFrame]
    """Takes all rows of one or several values of `by`."""
    result: pd.DataFrame
    """A frame without rows, shaped like what `function` returns."""


class Cluster:
    """Workers that run functions over items, and the shuffle between them.

    Functions have effects that may happen twice: a worker that is lost, or a scheduler that starts anew, makes Dask or
    this class run them again.
    """

    def __init__(self, client: Client, terms: Terms) -> None:
        """Use a connected `client`; its workers work under `terms`."""
        self._client, self._terms = client, terms

    def n_threads(self) -> int:
        """Return how many pieces of work all workers together do at once."""
        return sum(self._client.nthreads().values())

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield the result of `function` for every item, as they finish; the first error ends it."""
        every = list(items)

        def submit(numbers: list[int]) -> dict[int, Future]:
            futures = self._client.map(Checked(self._terms, function), [every[k] for k in numbers], pure=False)
            return dict(zip(numbers, futures, strict=True))

        yield from self._results(submit, len(every), lambda k: _shown(every[k]))

    @contextmanager
    def reporting(self, path: Path | None) -> Iterator[None]:
        """Write Dask's own report of what is done inside to a file, also where that fails; None writes nothing.

        RunError where the scheduler has no bokeh, or cannot make the report.
        """
        if path is None:
            yield
            return
        try:
            self._client.run_on_scheduler(version, "bokeh")
        except PackageNotFoundError:
            raise RunError(NO_BOKEH) from None
        with TemporaryDirectory(prefix="sojourn-") as folder:
            made = Path(folder) / "report.html"
            report = performance_report(filename=str(made), mode="inline")
            report.__enter__()
            try:
                yield
            except BaseException:
                if reason := self._end_report(report, made, path):
                    log.warning("no performance report: %s", reason)
                raise
            if reason := self._end_report(report, made, path):
                raise RunError(f"the stages are done, but there is no performance report: {reason}")

    def _end_report(self, report: performance_report, made: Path, path: Path) -> str:
        """Put the report in its place; return why there is none, "" where there is."""
        if self._client.status != "running":
            return "the Dask scheduler is gone"
        try:
            self._client.sync(report.__aexit__, None, None, None, code="the stages of a run")
            with atomic_file(path) as file:
                file.write(re.sub(FETCHED, b"", made.read_bytes()))
        except Exception as error:  # Whatever it is, it must not hide how the run ended: it is told by the caller.
            return refusal(error) or f"{type(error).__name__} where it was made"
        return ""

    def exchange(
        self, read: Callable[[Any], pd.DataFrame], blocks: Sequence[Any], meta: pd.DataFrame, steps: Sequence[Step]
    ) -> Iterator[pd.DataFrame]:
        """Bring rows together step by step and yield what the last step makes of each of its parts.

        `read` gives the rows of one block, shaped like `meta`. Rows wait on the disk between steps, not in memory.
        """
        import dask.dataframe as dd  # not above: slow, and of all commands this alone needs it

        rows = dd.from_map(Checked(self._terms, read), blocks, meta=meta, enforce_metadata=False)
        for step in steps:
            together = rows.shuffle(step.by, npartitions=step.n_parts, shuffle_method="p2p", ignore_index=True)
            function = Checked(self._terms, step.function)
            rows = together.map_partitions(function, meta=step.result, enforce_metadata=False)

        def submit(numbers: list[int]) -> dict[int, Future]:
            futures = {future.key[1]: future for future in futures_of(rows.persist())}
            return {k: futures[k] for k in numbers}

        yield from self._results(submit, rows.npartitions, lambda _: f"exchange by {step.by}")

    def _results(
        self, submit: Callable[[list[int]], dict[int, Future]], n: int, name: Callable[[int], str]
    ) -> Iterator[Any]:
        """Yield the results of `n` futures, submitting again what a scheduler forgot; errors say the `name` of one."""
        waiting = set(range(n))
        for _ in range(1 + MAX_RESTARTS):
            self._await_scheduler()
            futures = submit(sorted(waiting))
            numbers = {future.key: k for k, future in futures.items()}
            try:
                for future in self._completed(list(futures.values())):
                    result = _result_of(future, name(numbers[future.key]))
                    waiting.discard(numbers[future.key])
                    yield result
                return
            except FutureCancelledError:
                log.warning("the Dask scheduler was lost; going on where it returns")
            finally:
                if self._client.status == "running":
                    self._client.cancel(list(futures.values()))
        raise RunError(f"the Dask scheduler was lost {1 + MAX_RESTARTS} times in one stage; see its own log")

    def _completed(self, futures: list[Future]) -> Iterator[Future]:
        """Yield futures as they complete; RunError when nobody has been there for long who could do them."""
        completed = as_completed(futures, loop=self._client.loop)
        patience = _Patience(self._client)
        while not completed.is_empty():
            if completed.has_ready():
                yield next(completed)
                patience.renew()
            else:
                time.sleep(POLL_S)
                patience.look()

    def _await_scheduler(self) -> None:
        """Wait until a lost scheduler is back; RunError once the client has given up."""
        while self._client.status == "connecting":
            time.sleep(POLL_S)
        if self._client.status != "running":
            raise RunError("the Dask scheduler was lost and did not return; run again to go on once it is there")


class _Patience:
    """Since when a cluster does nothing for a run. A task may take as long as it likes, as long as it runs."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.renew()

    def renew(self) -> None:
        """Begin anew: a result came."""
        self._looked = self._had_workers = self._computed = time.monotonic()

    def look(self) -> None:
        """Ask the scheduler from time to time; RunError when there was no worker for long, or only paused ones."""
        now = time.monotonic()
        if now - self._looked <= LOOK_S or self._client.status != "running":
            return
        self._looked = now
        workers = _workers(self._client)
        if workers is None:
            # The scheduler went away while it was asked: the futures say so themselves.
            return
        paused = [worker for worker in workers if worker["status"] == "paused"]
        if workers:
            self._had_workers = now
        if not paused or any(_computes(worker) for worker in workers):
            self._computed = now
        if now - self._had_workers > WORKERS_WAIT_S:
            raise RunError(NO_WORKERS)
        if now - self._computed > PAUSED_WAIT_S:
            raise RunError(_full(paused, len(workers)))


def _computes(worker: dict[str, Any]) -> bool:
    counts = worker["metrics"].get("task_counts", {})
    return any(counts.get(state) for state in RUNNING)


def _full(paused: list[dict[str, Any]], n_workers: int) -> str:
    """Return why nothing goes on where workers take no tasks since their memory is full."""
    limit = min(worker["memory_limit"] for worker in paused)
    used = min(worker["metrics"].get("memory", 0) for worker in paused)
    return (
        f"{len(paused)} of {n_workers} workers take no tasks, since their memory is full, and nothing was computed for "
        f"{PAUSED_WAIT_S:.0f} s: each may use {_gb(limit)} and uses {_gb(used)} or more, where a worker at rest takes "
        f"{AT_REST_GB} GB; give workers more memory or fewer threads each"
    )


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB"


def _shown(item: Any) -> str:
    """Return an item as errors name it."""
    if isinstance(item, list):
        return f"{len(item)} items"
    return f"bucket {item}" if isinstance(item, int) else str(item)


def _result_of(future: Future, name: str) -> Any:
    try:
        return future.result()
    except KilledWorker as error:
        limit = error.last_worker.memory_limit
        each = f" ({_gb(limit)} each)" if limit else ""
        raise ClusterError(
            f"{name}: {error.allowed_failures + 1} workers were lost that had it in hand, so it, or what was beside "
            f"it, probably needs more memory than they have{each}: give workers more memory, fewer threads each, or "
            "begin a root with more buckets"
        ) from None
    except NoWorkerError:
        raise RunError(NO_WORKERS) from None
    except P2POutOfDiskError:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(dask.config.get("temporary-directory"))) from None


def _workers(client: Client) -> list[dict[str, Any]] | None:
    """Return what the scheduler knows of each worker; None where it cannot be asked."""
    scheduler = client.scheduler
    try:
        return list(client.sync(scheduler.identity, n_workers=-1)["workers"].values()) if scheduler else None
    except OSError:
        return None


@contextmanager
def connect(settings: Settings, terms: Terms) -> Iterator[Cluster]:
    """Yield the cluster at `settings.scheduler`; without one, worker processes or threads started here.

    RunError where nothing answers, no worker comes, or a worker does not meet the `terms`.
    """
    # Errors reach the caller; the cluster's own log of them would repeat their text.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(_config(settings)), ExitStack() as opened:
        if settings.scheduler:
            client = opened.enter_context(_reach(settings.scheduler))
            _check_workers(client, terms)
        else:
            client = opened.enter_context(Client(opened.enter_context(_start(settings))))
        yield Cluster(client, terms)


def _reach(address: str) -> Client:
    """Return a client of an existing scheduler, over TLS where the address says so."""
    try:
        return Client(address)
    except TypeError:
        # What Dask raises where TLS has no certificates.
        raise RunError(f"no Dask scheduler can be reached at {address}: {NO_CERTIFICATES}") from None
    except (OSError, ValueError, RuntimeError) as error:
        # ValueError: no address; RuntimeError: tcp:// where Dask is told to refuse what is not encrypted.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"no Dask scheduler can be reached at {address}: {reason}") from None


def _check_workers(client: Client, terms: Terms) -> None:
    """Ask every worker that is there whether it can work for the run; those who come later are asked by `Checked`."""
    if not client.nthreads():
        # A task that waits is what makes a cluster that scales by itself start its first worker.
        waiting = client.submit(int, pure=False)
        try:
            waiting.result(timeout=WORKERS_WAIT_S)
        except (TimeoutError, NoWorkerError):
            raise RunError(NO_WORKERS) from None
    for address, trouble in sorted(client.run(look, terms, on_error="return").items()):
        if isinstance(trouble, CommClosedError):
            continue  # It was lost while it was asked; what comes in its place is asked by `Checked`.
        if isinstance(trouble, Exception):
            trouble = f"cannot load the project ({type(trouble).__name__}); install the same version there"
        if trouble:
            raise RunError(f"worker {address} {trouble}")


def _config(settings: Settings) -> dict[str, Any]:
    """Return what Dask has to know of a run."""
    config: dict[str, Any] = {
        "temporary-directory": str(settings.disk),
        "dataframe.convert-string": False,
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.admin.large-graph-warning-threshold": "100MB",
    }
    if settings.n_workers and _n_threads(settings) == 1:
        # A worker above this share of its memory takes no tasks until what fills it is on the disk. What libraries
        # hold never gets there, so it would wait for ever. One that needs more than its limit is ended by its nanny.
        config["distributed.worker.memory.pause"] = False
    if not settings.n_workers:
        # Threads of this process are as alive as the scheduler beside them, even where one task holds up all others.
        config["distributed.scheduler.worker-ttl"] = None
    return config


def _n_threads(settings: Settings) -> int:
    """Return the threads of each worker started here."""
    return settings.n_threads or (1 if settings.n_workers else CPU_COUNT)


def _start(settings: Settings) -> LocalCluster:
    """Return a cluster of worker processes, or of threads in this process, that ends with its context."""
    n_workers = settings.n_workers or 1
    return LocalCluster(
        processes=settings.n_workers > 0,
        n_workers=n_workers,
        threads_per_worker=_n_threads(settings),
        memory_limit=settings.memory_limit_bytes or int(MEMORY_LIMIT * MEMORY_SHARE) // n_workers,
        host="127.0.0.1" if settings.n_workers else None,
        # Whoever can talk to a scheduler can run code as its owner: on a shared machine that would be everybody.
        security=Security.temporary() if settings.n_workers else None,
        silence_logs=logging.CRITICAL,
        dashboard_address="127.0.0.1:0",
        # With bokeh there it would start a dashboard, a second of every run, whose address nobody is told.
        scheduler_kwargs={"dashboard": False},
    )
