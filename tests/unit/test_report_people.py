"""The parts of the report about people, on tables small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.representativeness import panel_size
from pipeline.report.groups import hide_small
from pipeline.report.homes import (
    PLACES,
    count_places,
    count_weeks,
    measure_homes,
    suppress_places,
    suppress_weeks,
    weeks_of,
)
from pipeline.report.losses import choose_month, measure_losses, signed, tabulate_groups
from pipeline.report.missing import Missing
from pipeline.report.panel import differences, measure_groups, measure_panel, widest
from pipeline.report.people import draw_people, measure_people
from pipeline.report.working import (
    choose_weeks,
    count_statuses,
    join_waves,
    measure_sectors,
    measure_working,
    share_statuses,
)
from tests import people_root
from tests.people_root import MONDAYS, N_WORKERS, study_of, write_people
from tests.unit.test_report_figures import svg_of


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people"))


# --- Small groups -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([30, 0, 12], [30, 0, 12]),
        ([30, 4, 0], [None, None, 0]),
        ([30, 4, 12], [30, None, None]),
        ([30, 4, 6], [30, None, None]),
        ([3, 0, 0], [None, 0, 0]),
        ([0, 0], [0, 0]),
    ],
)
def test_a_small_group_is_not_given_away_by_the_rest(counts, shown):
    found = hide_small(counts)
    assert [None if np.isnan(n) else n for n in found] == shown


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_what_is_hidden_is_never_a_small_group_but_where_all_are(counts):
    found = hide_small(counts)
    hidden = np.array(counts)[np.isnan(found)]
    assert not ((found > 0) & (found < 10)).any()
    assert (found[~np.isnan(found)] == np.array(counts)[~np.isnan(found)]).all()
    assert hidden.sum() == 0 or hidden.sum() >= 10 or sum(counts) == hidden.sum()


# --- Homes and workplaces -----------------------------------------------------------------------


def test_places_are_counted_once_a_device_role_and_span():
    rows = [
        (1, "moving", "home", 4), (1, "moving", "home", 4), (1, "moving", "home", 5), (1, "moving", "work", 4),
        (2, "moving", "home", 0), (2, "baseline", "home", 0),
        *((3, "moving", "home", place) for place in range(5)),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["device_id", "span", "role", "location_id"])
    assert count_places(frame).to_dict() == {
        ("home", "baseline", 1): 1,
        ("home", "moving", 1): 1,
        ("home", "moving", 2): 1,
        ("home", "moving", 3): 1,
        ("work", "moving", 1): 1,
    }


def test_spans_of_days_lie_in_every_week_they_touch():
    spans = pd.DataFrame(
        {
            "device_id": [1, 1, 2],
            "window_started": pd.to_datetime(["2020-01-06", "2020-01-19", "2020-01-12"]),
            "window_finished": pd.to_datetime(["2020-01-12", "2020-02-02", "2020-01-13"]),
        }
    )
    found = weeks_of(spans, study_of())
    at = [(row.device_id, row.started.day) for row in found.itertuples()]
    assert at == [(1, 6), (1, 13), (1, 20), (1, 27), (2, 6), (2, 13)]


def test_a_home_counts_in_weeks_with_a_ping_alone():
    days = pd.DataFrame({"device_id": [1, 1, 2], "date": pd.to_datetime(["2020-01-08", "2020-01-09", "2020-01-20"])})
    spans = pd.DataFrame(
        {
            "device_id": [1, 2],
            "span": ["moving", "baseline"],
            "role": "home",
            "window_started": pd.to_datetime(["2020-01-06"] * 2),
            "window_finished": pd.to_datetime(["2020-01-26"] * 2),
        }
    )
    found = count_weeks(spans, days, study_of())
    assert found["seen"].tolist() == [1, 1]
    assert found["home"].tolist() == [1, 0]
    assert found["work"].tolist() == [0, 0]


def test_weeks_hide_few_with_a_place_and_few_without():
    counts = pd.DataFrame({"seen": [40, 40, 40, 9], "home": [9, 31, 30, 9], "work": [0, 40, 10, 0]}, index=MONDAYS[:4])
    found = suppress_weeks([counts], study_of())
    assert len(found) == len(MONDAYS)
    assert found["seen"].fillna(-1).tolist()[:4] == [40, 40, 40, -1]
    assert found["home"].fillna(-1).tolist()[:4] == [-1, -1, 30, -1]
    assert found["work"].fillna(-1).tolist()[:4] == [0, 40, 10, -1]
    assert found["seen"].isna()[4:].all()


@pytest.mark.parametrize(
    ("n_devices", "one", "two", "shown"),
    [(60, 40, 0, [20, 40, 0]), (60, 39, 1, [20, -1, -1]), (60, 30, 12, [18, 30, 12]), (60, 40, 15, [-1, 40, -1])],
)
def test_places_hide_small_groups_and_what_gives_them_away(n_devices, one, two, shown):
    counts = pd.Series({("work", "baseline", 1): one, ("work", "baseline", 2): two})
    found = suppress_places([counts[counts > 0]], n_devices).set_index("label")
    assert found.loc["Workplace, in the baseline", list(PLACES)].fillna(-1).tolist() == [*shown, 0]


def test_homes_of_the_root(store):
    homes = measure_homes(store, study_of())
    assert homes.n_devices == 60
    assert homes.baseline == ("2020-01-06", "2020-03-01")
    table = homes.n_places.set_index("label")[list(PLACES)].fillna(-1)
    # Seven have two: hidden, and those with one with them, as the page tells how many have a home.
    assert table.loc["Home, in the baseline"].tolist() == [12, -1, -1, 0]
    assert table.loc["Home, in any week"].tolist() == [12, 48, 0, 0]
    assert table.loc["Workplace, in the baseline"].tolist() == [20, 40, 0, 0]
    weeks = homes.weeks
    assert weeks["seen"].tolist() == [60] * 10 + [57] * 10
    assert weeks["home"].tolist() == [48] * 10 + [45] * 10
    assert weeks["work"].tolist() == [0] * 4 + [40] * 6 + [37] * 10
    assert homes.confidence["home"].n_rows.sum() == 48
    assert homes.confidence["work"].n_rows.sum() == 40
    assert homes.confidence["work"].edges[[0, -1]] == pytest.approx([0.55, 0.95])


# --- Representativeness -------------------------------------------------------------------------


def test_groups_known_for_few_homes_are_left_out(store):
    panel = measure_panel(store, study_of())
    assert panel.size == panel_size(people_root.panel_weights(), people_root.tracts())
    assert panel.size.effective["unweighted"] == 48
    assert panel.groups["axis"].unique().tolist() == ["age", "sex"]  # education: nine devices
    old = panel.groups.set_index(["axis", "group"]).loc[("age", "from_55")]
    shares = np.array([0.1, 0.25, 50 / 140])
    assert old["population"] == pytest.approx((shares * [1, 2, 3]).sum() / 6)
    assert old["unweighted"] == pytest.approx((shares * [25, 14, 9]).sum() / 48)
    assert differences(panel.groups)["unweighted"].iloc[0] == pytest.approx(old["unweighted"] - old["population"])
    group, gap = widest(panel.groups, "unweighted")
    assert group.startswith("age:")
    assert abs(gap) == pytest.approx(abs(old["unweighted"] - old["population"]))


def test_unknown_weights_are_no_column_of_the_differences():
    weights = people_root.panel_weights().assign(raked_weight=np.nan)
    groups = measure_groups(weights, people_root.tracts(), people_root.demographics(), study_of())
    assert groups["raked"].isna().all()
    assert list(differences(groups)) == ["unweighted", "area"]


# --- Employment ---------------------------------------------------------------------------------


def test_statuses_are_shares_of_those_known():
    rows = [(MONDAYS[0], s) for s in ["employed"] * 12 + ["not_employed"] * 3 + ["unknown"] * 9]
    rows += [(MONDAYS[1], s) for s in ["employed"] * 9]
    frame = pd.DataFrame(rows, columns=["window_started", "status"])
    found = share_statuses([count_statuses(frame[::2]), count_statuses(frame[1::2])])
    assert found["n_known"].fillna(-1).tolist() == [15, -1]
    assert found["employed"].fillna(-1).tolist() == [0.8, -1]
    assert found["not_employed"].isna().tolist() == [True, True]
    assert found["remote"].fillna(-1).tolist() == [0, -1]


def test_statuses_of_the_root(store):
    working = measure_working(store)
    assert working.n_devices == N_WORKERS
    weeks = working.weeks
    assert weeks["started"].tolist() == MONDAYS.tolist()
    assert weeks["n_known"].tolist() == [40] * 19 + [35]
    assert weeks["not_employed"].tolist() == [0] * 10 + [12 / 40] * 9 + [12 / 35]
    # Two of the eleven go on working away: too few to be told.
    assert weeks["remote"].fillna(-1).tolist() == [0] * 10 + [11 / 40] * 4 + [-1] * 6


def test_waves_are_added_up_and_loss_is_the_mean_of_those_at_risk():
    frame = pd.DataFrame(
        {
            "window_started": MONDAYS[0],
            "wave": ["none", "2020-03-16", "none"],
            "sector": ["72", "72", "11"],
            "weight": [20.0, 20.0, 5.0],
            "at_risk_share": [0.1, 0.3, 0.0],
            "telework_share": [0.0, 0.15, 0.2],
            "loss_probability": [1.0, 0.5, 0.0],
        }
    )
    found = join_waves(frame).set_index("sector")
    assert found.loc["72"].to_dict() == {
        "window_started": MONDAYS[0],
        "weight": 20.0,
        "absent": pytest.approx(0.4),
        "telework": 0.15,
        "loss": pytest.approx((0.1 + 0.15) / 0.4),
    }
    assert found.loc["11", "loss"] == 0


def test_the_peak_is_not_sought_where_few_are_observed():
    sums = pd.DataFrame(
        {
            "window_started": MONDAYS[:4],
            "sector": "72",
            "weight": [100.0, 90.0, 20.0, 9.0],
            "absent": [0.1, 0.2, 0.9, 1.0],
        }
    )
    assert choose_weeks(sums) == [("Last week", MONDAYS[1])]
    assert choose_weeks(sums.iloc[::-1].assign(absent=[0.0, 0.0, 0.1, 0.3])) == [
        ("Peak week", MONDAYS[0]),
        ("Last week", MONDAYS[1]),
    ]
    assert choose_weeks(sums.iloc[3:]) == []


def test_industries_of_the_root(store):
    peak, last = measure_sectors(store, study_of())
    assert (peak.monday, last.monday) == (MONDAYS[12], MONDAYS[19])
    assert peak.rows["label"].tolist() == ["44-45 Retail", "72 Hotels and restaurants"]
    assert peak.n_hidden == last.n_hidden == 1
    retail = peak.rows.iloc[0]
    assert retail["weight"] == 15
    assert retail["absent"] == pytest.approx(0.1 / 4 + 0.2)
    assert retail["telework"] == pytest.approx(0.05)
    assert retail["loss"] == pytest.approx((0.025 * 1 + 0.2 * 0.75) / 0.225)


# --- Effects ------------------------------------------------------------------------------------


def test_the_month_by_group_is_the_last_that_is_nearly_whole():
    effects = people_root.employment_effects()
    assert choose_month(effects) == 2  # in month 3 groups are missing
    assert choose_month(effects[effects["axis"] == "all"]) == 3


def test_effects_of_the_root(store):
    losses = measure_losses(store)
    effects = people_root.employment_effects()
    assert (losses.month, losses.n_devices) == (2, 30)
    assert losses.n_estimates == (effects["std_error"] > 0).sum()
    assert losses.n_clear == (effects["p_adjusted"] < 0.05).sum()
    table = pd.DataFrame(tabulate_groups(losses)).set_index("label")
    assert table.index.tolist() == ["everybody", "age: from 55", "sex: female", "sex: male"]
    assert table.loc["everybody", "gyration_m"] == "−1.20 ± 0.39*"
    assert (table.loc["sex: male", "n_least"], table.loc["sex: male", "n_most"]) == (14, 14)
    assert signed(-0.004) == "−0.00"
    assert signed(1.5) == "+1.50"


def test_a_measure_without_a_row_of_a_group_has_no_words(store):
    losses = measure_losses(store)
    effects = losses.effects
    gone = (effects["measure"] == "n_familiar") & (effects["group"] == "male")
    row = tabulate_groups(losses._replace(effects=effects[~gone]))[-1]
    assert row["label"] == "sex: male"
    assert row["n_familiar"] is None
    assert row["gyration_m"] is not None


# --- What is missing ----------------------------------------------------------------------------


def test_a_root_without_tables_says_so(tmp_path):
    people = measure_people(people_root.Store(tmp_path), study_of())
    assert all(isinstance(part, Missing) and part.why.endswith("has not been computed.") for part in people)
    assert draw_people(people) == {}


def test_a_study_without_sections_says_which(store):
    plain = study_of(tracts=None, demographics=None, jobs=None, official_rates=None)
    people = measure_people(store, plain)
    assert "[tracts]" in people.panel.why
    assert "[jobs]" in people.sectors.why
    assert "[official_rates]" in people.rates.official.why
    people = measure_people(store, study_of(demographics=None))
    assert "[demographics]" in people.panel.groups.why
    assert {"groups"} == set(draw_people(measure_people(store, study_of()))) - set(draw_people(people))


def test_empty_tables_say_that_there_is_nobody(tmp_path):
    store = people_root.Store(tmp_path)
    for frame, table in (
        (people_root.panel_weights(), people_root.PANEL_WEIGHTS),
        (people_root.tracts(), people_root.TRACTS),
        (people_root.unemployment(), people_root.UNEMPLOYMENT),
        (people_root.employment_effects(), people_root.EMPLOYMENT_EFFECTS),
        (people_root.sector_absence(), people_root.SECTOR_ABSENCE),
    ):
        store.write(table, people_root.ALL, people_root.as_table(table, frame.iloc[:0]), {})
    for table, frame in ((people_root.HOME_WORK, people_root.home_work()), (people_root.EMPLOYMENT, None)):
        rows = (people_root.employment() if frame is None else frame).iloc[:0]
        people_root.write_buckets(store, table, rows)
    people = measure_people(store, study_of())
    assert all(isinstance(part, Missing) for part in people[1:])
    assert people.homes.n_devices == 0
    assert draw_people(people) == {}


# --- Drawing ------------------------------------------------------------------------------------


def test_images_of_people_are_the_same_bytes_each_time_and_have_words(store):
    people = measure_people(store, study_of())
    first, second = draw_people(people), draw_people(people)
    assert list(first) == [
        "places", "confidence", "groups", "statuses", "rates", "official",
        "effects", "effects_gyration_m",
    ]  # fmt: skip
    for name, image in first.items():
        assert image == second[name], name
        assert 'href="http' not in svg_of(image), name
        assert len(image.alt) > 60 and image.alt.endswith("."), name
        assert "nan" not in image.alt, name


def test_alternative_texts_have_the_numbers(store):
    alts = {name: image.alt for name, image in draw_people(measure_people(store, study_of())).items()}
    assert "With a home: 48 in the week of 6 January 2020 and 45 in that of 18 May 2020" in alts["places"]
    assert "at work 100\N{NO-BREAK SPACE}% and 60\N{NO-BREAK SPACE}%" in alts["statuses"]
    assert "working away 0\N{NO-BREAK SPACE}% and not shown" in alts["statuses"]
    assert (
        "raked 3\N{NO-BREAK SPACE}% in the first month and at most 28.5\N{NO-BREAK SPACE}%, in May 2020"
        in alts["rates"]
    )
    assert "Month 2: radius of gyration −1.20 km (−1.59 to −0.81)" in alts["effects"]
