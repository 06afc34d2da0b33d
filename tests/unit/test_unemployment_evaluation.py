"""Rates beside official series: pairs by lag, changes against flows, gaps, and intervals of series with a memory."""

import math
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.unemployment import (
    Asked,
    block_intervals,
    compare_official,
    compare_rates,
    read_rates,
    spread,
)
from pipeline.sources.errors import SourceError
from pipeline.study import StudyError

MONDAY = date(2020, 1, 6)


def weeks(n):
    return [MONDAY + timedelta(weeks=k) for k in range(n)]


def months(n):
    return [date(2020 + k // 12, k % 12 + 1, 1) for k in range(n)]


def frame(rows, names):
    table = pd.DataFrame(rows, columns=names)
    return table.assign(window_started=pd.to_datetime(table["window_started"]).astype("datetime64[s]"))


def official(*series):
    """Official rates from (region, series, window, starts, values)."""
    rows = [(r, s, w, at, v) for r, s, w, starts, values in series for at, v in zip(starts, values, strict=True)]
    return frame(rows, ["region_geoid", "series", "window", "window_started", "value"])


def ours(*series):
    """Unemployment from (region, window, starts, values), unweighted."""
    rows = [(r, w, at, "none", v) for r, w, starts, values in series for at, v in zip(starts, values, strict=True)]
    return frame(rows, ["region_geoid", "window", "window_started", "weighting", "rate"]).assign(is_provisional=False)


def one(result, region, official, lag):
    found = [c for c in result.correlations if (c.region, c.official, c.lag) == (region, official, lag)]
    assert len(found) == 1
    return found[0]


RATE = [0.04, 0.05, 0.05, 0.15, 0.13, 0.11, 0.10, 0.09, 0.08, 0.07]


def test_a_rate_that_comes_two_weeks_before_continued_claims():
    at = weeks(10)
    result = compare_rates(
        ours(("36", "week", at, RATE), ("all", "week", at, RATE), ("36061", "week", at, RATE)),
        official(("36", "continued_claims", "week", weeks(12), [0.01, 0.02, *RATE])),
        "none",
        Asked(),
    )
    found = one(result, "36", "continued_claims", 2)
    assert (found.n_pairs, found.pearson, found.spearman) == (10, pytest.approx(1), pytest.approx(1))
    assert one(result, "36", "continued_claims", 0).pearson < 0.9
    assert one(result, "36", "continued_claims", 8).n_pairs == 4
    assert one(result, "pooled", "continued_claims", 2).n_pairs == 10
    # the study as a whole and counties are not states
    assert {c.region for c in result.correlations} == {"36", "pooled"}
    assert (result.n_regions, result.n_regions_ours, result.n_regions_official) == (1, 1, 1)


def test_changes_go_with_the_flow():
    change = np.diff(RATE)
    result = compare_rates(
        ours(("04", "week", weeks(10), RATE)),
        official(("04", "initial_claims", "week", weeks(10)[1:], 3 * change + 0.2)),
        "none",
        Asked(),
    )
    found = one(result, "04", "initial_claims", 0)
    assert found.is_change and found.n_pairs == 9
    assert found.pearson == pytest.approx(1)


def test_a_week_that_is_missing_makes_no_change_over_two():
    at, values = weeks(10), list(RATE)
    del at[4], values[4]
    result = compare_rates(
        ours(("04", "week", at, values)),
        official(("04", "initial_claims", "week", weeks(10), np.arange(10) / 100)),
        "none",
        Asked(),
    )
    # nine weeks, of which the first and the one after the gap have no week before
    assert one(result, "04", "initial_claims", 0).n_pairs == 7


def test_provisional_rates_are_left_out():
    at, values = weeks(10), [*RATE[:7], 0.01, 0.0, 0.0]
    table = ours(("04", "week", at, values))
    table["is_provisional"] = [False] * 7 + [True] * 3
    claims = official(("04", "continued_claims", "week", at, RATE))
    found = one(compare_rates(table, claims, "none", Asked()), "04", "continued_claims", 0)
    assert (found.n_pairs, found.pearson) == (7, pytest.approx(1))
    with pytest.raises(StudyError, match="all rates of the weighting none are provisional"):
        compare_rates(table.assign(is_provisional=True), claims, "none", Asked())


def test_pooled_pairs_are_those_of_all_regions_and_months_go_with_laus():
    at = months(4)
    result = compare_rates(
        ours(("04", "month", at, [1, 2, 3, 4]), ("36", "month", at, [5, 6, 7, 8])),
        official(
            ("04", "laus_rate", "month", at, [0.1, 0.2, 0.3, 0.4]), ("36", "laus_rate", "month", at, [0, 0, 0, 0])
        ),
        "none",
        Asked(max_lag=(("week", 0), ("month", 1))),
    )
    assert one(result, "04", "laus_rate", 0).pearson == pytest.approx(1)
    # a side that does not vary has no correlation, and two pairs have none worth the name
    assert math.isnan(one(result, "36", "laus_rate", 0).pearson)
    pooled = one(result, "pooled", "laus_rate", 0)
    x, y = [1, 2, 3, 4, 5, 6, 7, 8], [0.1, 0.2, 0.3, 0.4, 0, 0, 0, 0]
    assert (pooled.n_pairs, pooled.pearson) == (8, pytest.approx(np.corrcoef(x, y)[0, 1]))
    assert one(result, "04", "laus_rate", 1).n_pairs == 3


def test_official_series_with_each_other_by_month():
    monthly, at = [0.04, 0.05, 0.14, 0.12, 0.10], months(5)
    claims = [0.01 * k for k in range(20)]
    result = compare_official(
        official(("36", "laus_rate", "month", at, monthly), ("36", "continued_claims", "week", weeks(20), claims)),
        date(2020, 1, 1),
        date(2020, 4, 30),
        Asked(),
    )
    # mean over the weeks that start in the month: January has the 6th to the 27th, the first four
    means = pd.Series(claims).groupby([monday.month for monday in weeks(20)]).mean()[:4]
    found = one(result, "36", "continued_claims", 0)
    assert means.iloc[0] == pytest.approx(0.015)
    assert (found.n_pairs, found.pearson) == (4, pytest.approx(np.corrcoef(monthly[:4], means)[0, 1]))
    assert one(result, "36", "continued_claims", -1).n_pairs == 3


@given(
    st.lists(st.none() | st.integers(0, 9), min_size=2, max_size=14),
    st.lists(st.none() | st.integers(0, 9), min_size=2, max_size=14),
    st.integers(0, 3),
)
@settings(max_examples=100, deadline=None)
def test_correlations_equal_a_loop_over_pairs(mine, theirs, lag):
    kept = [(at, v) for at, v in zip(weeks(14), mine, strict=False) if v is not None]
    known = [(at, v) for at, v in zip(weeks(14), theirs, strict=False) if v is not None]
    if not kept or not known:
        return
    asked = Asked(max_lag=(("week", lag), ("month", 0)), n_replicates=20)
    result = compare_rates(
        ours(("04", "week", *zip(*kept, strict=True))),
        official(("04", "continued_claims", "week", *zip(*known, strict=True))),
        "none",
        asked,
    )
    pairs = [(v, dict(known)[at + timedelta(weeks=lag)]) for at, v in kept if at + timedelta(weeks=lag) in dict(known)]
    found = one(result, "04", "continued_claims", lag)
    assert found.n_pairs == len(pairs)
    x, y = (np.array([pair[k] for pair in pairs], float) for k in (0, 1))
    if len(pairs) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        assert math.isnan(found.pearson)
        return
    assert found.pearson == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
    ranks = [[(a < side).mean() + (a <= side).mean() for a in side] for side in (-x, -y)]
    assert found.spearman == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-9)


def test_intervals_by_blocks_hold_what_those_of_single_weeks_miss():
    # two independent series with a memory: the truth is 0, and neighbours are alike
    chance, n, n_series = np.random.default_rng(11), 60, 120
    noise = chance.normal(size=(n_series, 2, n + 50))
    series = np.zeros_like(noise)
    for k in range(1, n + 50):
        series[..., k] = 0.8 * series[..., k - 1] + noise[..., k]
    x, y = series[:, 0, 50:, None], series[:, 1, 50:, None]

    def covered(block):
        intervals = [block_intervals(a, b, block, 200, 0.95)[0] for a, b in zip(x, y, strict=True)]
        return np.mean([low <= 0 <= high for low, high in intervals])

    assert covered(8) > 0.78  # approximate: short of 0.95, far from ...
    assert covered(1) < 0.72  # ... what independent weeks would be taken for


def test_intervals_need_three_blocks_and_leave_out_what_is_missing():
    x = np.linspace(0, 1, 24)[:, None]
    assert block_intervals(x, x, 8, 100, 0.95) == (pytest.approx((1, 1)), pytest.approx((1, 1)))
    assert np.isnan(block_intervals(x[:23], x[:23], 8, 100, 0.95)).all()
    holed = np.where(np.arange(24)[:, None] % 5 == 0, np.nan, x)
    assert block_intervals(holed, holed, 8, 100, 0.95)[0] == pytest.approx((1, 1))


def test_nothing_to_compare_is_an_error():
    rates = ours(("04", "week", weeks(3), [1, 2, 3]))
    claims = official(("36", "continued_claims", "week", weeks(3), [1, 2, 3]))
    with pytest.raises(StudyError, match="1 have one of ours, 1 an official one"):
        compare_rates(rates, claims, "none", Asked())
    with pytest.raises(StudyError, match="no rows of the weighting raked; there are none"):
        compare_rates(rates, claims, "raked", Asked())
    tuesdays = [day + timedelta(days=1) for day in weeks(3)]
    with pytest.raises(StudyError, match="3 weeks do not begin on a Monday"):
        spread(ours(("04", "week", tuesdays, [1, 2, 3])).rename(columns={"rate": "value"}), "week", 2)


HEAD = "region_geoid,series,window,window_started,value\n"


def test_rates_from_a_file_of_ones_own(tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text(HEAD + "04,laus_rate,month,2020-02-01,0.05\n01,laus_rate,month,2020-01-01,0.04\n")
    found = read_rates(str(path))
    assert found["region_geoid"].tolist() == ["01", "04"]
    assert found["window_started"].dt.month.tolist() == [1, 2]
    found.to_parquet(tmp_path / "rates.parquet")
    pd.testing.assert_frame_equal(read_rates(str(tmp_path / "rates.parquet")), found)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("04,laus_rate,month,2020-02-01,5 %\n", "holds no number in 1 of 1"),
        ("04,laus_rate,month,soon,0.05\n", "holds no date in 1 of 1"),
        ("04,jobless,month,2020-02-01,0.05\n", "series"),
        ("04,laus_rate,month,2020-02-01,0.05\n04,laus_rate,month,2020-02-01,0.06\n", "key"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, rows, message):
    (tmp_path / "rates.csv").write_text(HEAD + rows)
    with pytest.raises(SourceError, match=message):
        read_rates(str(tmp_path / "rates.csv"))


def test_regions_that_lost_their_zeros_are_refused(tmp_path):
    pd.DataFrame(
        {"region_geoid": [4], "series": "laus_rate", "window": "month", "window_started": ["2020-02-01"], "value": 0.05}
    ).to_parquet(tmp_path / "rates.parquet")
    with pytest.raises(SourceError, match="leading zeros"):
        read_rates(str(tmp_path / "rates.parquet"))
