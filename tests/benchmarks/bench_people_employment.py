"""`bench_people_models employment`: learned scores of job loss in a city that nothing was learnt from."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from data_contracts import PRESENCE
from pipeline.catalog import load
from pipeline.engine.plan import with_sources
from pipeline.evaluation.employment_truth import employment_truth
from pipeline.evaluation.spells import SPELL_ROLES, TrueSpells, read_true_spells
from pipeline.evaluation.tables import TruthFile
from pipeline.kernels.bootstrap import poisson_counts
from pipeline.models.people.declaration import SCORES
from pipeline.models.people.scores import LEAST_PEOPLE, compare
from pipeline.models.protocol import MODELS, FitRun
from pipeline.models.streaming import FrameTables
from pipeline.settings import read_key
from pipeline.sources.hashing import IdHasher
from pipeline.study import Study
from tests.benchmarks.bench_employment import KEY, census_text, make_city, run_stages

N_REPLICATES = 500
REGIMES = {
    "by day, full time": "~is_night & ~is_part_time",
    "part time": "is_part_time",
    "at night": "is_night",
    "can work at home": "can_telework",
    "cannot work at home": "~can_telework",
}
"""Regime of work → its condition on the truth of the job held, or held last."""
METRICS = ("auc", "average_precision", "log_loss", "brier")


class City(NamedTuple):
    """A simulated city with its tables and its truth."""

    presence: pd.DataFrame
    employment: pd.DataFrame
    truth: pd.DataFrame
    """EMPLOYMENT_TRUTH."""
    jobs: pd.DataFrame
    """Regime of the last job of each device with one."""


def add_options(parser: ArgumentParser) -> None:
    """Declare what can be asked for."""
    parser.add_argument("city", choices=["own", "dc"], help="cities of their own, or on tracts of Washington")
    parser.add_argument("--devices", type=int, default=2_000, help="people of each city; 7 in 10 have a phone")
    parser.add_argument("--days", type=int, default=182)
    parser.add_argument("--seeds", type=int, nargs=2, default=[1, 2], help="of the city learnt from, and of the other")


def employment(asked: Namespace) -> None:
    """Learn in one city, score another and print how good that is beside the rule."""
    os.environ["SOJOURN_KEY"] = KEY
    learnt, other = (read_city(asked, seed) for seed in asked.seeds)
    model = MODELS["employment_scores"]
    state = model.fit(FrameTables({PRESENCE.name: learnt.presence}), model.params(), FitRun(0, "cpu"), learnt.truth)
    print(
        f"learnt from {state.facts['n_train_rows']:,} device-weeks; in its own city:",
        *state.facts["summary"],
        sep="\n  ",
    )
    scores = model.predict(SCORES, state, {PRESENCE.name: other.presence}, None, "cpu")
    rows = joined(other, scores, state.facts["population_share"])
    print_scores("all", rows)
    for name, condition in REGIMES.items():
        print_scores(name, rows.query(condition))


def read_city(asked: Namespace, seed: int) -> City:
    """Return a city, simulated and brought up to `employment` unless it is there."""
    folder = make_city(asked.devices, asked.days, census_text(asked.city == "own"), seed)
    run_stages(folder, {}, tuple(with_sources({"employment"})))
    file = TruthFile(str(folder / "city" / "truth" / "employment"), dict(zip(SPELL_ROLES, SPELL_ROLES, strict=True)))
    true, study = read_true_spells(file, read_key()), Study.from_toml(folder / "study.toml")
    tables = (load(name, root=folder / "tables") for name in ("presence", "employment"))
    return City(*tables, employment_truth(true, study.start, study.end), jobs_of(folder, true))


def jobs_of(folder: Path, true: TrueSpells) -> pd.DataFrame:
    """Return part time, night and telework of the last job of each device, by the id of the tables."""
    spells = pd.read_parquet(folder / "city" / "truth" / "employment").sort_values("started_on", kind="stable")
    regimes = ["is_part_time", "is_night", "can_telework"]
    spells = spells.dropna(subset=regimes).drop_duplicates("device_id", keep="last")
    hasher = IdHasher(read_key())
    device_id = [hasher.hash_text(text.encode()) for text in spells["device_id"]]
    return spells[regimes].astype(bool).assign(device_id=device_id)


def joined(city: City, scores: pd.DataFrame, population: float) -> pd.DataFrame:
    """Return device-weeks of known truth of which the rule says anything, with what each forecaster says."""
    key = ["device_id", "window_started"]
    days = {"window_started": "datetime64[s]"}
    rows = city.truth.astype(days).merge(city.employment.astype(days)[[*key, "loss_probability", "is_at_risk"]], on=key)
    presence = city.presence.astype(days)
    rows = rows.merge(presence[[*key, "is_absent"]], on=key).merge(scores.astype(days), on=key)
    rows = rows[rows["loss_probability"].notna()].merge(city.jobs, on="device_id", how="left")
    told = {
        "model": rows["loss_score"],
        "rule": rows["loss_probability"],
        "lasting_absence": rows["is_at_risk"].astype(float),
        "absent": rows["is_absent"].astype(float),
        "population": population,
    }
    rows = rows.assign(is_lost=~rows["is_employed"], **told).sort_values(key, ignore_index=True)
    return rows.astype(
        {name: bool for name in ("is_part_time", "is_night", "can_telework") if rows[name].notna().all()}
    )


def print_scores(name: str, rows: pd.DataFrame) -> None:
    """Print each forecaster's metrics, then the model's less the rule's with intervals over people."""
    device_id, is_lost = rows["device_id"].to_numpy(np.int64), rows["is_lost"].to_numpy(bool)
    n_people, n_losers = len(np.unique(device_id)), len(np.unique(device_id[is_lost]))
    print(f"\n{name}: {len(rows):,} device-weeks, {n_people:,} people, {n_losers:,} of them once without work")
    if not n_losers:
        return
    told = {each: rows[each].to_numpy(float) for each in ("model", "rule", "lasting_absence", "absent", "population")}
    found = compare(device_id, is_lost, told, 0, N_REPLICATES) | precision(device_id, is_lost, told)
    print(f"  truly without work: {found['true_share']:.3f} of device-weeks")
    for each in told:
        print(f"  {each:<16}" + "  ".join(f"{m} {found.get(f'{each}.{m}', np.nan):.4f}" for m in METRICS))
    for metric in METRICS:
        key = f"model_less_rule.{metric}"
        if f"{key}.low" in found and n_losers >= LEAST_PEOPLE:
            print(f"    {key:<34}{found[key]:+.4f} ({found[f'{key}.low']:+.4f} to {found[f'{key}.high']:+.4f})")


def precision(device_id: np.ndarray, is_lost: np.ndarray, told: dict[str, np.ndarray]) -> dict[str, float]:
    """Return average precision of each, and of the model less the rule with its interval over people."""
    devices, owner = np.unique(device_id, return_inverse=True)
    found = {f"{name}.average_precision": average_precision_score(is_lost, p) for name, p in told.items()}
    counts = poisson_counts(devices, "models/compare", 0, N_REPLICATES)
    less = []
    for weight in counts.T:
        of_row = weight[owner]
        if (of_row * is_lost).any():
            model, rule = (average_precision_score(is_lost, told[n], sample_weight=of_row) for n in ("model", "rule"))
            less.append(model - rule)
    key = "model_less_rule.average_precision"
    low, high = np.quantile(less, [0.025, 0.975])
    value = found["model.average_precision"] - found["rule.average_precision"]
    return found | {key: value, f"{key}.low": low, f"{key}.high": high}
