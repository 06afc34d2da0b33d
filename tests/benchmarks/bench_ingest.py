"""Rows per second of one core at ingest: read and hash, the stage `pings`, and merging into shards.

Run: python -m tests.benchmarks.bench_ingest [--rows N] [--folder FOLDER]
FOLDER holds Parquet files with device_id, timestamp (s), latitude, longitude, accuracy; without it
N rows are made up. A shard is one file's rows of one UTC date and one of eight buckets.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.sources import find_files, read_blocks, split_file
from pipeline.stages.pings import PingParams, merge_pings, pings
from pipeline.study import ColumnMap, Source, Study

T = TypeVar("T")
KEY = b"a key for timing only"
N_BUCKETS = 8
N_FILE_ROWS = 1_333_333
START_S = 1_704_067_200  # 2024-01-01


def make_files(folder: Path, n_rows: int) -> None:
    """Write files of one UTC date each: 20,000 devices with random text ids, rows in random order."""
    rng = np.random.default_rng(0)
    ids = pa.array([rng.bytes(16).hex() for _ in range(20_000)])
    for k, first in enumerate(range(0, n_rows, N_FILE_ROWS)):
        n = min(N_FILE_ROWS, n_rows - first)
        table = {
            "device_id": ids.take(pa.array(rng.integers(0, len(ids), n))),
            "timestamp": START_S + k * 86_400 + rng.integers(0, 86_400, n),
            "latitude": rng.normal(40.7, 0.1, n),
            "longitude": rng.normal(-74.0, 0.1, n),
            "accuracy": rng.gamma(2.0, 10.0, n).astype(np.float32),
        }
        pq.write_table(pa.table(table), folder / f"day{k:02d}.parquet", row_group_size=500_000)


def timed(what: str, n_rows: int, work: Callable[[], T]) -> T:
    """Run `work` and print its rate by processor time (of all threads) and by the clock."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    rates = f"{n_rows / cpu_s / 1e6:6.1f} M rows per core second, {n_rows / seconds / 1e6:6.1f} by the clock"
    print(f"{what:<28} {rates}  ({n_rows:,} rows)")
    return result


def to_shards(rows: pa.Table) -> list[pa.Table]:
    """Return rows by UTC date and bucket."""
    day = rows["tracked_at"].cast(pa.int64()).to_numpy() // 86_400_000_000
    shard = day * N_BUCKETS + rows["device_id"].to_numpy() % N_BUCKETS
    return [rows.filter(pa.array(shard == value)) for value in np.unique(shard)]


def measure(folder: Path) -> None:
    """Print the rates over all files of a folder."""
    columns = ColumnMap(
        device_id="device_id", tracked_at="timestamp", lon="longitude", lat="latitude", accuracy_m="accuracy"
    )
    source = Source(path=str(folder), format="parquet", time_unit="s", columns=columns)
    pieces = [piece for path in find_files(source, folder) for piece in split_file(path, source)]
    n_rows = sum(pq.ParquetFile(piece.path).metadata.num_rows for piece in pieces if piece.index == 0)
    timed(
        "read_blocks (Parquet)",
        n_rows,
        lambda: [b.num_rows for piece in pieces for b in read_blocks(piece, KEY)],
    )

    raw = [block for piece in pieces[:4] for block in read_blocks(piece, KEY)]
    n_raw = sum(block.num_rows for block in raw)
    at = pa.concat_tables(raw)["tracked_at"]
    bounds = pc.min_max(at).as_py()
    start, end = bounds["min"].date(), bounds["max"].date()
    study = Study(name="bench", start=start, end=end, zone="America/New_York", sources=(source,))
    accepted = timed("pings, one zone", n_raw, lambda: [pings(b, study, PingParams())[0] for b in raw])
    by_place = study.model_copy(update={"zone_from_coordinates": True})
    pings(raw[0], by_place, PingParams())  # looks up the cells
    timed("pings, zones by position", n_raw, lambda: [pings(b, by_place, PingParams()) for b in raw])
    refusing = study.model_copy(update={"end": start if start < end else date(1999, 1, 1)})
    timed("pings, with refusals", n_raw, lambda: [pings(b, refusing, PingParams()) for b in raw])

    shards = to_shards(pa.concat_tables(accepted).combine_chunks())
    merge_pings(shards[0], PingParams())  # compiles
    sizes = f"{len(shards)} shards"
    merged = timed(f"merge_pings, {sizes}", n_raw, lambda: [merge_pings(s, PingParams()) for s in shards])
    timed("merge_pings, sorted already", n_raw, lambda: [merge_pings(s, PingParams()) for s in merged])
    twice = [pa.concat_tables([m.drop_columns("is_jump"), m.drop_columns("is_jump")]) for m in merged]
    timed("merge_pings, all rows twice", 2 * n_raw, lambda: [merge_pings(s, PingParams()) for s in twice])
    whole = pa.concat_tables(shards)
    timed("merge_pings, one shard", n_raw, lambda: merge_pings(whole, PingParams()))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.folder:
        measure(arguments.folder.resolve())
        return
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder), arguments.rows)
        measure(Path(folder))


if __name__ == "__main__":
    main()
