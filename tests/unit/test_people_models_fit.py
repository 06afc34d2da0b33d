"""Models of people end to end on small artificial cities: same seed same bits, whatever the order, buckets or rows."""

import numpy as np
import pytest

pytest.importorskip("torch")
from safetensors.numpy import load_file, save_file
from statsmodels.discrete.discrete_model import MNLogit

from pipeline.models import MODELS
from pipeline.models.people.declaration import FORECASTS, SCORES
from pipeline.models.people.fitting import Fitted, scored_rows
from pipeline.models.people.kind_regression import fit_kinds
from pipeline.models.people.network import PersonNet, sample_of
from pipeline.models.protocol import FitRun, ModelError, State
from pipeline.models.streaming import FrameTables, StreamedRows
from tests.people_models_rows import explorers, in_buckets, make_visits, presence_of, through_contract, workers

RUN = FitRun(seed=3, device="cpu")
EXPLORATION, EMPLOYMENT = MODELS["exploration_forecasts"], MODELS["employment_scores"]
QUICK = {"n_replicates": 50, "batch_size": 128, "max_epochs": 12, "hidden": 16}
ASKED = FORECASTS.params(back_weeks=2)


@pytest.fixture(scope="module")
def visits():
    return explorers(80, 14)


@pytest.fixture(scope="module")
def work():
    return workers(80, 20)


def learn_exploration(visits, run=RUN, **changes):
    params = EXPLORATION.params(**(QUICK | {"min_kind_devices": 3} | changes))
    return EXPLORATION.fit(FrameTables({"visits": visits}), params, run)


def learn_employment(work, run=RUN, **changes):
    presence, truth = work
    return EMPLOYMENT.fit(FrameTables({"presence": presence}), EMPLOYMENT.params(**(QUICK | changes)), run, truth)


@pytest.fixture(scope="module")
def explorer_state(visits):
    return learn_exploration(visits)


@pytest.fixture(scope="module")
def worker_state(work):
    return learn_employment(work)


def assert_same(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    for name in one.tensors:
        assert one.tensors[name].tobytes() == other.tensors[name].tobytes(), name
    assert one.facts == other.facts


# --- Learning -----------------------------------------------------------------------------------------


def test_forecasts_beat_shares_where_weeks_have_a_rhythm(explorer_state):
    """Every other week is quiet: single weeks back tell which, shares do not."""
    metrics = explorer_state.facts["metrics"]
    for baseline in ("population", "own_share", "recent_share"):
        assert metrics[f"known_people.network_less_{baseline}.log_loss.high"] < 0
    assert metrics["network.auc"] > metrics["own_share.auc"]
    assert "network.kind_top_1" in metrics and "multinomial.kind_top_3" in metrics
    told = explorer_state.facts["summary"]
    assert told[-4].startswith("network ") and told[-4].endswith("(log loss)")
    assert told[-2].startswith("people known from before, later weeks: network ") and told[-2].endswith("(log loss)")
    for line in (told[-3], told[-1]):
        assert "the multinomial regression" in line and "own_kinds" in line and "population" in line
        assert line.endswith("(kind of the first new place, first named)")


def test_scores_beat_an_absent_week(worker_state):
    metrics = worker_state.facts["metrics"]
    assert metrics["network_less_absent.log_loss.high"] < 0
    assert metrics["network.brier"] < metrics["absent.brier"]
    assert metrics["network.auc"] > metrics["absent.auc"]


def test_same_seed_same_bits_in_any_order_and_buckets(visits, work, explorer_state, worker_state):
    assert_same(explorer_state, learn_exploration(in_buckets(visits, 3)))
    presence, truth = work
    assert_same(worker_state, learn_employment((in_buckets(presence, 4), truth.sample(frac=1.0, random_state=1))))


def test_another_seed_learns_another_state(visits, explorer_state):
    other = learn_exploration(visits, FitRun(seed=4, device="cpu"), max_epochs=1)
    assert not np.array_equal(other.tensors["first.weight"], explorer_state.tensors["first.weight"])


def test_precision_reaches_the_loop_and_costs_little(visits):
    full, half = (learn_exploration(visits, max_epochs=2, precision=word) for word in ("float32", "bfloat16"))
    assert not np.array_equal(half.tensors["first.weight"], full.tensors["first.weight"])
    assert half.tensors["first.weight"].dtype == np.float32
    losses = [state.facts["metrics"]["known_people.network.log_loss"] for state in (half, full)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_kinds_that_few_know_are_not_kept(visits):
    state = learn_exploration(visits, min_kind_devices=500, max_epochs=1)
    assert state.facts["kinds"] == []
    assert set(EXPLORATION.predict(FORECASTS, state, {"visits": visits}, ASKED, "cpu")["kinds"].iloc[0]) == {
        "other",
        "none known",
    }


def test_held_out_people_and_weeks_teach_nothing(visits):
    """Another life of the people scored on, and of everybody in the last weeks, leaves the weights as they were."""
    from pipeline.models.people.fitting import TEST, side_of

    params = EXPLORATION.params(**QUICK)
    is_test = side_of(visits["device_id"].to_numpy(), RUN.seed, params) == TEST
    cut = np.datetime64(learn_exploration(visits, max_epochs=1).facts["held_out_from"])
    is_late = visits["date"].to_numpy() >= cut
    is_out = is_test | is_late
    places = {"location_id": visits["location_id"].where(~is_out, 0)}
    kinds = {"poi_category": visits["poi_category"].where(~is_out, "Clinic")}
    one, other = (learn_exploration(visits.assign(**each), max_epochs=2) for each in ({}, places | kinds))
    assert one.facts["kinds"] == other.facts["kinds"] != []
    assert all(np.array_equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def test_what_cannot_be_learnt_from_is_said(visits, work):
    with pytest.raises(ModelError, match="no device of visits is seen to the end of a week"):
        learn_exploration(visits.iloc[:1])
    with pytest.raises(ModelError, match="no rows to"):
        learn_exploration(visits[visits["device_id"] == visits["device_id"].iloc[0]])
    with pytest.raises(ModelError, match="no device of the truth"):
        learn_employment((work[0], work[1].assign(device_id=-1 - work[1]["device_id"])))
    with pytest.raises(ValueError, match="none were given"):
        EMPLOYMENT.fit(FrameTables({}), EMPLOYMENT.params(), RUN)


# --- Scoring ------------------------------------------------------------------------------------------


def streamed(n_devices, n_weeks, n_kinds=3):
    """Rows of a side, and the same whole: the kind follows from the first feature."""
    rng = np.random.default_rng(1)
    device_id, monday = np.repeat(np.arange(n_devices), n_weeks), np.tile(np.arange(n_weeks) * 7, n_devices)
    features = rng.normal(size=(device_id.size, 4)).astype(np.float32)
    said = np.digitize(features[:, 0] + rng.normal(0, 0.3, device_id.size), [-0.5, 0.5])
    kind = np.where(rng.random(device_id.size) < 0.5, said, -1)
    kind = np.where(kind >= 0, np.minimum(kind, n_kinds - 1), -1)
    columns = {"device_id": device_id, "monday": monday, "features": features, "kind": kind}
    columns["event"] = (kind >= 0).astype(np.float32)
    rows = StreamedRows(32, 0, chunk_rows=100)
    rows.add(columns)
    return rows, columns


def test_held_out_rows_are_scored_batch_by_batch_and_their_features_not_kept():
    rows, whole = streamed(40, 10)
    network = PersonNet(4, 8, 3)
    mean, scale = np.zeros(4), np.ones(4)
    network.start(mean, scale, 0, "test")
    fitted = Fitted(network, np.array([0.1, 1.0, 0.0, 0.0, -1.0]), mean, scale)
    sizes = []

    def best(batch, kinds):
        sizes.append(len(kinds))
        return {"best": kinds.argmax(1)}

    found = scored_rows(rows, fitted, best)
    assert max(sizes) <= 32 and sum(sizes) == 400
    event, kinds, logistic = fitted.probabilities(whole["features"])
    assert set(found) == {"device_id", "monday", "kind", "event", "network", "logistic", "best"}
    for name, expected in {**whole, "network": event, "logistic": logistic, "best": kinds.argmax(1)}.items():
        if name != "features":
            assert np.array_equal(found[name], expected), name


def test_the_regression_of_kinds_knows_a_planted_rule():
    rows, whole = streamed(200, 10)
    mean, scale = np.zeros(4), np.ones(4)
    regression = fit_kinds(rows, mean, scale)
    is_new = whole["kind"] >= 0
    standard, kind = whole["features"][is_new].astype(float), whole["kind"][is_new]
    probability = regression.probabilities(standard, 5)
    assert probability.sum(1) == pytest.approx(1) and (probability[:, 3:] == 0).all()
    assert (probability.argmax(1) == kind).mean() > 0.7
    peer = MNLogit(kind, np.column_stack((np.ones(len(kind)), standard))).fit(disp=0)
    assert (probability.argmax(1) == peer.predict().argmax(1)).mean() > 0.9
    alone, _ = streamed(20, 5, n_kinds=1)
    assert fit_kinds(alone, mean, scale) is None


def test_the_regression_of_kinds_is_no_straw_man_of_few_rows_and_many_features():
    """Features say nothing of the kind: what can be known are shares, and it must find them."""
    rng = np.random.default_rng(5)
    shares = [0.5, 0.2, 0.15, 0.1, 0.05]

    def drawn(n):
        return rng.normal(size=(n, 40)).astype(np.float32), rng.choice(5, n, p=shares)

    rows = StreamedRows(32, 0)
    features, kind = drawn(200)
    rows.add({"device_id": np.arange(200), "monday": np.zeros(200, int), "features": features, "kind": kind})
    unseen, true = drawn(4000)
    probability = fit_kinds(rows, np.zeros(40), np.ones(40)).probabilities(unseen.astype(float), 5)
    assert (probability.argmax(1) == true).mean() > (true == 0).mean() - 0.05


def test_regressions_learn_from_a_bounded_sample_that_is_the_same_in_any_shards():
    rows, whole = streamed(200, 10)
    mean, scale = np.full(4, 0.5), np.full(4, 2.0)
    features, event = sample_of(rows, mean, scale, "event", 700)
    assert features.shape == (700, 4) and event.shape == (700,)
    assert 0.8 < event.mean() / whole["event"].mean() < 1.2
    sharded = StreamedRows(48, 0, chunk_rows=100)
    for part in np.array_split(np.arange(200)[::-1], 7):
        chosen = np.isin(whole["device_id"], np.unique(whole["device_id"])[part])
        sharded.add({name: values[chosen] for name, values in whole.items()})
    again = sample_of(sharded, mean, scale, "event", 700)
    assert np.array_equal(again[0], features) and np.array_equal(again[1], event)
    known, kinds = sample_of(rows, mean, scale, "kind", 10**6, left_out=-1)
    assert len(known) == len(kinds) == (whole["kind"] >= 0).sum() and (kinds >= 0).all()


# --- Results ------------------------------------------------------------------------------------------


def test_forecasts_keep_their_contract_whatever_comes_with_them(visits, explorer_state):
    found = EXPLORATION.predict(FORECASTS, explorer_state, {"visits": visits}, ASKED, "cpu")
    whole = through_contract(found, "exploration_forecasts")
    assert whole.groupby("device_id").size().eq(3).all()
    assert whole.groupby("device_id")["is_back_forecast"].sum().eq(2).all()
    assert np.allclose([sum(each) for each in whole["kind_probabilities"]], 1)
    assert all((np.diff(each) <= 0).all() for each in whole["kind_probabilities"])
    mixed = visits.sample(frac=1.0, random_state=0)
    some = mixed[mixed["device_id"].isin(whole["device_id"].unique()[::7])]
    part = through_contract(
        EXPLORATION.predict(FORECASTS, explorer_state, {"visits": some}, ASKED, "cpu"), FORECASTS.table.name
    )
    kept = whole[whole["device_id"].isin(part["device_id"])].reset_index(drop=True)
    for name in ("device_id", "window_started", "new_place_probability", "baseline_probability"):
        assert kept[name].tolist() == part[name].tolist(), name
    assert [list(each) for each in kept["kind_probabilities"]] == [list(each) for each in part["kind_probabilities"]]


def test_scores_keep_their_contract_whatever_comes_with_them(work, worker_state):
    presence, _ = work
    whole = through_contract(
        EMPLOYMENT.predict(SCORES, worker_state, {"presence": presence}, None, "cpu"), SCORES.table.name
    )
    assert whole[["device_id", "window_started"]].equals(presence[["device_id", "window_started"]])
    some = presence[presence["device_id"].isin(presence["device_id"].unique()[::9])].sample(frac=1.0, random_state=0)
    part = through_contract(
        EMPLOYMENT.predict(SCORES, worker_state, {"presence": some}, None, "cpu"), SCORES.table.name
    )
    kept = whole[whole["device_id"].isin(part["device_id"])]
    assert kept["loss_score"].tolist() == part["loss_score"].tolist()


def test_a_state_kept_and_read_back_gives_the_same(tmp_path, visits, explorer_state):
    import json

    save_file(dict(explorer_state.tensors), tmp_path / "state.safetensors")
    facts = json.loads(json.dumps(explorer_state.facts))
    read = State(load_file(tmp_path / "state.safetensors"), facts)
    one, other = (EXPLORATION.predict(FORECASTS, s, {"visits": visits}, ASKED, "cpu") for s in (explorer_state, read))
    assert one["new_place_probability"].tolist() == other["new_place_probability"].tolist()
    ids = {str(device_id) for device_id in visits["device_id"].unique() if device_id > 1_000}
    assert not any(each in json.dumps(facts) for each in ids)


def test_nothing_and_next_to_nothing(explorer_state, worker_state):
    def forecasts(rows):
        found = EXPLORATION.predict(FORECASTS, explorer_state, {"visits": rows}, ASKED, "cpu")
        return through_contract(found, FORECASTS.table.name)

    one = make_visits([(1, 0, 0, None)])
    assert forecasts(one.iloc[:0]).empty and forecasts(one).empty
    assert len(forecasts(make_visits([(1, 6, 0, None)]))) == 1
    presence = presence_of([(1, 0, True, 1.0, False)])
    for rows, n in ((presence, 1), (presence.iloc[:0], 0)):
        found = EMPLOYMENT.predict(SCORES, worker_state, {"presence": rows}, None, "cpu")
        assert len(through_contract(found, SCORES.table.name)) == n


def test_a_longer_absence_is_a_more_probable_loss(worker_state):
    weeks = [(1, week, True, 0.0 if 4 <= week < 4 + n else 1.0, 4 <= week < 4 + n) for n in (1,) for week in range(20)]
    long = [(2, week, True, 0.0 if 4 <= week < 14 else 1.0, 4 <= week < 14) for week in range(20)]
    found = EMPLOYMENT.predict(SCORES, worker_state, {"presence": presence_of(weeks + long)}, None, "cpu")
    score = found["loss_score"].to_numpy().reshape(2, 20)
    assert score[1, 8] > 0.5 > score[0, 4] and score[0, 15] < 0.2
