"""`sojourn evaluate npi` on Google Mobility, m50, OxCGRT and the Times' counts of all states, as they are published."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from data_contracts import NPI_FITS, NPI_RESPONSE
from pipeline.cli import app

STUDY = """
name = "states"
start = 2020-02-24
end = 2020-09-30
zone = "America/New_York"
sources = []
[npi_policies]
path = "{data}/oxcgrt_us/OxCGRTUS_timeseries_all.xlsx"
preset = "oxcgrt_index"
[epidemic]
path = "{data}/nyt_covid/us-states.csv.gz"
preset = "nyt_states"
[epidemic.population]
path = "{data}/us_county_acs/acs2017_county_data.csv.gz"
id_column = "CountyId"
population_column = "TotalPop"
id_digits = 5
"""


@pytest.fixture(scope="module")
def shown(shared_data, tmp_path_factory):
    """What the command prints, and the tables that it writes."""
    folder = tmp_path_factory.mktemp("series")
    (folder / "study.toml").write_text(STUDY.format(data=shared_data))
    google = shared_data / "oi_economic_tracker" / "Google Mobility - State - Daily.csv.gz"
    series = ["--google", google, "--m50", shared_data / "descartes_m50" / "DL-us-m50_index.csv.gz"]
    words = [
        "evaluate",
        "npi",
        folder / "study.toml",
        *series,
        "--max-lag",
        1,
        "--max-lead",
        0,
        "--out",
        folder,
        "--json",
    ]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("fits", "response", "lags", "verdicts")}
    return json.loads(result.stdout), tables


def of_all_states(frame, effects="region"):
    return frame[(frame["scope"] == "all") & (frame["effects"] == effects)]


def test_every_state_is_in_every_series(shown):
    fits = shown[1]["fits"]
    assert set(of_all_states(fits)["n_regions"]) == {51}
    assert set(fits.loc[fits["scope"] == "chosen", "n_regions"]) == {4}
    assert fits["measure"].nunique() == 9
    assert {*NPI_FITS.names} <= {*fits.columns} and {*NPI_RESPONSE.names} <= {*shown[1]["response"].columns}


def test_stringency_and_severity_keep_people_at_home(shown):
    response = of_all_states(shown[1]["response"])
    fixed = response[response["estimator"] == "fixed"].set_index(["measure", "term"])
    for term in ("stringency", "severity"):
        found = fixed.xs(term, level="term")
        out = found.drop(index=["google_residential"])
        assert (out["log_effect"] < 0).all()
        assert found.loc["google_residential", "log_effect_low"] > 0
    assert fixed.loc[("google_workplaces", "stringency"), "log_effect_high"] < 0


def test_what_adaptation_adds_is_the_calendar_of_all_states(shown):
    """It wins over stringency alone in every series, and with what all states have in common taken out in few."""
    fits, verdicts = shown[1]["fits"], shown[1]["verdicts"]
    for effects, least in (("region", 9), ("region_and_period", 0)):
        of = of_all_states(verdicts, effects)
        assert ((of["best"] == "adaptation") & of["is_certain"]).sum() >= least
    assert ((of["best"] == "adaptation") & of["is_certain"]).sum() <= 3
    errors = of_all_states(fits).pivot(index="measure", columns="model", values="left_out_error")
    assert (errors["nothing"] > errors["stringency"]).all()


def test_what_is_printed_is_what_is_written(shown):
    printed, tables = shown
    assert len(printed["fits"]) == len(tables["fits"])
    assert set(tables["lags"]["lag_days"]) == {0, 1}


def test_of_two_chosen_states_none_is_left_out_and_dashes_say_so(shared_data, tmp_path):
    (tmp_path / "study.toml").write_text(STUDY.format(data=shared_data))
    m50 = shared_data / "descartes_m50" / "DL-us-m50_index.csv.gz"
    words = ["evaluate", "npi", tmp_path / "study.toml", "--m50", m50, "--region", "04", "--region", "36"]
    result = CliRunner().invoke(
        app, [str(word) for word in [*words, "--max-lag", 0, "--max-lead", 0]], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 0, result.output
    chosen = result.output[result.output.index("The chosen regions") :]
    row = next(line for line in chosen.splitlines() if line.split()[:1] == ["m50_index"])
    assert row.split() == ["m50_index", *["–"] * 10]
