"""`sojourn evaluate personal-text` as a user meets it: dialogues in, figures out, nobody's words."""

import json
import os
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")


PEOPLE = 8
SECRET = "unmistakable"
TRY = ("--model", "tiny", "--steps", "2", "--alignment-steps", "2", "--batch-size", "4")


@pytest.fixture
def sojourn(sojourn):
    return partial(sojourn, columns=80)


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory):
    file = tmp_path_factory.mktemp("dialogues") / "d.txt"
    lines = []
    for k in range(PEOPLE):
        lines += [f"1 your persona: {SECRET} line {k}.", f"2 your persona: i like {chr(97 + k) * 3}."]
        lines += [f"{n} what is it ?\t{SECRET} answer {k} {n}" for n in (3, 4)]
    file.write_text("\n".join([*lines, "broken"]) + "\n")
    return file


@pytest.fixture(scope="module")
def keep(tmp_path_factory):
    return tmp_path_factory.mktemp("kept") / "arms"


def test_arms_are_compared_within_80_columns_and_without_a_word_of_anybody(sojourn, dialogues, keep):
    code, out, err = sojourn("evaluate", "personal-text", dialogues, *TRY, "--keep", keep)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "no number 1" in out
    for arm in ("none", "static", "lora", "text", "e2p", "e2p_text", "e2p_mean", "e2p_shuffled"):
        assert f"\n {arm} " in out
    kept = b"".join(path.read_bytes() for path in keep.iterdir() if path.is_file())
    assert SECRET not in out + err
    assert SECRET.encode() not in kept


def test_a_second_call_goes_on_from_what_is_kept(sojourn, dialogues, keep):
    code, out, _ = sojourn("evaluate", "personal-text", dialogues, *TRY, "--keep", keep, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["counts"]["n_people"] == PEOPLE
    assert {arm["name"]: arm["n_trainable"] for arm in found["arms"]}["none"] == 0
    assert set(found["bars"]) == {"none", "static", "e2p_shuffled"}
    assert found["differences"]["none"]["n_people"] == found["counts"]["n_test_people"]
    code, _, err = sojourn("evaluate", "personal-text", dialogues, *TRY, "--keep", keep, "--seed", 1)
    assert code != 0
    assert "holds outcomes of other settings" in err


def test_trained_arms_take_the_same_steps_and_exchanged_embeddings_are_ranked(sojourn, dialogues):
    code, out, _ = sojourn(
        "evaluate", "personal-text", dialogues, *TRY, "--json", "--arms", "static,lora,e2p,e2p_trained_shuffled"
    )
    assert code == 0
    found = {arm["name"]: arm for arm in json.loads(out)["arms"]}
    assert {arm["n_steps"] for arm in found.values()} == {4}
    shuffled = found["e2p_trained_shuffled"]
    assert 0 <= shuffled["hit_rate_likelihood"] <= 1
    assert shuffled["n_trainable"] == found["e2p"]["n_trainable"]
    assert shuffled["perplexity"] != found["e2p"]["perplexity"]


@pytest.mark.parametrize("arm", ["text", "e2p", "e2p_text"])
def test_answers_are_ranked_under_the_own_persona_and_those_of_others(sojourn, dialogues, keep, arm):
    assert sojourn("evaluate", "personal-text", dialogues, *TRY, "--keep", keep)[0] == 0
    scores, extras = (json.loads((keep / f"{arm}{end}").read_text()) for end in (".json", ".extras.json"))
    ranked = np.array(extras["candidate_nll"])
    # Each person has one answer ranked, its first: what it costs with its own persona is what the arm was scored by.
    first = np.array(scores["nll"])[:: len(scores["nll"]) // len(ranked)]
    np.testing.assert_allclose(ranked[:, 0], first, atol=1e-3)
    assert (np.abs(ranked[:, 1:] - ranked[:, :1]) > 1e-3).any()


def test_outcomes_of_other_answers_or_code_are_refused(sojourn, dialogues, keep, tmp_path, monkeypatch):
    arguments = (*TRY, "--keep", keep, "--arms", "none")
    other = tmp_path / "d.txt"
    other.write_text(dialogues.read_text().replace("answer 3 4", "answer of another kind"))
    code, _, err = sojourn("evaluate", "personal-text", other, *arguments)
    assert code != 0
    assert "other settings, data or code" in " ".join(err.split())
    assert sojourn("evaluate", "personal-text", dialogues, *arguments)[0] == 0
    monkeypatch.setattr("pipeline.evaluate.personal_text._code", lambda: "another")
    assert sojourn("evaluate", "personal-text", dialogues, *arguments)[0] != 0


@pytest.mark.parametrize(
    ("options", "why"),
    [(("--arms", "none,magic"), "there is no magic"), (("--model", "huge"), "smollm2 or tiny")],
)
def test_what_cannot_be_meant_is_refused(sojourn, dialogues, options, why):
    code, _, err = sojourn("evaluate", "personal-text", dialogues, *options)
    assert code != 0
    assert why in " ".join(err.split())


def test_too_few_people_are_refused(sojourn, tmp_path):
    file = tmp_path / "d.txt"
    file.write_text("1 your persona: i sing.\n2 hi\thello\n")
    code, _, err = sojourn("evaluate", "personal-text", file, *TRY)
    assert code != 0
    assert "1 people share no persona line" in " ".join(err.split())


@pytest.mark.slow
@pytest.mark.skipif("SOJOURN_SLOW_MODELS" not in os.environ, reason="loads SmolLM2: set SOJOURN_SLOW_MODELS")
def test_the_real_model_is_less_surprised_by_english_than_by_noise(tmp_path):
    from pipeline.models.language.arms import build_arm
    from pipeline.models.language.causal_lm import load_smollm2
    from pipeline.models.language.declaration import PrefixParams
    from pipeline.models.language.scoring import score
    from pipeline.models.language.sequences import Limits, Written, encode_all

    lm = load_smollm2(tmp_path)
    again = load_smollm2(tmp_path)
    texts = [
        Written("", "A: how are you?\nB:", " i am fine, thank you.", 0),
        Written("", "A: how are you?\nB:", " xq zv", 0),
    ]
    found = []
    for each in (lm, again):
        encoded = encode_all(each, texts, Limits(10, 20, 20))
        found.append(score(build_arm("none", each, 4, PrefixParams()), encoded, np.zeros((1, 4), np.float32)))
    assert (found[0].nll == found[1].nll).all()
    per_token = found[0].nll / found[0].n_tokens
    assert per_token[0] < 4 < per_token[1]
