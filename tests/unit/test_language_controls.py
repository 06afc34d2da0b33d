"""Controls of personalised text: what is exchanged is another person's, and nobody of the test is in training."""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from pipeline.evaluation import personal_text as text
from pipeline.evaluation import personal_text_arms as arms
from pipeline.evaluation import personal_text_data as data
from pipeline.evaluation.personal_text_people import normalise
from pipeline.evaluation.personal_text_reading import read_dialogues
from pipeline.models.hashed_text import hash_texts
from pipeline.models.language.arms import build_arm
from pipeline.models.language.causal_lm import tiny_lm
from pipeline.models.language.declaration import PrefixParams

N_PEOPLE = 12
SHORT = PrefixParams(max_prompt_tokens=16, max_answer_tokens=16, max_text_tokens=16)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Everybody talks with everybody, and both speakers are known; of each something is told in one dialogue alone."""
    rows = ["user 1 personas,user 2 personas,Best Generated Conversation"]
    for one, other in itertools.combinations(range(N_PEOPLE), 2):
        said = "\n".join(f"User {1 + k % 2}: {one} {other} says {k}" for k in range(4))
        mine, theirs = (f"i am number {k}.\ni am in {one} and {other} as {k}." for k in (one, other))
        rows.append(f'"{mine}","{theirs}","{said}"')
    path = tmp_path_factory.mktemp("dialogues") / "d.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def prepared(file):
    return data.prepare(file, None, data.PersonalTextParams(), hash_texts)


def bench_of(prepared, encode=hash_texts, **changes):
    return arms.Bench(prepared, tiny_lm(), encode, SHORT, data.PersonalTextParams(**changes), None, "cpu")


def arm_of(bench, name):
    return build_arm(name, bench.lm, bench.prepared.embeddings.shape[1], bench.prefix, 0)


def people(prepared, personas):
    return [prepared.people.of(persona) for persona in personas]


def test_an_arm_of_exchanged_embeddings_is_scored_with_nobodys_own(prepared):
    bench = bench_of(prepared)
    for name, is_own in (("e2p", True), ("e2p_shuffled", False), ("e2p_trained_shuffled", False)):
        rows = [each.row for each in arms._texts(bench, arm_of(bench, name), False)]
        found = people(prepared, [prepared.personas[row] for row in rows])
        assert len(rows) == len(prepared.test) > 0
        assert {one == own for one, own in zip(found, prepared.test_people, strict=True)} == {is_own}


@pytest.mark.parametrize(("name", "is_own"), [("e2p", True), ("e2p_trained_shuffled", False)])
def test_an_arm_of_exchanged_embeddings_never_learns_from_anybodys_own(prepared, monkeypatch, name, is_own):
    fitted, encoded = {}, []

    def fit(bench, arm, train, held, embeddings, steps, phase):
        fitted[phase] = ([each.row for each in held], [each.row for each in train], embeddings)
        return SimpleNamespace(train_loss=[], n_steps=0, validation=[], seconds=0.0)

    def encode(texts):
        encoded.append(list(texts))
        return hash_texts(texts)

    monkeypatch.setattr(arms, "_fit", fit)
    bench = bench_of(prepared, encode)
    arms._train(bench, arm_of(bench, name))

    def are_own(rows, personas, answers):
        found = people(prepared, [personas[row] for row in rows])
        return {one == prepared.people.of(each.persona) for one, each in zip(found, answers, strict=True)}

    held, train, embeddings = fitted["alignment"]
    assert embeddings is prepared.said_embeddings
    assert are_own([*held, *train], [each.persona for each in prepared.said], prepared.said) == {is_own}
    held, train, embeddings = fitted["answers"]
    assert embeddings is prepared.embeddings
    assert are_own(train, prepared.personas, prepared.train) == {is_own}
    assert are_own(held, prepared.personas, prepared.validation) == {is_own}
    # What a projector starts from is exchanged, too.
    by_text = {each.text: each.persona for each in prepared.said}
    (texts,) = encoded
    assert are_own(range(len(texts)), [by_text[text] for text in texts], prepared.said) == {is_own}


def test_what_is_said_to_people_of_the_test_teaches_nothing(file, prepared):
    is_test = set(prepared.split.test.tolist())

    def others(answers):
        return {prepared.people.of_line[normalise(line)] for each in answers for line in each.other_persona}

    taught = set(prepared.split.train.tolist())
    all_said = [each for each in read_dialogues(file).answers if prepared.people.of(each.persona) in taught]
    assert others(all_said) & is_test
    for answers in (prepared.train, prepared.validation, prepared.said):
        assert answers and not others(answers) & is_test


def test_arms_are_told_apart_by_their_own_lower_surprise(prepared):
    """Ten tokens an answer: e2p loses 20 nats, less than none (30) and more than static (10); turned it loses 25."""
    n = len(prepared.test)

    def scores(name, nll):
        return arms.ArmScores(name, 0, 0.0, [nll] * n, [10] * n, 0, 0.0, [], [])

    extras = arms.Extras(math.nan, math.nan, math.nan, [], [], {"30": [25.0] * n})
    by_name = {name: scores(name, nll) for name, nll in (("none", 30.0), ("e2p", 20.0), ("static", 10.0))}
    found = text._compare(by_name, {"e2p": extras}, prepared, data.PersonalTextParams())
    assert {name: each.mean for name, each in found["differences"].items()} == pytest.approx({"none": -1, "static": 1})
    assert found["bars"] == {"none": True, "static": False}
    # Stale embeddings cost: e2p with them less e2p.
    assert found["drift"]["30"].mean == pytest.approx(0.5)


def test_each_answer_ranked_has_its_own_persona_first(prepared, monkeypatch):
    """Two answers of each person: what is summed first is of the persona of each, then of other people's."""
    asked = []

    def nll(bench, arm, encoded, embeddings):
        asked.extend(each.row for each in encoded)
        return np.ones(len(encoded)), np.ones(len(encoded), int)

    monkeypatch.setattr(arms, "_nll", nll)
    bench = bench_of(prepared, ranked_per_person=2, n_candidates=3)
    ranked = arms._rank(bench, arm_of(bench, "e2p"))
    rows = np.array(asked).reshape(len(ranked), 2, 3)
    first = [np.flatnonzero(prepared.test_people == person)[:2] for person in np.unique(prepared.test_people)]
    own = [[prepared.row(prepared.test[k]) for k in part] for part in first]
    assert rows[:, :, 0].tolist() == own
    assert not (rows[:, :, 1:] == rows[:, :, :1]).any()
    assert ranked == [[2.0] * 3] * len(ranked)


def test_answers_are_learnt_from_embeddings_of_their_own_centre(prepared, monkeypatch):
    """After the alignment, which is centred on utterances, a projector is centred on the personas of training."""
    empty = SimpleNamespace(train_loss=[], n_steps=0, validation=[], seconds=0.0)
    monkeypatch.setattr(arms, "_fit", lambda *given: empty)
    bench = bench_of(prepared)
    arm = arm_of(bench, "e2p")
    arms._train(bench, arm)
    rows = sorted({prepared.row(each) for each in prepared.train})
    np.testing.assert_allclose(arm.module.centre.numpy(), prepared.embeddings[rows].mean(axis=0), atol=1e-6)
