"""`sojourn export --epsilon` and `sojourn budget` as a user sees it."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.study import StudyError
from tests.private_rows import AREAS, random_visits, write_root

FIELDS = ("name=p", "start=2020-01-06", "end=2020-01-08", "zone=UTC", "sources=[]")
SETS = [word for text in FIELDS for word in ("--set", text)]


@pytest.fixture
def root(tmp_path):
    return write_root(tmp_path / "tables", random_visits(20, 1))


def run(*words):
    found = CliRunner().invoke(app, [str(word) for word in words])
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.output


def test_a_budget_is_declared_and_an_export_with_noise_spends_of_it_once(root, tmp_path):
    declared = run("budget", "--epsilon", 2, "--delta", "1e-6", "--root", root)
    assert "left: epsilon 2 of 2, delta 1e-06 of 1e-06" in declared
    asked = ["export", "visits", "--by", "tract_geoid", "--epsilon", 1.5, "--root", root, *SETS]
    assert "spent from the budget" in run(*asked, "--out", tmp_path / "out", "--csv")
    assert "nothing spent" in run(*asked, "--out", tmp_path / "again", "--csv")
    out = tmp_path / "out" / "visits.rows_by_tract_geoid.csv"
    written = pd.read_csv(out, dtype={"tract_geoid": str})
    assert written["tract_geoid"].tolist() == AREAS
    assert out.read_bytes() == (tmp_path / "again" / out.name).read_bytes()
    statement = json.loads((out.parent / "visits.rows_by_tract_geoid.csv.protection.json").read_text())
    assert (statement["epsilon"], statement["unit_of_privacy"]) == (1.5, "device")
    assert (statement["epsilon_spent_in_all"], statement["epsilon_budget"]) == (1.5, 2)
    beside = out.parent / "visits.rows_by_tract_geoid.parquet.protection.json"
    assert json.loads(beside.read_text()) == statement
    told = json.loads(run("budget", "--root", root, "--json"))
    assert told["left"] == {"epsilon": 0.5, "delta": 1e-6}
    assert [sorted(spend) for spend in told["spends"]] == [["delta", "epsilon", "spent_at", "what"]]


def test_flows_and_sums_through_the_same_door(root, tmp_path):
    run("budget", "--epsilon", 2, "--delta", "1e-6", "--root", root)
    ends = ["--by", "origin_tract_geoid", "--by", "destination_tract_geoid", "--devices", "--max-rows", 5]
    common = ["--root", root, "--out", tmp_path, "--json", *SETS]
    flows = json.loads(run("export", "trips", "--epsilon", 1, "--delta", "1e-7", *ends, *common))
    assert (flows["counted"], flows["n_cells_possible"], flows["delta"]) == ("devices", 25, 1e-7)
    asked = ["--epsilon", 0.5, "--by", "date", "--sum", "dwell_s", "--clip-high", 3600]
    sums = json.loads(run("export", "visits", *asked, *common))
    assert (sums["clip"], sums["unit"], sums["n_rows"]) == ([0, 3600], "s", 3)
    assert all(Path(path).exists() for told in (flows, sums) for path in told["paths"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["visits", "--by", "date"], "go with --epsilon"),
        (["visits", "--epsilon", 1], "name at least one column"),
        (["visits", "trips", "--epsilon", 1, "--by", "date"], "takes one table"),
        (["visits", "trips", "--epsilon", 1, "--by", "date"], "takes one table"),
        (["visits", "--epsilon", 1, "--by", "date", "--devices", "--sum", "dwell_s"], "give one of them"),
    ],
)
def test_a_wrong_question_is_refused_before_anything_is_spent(root, tmp_path, words, told):
    run("budget", "--epsilon", 1, "--root", root)
    with pytest.raises(StudyError, match=told):
        run("export", *words, "--root", root, "--out", tmp_path, *SETS)
    assert "left: epsilon 1 of 1" in run("budget", "--root", root)
