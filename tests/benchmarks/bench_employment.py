"""How well is a lost job told from telework, leave and a new job? On a simulated city with a lockdown, jobs known.

    python -m tests.benchmarks.bench_employment --devices 10000 --days 273

People live and work on Washington's real tracts, with its jobs of LODES and the telework of Dingel and Neiman, where
these files are at hand (SOJOURN_SHARED), else in a city of their own (`--own-city`). Their phones are simulated once
(kept in .bench) and go through all stages up to `employment`; then the last two are run again under other rules.

The study of the default knows more than a real one would: dates and uptake of telework are those the city was made
with, and those of the years after the mean of what it was made with. Rules named "declared" say what it costs to
declare them wrongly.

Printed for each rule, over device-weeks of known truth and status: AUC and Brier score of the probability, beside
the answers "absent = unemployed" (lasting absence, any absent week) and "never"; losses found, and how late; false
losses, all and in the lockdown; then, of the default, reliability and the table of true and found status. The
reliability plot is written beside the city.
"""

import argparse
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.catalog import load
from pipeline.demo import make_employment_study
from pipeline.engine.run import open_run
from pipeline.evaluation.employment import (
    EMPLOYMENT_COLUMNS,
    FOUND,
    PRESENCE_COLUMNS,
    EmploymentResult,
    Quartiles,
    evaluate_employment,
)
from pipeline.evaluation.spells import SPELL_ROLES, TrueSpells, read_true_spells
from pipeline.evaluation.tables import TruthFile
from pipeline.settings import Settings, read_key
from pipeline.simulation.scenario import LOCKDOWN
from pipeline.study import Study
from tests.dc_census import DC_JOBS
from tests.shared import DATA

BENCH = Path(".bench")
KEY = "a key for benchmarks of good length"
PLAIN = {"absences": "together", "prior_devices": 0}
"""The formula as reconstructed (method page 2.5, reading 1 [I])."""
RULES: dict[str, dict[str, Any]] = {
    "default, true dates and uptake of telework declared": {},
    "formula as reconstructed (reading 1), same telework": PLAIN,
    "formula as reconstructed (reading 1), everyone able works at home all year": {
        **PLAIN,
        "telework_uptake": 1.0,
        "telework_spans": [],
    },
    "telework off: lasting absence is loss": {"telework_uptake": 0.0, "telework_spans": []},
    "telework off in ordinary times, full in the lockdown, none after": {
        "telework_uptake": 0.0,
        "telework_spans": [{"start": str(LOCKDOWN.start), "end": str(LOCKDOWN.end), "uptake": 1.0}],
    },
    "sectors drawn": {"assignment": "draw"},
}
"""Rule → parameters of `sector_absence` that replace the study's."""
UPTAKE_TOO_LOW_BY, TOO_LATE_D = 0.2, 14
LAST_STAGES = ("sector_absence", "employment")


def census_text(is_own_city: bool) -> str | None:
    """Return the sections of a study on Washington's tracts; None where its files are not at hand."""
    is_there = all((DATA / name).is_dir() for name in ("dc_tracts_acs", "lodes_wac_bg", "dingel_neiman"))
    return DC_JOBS.format(data=DATA) if is_there and not is_own_city else None


def make_city(n_devices: int, n_days: int, census: str | None, seed: int) -> Path:
    """Simulate the city unless it is there; return its folder."""
    folder = BENCH / f"employment-{'own' if census is None else 'dc'}-{n_devices}-{n_days}-{seed}"
    if not (folder / "done").exists():
        make_employment_study(folder, n_devices, n_days, census, seed=seed)
        (folder / "done").touch()
    return folder


def wrong_rules(folder: Path) -> dict[str, dict[str, Any]]:
    """Return rules under which the study declares its telework wrongly."""
    spans = Study.from_toml(folder / "study.toml").params["sector_absence"]["telework_spans"]

    def shift(day: date) -> str:
        return str(day + timedelta(days=TOO_LATE_D))

    low = [{**span, "uptake": max(span["uptake"] - UPTAKE_TOO_LOW_BY, 0.0)} for span in spans]
    shifted = [{**span, "start": shift(span["start"]), "end": shift(span["end"])} for span in spans]
    return {
        f"uptake declared {UPTAKE_TOO_LOW_BY} too low, else the default": {"telework_spans": low},
        f"dates declared {TOO_LATE_D} days too late, else the default": {"telework_spans": shifted},
    }


def run_stages(folder: Path, changes: dict[str, Any], only: tuple[str, ...] = (), first: str = "tracts") -> None:
    """Bring the tables up to `employment` up to date under changed parameters of `sector_absence`."""
    study = Study.from_toml(folder / "study.toml", {"params": {"sector_absence": changes}})
    with open_run(study, Settings(root=folder / "tables", n_buckets=8), "bench") as run:
        needed = run.stages[run.stages.index(first) : run.stages.index("employment") + 1]
        for name in needed:
            if not only or name in only:
                summary = run.execute(name)
                if not only:
                    print(f"{name:<16}{summary.seconds:>9.1f} s {summary.n_rows:>12,} rows", flush=True)


def evaluate(folder: Path, true: TrueSpells) -> EmploymentResult:
    """Return how good the tables are now."""
    employment, presence = (
        load(name, root=folder / "tables", columns=columns)
        for name, columns in (("employment", EMPLOYMENT_COLUMNS), ("presence", PRESENCE_COLUMNS))
    )
    last = pd.Timestamp(employment["window_started"].max()).date()
    return evaluate_employment(employment, presence, true, [(LOCKDOWN.start, LOCKDOWN.end), (LOCKDOWN.end, last)])


def print_rule(name: str, result: EmploymentResult) -> None:
    """Print the figures of one rule."""
    losses, (lockdown, after) = result.losses, result.spans
    print(f"\n{name}")
    for where, scored in (
        ("all weeks", result.inferred),
        ("lockdown", lockdown["inferred"]),
        ("after it", after["inferred"]),
    ):
        print(f"  {where:<10} AUC {scored.auc:.3f}  Brier {scored.brier:.4f}")
    share = losses.n_found / max(losses.n, 1)
    print(
        f"  losses found {losses.n_found:,} of {losses.n:,} ({share:.0%}); {late('told after', losses.told)}; ", end=""
    )
    print(f"{late('dated', losses.dated)}")
    print(f"  {late('first week not employed', losses.first_week)}")
    for where, false in (("all weeks", result.false_losses), ("lockdown", lockdown["false_losses"])):
        ours = false["inferred"]
        print(
            f"  false losses, {where}: {ours.share_of_device_weeks:.1%} of employed device-weeks "
            f"(commuting {ours.share_of_commuting:.1%}, remote {ours.share_of_remote:.1%}), "
            f"{ours.share_of_devices:.1%} of people"
        )


def late(name: str, days: Quartiles) -> str:
    """Return a median and its quartiles in words."""
    return f"{name} {days.median_d:+.0f} d ({days.q25_d:+.0f} to {days.q75_d:+.0f})"


def print_baselines(result: EmploymentResult) -> None:
    """Print what needs no inference."""
    print("\nbaselines")
    spans = {"all weeks": result.baselines, "lockdown": result.spans[0]["baselines"]}
    for where, baselines in spans.items():
        for name, scored in baselines.items():
            print(f"  {where:<10} {name.replace('_', ' '):<8} AUC {scored.auc:.3f}  Brier {scored.brier:.4f}")
    for where, false in (("all weeks", result.false_losses), ("lockdown", result.spans[0]["false_losses"])):
        for name in ("at_risk", "absent"):
            shares = false[name]
            print(
                f"  false losses, {where}, {name.replace('_', ' ')}: {shares.share_of_device_weeks:.1%} of employed "
                f"device-weeks, {shares.share_of_devices:.1%} of people"
            )


def print_default(result: EmploymentResult) -> None:
    """Print reliability, status and losses by length under the default rule."""
    print("\nreliability of the default: probability, device-weeks, mean, true share")
    for each in result.reliability:
        print(f"  {each.low:.1f}-{each.high:.1f} {each.n:>9,} {each.mean_probability:6.3f} {each.observed_share:6.3f}")
    print("\ntruly \\ found  " + "".join(f"{name:>14}" for name in FOUND))
    for true, counts in result.confusion.items():
        print(f"{true:<15}" + "".join(f"{counts[found]:>14,}" for found in FOUND))
    print("\nlosses by weeks without work: true, found")
    for each in result.losses.by_length:
        above = "and more" if each["below_weeks"] is None else f"to below {each['below_weeks']}"
        print(f"  {each['from_weeks']} {above:<12} {each['n']:>6,} {each['n_found']:>6,}")


def draw_reliability(results: dict[str, EmploymentResult], path: Path) -> None:
    """Draw mean probability against true share, a line for each rule, points as large as they have device-weeks."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 6))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for name, result in results.items():
        bins = [each for each in result.reliability if each.n]
        mean, share = [b.mean_probability for b in bins], [b.observed_share for b in bins]
        axes.plot(mean, share, label=name, alpha=0.7)
        axes.scatter(mean, share, [5 + 10 * np.log10(b.n) for b in bins], alpha=0.7)
    axes.set(xlabel="probability of job loss", ylabel="share truly without work", xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=120)
    print(f"\nreliability plot: {path}")


def main() -> None:
    """Simulate, run, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=10_000, help="people; 7 in 10 have a phone that reports")
    parser.add_argument("--days", type=int, default=273)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from-stage", default="tracts", help="earlier tables are taken as they are in .bench")
    parser.add_argument("--own-city", action="store_true", help="a city of its own, not Washington's tracts")
    asked = parser.parse_args()
    os.environ["SOJOURN_KEY"] = KEY
    census = census_text(asked.own_city)
    folder = make_city(asked.devices, asked.days, census, asked.seed)
    truth = folder / "city" / "truth" / "employment"
    true = read_true_spells(TruthFile(str(truth), dict(zip(SPELL_ROLES, SPELL_ROLES, strict=True))), read_key())
    print(f"{'a city of its own' if census is None else 'on tracts of Washington'}, {asked.devices:,} people")
    run_stages(folder, {}, first=asked.from_stage)
    results = {}
    for name, changes in (RULES | wrong_rules(folder)).items():
        run_stages(folder, changes, LAST_STAGES)
        results[name] = evaluate(folder, true)
    default = next(iter(results.values()))
    print(
        f"\n{default.n_devices:,} devices with a baseline workplace, {default.n_device_weeks:,} device-weeks, "
        f"{default.n_known:,} of known status, {default.true_share:.1%} truly without work"
    )
    for name, result in results.items():
        print_rule(name, result)
    print_baselines(default)
    print_default(default)
    draw_reliability(results, folder / "reliability.png")


if __name__ == "__main__":
    main()
