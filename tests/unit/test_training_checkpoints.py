"""A training killed and gone on with ends with the bits of one never stopped; other checkpoints are refused."""

import multiprocessing
import random

import pytest

torch = pytest.importorskip("torch")

from pipeline.models import FitRun  # noqa: E402
from pipeline.models.checkpoints import CheckpointError, kept_tensors, read_checkpoint, write_checkpoint  # noqa: E402
from pipeline.models.training import train  # noqa: E402
from tests.training_learners import PARAMS, PartlyFrozen, Regression, bits, train_and_die, trained  # noqa: E402

SIGKILL = -9
N_STEPS = 20


class StopError(Exception):
    """Ends a training from within."""


def stopped(learner, folder, step, params=PARAMS, seed=3):
    """Train until `step` and stop there, with a checkpoint after each step before it."""

    def stop(phase, done, of):
        if done == step:
            raise StopError

    with pytest.raises(StopError):
        train(learner, params, FitRun(seed, "cpu", folder, checkpoint_minutes=0.0, on_progress=stop))
    return learner


def processes():
    """A way to start processes that have imported all that is needed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.training_learners"])
    return context


def run_and_expect(context, exit_code, *arguments):
    process = context.Process(target=train_and_die, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == exit_code


@pytest.fixture(scope="module")
def straight():
    """Bits and history of a training that is never stopped."""
    torch.set_num_threads(1)
    return trained(Regression(), seed=3, device="cpu")


def test_killed_at_random_steps_it_ends_with_the_same_bits(tmp_path, straight):
    context = processes()
    steps = [*sorted(random.Random(0).sample(range(2, N_STEPS), 2)), N_STEPS]
    for step in steps:
        run_and_expect(context, SIGKILL, tmp_path, step)
        assert list((tmp_path / "checkpoints").iterdir())
    run_and_expect(context, SIGKILL, tmp_path, None, 1)
    run_and_expect(context, 0, tmp_path, None)
    weights, history = torch.load(tmp_path / "result.pt")
    assert weights == straight[0]
    assert history == list(straight[1])
    assert not list((tmp_path / "checkpoints").iterdir())


def test_killed_while_a_checkpoint_is_written_it_goes_on_from_the_one_before(tmp_path, straight):
    context = processes()
    run_and_expect(context, SIGKILL, tmp_path, None, 8)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    run_and_expect(context, 0, tmp_path, None)
    assert torch.load(tmp_path / "result.pt")[0] == straight[0]
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize("step", [1, 4, 5, 6, 12, 20])
def test_resumed_it_ends_with_the_same_bits(tmp_path, straight, step):
    stopped(Regression(), tmp_path, step)
    assert trained(Regression(), seed=3, device="cpu", checkpoints=tmp_path) == straight
    assert not list(tmp_path.iterdir())


def test_a_learner_that_can_skip_batches_is_asked_to(tmp_path, straight):
    asked = []

    class Skipping(Regression):
        def batches_from(self, epoch, start):
            asked.append((epoch, start))
            return list(super().batches(epoch))[start:]

    stopped(Skipping(), tmp_path, 13)
    assert trained(Skipping(), seed=3, device="cpu", checkpoints=tmp_path) == straight
    assert asked == [(2, 2)]


def test_bfloat16_is_resumed_exactly(tmp_path):
    params = PARAMS.model_copy(update={"precision": "bfloat16"})
    stopped(Regression(), tmp_path, 7, params)
    assert trained(Regression(), params, seed=3, device="cpu", checkpoints=tmp_path) == trained(
        Regression(), params, seed=3, device="cpu"
    )


def test_patience_and_the_best_weights_outlast_a_kill(tmp_path):
    params = PARAMS.model_copy(update={"learning_rate": 3.0, "schedule": "constant", "max_epochs": 12, "patience": 2})
    whole = trained(Regression(), params, seed=3, device="cpu")
    assert whole[1].n_steps < 60  # stopped early
    stopped(Regression(), tmp_path, whole[1].n_steps - 2, params)
    assert trained(Regression(), params, seed=3, device="cpu", checkpoints=tmp_path) == whole


def test_what_is_frozen_is_not_written(tmp_path):
    learner = PartlyFrozen()
    learner.module.register_buffer("constant", torch.ones(3), persistent=False)
    names = {name.split(":")[1] for name in checkpoint_of(stopped(learner, tmp_path, 7), tmp_path)}
    assert "0.weight" not in names and "constant" not in names
    assert {"1.running_mean", "4.weight", "4.weight/exp_avg"} <= names
    assert trained(PartlyFrozen(), seed=3, device="cpu", checkpoints=tmp_path) == trained(
        PartlyFrozen(), seed=3, device="cpu"
    )


def checkpoint_of(learner, folder):
    """Names of the tensors in a training's checkpoint."""
    from safetensors import safe_open

    with safe_open(folder / "training.safetensors", "pt") as file:
        return list(file.keys())


def test_tied_parameters_are_kept_once():
    module = torch.nn.ModuleDict({"one": torch.nn.Linear(2, 2, bias=False), "other": torch.nn.Linear(2, 2, bias=False)})
    module["other"].weight = module["one"].weight
    assert list(kept_tensors(module)) == ["one.weight"]


@pytest.mark.parametrize(
    ("changed", "seed", "wider"),
    [({"learning_rate": 0.04}, 3, False), ({"max_epochs": 5}, 3, False), ({}, 4, False), ({}, 3, True)],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, changed, seed, wider):
    stopped(Regression(), tmp_path, 7)
    other = Regression()
    if wider:
        other.module[4] = torch.nn.Linear(12, 2)
    before = bits(other.module)
    with pytest.raises(CheckpointError, match="of another training"):
        train(other, PARAMS.model_copy(update=changed), FitRun(seed, "cpu", tmp_path))
    assert bits(other.module) == before


def test_other_phases_keep_checkpoints_of_their_own(tmp_path, straight):
    stopped(Regression(), tmp_path, 7)
    other = train(Regression(), PARAMS, FitRun(3, "cpu", tmp_path), "second phase")
    assert other.n_steps == N_STEPS
    assert trained(Regression(), seed=3, device="cpu", checkpoints=tmp_path) == straight


def test_a_damaged_checkpoint_is_refused(tmp_path):
    stopped(Regression(), tmp_path, 7)
    path = tmp_path / "training.safetensors"
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[-9] ^= 1
    for damaged in (content[:-1], content[:40], b"", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            train(Regression(), PARAMS, FitRun(3, "cpu", tmp_path))
    text = content.replace(b"n_steps", b"n_stepz")
    path.write_bytes(text)
    with pytest.raises(CheckpointError, match="damaged"):
        train(Regression(), PARAMS, FitRun(3, "cpu", tmp_path))


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "folder" / "a.safetensors"
    tensors = {"half": torch.randn(3, 2).bfloat16(), "number": torch.tensor(7.5), "none": torch.empty(0, 4)}
    facts = {"losses": [0.1, 1 / 3, 1e-300]}
    assert read_checkpoint(path, "mine") is None
    write_checkpoint(path, tensors, facts, "mine")
    found = read_checkpoint(path, "mine")
    assert found.facts == facts
    assert found.tensors.keys() == tensors.keys()
    assert all(torch.equal(found.tensors[name], tensors[name]) for name in tensors)
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]
