"""What makes the controls controls: whose embedding an arm is trained and scored with, and who is trained on."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from pipeline.evaluation import personal_text_arms as arms  # noqa: E402
from pipeline.evaluation import personal_text_data as data  # noqa: E402
from pipeline.evaluation.personal_text_people import normalise  # noqa: E402
from pipeline.models.hashed_text import hash_texts  # noqa: E402
from pipeline.models.language.arms import build_arm  # noqa: E402
from pipeline.models.language.causal_lm import tiny_lm  # noqa: E402
from pipeline.models.language.declaration import PrefixParams  # noqa: E402

N_PEOPLE = 10


@pytest.fixture
def prepared(tmp_path):
    """Everybody talks to the next person and to the one after, whose lines are shown."""
    rows = []
    for k in range(N_PEOPLE):
        for other in (1, 2):
            rows += [f"1 your persona: i am {k}.", f"2 partner's persona: i am {(k + other) % N_PEOPLE}."]
            rows += [f"3 hi\tmy {k} {other}", f"4 so ?\tyes {k}"]
    (tmp_path / "d.txt").write_text("\n".join(rows) + "\n")
    return data.prepare(tmp_path / "d.txt", None, data.PersonalTextParams(test_share=0.3), hash_texts)


@pytest.fixture
def bench(prepared):
    params = data.PersonalTextParams(test_share=0.3, steps=1, alignment_steps=1)
    return arms.Bench(prepared, tiny_lm(n_dims=16), hash_texts, PrefixParams(), params, None, "cpu")


def arm_of(bench, name):
    return build_arm(name, bench.lm, bench.prepared.embeddings.shape[1], bench.prefix)


def is_own(prepared, answers, rows):
    return [prepared.personas[row] == each.persona for each, row in zip(answers, rows, strict=True)]


@pytest.mark.parametrize("name", ["e2p", "e2p_mean", "e2p_shuffled", "e2p_trained_shuffled"])
def test_shuffled_arms_are_scored_with_the_embeddings_of_others_and_the_rest_with_their_own(bench, name):
    prepared = bench.prepared
    rows = [each.row for each in arms._texts(bench, arm_of(bench, name), False)]
    assert set(is_own(prepared, prepared.test, rows)) == {not name.endswith("shuffled")}


@pytest.mark.parametrize("name", ["e2p", "e2p_trained_shuffled"])
def test_arms_are_aligned_and_trained_with_the_embeddings_they_are_scored_with(bench, name, monkeypatch):
    seen = {}

    def keep(bench, arm, train, held, embeddings, steps, phase):
        seen[phase] = [each.row for each in train], [each.row for each in held]
        return SimpleNamespace(train_loss=[], n_steps=1, validation=[])

    monkeypatch.setattr(arms, "_fit", keep)
    arms._train(bench, arm_of(bench, name))
    prepared, is_shuffled = bench.prepared, name.endswith("shuffled")
    said = np.array(seen["alignment"][1] + seen["alignment"][0])
    same = [prepared.said[row].persona == each.persona for each, row in zip(prepared.said, said, strict=True)]
    assert set(same) == {not is_shuffled}
    for answers, rows in zip((prepared.train, prepared.validation), seen["answers"], strict=True):
        assert set(is_own(prepared, answers, rows)) == {not is_shuffled}


def test_nobody_is_trained_on_what_was_said_to_people_of_the_test(prepared):
    tested = set(prepared.split.test.tolist())
    learnt = [*prepared.train, *prepared.validation, *prepared.said]
    assert learnt and tested
    assert not tested & {prepared.people.of(each.persona) for each in learnt}
    others = [prepared.people.of_line[normalise(line)] for each in learnt for line in each.other_persona]
    assert others and not tested & set(others)
