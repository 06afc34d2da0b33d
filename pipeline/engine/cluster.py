"""The cluster: the only module that knows Dask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import dask
import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster, as_completed, futures_of

from pipeline.settings import Settings


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
        finally:
            self._client.cancel(futures)


@contextmanager
def connect(settings: Settings) -> Iterator[Cluster]:
    """Yield the cluster at `settings.scheduler`, or one of threads in this process when it is None."""
    # Errors reach the caller; the cluster's own log of them would repeat their text.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    quiet = {
        "temporary-directory": str(settings.root / "_scratch"),
        "dataframe.convert-string": False,
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.admin.large-graph-warning-threshold": "100MB",
    }
    with dask.config.set(quiet):
        if settings.scheduler:
            with Client(settings.scheduler) as client:
                yield Cluster(client)
            return
        with (
            LocalCluster(
                processes=False,
                n_workers=1,
                threads_per_worker=settings.n_threads,
                memory_limit=settings.memory_limit_bytes,
                dashboard_address="127.0.0.1:0",
            ) as local,
            Client(local) as client,
        ):
            yield Cluster(client)
