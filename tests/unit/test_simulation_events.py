"""What happens to the people of a city happens as often, as long and as strongly as its parameters say."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline.simulation import (
    CityParams,
    Employment,
    Lockdown,
    Phones,
    Shock,
    employment_scenario,
    simulate_bucket,
    simulate_tracts,
)
from pipeline.simulation.bucket import draw_bucket
from pipeline.simulation.careers import NOT_EMPLOYED, career_rules, curfew_of, going_out_after
from pipeline.simulation.phones import chance_of_phone
from pipeline.simulation.scenario import LOCKDOWN, LOST_SHARES
from pipeline.simulation.sectors import SECTOR_NUMBERS, SECTORS

NAICS = [sector.naics for sector in SECTORS]
START = date(2020, 1, 6)
QUIET = Employment(
    part_time_share=0.0, night_share=0.0, usual_telework_share=0.0, usual_weekly_loss=0.0, weekly_change=0.0
)
CITY = CityParams(n_devices=1_200, n_days=70, pings_per_day=1.0)


def with_events(params, **events):
    return params.model_copy(update=events)


def quiet(**changes):
    return QUIET.model_copy(update=changes)


@pytest.fixture(scope="module")
def scenario():
    """The ready scenario, small: 3,000 people over nine months, hardly any pings."""
    return draw_bucket(employment_scenario(3_000, pings_per_day=1.0), 0, 1)


# --- parameters ---------------------------------------------------------------------------------------


def test_events_refuse_what_cannot_be():
    with pytest.raises(ValidationError, match="no such sector: 73; there are 11, 21"):
        Employment(weekly_loss={"73": 0.1})
    with pytest.raises(ValidationError, match="2020-03-17 is not a Monday"):
        Shock(week=date(2020, 3, 17), shares={})
    with pytest.raises(ValidationError, match="is before start"):
        Lockdown(start=date(2020, 3, 17), end=date(2020, 3, 16))
    with pytest.raises(ValidationError, match="no such sector: retail"):
        Lockdown(start=START, end=START, essential=("retail",))
    with pytest.raises(ValidationError, match="weekly_losses"):
        Employment(weekly_losses=0.1)


def test_params_survive_json():
    params = employment_scenario(5, 30)
    assert CityParams.model_validate_json(params.model_dump_json()) == params


def test_chance_of_loss_joins_usual_losses_and_shocks():
    shock = Shock(week=date(2020, 1, 13), shares={"72": 0.3})
    params = with_events(CITY, employment=quiet(usual_weekly_loss=0.002, weekly_loss={"54": 0.1}, shocks=(shock,)))
    chance = career_rules(params, params.employment, np.zeros(1)).loss_chance
    assert chance.shape == (10, 20)
    food, offices = SECTOR_NUMBERS["72"], SECTOR_NUMBERS["54"]
    assert chance[:3, food].tolist() == pytest.approx([0.002, 1 - 0.998 * 0.7, 0.002])
    assert chance[:3, offices].tolist() == pytest.approx([0.1, 0.1, 0.1])


def test_outings_after_a_loss_fall_by_the_month_to_the_floor():
    effect = quiet(loss_outgoing=0.8, loss_outgoing_per_month=0.5, loss_outgoing_floor=0.3)
    rules = career_rules(CITY, effect, np.zeros(1))
    assert [going_out_after(rules, day) for day in (0, 14, 28, 56, 400)] == pytest.approx(
        [0.8, 0.8 * 0.5**0.5, 0.4, 0.3, 0.3]
    )


def test_a_lockdown_begins_at_once_and_fades():
    lockdown = Lockdown(start=START + timedelta(3), end=START + timedelta(6), outgoing=0.4, recovery_days=10.0)
    factors = curfew_of(CITY, lockdown).outgoing
    assert factors[[2, 3, 6]].tolist() == [1.0, 0.4, 0.4]
    assert factors[16] == pytest.approx(1 - 0.6 * np.exp(-1))
    assert curfew_of(CITY, lockdown.model_copy(update={"recovery_days": 0.0})).outgoing[7] == 1.0
    assert (curfew_of(CITY, None).outgoing == 1.0).all()


def test_odds_of_a_phone_grow_with_affluence():
    chance = chance_of_phone(0.75, np.log(2.0), np.array([-1.0, 0.0, 1.0]))
    assert chance.tolist() == pytest.approx([0.6, 0.75, 6 / 7])
    assert chance_of_phone(1.0, 3.0, np.array([-1.0])).tolist() == [1.0]
    assert chance_of_phone(0.0, 3.0, np.array([1.0])).tolist() == [0.0]


# --- nothing happens ----------------------------------------------------------------------------------


def test_an_employment_in_which_nothing_happens_is_the_city_without():
    params = CITY.model_copy(update={"n_devices": 40, "n_days": 10, "pings_per_day": 60.0})
    plain = simulate_bucket(params, 0, 1)
    same = simulate_bucket(with_events(params, employment=QUIET, phones=Phones()), 0, 1)
    assert plain.pings == same.pings and plain.stays == same.stays
    assert plain.people == same.people.select(plain.people.column_names)
    assert set(same.people.column_names) - set(plain.people.column_names) == {
        "home_tract_geoid", "affluence", "has_phone", "n_days_carried",
    }  # fmt: skip
    spells = plain.employment.to_pandas()
    assert len(spells) == 40 and spells.work_tract_geoid.isna().all()
    assert (spells.status == np.where(plain.people["is_employed"], "employed", "none")).all()


# --- losses, returns, changes -------------------------------------------------------------------------


def test_jobs_are_lost_at_the_rate_of_their_sector_and_week():
    shock = Shock(week=date(2020, 2, 3), shares={"72": 0.5, "44-45": 0.2})
    employment = quiet(usual_weekly_loss=0.01, shocks=(shock,), spell_days=1e6, spell_log_spread=0.0)
    people = draw_bucket(CITY.model_copy(update={"n_devices": 6_000, "employment": employment}), 0, 1).people
    works = people.is_employed
    is_lost, sector = people.status[works] == NOT_EMPLOYED, people.jobs.sector[: works.size][works]
    for day, naics, expected in (
        (6, None, 0.01), (27, None, 1 - 0.99**4), (34, "72", 1 - 0.99**5 * 0.5), (34, "44-45", 1 - 0.99**5 * 0.8),
        (34, "62", 1 - 0.99**5), (69, "72", 1 - 0.99**10 * 0.5),
    ):  # fmt: skip
        mine = slice(None) if naics is None else sector == SECTOR_NUMBERS[naics]
        share, n = is_lost[mine, day].mean(), is_lost[mine, day].size
        assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))


def test_spells_end_at_the_old_workplace_or_at_a_new_one():
    employment = quiet(usual_weekly_loss=0.05, spell_days=20.0, spell_log_spread=0.5, recall_share=0.3)
    params = CITY.model_copy(update={"n_days": 200, "employment": employment})
    spells = simulate_bucket(params, 0, 1).employment.to_pandas()
    length = (pd.to_datetime(spells.finished_on) - pd.to_datetime(spells.started_on)).dt.days + 1
    is_over = (spells.status == "not_employed") & (spells.shift(-1).device_id == spells.device_id)
    early = is_over & (spells.started_on < date(2020, 5, 1))  # so that nearly all of these are over in the study
    assert early.sum() > 500
    assert length[early].median() == pytest.approx(20.5, abs=2.0)
    assert np.log(length[early]).std() == pytest.approx(0.5, abs=0.07)
    assert length[early].min() >= 7
    is_back = spells.work_place_id == spells.shift(-1).work_place_id
    assert is_back[early].mean() == pytest.approx(0.3, abs=0.08)
    assert (spells.status.shift(-1)[early] == "employed").all()


def test_jobs_change_without_a_day_between():
    params = CITY.model_copy(update={"employment": quiet(weekly_change=0.05, same_sector_share=1.0)})
    bucket = simulate_bucket(params, 0, 1)
    spells = bucket.employment.to_pandas()
    works = spells[spells.status == "employed"]
    n_changes = len(works) - works.device_id.nunique()
    assert n_changes == pytest.approx(works.device_id.nunique() * 10 * 0.05, rel=0.15)
    follows = works.shift(-1).device_id == works.device_id
    one_day = pd.Timedelta(days=1)
    assert (pd.to_datetime(works.shift(-1).started_on) - pd.to_datetime(works.finished_on))[follows].eq(one_day).all()
    assert (works.work_place_id != works.shift(-1).work_place_id)[follows].all()
    assert (works.sector == works.shift(-1).sector)[follows].mean() > 0.99


# --- who works when and where ---------------------------------------------------------------------------


def test_part_time_is_fewer_days_or_half_days():
    params = CITY.model_copy(update={"employment": quiet(part_time_share=1.0), "day_off_share": 0.0, "n_days": 28})
    people = draw_bucket(params, 0, 1).people
    works, jobs = people.works[people.is_employed], people.jobs
    days = works.reshape(-1, 4, 7).sum(axis=2)
    row = np.flatnonzero(people.is_employed)
    assert (days == jobs.days_per_week[row, np.newaxis]).all() and jobs.is_part_time[row].all()
    is_half = jobs.days_per_week[row] == 5
    assert is_half.mean() == pytest.approx(0.4, abs=0.06)
    assert set(days[~is_half].ravel()) == {2, 3, 4}
    assert np.median(jobs.shift_length_s[row][is_half]) == pytest.approx(params.shift_length_s / 2, rel=0.03)
    assert np.median(jobs.shift_length_s[row][~is_half]) == pytest.approx(params.shift_length_s, rel=0.03)


def test_night_workers_are_at_work_by_night_and_at_home_by_day():
    params = CITY.model_copy(update={"employment": quiet(night_share=1.0), "n_days": 14, "day_off_share": 0.0})
    bucket = simulate_bucket(params, 0, 1)
    nights = bucket.employment.to_pandas()
    nights = nights[nights.is_night.fillna(False).astype(bool)]
    assert set(nights.sector) == {sector.naics for sector in SECTORS if sector.has_nights}
    stays = bucket.stays.to_pandas()
    stays = stays[stays.device_id.isin(nights.device_id)]
    local = stays.assign(
        start=stays.started_at.dt.tz_convert(params.zone).dt.tz_localize(None),
        end=stays.finished_at.dt.tz_convert(params.zone).dt.tz_localize(None),
    )

    def share(purpose, hour):
        at = [pd.Timestamp(START) + pd.Timedelta(days=day, hours=hour) for day in range(1, 13)]
        there = local[local.purpose == purpose]
        return np.mean([((there.start <= t) & (there.end > t)).sum() for t in at]) / nights.device_id.nunique()

    print(f"night workers at work at 3:00 {share('work', 3):.2f}, at home at 11:00 {share('home', 11):.2f}")
    assert share("work", 3) == pytest.approx(5 / 7, abs=0.05)
    assert share("work", 12) < 0.01 and share("home", 11) > 0.85
    assert local[local.purpose == "work"].groupby("device_id").size().max() == 10


def test_some_of_those_who_can_work_at_home_do_one_or_two_days_a_week():
    employment = quiet(usual_telework_share=0.5)
    params = CITY.model_copy(update={"employment": employment, "day_off_share": 0.0, "n_days": 28, "n_devices": 3_000})
    people = draw_bucket(params, 0, 1).people
    row = np.flatnonzero(people.is_employed)
    able = people.jobs.can_telework[row]
    for naics in ("54", "61", "62", "72"):
        mine = people.jobs.sector[row] == SECTOR_NUMBERS[naics]
        expected = SECTORS[SECTOR_NUMBERS[naics]].telework_share
        assert able[mine].mean() == pytest.approx(expected, abs=0.1)
    at_home = people.works_at_home[row].reshape(-1, 4, 7).sum(axis=2)
    assert not at_home[~able].any() and set(at_home[able].ravel()) == {0, 1, 2}
    assert (at_home[able, 0] > 0).mean() == pytest.approx(0.5, abs=0.06)
    assert not (people.works & people.works_at_home).any()


# --- lockdown and behaviour -----------------------------------------------------------------------------


def errands_per_day(drawn):
    """Errands by person and local day (no change of clocks in the study)."""
    diaries = drawn.diaries
    owner = np.repeat(np.arange(drawn.people.person.size), np.diff(diaries.first))
    day = (diaries.started_s - drawn.clock.opened_s) // 86_400
    counts = np.zeros(drawn.people.job.shape, int)
    is_errand = (diaries.purpose == 2) & (day < counts.shape[1])
    np.add.at(counts, (owner[is_errand], day[is_errand]), 1)
    return counts


def test_a_lockdown_keeps_everybody_nearer_home_and_those_who_can_at_home():
    lockdown = Lockdown(start=START + timedelta(28), end=START + timedelta(48), outgoing=0.4, lingering_days=0.0)
    params = CITY.model_copy(update={"employment": quiet(), "lockdown": lockdown, "day_off_share": 0.0})
    drawn = draw_bucket(params, 0, 1)
    people, errands = drawn.people, errands_per_day(drawn)
    before, during = errands[:, :28].mean(), errands[:, 28:49].mean()
    row = np.flatnonzero(people.is_employed)
    is_essential = np.isin(np.array(NAICS)[people.jobs.sector[row]], lockdown.essential)
    able = people.jobs.can_telework[row]
    remote = people.is_remote[row]
    print(f"errands a day {before:.2f} before, {during:.2f} in the lockdown; remote {remote[:, 30].mean():.2f}")
    assert during / before == pytest.approx(0.4, abs=0.04)
    assert not remote[:, :28].any() and not remote[:, 49:].any()
    assert not remote[is_essential].any() and not remote[~able].any()
    assert remote[able & ~is_essential, 30].mean() == pytest.approx(0.9, abs=0.05)
    assert not (people.works[row] & remote).any()
    at_home = people.works_at_home[row][:, 28:49][remote[:, 28:49]]
    assert at_home.mean() == pytest.approx(5 / 7, abs=0.02)
    off_remote = people.works[row][:, 28:49][~remote[:, 28:49]]
    assert off_remote.mean() == pytest.approx(5 / 7, abs=0.02)


def test_outings_after_a_loss_are_scaled_by_the_known_factor():
    losses = quiet(usual_weekly_loss=0.05, spell_days=1e6, spell_log_spread=0.0)
    effect = losses.model_copy(update={"loss_outgoing": 0.5})
    none, half = (
        draw_bucket(CITY.model_copy(update={"employment": employment}), 0, 1) for employment in (losses, effect)
    )
    lost = none.people.status == NOT_EMPLOYED
    assert (half.people.status == none.people.status).all()
    factor = half.people.outgoing / none.people.outgoing
    assert factor[lost] == pytest.approx(0.5) and (factor[~lost] == 1.0).all()
    ratio = errands_per_day(half)[lost].mean() / errands_per_day(none)[lost].mean()
    assert ratio == pytest.approx(0.5, abs=0.06)


# --- phones and tracts ------------------------------------------------------------------------------------


def test_a_biased_panel_reports_more_from_affluent_tracts_where_fewer_jobs_are_lost():
    drawn = draw_bucket(employment_scenario(4_000, 120, pings_per_day=1.0), 0, 1)
    people, affluence = drawn.people, drawn.areas.affluence[drawn.people.area]
    rich, poor = affluence > 0.5, affluence < -0.5
    works = people.is_employed
    lost = (people.status == NOT_EMPLOYED)[:, 105]
    print(
        f"phones {people.has_phone[rich].mean():.2f} in rich, {people.has_phone[poor].mean():.2f} in poor tracts; "
        f"without a job after the losses {lost[rich & works].mean():.3f} and {lost[poor & works].mean():.3f}; "
        f"all {lost[works].mean():.3f}, with a phone {lost[works & people.has_phone].mean():.3f}"
    )
    assert people.has_phone[rich].mean() > people.has_phone[poor].mean() + 0.2
    assert lost[poor & works].mean() > lost[rich & works].mean() + 0.02
    assert lost[works & people.has_phone].mean() < lost[works].mean() - 0.01


def test_phones_are_left_for_weeks_or_for_good():
    phones = Phones(weekly_stop=0.05, for_good_share=0.4, away_days=10.0, away_log_spread=0.3)
    carries = draw_bucket(CITY.model_copy(update={"phones": phones}), 0, 1).people.carries
    stops = carries[:, :-1] & ~carries[:, 1:]
    assert stops[:, :7].sum() == pytest.approx(1_200 * 0.05, abs=4 * np.sqrt(60))
    early = stops[:, :20].any(axis=1)
    assert (~carries[early, 60]).mean() == pytest.approx(0.4 + 0.6 * 0.07, abs=0.12)


def test_counties_are_sectors_of_the_city_and_one_is_as_ever():
    one = simulate_tracts(CITY)
    four = simulate_tracts(CITY.model_copy(update={"n_counties": 4}))
    assert set(one.tract_geoid.str[:5]) == {"09003"}
    assert set(four.tract_geoid.str[:5]) == {"09003", "09005", "09007", "09009"}
    assert one.geometry.equals(four.geometry) and one.tract_geoid.str[5:].equals(four.tract_geoid.str[5:])
    middle = four.dissolve(four.tract_geoid.str[:5]).geometry.representative_point()
    assert middle["09003"].x > CITY.centre_lon and middle["09003"].y > CITY.centre_lat


# --- the scenario -----------------------------------------------------------------------------------------


def test_the_scenario_loses_its_jobs_in_the_lockdown_where_guests_are_served(scenario):
    people = scenario.people
    works = people.is_employed
    lost = (people.status == NOT_EMPLOYED)[works]
    sector = np.array(NAICS)[people.jobs.sector[: works.size][works]]
    print("week       no job  at work  remote   72    71    44-45  54    (share of those who began with a job)")
    for day in range(0, 273, 14):
        week = slice(day, day + 7)
        by_sector = [lost[sector == naics, day].mean() for naics in ("72", "71", "44-45", "54")]
        at_work, remote = people.works[works, week].mean() * 7 / 5, people.is_remote[works, day].mean()
        print(
            f"{START + timedelta(day)}  {lost[:, day].mean():.3f}  {at_work:.3f}   {remote:.3f}  ",
            "  ".join(f"{share:.3f}" for share in by_sector),
        )
    before, peak, end = (lost[:, (day - START).days].mean() for day in
                         (date(2020, 3, 15), date(2020, 4, 15), date(2020, 9, 30)))  # fmt: skip
    assert before < 0.035 and 0.10 < peak < 0.18 and end < peak - 0.03
    remote = people.is_remote[works]
    day = (LOCKDOWN.start - START).days
    assert not remote[:, :day].any() and 0.2 < remote[:, day].mean() < 0.4
    assert 0 < remote[:, 272].mean() < 0.05


def test_the_scenario_loses_its_shares_in_four_weeks(scenario):
    params, people = scenario.params, scenario.people
    rules = career_rules(params, params.employment, scenario.areas.affluence)
    shocks = params.employment.shocks
    for naics, share in LOST_SHARES.items():
        assert np.prod([1 - shock.shares[naics] for shock in shocks]) == pytest.approx(1 - share, abs=1e-5)
    first, last = (date(2020, 3, 16) - START).days, (date(2020, 4, 12) - START).days
    held = people.is_employed & (people.status[:, first - 1] != NOT_EMPLOYED)
    sector = people.jobs.sector[people.job[held, first - 1]]
    chance = rules.loss_chance[10:14][:, sector] * rules.loss_factor[people.area[held]]
    expected = 1 - np.prod(1 - np.minimum(chance, 1.0), axis=0)
    is_hit = (people.status[held, first : last + 1] == NOT_EMPLOYED).any(axis=1)
    for number, naics in enumerate(NAICS):
        mine = sector == number
        spread = np.sqrt((expected[mine] * (1 - expected[mine])).sum()) + 0.5
        assert abs(is_hit[mine].sum() - expected[mine].sum()) <= 4 * spread, naics
