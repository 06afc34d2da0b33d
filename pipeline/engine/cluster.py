"""The cluster: the only module that knows Dask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster, as_completed, futures_of

from pipeline.settings import Settings


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
        self,
        read: Callable[[Any], pd.DataFrame],
        blocks: Sequence[Any],
        meta: pd.DataFrame,
        by: str,
        n_parts: int,
        write: Callable[[pd.DataFrame], pd.DataFrame],
        reports: pd.DataFrame,
    ) -> Iterator[pd.DataFrame]:
        """Bring rows that agree in column `by` together and yield what `write` returns of each part.

        `read` gives the rows of one block, shaped like `meta`; `write` takes all rows of one or
        several values of `by` and returns a frame shaped like `reports`.
        """
        rows = dd.from_map(read, blocks, meta=meta, enforce_metadata=False)
        together = rows.shuffle(by, npartitions=n_parts, shuffle_method="p2p", ignore_index=True)
        written = together.map_partitions(write, meta=reports, enforce_metadata=False).persist()
        yield from self._results(futures_of(written))

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
