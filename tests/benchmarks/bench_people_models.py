"""How good are forecasts of new places on real sequences of visits, and learned scores of job loss in a new city?

    python -m tests.benchmarks.bench_people_models explore foursquare
    python -m tests.benchmarks.bench_people_models explore geolife
    python -m tests.benchmarks.bench_people_models employment own --devices 2000 --days 182

*explore*: the private sequences of LLM-Mob are taken for visits (SOJOURN_SHARED; nothing of them is kept or printed row
by row). Printed are the metrics of held-out people and weeks, with 95 % intervals over people.

*employment*: `employment_scores` learns from one simulated city and its truth, and scores another of another seed
(`own`: cities of their own; `dc`: on Washington's tracts, which both then share). Beside it stands what the stage
`employment` says by rule (`loss_probability`: absence and telework of the sectors, by the study's declared telework),
lasting absence, any absent week, and the share of all. Device-weeks of known truth for which the rule says anything;
then those of one regime of work at a time: what the job was before it was lost. Average precision is scikit-learn's.
"""

import argparse
from collections.abc import Callable

import numpy as np
import pandas as pd

import pipeline.models.people.declaration  # noqa: F401  (enters the registry)
from data_contracts import VISITS
from pipeline.models.protocol import MODELS, FitRun
from pipeline.models.streaming import FrameTables
from tests.benchmarks import bench_people_employment
from tests.shared import DATA

DAY_US, MINUTE_US = 86_400_000_000, 60_000_000
MONDAY_US = 1_704_067_200_000_000
"""Monday 1 January 2024: where day numbers without a date begin."""
SHOWN = ("auc", "brier", "log_loss", "calibration_slope", "kind_top_1", "kind_top_3")


def as_visits(device: pd.Series, start_us: np.ndarray, minutes: np.ndarray, place: pd.Series, kind: pd.Series | None):
    """Return frames of VISITS' columns that models read; ids are numbered, and so are the places of each person."""
    frame = pd.DataFrame({"device_id": pd.factorize(device)[0].astype(np.int64), "start_us": start_us})
    frame["finish_us"] = start_us + np.asarray(minutes, np.int64) * MINUTE_US
    frame["location_id"] = pd.factorize(place)[0].astype(np.int32)
    frame["poi_category"] = pd.Series([None] * len(frame), dtype="str") if kind is None else kind.to_numpy()
    frame = frame.sort_values(["device_id", "start_us"]).drop_duplicates(["device_id", "start_us"], ignore_index=True)
    for name in ("start", "finish"):
        frame[f"{name}ed_at"] = pd.to_datetime(frame[f"{name}_us"], unit="us", utc=True)
    frame["date"] = (frame["start_us"] // DAY_US).to_numpy().astype("datetime64[D]").astype("datetime64[s]")
    return frame.assign(utc_offset_s=np.int32(0), is_inferred=False)


def geolife() -> pd.DataFrame:
    """Return staypoints of GeoLife as LLM-Mob prepared them: days are numbers, day 0 taken for a Monday."""
    folder = DATA / "geolife_staypoints_llmmob"
    rows = pd.concat([pd.read_csv(folder / f"geolife_{part}.csv.gz") for part in ("train", "valid", "test")])
    rows = rows.drop_duplicates("id")
    start_us = MONDAY_US + _day_shift(rows) + rows["start_day"] * DAY_US + rows["start_min"] * MINUTE_US
    return as_visits(
        rows["user_id"], start_us.to_numpy(np.int64), rows["duration"].to_numpy(), rows["location_id"], None
    )


def _day_shift(rows: pd.DataFrame) -> int:
    """Return the time by which day numbers are moved so that weekdays are those the file says."""
    shift = (rows["weekday"] - rows["start_day"]) % 7
    return int(shift.mode().iloc[0]) * DAY_US


def foursquare() -> pd.DataFrame:
    """Return check-ins as LLM-Mob prepared them: no duration, no category."""
    rows = pd.concat([pd.read_csv(DATA / "foursquare_llmmob" / f"{part}.csv") for part in ("train", "valid")])
    shift = _day_shift(rows)
    start_us = MONDAY_US + shift + rows["start_day"] * DAY_US + rows["start_min"] * MINUTE_US
    return as_visits(rows["user_id"], start_us.to_numpy(np.int64), np.zeros(len(rows)), rows["location_id"], None)


READERS: dict[str, Callable[[], pd.DataFrame]] = {
    "geolife": geolife,
    "foursquare": foursquare,
}


def print_metrics(metrics: dict[str, float], prefix: str = "") -> None:
    """Print a line for each forecaster, then the differences whose intervals there are."""
    own = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
    n_rows, share = own.get("n_rows", 0), own.get("true_share", np.nan)
    print(f"  rows {n_rows:.0f}, people {own['n_devices']:.0f}, true share {share:.3f}")
    names = dict.fromkeys(n.split(".")[0] for n in own if "." in n and "_less_" not in n and "known_" not in n)
    for name in names:
        told = [f"{m} {own[f'{name}.{m}']:.4f}" for m in SHOWN if f"{name}.{m}" in own]
        print(f"  {name:<16}{'  '.join(told)}")
    for name, value in own.items():
        if f"{name}.low" in own and "known_" not in name:
            print(f"    {name:<46}{value:+.4f} ({own[f'{name}.low']:+.4f} to {own[f'{name}.high']:+.4f})")


def explore(name: str, seeds: int) -> None:
    """Train on real visits and print what held-out people and weeks say."""
    visits = READERS[name]()
    print(f"{name}: {len(visits):,} visits, {visits['device_id'].nunique():,} people")
    model = MODELS["exploration_forecasts"]
    for seed in range(seeds):
        state = model.fit(FrameTables({VISITS.name: visits}), model.params(), FitRun(seed, "cpu"))
        facts = state.facts
        print(
            f"seed {seed}: {facts['n_train_rows']:,} rows to learn from; weeks from {facts['held_out_from']} held out"
        )
        print("\n".join([f"  kinds: {', '.join(facts['kinds']) or 'none'}", *facts["summary"]]))
        print_metrics({k: v for k, v in facts["metrics"].items() if not k.startswith("known_people.")})
        print("  people of the training, later weeks")
        print_metrics(facts["metrics"], "known_people.")


def main() -> None:
    """Do what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    exploring = commands.add_parser("explore")
    exploring.add_argument("data", choices=READERS)
    exploring.add_argument("--seeds", type=int, default=1)
    employing = commands.add_parser("employment")
    bench_people_employment.add_options(employing)
    asked = parser.parse_args()
    if asked.what == "explore":
        explore(asked.data, asked.seeds)
    else:
        bench_people_employment.employment(asked)


if __name__ == "__main__":
    main()
