"""Homes and workplaces of GeoLife's people, whom nobody labelled: are they the same in odd and in even weeks?

``python -m tests.benchmarks.bench_home_work_geolife --data FOLDER --root ROOT`` runs GeoLife with the zones of Beijing
into ROOT (about a minute and a half; a root that is there is used) and prints, for the best covered people and all,
how many have a home and a workplace and in how many of them both halves of the weeks name the same place or area.
"""

import argparse
from pathlib import Path

import pandas as pd

from pipeline.engine.run import open_run
from pipeline.settings import Settings, throw_away_key
from pipeline.stages.home_work import HomeWorkParams, home_work
from pipeline.study import Study

NAMED = ("pings", "stays", "locations", "visits")


def geolife(data: Path) -> Study:
    """Return the study of GeoLife with the zones of Beijing."""
    source = {"path": str(data / "geolife_users/*.tar.gz"), "preset": "geolife"}
    areas = {"path": str(data / "beijing_zones/voronoi_points_beijing.shp"), "id_column": "TID",
             "population_column": "POP"}  # fmt: skip
    return Study.from_dict(
        {
            "name": "geolife",
            "start": "2007-04-01",
            "end": "2012-08-01",
            "zone": "Asia/Shanghai",
            "sources": [source],
            "tracts": areas,
        }
    )


def read_visits(study: Study, root: Path) -> pd.DataFrame:
    """Return the visits of the study, computing what a new root lacks."""
    with throw_away_key(), open_run(study, Settings(root=root, n_buckets=1), "bench") as run:
        for stage in run.stages:
            if stage in ("tracts", *NAMED) or stage == "coverage":
                run.execute(stage)
    from pipeline.catalog import load

    return load("visits", root=root)


def main_places(visits: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Return the place that is first in a role in most weeks, per device and role, with its area and confidence."""
    found = home_work(visits.reset_index(drop=True), study, HomeWorkParams())
    first = found[(found["span"] == "moving") & (found["rank"] == 1)]
    weeks = first.groupby(["device_id", "role", "location_id"]).agg(
        n_weeks=("rank", "size"), confidence=("confidence", "mean"), tract_geoid=("tract_geoid", "first")
    )
    order = weeks.reset_index().sort_values(
        ["device_id", "role", "n_weeks", "confidence"], ascending=[True, True, False, False]
    )
    return order.drop_duplicates(["device_id", "role"]).set_index(["role", "device_id"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    asked = parser.parse_args()
    study = geolife(asked.data)
    visits = read_visits(study, asked.root)
    week = (visits["date"].astype("datetime64[s]").astype("int64") // 86_400 + 3) // 7
    whole, odd, even = (main_places(part, study) for part in (visits, visits[week % 2 == 1], visits[week % 2 == 0]))
    days = visits.groupby("device_id")["date"].nunique().sort_values(ascending=False)
    rows = []
    for n in (5, 10, 15, len(days)):
        for role in ("home", "work"):
            best = list(days.index[:n])
            names = [
                set(table.loc[role].index) & set(best) if role in table.index else set() for table in (whole, odd, even)
            ]
            both = sorted(names[1] & names[2])
            pairs = [table.loc[role].loc[both] for table in (odd, even)]
            rows.append(
                {
                    "best covered": n,
                    "least days": int(days.iloc[n - 1]),
                    "role": role,
                    "with a place": len(names[0]),
                    "in both halves": len(both),
                    "same place": int((pairs[0]["location_id"] == pairs[1]["location_id"]).sum()),
                    "same area": int((pairs[0]["tract_geoid"] == pairs[1]["tract_geoid"]).sum()),
                }
            )
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
