"""The cluster: the only module that knows Dask."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import dask
import dask.dataframe as dd
import pandas as pd
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, as_completed, futures_of
from distributed.security import Security
from distributed.shuffle._exceptions import P2POutOfDiskError
from distributed.system import MEMORY_LIMIT

from pipeline.settings import Settings

MEMORY_SHARE = 0.7
"""Share of the memory of this machine, or of the container it is, for all workers started here (ours)."""


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
    """Workers that run functions over items, and the shuffle between them."""

    def __init__(self, client: Client) -> None:
        """Use a connected `client`."""
        self._client = client

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield the result of `function` for every item, as they finish; the first error ends it."""
        futures = self._client.map(function, list(items), pure=False)
        yield from self._results(futures)

    def exchange(
        self, read: Callable[[Any], pd.DataFrame], blocks: Sequence[Any], meta: pd.DataFrame, steps: Sequence[Step]
    ) -> Iterator[pd.DataFrame]:
        """Bring rows together step by step and yield what the last step makes of each of its parts.

        `read` gives the rows of one block, shaped like `meta`. Rows wait on the disk between steps, not in memory.
        """
        rows = dd.from_map(read, blocks, meta=meta, enforce_metadata=False)
        for step in steps:
            together = rows.shuffle(step.by, npartitions=step.n_parts, shuffle_method="p2p", ignore_index=True)
            rows = together.map_partitions(step.function, meta=step.result, enforce_metadata=False)
        yield from self._results(futures_of(rows.persist()))

    def _results(self, futures: list[Any]) -> Iterator[Any]:
        try:
            for future in as_completed(futures):
                yield future.result()
        except P2POutOfDiskError:
            raise OSError(
                errno.ENOSPC, os.strerror(errno.ENOSPC), str(dask.config.get("temporary-directory"))
            ) from None
        finally:
            self._client.cancel(futures)


@contextmanager
def connect(settings: Settings) -> Iterator[Cluster]:
    """Yield the cluster at `settings.scheduler`; without one, worker processes or threads started here."""
    # Errors reach the caller; the cluster's own log of them would repeat their text.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(_config(settings)):
        if settings.scheduler:
            with Client(settings.scheduler) as client:
                yield Cluster(client)
            return
        with _start(settings) as local, Client(local) as client:
            yield Cluster(client)


def _config(settings: Settings) -> dict[str, Any]:
    """Return what Dask has to know of a run."""
    return {
        "temporary-directory": str(settings.disk),
        "dataframe.convert-string": False,
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.admin.large-graph-warning-threshold": "100MB",
    }


def _start(settings: Settings) -> LocalCluster:
    """Return a cluster of worker processes, or of threads in this process, that ends with its context."""
    n_workers = settings.n_workers or 1
    n_threads = settings.n_threads or (1 if settings.n_workers else CPU_COUNT)
    return LocalCluster(
        processes=settings.n_workers > 0,
        n_workers=n_workers,
        threads_per_worker=n_threads,
        memory_limit=settings.memory_limit_bytes or int(MEMORY_LIMIT * MEMORY_SHARE) // n_workers,
        host="127.0.0.1" if settings.n_workers else None,
        # Whoever can talk to a scheduler can run code as its owner: on a shared machine that would be everybody.
        security=Security.temporary() if settings.n_workers else None,
        silence_logs=logging.CRITICAL,
        dashboard_address="127.0.0.1:0",
    )
