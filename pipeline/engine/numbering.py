"""Shards of `pings` by number: rows are sorted into them by one column of 32 bits."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts import PINGS
from pipeline.engine.plan import Work
from pipeline.engine.spans import DAY_US
from pipeline.engine.store import ShardKey
from pipeline.engine.trouble import RunError


class Numbering(NamedTuple):
    """Dates and buckets as one number: dates since the first, times buckets, plus the bucket."""

    first: date
    n_buckets: int

    def of_rows(self, rows: pa.Table) -> NDArray[np.int32]:
        """Return the number of each row's shard."""
        device = rows["device_id"].to_numpy()
        first_day = pd.Timestamp(self.first).value // (DAY_US * 1000)
        day = rows["tracked_at"].cast(pa.int64()).to_numpy() // DAY_US - first_day
        bucket = (device.view(np.uint64) % np.uint64(self.n_buckets)).astype(np.int64)
        return (day * self.n_buckets + bucket).astype(np.int32)

    def key(self, number: int) -> ShardKey:
        """Return the key of a shard by its number."""
        day, bucket = divmod(number, self.n_buckets)
        return ShardKey(self.first + timedelta(days=day), bucket)

    def counts(self, numbers: NDArray[np.int32]) -> Counter[str]:
        """Return how many of some rows each shard's path has, by the rows' numbers."""
        found, counts = np.unique(numbers, return_counts=True)
        return Counter({self.key(int(n)).path: int(c) for n, c in zip(found, counts, strict=True)})


def numbering(work: Work) -> Numbering:
    """Return how the shards of a run are numbered."""
    return Numbering(work.study.start, work.settings.n_buckets)


def shard_key(path: str) -> ShardKey:
    """Return the key of a shard by its path; RunError where it is none."""
    key = ShardKey.from_path(path)
    if key is None:
        raise RunError(f"{path} is no shard of {PINGS.name}")
    return key
