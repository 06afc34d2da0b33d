"""A whole run over a large city: seconds, CPU seconds and memory of every stage, scratch and tables; a table and JSON.

``python -m tests.benchmarks.bench_scale CITY --root TABLES --workers 2 --json run.json`` runs every stage over a city
that `write_city` made (a folder with raw/ and tracts.geojson). Run again on the same root, it measures what a run costs
that finds everything current; with ``--until DATE`` first and without it after, or after more files were added to raw/,
what a further day costs.

"own CPU s" is what the pieces of work of a stage took of the processor: reading, computing, checking, writing. What
the processes took besides is Dask's, the exchange's and the engine's: that is the overhead. "idle" is the share of the
cores that nobody used.
"""

import argparse
import json
import os
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path

import psutil

SAMPLE_S = 0.5
"""How often memory is looked at, in seconds."""
SCRATCH_EVERY = 8
"""Scratch is measured at every so many-th look: walking it costs."""
MILLION = 1_000_000


class Watch(threading.Thread):
    """Looks at this process and its workers: peak memory of each, CPU seconds of all, peak of scratch."""

    def __init__(self, scratch: Path) -> None:
        super().__init__(daemon=True)
        self.scratch, self.client = scratch, psutil.Process()
        self.client_mib, self.worker_mib, self.scratch_bytes = 0.0, 0.0, 0
        self._gone_s: dict[int, float] = {}
        self.is_over = threading.Event()

    def run(self) -> None:
        """Look until it is over."""
        number = 0
        while not self.is_over.wait(SAMPLE_S):
            self.client_mib = max(self.client_mib, self.client.memory_info().rss / 2**20)
            for worker in self._workers():
                self.worker_mib = max(self.worker_mib, worker)
            if number % SCRATCH_EVERY == 0:
                self.scratch_bytes = max(self.scratch_bytes, bytes_below(self.scratch))
            number += 1

    def _workers(self) -> list[float]:
        """Return the memory of each process below this one, in MiB, and note their CPU seconds."""
        found = []
        for process in self.client.children(recursive=True):
            try:
                times = process.cpu_times()
                self._gone_s[process.pid] = times.user + times.system
                found.append(process.memory_info().rss / 2**20)
            except psutil.NoSuchProcess:
                continue
        return found

    def cpu_s(self) -> float:
        """CPU seconds, user and system, of this process and all below it until now."""
        self._workers()
        mine = self.client.cpu_times()
        return mine.user + mine.system + sum(self._gone_s.values())

    def peaks(self) -> dict:
        """Return the peaks since the last call."""
        found = {
            "client_mib": round(self.client_mib),
            "worker_mib": round(self.worker_mib),
            "scratch_bytes": self.scratch_bytes,
        }
        self.client_mib, self.worker_mib, self.scratch_bytes = 0.0, 0.0, 0
        return found


def bytes_below(folder: Path) -> int:
    """Return the bytes of all files below a folder; files that go meanwhile do not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def measure(options: argparse.Namespace) -> dict:
    """Run every stage; return what each took and needed. Written to the JSON file as it goes on."""
    from pipeline.engine.run import open_run
    from pipeline.settings import Settings
    from pipeline.study import Study
    from tests.benchmarks.bench_run import study_of

    os.environ.setdefault("SOJOURN_KEY", "a key for benchmarks of good length")
    values = study_of(options.city)
    if options.until:
        days = [d for d in sorted((options.city / "raw").iterdir()) if d.name <= f"date={options.until}"]
        values["sources"] = [{**values["sources"][0], "path": str(day)} for day in days]
    settings = Settings(
        root=options.root,
        n_buckets=options.buckets,
        n_workers=options.workers,
        n_threads=options.threads,
        memory_limit_bytes=round(options.memory_gb * 1e9) if options.memory_gb else None,
    )
    found: dict = {"city": str(options.city), "workers": options.workers, "threads": options.threads or os.cpu_count()}
    found |= {"buckets": options.buckets, "stages": []}
    watch = Watch(options.root / "_scratch")
    watch.start()
    started, cpu = time.perf_counter(), watch.cpu_s()
    with open_run(Study.from_dict(values), settings, "bench") as run:
        found["start_s"] = time.perf_counter() - started
        for name in run.stages:
            summary = run.execute(name)
            now = watch.cpu_s()
            row = {"stage": name, "seconds": summary.seconds, "cpu_s": now - cpu, "n_rows": summary.n_rows}
            found["stages"].append({**row, **watch.peaks(), "table_bytes": bytes_below(options.root / name)})
            found["stages"][-1]["own_cpu_s"] = own_cpu_s(options.root, run.record.run_id, name)
            cpu = now
            if name == "pings":
                found["n_pings"] = summary.details["n_pings"]
            found.update(wall_s=time.perf_counter() - started, cpu_s=watch.cpu_s(), at=f"{datetime.now(UTC):%F %T}")
            options.json.write_text(json.dumps(found, indent=1))
            print(row, flush=True)
    watch.is_over.set()
    return found


def own_cpu_s(root: Path, run_id: str, stage: str) -> float:
    """Return the CPU seconds of all pieces of work on a stage's table in a run."""
    from pipeline.engine.shard_records import read_shard_records

    rows = read_shard_records(root, run_id)
    return float(rows.loc[rows["stage"] == stage, "cpu_s"].sum())


def report(found: dict) -> None:
    """Print the table."""
    millions = found["n_pings"] / MILLION
    print(f"{found['n_pings']:,} pings, {found['workers']} worker processes: {found['wall_s']:.0f} s wall, ", end="")
    print(f"{found['cpu_s']:.0f} s CPU, {found['wall_s'] / millions:.3f} s a million pings")
    own, cpu = (sum(row[name] for row in found["stages"]) for name in ("own_cpu_s", "cpu_s"))
    n_cores = found["workers"] or found["threads"]
    idle = 1 - found["cpu_s"] / found["wall_s"] / n_cores
    print(f"overhead {1 - own / cpu:.1%} of the CPU time of stages, idle {idle:.1%} of {n_cores} cores")
    names = ("s", "CPU s", "own CPU", "s/M", "worker", "client", "scratch", "table")
    print(f"{'stage':24}" + "".join(f"{name:>9}" for name in names) + "  (MiB)")
    for row in found["stages"]:
        scratch, table = (row[name] / 2**20 for name in ("scratch_bytes", "table_bytes"))
        print(
            f"{row['stage']:24}{row['seconds']:9.1f}{row['cpu_s']:9.1f}{row['own_cpu_s']:9.1f}"
            f"{row['seconds'] / millions:9.3f}{row['worker_mib']:9}{row['client_mib']:9}{scratch:9.0f}{table:9.0f}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("city", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--buckets", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--memory-gb", type=float, help="of a worker; one that needs more is ended")
    parser.add_argument("--until", type=date.fromisoformat, help="only raw files of dates until this one")
    report(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
