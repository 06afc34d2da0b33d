"""Week summaries with a tiny random model: every text that leaves agrees with the table, and says who wrote it."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from data_contracts.check import conform  # noqa: E402
from data_contracts.models_text import WEEK_SUMMARIES  # noqa: E402
from pipeline.models import FitRun  # noqa: E402
from pipeline.models.language import facts as f  # noqa: E402
from pipeline.models.language import text_scores, week_summaries  # noqa: E402
from pipeline.models.language.causal_lm import tiny_lm  # noqa: E402
from pipeline.models.language.declaration import SUMMARIES, WeekSummaries, WeekSummaryParams  # noqa: E402
from pipeline.models.protocol import ModelError  # noqa: E402
from tests.model_rows import region_changes  # noqa: E402

TINY = WeekSummaryParams(
    language_model="tiny",
    steps=4,
    steps_per_epoch=2,
    drawn_weeks=20,
    tested_weeks=3,
    batch_size=4,
    max_answer_tokens=24,
)


class Kept:
    def whole(self, table):
        return region_changes()


@pytest.fixture(scope="module")
def state():
    return WeekSummaries().fit(Kept(), TINY, FitRun(seed=1, device="cpu"))


def predict(state, rows):
    return WeekSummaries().predict(SUMMARIES, state, {"region_changes": rows}, WeekSummaries.params(), "cpu")


def test_metrics_tell_all_arms_and_the_template(state):
    metrics = state.facts["metrics"]
    assert metrics["template_texts_right"] == 1
    arms = ("e2p", "shuffled", "none", week_summaries.TOLD)
    assert all(0 <= metrics[f"{arm}_{what}_right"] <= 1 for arm in arms for what in ("texts", "facts"))
    assert all(isinstance(value, np.ndarray) for value in state.tensors.values())


def test_a_training_is_summed_up_by_its_own_texts_beside_the_baselines_and_a_verdict(state):
    told = state.facts["summary"]
    assert told[0] == "2 weeks (areas: 1) that nothing was learnt from"
    assert [line.partition(":")[0] for line in told[1:-1]] == list(text_scores.WORDS.values())
    assert told[2].endswith("texts right 100.0%, facts 100.0%")
    # Of two weeks nothing is certain.
    assert told[-1].startswith("the model's own text does not beat the template, facts in the prompt, no numbers")


def test_texts_of_a_model_that_knows_nothing_are_the_templates(state):
    found = predict(state, region_changes())
    assert list(found.columns) == WEEK_SUMMARIES.names
    assert set(found["written_by"]) == {"template"}
    assert (found["n_facts_wrong"] > 0).all()
    weeks = f.weeks_of(region_changes())
    assert found["text"].tolist() == [f.sentence(week.facts) for week in weeks]
    assert conform(pa.Table.from_pandas(found, preserve_index=False), WEEK_SUMMARIES).num_rows == len(weeks)


def test_a_right_text_of_the_model_stands_and_a_wrong_one_does_not(state, monkeypatch):
    weeks = f.weeks_of(region_changes())
    texts = [f.sentence(week.facts, style=3) for week in weeks]
    texts[1] = f.sentence([f.Fact("visits", 195)])
    monkeypatch.setattr(week_summaries, "generate", lambda *_: texts)
    found = predict(state, region_changes())
    assert found["written_by"].tolist() == ["model", "template", *["model"] * (len(weeks) - 2)]
    assert found["n_facts_wrong"].tolist() == [0, 2, *[0] * (len(weeks) - 2)]
    assert found["text"][0] == texts[0]
    assert found["text"][1] == f.sentence(weeks[1].facts)


def test_order_of_rows_and_the_seed_change_nothing_else(state):
    shuffled = region_changes().sample(frac=1, random_state=4)
    pd.testing.assert_frame_equal(predict(state, shuffled), predict(state, region_changes()))
    again = WeekSummaries().fit(Kept(), TINY, FitRun(seed=1, device="cpu"))
    assert all((again.tensors[name] == value).all() for name, value in state.tensors.items())


def test_nothing_known_is_no_row_and_too_few_weeks_are_refused(state):
    nothing = predict(state, region_changes().head(0))
    assert conform(pa.Table.from_pandas(nothing, preserve_index=False), WEEK_SUMMARIES).num_rows == 0
    assert len(predict(state, region_changes(1, 1).head(7))) == 1
    with pytest.raises(ModelError, match="changes are known of 1 weeks: too few"):
        week_summaries.fit(region_changes(1, 1), TINY, FitRun())
    with pytest.raises(ModelError, match="nothing to tell"):
        week_summaries.describe(state, [()])


def test_other_weights_than_it_learnt_in_front_of_are_refused(state, monkeypatch):
    monkeypatch.setattr(week_summaries, "tiny_lm", lambda: tiny_lm(seed=1))
    with pytest.raises(ModelError, match="other weights of tiny random Llama than are installed"):
        predict(state, region_changes())


def test_nothing_to_validate_with_is_a_models_error():
    with pytest.raises(ModelError, match="no answers to train on"):
        week_summaries.fit(region_changes(), TINY.model_copy(update={"drawn_weeks": 1}), FitRun(device="cpu"))


def test_precision_reaches_the_loop_and_texts_are_scored_all_the_same(state):
    half = WeekSummaries().fit(Kept(), TINY.model_copy(update={"precision": "bfloat16"}), FitRun(seed=1, device="cpu"))
    assert any((half.tensors[name] != value).any() for name, value in state.tensors.items())
    assert half.facts["metrics"].keys() == state.facts["metrics"].keys()
    pd.testing.assert_frame_equal(predict(half, region_changes()), predict(half, region_changes()))


def test_drawn_weeks_lie_between_those_of_the_table():
    weeks = [
        f.Week("01", pd.Timestamp("2020-03-02"), 12, (f.Fact("visits", p), f.Fact("contacts", 0))) for p in (-40, 10)
    ]
    drawn = week_summaries._draw(weeks, 200, seed=2)
    visits = {facts[0].percent for facts in drawn}
    assert min(visits) == -40
    assert max(visits) == 10
    assert len(visits) > 5
    assert {facts[1].percent for facts in drawn} == {0}


def test_weeks_tested_are_of_many_regions_and_weeks_whatever_the_rest():
    weeks = f.weeks_of(region_changes(10, 30))
    tested = week_summaries._tested(weeks, 24, seed=3)
    assert len({week.region_geoid for week in tested}) > 5
    assert len({week.started for week in tested}) > 10
    assert week_summaries._tested(weeks[::-1], 24, seed=3) == tested
    assert week_summaries._tested(weeks, 24, seed=4) != tested


@given(percents=st.lists(st.sampled_from([-40, 0, 150, 200]), min_size=1, max_size=12))
def test_exchanged_vectors_are_of_other_numbers(percents):
    vectors = np.stack([f.as_vector([f.Fact("visits", p)]) for p in percents])
    others = week_summaries.exchanged(vectors, seed=1)
    # Beyond 100 % vectors are alike.
    if len({min(p, 100) for p in percents}) == 1:
        assert others is None
    else:
        assert (vectors[others] != vectors).any(axis=1).all()


def test_regions_tested_are_not_learnt_from():
    learnt_from, tested = week_summaries._split(f.weeks_of(region_changes(8, 2)), 0.25, seed=3)
    regions = [{week.region_geoid for week in part} for part in (learnt_from, tested)]
    assert not regions[0] & regions[1]
    assert [len(part) for part in regions] == [6, 2]
