"""From tables to a trained model, to the study that names it, to its tables: what is kept, made again, and left out."""

import inspect
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from data_contracts import POIS, PRESENCE, VISITS
from pipeline.catalog import load
from pipeline.cli import app
from pipeline.engine.artifacts import read_cards
from pipeline.engine.lock import root_lock
from pipeline.engine.plan import to_arrow
from pipeline.engine.run import open_run, status
from pipeline.engine.store import ALL, ShardKey, Store
from pipeline.fitting import train_model
from pipeline.models import FitRun
from pipeline.settings import Settings
from pipeline.stages.predict import left_out
from pipeline.study import Study, StudyError
from tests.model_rows import SMALL, tables

N_BUCKETS = 2
STUDY = """
name = "models"
start = 2024-01-01
end = 2024-06-30
zone = "UTC"
sources = []
[pois]
path = "pois.csv"
id_column = "poi_id"
category_column = "category"
"""
PLACES = ("place_embeddings", "person_embeddings", "recommendations")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root whose tables were written by hand, and its study's file. No run would make them: see `_by_hand`."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "study.toml").write_text(STUDY)
    store, frames = Store(folder / "tables"), tables()[0]
    store.write(POIS, ALL, to_arrow(frames["pois"]), {})
    for table in (VISITS, PRESENCE):
        rows = frames[table.name]
        for bucket in range(N_BUCKETS):
            mine = rows[rows["device_id"] % N_BUCKETS == bucket].reset_index(drop=True)
            store.write(table, ShardKey(bucket=bucket), to_arrow(mine), {})
    return folder


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch):
    """Whether tables are current is asked in test_train_current; here they could not be."""
    monkeypatch.setattr("pipeline.fitting.check_current", lambda *_: None)


def study_of(root, *models) -> Study:
    return Study.from_toml(root / "study.toml", {"models": list(models)})


def settings_of(root) -> Settings:
    return Settings(root=root / "tables", n_buckets=N_BUCKETS, n_threads=2)


def train(root, model="two_tower_hgnn", seed=1):
    return train_model(study_of(root), settings_of(root), model, SMALL.get(model, {}), FitRun(seed))


def fill(root, study, names=PLACES) -> dict:
    with open_run(study, settings_of(root), "test", study.dates()) as run:
        return {name: run.execute(name).shards for name in run.stages if name in names}


def states(root, study) -> dict:
    found = {}
    for report in status(study, settings_of(root), stages=PLACES):
        found.setdefault(report.table, []).append((report.state, report.why))
    return found


def test_a_study_without_models_leaves_their_tables_out_and_says_so(root):
    study = study_of(root)
    assert set(left_out(study)) >= set(PLACES)
    assert fill(root, study) == {} and states(root, study) == {}


def test_a_trained_model_fills_its_tables_which_are_current_until_another_is_named(root):
    one = train(root)
    study = study_of(root, one.name)
    assert not set(left_out(study)) & set(PLACES)
    assert fill(root, study) == {
        "place_embeddings": {"computed": 1},
        "person_embeddings": {"computed": N_BUCKETS},
        "recommendations": {"computed": N_BUCKETS},
    }
    told = load("recommendations", root=root / "tables")
    assert set(told["poi_id"]) <= set(load("pois", root=root / "tables")["poi_id"]) and len(told)
    assert set(fill(root, study)["recommendations"]) == {"current"}
    other = train(root, seed=2)
    assert other.name != one.name
    assert train(root).name == one.name
    kept = root / "tables" / "_models"
    assert len(list((kept / "_logs" / "two_tower_hgnn").iterdir())) == 2  # curves of a seed each
    assert not (kept / "_checkpoints").exists()
    found = states(root, study_of(root, other.name))
    assert found["place_embeddings"] == [("stale", (f"trained model: {one.name} → {other.name}",))]


def test_a_card_says_what_was_learnt_from_what(root):
    name = train(root).name
    card = next(card for card in read_cards(root / "tables") if card["name"] == name)
    assert card["rows"] == {"visits": len(tables()[0]["visits"]), "pois": len(tables()[0]["pois"])}
    assert card["study"]["name"] == "models" and card["seed"] == 1 and card["metrics"]
    ids = {str(i) for i in tables()[0]["visits"]["device_id"] if i > 100}  # short ones are digits of any hash
    assert not any(i in json.dumps(card) for i in ids)


def test_what_cannot_be_trained_or_named_is_told(root):
    with pytest.raises(StudyError, match="no model 'x'; there are"):
        train(root, "x")
    with pytest.raises(StudyError, match="employment_scores takes --truth"):
        train(root, "employment_scores")
    with pytest.raises(StudyError, match="fields of two_tower_hgnn"):
        train_model(study_of(root), settings_of(root), "two_tower_hgnn", {"nothing": 1}, FitRun())
    with pytest.raises(StudyError, match=r"fields of two_tower_hgnn: .*hgnn\.max_epochs"):
        train_model(study_of(root), settings_of(root), "two_tower_hgnn", {"max_epochs": 5}, FitRun())
    with pytest.raises(StudyError, match="both fill place_embeddings"):
        left_out(study_of(root, "two_tower_hgnn@0123456789ab", "graph_foundation@0123456789ab"))
    with pytest.raises(StudyError, match="no model nobody"):
        left_out(study_of(root, "nobody@0123456789ab"))
    with pytest.raises(StudyError, match="String should match pattern"):
        study_of(root, "two_tower_hgnn")
    bare = Study.from_dict({**tomllib.loads(STUDY), "pois": None})
    with pytest.raises(StudyError, match="learns from pois, which is not there"):
        train_model(bare, settings_of(root), "two_tower_hgnn", {}, FitRun())


def sojourn(*arguments):
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, list(map(str, arguments)))


def test_the_command_line_trains_prints_what_to_name_and_lists_it(root):
    params = [f"--param={name}={json.dumps(value)}" for name, value in SMALL["exploration_forecasts"].items()]
    done = sojourn("train", "exploration_forecasts", "--study", root / "study.toml", "--root", root / "tables", *params)
    assert done.exit_code == 0, done.output
    named = done.stdout.strip().splitlines()[-1].partition("models = ")[2]
    name = json.loads(named)[0]
    study = study_of(root, name)
    assert set(fill(root, study, ("exploration_forecasts",))["exploration_forecasts"]) == {"computed"}
    listed = sojourn("models", "--root", root / "tables")
    assert name in listed.stdout and "learns from: visits" in listed.stdout
    as_json = json.loads(sojourn("models", "--root", root / "tables", "--json").stdout)
    assert name in {card["name"] for card in as_json["trained"]}
    (towers,) = [each for each in as_json["models"] if each["name"] == "two_tower_hgnn"]
    assert towers["params"]["towers.loss"]["meaning"] and towers["params"]["hgnn.max_epochs"]["default"].isdigit()
    refused = sojourn("train", "nobody", "--study", root / "study.toml", "--root", root / "tables")
    assert isinstance(refused.exception, StudyError) and "no model 'nobody'" in str(refused.exception)


def launched(root, model, *params):
    """Train in two processes on the CPU, as `torchrun` starts them; return how they ended and what they printed."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    given = ["train", model, "--study", root / "study.toml", "--root", root / "tables", "--device", "cpu", *params]
    command = [*launcher, "-m", "tests.train_unchecked", *map(str, given)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=240)


def test_two_processes_learn_one_model_and_say_so_once(root):
    before = {card["name"] for card in read_cards(root / "tables")}
    params = [f"--param={name}={json.dumps(value)}" for name, value in SMALL["exploration_forecasts"].items()]
    done = launched(root, "exploration_forecasts", *params, "--seed", 7)
    assert done.returncode == 0, done.stderr
    (card,) = [card for card in read_cards(root / "tables") if card["name"] not in before]
    assert card["processes"] == 2 and card["seed"] == 7
    assert done.stdout.count("For the study file") == 1 and card["name"] in done.stdout


def test_two_processes_end_where_the_root_is_taken(root):
    with root_lock(root / "tables"):
        done = launched(root, "exploration_forecasts")
    assert done.returncode == 1
    assert done.stderr.count("another run is writing") == 1


def test_the_flow_trains_the_same_version(root, monkeypatch, tmp_path):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    from flows.train import train as train_flow

    study = {**tomllib.loads(STUDY), "start": "2024-01-01", "end": "2024-06-30"}
    asked = {"model": "two_tower_hgnn", "study": study, "params": SMALL["two_tower_hgnn"], "seed": 1}
    assert train_flow(settings_of(root), **asked) == train(root).name
    with root_lock(root / "tables"):
        assert train_flow(settings_of(root), **asked, return_state=True).name == "Refused"


def test_the_flows_command_line_hands_the_flow_what_it_takes(root, monkeypatch):
    import flows.train

    parameters, taken = inspect.signature(flows.train.train.fn).parameters, {}
    monkeypatch.setattr(flows.train, "train", lambda **given: taken.update(given))
    given = ["two_tower_hgnn", "--study", root / "study.toml", "--root", root / "tables", "--seed", 3]
    monkeypatch.setattr(sys, "argv", ["train", *map(str, given)])
    flows.train.main()
    assert set(taken) <= set(parameters)
    assert (taken["model"], taken["seed"]) == ("two_tower_hgnn", 3)
