"""Orders, infections, homes and answers of an artificial city are as often and as strong as its parameters say."""

import hashlib
import itertools
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from pydantic import ValidationError

from pipeline.simulation import (
    CityParams,
    Employment,
    Households,
    Outbreak,
    Policies,
    Response,
    find_contacts,
    npi_scenario,
    raw_dates,
    simulate_bucket,
    true_region_day,
)
from pipeline.simulation.areas import areas_of
from pipeline.simulation.bucket import draw_lives
from pipeline.simulation.epidemic import delays, draw_infections, draw_reported, simulate_epidemic
from pipeline.simulation.households import home_of
from pipeline.simulation.policies import LEAD_DAYS, ORDERS, counties_of, regions_of, simulate_orders, simulate_policies
from pipeline.simulation.responses import simulate_response
from pipeline.simulation.schedules import ERRAND, WORK
from pipeline.simulation.truth import people_table, stays_table
from tests.naive_npi_city import naive_homes, naive_stringency

TERMS = ("stringency", "severity", "weeks")
TOWN = npi_scenario(400, 70, n_counties=5, n_tracts=40, pings_per_day=1.0)
CITY = npi_scenario(3_000, 98, n_counties=6, n_tracts=60, response=Response())  # nobody stays away from work


def changed(params, **changes):
    return params.model_copy(update=changes)


@pytest.fixture(scope="module")
def areas():
    return areas_of(TOWN)


@pytest.fixture(scope="module")
def city():
    return true_region_day(CITY)


@pytest.fixture(scope="module")
def counterfactual():
    """The same people, who answer to nothing."""
    return true_region_day(changed(CITY, response=None))


# --- parameters ---------------------------------------------------------------------------------------


def test_parts_refuse_what_cannot_be():
    start = date(2020, 2, 1)
    with pytest.raises(ValidationError, match="response: needs policies and an outbreak"):
        CityParams(response=Response(), policies=Policies(first=start))
    with pytest.raises(ValidationError, match="outbreak: needs policies"):
        CityParams(outbreak=Outbreak(first=start))
    with pytest.raises(ValidationError, match="shares of homes by size"):
        Households(sizes=(0.0, 0.0))
    with pytest.raises(ValidationError, match="stay_at_home: least and most, within 0 to 100"):
        Policies(first=start, stay_at_home=(90.0, 101.0))
    with pytest.raises(ValidationError, match="hold_days: least and most, within 1 to 365"):
        Policies(first=start, hold_days=(30, 20))


def test_params_survive_json():
    assert CityParams.model_validate_json(CITY.model_dump_json()) == CITY


# --- policies -----------------------------------------------------------------------------------------


def test_orders_are_staggered_and_some_counties_stop_at_schools(areas):
    orders = simulate_orders(TOWN, areas)
    assert list(orders.groupby("region_geoid").size()) == [len(ORDERS)] * 5
    given = orders.pivot(index="region_geoid", columns="order", values="ordered_on")
    assert given["stay at home"].isna().sum() == round(0.2 * 5) == given["reopening"].isna().sum()
    assert given["school closure"].nunique() > 1
    policies = TOWN.policies
    for _, mine in orders.groupby("region_geoid"):
        days = [day for day in mine["ordered_on"] if day is not None]
        assert 0 <= (days[0] - policies.first).days <= policies.stagger_days
        gaps = [(after - before).days for before, after in itertools.pairwise(days)]
        spans = (policies.gap_days, policies.gap_days, policies.hold_days)
        assert all(low <= gap <= high for gap, (low, high) in zip(gaps, spans, strict=False))
        levels = (policies.emergency, policies.schools, policies.stay_at_home, policies.reopened)
        assert all(low <= level <= high for level, (low, high) in zip(mine["stringency"], levels, strict=True))


def test_stringency_is_that_of_the_latest_order_from_long_before_to_the_last_utc_date(areas):
    policies, orders = simulate_policies(TOWN, areas), simulate_orders(TOWN, areas)
    assert set(policies["region_geoid"]) == set(regions_of(areas)) == set(orders["region_geoid"])
    for region, mine in policies.groupby("region_geoid"):
        assert mine["date"].iloc[0] == TOWN.start - timedelta(days=LEAD_DAYS)
        assert mine["date"].iloc[-1] == raw_dates(TOWN)[-1] == TOWN.start + timedelta(days=TOWN.n_days)
        assert (np.diff([day.toordinal() for day in mine["date"]]) == 1).all()
        given = orders.loc[orders["region_geoid"] == region, ["ordered_on", "stringency"]].to_numpy().tolist()
        assert mine["stringency"].tolist() == [naive_stringency(given, day) for day in mine["date"]]


# --- epidemic -----------------------------------------------------------------------------------------


def test_delays_are_shares_of_whole_days():
    chances = delays(2.0, 4.0, 28)
    assert chances.size == 28 and chances.sum() == pytest.approx(1.0)
    assert chances[1] / chances[0] == pytest.approx(2**3 * np.exp(-0.5))


def test_infections_grow_at_the_rate_that_their_reproduction_implies():
    """Euler and Lotka: reproduction x mean of exp(-rate x generation) is 1."""
    outbreak = Outbreak(first=date(2020, 1, 1), reproduction=2.0, noise=0.0, arrivals_per_100k=0.001)
    infections = draw_infections(outbreak, np.zeros(60), 0, 10**9, np.random.default_rng(1))
    rate = np.log(infections[59] / infections[39]) / 20
    generation = delays(1.6, 3.2, 14)
    assert 2.0 * (generation * np.exp(-rate * np.arange(1, 15))).sum() == pytest.approx(1.0, abs=0.01)


def test_orders_slow_infections_and_nobody_is_infected_twice():
    outbreak = Outbreak(first=date(2020, 1, 1), reproduction=3.0, slowing=2.0, noise=0.3)
    generator = np.random.default_rng
    free = draw_infections(outbreak, np.zeros(200), 5, 20_000, generator(2))
    slow = draw_infections(outbreak, np.full(200, 80.0), 5, 20_000, generator(2))
    assert free[:5].sum() == 0 and 10_000 < free.sum() <= 20_000
    assert slow.sum() < 0.2 * free.sum()


def test_reports_are_late_and_later_at_weekends():
    infections = np.zeros(28, np.int64)
    infections[0] = 100_000
    weekday = np.arange(28) % 7
    flat = np.full(14, 1 / 14)
    reported = draw_reported(infections, 0.5, flat, weekday, 1.0, np.random.default_rng(3))
    assert reported[0] == 0 and reported.sum() == pytest.approx(50_000, abs=700) and reported[15:].sum() == 0
    late = draw_reported(infections, 0.5, flat, weekday, 0.5, np.random.default_rng(3))
    assert late.sum() == reported.sum()
    assert late[[5, 6]] == pytest.approx(reported[[5, 6]] / 2, rel=0.1)
    assert late[7] == reported[7] + (reported - late)[[5, 6]].sum()


def test_every_county_has_an_epidemic_of_its_own_size(areas):
    epidemic = simulate_epidemic(CITY, areas_of(CITY))
    totals = epidemic.groupby("region_geoid").agg(
        cases=("new_cases", "sum"), deaths=("new_deaths", "sum"), people=("population", "first")
    )
    assert totals["people"].sum() == pytest.approx(CITY.population, rel=1e-3)
    assert totals["cases"].between(2e-3 * totals["people"], 0.15 * totals["people"]).all()
    assert (totals["deaths"] > 0).all() and (totals["deaths"] < 0.05 * totals["cases"]).all()
    first = epidemic[epidemic["new_deaths"] > 0].groupby("region_geoid")["date"].min()
    assert first.min() >= CITY.policies.first - timedelta(days=5) and first.nunique() > 2
    assert epidemic["new_cases"].dtype == np.int64 and (epidemic[["new_cases", "new_deaths"]] >= 0).all(axis=None)


# --- households ---------------------------------------------------------------------------------------


def test_homes_are_filled_one_after_the_other():
    params = CityParams(n_devices=11, households=Households(sizes=(0.0, 0.0, 1.0)))
    assert home_of(params, np.arange(11)).tolist() == naive_homes([3, 3, 3, 3])[:11]
    assert home_of(CityParams(n_devices=4), np.arange(4)).tolist() == [0, 1, 2, 3]


def test_sizes_of_households_are_those_asked_for():
    params = CityParams(n_devices=50_000, households=Households(sizes=(4.0, 3.0, 2.0, 0.0, 1.0)))
    sizes = np.bincount(np.unique(home_of(params, np.arange(50_000)), return_counts=True)[1], minlength=6)
    assert sizes[1:] / sizes.sum() == pytest.approx([0.4, 0.3, 0.2, 0.0, 0.1], abs=0.01)


def test_members_of_a_household_have_one_home_and_lives_of_their_own():
    params = CityParams(n_devices=60, n_days=4, pings_per_day=5.0, households=Households(sizes=(0.2, 0.4, 0.4)))
    shared, alone = simulate_bucket(params, 0, 1), simulate_bucket(changed(params, households=None), 0, 1)
    people, single = shared.people.to_pandas(), alone.people.to_pandas()
    spots = people.groupby("home_place_id")[["home_lon", "home_lat"]].nunique()
    assert (spots == 1).all(axis=None) and 15 < len(spots) < 45
    assert not people[["home_lon", "home_lat"]].drop_duplicates().shape[0] > len(spots)
    stays = shared.stays.to_pandas().merge(people, on="device_id")
    at_home = stays[stays.purpose == "home"]
    assert (at_home.place_id == at_home.home_place_id).all() and (at_home.lon == at_home.home_lon).all()
    heads = people.home_place_id == single.home_place_id
    assert people[heads][["home_lon", "home_lat"]].equals(single[heads][["home_lon", "home_lat"]])
    assert (people.is_employed == single.is_employed).all()


# --- people who answer --------------------------------------------------------------------------------


def test_policies_and_an_epidemic_that_nobody_answers_to_change_nothing():
    plain = simulate_bucket(changed(TOWN, policies=None, outbreak=None, response=None), 0, 4)
    same = simulate_bucket(changed(TOWN, response=None), 0, 4)
    assert plain.pings == same.pings and plain.stays == same.stays
    deaf = Response(stringency=0.0, severity=0.0, adaptation=0.0, work=1.0)
    assert simulate_bucket(changed(TOWN, response=deaf), 0, 4).stays == plain.stays


def test_eta_is_the_sum_of_drivers_times_coefficients(areas):
    answers = simulate_response(TOWN, areas)
    eta = -0.9 * answers["stringency"] - 0.15 * answers["severity"] + 0.35 * answers["weeks"]
    assert answers["eta"].to_numpy() == pytest.approx(eta.to_numpy(), abs=1e-12)
    assert answers["keep_share"].to_numpy() == pytest.approx(np.exp(np.minimum(eta, 0)).to_numpy())
    assert len(answers) == 5 * TOWN.n_days and answers["keep_share"].min() < 0.6
    policies = simulate_policies(TOWN, areas).set_index(["region_geoid", "date"])["stringency"]
    late = changed(TOWN, response=Response(stringency_lag_days=3))
    row = simulate_response(late, areas).iloc[60]
    day = row["date"].date() - timedelta(days=3)
    assert row["stringency"] == policies[row["region_geoid"], day] / 100


def test_errands_are_thinned_exactly_as_eta_says(city, counterfactual):
    """Kept over expected, over all county-days and over each tenth of them by strength; chains make it vary more."""
    answers = simulate_response(CITY, areas_of(CITY))
    key = ["region_geoid", "date"]
    kept, would = (
        rows[rows["measure"].isin(["visits:venue", "visits:other"])].groupby(key)["total"].sum()
        for rows in (city, counterfactual)
    )
    keep = answers.set_index(key)["keep_share"]
    expected = would * keep
    assert kept.sum() / expected.sum() == pytest.approx(1.0, abs=0.01)
    strength = pd.qcut(keep[keep < 1.0], 10)
    for _, mine in keep[keep < 1.0].groupby(strength, observed=True):
        n, share = would[mine.index].sum(), expected[mine.index].sum() / would[mine.index].sum()
        error = 1.6 * np.sqrt(share * (1 - share) / n)  # an outing has 1.4 errands on average
        assert kept[mine.index].sum() / n == pytest.approx(share, abs=4 * error)
    assert kept[keep == 1.0].equals(would[keep == 1.0])


def test_a_plain_regression_of_true_counts_recovers_the_coefficients(city):
    """Poisson, an effect for each county and weekday: within four standard errors, scaled by what is left over."""
    drivers = simulate_response(CITY, areas_of(CITY))
    visits = city[city["measure"] == "visits:venue"].merge(drivers, on=["region_geoid", "date"])
    effects = pd.get_dummies(
        visits[["region_geoid"]].assign(weekday=visits["date"].dt.day_of_week.astype(str)),
        drop_first=True,
    )
    x = pd.concat([visits[list(TERMS)], effects.astype(float)], axis=1).assign(constant=1.0)
    fit = sm.GLM(visits["total"], x, family=sm.families.Poisson()).fit(scale="X2")
    truth = np.array([-0.9, -0.15, 0.35])
    assert np.abs(fit.params[:3] - truth).max() < 0.1
    assert (np.abs(fit.params[:3] - truth) < 4 * fit.bse[:3]).all()
    assert (np.abs(fit.params[:3]) > 5 * fit.bse[:3]).all()


def test_days_at_work_are_thinned_by_their_own_share():
    response = Response(stringency=-1.0, severity=0.0, adaptation=0.0, work=0.7)
    params = changed(TOWN, n_devices=1_500, response=response)
    one, other = draw_lives(params, 0, 1), draw_lives(changed(params, response=None), 0, 1)
    answers = simulate_response(params, one.areas)
    _, county = np.unique(counties_of(one.areas), return_inverse=True)
    keep = np.exp(0.7 * answers["eta"].to_numpy()).reshape(-1, params.n_days)[county[one.people.area]]
    n = (other.people.works * keep).sum()
    assert one.people.works.sum() == pytest.approx(n, abs=4 * np.sqrt((other.people.works * keep * (1 - keep)).sum()))
    assert ((one.people.works | one.people.works_at_home) == (other.people.works | other.people.works_at_home)).all()


def test_nights_at_work_stay():
    employment = Employment(night_share=1.0, usual_weekly_loss=0.0, weekly_change=0.0)
    strict = Response(stringency=-10.0, work=1.0)
    params = changed(TOWN, employment=employment, response=strict)
    one, other = draw_lives(params, 0, 1).people, draw_lives(changed(params, response=None), 0, 1).people
    is_night = one.jobs.is_night[np.maximum(one.job, 0)] & (one.job >= 0)
    assert (one.works & is_night).sum() > 1_000
    assert (one.works[is_night] == other.works[is_night]).all()
    assert one.works[~is_night].sum() < other.works[~is_night].sum()


def test_the_affluent_answer_more_strongly_where_there_is_a_tilt():
    params = changed(TOWN, n_devices=1_500, response=Response(tilt=0.8))
    kept = []
    for one in (params, changed(params, response=None)):
        lives = draw_lives(one, 0, 1)
        n = np.add.reduceat(lives.diaries.purpose == ERRAND, lives.diaries.first[:-1])
        rich = lives.areas.affluence[lives.people.area] > 0
        kept.append((n[rich].sum(), n[~rich].sum()))
    (rich, poor), (rich_before, poor_before) = kept
    assert rich / rich_before < poor / poor_before - 0.05


def test_lunches_that_are_left_out_are_spent_at_work():
    params = changed(TOWN, response=Response(stringency=-50.0, severity=-50.0, adaptation=0.0))
    lives = draw_lives(params, 0, 1)
    diaries = lives.diaries
    answers = simulate_response(params, lives.areas)
    last = answers[answers["date"] == answers["date"].max()]
    assert (last["keep_share"] < 1e-4).all()
    is_late = (diaries.started_s > lives.clock.closed_s - 86_400) & (diaries.started_s < lives.clock.closed_s)
    assert not (diaries.purpose[is_late] == ERRAND).any()
    at_work = np.flatnonzero(is_late & (diaries.purpose == WORK))
    assert at_work.size > 20 and (diaries.purpose[at_work + 1] != WORK).all()


def contacts_of(params, lives):
    return find_contacts(params, stays_table(lives), people_table(lives)).to_pandas()


def test_contacts_at_venues_need_two_who_go_out():
    """They answer twice as strongly: each is left with the share of outings of one person times that of the other."""
    params = changed(TOWN, n_devices=2_000, n_places=200, response=Response())
    one, other = draw_lives(params, 0, 1), draw_lives(changed(params, response=None), 0, 1)
    left, before = (contacts_of(params, lives) for lives in (one, other))
    left, before = left[left["place_kind"] == "venue"], before[before["place_kind"] == "venue"]
    county = pd.Series(counties_of(one.areas)[one.people.area], index=one.ids)
    answers = simulate_response(params, one.areas)
    keep = pd.Series(answers["keep_share"].to_numpy(), index=[answers["region_geoid"], answers["date"]])
    days = pd.to_datetime(before["date"])
    shares = [
        keep.loc[list(zip(county[before[name]], days, strict=True))].to_numpy() for name in ("device_a", "device_b")
    ]
    expected = shares[0] * shares[1]
    is_thinned = expected < 0.8
    pairs = ["device_a", "device_b", "date", "place_id"]
    is_left = before.set_index(pairs).index.isin(left.set_index(pairs).index)
    assert is_left[expected == 1.0].all() and is_thinned.sum() > 1_000
    error = np.sqrt((expected * (1 - expected))[is_thinned].sum()) / is_thinned.sum()
    assert is_left[is_thinned].mean() == pytest.approx(expected[is_thinned].mean(), abs=6 * error)  # outings are shared
    assert expected[is_thinned].mean() < 0.5


# --- truth of regions -----------------------------------------------------------------------------------


def test_true_region_days_count_the_true_stays(areas):
    bucket = simulate_bucket(TOWN, 0, 1)
    stays = bucket.stays.to_pandas().merge(bucket.people.to_pandas()[["device_id", "home_tract_geoid"]])
    stays["region_geoid"] = stays["home_tract_geoid"].str[:5]
    stays["date"] = stays["started_at"].dt.tz_convert(TOWN.zone).dt.tz_localize(None).dt.normalize()
    found = true_region_day(TOWN)
    for measure, mine in (
        ("visits", stays), ("visits:work", stays[stays.purpose == "work"]),
        ("visits:home", stays[stays.purpose == "home"]),
    ):  # fmt: skip
        counted = mine.groupby(["region_geoid", "date"]).size()
        rows = found[found["measure"] == measure].set_index(["region_geoid", "date"])["total"]
        assert (rows.sub(counted, fill_value=0) == 0).all() and rows.sum() == len(mine)
    total = found.groupby("measure")["total"].sum()
    kinds = total[["visits:home", "visits:work", "visits:venue", "visits:other"]]
    assert total["visits"] == kinds.sum() and total[total.index.str.startswith("visits:venue:")].sum() == kinds.iloc[2]
    assert found.groupby("region_geoid")["n_devices"].first().sum() == TOWN.n_devices


def test_the_city_of_an_epidemic_is_as_it_ever_was():
    """A change of these numbers is a change of every figure of the scenario: say so in the changelog."""
    lives = draw_lives(TOWN, 1, 4)
    columns = [lives.diaries.started_s, lives.diaries.place, simulate_epidemic(TOWN, lives.areas)["new_deaths"]]
    digest = hashlib.blake2b(digest_size=8)
    for column in columns:
        digest.update(np.asarray(column).astype(np.int64).tobytes())
    assert digest.hexdigest() == "0c795fc71a849f38"
