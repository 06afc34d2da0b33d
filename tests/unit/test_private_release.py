"""Private releases: what they cost, what they hold, that they are kept; and OpenDP's noise as it is used."""

import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.engine.lock import root_lock
from pipeline.engine.trouble import RunError
from pipeline.private import BudgetError, Ledger, PrivacyError, PrivateQuery, release
from pipeline.private.noise import Sensitivity, add_noise, add_threshold_noise, make_noise, make_threshold_noise
from pipeline.study import StudyError
from tests.private_rows import AREAS, STUDY, random_visits, write_root


@pytest.fixture
def root(tmp_path):
    write_root(tmp_path, random_visits(30, 1))
    Ledger(tmp_path).create(2.0, 1e-5)
    return tmp_path


def counts(**changed):
    return PrivateQuery(**{"table": "visits", "by": ("tract_geoid",), "epsilon": 1.0, "max_rows": 12} | changed)


def test_a_release_has_every_cell_of_the_public_domain_and_is_paid_for(root):
    found = release(counts(by=("date", "tract_geoid")), STUDY, root)
    assert len(found.rows) == 3 * len(AREAS) == found.facts["n_cells_possible"]
    assert found.rows["date"].dt.strftime("%d").unique().tolist() == ["06", "07", "08"]
    # 360 visits of the first day; noise of scale 12 in 15 cells leaves 5 of them in 25 noises' reach.
    first = found.rows[found.rows["date"] == "2020-01-06"]["noisy_count"]
    assert abs(first.sum() - 360) < 12 * 60
    assert [(s.what, s.epsilon, s.delta) for s in Ledger(root).read().spends] == [
        ("rows of visits by date, tract_geoid, at most 12 of a device", 1.0, 0.0)
    ]
    assert Ledger(root).read().left() == (Decimal(1), Decimal("1e-5"))


def test_asked_again_it_is_the_same_release_and_costs_nothing(root):
    first = release(counts(), STUDY, root)
    again = release(counts(), STUDY, root)
    assert (first.is_repeated, again.is_repeated) == (False, True)
    pd.testing.assert_frame_equal(first.rows, again.rows)
    assert len(Ledger(root).read().spends) == 1
    write_root(root, random_visits(31, 1))
    assert not release(counts(), STUDY, root).is_repeated
    with pytest.raises(BudgetError, match="left of the budget are 0 and 1e-05"):
        release(counts(epsilon=0.1), STUDY, root)
    assert len(Ledger(root).read().spends) == 2


def test_with_next_to_no_noise_a_release_is_the_bounded_count(tmp_path):
    """At an epsilon of 5,000 noise is 0 but for one time in 10**180, which leaves what is counted to be seen."""
    rows = [(1, k, k % 2) for k in range(6)] + [(2, 0, 0), (3, 0, 4)]
    write_root(tmp_path, rows)
    Ledger(tmp_path).create(1e7)
    exact = {"epsilon": 5_000.0}
    found = release(counts(**exact), STUDY, tmp_path).rows
    assert found["noisy_count"].tolist() == [4, 3, 0, 0, 1]
    assert release(counts(**exact, max_rows=2), STUDY, tmp_path).rows["noisy_count"].sum() == 4
    assert release(counts(**exact, counted="devices"), STUDY, tmp_path).rows["noisy_count"].tolist() == [2, 1, 0, 0, 1]
    exact_sum = counts(epsilon=1e6, counted="dwell_s", by=("date",))
    hours = release(exact_sum, STUDY, tmp_path).rows["noisy_sum"] / 3600
    assert hours.tolist() == pytest.approx([8.0, 0.0, 0.0], abs=0.02)
    low = release(counts(epsilon=1e6, counted="dwell_s", by=("date",), clip_high=1000.0), STUDY, tmp_path)
    assert low.facts["clip"] == [0, 1000]
    assert low.rows["noisy_sum"].tolist() == pytest.approx([8_000, 0, 0], abs=1)
    wide = release(counts(**exact, area_digits=10), STUDY, tmp_path)
    assert wide.rows.to_numpy().tolist() == [["0000000000", 8]]
    flows = counts(**exact, table="trips", by=("origin_tract_geoid", "destination_tract_geoid"))
    found = release(flows, STUDY, tmp_path).rows
    assert len(found) == 25
    shown = found[found["noisy_count"] > 0]
    assert shown.set_index(list(flows.by))["noisy_count"].to_dict() == {
        (AREAS[0], AREAS[1]): 3,
        (AREAS[1], AREAS[0]): 2,
    }


def test_a_root_that_a_run_holds_is_not_read(root):
    with root_lock(root), pytest.raises(RunError, match="another run is writing"):
        release(counts(), STUDY, root)
    assert Ledger(root).read().spends == ()


def test_flows_below_the_threshold_are_left_out(root):
    asked = {"table": "trips", "by": ("origin_tract_geoid", "destination_tract_geoid"), "delta": 1e-6}
    shown = release(counts(**asked, counted="devices", max_rows=2), STUDY, root)
    assert shown.facts["threshold"] > 2
    assert (shown.rows["noisy_count"] >= shown.facts["threshold"]).all()
    assert len(shown.rows) < 25
    assert Ledger(root).read().left() == (Decimal(1), Decimal("9e-6"))


def test_sums_are_in_the_columns_unit(root):
    found = release(counts(counted="dwell_s", epsilon=2.0), STUDY, root)
    assert (found.facts["unit"], found.facts["clip"], found.facts["scale"]) == ("s", [0, 86_400], 12 * 86_400 / 2)
    assert (found.rows["noisy_sum"] * 8 % 1 == 0).all()


def test_a_release_tells_nothing_of_the_data_but_its_noisy_values(root):
    """Neither hashes of the data nor exact sums may stand in what leaves."""
    found = release(counts(), STUDY, root)
    assert found.rows.columns.tolist() == ["tract_geoid", "noisy_count"]
    [path] = (root / "_privacy").glob("*.parquet")
    assert set(pq.read_schema(path).metadata) == {b"sojourn_private"}
    other = write_root(root.parent / "other", random_visits(3, 2))
    Ledger(other).create(2.0)
    assert release(counts(), STUDY, other).facts == found.facts


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"table": "contacts"}, "contacts declares no bound on the rows of a device"),
        ({"table": "nothing"}, "no table 'nothing'"),
        ({"max_rows": 51}, "51 is not from 1 to 50"),
        ({"counted": "lon"}, "visits declares no range for lon"),
        ({"clip_high": 10.0}, "nothing is summed"),
        ({"counted": "dwell_s", "clip_high": 86_401.0}, "86401 is not above 0 and at most 86400"),
        ({"epsilon": 0.0}, "--epsilon: 0.0"),
        ({"epsilon": float("inf")}, "--epsilon: inf"),
        ({"delta": 1.0}, "--delta: 1.0"),
        ({"by": ()}, "name at least one column"),
        ({"by": ("location_id",)}, "values of location_id are not known"),
        ({"by": ("device_id",)}, "values of device_id are not known"),
        ({"by": ("date", "date")}, "names a column twice"),
        ({"table": "device_days", "by": ("date",)}, "device_days is not computed"),
    ],
)
def test_what_can_be_no_private_release_is_refused_and_costs_nothing(root, changed, words):
    with pytest.raises(StudyError, match=words):
        release(counts(**changed), STUDY, root)
    assert Ledger(root).read().spends == ()


def test_without_a_ledger_nothing_is_released(tmp_path):
    write_root(tmp_path, random_visits(3, 1))
    with pytest.raises(BudgetError, match="no budget is declared"):
        release(counts(), STUDY, tmp_path)


def test_without_opendp_it_is_said_what_to_install(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "opendp.prelude", None)
    with pytest.raises(PrivacyError, match=r"pip install 'sojourn\[privacy\]'"):
        release(counts(), STUDY, root)
    assert Ledger(root).read().spends == ()


@pytest.mark.parametrize("epsilon", [0.1, 0.7, 1.1, 3.3, 10.0])
@pytest.mark.parametrize("of_cell", [1, 7])
def test_opendps_own_account_is_no_more_than_what_is_paid(epsilon, of_cell):
    sensitivity = Sensitivity(7, 7, of_cell)
    noise = make_noise(sensitivity, epsilon)
    assert noise.measurement.map(7) <= epsilon
    assert noise.scale == pytest.approx(7 / epsilon)
    found = make_threshold_noise(sensitivity, epsilon, 1e-6)
    lost = found.measurement.map((7, 7, of_cell))
    assert lost[0] <= epsilon and lost[1] <= 1e-6
    # The least that does: one below would lose too much.
    assert found.threshold > of_cell


def test_noise_that_loses_more_than_is_paid_is_not_drawn(root, monkeypatch):
    noise = make_noise(Sensitivity(12, 12, 12), 1.0)._replace(epsilon=1.1)
    monkeypatch.setattr("pipeline.private.releases.make_noise", lambda *_: noise)
    with pytest.raises(PrivacyError, match="a larger loss than was asked for"):
        release(counts(), STUDY, root)
    assert Ledger(root).read().spends == ()


def test_an_impossible_delta_is_an_error():
    with pytest.raises(PrivacyError, match="no threshold has a loss"):
        make_threshold_noise(Sensitivity(3, 3, 3), 1.0, 1e-17)


def test_noise_is_distributed_as_said():
    """P(|x| >= k) of the discrete Laplace distribution is 2 r**k / (1 + r) with r = exp(-1 / scale)."""
    noise = make_noise(Sensitivity(5, 5, 5), 1.0)
    drawn, other = (add_noise(noise, np.full(20_000, 40)) - 40 for _ in range(2))
    assert (drawn != other).mean() > 0.5
    ratio = np.exp(-1 / noise.scale)
    for k in (1, 3, 5, 10, 20):
        expected = 2 * ratio**k / (1 + ratio)
        # Five standard errors: a false alarm in about a million runs.
        reach = 5 * np.sqrt(expected * (1 - expected) / drawn.size)
        assert abs((np.abs(drawn) >= k).mean() - expected) < reach
    assert abs(drawn.mean()) < 5 * drawn.std() / np.sqrt(drawn.size)
    kept = add_threshold_noise(make_threshold_noise(Sensitivity(5, 5, 5), 1.0, 1e-6), dict.fromkeys(range(9), 10**6))
    assert sorted(kept) == list(range(9))


def test_who_sees_a_count_learns_of_a_device_no_more_than_epsilon():
    """The worst device has all of its 5 rows in one cell: what is seen is at most e times as probable with it."""
    noise = make_noise(Sensitivity(5, 5, 5), 1.0)
    without, with_it = (add_noise(noise, np.full(40_000, count)) for count in (20, 25))
    told = []
    for least in range(10, 36):
        n_without, n_with = (without >= least).sum(), (with_it >= least).sum()
        # The logarithm of a ratio of two counts, less five standard errors of it.
        reach = 5 * np.sqrt(1 / n_without + 1 / n_with)
        assert np.log(n_with / n_without) - reach <= 1.0
        told.append(np.log(n_with / n_without) + reach)
    assert max(told) >= 1.0
