"""Published series of mobility: small files of each layout, lags and verdicts."""

import math

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.mobility_series import read_google, read_m50
from pipeline.evaluation.npi import best_lags, count_unknown, delay, judge
from pipeline.npi_verdicts import find_least
from pipeline.sources import SourceError

GOOGLE_HEAD = (
    "year,month,day,statefips,gps_away_from_home,gps_grocery_and_pharmacy,gps_parks,gps_residential,"
    "gps_retail_and_recreation,gps_transit_stations,gps_workplaces\n"
)


def by_key(changes):
    keys = zip(changes["region_geoid"], changes["date"].dt.strftime("%Y-%m-%d"), changes["measure"], strict=True)
    return dict(zip(keys, changes["log_change"], strict=True))


def test_google_fractions_become_logarithms(tmp_path):
    (tmp_path / "google.csv").write_text(GOOGLE_HEAD + "2020,4,5,4,-.5,0,.,.1,-1,0,0\n")
    found = by_key(read_google(str(tmp_path / "google.csv")))
    assert found["04", "2020-04-05", "google_away_from_home"] == pytest.approx(math.log(0.5))
    assert found["04", "2020-04-05", "google_residential"] == pytest.approx(math.log(1.1))
    assert math.isnan(found["04", "2020-04-05", "google_retail_and_recreation"])
    assert ("04", "2020-04-05", "google_parks") not in found and len(found) == 6


@pytest.mark.parametrize(
    ("row", "words"),
    [("2020,13,5,4,0,0,0,0,0,0,0\n", "no date or no state in 1 of 1"), ("2020,4,5,4,x,0,0,0,0,0,0\n", "no number")],
)
def test_google_files_that_are_refused(tmp_path, row, words):
    (tmp_path / "google.csv").write_text(GOOGLE_HEAD + row)
    with pytest.raises(SourceError, match=words):
        read_google(str(tmp_path / "google.csv"))


def test_m50_of_0_is_unknown_or_at_most_a_half(tmp_path):
    rows = "US,1,New York,,36,100,0\nUS,2,New York,Albany,36001,50,\n"
    (tmp_path / "m50.csv").write_text("country_code,admin_level,admin1,admin2,fips,2020-04-05,2020-04-06\n" + rows)
    states = read_m50(str(tmp_path / "m50.csv"))
    found = by_key(states)
    assert found["36", "2020-04-05", "m50_index"] == 0
    assert math.isnan(found["36", "2020-04-06", "m50_index"])
    assert found["36", "2020-04-06", "m50_index_at_most"] == pytest.approx(math.log(0.005))
    assert count_unknown(states) == {"m50_index": 1}
    counties = by_key(read_m50(str(tmp_path / "m50.csv"), "county"))
    assert set(counties) == {("36001", "2020-04-05", name) for name in ("m50_index", "m50_index_at_most")}


def test_delayed_drivers_are_those_of_days_before_within_the_region():
    told = pd.DataFrame({"region_geoid": ["04"] * 3 + ["36"] * 3, "stringency": [1.0, 2, 3, 4, 5, 6], "severity": 0.0})
    np.testing.assert_array_equal(delay(told, ["stringency"], 1)["stringency"], [np.nan, 1, 2, np.nan, 4, 5])
    np.testing.assert_array_equal(delay(told, ["stringency"], -2)["stringency"], [3, np.nan, np.nan, 6, np.nan, np.nan])


def fits(nothing, stringency, severity, weeks, low):
    errors = {"nothing": nothing, "stringency": stringency, "severity": severity, "weeks": weeks}
    rows = [(name, error, low if name == "weeks" else -1.0, stringency - error) for name, error in errors.items()]
    frame = pd.DataFrame(rows, columns=["model", "left_out_error", "gain_low", "gain_high"])
    return frame.assign(measure="m")


@pytest.mark.parametrize(
    ("errors", "best", "is_certain"),
    [
        ((1, 2, 3, 4, -1), "nothing", False),
        ((4, 1, 2, 3, -1), "stringency", True),
        ((4, 3, 1, 2, 0.1), "severity", False),
        ((4, 3, 2, 1, 0.1), "adaptation", True),
        ((4, 3, 2, 1, -0.1), "adaptation", False),
    ],
)
def test_the_least_error_wins_whatever_it_is_of(errors, best, is_certain):
    (row,) = judge(fits(*errors)).itertuples()
    assert (row.best, row.is_certain) == (best, is_certain)
    assert row.model == {"adaptation": "weeks"}.get(best, best)


def test_of_equal_errors_the_model_with_fewer_terms_wins():
    assert judge(fits(1, 1, 1, 1, -1))["best"].tolist() == ["nothing"]
    (row,) = judge(fits(4, 1, 1, 1, -1).iloc[::-1]).itertuples()
    assert (row.best, row.is_certain) == ("stringency", True)
    assert find_least({"weeks": 1.0, "severity": 1.0, "stringency": math.nan}) == "severity"
    assert find_least({"log_weeks": 1.0, "weeks": 1.0}) == "weeks"


def test_without_intervals_or_errors_nothing_is_certain():
    models = fits(4, 3, 2, 1, 0.1)
    (row,) = judge(models.assign(gain_low=np.nan, gain_high=np.nan)).itertuples()
    assert (row.best, row.is_certain) == ("adaptation", False)
    (row,) = judge(fits(4, 1, 2, 3, -1).assign(gain_low=np.nan, gain_high=np.nan)).itertuples()
    assert (row.best, row.is_certain) == ("stringency", False)
    (row,) = judge(models.assign(left_out_error=np.nan)).itertuples()
    assert (row.model, row.best, row.is_certain) == (None, None, False)


def test_the_best_lag_says_whether_it_is_at_the_end():
    errors = {-1: 3.0, 0: 1.0, 1: 2.0}
    rows = [
        ("all", driver, "m", lag, e if driver == "both" else -lag)
        for driver in ("both", "severity")
        for lag, e in errors.items()
    ]
    found = best_lags(pd.DataFrame(rows, columns=["scope", "driver", "measure", "lag_days", "left_out_error"]))
    assert found.set_index("driver")[["lag_days", "is_at_end"]].to_numpy().tolist() == [[0, False], [1, True]]
