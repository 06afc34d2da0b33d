import json

import pandas as pd
import pytest

from pipeline.evaluation.npi_truth import compare_with_truth, read_truth
from pipeline.simulation import Response
from pipeline.simulation.npi_files import true_coefficients
from pipeline.study import StudyError

TRUTH = true_coefficients(Response(stringency=-1.0, severity=-0.2, adaptation=0.3))


def row(**changes):
    fields = {
        "measure": "visits:venue", "axis": "all", "group": "all", "estimator": "fixed", "model": "weeks",
        "term": "stringency", "lag_days": 0, "log_effect": -0.9, "log_effect_low": -1.05, "log_effect_high": -0.75,
    }  # fmt: skip
    return fields | changes


def compare(*rows, truth=TRUTH):
    return compare_with_truth(pd.DataFrame(rows).astype({"measure": "str", "term": "str"}), truth)


def test_the_truth_of_a_term_is_inside_its_interval_or_not():
    found = compare(
        row(),
        row(term="severity", log_effect=-0.1, log_effect_low=-0.15, log_effect_high=-0.05),
        row(measure="visits:venue:shop", term="adaptation", log_effect_low=0.25, log_effect_high=0.3),
    )
    assert found["truth"].tolist() == [-0.2, -1.0, 0.3]
    assert found["is_inside"].tolist() == [False, True, True]


def test_only_visits_to_venues_of_everybody_are_compared():
    others = [
        row(measure="visits:work"), row(measure="visits"), row(measure="visits:venues"), row(estimator="difference"),
        row(axis="income", group="low"),
    ]  # fmt: skip
    found = compare(row(estimator="mixed"), *others)
    assert found["estimator"].tolist() == ["mixed"] and found["measure"].tolist() == ["visits:venue"]


def test_other_models_and_lags_have_no_truth():
    late = TRUTH | {"severity_lag_days": 7}
    found = compare(row(model="exposure"), row(term="severity"), row(), truth=late)
    assert found["truth"].isna().tolist() == [True, True, False]
    assert found["is_inside"].tolist() == [False, False, True]


def test_truth_is_read_or_refused(tmp_path):
    path = tmp_path / "response.json"
    with pytest.raises(StudyError, match="no truth at"):
        read_truth(path)
    path.write_text("{")
    with pytest.raises(StudyError, match="is not JSON"):
        read_truth(path)
    path.write_text('{"log_effects": {"stringency": 1}}')
    with pytest.raises(StudyError, match="no log_effects of stringency, severity, adaptation"):
        read_truth(path)
    path.write_text(json.dumps(TRUTH))
    assert read_truth(path) == TRUTH
