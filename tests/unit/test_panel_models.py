"""Models of panels: exact panels, statsmodels and the twins beside them, and which model is chosen."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.regression.linear_model import OLS
from statsmodels.regression.mixed_linear_model import MixedLM

from pipeline.kernels.cluster_errors import cluster_errors
from pipeline.kernels.keyed_random import keyed_uniform
from pipeline.npi_drivers import NpiParams
from pipeline.npi_panel import MODELS, design, panels
from pipeline.npi_verdicts import judge_models
from pipeline.panel_models import _of_models, compare_models, fit_response, random_effects
from tests.naive_npi import naive_design, naive_fixed, naive_left_out_error, naive_weeks
from tests.npi_rows import make_changes, random_drivers
from tests.stay_rows import through_contract

STATES = [f"{state:02d}" for state in range(1, 9)]
REGIONS = [f"{state:02d}{county}" for state in range(1, 6) for county in range(2)]


def make_panel(seed=0, regions=REGIONS, n_days=70, noise=0.1, answer=(-0.6, -0.1, 0.2), spread=0.1):
    """(changes, drivers) of regions that answer to stringency, severity and forgetting."""
    chance = np.random.default_rng(seed)
    drivers = random_drivers(chance, regions, n_days)
    level = np.repeat(chance.normal(0, spread, len(regions)), n_days)
    exact = drivers[["stringency", "severity", "forgetting"]].to_numpy() @ np.array(answer) + level
    return make_changes(drivers, exact + chance.normal(0, noise, exact.size)), drivers


def fit(changes, drivers, seed=0, **params):
    params = NpiParams(measures=(), **params)
    fits = compare_models(changes, drivers, params, seed)
    return fits.set_index("model"), fit_response(changes, drivers, fits, params)


def terms_of(response, estimator="fixed"):
    return response[response["estimator"] == estimator].set_index("term")


@pytest.mark.parametrize("period", ["week", "day"])
def test_without_noise_coefficients_are_exact_and_nothing_is_left_to_explain(period):
    changes, drivers = make_panel(noise=0)
    fits, response = fit(changes, drivers, period=period)
    assert list(fits.index[fits["is_chosen"]]) == ["forgetting"]
    assert fits.loc["forgetting", ["r2", "within_r2"]].tolist() == pytest.approx([1, 1])
    for estimator in ("fixed", "mixed"):
        found = terms_of(response, estimator)["log_effect"]
        assert found[["stringency", "severity", "adaptation"]].tolist() == pytest.approx([-0.6, -0.1, 0.2])
    assert (response["n_clusters"] == 5).all() and (response["n_regions"] == 10).all()
    assert (response["n_observations"] == (100 if period == "week" else 700)).all()
    assert (response["n_devices"] == 1000).all()
    through_contract(fits.reset_index(), "npi_fits")
    through_contract(response, "npi_response")


@pytest.mark.parametrize("effects", ["region", "region_and_period"])
@pytest.mark.parametrize("model", ["severity", "weeks"])
def test_coefficients_errors_and_freedom_equal_the_twin_with_dummies(effects, model):
    changes, drivers = make_panel(3)
    changes = changes.drop(index=range(5, 30))  # unbalanced: the first region begins late
    _, response = fit(changes, drivers, effects=effects, model=model)
    weeks = naive_weeks(changes, drivers, ["stringency", "severity", "weeks"], 3)
    x = naive_design(weeks, model, effects)
    b, variance, freedom = naive_fixed(
        x, weeks["log_change"].to_numpy(), weeks["cluster"].to_numpy(), len(MODELS[model])
    )
    found = response[response["estimator"] == "fixed"].set_index("term").loc[
        ["stringency", "severity", "adaptation"][: len(b)]
    ]  # fmt: skip
    assert found["log_effect"].to_numpy() == pytest.approx(b)
    assert found["log_std_error"].to_numpy() == pytest.approx(np.sqrt(np.diag(variance)))
    # The half width of the interval tells the degrees of freedom.
    from scipy.stats import t

    half = (found["log_effect_high"] - found["log_effect"]) / found["log_std_error"]
    assert half.to_numpy() == pytest.approx(t.ppf(0.975, freedom))


def test_fixed_effects_equal_those_of_statsmodels_with_dummies():
    changes, drivers = make_panel(4)
    _, response = fit(changes, drivers, model="forgetting")
    weeks = naive_weeks(changes, drivers, ["stringency", "severity", "forgetting"], 3)
    peer = OLS(weeks["log_change"].to_numpy(), naive_design(weeks, "forgetting", "region")).fit()
    found = terms_of(response).loc[["stringency", "severity", "adaptation"], "log_effect"]
    assert found.to_numpy() == pytest.approx(peer.params[:3])


@pytest.mark.parametrize("seed", range(4))
def test_random_effects_equal_statsmodels_mixed_models(seed):
    changes, drivers = make_panel(seed, noise=0.3, spread=0.2)
    changes = changes.drop(index=range(5, 30))
    params = NpiParams(measures=())
    _, panel = next(panels(changes, drivers, params))
    found = design(panel, "severity", params)
    x, y = random_effects(panel.change, found, panel.region)
    columns = np.column_stack([np.ones(len(panel.change)), found.x])
    peer = MixedLM(panel.change, columns, groups=panel.region).fit(reml=True)
    assert np.linalg.lstsq(x, y, rcond=None)[0] == pytest.approx(peer.fe_params, abs=2e-4)


def test_many_clusters_of_one_row_have_the_errors_of_hc2():
    chance = np.random.default_rng(0)
    x, y = np.column_stack([np.ones(40), chance.normal(size=40)]), chance.normal(size=40)
    peer = OLS(y, x).fit(cov_type="HC2")
    variance, freedom = cluster_errors(x, peer.resid, np.arange(40))
    assert variance == pytest.approx(peer.cov_params())
    assert (freedom < 39).all() and (freedom > 10).all()


def test_balanced_clusters_count_fully():
    """A mean of clusters of equal size is a mean of their means: its variance and clusters less 1."""
    means = np.array([1.0, 2.0, 4.0, 7.0])
    y, cluster = np.repeat(means, 5), np.repeat(np.arange(4), 5)
    variance, freedom = cluster_errors(np.ones((20, 1)), y - y.mean(), cluster)
    assert variance[0, 0] == pytest.approx(means.var(ddof=1) / 4)
    assert freedom == pytest.approx([3])


def test_left_out_errors_equal_the_twin():
    changes, drivers = make_panel(5)
    fits, _ = fit(changes, drivers)
    for model in MODELS:
        weeks = naive_weeks(changes, drivers, MODELS[model], 3)
        assert fits.loc[model, "left_out_error"] == pytest.approx(naive_left_out_error(weeks, model)), model
    assert fits.loc["nothing", "left_out_error"] == pytest.approx(np.sqrt((weeks["log_change"] ** 2).mean()))
    known = fits.drop(index="nothing")["left_out_error"]
    assert fits["is_chosen"].sum() == 1 and fits.loc[known.idxmin(), "is_chosen"]
    assert fits["gain"].to_numpy() == pytest.approx(fits.loc["stringency", "left_out_error"] - fits["left_out_error"])
    assert fits[["gain_low", "gain_high"]].isna().all(axis=None)  # of five clusters


def check_within_errors(fits, changes, drivers, models):
    """Errors with effects of periods are the twin's; of the models the last has all terms."""
    weeks = naive_weeks(changes, drivers, MODELS[models[-1]], 3)
    for model in models:
        twin = naive_left_out_error(weeks, model, "region_and_period")
        assert fits.loc[model, "left_out_error"] == pytest.approx(twin), model


def test_left_out_errors_with_effects_of_periods_equal_the_twin():
    changes, drivers = make_panel(6)
    for rows in (changes, changes.drop(index=range(5, 30)).reset_index(drop=True)):
        fits, _ = fit(rows, drivers, effects="region_and_period")
        check_within_errors(fits, rows, drivers, ("nothing", "severity", "exposure"))


def test_with_effects_of_periods_nothing_is_the_mean_of_the_others_in_the_period():
    changes, drivers = make_panel(2, regions=STATES)
    fits, _ = fit(changes, drivers, effects="region_and_period")
    by_week = naive_weeks(changes, drivers, [], 3).pivot(index="week", columns="region", values="log_change")
    errors = [by_week[state] - by_week.drop(columns=state).mean(axis=1) for state in by_week]
    assert fits.loc["nothing", "left_out_error"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    # What all regions have in common is no reason for stringency: nothing has it too.
    shocks = np.random.default_rng(0).normal(0, 1, 10).repeat(7)
    shaken, _ = fit(changes.assign(log_change=changes["log_change"] + np.tile(shocks, 8)), drivers,
                    effects="region_and_period")  # fmt: skip
    assert shaken["left_out_error"].to_numpy() == pytest.approx(fits["left_out_error"].to_numpy())


def alone(changes, region="01", n_days=35):
    """Changes of which a region has the last days to itself, and the others the days before."""
    is_late = changes["date"] >= changes["date"].min() + pd.Timedelta(days=70 - n_days)
    return changes[is_late == (changes["region_geoid"] == region)].reset_index(drop=True)


def test_periods_that_only_one_region_has_are_not_foretold_and_spoil_no_other():
    changes, drivers = make_panel(regions=STATES, noise=0.02)
    params = {"effects": "region_and_period", "model": "forgetting"}
    fits, response = fit(alone(changes), drivers, **params)
    rest = alone(changes)
    rest = rest[rest["region_geoid"] != "01"].reset_index(drop=True)
    without, beside = fit(rest, drivers, **params)
    assert (fits["n_left_out"] == 7).all() and (fits["n_regions"] == 8).all()
    assert fits["left_out_error"].to_numpy() == pytest.approx(without["left_out_error"].to_numpy())
    # Its own periods tell nothing of the terms.
    for estimator, near in (("fixed", 1e-9), ("mixed", 0.02)):
        found, same = (terms_of(rows, estimator)["log_effect"] for rows in (response, beside))
        assert found.to_numpy() == pytest.approx(same.to_numpy(), abs=near)


def test_regions_that_others_no_longer_link_are_foretold_as_the_twin_does():
    """Left out, the one region that has all weeks leaves two islands, of which neither tells the other's level."""
    changes, drivers = make_panel(1, regions=STATES)
    is_early, island = changes["date"] < changes["date"].min() + pd.Timedelta(days=35), changes["region_geoid"]
    rows = changes[(island == "01") | (is_early == (island > "04"))].reset_index(drop=True)
    fits, _ = fit(rows, drivers, effects="region_and_period")
    check_within_errors(fits, rows, drivers, ("nothing", "stringency", "weeks"))


def test_without_two_regions_in_a_period_there_is_nothing_to_explain():
    changes, drivers = make_panel(regions=STATES[:4])
    week = (changes["date"] - changes["date"].min()).dt.days // 7
    apart = changes[week % 4 == changes["region_geoid"].astype(int) - 1].reset_index(drop=True)
    fits, response = fit(apart, drivers, effects="region_and_period")
    assert fits[["r2", "left_out_error", "gain"]].isna().all(axis=None) and (fits["n_left_out"] == 0).all()
    assert response.empty


# --- The gain's interval --------------------------------------------------------------------------


def test_of_enough_parts_gains_have_intervals_that_widen_with_the_number_of_candidates():
    changes, drivers = make_panel(regions=STATES)
    fits, _ = fit(changes, drivers)
    assert (fits["gain_low"] <= fits["gain"]).all() and (fits["gain"] <= fits["gain_high"]).all()
    few, _ = fit(changes, drivers, adaptations=())
    assert (
        few.loc["nothing"].equals(fits.loc["nothing"]) and few.loc["severity", "gain"] == fits.loc["severity", "gain"]
    )
    assert few.loc["severity", "gain_low"] > fits.loc["severity", "gain_low"]
    fewer, _ = fit(changes, drivers, min_interval_parts=9)
    assert fewer[["gain_low", "gain_high"]].isna().all(axis=None) and fewer["gain"].notna().all()


def test_intervals_are_quantiles_of_sums_over_drawn_parts():
    changes, drivers = make_panel(regions=STATES)
    params = NpiParams(measures=(), adaptations=(), n_replicates=100)
    fits = compare_models(changes, drivers, params, 5).set_index("model")
    (_, panel) = next(panels(changes, drivers, params))
    _, squares, parts = _of_models(panel, params)
    drawn = (keyed_uniform(np.arange(8)[:, None], "npi_fits", 5, np.arange(100)) * 8).astype(int)
    gains = [
        np.sqrt(np.mean([squares["stringency"][parts == k] for k in row]))
        - np.sqrt(np.mean([squares["severity"][parts == k] for k in row]))
        for row in drawn.T
    ]
    assert fits.loc["severity", ["gain_low", "gain_high"]].tolist() == pytest.approx(np.quantile(gains, [0.025, 0.975]))


@pytest.mark.parametrize("effects", ["region", "region_and_period"])
def test_where_nothing_matters_hardly_any_driver_is_certain(effects):
    """Of 30 panels of eight states that answer to nothing; with weeks in common where these are taken out."""
    params = NpiParams(measures=(), effects=effects, n_replicates=200)
    found = []
    for seed in range(30):
        chance = np.random.default_rng(seed)
        drivers = random_drivers(chance, STATES, 70)
        common = chance.normal(0, 0.15, 10).repeat(7) * (effects != "region")
        noise = chance.normal(0, 0.1, (8, 10)).repeat(7, axis=1)
        changes = make_changes(drivers, (noise + common).ravel())
        found.append(judge_models(compare_models(changes, drivers, params, seed)))
    assert sum(one.is_certain and one.model != "nothing" for one in found) <= 3


def test_of_two_clusters_regions_are_left_out_and_of_two_regions_nothing():
    fits, response = fit(*make_panel(regions=REGIONS[:4]))
    assert (fits["n_left_out"] == 4).all() and fits["left_out_error"].notna().all()
    assert (response["n_clusters"] == 2).all() and response["log_std_error"].notna().all()
    fits, _ = fit(*make_panel(regions=REGIONS[1:3]))
    assert (fits["n_left_out"] == 0).all()
    assert fits[["left_out_error", "gain", "gain_low"]].isna().all(axis=None)
    assert list(fits.index[fits["is_chosen"]]) == ["severity"]


def test_one_cluster_has_coefficients_without_errors():
    _, response = fit(*make_panel(regions=["01001", "01003", "01005"]), model="severity")
    assert response["log_effect"].notna().all() and (response["n_clusters"] == 1).all()
    assert (
        response[["log_std_error", "log_effect_low", "log_effect_high", "p_value", "p_adjusted"]].isna().all(axis=None)
    )
    through_contract(response, "npi_response")


def test_two_regions_that_mirror_each_other_have_coefficients_without_errors():
    _, response = fit(*make_panel(regions=STATES[:2]), model="severity", effects="region_and_period")
    fixed = response[response["estimator"] == "fixed"]
    assert fixed["log_effect"].notna().all() and len(fixed) == 2
    assert fixed[["log_std_error", "log_effect_low", "p_value", "p_adjusted"]].isna().all(axis=None)


def test_a_term_that_cannot_be_told_apart_is_not_chosen():
    changes, drivers = make_panel()
    fits, _ = fit(changes, drivers.assign(weeks=0.0, exposure=drivers["severity"] * 2 + 1))
    assert fits.loc[["weeks", "exposure"], ["r2", "left_out_error", "gain"]].isna().all(axis=None)
    assert fits["is_chosen"].sum() == 1
    # Policies that are the same everywhere are not told apart from effects of periods.
    alike = drivers.assign(stringency=drivers.groupby("date")["stringency"].transform("mean"))
    fits, response = fit(changes, alike, effects="region_and_period")
    assert not fits["is_chosen"].any() and response.empty


def test_a_difference_is_the_groups_coefficients_less_those_of_everybody_else():
    changes, drivers = make_panel(noise=0.05)
    low = changes.assign(axis="income", group="low")
    terms = drivers[["stringency", "severity", "forgetting"]].to_numpy()
    low["log_change_others"] = low["log_change"] - terms @ np.array([-0.2, 0.05, 0.1])
    _, response = fit(pd.concat([changes, low], ignore_index=True), drivers, model="forgetting")
    found = response[response["estimator"] == "difference"].set_index("term")["log_effect"]
    assert found[["stringency", "severity", "adaptation"]].tolist() == pytest.approx([-0.2, 0.05, 0.1])
    assert set(response.loc[response["estimator"] == "difference", "group"]) == {"low"}


def test_a_difference_counts_the_devices_of_the_regions_that_it_is_of():
    changes, drivers = make_panel()
    low = changes.assign(axis="income", group="low", log_change_others=changes["log_change"] * 0.9)
    low["n_devices"] = 10 + low["region_geoid"].str[:2].astype(int)
    low.loc[low["region_geoid"] > "03", "log_change_others"] = np.nan
    _, response = fit(low, drivers, model="severity")
    found = response.drop_duplicates("estimator").set_index("estimator")
    assert found.loc["fixed", ["n_regions", "n_devices"]].tolist() == [10, 2 * (11 + 12 + 13 + 14 + 15)]
    assert found.loc["difference", ["n_regions", "n_devices"]].tolist() == [4, 2 * (11 + 12)]


def test_states_are_left_out_where_counties_are_inside():
    changes, drivers = make_panel()
    state = changes.assign(region_geoid=changes["region_geoid"].str[:2], log_change=9.0)
    everything = pd.concat([changes, state, state.assign(region_geoid="all")], ignore_index=True)
    assert fit(everything, drivers)[1].equals(fit(changes, drivers)[1])


def test_too_few_days_of_a_week_and_unknown_changes_do_not_count():
    changes, drivers = make_panel(n_days=14)
    changes.loc[changes["date"].dt.day_of_week > 1, "log_change"] = np.nan
    assert compare_models(changes, drivers, NpiParams(measures=()), 0).empty
    fits = compare_models(changes, drivers, NpiParams(measures=(), min_days=2), 0)
    assert (fits["n_observations"] == 20).all()


def test_a_change_without_drivers_is_named():
    changes, drivers = make_panel()
    with pytest.raises(ValueError, match="no drivers for region 020 on 2020-01-08"):
        compare_models(changes, drivers.drop(index=70 * 2 + 2), NpiParams(measures=()), 0)


def test_p_values_are_corrected_for_all_rows():
    changes, drivers = make_panel()
    both = pd.concat([changes, changes.assign(measure="contacts", log_change=-changes["log_change"])])
    _, response = fit(both.reset_index(drop=True), drivers, model="stringency", estimators=("fixed",))
    assert response["p_adjusted"].to_numpy() == pytest.approx(2 * response["p_value"].to_numpy())
