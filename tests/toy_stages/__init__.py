"""A little world of stages that gather: hours of devices by kind, their sums in the study, and a release of them.

`toy_hours` (per bucket, written by `write_hours`) → `toy_kinds` (study) → `toy_shares` (per bucket) → `toy_release`
(study, release) → `toy_totals` (study, of whole tables alone); `toy_hours` → `toy_meetings` (per bucket, of all).
Only fixtures of `tests.integration` register them.
"""

import grimp
import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts import TABLES, Column, Release, Shard, Table
from data_contracts.columns import DEVICE_ID
from pipeline.engine import lineage
from pipeline.engine.store import ShardKey, Store

KIND = Column("kind", pa.string(), "Kind of device")
HOURS = Column("hours", pa.float64(), "Hours", "h", 0)
N_DEVICES = Column("n_devices", pa.int64(), "Devices", "devices", 0)
N_DRAWN = Column("n_drawn", pa.int64(), "The study's seed", "1")

TOY_HOURS = Table("toy_hours", "device", (DEVICE_ID, KIND, HOURS), ("device_id",), Shard.BUCKET)
TOY_KINDS = Table("toy_kinds", "kind", (KIND, N_DEVICES, HOURS, N_DRAWN), ("kind",), Shard.STUDY)
TOY_SHARES = Table(
    "toy_shares", "device", (DEVICE_ID, KIND, Column("share", pa.float64(), "Of its kind", "1", 0, 1)), ("device_id",),
    Shard.BUCKET,
)  # fmt: skip
TOY_RELEASE = Table(
    "toy_release", "kind", (KIND, N_DEVICES, HOURS), ("kind",), Shard.STUDY, Release.PUBLIC, min_devices=10
)
TOY_TOTALS = Table("toy_totals", "kind", (KIND, N_DEVICES, HOURS, N_DRAWN), ("kind",), Shard.STUDY)
TOY_MEETINGS = Table("toy_meetings", "device", (DEVICE_ID, N_DEVICES), ("device_id",), Shard.BUCKET)
TOY_TABLES = (TOY_HOURS, TOY_KINDS, TOY_SHARES, TOY_RELEASE, TOY_TOTALS, TOY_MEETINGS)
N_DEVICES_OF = {"bus": 60, "car": 41, "foot": 10, "rare": 9}
"""The last is one device short of the smallest group that `toy_release` may show."""


def make_hours(seed: int = 0) -> pd.DataFrame:
    """Return the rows of toy_hours: hours with many digits, so that the order of a floating sum shows."""
    chance = np.random.default_rng(seed)
    kinds = np.repeat(list(N_DEVICES_OF), list(N_DEVICES_OF.values()))
    device_id = np.sort(chance.integers(-(2**63), 2**63, kinds.size))
    return pd.DataFrame({"device_id": device_id, "kind": chance.permutation(kinds), "hours": chance.random(kinds.size)})


def write_hours(store: Store, hours: pd.DataFrame, n_buckets: int) -> None:
    """Write toy_hours as a stage before would have: a shard per bucket with devices."""
    bucket = hours["device_id"].to_numpy().astype(np.uint64) % np.uint64(n_buckets)
    for number in range(n_buckets):
        rows = hours[bucket == number]
        if len(rows):
            data = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
            store.write(TOY_HOURS, ShardKey(bucket=number), data, {})
        else:
            store.remove(TOY_HOURS, ShardKey(bucket=number))


def register_tables() -> None:
    """Add the tables to those of the project."""
    TABLES.update({table.name: table for table in TOY_TABLES})


def know_toys() -> None:
    """Let this process take fingerprints of toy stages too: its graph of imports ends at the project otherwise."""
    graph = grimp.build_graph("pipeline", "data_contracts", "tests", include_external_packages=True, cache_dir=None)
    lineage.code_digest.cache_clear()
    lineage._import_graph = lambda: graph
