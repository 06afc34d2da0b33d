"""Metrics, intervals and the logistic regression of models of people: worked numbers, slow twins, statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from pipeline.kernels.bootstrap import poisson_counts
from pipeline.models.people.kinds import compare_kinds, hits_of, is_hit
from pipeline.models.people.logistic import fit_logistic, predict_logistic
from pipeline.models.people.scores import (
    LEAST_PEOPLE,
    area_under_curve,
    calibration_slope,
    compare,
    losses,
    replicate_counts,
    summary,
    verdict,
)
from tests.naive_people_models import naive_auc

CASES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.integers(0, 3)), min_size=1, max_size=15
)


@given(CASES)
@settings(max_examples=60, deadline=None)
def test_area_equals_the_twin(cases):
    is_true, value, weight = (np.array(column) for column in zip(*cases, strict=True))
    found = area_under_curve(is_true, value, weight.astype(float))
    assert found == pytest.approx(naive_auc(is_true, value, weight), nan_ok=True)


def test_losses_of_worked_numbers():
    found = losses(np.array([True, False]), np.array([0.8, 0.5]))
    assert found["brier"].tolist() == pytest.approx([0.04, 0.25])
    assert found["log_loss"].tolist() == pytest.approx([-np.log(0.8), np.log(2)])
    assert np.isfinite(losses(np.array([True]), np.zeros(1))["log_loss"]).all()


def test_regression_equals_statsmodels():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 3))
    is_true = (rng.random(300) < 1 / (1 + np.exp(-features @ [1.0, -0.5, 0.0]))).astype(float)
    beta = fit_logistic(features, is_true, 0.0)
    peer = sm.Logit(is_true, sm.add_constant(features)).fit(disp=0)
    assert beta == pytest.approx(peer.params, abs=1e-5)
    assert predict_logistic(beta, features) == pytest.approx(peer.predict(), abs=1e-6)


@pytest.mark.parametrize("ridge", [0.5, 100.0])
def test_ridge_is_scikit_learns_even_of_rare_outcomes_and_columns_alike(ridge):
    rng = np.random.default_rng(1)
    features = rng.normal(size=(3_000, 4))
    features[:, 3] = features[:, 0]
    is_true = rng.random(3_000) < 1 / (1 + np.exp(5 - features @ [1.0, -0.5, 0.0, 0.0]))
    peer = LogisticRegression(C=1 / ridge, tol=1e-10, solver="newton-cholesky").fit(features, is_true)
    beta = fit_logistic(features, is_true, ridge)
    assert beta == pytest.approx([*peer.intercept_, *peer.coef_[0]], abs=1e-4)
    assert beta[1] == pytest.approx(beta[4], abs=1e-4)


def test_regression_of_what_is_separable_or_constant_ends():
    separable = np.array([[-1.0], [1.0]]), np.array([0.0, 1.0])
    for ridge in (0.0, 1e-3):
        beta = fit_logistic(*separable, ridge)
        assert np.isfinite(beta).all() and beta[1] > 2
    beta = fit_logistic(np.zeros((4, 1)), np.array([0.0, 0.0, 0.0, 1.0]), 1.0)
    assert predict_logistic(beta, np.zeros((1, 1))) == pytest.approx([0.25], abs=1e-6)
    assert predict_logistic(fit_logistic(np.ones((9, 2)), np.ones(9), 1.0), np.ones((1, 2))) > 0.999
    assert predict_logistic(np.array([0.0, 1e4]), np.array([[-1.0], [1.0]])).tolist() == [0.0, 1.0]


def test_slope_says_who_is_too_sure():
    rng = np.random.default_rng(0)
    logit = rng.normal(size=5_000)
    is_true = rng.random(5_000) < 1 / (1 + np.exp(-logit))
    assert calibration_slope(is_true, 1 / (1 + np.exp(-logit))) == pytest.approx(1, abs=0.1)
    assert calibration_slope(is_true, 1 / (1 + np.exp(-2 * logit))) == pytest.approx(0.5, abs=0.05)
    assert np.isnan(calibration_slope(is_true, np.full(5_000, 0.5)))
    assert np.isnan(calibration_slope(np.ones(3, bool), np.array([0.1, 0.2, 0.3])))


def test_comparison_knows_the_better_and_counts_people_not_rows():
    rng = np.random.default_rng(2)
    device_id = np.repeat(np.arange(50), 10)
    sound = rng.random(500)
    is_true = rng.random(500) < sound
    said = {"sound": sound, "share": np.full(500, is_true.mean()), "same": sound}
    found = compare(device_id, is_true, said, 0, 200)
    assert found["n_rows"] == 500 and found["n_devices"] == 50
    assert found["sound_less_share.log_loss.high"] < 0 < found["sound_less_share.auc.low"]
    assert found["sound_less_same.brier"] == 0
    assert verdict(found, list(said)) == "sound beats share; does not beat same (log loss)"
    order = rng.permutation(500)
    mixed = compare(device_id[order], is_true[order], {n: v[order] for n, v in said.items()}, 0, 200)
    assert mixed == pytest.approx(found)
    # All rows of a person alike: the interval is as wide as with one row each.
    one = compare(np.arange(50), is_true[:50], {"a": sound[:50], "b": sound[:50] ** 2}, 0, 200)
    ten = compare(
        np.tile(np.arange(50), 10),
        np.tile(is_true[:50], 10),
        {"a": np.tile(sound[:50], 10), "b": np.tile(sound[:50] ** 2, 10)},
        0,
        200,
    )
    assert {k: v for k, v in ten.items() if "n_rows" not in k} == pytest.approx(
        {k: v for k, v in one.items() if "n_rows" not in k}, abs=1e-4
    )


def test_intervals_are_those_of_rows_that_count_as_often_as_their_person():
    """Slow twin: rows repeated, of people with from one to twelve weeks."""
    rng = np.random.default_rng(4)
    device_id = np.repeat(np.arange(12), np.arange(1, 13))
    n, kind = device_id.size, rng.integers(0, 3, device_id.size)
    is_true, said = rng.random(n) < 0.4, {"a": rng.random(n), "b": rng.random(n)}
    hits = hits_of(kind, {name: rng.random((n, 4)) for name in said})
    found = compare(device_id, is_true, said, 5, 60) | compare_kinds(device_id, kind, hits, 5, 60)
    values = {metric: [losses(is_true, each)[metric] for each in said.values()] for metric in ("brier", "log_loss")}
    values |= {f"kind_top_{top}": [each[:, k] for each in hits.values()] for k, top in enumerate((1, 3))}
    counts = poisson_counts(np.arange(12), "models/compare", 5, 60)
    assert np.unique(np.arange(1, 13) @ counts).size > 10
    for metric, (a, b) in values.items():
        less = [np.mean(np.repeat(a, k[device_id])) - np.mean(np.repeat(b, k[device_id])) for k in counts.T]
        interval = [found[f"a_less_b.{metric}.{end}"] for end in ("low", "high")]
        assert interval == pytest.approx(np.quantile(less, [0.025, 0.975]).tolist()), metric


def test_comparison_of_nothing_and_of_one_outcome():
    nothing = compare(np.zeros(0, int), np.zeros(0, bool), {"a": np.zeros(0), "b": np.zeros(0)}, 0, 10)
    assert nothing == {"n_devices": 0.0}
    assert summary(nothing, ["a", "b"]) == ["not judged: fewer than 10 held-out people"]
    alike = compare(np.arange(12), np.zeros(12, bool), {"a": np.full(12, 0.2), "b": np.full(12, 0.4)}, 0, 10)
    assert "a.auc" not in alike and alike["a.brier"] == pytest.approx(0.04)


def test_kinds_worked():
    scores = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    assert is_hit(np.array([1, 2]), scores, 1).tolist() == [False, True]
    assert is_hit(np.array([1, 1]), scores, 2).tolist() == [True, False]  # of equals the earlier
    hits = hits_of(np.array([1, 2]), {"a": scores, "b": scores[:, ::-1]})
    many = {name: np.tile(each, (5, 1)) for name, each in hits.items()}
    found = compare_kinds(np.arange(10), np.tile([1, 2], 5), many, 0, 20)
    assert found["a.kind_top_1"] == 0.5 and found["b.kind_top_1"] == 0.0 and found["a.kind_top_3"] == 1.0
    assert compare_kinds(np.arange(10), np.ones(10, int), many, 0, 20) == {}


@pytest.mark.parametrize("n_devices", [1, LEAST_PEOPLE - 1, LEAST_PEOPLE])
def test_of_few_people_their_number_alone_is_told(n_devices):
    """However many rows each has."""
    rng = np.random.default_rng(0)
    device_id = np.repeat(np.arange(n_devices), 200)
    probability = rng.random(device_id.size)
    is_true = rng.random(device_id.size) < probability
    said = {"network": probability, "logistic": np.full(device_id.size, 0.5)}
    found = compare(device_id, is_true, said, 0, 40)
    kind = rng.integers(0, 3, device_id.size)
    found |= compare_kinds(
        device_id, kind, hits_of(kind, {"network": np.eye(3)[kind], "p": np.ones((len(kind), 3))}), 0, 40
    )
    intervals = [name for name in found if name.endswith(".low")]
    told = summary(found, [*said, "p"])
    if n_devices < LEAST_PEOPLE:
        assert found == {"n_devices": float(n_devices)} and told[-1] == "not judged: fewer than 10 held-out people"
    else:
        assert len(intervals) == 5 and told[-2] == "network beats the logistic regression (log loss)"
        assert told[-1] == "network beats p (kind of the first new place, first named)"


def test_a_summary_tells_of_people_not_learnt_from_each_beside_its_baselines_and_ends_with_the_verdict():
    rng = np.random.default_rng(0)
    is_true = rng.random(400) < 0.3
    share = np.full(400, 0.3)
    found = compare(np.arange(400), is_true, {"network": share, "logistic": share, "population": share}, 0, 40)
    found |= {f"known_people.{name}": 9.0 for name in found}
    told = summary(found, ["network", "logistic", "population"])
    assert told[0].startswith("400 weeks of 400 people that nothing was learnt from, in ")
    assert [line.partition(":")[0] for line in told[1:4]] == ["network", "logistic", "population"]
    assert told[-1] == "network does not beat the logistic regression, population (log loss)"
    assert not any("9.0" in line for line in told)


def test_blocks_of_replicates_are_the_replicates():
    devices = np.arange(50)
    whole = poisson_counts(devices, "x", 3, 7)
    assert np.array_equal(poisson_counts(devices, "x", 3, 4, first=3), whole[:, 3:])
    counts = np.concatenate(list(replicate_counts(devices, 3, 70)), axis=1)
    assert counts.shape == (50, 71) and (counts[:, 0] == 1).all()
    assert np.array_equal(counts[:, 1:], poisson_counts(devices, "models/compare", 3, 70))
