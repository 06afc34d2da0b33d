"""What may be learnt from: tables that are current, of a root that is held; and models of people who withdrew."""

import sys
from types import SimpleNamespace

import pandas as pd
import pytest

pytest.importorskip("torch")

from data_contracts import VISITS
from pipeline.engine import withdraw
from pipeline.engine.artifacts import CHECKPOINTS, MODELS_FOLDER, read_card
from pipeline.engine.lock import LockedError, root_lock
from pipeline.engine.run import status
from pipeline.engine.store import Store, content_of
from pipeline.engine.trouble import RunError
from pipeline.fitting import _watched, train_model
from pipeline.models import MODELS, FitRun
from pipeline.models.training import train as fit
from pipeline.study import Study, StudyError
from pipeline.withdraw_commands import in_words
from tests.integration.test_withdraw import FEW, WHO, day, put, put_raw, rows_of, settings, take_out
from tests.integration.test_withdraw import run as run_stages
from tests.integration.test_withdraw import study as study_of
from tests.model_rows import SMALL
from tests.training_learners import PARAMS, Regression

MODEL = "two_tower_hgnn"
TABLES = ("pois", *FEW)
N_PLACES = 6


def with_models(study: Study, *names: str) -> Study:
    return study.model_copy(update={"models": names})


@pytest.fixture
def study(tmp_path) -> Study:
    """A study of some people over four days, who go to other places of interest each day."""
    raw = put_raw(tmp_path)
    walks = [day(f"M{k}", n, 10 + (k + n) % N_PLACES) for k in range(3 * N_PLACES) for n in range(4)]
    put(raw / "more.csv", [row for rows in walks for row in rows])
    places = "".join(f"place {k},Food > Bar,{10 + k},50\n" for k in range(N_PLACES))
    (tmp_path / "pois.csv").write_text(f"poi_id,category,lon,lat\n{places}")
    pois = {"path": "pois.csv", "id_column": "poi_id", "category_column": "category"}
    pois |= {"lon_column": "lon", "lat_column": "lat"}
    plain = study_of(tmp_path)
    return Study.from_dict({**plain.model_dump(), "pois": pois}, folder=tmp_path)


@pytest.fixture
def root(tmp_path, study):
    run_stages(study, tmp_path / "t", stages=TABLES)
    return tmp_path / "t"


def train(study, root, seed=0, **more):
    return train_model(study, settings(root), MODEL, SMALL[MODEL], FitRun(seed), **more)


def test_tables_of_another_span_other_files_or_not_there_are_not_learnt_from(study, root, tmp_path):
    train(study, root)
    longer = Study.from_dict({**study.model_dump(), "end": "2020-01-09"}, folder=study.folder)
    other = Study.from_dict({**study.model_dump(), "params": {"stays": {"roam_m": 31.0}}}, folder=study.folder)
    for asked in (longer, other):
        with pytest.raises(StudyError, match=r"learns from visits, pois, not up to date.*stays .*run the study first"):
            train(asked, root)
    late = study.folder / "raw" / "late.csv"
    late.write_bytes((study.folder / "raw" / "a.csv").read_bytes().replace(b"A,", b"Z,"))
    with pytest.raises(StudyError, match="not up to date"):
        train(study, root)
    late.unlink()
    Store(root).remove(VISITS, Store(root).keys(VISITS)[0])
    with pytest.raises(StudyError, match=r"visits 1 missing\): run the study first"):
        train(study, root)


def test_a_file_that_cannot_be_read_keeps_nobody_from_training(study, root):
    (study.folder / "raw" / "bad.csv").write_bytes(b"\xff\x00 no table")
    train(study, root)


def test_training_holds_the_root(study, root, monkeypatch):
    with root_lock(root), pytest.raises(LockedError, match="another run is writing"):
        train(study, root)
    fit, held = MODELS[MODEL].fit, []

    def fit_and_look(tables, *more):
        with pytest.raises(LockedError), root_lock(root):
            pass
        held.append(True)
        return fit(tables, *more)

    monkeypatch.setattr(MODELS[MODEL], "fit", fit_and_look, raising=False)
    train(study, root)
    assert held
    with root_lock(root):
        pass


def test_models_that_learnt_from_withdrawn_devices_are_told_and_refused(study, root, tmp_path):
    before = train(study, root).name
    (root / MODELS_FOLDER / CHECKPOINTS / MODEL / "abc").mkdir(parents=True)
    done = take_out(study, root, "nobody")
    assert done.models == [] and not (root / MODELS_FOLDER / CHECKPOINTS).exists()
    (root / MODELS_FOLDER / CHECKPOINTS / MODEL / "abc").mkdir(parents=True)
    assert take_out(study, root).models == [] and (root / MODELS_FOLDER / CHECKPOINTS).exists()
    done = take_out(study, root, WHO)
    assert done.models == [before] and rows_of(root, WHO) == 0
    assert not (root / MODELS_FOLDER / CHECKPOINTS).exists()
    assert any(before in line and "Train again" in line for line in in_words(done))
    assert read_card(root, before)["has_withdrawn"]
    # Also when asked again, with nothing left to take out.
    assert take_out(study, root).models == [before]
    named = with_models(study, before)
    with pytest.raises(RunError, match=f"{before} learnt from devices that were withdrawn since"):
        run_stages(named, root)
    with pytest.raises(RunError, match="withdrawn since"):
        status(named, settings(root))
    # Training again is not kept from by the model that it is to replace.
    run_stages(study, root, stages=TABLES)
    after = train(named, root, seed=1).name
    assert after != before and "has_withdrawn" not in read_card(root, after)
    run_stages(with_models(study, after), root, stages=("place_embeddings", "person_embeddings"))
    assert take_out(study, root).models == [before]


def test_what_an_earlier_training_left_goes_when_one_ends(study, root):
    folder = root / MODELS_FOLDER / CHECKPOINTS
    (folder / MODEL / "of tables that are no more").mkdir(parents=True)
    (folder / "another").mkdir()
    train(study, root)
    assert [path.name for path in folder.iterdir()] == ["another"]


def test_a_training_ends_where_its_root_is_held_no_longer(tmp_path):
    """It is told of progress before each checkpoint, so that none is written behind whoever holds the root now."""
    told = []

    watched = _watched(lambda *steps: told.append(steps), SimpleNamespace(check=_lost))
    run = FitRun(device="cpu", checkpoints=tmp_path, checkpoint_minutes=0.0, on_progress=watched)
    with pytest.raises(LockedError, match="lost"):
        fit(Regression(), PARAMS, run, "phase")
    assert not told and not list(tmp_path.rglob("*.safetensors"))


def test_a_root_lost_in_a_validation_ends_a_training_before_it_writes(tmp_path):
    class Lost(Regression):
        is_lost = False

        def validate(self):
            self.is_lost = True
            return super().validate()

    learner = Lost()
    watched = _watched(lambda *steps: None, SimpleNamespace(check=lambda: _lost() if learner.is_lost else None))
    run = FitRun(device="cpu", checkpoints=tmp_path, on_progress=watched)
    with pytest.raises(LockedError, match="lost"):
        fit(learner, PARAMS, run, "phase")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_trainings_of_other_truth_or_code_go_on_from_nothing_of_each_other(study, root, monkeypatch):
    places = []
    monkeypatch.setattr(MODELS[MODEL], "fit", lambda tables, params, run, truth: places.append(run), raising=False)

    def folders(**more):
        with pytest.raises(AttributeError):  # nothing was learnt
            train(study, root, **more)
        return places[-1].checkpoints, places[-1].logs

    truths = [pd.DataFrame({"device_id": [1], "is_employed": [is_so]}) for is_so in (True, False)]
    found = [folders(), folders(), *(folders(truth=truth) for truth in truths), folders(seed=1)]
    monkeypatch.setattr("pipeline.fitting.code_digest", lambda family: "other code")
    found.append(folders())
    assert found[0] == found[1]
    assert len(set(found)) == len({logs for _, logs in found}) == 5


def test_what_was_learnt_while_the_root_was_lost_is_not_kept(study, root, monkeypatch):
    fit_model = MODELS[MODEL].fit

    def lose(*given):
        learnt = fit_model(*given)
        monkeypatch.setattr("pipeline.engine.lock._FileLock.check", lambda lock: _lost())
        return learnt

    monkeypatch.setattr(MODELS[MODEL], "fit", lose, raising=False)
    with pytest.raises(LockedError, match="lost"):
        train(study, root)
    assert not list((root / MODELS_FOLDER).rglob("card.json"))


def _lost():
    raise LockedError("lost")


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_device_whose_rows_went_before_it_was_withdrawn_may_be_in_what_was_learnt(
    study, root, monkeypatch, is_killed
):
    name = train(study, root).name
    store = Store(root)
    store.remove(VISITS, store.keys(VISITS)[0])
    if is_killed:
        with monkeypatch.context() as patched, pytest.raises(SystemExit):
            patched.setattr(withdraw, "find", lambda *given: sys.exit("killed"))
            take_out(study, root, "long gone")
    assert take_out(study, root, "long gone").models == [name]


def test_a_model_of_tables_without_the_withdrawn_device_is_not_among_them(study, root, tmp_path):
    """The device is in `pings` alone: it was taken out of `visits` before anything was learnt."""
    name = train(study, root).name
    hits = [withdraw.Hit("pings", key, 1, frozenset("m")) for key in Store(root).keys(withdraw.PINGS)[:1]]
    card = read_card(root, name)
    held = [
        withdraw._may_have_held(Store(root), table, of, {h.table for h in hits}) for table, of in card["data"].items()
    ]
    assert held == [False, False]
    # Once `visits` were written again nobody can tell whom they held, nor of tables of all devices who was counted.
    assert withdraw._may_have_held(Store(root), "visits", "another content", {"pings"})
    assert withdraw._may_have_held(Store(root), "region_changes", content_of({}), {"pings"})
    assert withdraw._may_have_held(Store(root), "region_changes", content_of({}), set())


def test_too_little_to_learn_from_is_told_as_such(study, root):
    with pytest.raises(RunError, match=r"exploration_forecasts: no (device of visits|rows to)"):
        train_model(study, settings(root), "exploration_forecasts", SMALL["exploration_forecasts"], FitRun())
