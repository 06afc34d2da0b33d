"""Groups that are too small: rows of few devices, and pairs of home and work that few people have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.engine.files import whole_source

HOME_WORK_COLUMNS = ("device_id", "span", "role", "rank", "tract_geoid")


class FewDevices(NamedTuple):
    """Rows of a table, and those that stand for fewer devices than they must."""

    n_rows: int
    min_devices: int
    """Devices that each row must stand for."""
    smallest: int | None
    """Fewest devices behind a row; None without rows."""
    n_rows_below: int


def _read(path: Path, columns: list[str]) -> pa.Table:
    return pq.read_table(whole_source(path), columns=columns, partitioning=None)


def audit_n_devices(paths: Iterable[Path], min_devices: int) -> FewDevices:
    """Return how many rows stand for fewer than `min_devices`, by the column `n_devices`; null is too few."""
    counts = [
        pq.read_table(whole_source(path), columns=["n_devices"], partitioning=None)["n_devices"] for path in paths
    ]
    smallest = [pc.min(column).as_py() for column in counts]
    known = [number for number in smallest if number is not None]
    n_below = [pc.sum(pc.fill_null(pc.less(column, min_devices), True)).as_py() or 0 for column in counts]
    return FewDevices(sum(map(len, counts)), min_devices, min(known) if known else None, sum(n_below))


class HomeWork(NamedTuple):
    """How many devices have a pair of home and work areas that few others have."""

    n_devices: int
    """Devices with a main home and a main workplace in areas."""
    share_alone: float | None
    """Share of them that are alone in their pair; None without devices."""
    share_in_few: float | None
    """Share in pairs of fewer than `min_devices`, those alone among them."""
    min_devices: int


def audit_home_work(paths: Iterable[Path], min_devices: int) -> HomeWork:
    """Return how many devices their baseline home and work areas identify, or narrow down to a few.

    Devices without a main home or workplace in an area are left out.
    """
    parts = [
        pq.read_table(whole_source(path), columns=list(HOME_WORK_COLUMNS), partitioning=None).to_pandas()
        for path in paths
    ]
    return pair_sizes(pd.concat(parts, ignore_index=True), min_devices)


def pair_sizes(rows: pd.DataFrame, min_devices: int) -> HomeWork:
    """Return the same from rows of HOME_WORK."""
    main = rows[(rows["span"] == "baseline") & (rows["rank"] == 1) & rows["tract_geoid"].notna()]
    pairs = main.pivot(index="device_id", columns="role", values="tract_geoid").reindex(columns=["home", "work"])
    pairs = pairs.dropna()
    if pairs.empty:
        return HomeWork(0, None, None, min_devices)
    size = pairs.groupby(["home", "work"])["home"].transform("size").to_numpy(np.int64)
    return HomeWork(len(pairs), float((size == 1).mean()), float((size < min_devices).mean()), min_devices)
