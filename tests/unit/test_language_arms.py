"""Arms on a tiny random model: what is trained, what is scored, what is written, against slow twins."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from pipeline.models.language.arms import ARMS, build_arm  # noqa: E402
from pipeline.models.language.causal_lm import tiny_lm  # noqa: E402
from pipeline.models.language.content import content_vectors  # noqa: E402
from pipeline.models.language.declaration import PrefixParams  # noqa: E402
from pipeline.models.language.generation import generate  # noqa: E402
from pipeline.models.language.learning import ArmLearner, epochs_of, read_state, standardise, write_state  # noqa: E402
from pipeline.models.language.scoring import score  # noqa: E402
from pipeline.models.language.sequences import IGNORED, Limits, Written, collate, encode_all, shuffled  # noqa: E402
from pipeline.models.protocol import ModelError  # noqa: E402
from tests import naive_language  # noqa: E402

N_IN = 6
PARAMS = PrefixParams(batch_size=3)
WRITTEN = [
    Written("", "A: hi\nB:", " yes", 0),
    Written("", "A: how are you?\nB:", " very well", 1),
    Written("", "", " no", 2),
    Written("", "A: x\nB:", "", 1),
]


@pytest.fixture(scope="module")
def lm():
    return tiny_lm(n_dims=16)


@pytest.fixture(scope="module")
def embeddings():
    return np.random.default_rng(3).normal(size=(3, N_IN)).astype(np.float32)


@pytest.fixture(scope="module")
def encoded(lm):
    return encode_all(lm, WRITTEN, Limits(20, 12, 9))


def arm_of(name, lm, **settings):
    if name == "lora":
        pytest.importorskip("peft")
    return build_arm(name, lm, N_IN, PrefixParams(**settings))


@pytest.mark.parametrize("name", ["none", "static", "e2p", "lora"])
@pytest.mark.parametrize("n_prefix_tokens", [1, 3])
def test_scores_are_those_of_one_token_after_the_other(lm, embeddings, encoded, name, n_prefix_tokens):
    arm = arm_of(name, lm, n_prefix_tokens=n_prefix_tokens)
    found = score(arm, encoded, embeddings)
    for each, nll, n_tokens in zip(encoded, found.nll, found.n_tokens, strict=True):
        with torch.no_grad():
            assert nll == pytest.approx(naive_language.answer_nll(arm, each, embeddings[each.row]), abs=1e-3)
        assert n_tokens == len(each.answer)


@pytest.mark.parametrize("name", ["none", "e2p"])
def test_writing_takes_the_likeliest_token_as_read_anew_each_time(lm, embeddings, encoded, name):
    arm = arm_of(name, lm)
    prompts, rows = [each.prompt for each in encoded], [each.row for each in encoded]
    with torch.no_grad():
        wanted = [naive_language.greedy(arm, p, embeddings[r], 6) for p, r in zip(prompts, rows, strict=True)]
    assert generate(arm, prompts, rows, embeddings, 6) == wanted
    assert generate(arm, prompts[::-1], rows[::-1], embeddings, 6) == wanted[::-1]


def test_only_what_an_arm_adds_is_trained(lm):
    n = {name: arm_of(name, lm).n_trainable for name in ARMS if name != "lora"}
    d = lm.n_dims
    assert n["none"] == n["text"] == 0
    assert n["static"] == d
    assert n["e2p"] == n["e2p_text"] == N_IN * d + d + d * d + d + d
    assert not any(p.requires_grad for p in lm.network.parameters())


def test_lora_starts_as_the_model_and_leaves_it_alone(lm, embeddings, encoded):
    arm = arm_of("lora", lm, lora_rank=2)
    before = {name: p.clone() for name, p in lm.network.named_parameters()}
    bare = score(arm_of("none", lm), encoded, embeddings).nll
    np.testing.assert_allclose(score(arm, encoded, embeddings).nll, bare, atol=1e-4)
    fit_a_little(arm, encoded, embeddings)
    assert np.abs(score(arm, encoded, embeddings).nll - bare).max() > 1e-3
    np.testing.assert_allclose(score(arm_of("none", lm), encoded, embeddings).nll, bare, atol=1e-6)
    assert all(torch.equal(p, before[name]) for name, p in lm.network.named_parameters())


def fit_a_little(arm, encoded, embeddings, n_steps=20):
    learner = ArmLearner(arm, encoded, encoded, embeddings, 4, n_steps)
    optimizer = torch.optim.Adam([p for p in arm.module.parameters() if p.requires_grad], 1e-2)
    arm.module.train()
    losses = []
    for batch in learner.batches(0):
        loss = learner.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("name", ["static", "e2p", "lora"])
def test_training_lowers_the_loss_and_what_was_learnt_can_be_kept(lm, embeddings, encoded, tmp_path, name):
    arm = arm_of(name, lm)
    standardise(arm, embeddings)
    losses = fit_a_little(arm, encoded, embeddings)
    assert losses[-1] < losses[0]
    write_state(arm, tmp_path / "state")
    again = arm_of(name, lm)
    read_state(again, tmp_path / "state")
    np.testing.assert_array_equal(score(again, encoded, embeddings).nll, score(arm, encoded, embeddings).nll)


def test_batches_and_what_is_dropped_are_the_same_for_the_same_epoch(lm, embeddings, encoded):
    learner = ArmLearner(arm_of("e2p", lm, dropout=0.5), encoded, encoded, embeddings, 3, 5, seed=7)
    torch.nn.init.ones_(learner.module.outer.weight)  # it starts at 0, where nothing is to be dropped
    learner.module.train()
    first, again = list(learner.batches(1)), list(learner.batches(1))
    assert [b.rows.tolist() for b in first] == [b.rows.tolist() for b in again]
    assert [int(b.key) for b in first] == [5, 6, 7, 8, 9]
    torch.manual_seed(1)
    loss = float(learner.loss(first[0]).detach())
    torch.manual_seed(2)
    assert float(learner.loss(first[0]).detach()) == loss
    learner.module.eval()
    assert float(learner.loss(first[0]).detach()) != loss


def test_nothing_to_train_is_said(lm, embeddings, encoded):
    with pytest.raises(ModelError, match="nothing of the arm none is trained"):
        ArmLearner(arm_of("none", lm), encoded, encoded, embeddings, 4, 1)
    with pytest.raises(ModelError, match="no answers to train on"):
        ArmLearner(arm_of("static", lm), [], encoded, embeddings, 4, 1)
    with pytest.raises(ValueError, match="no arm both"):
        build_arm("both", lm, N_IN, PARAMS)


@pytest.mark.parametrize(
    ("steps", "most", "found"),
    [(30, 25, (2, 15)), (25, 25, (1, 25)), (26, 25, (2, 13)), (55, 25, (3, 19)), (3, 25, (1, 3))],
)
def test_steps_are_spread_over_epochs(steps, most, found):
    assert epochs_of(steps, most) == found


def test_each_part_of_a_prompt_is_cut_by_itself(lm):
    limits = Limits(about=5, prompt=4, answer=3)
    found = encode_all(lm, [Written("0123456789", "abcdefgh", " yes", 0), Written("", "abc", "n", 0)], limits)
    assert bytes(found[0].prompt) == b"01234efgh"
    assert bytes(found[0].answer) == b" ye"
    assert bytes(found[1].answer) == b"n\n"
    batch = collate(lm, found)
    assert batch.labels[1].tolist() == [IGNORED] * 4 + [ord("n"), ord("\n")] + [IGNORED] * 7


def test_every_answer_is_seen_once_in_a_pass():
    lengths = [5, 1, 3, 9, 2, 2, 8]
    for seed in range(3):
        found = [row for batch in shuffled(lengths, 2, np.random.default_rng(seed)) for row in batch]
        assert sorted(found) == list(range(7))


def test_soft_tokens_are_as_long_as_words_and_differ_by_embedding(lm, embeddings):
    arm = arm_of("e2p", lm)
    standardise(arm, embeddings)
    prefix = arm.prefix(torch.from_numpy(embeddings)).detach()
    assert prefix.shape == (3, 1, lm.n_dims)
    np.testing.assert_allclose(prefix.norm(dim=-1), lm.embedding_norm(), rtol=1e-4)
    assert float((prefix[0] - prefix[1]).norm()) > 0.1 * lm.embedding_norm()
    static = arm_of("static", lm).prefix(torch.from_numpy(embeddings)).detach()
    assert torch.equal(static[0], static[1])


def test_content_is_the_mean_of_rare_tokens(lm):
    """Of "ab" and "ac": the space and a are in both texts and count nothing."""
    found = content_vectors(lm, ["ab", "ac", "a"])
    b, c = (lm.embed(torch.tensor([ord(letter)]))[0] for letter in "bc")
    torch.testing.assert_close(found, torch.stack([b, c, torch.zeros_like(b)]))


def test_a_projector_starts_where_a_regression_foretells_the_wanted_token(lm):
    rng = torch.Generator().manual_seed(0)
    embeddings, way = torch.randn(400, N_IN, generator=rng), torch.randn(N_IN, lm.n_dims, generator=rng)
    arm = arm_of("e2p", lm, n_prefix_tokens=2)
    arm.module.standardise(embeddings)
    arm.module.start_at(embeddings, embeddings @ way + 7.0)
    with torch.no_grad():
        own = arm.module.eval()(embeddings)
    for token in range(2):
        wanted = (embeddings - embeddings.mean(0)) @ way
        alike = torch.nn.functional.cosine_similarity(own[:, token] - own[:, token].mean(0), wanted)
        assert alike.median() > 0.9
    norm = lm.embedding_norm()
    torch.testing.assert_close(own.norm(dim=-1), torch.full((400, 2), norm))


def test_a_projector_that_is_not_started_gives_small_tokens_of_ones_own(lm, embeddings):
    arm = arm_of("e2p", lm, is_rescaled=False)
    found = arm.module(torch.from_numpy(embeddings))[:, 0]
    common = arm.module.common.detach()
    assert ((found - common).norm(dim=1) < 2 * common.norm()).all() and (found != common).any()
