"""Measures runs of several sizes, checks what each costs against what the others foretell, and writes the costs.

``python -m tests.benchmarks.measure_costs 10e6:14 20e6:14 100e6:270:250`` simulates cities (pings, days, pings a device
reports a day; kept in .bench), runs all stages over each in a process of its own, and writes
``pipeline/costs/measured.json``. A city may be a folder that is there already, and ``--root`` adds the latest run of a
root. What a run told is kept in ``.bench/costs``, so that a run is done once and the next call begins where this one
ended; ``--again`` measures anew. Cities of several rates of pings tell what a day costs from what a ping costs.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from pipeline.costs import RunFacts, facts_of_root, fit_costs, simulate
from pipeline.costs.facts import facts_from_dict, facts_to_dict, sizes
from pipeline.costs.fit import costs_to_dict
from pipeline.settings import MAX_BUCKETS
from tests.benchmarks.bench_run import BENCH, make_city, study_of

FACTS = BENCH / "costs"
OUT = Path("pipeline/costs/measured.json")
PINGS_PER_SHARD = 25_000
"""Pings of one date and bucket where no count of buckets is given."""


def find_city(words: str) -> Path:
    """Return the folder of a city: the one named, or one of ``pings:days[:pings a day]``, which is simulated."""
    if Path(words).is_dir():
        return Path(words)
    n_pings, n_days, *rate = words.split(":")
    return make_city(float(n_pings), int(n_days), *(float(x) for x in rate))


def run_city(city: str, root: str, n_workers: int, n_threads: int, n_buckets: int) -> None:
    """Run every stage over a city."""
    os.environ["SOJOURN_KEY"] = "a key for benchmarks of good length"
    from pipeline.engine.run import open_run
    from pipeline.settings import Settings
    from pipeline.study import Study

    settings = Settings(root=Path(root), n_buckets=n_buckets, n_workers=n_workers, n_threads=n_threads)
    with open_run(Study.from_dict(study_of(Path(city))), settings, "measure") as run:
        for name in run.stages:
            run.execute(name)


def measure(words: str, options: argparse.Namespace) -> RunFacts:
    """Return the facts of a run over a city, done now unless they are kept."""
    kept = FACTS / f"{Path(words).name.replace(':', '-')}-w{options.workers}-t{options.threads}.json"
    if kept.exists() and not options.again:
        return facts_from_dict(json.loads(kept.read_text()))
    city, root = find_city(words), options.scratch / "measured"
    n_days = len(list((city / "raw").iterdir()))
    n_rows = sum(_n_rows(path) for path in (city / "raw").rglob("*.parquet"))
    n_buckets = options.buckets or max(2, min(MAX_BUCKETS, round(n_rows / n_days / PINGS_PER_SHARD)))
    shutil.rmtree(root, ignore_errors=True)
    numbers = (options.workers, options.threads, n_buckets)
    subprocess.run([sys.executable, "-m", __spec__.name, "--only", city, root, *map(str, numbers)], check=True)
    facts = facts_of_root(root)
    shutil.rmtree(root)
    keep(facts, kept)
    return facts


def _n_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def keep(facts: RunFacts, path: Path) -> None:
    """Keep what a run told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts_to_dict(facts)))


def check(runs: list[RunFacts]) -> dict[str, float]:
    """Print, for every size, what others foretell beside what was measured; return the worst relative errors."""
    errors: dict[str, float] = {}
    for size in sizes(runs):
        others = [r for r in runs if r.scale.n_pings != size]
        if not others:
            continue
        costs = fit_costs(others)
        for run in (r for r in runs if r.scale.n_pings == size):
            foretold = simulate(costs, run.scale, run.n_buckets, run.n_threads)
            print(
                f"\n{size:,.0f} rows, {run.scale.n_days} days, {run.n_buckets} buckets, from {len(others)} other runs"
            )
            print(f"{'stage':<20}{'measured s':>12}{'foretold s':>12}{'error':>8}")
            known = {s.stage: s.seconds for s in foretold.stages}
            for stage, seconds in run.stages.items():
                told = known.get(stage, 0.0)
                print(f"{stage:<20}{seconds:>12.2f}{told:>12.2f}{told / max(seconds, 0.01) - 1:>+8.0%}")
            measured, told = sum(run.stages.values()), sum(known.get(s, 0.0) for s in run.stages)
            error = told / measured - 1
            errors[f"{size:.0f}"] = max(errors.get(f"{size:.0f}", 0.0), error, key=abs)
            print(f"{'all':<20}{measured:>12.2f}{told:>12.2f}{error:>+8.0%}")
    return errors


def main() -> None:
    """Measure, check, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cities", nargs="*", help="pings:days[:pings a day], or a folder")
    parser.add_argument("--root", type=Path, action="append", default=[], help="a root that a finished run has made")
    parser.add_argument("--workers", type=int, default=0, help="worker processes; 0: threads")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--buckets", type=int)
    parser.add_argument("--scratch", type=Path, default=BENCH)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--preliminary", help="why not to rely on these runs; `sojourn plan` prints it")
    parser.add_argument("--only", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        run_city(*options.only[:2], *map(int, options.only[2:]))
        return
    runs = [measure(words, options) for words in options.cities] + [facts_of_root(root) for root in options.root]
    errors = check(runs)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    measured_on = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "commit": commit.stdout.strip(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "sizes": [r.scale._asdict() for r in runs],
        "errors": errors,
        **({"preliminary": options.preliminary} if options.preliminary else {}),
    }
    options.out.write_text(json.dumps(costs_to_dict(fit_costs(runs, measured_on)), indent=1) + "\n")
    print(f"\nwrote {options.out}")


if __name__ == "__main__":
    main()
