"""Are the coefficients of a simulated response recovered, and is nothing found where there is nothing?

    python -m tests.benchmarks.bench_npi_recovery --seeds 100
    python -m tests.benchmarks.bench_npi_recovery --seeds 100 --clusters 51 --counties 1
    python -m tests.benchmarks.bench_npi_recovery --seeds 100 --common-shock 0.05
    python -m tests.benchmarks.bench_npi_recovery --seeds 100 --adaptation weeks
    python -m tests.benchmarks.bench_npi_recovery --seeds 20 --lag-days 7
    python -m tests.benchmarks.bench_npi_recovery --seeds 200 --events
    python -m tests.benchmarks.bench_npi_recovery --seeds 100 --people 2000 --minutes 15

Sums of devices by region and day (gamma and Poisson noise of people) go through region_changes, npi_fits and
npi_response. States differ in when and how hard they act, in the waves of the epidemic and in shocks that last (an
autocorrelation of 0.8 by week), counties in shocks of their own. Printed for each coefficient: the share of seeds whose
95 % interval holds the truth, the mean error, the spread of estimates beside the mean standard error, the mean width
of the interval, and the coverage that other standard errors would have had; how often the true model was chosen, and
the coverage when the model is the one chosen. Measures: visits answer as --truth says; distance_m not at all; contacts
of a group answer more strongly than those of everybody else. What people answer to are the terms of the slow twins of
the tests, so that a date shifted or a lag with the wrong sign in the drivers is a coefficient missed.

--common-shock moves all states alike, a standard deviation by week, which clusters by state do not know of.
--events: staggered orders of which the effect grows, and a pre-trend test whose hypothesis is true.
--people: true visits to venues by people of the simulated city of an epidemic, without pings; every seed is a city of
its own, with policies, epidemics and people of its own. As above, for all venues and those of each category.
"""

import argparse
import time
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.stats import t as student
from statsmodels.regression.linear_model import OLS

from pipeline.npi_drivers import ADAPTATIONS, NpiParams, drivers_of
from pipeline.npi_event_study import NpiEventParams, fit_events
from pipeline.npi_panel import design, panels
from pipeline.panel_models import compare_models, fit_response
from pipeline.simulation import Response, npi_scenario, true_region_day
from pipeline.simulation.areas import areas_of
from pipeline.simulation.epidemic import simulate_epidemic
from pipeline.simulation.policies import simulate_policies
from pipeline.simulation.responses import simulate_response
from pipeline.stages.region_changes import RegionChangeParams
from pipeline.stages.region_changes import region_changes as CHANGES  # noqa: N812
from pipeline.study import Study
from tests.naive_npi import naive_terms

START, N_DAYS = date(2020, 1, 6), 273
DATES = pd.date_range(START, periods=N_DAYS, freq="D")
STUDY = Study(name="recovery", start=START, end=DATES[-1].date(), zone="UTC", sources=())
TRUE = {"stringency": -0.5, "severity": -0.10, "adaptation": 0.12}
OF_GROUP = {"stringency": -0.8, "severity": -0.15, "adaptation": 0.20}
WEEKDAY = np.array([1.0, 1.0, 1.02, 1.05, 1.15, 1.1, 0.85])
VISITS_A_DAY = 4.0
POPULATION = 400_000.0
OF_VENUES = ("visits:venue", "visits:venue:*")
WEEK_RHO = 0.8


def settle(rng, shape, spread, rho=WEEK_RHO):
    """Shocks by week that last, with a standard deviation of `spread`, as shocks of days."""
    n_weeks = N_DAYS // 7
    shock = rng.normal(0, spread, (*shape, n_weeks))
    for week in range(1, n_weeks):
        shock[..., week] = rho * shock[..., week - 1] + np.sqrt(1 - rho**2) * shock[..., week]
    return np.repeat(shock, 7, axis=-1)


def make_world(rng, n_states, lag_days=0):
    """Return (npi_policies, epidemic) of states: policies follow the first wave, and relax when the state likes.

    Policies begin `lag_days` before the study, with none.
    """
    day = np.arange(N_DAYS)
    policies, epidemic = [], []
    for state in range(n_states):
        geoid, first = f"{state + 1:02d}", 68 + rng.integers(-8, 22)
        relaxed = first + rng.integers(30, 90)
        stringency = np.where(day < first, 0.0, np.where(day < relaxed, rng.uniform(55, 90), rng.uniform(20, 60)))
        stringency = np.where(day > relaxed + rng.integers(30, 90), rng.uniform(10, 70), stringency)
        waves = sum(
            np.exp(rng.uniform(-0.5, 2.5)) * np.exp(-0.5 * ((day - centre) / rng.uniform(10, 25)) ** 2)
            for centre in (first + rng.integers(10, 40), rng.integers(140, 260))
        )
        deaths = rng.poisson(waves * (day > 50))
        from_before = {"date": pd.date_range(DATES[0] - pd.Timedelta(days=lag_days), DATES[-1], freq="D")}
        stringency = np.concatenate([np.zeros(lag_days), stringency])
        policies.append(pd.DataFrame({"region_geoid": geoid, **from_before, "stringency": stringency}))
        counts = {"new_cases": deaths * 30.0, "new_deaths": deaths.astype(float), "population": POPULATION}
        epidemic.append(pd.DataFrame({"region_geoid": geoid, "date": DATES, **counts}))
    return pd.concat(policies, ignore_index=True), pd.concat(epidemic, ignore_index=True)


def make_sums(rng, terms, n_counties, n_devices, common_shock, adaptation):
    """Return sums as `region_day` has them, of counties that answer to the terms of their state."""
    x = np.stack([terms[name] for name in ("stringency", "severity", adaptation)], axis=-1)
    n_states = x.shape[0]
    size = rng.uniform(0.5, 2, (n_states, n_counties, 1)) * n_devices
    n_people = rng.poisson(np.broadcast_to(size, (n_states, n_counties, N_DAYS)))
    n_low = rng.binomial(n_people, 0.4)
    level = np.exp(rng.normal(0, 0.2, (n_states, n_counties, 1))) * WEEKDAY[np.arange(N_DAYS) % 7]
    ids = [f"{state + 1:02d}{county:03d}" for state in range(n_states) for county in range(n_counties)]
    frames = []
    for measure, (of_low, of_rest) in answers().items():
        shock = settle(rng, (n_states, 1), 0.05) + settle(rng, (n_states, n_counties), 0.03)
        shock = shock + settle(rng, (1, 1), common_shock, rho=0.0)
        totals = []
        for people, answer in ((n_low, of_low), (n_people - n_low, of_rest)):
            mean = VISITS_A_DAY * level * np.exp((x @ np.array(list(answer.values())))[:, None] + shock)
            totals.append(rng.poisson(rng.gamma(np.maximum(people, 1e-9) * 2.0, mean / 2.0)))
        for group, people, total in (("all", n_people, sum(totals)), ("low", n_low, totals[0])):
            axis = "all" if group == "all" else "income"
            base = {"region_geoid": np.repeat(ids, N_DAYS), "axis": axis, "group": group}
            base |= {"date": np.tile(DATES, len(ids)), "measure": measure}
            frames.append(pd.DataFrame({**base, "n_devices": people.ravel(), "total": total.ravel().astype(float)}))
    return pd.concat(frames, ignore_index=True)


def answers():
    """Coefficients of the group and of everybody else, by measure."""
    nothing = dict.fromkeys(TRUE, 0.0)
    return {"visits": (TRUE, TRUE), "distance_m": (nothing, nothing), "contacts": (OF_GROUP, TRUE)}


def truth_of(measure, group, estimator, term):
    """The coefficient, or the difference to everybody else's; NaN where groups that differ are mixed."""
    of_low, of_rest = answers()[measure]
    if estimator == "difference":
        return of_low[term] - of_rest[term]
    return np.nan if of_low != of_rest and group == "all" else of_low[term]


def terms_by_state(policies, epidemic, lag_days):
    """Return every term as states × days, by the slow twin: what holds `lag_days` before the day."""
    told = [day - timedelta(days=lag_days) for day in DATES]
    states = []
    for state, mine in policies.groupby("region_geoid"):
        stringency = dict(zip(mine["date"], mine["stringency"], strict=True))
        deaths = epidemic.loc[epidemic["region_geoid"] == state, "new_deaths"].tolist()
        terms = naive_terms(deaths, POPULATION, lag_days, half_life_days=28.0)
        states.append(terms.assign(stringency=[stringency[day] / 100 for day in told]))
    return {name: np.stack([terms[name] for terms in states]) for name in states[0].columns}


def trial(seed, args):
    """Return the coefficients of one world beside the truth, by the true model and by that chosen, and the choices."""
    rng = np.random.default_rng(seed)
    policies, epidemic = make_world(rng, args.clusters, args.lag_days)
    lags = {"stringency_lag_days": args.lag_days, "severity_lag_days": args.lag_days}
    params = NpiParams(measures=(), effects=args.effects, n_replicates=200, **lags)
    terms = terms_by_state(policies, epidemic, args.lag_days)
    sums = make_sums(rng, terms, args.counties, args.devices, args.common_shock, args.adaptation)
    changes = CHANGES(sums, STUDY, RegionChangeParams())
    drivers = drivers_of(changes, policies, epidemic, params)
    fits, found = fit_both(changes, drivers, params, args.adaptation, seed)
    for frame in found.values():
        keys = frame[["measure", "group", "estimator", "term"]]
        frame["truth"] = [truth_of(*key) for key in keys.itertuples(index=False)]
        forget_other_terms(frame, args.adaptation)
    fixed = params.model_copy(update={"model": args.adaptation})
    return found, fits[fits["is_chosen"] & (fits["measure"] == "visits")], plain_intervals(changes, drivers, fixed)


def fit_both(changes, drivers, params, true_model, seed):
    """Return the fits, and the coefficients by the true model and by that chosen."""
    fixed = params.model_copy(update={"model": true_model})
    fits = compare_models(changes, drivers, params, seed)
    is_true = fits.assign(is_chosen=fits["model"] == true_model)
    return fits, {
        "of the true model": fit_response(changes, drivers, is_true, fixed),
        "of the model chosen": fit_response(changes, drivers, fits, params),
    }


def forget_other_terms(frame, true_model):
    """Forget the truth of adaptation where the model has another term of it."""
    frame.loc[(frame["term"] == "adaptation") & (frame["model"] != true_model), "truth"] = np.nan


def people_trial(seed, args):
    """Return what `trial` does (no plain intervals) of the true visits of simulated people, and the share clipped."""
    response = Response(work=args.work)
    city = npi_scenario(args.people, args.days, seed=seed, n_counties=args.clusters, response=response)
    areas = areas_of(city)
    policies, epidemic = simulate_policies(city, areas), simulate_epidemic(city, areas)
    for series in (policies, epidemic):
        series["date"] = pd.to_datetime(series["date"])
    before = {"baseline_start": city.start, "baseline_end": city.policies.first - timedelta(days=1)}
    study = Study(
        name="people", start=city.start, end=city.start + timedelta(days=args.days - 1), zone="UTC", sources=()
    )
    changes = CHANGES(true_region_day(city), study, RegionChangeParams(**before))
    params = NpiParams(measures=OF_VENUES, effects=args.effects, n_replicates=200)
    fits, found = fit_both(changes, drivers_of(changes, policies, epidemic, params), params, response.term, seed)
    true = {name: getattr(response, name) for name in TRUE}
    for frame in found.values():
        frame["truth"] = frame["term"].map(true)
        forget_other_terms(frame, response.term)
    is_clipped = simulate_response(city, areas)["eta"] > 0
    return found, fits[fits["is_chosen"] & (fits["measure"] == OF_VENUES[0])], is_clipped.mean()


def plain_intervals(changes, drivers, params):
    """Return whether the plain clustered interval (CR1, t of clusters less 1), and HC1's, hold the truth of visits."""
    _, panel = next(p for p in panels(changes, drivers, params) if p[0] == ("visits", "all", "all"))
    found = design(panel, params.model, params)
    fit = OLS(found.within_change, found.within_x)
    n_clusters = np.unique(panel.cluster).size
    rows = {}
    for name, kind in {
        "CR1": {"cov_type": "cluster", "cov_kwds": {"groups": panel.cluster}},
        "HC1": {"cov_type": "HC1"},
    }.items():
        result = fit.fit(**kind)
        reach = student.ppf(0.975, n_clusters - 1) * result.bse
        rows[name] = (np.abs(result.params - list(TRUE.values())) <= reach)[-3:]
    return pd.DataFrame(rows, index=list(TRUE))


def summary(frames):
    """Return coverage, mean error, spread, mean standard error and width by coefficient whose truth is known."""
    rows = pd.concat(frames).dropna(subset=["truth", "log_std_error"])
    rows["covered"] = rows["truth"].between(rows["log_effect_low"], rows["log_effect_high"])
    rows["error"], rows["width"] = rows["log_effect"] - rows["truth"], rows["log_effect_high"] - rows["log_effect_low"]
    of = rows.groupby(["measure", "group", "estimator", "term"])
    table = of.agg(n=("truth", "size"), truth=("truth", "first"), covered=("covered", "mean"), error=("error", "mean"))
    return table.assign(spread=of["error"].std(), std_error=of["log_std_error"].mean(), width=of["width"].mean())


def event_trial(seed, args):
    """Return the event study of staggered orders whose effect grows by 0.02 a week from 0.2, and its truth."""
    rng = np.random.default_rng(seed)
    n_weeks = N_DAYS // 7
    event, is_never = rng.integers(9, 15, args.clusters), rng.random(args.clusters) < 0.3
    since = np.repeat(np.arange(n_weeks) - event[:, None], 7, axis=1)
    effect = np.where(is_never[:, None] | (since < 0), 0.0, -0.2 - 0.02 * since)
    shape = (args.clusters, args.counties)
    log_change = effect[:, None] + settle(rng, shape[:1], 0.05)[:, None] + settle(rng, shape, 0.03)
    log_change = log_change + settle(rng, (1, 1), 0.1) + rng.normal(0, 0.05, (*shape, N_DAYS))
    ids = [f"{state + 1:02d}{county:03d}" for state in range(shape[0]) for county in range(shape[1])]
    columns = {"region_geoid": np.repeat(ids, N_DAYS), "date": np.tile(DATES, len(ids)), "n_devices": 100}
    changes = pd.DataFrame({**columns, "measure": "visits", "axis": "all", "group": "all"})
    changes["log_change"] = log_change.ravel()
    on = pd.Series(DATES[event * 7 + rng.integers(0, 7, args.clusters)]).where(~is_never)
    orders = pd.DataFrame({"region_geoid": [i[:2] for i in ids[:: args.counties]], "order": "stay", "ordered_on": on})
    found = fit_events(changes, orders, NpiEventParams())
    week = found["weeks_since"].to_numpy()
    return found.assign(truth=np.where(week < 0, 0.0, -0.2 - 0.02 * week))


def main_events(args):
    """Print the coverage by weeks since the order, and how often the pre-trend test rejects what is true."""
    rows = pd.concat([event_trial(seed, args) for seed in range(args.seeds)])
    p_value = rows.loc[rows["weeks_since"] == 0, "pretrend_p_value"]
    rows = rows[rows["weeks_since"] != -1].dropna(subset="log_std_error")
    rows["covered"] = rows["truth"].between(rows["log_effect_low"], rows["log_effect_high"])
    rows["error"] = rows["log_effect"] - rows["truth"]
    of = rows.groupby("weeks_since")
    table = of.agg(n=("truth", "size"), truth=("truth", "first"), covered=("covered", "mean"), error=("error", "mean"))
    print(table.assign(spread=of["error"].std(), std_error=of["log_std_error"].mean()).round(4).to_string())
    print(f"pre-trend test: p < 0.05 in {(p_value < 0.05).mean():.1%} of {p_value.notna().sum()} seeds")


def print_summaries(found):
    """Print the coverage of coefficients, by the true model and by that chosen."""
    for name in found[0]:
        table = summary([of_seed[name] for of_seed in found])
        print(f"\n{name}: {table['covered'].min():.0%} of seeds at worst, {table['covered'].mean():.1%} on the mean")
        print(table.round(4).to_string())


def print_choices(choices, true_model):
    """Print how often which model was chosen, and what it gains over stringency alone."""
    by_group = choices.groupby("group")["model"].value_counts().to_string()
    print(f"\nchosen, of {choices['measure'].iloc[0]} (true: {true_model})\n{by_group}")
    gains = choices[choices["group"] == "all"]
    print(f"gain over stringency alone: {gains['gain'].mean():.4f}, above 0 in {(gains['gain_low'] > 0).mean():.0%}")


def main_response(args):
    """Print the coverage of coefficients, and how often which model was chosen."""
    found, chosen, plain = zip(*(trial(seed, args) for seed in range(args.seeds)), strict=True)
    print_summaries(found)
    both = pd.concat(plain).astype(float).groupby(level=0, sort=False).mean()
    print(f"\nvisits, fixed, had the errors been others\n{both.to_string()}")
    print_choices(pd.concat(chosen), args.adaptation)


def main_people(args):
    """Print the same of true visits by people, of as many seeds as may begin within the minutes."""
    began, trials = time.perf_counter(), []
    for seed in range(args.seeds):
        if time.perf_counter() - began < 60 * args.minutes:
            trials.append(people_trial(seed, args))
    found, chosen, clipped = zip(*trials, strict=True)
    print(f"{len(trials)} cities of {args.people} people, {args.days} days; work {args.work}")
    print_summaries(found)
    print_choices(pd.concat(chosen), Response().term)
    print(f"county-days on which people would go out more than ever (clipped): {np.mean(clipped):.2%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--clusters", type=int, default=12, help="states, in which policies differ")
    parser.add_argument("--counties", type=int, default=3, help="of each state")
    parser.add_argument("--devices", type=int, default=400, help="of a county, on the mean")
    parser.add_argument("--adaptation", choices=ADAPTATIONS, default="forgetting")
    parser.add_argument("--effects", choices=("region", "region_and_period"), default="region")
    parser.add_argument("--common-shock", type=float, default=0.0)
    parser.add_argument("--lag-days", type=int, default=0, help="from policies and risk to the answer")
    parser.add_argument("--events", action="store_true")
    parser.add_argument("--people", type=int, help="of a simulated city, whose true visits are then used")
    parser.add_argument("--days", type=int, default=120, help="of the simulated city")
    parser.add_argument("--work", type=float, default=0.5, help="how much of the answer holds for days at work")
    parser.add_argument("--minutes", type=float, default=np.inf, help="no city begins later")
    args = parser.parse_args()
    started = time.perf_counter()
    (main_events if args.events else main_people if args.people else main_response)(args)
    print(f"\nat most {args.seeds} seeds, in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
