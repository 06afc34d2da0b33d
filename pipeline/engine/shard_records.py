"""`run_shards`: what every shard computed in a run cost, kept beside the tables and readable like them.

One file a run, written anew after each stage, so that a killed run keeps what its finished stages did. The file holds
counts, sizes and times only, and no stage reads it: what is current does not depend on it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from data_contracts.runs import RUN_SHARDS
from pipeline.engine.plan import ShardReport
from pipeline.engine.store import ShardKey, Store


class ShardRecords:
    """The rows of one run."""

    def __init__(self, store: Store, run_id: str) -> None:
        """Keep the rows of `run_id` under the root of `store`; the file appears with the first of them."""
        self._store, self._run_id = store, run_id
        self._written: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._n_new = 0

    def add(self, stage: str, report: ShardReport) -> None:
        """Take what computing a shard, or a part of one, cost; of a shard that was current there is nothing."""
        if report.cost is None:
            return
        cost = report.cost
        self._written[(stage, report.step, report.path)] = {
            "run_id": self._run_id,
            "stage": stage,
            "step": report.step,
            "shard": report.path,
            "finished_at": datetime.now(UTC),
            "n_rows_in": cost.n_rows_in,
            "n_rows_out": report.n_rows,
            "duration_s": cost.seconds,
            "cpu_s": cost.cpu_s,
            "read_bytes": cost.read_bytes,
            "written_bytes": cost.written_bytes,
            "peak_memory_bytes": cost.peak_memory_bytes,
            "worker": cost.worker,
        }
        self._n_new += 1

    def write(self) -> None:
        """Write all rows so far, if there are new ones."""
        if self._n_new:
            rows = [self._written[key] for key in sorted(self._written)]
            self._store.write(
                RUN_SHARDS, ShardKey(name=self._run_id), pa.Table.from_pylist(rows, RUN_SHARDS.schema), {}
            )
            self._n_new = 0


def read_shard_records(root: Path, run_id: str) -> pd.DataFrame:
    """Return the rows of one run; none where it computed nothing, or was killed in its first stage."""
    store, key = Store(root), ShardKey(name=run_id)
    data = store.read(RUN_SHARDS, key) if key in store.keys(RUN_SHARDS) else RUN_SHARDS.schema.empty_table()
    return data.to_pandas()
