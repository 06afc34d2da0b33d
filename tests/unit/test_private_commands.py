"""`sojourn private` as a user sees it."""

import json

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


def test_a_budget_is_declared_and_a_release_spends_of_it_once(root, tmp_path):
    assert "left: epsilon 2 of 2, delta 1e-06 of 1e-06" in run(
        "private", "budget", "--epsilon", 2, "--delta", "1e-6", "--root", root
    )
    asked = ["private", "release", "visits", "--by", "tract_geoid", "--epsilon", 1.5, "--root", root, *SETS]
    out = tmp_path / "visits.csv"
    assert "spent from the budget" in run(*asked, "--out", out)
    assert "nothing spent" in run(*asked, "--out", tmp_path / "again.csv")
    written = pd.read_csv(out, dtype={"tract_geoid": str})
    assert written["tract_geoid"].tolist() == AREAS
    assert out.read_bytes() == (tmp_path / "again.csv").read_bytes()
    statement = json.loads(out.with_suffix(".json").read_text())
    assert (statement["epsilon"], statement["unit_of_privacy"]) == (1.5, "device")
    told = json.loads(run("private", "budget", "--root", root, "--json"))
    assert told["left"] == {"epsilon": 0.5, "delta": 1e-6}
    assert len(told["spends"]) == 1


def test_a_file_of_unknown_kind_is_refused_before_anything_is_spent(root, tmp_path):
    run("private", "budget", "--epsilon", 1, "--root", root)
    asked = ["private", "release", "visits", "--by", "date", "--epsilon", 1, "--root", root, *SETS]
    with pytest.raises(StudyError, match=r"does not end in \.csv or \.parquet"):
        run(*asked, "--out", tmp_path / "a.x")
    assert "left: epsilon 1 of 1" in run("private", "budget", "--root", root)
