"""The shared training loop: what it does in each step and epoch, and what it refuses."""

import math

import pytest

torch = pytest.importorskip("torch")

from pipeline.models import FitRun  # noqa: E402
from pipeline.models.devices import NoDeviceError  # noqa: E402
from pipeline.models.processes import _dealt  # noqa: E402
from pipeline.models.protocol import ModelError  # noqa: E402
from pipeline.models.training import TrainingError, TrainingParams, learning_rate, train  # noqa: E402
from pipeline.models.training_logs import TrainingLog  # noqa: E402
from tests.naive_training import naive_training  # noqa: E402
from tests.training_learners import PARAMS, PartlyFrozen, Regression, Scripted, bits, trained  # noqa: E402


def test_steps_are_those_of_a_textbook():
    params = PARAMS.model_copy(update={"max_grad_norm": 0.5})
    learner, plain = Scripted([4, 3, 2, 1], dropout=0.0), Regression(dropout=0.0)
    history = train(learner, params, FitRun(device="cpu"))
    naive = naive_training(plain, params, 4)
    for name, tensor in naive.state_dict().items():
        torch.testing.assert_close(learner.module.state_dict()[name], tensor)
    assert history.n_steps == 4 * 5 and history.best_epoch == 3 and history.validation == [4, 3, 2, 1]
    assert len(history.train_loss) == 4 and history.seconds > 0


def test_the_first_training_loss_is_the_mean_over_batches():
    slow = TrainingParams(learning_rate=1e-30, max_epochs=1)
    learner = Regression(dropout=0.0)
    plain = Regression(dropout=0.0)
    plain.module.train()
    expected = [plain.loss(batch).item() for batch in plain.batches(0)]
    assert train(learner, slow, FitRun(device="cpu")).train_loss == [pytest.approx(sum(expected) / 5)]


def test_the_same_seed_gives_the_same_bits_and_another_other_dropout():
    first, again, other = (trained(Regression(), device="cpu", seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first[0] != other[0]


def test_what_torch_draws_elsewhere_changes_nothing_and_is_not_changed():
    torch.manual_seed(1)
    first, drawn = trained(Regression(), device="cpu"), torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), drawn)
    assert trained(Regression(), device="cpu") == first


def test_the_best_epoch_is_kept_and_patience_ends_training():
    learner = Scripted([5.0, 3.0, 4.0, 3.0, 3.5, 1.0])
    params = PARAMS.model_copy(update={"max_epochs": 6, "patience": 3})
    history = train(learner, params, FitRun(device="cpu"))
    assert history.validation == [5.0, 3.0, 4.0, 3.0, 3.5]  # a tie is not better
    assert history.best_epoch == 1
    assert bits(learner.module) == learner.weights[1]
    assert not learner.module.training


def test_gradients_are_scaled_down_to_the_norm():
    norms = []

    class Watched(Regression):
        def loss(self, batch):
            norms.append(0.0)
            return 1000 * super().loss(batch)

    params = TrainingParams(learning_rate=0.1, max_epochs=1, max_grad_norm=0.25)
    learner = Watched(n_rows=8)
    seen = []
    original = torch.optim.AdamW.step

    def step(self, closure=None):
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        seen.append(math.sqrt(sum(g.square().sum().item() for g in gradients)))
        return original(self, closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        train(learner, params, FitRun(device="cpu"))
    assert seen == [pytest.approx(0.25, rel=1e-4)]


def test_the_learning_rate_rises_and_falls():
    params = TrainingParams(learning_rate=1.0, warmup_steps=2, schedule="cosine")
    # Two steps up, then a half cosine over the four that are left: 1, 0.854, 0.5, 0.146, and 0 after the last.
    expected = [0.5, 1.0, 1.0, 0.853553, 0.5, 0.146447]
    assert [learning_rate(params, step, 6) for step in range(6)] == pytest.approx(expected, abs=1e-6)
    assert learning_rate(params, 6, 6) == pytest.approx(0)
    constant = TrainingParams(learning_rate=0.3, warmup_steps=3)
    assert [learning_rate(constant, step, None) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3])


def test_a_frozen_part_stands_still():
    learner = PartlyFrozen()
    before = bits(learner.module)
    after = trained(learner, device="cpu")[0]
    assert {name for name in after if after[name] == before[name]} == {"0.weight"}


def test_one_batch_and_one_row_are_enough():
    for n_rows, batch_size in ((8, 8), (1, 1)):
        learner = Regression(n_rows=n_rows, batch_size=batch_size)
        learner.module = torch.nn.Sequential(torch.nn.Linear(6, 1))
        assert train(learner, PARAMS, FitRun(device="cpu")).n_steps == 4


def test_nothing_to_train_is_said():
    nothing = Regression(n_rows=0)
    with pytest.raises(TrainingError, match="no batch in epoch 0"):
        train(nothing, TrainingParams(), FitRun(device="cpu"))
    frozen = Regression()
    frozen.module.requires_grad_(False)
    with pytest.raises(TrainingError, match="no parameter"):
        train(frozen, TrainingParams(), FitRun(device="cpu"))


def test_the_number_of_batches_is_needed_by_the_cosine_and_must_be_right():
    learner = Regression()
    learner.n_batches = None
    assert train(learner, TrainingParams(max_epochs=1), FitRun(device="cpu")).n_steps == 5
    with pytest.raises(TrainingError, match="cosine schedule needs the number of batches"):
        train(learner, PARAMS, FitRun(device="cpu"))
    learner.n_batches = 6
    with pytest.raises(TrainingError, match="5 steps in epoch 0, but 6 by the learner's n_batches"):
        train(learner, PARAMS, FitRun(device="cpu"))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_training(value):
    class Broken(Regression):
        def batches(self, epoch):
            for k, batch in enumerate(super().batches(epoch)):
                yield batch | {"y": batch["y"] * value} if (epoch, k) == (1, 3) else batch

    with pytest.raises(TrainingError, match=rf"the loss is {value} in step 4 of epoch 1"):
        train(Broken(), PARAMS, FitRun(device="cpu"))


def test_a_gradient_and_a_score_that_are_not_finite_end_training():
    class Steep(Regression):
        def loss(self, batch):
            return torch.sqrt(0.0 * super().loss(batch))

    with pytest.raises(TrainingError, match="the gradient's norm is nan in step 1 of epoch 0"):
        train(Steep(), PARAMS, FitRun(device="cpu"))
    with pytest.raises(TrainingError, match="the validation score is nan after epoch 0"):
        train(Scripted([math.nan]), PARAMS, FitRun(device="cpu"))


def test_bfloat16_trains_near_float32_and_float16_needs_cuda():
    seen = []

    class Watched(Regression):
        def loss(self, batch):
            hidden = self.module[0](batch["x"])
            seen.append(hidden.dtype)
            return super().loss(batch)

    half = PARAMS.model_copy(update={"precision": "bfloat16"})
    history = train(Watched(dropout=0.0), half, FitRun(device="cpu"))
    assert set(seen) == {torch.bfloat16}
    full = train(Regression(dropout=0.0), PARAMS, FitRun(device="cpu"))
    assert history.train_loss == pytest.approx(full.train_loss, rel=0.05)
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="float16 needs CUDA"):
            train(Regression(), PARAMS.model_copy(update={"precision": "float16"}), FitRun())
        with pytest.raises(NoDeviceError, match="cuda was asked for"):
            train(Regression(), PARAMS, FitRun(device="cuda"))


def test_progress_is_told_of_steps_done():
    told = []
    train(Regression(), PARAMS, FitRun(device="cpu", on_progress=lambda *news: told.append(news)), "towers")
    assert told == [("towers", done, 20) for done in (5, 10, 15, 20)]


def test_what_ends_early_is_told_to_be_all():
    told = []
    patient = PARAMS.model_copy(update={"patience": 1})
    run = FitRun(device="cpu", on_progress=lambda *news: told.append(news))
    train(Scripted([2.0, 3.0]), patient, run, "towers")
    assert told == [("towers", 5, 20), ("towers", 10, 20), ("towers", 10, 10)]


def test_event_files_are_readable(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    learner = Scripted([3.0, 2.0, 1.0, 0.5])
    history = train(learner, PARAMS, FitRun(device="cpu", logs=tmp_path), "two towers")
    events = accumulator.EventAccumulator(str(tmp_path / "two-towers")).Reload()
    scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert scalars.keys() == {"loss/training", "loss/validation", "learning_rate", "gradient_norm"}
    assert scalars["loss/validation"] == [(5, 3.0), (10, 2.0), (15, 1.0), (20, 0.5)]
    assert [value for _, value in scalars["loss/training"]] == pytest.approx(history.train_loss)


def test_a_training_that_starts_anew_replaces_the_curves_of_the_one_before(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for _ in range(2):
        train(Regression(), PARAMS, FitRun(device="cpu", logs=tmp_path))
    events = accumulator.EventAccumulator(str(tmp_path / "training")).Reload()
    assert len(list((tmp_path / "training").iterdir())) == 1
    assert [event.step for event in events.Scalars("loss/validation")] == [5, 10, 15, 20]


def test_curves_of_a_resumed_training_have_every_point_once(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    class StopError(Exception):
        pass

    def stop(phase, done, of):
        if done == 7:
            raise StopError

    run = {"device": "cpu", "checkpoints": tmp_path / "checkpoints", "logs": tmp_path / "logs"}
    with pytest.raises(StopError):
        train(Regression(), PARAMS, FitRun(**run, checkpoint_minutes=0.0, on_progress=stop))
    train(Regression(), PARAMS, FitRun(**run))
    events = accumulator.EventAccumulator(str(tmp_path / "logs" / "training")).Reload()
    assert [event.step for event in events.Scalars("loss/validation")] == [5, 10, 15, 20]
    steps = [event.step for event in events.Scalars("loss/training")]
    assert steps == sorted(set(steps)) and steps[-1] == 20


def test_of_an_uneven_last_round_the_mean_is_that_of_its_batches():
    """Three batches, two processes: the mean over both of weight times gradient is that of the round."""
    assert list(_dealt(iter("abc"), 2, 0)) == [("a", 1.0), ("c", 2.0)]
    assert list(_dealt(iter("abc"), 2, 1)) == [("b", 1.0), ("c", 0.0)]


def test_curves_of_a_resumed_training_show_each_step_once(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator as accumulator

    for first_step, steps in ((0, (1, 2, 3, 4)), (2, (3, 4, 5))):
        with TrainingLog(tmp_path, "phase", first_step) as log:
            for step in steps:
                log.steps(step, float(first_step), 0.1, 1.0)
    events = accumulator.EventAccumulator(str(tmp_path / "phase")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/training")] == [(1, 0), (2, 0), (3, 2), (4, 2), (5, 2)]
