"""Facts of weeks: numbers by hand, sentences that are read back, and sentences that are refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.models.language import facts as f

FACTS = (f.Fact("visits", -35), f.Fact("distance_m", 0), f.Fact("contacts", 10))
percents = st.integers(-20, 41).map(lambda k: k * f.STEP_PERCENT)
some_facts = st.dictionaries(st.sampled_from(list(f.NAMES)), percents, min_size=1).map(
    lambda found: tuple(f.Fact(*item) for item in found.items())
)


def changes(**columns):
    days = pd.date_range("2020-03-02", periods=7)
    rows = {
        "region_geoid": "04", "axis": "all", "group": "all", "date": days, "measure": "visits", "n_devices": 12,
        "log_change": np.log(0.65),
    }  # fmt: skip
    return pd.DataFrame({**rows, **columns})


@given(facts=some_facts, style=st.integers(0, f.N_STYLES - 1))
def test_every_sentence_of_facts_is_read_back_as_right(facts, style):
    assert f.check(f.sentence(facts, style), facts) == f.Checked(len(facts), 0)


@given(facts=some_facts, others=some_facts, style=st.integers(0, f.N_STYLES - 1))
def test_a_sentence_of_other_facts_is_wrong(facts, others, style):
    assert (f.check(f.sentence(others, style), facts).n_wrong == 0) == (dict(facts) == dict(others))


@pytest.mark.parametrize(
    ("text", "n_wrong"),
    [
        ("Visits fell by about 35 %, distance changed little and contacts rose by about 10 %.", 0),
        ("Visits rose by about 35 %, distance changed little and contacts rose by about 10 %.", 1),
        ("Visits fell by about 30 %, distance changed little and contacts rose by about 10 %.", 1),
        ("Visits fell by about 35.5 %, distance changed little and contacts rose by about 10 %.", 1),
        ("Visits not fell by about 35 %, distance changed little and contacts rose by about 10 %.", 1),
        ("Visits fell by about 35 %, distance changed little.", 1),
        ("Visits fell by about 35 %, visits fell by about 35 %, distance changed little.", 2),
        ("Visits fell by about 35 %, distance changed little and contacts rose by about 10 % because of rain.", 1),
        ("At 4321 Elm Street visits fell by about 35 %, distance changed little and contacts rose by about 10 %.", 1),
        ("Visits fell by about 35 %, distance changed little, contacts rose by about 10 %, range changed little.", 1),
        ("Visits fell by more than 35 %, distance changed little and contacts rose by about 10 %.", 1),
        ("Visits fell by about 035 %, distance changed little and contacts rose by about 10 %.", 1),
        ("Visits fell by about ٣٥ %, distance changed little and contacts rose by about 10 %.", 1),
        ("Visits fell by about 35 %, distance rose by about 0 % and contacts rose by about 10 %.", 1),
        ("Visits fell by about 35 %, distance changed little and contacts rose by about 10 %", 1),
        ("Visits fell by about 35 %, distance changed little and contacts rose by about 10 % and", 1),
        ("Visits fell by about 35 %, distance changed little and contacts rose by about 10 %..", 1),
        ("Visits fell by about 35 %distance changed little and contacts rose by about 10 %.", 1),
        ("Visits fell by about 35 % and,, distance changed little and contacts rose by about 10 %.", 1),
        ("visits fell by about 35 %, distance changed little and contacts rose by about 10 %.", 1),
        ("", 3),
    ],
)
def test_what_a_text_gets_wrong_is_counted(text, n_wrong):
    assert f.check(text, FACTS).n_wrong == n_wrong


def test_changes_beyond_what_is_told_are_told_as_more_than_it():
    facts = (f.Fact("visits", f.to_percent(np.log(12))), f.Fact("contacts", f.to_percent(np.log(0.024))))
    text = f.sentence(facts)
    assert text == "Visits rose by more than 200 % and contacts fell by more than 95 %."
    assert f.as_text(facts) == "visits beyond +200 %; contacts beyond -95 %"
    assert f.check(text, facts).n_wrong == 0
    for wrong in ("about 200", "about 205", "more than 205", "more than 95"):
        assert f.check(text.replace("more than 200", wrong), facts).n_wrong == 1
    assert f.check("Visits rose by more than 200 %.", [f.Fact("visits", 200)]).n_wrong == 1
    assert f.check("Contacts fell by about 100 %.", [f.Fact("contacts", -100)]).n_wrong == 1


def test_a_week_is_the_mean_of_its_days_in_steps():
    (week,) = f.weeks_of(changes())
    assert (week.region_geoid, str(week.started.date()), week.n_devices) == ("04", "2020-03-02", 12)
    assert week.facts == (f.Fact("visits", -35),)
    assert f.sentence(week.facts) == "Visits fell by about 35 %."
    assert f.as_text(FACTS) == "visits -35 %; distance +0 %; contacts +10 %"


@pytest.mark.parametrize(
    ("log_change", "percent"), [(0.0, 0), (np.log(1.02), 0), (np.log(1.03), 5), (-5, -100), (3, 205), (np.log(12), 205)]
)
def test_percent_in_steps(log_change, percent):
    assert f.to_percent(log_change) == percent


@pytest.mark.parametrize(
    "columns",
    [{"n_devices": 9}, {"log_change": np.nan}, {"axis": "income"}, {"measure": "minutes"}],
)
def test_what_may_not_or_need_not_be_told_is_not(columns):
    assert f.weeks_of(changes(**columns)) == []
    assert f.weeks_of(changes().head(f.MIN_DAYS - 1)) == []
    assert f.weeks_of(changes().head(0)) == []


def test_order_of_rows_changes_nothing():
    rows = pd.concat([changes(log_change=np.linspace(-1, 0.4, 7)), changes(region_geoid="21", measure="contacts")])
    assert f.weeks_of(rows.sample(frac=1, random_state=1)) == f.weeks_of(rows)


def test_vectors_mark_the_change_and_what_is_known():
    vector = f.as_vector(FACTS).reshape(len(f.NAMES), f.N_BINS + 1)
    assert vector[0, : f.N_BINS].argmax() in (6, 7)
    assert vector[0, 6] == pytest.approx(np.exp(-0.25))
    assert vector[1, 10] == 1
    assert vector[:, -1].tolist() == [1, 1, 0, 1]
    assert not vector[2].any()


def test_no_more_is_told_than_an_export_tells():
    """Days are rounded to 0.025 as in an export, 2.5 %, which is told as 5; 0.0228 alone would be told as 0."""
    percents = {}
    for log_change in (0.0228, 0.0249, 0.0272, 0.0274):
        percents[log_change] = f.weeks_of(changes(log_change=log_change))[0].facts[0].percent
    assert set(percents.values()) == {f.to_percent(0.025)} != {f.to_percent(0.0228)}
