"""What the commands of `sojourn evaluate` share: tables that cannot be read are explained, figures are shown alike."""

import math

import pytest

from pipeline.evaluate import employment, home_work, places, unemployment
from pipeline.evaluate.app import load_or_explain
from pipeline.evaluation import showing, showing_home_work
from pipeline.study import StudyError


@pytest.mark.parametrize("table", ["visits", "employment", "no_such_table"])
def test_a_table_that_cannot_be_read_is_a_wrong_root(tmp_path, table):
    with pytest.raises(StudyError, match=r"^--root: "):
        load_or_explain(table, tmp_path)


def test_every_command_explains_and_shows_in_the_same_way():
    assert all(m.load_or_explain is load_or_explain for m in (employment, home_work, places, unemployment))
    assert (showing_home_work.figure, showing_home_work.share) == (showing.figure, showing.share)


def test_figures_and_shares_as_text():
    assert (showing.figure(0.12345), showing.figure(-0.5, 2)) == ("0.123", "-0.50")
    assert (showing.share(0.12345), showing.share(0.12345, 0)) == ("12.3 %", "12 %")
    assert showing.figure(math.nan) == showing.share(math.nan) == "–"
