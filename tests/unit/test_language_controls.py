"""Controls of personalised text: what is exchanged is another person's, and nobody of the test is in training."""

import itertools
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

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
    """Everybody talks with everybody, and both speakers are known."""
    rows = ["user 1 personas,user 2 personas,Best Generated Conversation"]
    for one, other in itertools.combinations(range(N_PEOPLE), 2):
        said = "\n".join(f"User {1 + k % 2}: {one} {other} says {k}" for k in range(4))
        rows.append(f'"i am number {one}.","i am number {other}.","{said}"')
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
