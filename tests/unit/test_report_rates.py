"""Rates of job loss in the report, beside the official ones."""

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.unemployment import Asked, Correlation, compare_rates
from pipeline.report.missing import Missing
from pipeline.report.rates import find_lags, index_series, measure_official, measure_rates, tabulate_months
from tests import people_root
from tests.people_root import MONTHS, study_of, write_people


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people"))


def test_months_of_the_whole_study_under_each_weighting(store):
    rates = measure_rates(store, study_of())
    assert rates.months["region_geoid"].unique().tolist() == ["all"]
    assert rates.months["window"].unique().tolist() == ["month"]
    first = tabulate_months(rates.months)[0]
    assert first == {
        "month": "2020-01",
        "n_devices": 38,
        "is_provisional": False,
        "none": "2.0 (1.6 to 2.4)",
        "area": None,
        "raked": "3.0 (2.4 to 3.6)",
    }


def test_series_are_held_against_their_means_over_common_months(store):
    table = people_root.unemployment()
    raked = table[table["weighting"] == "raked"]
    official = people_root.official_rates()
    found = index_series(raked, official)
    assert set(found["region"]) == {"36"}
    assert set(found["series"]) == {"rate", "laus_rate", "continued_claims"}
    for _, rows in found.groupby("series"):
        assert rows["started"].tolist() == MONTHS[:4].tolist()
        assert rows["value"].mean() == pytest.approx(1)
    ours = found[found["series"] == "rate"]
    assert (ours["high"] / ours["value"]).tolist() == pytest.approx([1.2] * 4)
    claims = found[found["series"] == "continued_claims"]["value"].to_numpy()
    by_month = np.array([0.01 + 0.005 * k for k in (1.5, 5.5, 10, 14.5)])
    assert claims == pytest.approx(by_month / by_month.mean())


def test_regions_without_a_common_month_are_not_drawn():
    table = people_root.unemployment()
    late = people_root.official_rates().assign(window_started=pd.Timestamp("2021-03-01"))
    assert index_series(table, late.drop_duplicates(["region_geoid", "series"])).empty
    assert index_series(table, late[late["region_geoid"] == "04"]).empty


def test_the_correlations_are_those_of_the_evaluation(store):
    official = measure_rates(store, study_of()).official
    assert (official.weighting, official.n_regions) == ("raked", 1)
    expected = compare_rates(people_root.unemployment(), people_root.official_rates(), "raked", Asked())
    at_zero = [c for c in expected.correlations if c.lag == 0 and c.region == "36"]
    assert [c.at_zero.pearson for c in official.correlations] == [c.pearson for c in at_zero]
    for found in official.correlations:
        same = [c for c in expected.correlations if c[:5] == found.at_zero[:5]]
        assert found.best.pearson == max(c.pearson for c in same)


def test_pooled_rows_come_where_there_is_more_than_one_region():
    nan = float("nan")

    def one(region, lag, pearson):
        return Correlation("rate", "laus_rate", "month", False, region, lag, 5, pearson, nan, nan, 0.5, nan, nan)

    both = (one("pooled", 0, 0.1), one("pooled", 1, 0.4), one("04", 0, nan), one("36", 0, 0.3))
    found = find_lags(both)
    assert [(row.at_zero.region, row.best and row.best.lag) for row in found] == [
        ("pooled", 1),
        ("04", None),
        ("36", 0),
    ]
    assert [row.at_zero.region for row in find_lags((one("pooled", 0, 0.1), one("36", 0, 0.1)))] == ["36"]


def test_no_common_region_is_said_and_no_error():
    found = measure_official(people_root.unemployment(), people_root.official_rates().iloc[5:10], study_of())
    assert isinstance(found, Missing)
    assert "no region of 2 digits has both series" in found.why
