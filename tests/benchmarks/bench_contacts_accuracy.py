"""Contacts found beside true ones in a small dense city: `python -m tests.benchmarks.bench_contacts_accuracy`.

The people of the simulation live, in homes that some share, work and run errands within 3 km, or so far as --radius-m
says: within 1.5 km places are so close that some are taken for one. Phones report every minute, with the simulation's
errors and no faults, and every 5th and 15th of these minutes. A whole run makes visits of them. A pair × local day is
true when both were in one place for `overlap_s` on it, and found when the definition of `contacts`, each pair written
down, says so from either side; --sweep tries other distances.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts import VISITS
from pipeline.engine.run import open_run
from pipeline.engine.store import Store
from pipeline.settings import Settings, read_key, throw_away_key
from pipeline.simulation import CityParams, raw_dates, write_city, write_tracts
from pipeline.simulation.meetings import write_contacts
from pipeline.simulation.npi_params import Households
from pipeline.sources.hashing import hash_id
from pipeline.stages.contacts import ContactParams
from pipeline.study import Study
from pipeline.visit_days import day_pieces
from tests.contact_pairs import list_meetings

CITY = CityParams(
    seed=1, n_devices=260, n_days=4, n_towns=1, town_share=0.0, n_places=80,
    n_workplaces=25, n_tracts=9, pings_per_day=4_320.0, rate_log_spread=0.0, moving_boost=1.0, burst_pings=1.0,
    night_silence_share=0.0, silences_per_day=0.0, dark_day_share=0.0, faults=0.0, households=Households(),
)  # fmt: skip
COLUMNS = {
    "device_id": "device_id",
    "tracked_at": "timestamp",
    "lon": "longitude",
    "lat": "latitude",
    "accuracy_m": "horizontal_accuracy",
    "utc_offset_s": "tz_offset_s",
}
EVERY_MIN = (1, 5, 15)
DISTANCES_M = (10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 75.0)


def thinned(folder: Path, minutes: int) -> Path:
    """Write the first ping of each device in every so many minutes; return the folder."""
    target = folder / f"every-{minutes}"
    for path in sorted((folder / "raw").rglob("*.parquet")):
        rows = pd.read_parquet(path).sort_values(["device_id", "timestamp"], kind="stable")
        slot = rows["timestamp"].to_numpy().astype(np.int64) // (60 * minutes)
        kept = rows[~pd.DataFrame({"d": rows["device_id"].to_numpy(), "s": slot}).duplicated().to_numpy()]
        (target / path.parent.name).mkdir(parents=True, exist_ok=True)
        kept.to_parquet(target / path.parent.name / path.name, index=False)
    return target


def tables_of(folder: Path, raw: Path) -> Store:
    """Run the pipeline up to contacts; return its tables."""
    source = {"path": str(raw), "format": "parquet", "time_unit": "s", "columns": COLUMNS}
    tracts = {"path": str(folder / "tracts.parquet"), "id_column": "tract_geoid", "population_column": "population"}
    days = raw_dates(CITY)
    fields = {"name": "city", "start": days[0], "end": days[-1], "zone": CITY.zone, "sources": [source]}
    study = Study.from_dict(fields | {"tracts": tracts | {"path": str(next(folder.glob("tracts*")))}})
    root = folder / f"tables-{raw.name}"
    with open_run(study, Settings(root=root, n_buckets=2), "bench") as run:
        for name in ("tracts", "pings", "coverage", "stays", "locations", "visits", "home_work", "panel_weights"):
            run.execute(name)
        run.execute("contacts")
    return Store(root)


def read(store: Store, table) -> pd.DataFrame:
    """Return all rows of a table."""
    data = pa.concat_tables([store.read(table, key) for key in store.keys(table)])
    return data.to_pandas(date_as_object=False)


def true_pairs(folder: Path, overlap_s: float) -> set[tuple[int, int, int]]:
    """Return the pairs × days that were together in one place for so long."""
    rows = pd.read_parquet(folder / "truth" / "contacts")
    rows = rows[rows["overlap_s"] >= overlap_s]
    ids = {text: hash_id(text.encode(), read_key()) for text in {*rows["device_a"], *rows["device_b"]}}
    day = rows["date"].to_numpy().astype("datetime64[D]").astype(int)
    return {(*sorted((ids[a], ids[b])), d) for a, b, d in zip(rows["device_a"], rows["device_b"], day, strict=True)}


def found_pairs(visits: pd.DataFrame, contact_m: float, overlap_s: float) -> set[tuple[int, int, int]]:
    """Return the pairs × days that `contacts` counts."""
    met = list_meetings(visits, day_pieces(visits), contact_m, overlap_s)
    pairs = np.sort(met[["device_id", "other_id"]].to_numpy(), axis=1)
    return {(a, b, d) for (a, b), d in zip(pairs.tolist(), met["day"].tolist(), strict=True)}


def score(found: set, true: set) -> str:
    """Return precision, recall and their harmonic mean."""
    both = len(found & true)
    precision, recall = both / max(1, len(found)), both / max(1, len(true))
    return f"{precision:9.4f} {recall:9.4f} {2 * both / (len(found) + len(true)):9.4f}"


def main() -> None:
    """Print scores by minutes between pings, distance and whether inferred visits count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sweep", action="store_true", help="other distances and least overlaps too")
    parser.add_argument("--radius-m", type=float, default=3_000.0)
    arguments = parser.parse_args()
    city = CITY.model_copy(update={"radius_m": arguments.radius_m, "density_decay_m": arguments.radius_m})
    folder = Path(tempfile.mkdtemp())
    with throw_away_key():
        write_city(city, folder, 0, 1)
        write_tracts(city, folder)
        write_contacts(city, folder)
        default = ContactParams()
        print("minutes  inferred  contact_m  overlap_s      true     found precision    recall        F1", flush=True)
        for minutes in EVERY_MIN:
            visits = read(tables_of(folder, thinned(folder, minutes)), VISITS)
            for is_counted in (True, False):
                counted = visits if is_counted else visits[~visits["is_inferred"]]
                for overlap_s in (300.0, 600.0, default.overlap_s) if arguments.sweep else (default.overlap_s,):
                    true = true_pairs(folder, overlap_s)
                    for contact_m in DISTANCES_M if arguments.sweep else (default.contact_m,):
                        found = found_pairs(counted, contact_m, overlap_s)
                        print(
                            f"{minutes:7}  {'yes' if is_counted else 'no':>8} {contact_m:10.0f} {overlap_s:10.0f} "
                            f"{len(true):9,} {len(found):9,} {score(found, true)}",
                            flush=True,
                        )
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
