"""Learned scores in the stage `employment`, and true spells as the weeks a model learns from."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from data_contracts import EMPLOYMENT_SCORES, PRESENCE
from pipeline.engine.plan import inputs_of, params_of, to_arrow, work_for
from pipeline.engine.store import ShardKey, Store
from pipeline.evaluation.employment_truth import employment_truth, read_employment_truth
from pipeline.evaluation.spells import EMPLOYED, NONE, NOT_EMPLOYED, REMOTE, TrueSpells
from pipeline.settings import Settings
from pipeline.stage import STAGES
from pipeline.stages.employment import EmploymentParams, employment
from pipeline.study import Study, StudyError
from tests.employment_rows import MONDAY, make_jobs, make_study, presence_rows
from tests.stay_rows import empty, through_contract

NOTHING = empty("employment_scores")


def presence():
    """Two devices, four weeks: the first at risk in the last two, the second unobserved in one and undecided in one."""
    rows = [(1, week, None, True, week >= 2, False) for week in range(4)]
    rows += [(2, 0, None, True, False, False), (2, 1, None, False, False, False), (2, 2, None, True, False, True)]
    return presence_rows(rows)


def scores(people, value=0.9):
    frame = people[["device_id", "window_started"]].assign(n_observed_weeks=3, loss_score=value)
    return through_contract(frame, "employment_scores")


def sector_absence(probability):
    weeks = [MONDAY + np.timedelta64(7 * k, "D") for k in range(4)]
    frame = pd.DataFrame(
        {
            "window_started": pd.Series(weeks).astype("datetime64[s]"),
            "wave": "none",
            "sector": "unknown",
            "wave_started_on": pd.NaT,
            "wave_finished_on": pd.NaT,
            "assignment": "fractional",
            "n_devices": 2,
            "weight": 2.0,
            "at_risk_share": 0.5,
            "telework_share": 0.1,
            "loss_probability": probability,
        }
    )
    return through_contract(frame, "sector_absence")


def found_with(table, **params):
    people = presence()
    found = employment(people, make_jobs([]), sector_absence(0.4), table, 0, EmploymentParams(**params))
    return through_contract(found, "employment")


def test_scores_are_ignored_unless_asked_for():
    without, beside = found_with(NOTHING), found_with(scores(presence()))
    pd.testing.assert_frame_equal(without, beside, check_exact=True)
    assert without["loss_probability"].iloc[2] == pytest.approx(0.4)
    assert without["status"].iloc[2] == "remote"


@pytest.mark.parametrize(("which", "probability"), [("learned", 0.9), ("mean", 0.65)])
def test_learned_scores_are_for_those_at_risk_alone(which, probability):
    plain, found = found_with(NOTHING), found_with(scores(presence()), scores=which)
    at_risk = found["is_at_risk"].to_numpy()
    assert found.loc[at_risk, "loss_probability"].tolist() == pytest.approx([probability] * 2)
    assert (found.loc[at_risk, "status"] == "not_employed").all()
    assert found.loc[at_risk, "lost_on"].notna().all()
    pd.testing.assert_frame_equal(found[~at_risk], plain[~at_risk], check_exact=True)


def test_order_of_scores_changes_nothing():
    mixed = scores(presence(), np.linspace(0.1, 0.7, 7)).sample(frac=1.0, random_state=0)
    one = found_with(mixed, scores="learned")
    pd.testing.assert_frame_equal(one, found_with(mixed.sort_index(), scores="learned"), check_exact=True)
    assert one["loss_probability"].iloc[2:4].tolist() == pytest.approx([0.3, 0.4])


def test_without_a_score_for_somebody_at_risk_it_says_so():
    with pytest.raises(StudyError, match=r"employment_scores has no score for 2 device-weeks at risk.*sojourn models"):
        found_with(NOTHING, scores="learned")
    with pytest.raises(StudyError, match="no score for 1 device-weeks"):
        found_with(scores(presence()).drop(index=3), scores="mean")
    people = presence().iloc[:2]  # nobody at risk: nothing is missed
    employment(people, make_jobs([]), sector_absence(0.4), NOTHING, 0, EmploymentParams(scores="learned"))


STUDY = {"name": "x", "start": "2020-01-01", "end": "2020-02-01", "zone": "UTC", "sources": []}
MODEL = "employment_scores@0123456789ab"
ASKED = {"params": {"employment": {"scores": "learned"}}}


@pytest.mark.parametrize("models", [[], ["two_tower_hgnn@0123456789ab"]])
def test_a_study_whose_models_fill_no_scores_is_refused_before_anything_runs(models):
    with pytest.raises(StudyError, match=r"params\.employment asks for employment_scores, which is left out: no model"):
        params_of(Study.from_dict({**STUDY, **ASKED, "models": models}))
    assert params_of(Study.from_dict({**STUDY, "models": models}))["employment"].scores == "sectors"


def test_without_torch_no_older_scores_are_read_but_the_study_is_refused(monkeypatch):
    study = Study.from_dict({**STUDY, **ASKED, "models": [MODEL]})
    monkeypatch.setattr("pipeline.stages.predict.missing_libraries", list)
    assert params_of(study)["employment"].scores == "learned"
    monkeypatch.setattr("pipeline.stages.predict.missing_libraries", lambda: ["torch"])
    with pytest.raises(StudyError, match=r"asks for employment_scores, .* needs torch: pip install"):
        params_of(study)
    params_of(Study.from_dict({**STUDY, "models": [MODEL]}))


@pytest.mark.parametrize(("which", "is_read"), [("sectors", False), ("learned", True), ("mean", True)])
def test_employment_is_made_from_scores_only_where_they_are_asked_for(tmp_path, monkeypatch, which, is_read):
    monkeypatch.setattr("pipeline.stages.predict.missing_libraries", list)
    store, key = Store(tmp_path), ShardKey(bucket=0)
    for table, rows in ((PRESENCE, presence()), (EMPLOYMENT_SCORES, scores(presence()))):
        store.write(table, key, to_arrow(rows), {})
    study = Study.from_dict({**STUDY, "models": [MODEL], "params": {"employment": {"scores": which}}})
    work = work_for(STAGES["employment"], study, Settings(root=tmp_path, n_buckets=1))
    tables = [table.name for table, _ in inputs_of(work, key)]
    assert tables == ["presence", *(["employment_scores"] if is_read else [])]


# --- Truth --------------------------------------------------------------------------------------------


def spells(rows):
    """True spells from (device, first day, last day, status); days are counted from MONDAY."""
    day = int(MONDAY.astype("datetime64[D]").astype(int))
    frame = pd.DataFrame(rows, columns=["device_id", "first", "last", "status"])
    return TrueSpells(frame.assign(first=frame["first"] + day, last=frame["last"] + day), len(frame), 0)


def test_weeks_of_true_spells():
    true = spells([(5, 0, 9, EMPLOYED), (5, 10, 20, NOT_EMPLOYED), (5, 21, 27, REMOTE), (3, 0, 27, NONE)])
    found = employment_truth(true, date(2020, 1, 8), date(2020, 2, 2))
    assert found["device_id"].tolist() == [5, 5, 5, 5]
    weeks = (found["window_started"].to_numpy() - MONDAY) / np.timedelta64(7, "D")
    assert weeks.tolist() == [0, 1, 2, 3]
    assert found["is_employed"].tolist() == [True, False, False, True]  # 3 days with, 4 without in the second
    through_contract(found, "employment_truth")


def test_truth_of_a_file(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("device_id,started_on,finished_on,status\na,2020-01-06,2020-01-19,employed\n")
    found = read_employment_truth(path, make_study(3))
    assert found["is_employed"].tolist() == [True, True]
    with pytest.raises(StudyError, match="has no week from"):
        read_employment_truth(path, make_study(2, np.datetime64("2021-01-04")))
    with pytest.raises(StudyError, match="--truth"):
        read_employment_truth(tmp_path / "none.csv", make_study(3))
