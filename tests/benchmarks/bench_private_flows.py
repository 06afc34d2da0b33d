"""How far private flows between areas are from the true ones, by epsilon: bounding and noise apart.

    python -m tests.benchmarks.bench_private_flows --people 1500

The flows are the trips between the areas of a simulated city in two weeks, pairs of which most are empty. Beside them:
suppression alone (pairs of fewer than ten devices are given as 0, all others exactly) and "all zero".
Errors are means over pairs; the relative one, and the share within 10 %, over pairs with trips; "cut" is the error
where values within the reach of 95 % of the noise are read as 0, which costs no privacy. Noise is drawn anew `--draws`
times. Nothing is released here and no ledger is charged: the figures are exact differences, for us alone.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from data_contracts import TABLES
from pipeline.demo import make_demo_study
from pipeline.engine.run import open_run
from pipeline.engine.store import Store
from pipeline.private.aggregate import PrivateQuery, bounded_sums
from pipeline.private.domain import Domain, make_domain
from pipeline.private.noise import add_noise, add_threshold_noise, make_noise, make_threshold_noise
from pipeline.settings import Settings, throw_away_key
from pipeline.study import Study

EPSILONS = (0.1, 0.3, 1.0, 3.0, 10.0)
ENDS = ("origin_tract_geoid", "destination_tract_geoid")
STAGES = ("pings", "stays", "tracts", "locations", "visits", "trips")
MIN_DEVICES = 10
KINDS = (("rows", 50), ("rows", 20), ("devices", 20), ("devices", 5))
DIGITS = (None, 8)
"""Areas as they are, and larger ones: some ten of the city's."""
DELTA = 1e-6
LARGE = 100
"""Trips, or devices, of the pairs that are looked at apart."""


def make_city(folder: Path, n_people: int) -> tuple[Study, Path]:
    """Simulate two weeks of a city and find its trips."""
    with throw_away_key():
        study = make_demo_study(folder, n_people, 14)
        settings = Settings(root=folder / "tables", n_buckets=4)
        with open_run(study, settings, "bench", study.dates()) as run:
            for name in run.stages:
                if name in STAGES:
                    run.execute(name)
    return study, folder / "tables"


def true_flows(rows: pd.DataFrame, domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """Trips, and devices, of every pair of areas."""
    cell = domain.cell_of(rows)
    inside = cell >= 0
    trips = np.bincount(cell[inside], minlength=domain.n_cells)
    distinct = pd.DataFrame({"cell": cell, "device": rows["device_id"]})[inside].drop_duplicates()
    return trips, np.bincount(distinct["cell"], minlength=domain.n_cells)


def scores(found: np.ndarray, true: np.ndarray, reach: float = 0.0) -> list[float]:
    """Errors as the head of the table names them."""
    error, some, large = np.abs(found - true), true > 0, true >= LARGE
    relative = error[some] / true[some]
    of_large = (error[large] <= 0.1 * true[large]).mean() if large.any() else np.nan
    cut = np.abs(np.where(found < reach, 0, found) - true)
    return [error.mean(), cut.mean(), error[some].mean(), relative.mean(), (relative <= 0.1).mean(), of_large]


def show(name: str, values: list[float]) -> None:
    error, cut, of_some, relative, within, of_large = values
    print(f"{name:<46}{error:>9.2f}{cut:>9.2f}{of_some:>12.2f}{relative:>10.2f}{within:>10.1%}{of_large:>14.1%}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1500)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="Of a demo city that is there already.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.folder:
            study, root = Study.from_toml(asked.folder / "study.toml"), asked.folder / "tables"
        else:
            study, root = make_city(Path(folder), asked.people)
        report(study, root, asked.draws)


def report(study: Study, root: Path, n_draws: int) -> None:
    """Print errors of every kind of private count, and of what stands beside them."""
    store, table = Store(root), TABLES["trips"]
    shards = [store.read(table, key, ["device_id", *ENDS]).to_pandas() for key in store.keys(table)]
    rows = pd.concat(shards)
    per_device = rows.groupby("device_id").size()
    print(f"{len(rows):,} trips of {len(per_device):,} devices, {per_device.median():.0f} of a median device")
    for digits in DIGITS:
        domain = make_domain(table, ENDS, study, store, digits)
        trips, devices = true_flows(rows, domain)
        print(
            f"\n{len(domain.values[0])} areas, {domain.n_cells:,} pairs: {np.count_nonzero(trips):,} with trips, "
            f"{np.count_nonzero(devices >= MIN_DEVICES):,} of {MIN_DEVICES} devices or more, "
            f"{np.count_nonzero(trips >= LARGE):,} of {LARGE} trips or more\n"
        )
        print(f"{'':<46}{'error':>9}{'cut':>9}{'where trips':>12}{'relative':>10}{'in 10 %':>10}{'in 10 %, 100+':>14}")
        for counted, true in (("rows", trips), ("devices", devices)):
            show(f"{counted}: all zero", scores(np.zeros_like(true), true))
            show(f"{counted}: suppression alone, no noise", scores(np.where(devices >= MIN_DEVICES, true, 0), true))
            for max_rows in (most for kind, most in KINDS if kind == counted):
                query = PrivateQuery("trips", ENDS, 1.0, 0.0, counted, max_rows, digits)
                show_query(query, dense(bounded_sums(shards, query, domain, study.seed), domain), true, n_draws)


def show_query(query: PrivateQuery, bounded: np.ndarray, true: np.ndarray, n_draws: int) -> None:
    """Print the error of bounding alone, and with noise."""
    name = f"{query.counted}: at most {query.max_rows}"
    show(f"{name} of a device, no noise", scores(bounded, true))
    for epsilon in EPSILONS:
        noise = make_noise(query.sensitivity(), epsilon)
        drawn = [add_noise(noise, bounded) for _ in range(n_draws)]
        of_noise = np.mean([np.abs(one - bounded).mean() for one in drawn])
        found = np.mean([scores(one, true, noise.scale * np.log(20)) for one in drawn], axis=0)
        show(f"{name}, epsilon {epsilon:g} (noise {of_noise:.1f})", found.tolist())
        if query.counted == "devices":
            show_threshold(query, bounded, true, epsilon)


def show_threshold(query: PrivateQuery, bounded: np.ndarray, true: np.ndarray, epsilon: float) -> None:
    """Print the error of the release of large cells alone, those left out read as 0."""
    noise = make_threshold_noise(query.sensitivity(), epsilon, DELTA)
    found, cells = np.zeros_like(bounded), np.flatnonzero(bounded)
    shown = add_threshold_noise(noise, dict(zip(cells.tolist(), bounded[cells].tolist(), strict=True)))
    found[list(shown)] = list(shown.values())
    show(f"  above {noise.threshold}, delta {DELTA:g}: {len(shown):,} pairs", scores(found, true))


def dense(sums: pd.DataFrame, domain: Domain) -> np.ndarray:
    """The sums of all cells, 0 where there are none."""
    values = np.zeros(domain.n_cells, np.int64)
    values[sums["cell"]] = sums["steps"]
    return values


if __name__ == "__main__":
    main()
