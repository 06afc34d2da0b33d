import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from data_contracts import NPI_RESPONSE
from pipeline.cli import app
from pipeline.engine.store import ALL, Store
from pipeline.evaluation.npi_truth import compare_with_truth, find_differences, read_truth
from pipeline.npi_drivers import NpiParams
from pipeline.params import digest
from pipeline.simulation import Response
from pipeline.simulation.npi_files import true_coefficients
from pipeline.study import StudyError
from tests.people_root import as_table

TRUTH = true_coefficients(Response(stringency=-1.0, severity=-0.2, adaptation=0.3))


def row(**changes):
    fields = {
        "measure": "visits:venue", "axis": "all", "group": "all", "estimator": "fixed", "model": "weeks",
        "term": "stringency", "lag_days": 0, "log_effect": -0.9, "log_effect_low": -1.05, "log_effect_high": -0.75,
    }  # fmt: skip
    return fields | changes


def compare(*rows, truth=TRUTH, **params):
    frame = pd.DataFrame(rows).astype({"measure": "str", "term": "str"})
    return compare_with_truth(frame, truth, NpiParams(**params))


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


def test_other_models_have_no_truth():
    found = compare(row(model="exposure"), row(term="severity"), row())
    assert found["truth"].isna().tolist() == [False, True, False]
    assert found["is_inside"].tolist() == [False, False, True]


@pytest.mark.parametrize(
    "params",
    [
        {"stringency_lag_days": 7}, {"severity_lag_days": 7}, {"severity": "cases"}, {"severity_scale": "linear"},
        {"smoothing_days": 14}, {"half_life_days": 14.0},
    ],
)  # fmt: skip
def test_other_drivers_have_no_truth(params):
    rows = row(), row(term="severity", log_effect_low=-0.3, log_effect_high=-0.1)
    assert compare(*rows)["is_inside"].all()
    found = compare(*rows, **params)
    assert found["truth"].isna().all() and not found["is_inside"].any()
    ((name, value),) = params.items()
    theirs = getattr(NpiParams(), name)
    assert find_differences(NpiParams(**params), TRUTH) == [f"{name} is {value}, of the people {theirs}"]


def test_what_is_fitted_how_makes_no_other_truth():
    params = {"measures": ("visits:venue",), "estimators": ("fixed",), "effects": "region_and_period", "min_days": 5}
    assert compare(row(), **params)["is_inside"].all()


def test_lags_as_those_of_the_people_have_a_truth():
    late = true_coefficients(Response(stringency=-1.0, stringency_lag_days=3))
    assert compare(row(lag_days=3), truth=late, stringency_lag_days=3)["truth"].tolist() == [-1.0]
    assert compare(row(), truth=late)["truth"].isna().all()


def test_people_who_answer_unlike_each_other_have_no_one_coefficient():
    tilted = true_coefficients(Response(stringency=-1.0, tilt=0.3))
    assert compare(row(), truth=tilted)["truth"].isna().all()
    assert find_differences(NpiParams(), tilted) == ["people of rich and poor areas answer unlike each other (tilt)"]


# --- the command ----------------------------------------------------------------------------------------


def written(folder, **params):
    """Write a table made with the parameters, and the truth beside it."""
    sizes = {"n_regions": 5, "n_devices": 90, "n_observations": 100, "n_clusters": 5}
    rest = {"log_std_error": 0.1, "p_value": 0.01, "p_adjusted": 0.02}
    frame = pd.DataFrame([row() | sizes | rest])[NPI_RESPONSE.names]
    made_from = {"params": digest(NpiParams(**params).model_dump())}
    Store(folder / "tables").write(NPI_RESPONSE, ALL, as_table(NPI_RESPONSE, frame), made_from)
    (folder / "response.json").write_text(json.dumps(TRUTH | {"share_clipped": 0.0123}))


def run(folder, *options):
    command = ["evaluate", "npi-truth", "--truth", folder / "response.json", "--root", folder / "tables"]
    return CliRunner().invoke(app, [*map(str, command), *options])


def study_with(setting):
    values = ('name="s"', 'start="2020-01-06"', 'end="2020-05-04"', 'zone="UTC"', "sources=[]", setting)
    return [part for text in values for part in ("--set", text)]


def test_the_command_says_how_often_people_could_not_answer(tmp_path):
    written(tmp_path)
    done = run(tmp_path)
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert "1 of 1 coefficients have the truth in their 95 % interval on 1.2% of county-days people would" in words
    found = json.loads(run(tmp_path, "--json").stdout)
    assert (found["n_coefficients"], found["n_inside"], found["share_clipped"]) == (1, 1, 0.0123)
    assert found["differences"] == []


def test_the_command_compares_nothing_with_other_drivers(tmp_path):
    written(tmp_path, severity="cases")
    options = study_with('params.npi_response.severity="cases"')
    done = run(tmp_path, *options)
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert "0 of 0 coefficients" in words
    assert "no truth to compare with: severity is cases, of the people deaths" in words
    found = json.loads(run(tmp_path, "--json", *options).stdout)
    assert found["n_coefficients"] == 0 and found["rows"][0]["truth"] is None and len(found["differences"]) == 1


def test_the_command_refuses_a_table_made_with_parameters_it_was_not_told(tmp_path):
    written(tmp_path, severity="cases")
    done = run(tmp_path)
    assert done.exit_code != 0 and "other parameters than the defaults" in str(done.exception or done.output)
    done = run(tmp_path, *study_with('params.npi_response.severity="deaths"'))
    assert done.exit_code != 0 and "than those of the study" in str(done.exception or done.output)


# --- the file -------------------------------------------------------------------------------------------


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
    path.write_text(json.dumps({name: value for name, value in TRUTH.items() if name != "driver_params"}))
    with pytest.raises(StudyError, match="does not say what people answer to"):
        read_truth(path)
    path.write_text(json.dumps(TRUTH))
    assert read_truth(path) == TRUTH
