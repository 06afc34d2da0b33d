"""Whatever happens to the people of a city: their statuses, their diaries and their phones agree."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.simulation import CityParams, Employment, Lockdown, Phones, Shock, simulate_bucket
from pipeline.simulation.bucket import draw_bucket
from pipeline.simulation.careers import STATUSES
from pipeline.simulation.phones import chance_of_phone
from pipeline.simulation.sectors import SECTORS
from tests.naive_employment_history import (
    naive_career,
    naive_carried,
    naive_going_out,
    naive_lockdown_factor,
    naive_spells,
)

START = date(2020, 3, 4)  # a Wednesday; clocks change on the 8th
NAICS = [sector.naics for sector in SECTORS]
EVENING_S = 3 * 3_600  # somebody late for a night shift may arrive after midnight; day shifts start after this hour

shares = st.floats(0, 1)
shocks = st.builds(
    Shock,
    week=st.sampled_from([date(2020, 3, 2), date(2020, 3, 9), date(2020, 3, 16)]),
    shares=st.dictionaries(st.sampled_from(NAICS), shares, max_size=20),
)
employments = st.builds(
    Employment,
    part_time_share=shares,
    half_day_share=shares,
    night_share=shares,
    usual_telework_share=shares,
    sector_tilt=st.floats(0, 3),
    weekly_loss=st.dictionaries(st.sampled_from(NAICS), shares, max_size=5),
    usual_weekly_loss=st.floats(0, 0.3),
    shocks=st.lists(shocks, max_size=2).map(tuple),
    loss_tilt=st.floats(0, 3),
    spell_days=st.floats(1, 20),
    recall_share=shares,
    weekly_change=st.floats(0, 0.5),
    same_sector_share=shares,
    loss_outgoing=st.floats(0, 1.5),
    loss_outgoing_per_month=st.floats(0.1, 1.5),
    loss_outgoing_floor=shares,
)
lockdowns = st.none() | st.builds(
    lambda first, n_days, **other: Lockdown(start=first, end=first + timedelta(days=n_days), **other),
    first=st.dates(date(2020, 2, 25), date(2020, 3, 25)),
    n_days=st.integers(0, 15),
    outgoing=shares,
    recovery_days=st.just(0.0) | st.floats(0.1, 20),
    telework_uptake=shares,
    lingering_days=st.floats(0, 10),
)
phone_panels = st.none() | st.builds(
    Phones, share=shares, tilt=st.floats(-5, 5), weekly_stop=shares, for_good_share=shares, away_days=st.floats(1, 20)
)
cities = st.builds(
    CityParams,
    seed=st.integers(0, 2**63 - 1),
    n_devices=st.integers(1, 12),
    n_days=st.integers(1, 26),
    start=st.just(START),
    pings_per_day=st.floats(5, 40),
    employed_share=st.floats(0.5, 1),
    n_places=st.just(100),
    n_workplaces=st.integers(20, 60),
    n_tracts=st.just(12),
    n_counties=st.integers(1, 4),
    employment=employments,
    lockdown=lockdowns,
    phones=phone_panels,
)


def days_of(table, column):
    return (pd.to_datetime(table[column]) - pd.Timestamp(START)).dt.days


@settings(max_examples=40, deadline=None)
@given(cities)
def test_careers_are_those_of_the_naive_calendar(params):
    drawn = draw_bucket(params, 0, 1)
    people, jobs = drawn.people, drawn.people.jobs
    for k in range(params.n_devices):
        if not people.is_employed[k]:
            assert (people.job[k] == -1).all() and {STATUSES[s] for s in people.status[k]} == {"none"}
            continue
        job = people.job[k]
        assert job[0] == k or params.employment.weekly_change > 0
        before = [NAICS[jobs.sector[row]] for row in [k, *job[:-1]]]
        expected = naive_career(params, k, drawn.areas.affluence[people.area[k]], before)
        assert [STATUSES[s] for s in people.status[k]] == [status for status, _, _ in expected]
        is_new = [row != eve for row, eve in zip(job, [k, *job[:-1]], strict=True)]
        assert is_new == [new for _, _, new in expected]
        factors = [
            naive_going_out(params.employment, since)
            * naive_lockdown_factor(params.lockdown, START + timedelta(days=day))
            for day, (_, since, _) in enumerate(expected)
        ]
        assert people.outgoing[k] / people.outgoing[k].max(initial=1e-300) == pytest.approx(
            np.array(factors) / max(*factors, 1e-300), rel=1e-9, abs=1e-12
        )
    changed = np.flatnonzero(people.job[:, 1:] != people.job[:, :-1])
    for cell in changed:
        k, day = divmod(int(cell), params.n_days - 1)
        assert jobs.workplace[people.job[k, day]] != jobs.workplace[people.job[k, day + 1]]


@settings(max_examples=40, deadline=None)
@given(cities)
def test_spells_cover_the_study_of_everybody_once(params):
    bucket, people = simulate_bucket(params, 0, 1), draw_bucket(params, 0, 1).people
    table = bucket.employment.to_pandas()
    first, last = days_of(table, "started_on"), days_of(table, "finished_on")
    assert (last >= first).all()
    for k, device in enumerate(bucket.people["device_id"].to_pylist()):
        mine = table.device_id == device
        states = list(zip(people.status[k], people.job[k], people.is_remote[k], strict=True))
        expected = naive_spells(states)
        assert list(zip(first[mine], last[mine], strict=True)) == [spell[:2] for spell in expected]
        assert table.status[mine].tolist() == [STATUSES[state[0]] for *_, state in expected]
        assert table.is_remote[mine].tolist() == [bool(state[2]) for *_, state in expected]
        for row, (*_, (_, job, _)) in zip(table[mine].itertuples(), expected, strict=True):
            if job < 0:
                assert pd.isna(row.sector) and pd.isna(row.work_place_id) and pd.isna(row.work_tract_geoid)
            else:
                assert row.sector == NAICS[people.jobs.sector[job]]
                assert row.work_place_id == params.n_places + people.jobs.workplace[job]
    assert table.is_remote[table.status != "employed"].sum() == 0


@settings(max_examples=40, deadline=None)
@given(cities)
def test_nobody_is_at_a_workplace_but_that_of_a_job_held_and_not_done_at_home(params):
    bucket = simulate_bucket(params, 0, 1)
    stays, table = bucket.stays.to_pandas(), bucket.employment.to_pandas()
    work = stays[stays.purpose == "work"]
    local = work.started_at.dt.tz_convert(params.zone).dt.tz_localize(None) - pd.Timedelta(seconds=EVENING_S)
    work = work.assign(day=(local - pd.Timestamp(START)).dt.days)
    table = table.assign(first=days_of(table, "started_on"), last=days_of(table, "finished_on"))
    joined = work.merge(table, on="device_id")
    spell = joined[(joined["day"] >= joined["first"]) & (joined["day"] <= joined["last"])]
    assert len(spell) == len(work)
    assert (spell.status == "employed").all() and not spell.is_remote.any()
    assert (spell.place_id == spell.work_place_id).all()


@settings(max_examples=40, deadline=None)
@given(cities)
def test_phones_report_only_where_they_are_and_are_carried(params):
    drawn = draw_bucket(params, 0, 1)
    people, pings, areas = drawn.people, drawn.pings, drawn.areas
    assert (people.area >= 0).all()
    if params.phones:
        chance = chance_of_phone(params.phones.share, params.phones.tilt, areas.affluence)
        for k in range(params.n_devices):
            has_phone, carried = naive_carried(params, k, chance[people.area[k]])
            assert people.has_phone[k] == has_phone and people.carries[k].tolist() == carried
    at = pd.to_datetime(pings.received_s + drawn.clock.opened_s, unit="s", utc=True).tz_convert(params.zone)
    day = (at.tz_localize(None) - pd.Timestamp(START)).days.to_numpy()
    assert people.has_phone[pings.owner].all()
    assert people.carries[pings.owner, day].all()


@settings(max_examples=20, deadline=None)
@given(cities, st.integers(2, 5))
def test_events_do_not_depend_on_the_number_of_buckets(params, n_buckets):
    whole = simulate_bucket(params, 0, 1)
    parts = [simulate_bucket(params, bucket, n_buckets) for bucket in range(n_buckets)]
    for name in ("pings", "stays", "people", "employment"):
        frames = [getattr(part, name).to_pandas().astype({"device_id": str}) for part in parts]
        together = pd.concat(frames).sort_values(list(frames[0].columns), ignore_index=True)
        alone = getattr(whole, name).to_pandas().astype({"device_id": str})
        alone = alone.sort_values(list(alone.columns), ignore_index=True)
        pd.testing.assert_frame_equal(together.astype(alone.dtypes), alone)


@settings(max_examples=20, deadline=None)
@given(cities, st.integers(1, 9))
def test_a_longer_study_begins_like_a_shorter_one_whatever_happens(params, more):
    longer = params.model_copy(update={"n_days": params.n_days + more})
    short, long = draw_bucket(params, 0, 1).people, draw_bucket(longer, 0, 1).people
    for name in ("status", "is_remote", "works", "works_at_home", "carries", "outgoing"):
        np.testing.assert_array_equal(getattr(short, name), getattr(long, name)[:, : params.n_days])
    held = short.job >= 0
    one, other = short.jobs.workplace[short.job], long.jobs.workplace[long.job[:, : params.n_days]]
    np.testing.assert_array_equal(one[held], other[held])


@settings(max_examples=20, deadline=None)
@given(cities)
def test_a_city_without_losses_is_the_counterfactual(params):
    """Everybody lives the same days up to the first loss, and those who lose nothing all their days."""
    kept = params.employment.model_copy(update={"usual_weekly_loss": 0.0, "weekly_loss": {}, "shocks": ()})
    fact = draw_bucket(params, 0, 1)
    other = draw_bucket(params.model_copy(update={"employment": kept}), 0, 1)
    assert not (other.people.status == STATUSES.index("not_employed")).any()
    lost = fact.people.status == STATUSES.index("not_employed")
    first_loss = np.where(lost.any(axis=1), lost.argmax(axis=1), params.n_days)
    for k in range(params.n_devices):
        until_s = fact.clock.opened_s + (int(first_loss[k]) - 1) * 86_400
        mine, theirs = (slice(*d.diaries.first[k : k + 2]) for d in (fact, other))
        one = [(s, p) for s, p in zip(fact.diaries.started_s[mine], fact.diaries.place[mine], strict=True)]
        two = [(s, p) for s, p in zip(other.diaries.started_s[theirs], other.diaries.place[theirs], strict=True)]
        assert [row for row in one if row[0] < until_s] == [row for row in two if row[0] < until_s]
        if first_loss[k] == params.n_days:
            assert one == two
