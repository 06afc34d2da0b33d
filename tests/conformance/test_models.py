"""Rules that every registered model keeps, whatever it learns."""

import socket
import subprocess
import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest

from data_contracts import TABLES, Shard, conform
from pipeline.engine.artifacts import read_artifact, write_artifact
from pipeline.engine.plan import to_arrow
from pipeline.models import MODELS, OUTPUTS, FitRun, State
from pipeline.stage import STAGES
from tests.model_rows import SMALL, no_rows, tables

every_model = pytest.mark.parametrize("name", MODELS)
every_output = pytest.mark.parametrize(
    ("name", "table"), [(name, output.table.name) for name, model in MODELS.items() for output in model.outputs]
)
SEED = 5


def test_there_are_models():
    assert len(MODELS) >= 4
    assert set(SMALL) == set(MODELS), "give every model quick Params in tests/model_rows.py"


@every_model
def test_a_model_says_what_it_is_and_every_setting_what_it_means(name):
    model = MODELS[name]
    assert model.name == name
    assert model.title and model.source and model.inputs and model.outputs
    assert all(OUTPUTS[output.table.name] is output for output in model.outputs)
    for params in (model.params, *(output.params for output in model.outputs)):
        for field, declared in params.model_fields.items():
            assert declared.description, f"{name}.{field}"


def test_every_output_is_a_stage_and_a_declared_table():
    for name, output in OUTPUTS.items():
        assert TABLES[name] is output.table
        assert STAGES[name].writes is output.table and STAGES[name].module == output.family
        assert any(output in model.outputs for model in MODELS.values())


WITHOUT = """
from importlib.machinery import PathFinder
known = PathFinder.find_spec
HIDDEN = {"torch", "safetensors", "transformers", "accelerate", "faiss", "peft"}
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in HIDDEN else known(name, *more)
import pipeline.stages
from pipeline.engine.plan import stages_of
from pipeline.models import MODELS, OUTPUTS
from pipeline.stages.predict import left_out
from pipeline.study import Study
study = {"name": "x", "start": "2020-01-01", "end": "2020-01-02", "zone": "UTC", "sources": []}
assert MODELS and not {s.name for s in stages_of(Study.from_dict(study))} & set(OUTPUTS)
name, model = next(iter(MODELS.items()))
out = left_out(Study.from_dict({**study, "models": [name + "@0123456789ab"]}))
print(out[model.outputs[0].table.name])
"""


def test_registries_fill_and_stages_are_planned_without_torch():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "needs torch, safetensors, accelerate: pip install 'sojourn[torch]'" in done.stdout


# --- what is learnt and predicted -----------------------------------------------------------------


@cache
def learnt(name, seed=SEED):
    return fit(name, FitRun(seed))


def fit(name, run, n_buckets=2):
    pytest.importorskip("torch")
    from pipeline.models.streaming import FrameTables

    frames, truths = tables()
    model = MODELS[name]
    spread = {table: in_buckets(frame, n_buckets) for table, frame in frames.items()}
    truth = truths[model.truth.name] if model.truth else None
    return model.fit(FrameTables(spread), model.params(**SMALL[name]), run, truth)


def in_buckets(frame, n_buckets):
    if "device_id" not in frame:
        return [frame]
    return [frame[frame["device_id"] % n_buckets == k].reset_index(drop=True) for k in range(n_buckets)]


def predict(name, table, state, of=None):
    """Rows of a table as the pipeline would make them: from its own earlier tables where it reads those."""
    model, found = MODELS[name], dict(tables()[0])
    for output in model.outputs:
        frames = {read.name: found.get(read.name, no_rows(read.name)) for read in output.reads}
        if of is not None and output.table.name == table:
            frames = of(frames)
        rows = model.predict(output, state, frames, output.params(), "cpu")
        found[output.table.name] = conform(to_arrow(rows), output.table).to_pandas(date_as_object=False)
        if output.table.name == table:
            return found[table]
    raise KeyError(table)


def assert_same_states(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    for name in one.tensors:
        np.testing.assert_array_equal(one.tensors[name], other.tensors[name], err_msg=name)


@every_output
def test_predictions_keep_their_contract_and_are_of_finite_numbers(name, table):
    rows = predict(name, table, learnt(name))
    assert len(rows)
    for column in rows.select_dtypes("float"):
        assert not np.isinf(rows[column]).any()


@every_model
def test_the_same_seed_learns_the_same_and_buckets_and_the_order_of_rows_change_nothing(name):
    assert_same_states(learnt(name), fit(name, FitRun(SEED), n_buckets=3))


@every_model
def test_another_seed_learns_other_numbers(name):
    one, other = learnt(name).tensors, fit(name, FitRun(SEED + 1)).tensors
    assert any(one[k].shape != other[k].shape or not np.array_equal(one[k], other[k]) for k in one)


@every_model
def test_a_training_that_was_cut_off_goes_on_to_the_same_numbers(name, tmp_path):
    calls = []

    def cut(what, done, of):
        calls.append((what, done))
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(name, FitRun(SEED, checkpoints=tmp_path, checkpoint_minutes=0.0, on_progress=cut))
    assert_same_states(learnt(name), fit(name, FitRun(SEED, checkpoints=tmp_path, checkpoint_minutes=0.0)))


@every_output
def test_what_is_saved_and_read_again_predicts_the_same_bits(name, table, tmp_path):
    state = learnt(name)
    kept = write_artifact(tmp_path, name, state.tensors, state.facts, {"metrics": {}})
    read = read_artifact(str(tmp_path), kept.name)
    pd.testing.assert_frame_equal(
        predict(name, table, State(read.tensors, read.facts)), predict(name, table, state), check_exact=True
    )


def first_devices(frames, n):
    ids = sorted({i for frame in frames.values() if "device_id" in frame for i in frame["device_id"]})[:n]
    return {k: f[f["device_id"].isin(ids)].reset_index(drop=True) if "device_id" in f else f for k, f in frames.items()}


@every_output
def test_the_rows_of_a_device_do_not_depend_on_who_else_is_there(name, table):
    if TABLES[table].shard is not Shard.BUCKET:
        pytest.skip("one table of the whole study")
    whole = predict(name, table, learnt(name))
    alone = predict(name, table, learnt(name), lambda frames: first_devices(frames, 1))
    assert alone["device_id"].nunique() <= 1
    mine = whole[whole["device_id"].isin(alone["device_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone, check_exact=True)


@every_output
def test_rows_come_out_the_same_in_whatever_order_they_go_in(name, table):
    def mixed(frames):
        return {k: f.sample(frac=1.0, random_state=3).reset_index(drop=True) for k, f in frames.items()}

    pd.testing.assert_frame_equal(
        predict(name, table, learnt(name), mixed), predict(name, table, learnt(name)), check_exact=True
    )


@every_output
def test_no_rows_give_no_rows_and_a_single_row_is_no_error(name, table):
    assert not len(predict(name, table, learnt(name), lambda frames: {k: f.iloc[:0] for k, f in frames.items()}))
    predict(name, table, learnt(name), lambda frames: {k: f.iloc[:1] for k, f in frames.items()})


@every_output
def test_nothing_is_fetched_from_a_network(name, table, monkeypatch):
    state = learnt(name)

    def refuse(*arguments, **more):
        raise AssertionError("a model asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    predict(name, table, state)


@every_model
def test_what_is_learnt_holds_no_device_id(name):
    ids = set(tables()[0]["visits"]["device_id"]) | set(tables()[0]["presence"]["device_id"])
    for what, tensor in learnt(name).tensors.items():
        if np.issubdtype(tensor.dtype, np.integer):
            assert not ids & set(np.unique(tensor).tolist()), what


@every_output
def test_a_graphics_processor_gives_the_same_numbers(name, table):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    model, frames = MODELS[name], tables()[0]
    output = OUTPUTS[table]
    given = {read.name: frames.get(read.name, no_rows(read.name)) for read in output.reads}
    on_cpu, on_cuda = (model.predict(output, learnt(name), given, output.params(), d) for d in ("cpu", "cuda"))
    pd.testing.assert_frame_equal(on_cpu, on_cuda, rtol=1e-4)


def test_an_artifact_is_what_its_version_says(tmp_path):
    pytest.importorskip("safetensors")
    from pipeline.engine.trouble import RunError

    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}
    kept = write_artifact(tmp_path, "toy", arrays, {"a": [1]}, {"metrics": {}})
    assert kept.name == write_artifact(tmp_path, "toy", arrays, {"a": [1]}, {"metrics": {}, "seconds": 3}).name
    others = [
        write_artifact(tmp_path, "toy", arrays, {"a": [2]}, {}),
        write_artifact(tmp_path, "other", arrays, {}, {}),
    ]
    assert len({kept.version, *(other.version for other in others)}) == 3
    read = read_artifact(str(tmp_path), kept.name)
    assert read.facts == {"a": [1]} and np.array_equal(read.tensors["w"], arrays["w"])
    path = tmp_path / "_models" / others[0].name / "state.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match="is not what toy@"):
        read_artifact(str(tmp_path), others[0].name)
    with pytest.raises(RunError, match="no trained model toy@000000000000; there are other@"):
        read_artifact(str(tmp_path), "toy@000000000000")
