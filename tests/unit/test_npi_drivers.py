"""Worked examples of what people may answer to: lags, severity, adaptation, regions, and what is missing."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.npi_drivers import NpiParams, drivers, drivers_of, is_asked_for, smallest_regions
from tests.naive_npi import naive_terms
from tests.npi_rows import make_epidemic, make_policies
from tests.stay_rows import empty

FIRST = date(2020, 1, 6)
DEATHS = [0, 0, 0, 7, 0, 0, 0, 0, 14, 0, 0, -7, 0, 0]


def of(policies, epidemic, regions=("01",), first=FIRST, last=date(2020, 1, 19), **params):
    return drivers(policies, epidemic, regions, first, last, NpiParams(**params)).set_index(["region_geoid", "date"])


def column(found, name, region="01"):
    return found.loc[region, name].to_numpy()


def test_stringency_is_a_share_of_its_range_after_its_lag():
    policies = make_policies({"01": np.arange(14) * 5})
    found = of(policies, make_epidemic({"01": DEATHS}), first=date(2020, 1, 9), stringency_lag_days=3)
    assert column(found, "stringency") == pytest.approx(np.arange(11) * 0.05)


def test_severity_is_the_weekly_number_per_hundred_thousand():
    found = of(make_policies({"01": [0] * 14}), make_epidemic({"01": DEATHS}, 200_000), severity_scale="linear")
    # 7 deaths among 200,000 in the trailing week: 3.5; 7 + 14 on the 14th: 10.5; 14 - 7 after the correction: 3.5
    assert column(found, "severity") == pytest.approx([0, 0, 0, 3.5, 3.5, 3.5, 3.5, 3.5, 10.5, 10.5, 7, 3.5, 3.5, 3.5])
    logs = of(make_policies({"01": [0] * 14}), make_epidemic({"01": DEATHS}, 200_000))
    assert column(logs, "severity")[8] == pytest.approx(np.log(11.5))
    short = of(make_policies({"01": [0] * 14}), make_epidemic({"01": DEATHS}), severity="cases", smoothing_days=2,
               severity_scale="linear")  # fmt: skip
    # 70 cases over two days: 35 a day, 245 a week; more is corrected than was reported: 0
    assert column(short, "severity")[[3, 4, 5, 11]] == pytest.approx([245, 245, 0, 0])


def test_adaptation_counts_from_the_first_death_and_looks_at_the_past_alone():
    found = of(
        make_policies({"01": [0] * 14}), make_epidemic({"01": DEATHS}), half_life_days=1, severity_scale="linear"
    )
    assert column(found, "weeks") == pytest.approx(np.maximum(np.arange(14) - 3, 0) / 70)
    assert column(found, "log_weeks")[10] == pytest.approx(np.log(2))
    # Severity is 7 from the fourth day on; of the days before: 7, 14, 21 ... in units of ten weeks; half, 3/4 ... of 7
    assert column(found, "exposure")[:7] == pytest.approx([0, 0, 0, 0, 0.1, 0.2, 0.3])
    assert column(found, "forgetting")[:7] == pytest.approx([0, 0, 0, 0, 3.5, 5.25, 6.125])


@pytest.mark.parametrize(("lag", "half_life"), [(0, 28.0), (5, 3.0)])
def test_terms_equal_the_twin(lag, half_life):
    deaths = np.random.default_rng(1).poisson(1.5, 60) * (np.arange(60) > 9)
    found = of(
        make_policies({"01": [0] * 60}), make_epidemic({"01": deaths}), last=date(2020, 3, 5),
        severity_lag_days=lag, half_life_days=half_life,
    )  # fmt: skip
    twin = naive_terms(deaths, 100_000, lag, half_life)
    for name in twin:
        assert column(found, name) == pytest.approx(twin[name].to_numpy()), name


def test_a_region_has_the_policies_and_epidemic_of_the_longest_id_that_begins_its_own():
    policies = make_policies({"36": [10] * 14, "36061": [90] * 14, "3": [50] * 14})
    found = of(policies, make_epidemic({"36": DEATHS}), ("36001", "36061"))
    assert column(found, "stringency", "36001")[0] == 0.1
    assert column(found, "stringency", "36061")[0] == 0.9
    assert list(found["cluster"].groupby(level=0, sort=False).first()) == ["36", "36061"]


def test_before_its_first_row_the_epidemic_has_counted_nothing():
    late = make_epidemic({"01": [1, 1, 1, 1]}, start=pd.Timestamp("2020-01-16"))
    found = of(make_policies({"01": [0] * 14}), late)
    assert (column(found, "severity")[:10] == 0).all() and column(found, "severity")[10] > 0
    assert column(found, "weeks")[[10, 11]] == pytest.approx([0, 1 / 70])
    none = of(make_policies({"01": [0] * 14}), late, last=date(2020, 1, 12))
    assert (none[["severity", "weeks", "exposure", "forgetting"]] == 0).all(axis=None)


def test_what_is_missing_is_named():
    policies, epidemic = make_policies({"01": [0] * 14}), make_epidemic({"01": DEATHS})
    with pytest.raises(ValueError, match=r"npi_policies has no region that holds 02, 03$"):
        of(policies, epidemic, ("03", "02", "01"))
    with pytest.raises(ValueError, match=r"epidemic has no region that holds 01$"):
        of(policies, empty("epidemic"))
    with pytest.raises(ValueError, match=r"npi_policies lacks region 01 on 2020-01-04 and 1 more dates$"):
        of(policies, epidemic, stringency_lag_days=2)
    with pytest.raises(ValueError, match=r"epidemic lacks region 01 on 2020-01-08$"):
        of(policies, epidemic.drop(index=2))
    with pytest.raises(ValueError, match=r"epidemic lacks region 01 on 2020-01-19$"):
        of(policies, epidemic.iloc[:-1])


def test_without_policies_there_are_no_drivers():
    regions = pd.DataFrame({"region_geoid": ["01"], "date": [pd.Timestamp("2020-01-06")]})
    assert drivers_of(regions, empty("npi_policies"), empty("epidemic"), NpiParams()).empty


def test_smallest_regions_are_those_without_another_inside():
    assert smallest_regions(pd.Series(["all", "36", "36061", "36001", "01", "01"])) == ["01", "36001", "36061"]
    assert smallest_regions(pd.Series(["all"], dtype="str")) == []


def test_measures_by_name_and_by_beginning():
    names = pd.Series(["visits", "visits:venue:Food", "visits:venue", "minutes"])
    assert list(is_asked_for(names, ("visits", "visits:venue:*"))) == [True, True, False, False]
    assert is_asked_for(names, ()).all()


def test_two_tables_of_one_model_need_the_same_parameters():
    class Declared:
        params = {"npi_fits": {"period": "day"}}  # noqa: RUF012

    with pytest.raises(ValueError, match="set both alike"):
        NpiParams().check_study(Declared())
    Declared.params = {"npi_fits": {"period": "day"}, "npi_response": {"period": "day"}}
    NpiParams().check_study(Declared())
