"""A training killed and gone on with ends with the bits of one never stopped; other checkpoints are refused."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from pipeline.models import FitRun  # noqa: E402
from pipeline.models.checkpoints import CheckpointError, kept_tensors, read_checkpoint, write_checkpoint  # noqa: E402
from pipeline.models.training import train  # noqa: E402
from tests.training_learners import PARAMS, PartlyFrozen, Plain, Regression, bits, trained  # noqa: E402

ROOT = Path(__file__).parents[2]
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


@pytest.fixture(scope="module")
def straight():
    """Bits and history of a training that is never stopped."""
    torch.set_num_threads(1)
    return trained(Regression(), seed=3, device="cpu")


RANDOM_STEPS = sorted(random.Random(0).sample(range(2, N_STEPS), 4))
LAST = ["training.safetensors"]
"""Files that a finished training leaves."""
SCENARIOS = {
    "steps": [*({"step": step} for step in [*RANDOM_STEPS, N_STEPS]), {}],
    "writes": [{"in_write": 1}, {"in_write": 8}, {}],
}
"""Where trainings are killed, one after the other, each going on from the one before; the last runs to its end."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of the trainings that were killed, and by scenario how each ended and what files it left."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.training_learners", str(folder), json.dumps(SCENARIOS)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    ends = {name: [] for name in [*SCENARIOS, "together"]}
    for name, code, left in map(json.loads, lines):
        ends[name].append((code, left))
    return folder, ends


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_it_goes_on_to_the_same_bits(killed, straight, scenario):
    folder, ends = killed
    weights, history = torch.load(folder / scenario / "result.pt")
    assert weights == straight[0]
    assert history == list(straight[1])
    assert [code for code, _ in ends[scenario]] == [*[-signal.SIGKILL] * (len(SCENARIOS[scenario]) - 1), 0]
    assert ends[scenario][-1][1] == LAST


def test_two_processes_take_the_steps_of_one_with_batches_twice_as_large(killed):
    folder, ends = killed
    assert ends["together"] == [([0, 0], [])]
    alone = Plain(batch_size=16)
    history = train(alone, PARAMS, FitRun(device="cpu"))
    for index in range(2):
        weights, n_steps = torch.load(folder / f"result{index}.pt")
        assert n_steps == [history.n_steps, 4] == [4 * 3, 4]  # five batches make three steps, the last of one batch
        for name, tensor in alone.module.state_dict().items():
            torch.testing.assert_close(weights[name], tensor)


def test_killed_while_a_checkpoint_is_written_the_one_before_is_there(killed):
    lefts = [left for _, left in killed[1]["writes"]]
    assert lefts == [["training.safetensors.part"], ["training.safetensors", "training.safetensors.part"], LAST]


@pytest.mark.parametrize("step", [1, 4, 5, 6, 12, 20])
def test_resumed_it_ends_with_the_same_bits(tmp_path, straight, step):
    stopped(Regression(), tmp_path, step)
    assert trained(Regression(), seed=3, device="cpu", checkpoints=tmp_path) == straight
    assert [path.name for path in tmp_path.iterdir()] == LAST


def test_what_is_finished_is_not_trained_again(tmp_path, straight):
    class Spent(Regression):
        def batches(self, epoch):
            raise AssertionError("there is nothing left to learn")

    assert trained(Regression(), seed=3, device="cpu", checkpoints=tmp_path) == straight
    assert trained(Spent(), seed=3, device="cpu", checkpoints=tmp_path) == straight


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
