"""A whole run over a large city: seconds, CPU seconds and memory of every stage, scratch and tables; a table and JSON.

``python -m tests.benchmarks.bench_scale CITY --root TABLES --workers 2 --json run.json`` runs every stage over a city
that `write_city` made (a folder with raw/ and tracts.geojson). Run again on the same root, it measures what a run costs
that finds everything current; with ``--until DATE`` first and without it after, what a further day costs.
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
    found: dict = {"city": str(options.city), "workers": options.workers, "buckets": options.buckets, "stages": []}
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
            cpu = now
            if name == "pings":
                found["n_pings"] = summary.details["n_pings"]
            found.update(wall_s=time.perf_counter() - started, cpu_s=watch.cpu_s(), at=f"{datetime.now(UTC):%F %T}")
            options.json.write_text(json.dumps(found, indent=1))
            print(row, flush=True)
    watch.is_over.set()
    return found


def report(found: dict) -> None:
    """Print the table."""
    millions = found["n_pings"] / MILLION
    print(f"{found['n_pings']:,} pings, {found['workers']} worker processes: {found['wall_s']:.0f} s wall, ", end="")
    print(f"{found['cpu_s']:.0f} s CPU, {found['wall_s'] / millions:.3f} s a million pings")
    print(f"{'stage':24}{'s':>8}{'CPU s':>8}{'s/M':>8}{'worker':>8}{'client':>8}{'scratch':>9}{'table':>8}  (MiB)")
    for row in found["stages"]:
        scratch, table = (row[name] / 2**20 for name in ("scratch_bytes", "table_bytes"))
        print(
            f"{row['stage']:24}{row['seconds']:8.1f}{row['cpu_s']:8.1f}{row['seconds'] / millions:8.3f}"
            f"{row['worker_mib']:8}{row['client_mib']:8}{scratch:9.0f}{table:8.0f}"
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
