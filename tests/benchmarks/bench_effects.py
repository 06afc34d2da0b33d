"""Is a known effect of job loss recovered, and nothing found where there is nothing?

    python -m tests.benchmarks.bench_effects --seeds 100
    python -m tests.benchmarks.bench_effects --root tables                       # a computed root and its placebos
    python -m tests.benchmarks.bench_effects --root tables --without other       # beside the same city without losses
    python -m tests.benchmarks.bench_effects --root tables --without other --truth city/truth/employment

A panel is made of weekly outcomes directly: no pings. People differ in level, noise is autocorrelated, weeks and
people go missing, every region and industry has shocks of its own, and a lockdown takes more from those who
move more. Those who move less lose their jobs more often, most of them in the lockdown. The effect of a loss
begins at once and grows with the months. Printed per month: the share of seeds whose 95 % interval holds the truth,
the mean error, the spread of the estimates beside the mean standard error, for the estimator, its placebos (truth:
zero) and for the change of those who lost their job with nobody beside them.

`--without` names the root of a city simulated with the same seed and nobody's job lost: the truth is then what the
same devices did there. Some of the losses that `employment` infers are none, in a lockdown many; with `--truth`, where
the simulation wrote who had a job, their devices are left out (SOJOURN_KEY must be that of the roots).
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.catalog import load
from pipeline.event_study import REFERENCE, WEEKS, EventStudyParams, estimate_effects
from pipeline.settings import read_key
from pipeline.sources.hashing import hash_id
from pipeline.stages.employment_effects import MEASURES
from pipeline.stages.employment_effects import employment_effects as STAGE  # noqa: N812

N_WEEKS, N_REGIONS, N_SECTORS = 39, 10, 8
LOCKDOWN = slice(11, 22)
MONDAYS = pd.date_range("2020-01-06", periods=N_WEEKS, freq="7D")
MEASURE = "gyration_m"
MIN_DEVICES = 10
COLUMNS = ["estimate", "estimate_low", "estimate_high", "std_error"]
ESTIMATORS = {
    "matched": {},
    "matched, controls not yet affected": {"controls": "not_yet"},
    "placebo: dates shuffled among those affected, weeks before their own": {"placebo": "before_event"},
    "placebo: dates given to those not affected": {"placebo": "not_affected"},
}
NO_GROUPS = pd.DataFrame({"axis": [], "group": [], "area": []}, dtype="str")


def true_effect(month):
    """Kilometres lost in a month since the job loss: at once, and more with time."""
    return np.where(month >= 0, -0.4 - 0.25 * month, 0.0)


def make_panel(seed, n_devices=2_500, level_gap=0.5):
    """Return (panel, devices): `level_gap` is how much less those at high risk move, in SD of people's levels."""
    rng = np.random.default_rng(seed)
    region, sector = rng.integers(0, N_REGIONS, n_devices), rng.integers(0, N_SECTORS, n_devices)
    is_at_risk = rng.random(n_devices) < 0.3
    level = np.exp(rng.normal(1.5, 0.4, n_devices) - 0.4 * level_gap * is_at_risk)
    event = _events(rng, is_at_risk, sector)
    week = np.arange(N_WEEKS)
    depth = np.zeros((N_REGIONS, N_WEEKS))
    depth[:, LOCKDOWN] = rng.uniform(0.2, 0.5, (N_REGIONS, 1))
    shock = rng.normal(0, 0.15, (N_REGIONS, N_SECTORS, N_WEEKS)).cumsum(axis=2) / 2
    value = level[:, None] * (1 - depth[region]) + shock[region, sector] + _noise(rng, (n_devices, N_WEEKS))
    month = (week - event[:, None]) // WEEKS
    value = value + np.where(event[:, None] >= 0, true_effect(month), 0)
    is_seen = (rng.random(value.shape) < 0.85) & (week < _last_week(rng, n_devices)[:, None])
    return _frames(value, is_seen, event, region * N_SECTORS + sector)


def _events(rng, is_at_risk, sector):
    """The week of each device's loss, -1 for none: four times as likely in the first weeks of the lockdown."""
    weight = np.ones(N_WEEKS)
    weight[11:16] = 4
    weight[:9] = weight[-4:] = 0
    is_lost = rng.random(sector.size) < np.where(is_at_risk, 0.3, 0.1) * np.linspace(0.5, 1.5, N_SECTORS)[sector]
    return np.where(is_lost, rng.choice(N_WEEKS, sector.size, p=weight / weight.sum()), -1)


def _noise(rng, shape, rho=0.5, spread=1.0):
    noise = rng.normal(0, spread, shape)
    for week in range(1, shape[1]):
        noise[:, week] = rho * noise[:, week - 1] + np.sqrt(1 - rho**2) * noise[:, week]
    return noise


def _last_week(rng, n_devices):
    """A tenth of the people stop carrying the phone at some time."""
    return np.where(rng.random(n_devices) < 0.1, rng.integers(10, N_WEEKS, n_devices), N_WEEKS)


def _frames(value, is_seen, event, stratum):
    device, week = np.nonzero(is_seen)
    panel = pd.DataFrame({"device_id": device, "window_started": MONDAYS[week], MEASURE: value[device, week]})
    ids = np.arange(event.size)
    event_on = pd.Series(MONDAYS[np.maximum(event, 0)]).where(event >= 0)
    devices = pd.DataFrame({"device_id": ids, "stratum": stratum, "event_on": event_on})
    return panel.assign(is_out=False, is_back=False), devices.assign(is_control=True, area="")


def before_after(panel, devices, months):
    """Return (estimate, low, high, standard error) of the change of those who lost their job, nobody beside them."""
    rows = panel.merge(devices.dropna(subset="event_on"), on="device_id")
    month = (rows["window_started"] - rows["event_on"]).dt.days // (7 * WEEKS)
    table = rows.pivot_table(index="device_id", columns=month, values=MEASURE)
    change = table.sub(table[REFERENCE], axis=0).reindex(columns=months)
    error = change.std() / np.sqrt(change.count())
    return np.column_stack([change.mean(), change.mean() - 1.96 * error, change.mean() + 1.96 * error, error])


def effects(panel, devices, seed, **params):
    """Return (estimate, estimate_low, estimate_high, std_error) of the months shown but the reference."""
    params = EventStudyParams(cap_quantile=1.0, **params)
    found = estimate_effects(panel, devices, NO_GROUPS, (MEASURE,), seed, params, MIN_DEVICES)
    return found.set_index("months_since_loss").drop(index=REFERENCE)[COLUMNS]


def trials(seed, level_gap):
    """Return for each estimator its estimates beside the truth, for one panel."""
    panel, devices = make_panel(seed, level_gap=level_gap)
    found = {name: effects(panel, devices, seed, **params) for name, params in ESTIMATORS.items()}
    for name, frame in found.items():
        is_placebo = "placebo" in ESTIMATORS[name]
        frame["truth"] = 0.0 if is_placebo else true_effect(frame.index.to_numpy())
    months = found["matched"].index
    alone = pd.DataFrame(before_after(panel, devices, months), months, COLUMNS)
    return {**found, "before-after, nobody beside": alone.assign(truth=true_effect(months.to_numpy()))}


def summary(frames):
    """Return coverage, mean error, spread of estimates and mean standard error per month that half the seeds know."""
    rows = pd.concat(frames)
    rows["covered"] = (rows["estimate_low"] <= rows["truth"]) & (rows["truth"] <= rows["estimate_high"])
    rows["error"] = rows["estimate"] - rows["truth"]
    month = rows.groupby(level=0)
    table = month.agg(truth=("truth", "mean"), covered=("covered", "mean"), mean_error=("error", "mean"))
    table = table.assign(spread=month["error"].std(), std_error=month["std_error"].mean(), seeds=month.size())
    return table[table["seeds"] >= len(frames) / 2]


def tables_of(root):
    return [load(table.name, root=root) for table in STAGE.reads]


def effects_of(parts, tables, placebo="none"):
    """Return the effects on everybody from the devices' weeks and the tables they are from."""
    found = STAGE.finish(parts, *tables[-2:], 0, STAGE.params(placebo=placebo))
    return found[found["axis"] == "all"].set_index(["measure", "months_since_loss"]).drop(columns=["axis", "group"])


def true_of_roots(parts, other):
    """Return per measure and month what the devices with a loss did differently from themselves without one."""
    same = ["device_id", "window_started"]
    rows = parts[parts["event_on"].notna()].merge(other, on=same, suffixes=("", "_without"))
    month = ((rows["window_started"] - rows["event_on"]).dt.days // (7 * WEEKS)).rename("months_since_loss")
    apart = {name: rows[name] - rows[f"{name}_without"] for name in MEASURES}
    table = pd.DataFrame({**apart, "device_id": rows["device_id"]}).groupby([month, "device_id"]).mean()
    return table.groupby(level=0).mean().rename_axis(columns="measure").unstack().rename("truth")


def without_false_losses(parts, folder):
    """Return the weeks of devices without an inferred loss, and of those with a true one within four weeks of it."""
    spells = pd.read_parquet(folder)
    spells = spells[(spells["status"] != "employed") & (spells["started_on"] > spells["started_on"].min())]
    device_id = [hash_id(text.encode(), read_key()) for text in spells["device_id"]]
    true_on = pd.to_datetime(spells["started_on"]).groupby(device_id).min()
    inferred = parts.drop_duplicates("device_id").set_index("device_id")["event_on"].dropna()
    away = (inferred - true_on.reindex(inferred.index)).abs()
    is_false = ~(away <= pd.Timedelta(weeks=WEEKS))
    print(
        f"{len(inferred)} devices with an inferred loss, {is_false.sum()} of them without a true one near it: left out"
    )
    return parts[~parts["device_id"].isin(inferred.index[is_false])]


def main_root(root, without, truth):
    """Print the effects of a root beside the truth, where that is known, and how many placebos cover zero."""
    tables = tables_of(root)
    parts = STAGE(*tables, 0, STAGE.params())
    if truth:
        parts = without_false_losses(parts, truth)
    found = effects_of(parts, tables)
    if without:
        found = found.join(true_of_roots(parts, STAGE(*tables_of(without), 0, STAGE.params())))
        found["covered"] = found["truth"].between(found["estimate_low"], found["estimate_high"])
    print(found.to_string(float_format="%.4g"))
    if without:
        print(f"{found.drop(index=REFERENCE, level=1)['covered'].mean():.0%} of the intervals hold the truth")
    for placebo in ("before_event", "not_affected"):
        rows = effects_of(parts, tables, placebo).drop(index=REFERENCE, level=1)
        is_covered = (rows["estimate_low"] <= 0) & (rows["estimate_high"] >= 0)
        print(f"placebo {placebo}: {is_covered.sum()} of {len(rows)} intervals cover zero")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--level-gap", type=float, default=0.5, help="SD by which those at high risk move less")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--without", type=Path)
    parser.add_argument("--truth", type=Path)
    args = parser.parse_args()
    if args.root:
        main_root(args.root, args.without, args.truth)
        return
    started = time.perf_counter()
    found = [trials(seed, args.level_gap) for seed in range(args.seeds)]
    for name in found[0]:
        table = summary([of_seed[name] for of_seed in found])
        print(f"\n{name}: {table['covered'].min():.0%} of seeds at worst\n{table.round(3).to_string()}")
    print(f"\n{args.seeds} seeds in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
