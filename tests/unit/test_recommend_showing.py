"""Figures for people: nothing is cut off at 80 columns, and what balance saves is said with its links."""

import pytest
from rich.console import Console

from pipeline.evaluation.recommendation.comparing import FAILS, Figure, Ordering
from pipeline.evaluation.recommendation.orderings import CLAIMS
from pipeline.evaluation.recommendation.run import Fit, known_methods
from pipeline.evaluation.recommendation.showing import _cost_of_balance, _fits_grid, _graphs_grid, _orderings_grid
from pipeline.evaluation.recommendation.splitting import EVERY_RARE


def test_orderings_are_whole_at_80_columns(capsys):
    difference = Figure(-0.123, -0.234, -0.012)
    orderings = [
        Ordering(*claim._replace(target=EVERY_RARE, people="cold"), 12_345, difference, FAILS) for claim in CLAIMS
    ]
    Console(width=80).print(_orderings_grid(orderings))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80 and "…" not in out.replace("…-0.012", "")
    words = out.split()
    assert words.count("-0.234…-0.012") == words.count("-0.123") == words.count("12,345") == len(CLAIMS)
    assert out.count("does not hold") == len(CLAIMS)
    for title in known_methods().values():
        assert title in {"own history", "nearby × popular"} or title.split()[-1] in out


def test_what_balance_saves_is_told_with_links_and_time():
    balanced = Fit(None, 9.0, 4.0, 300.0, 9_000.0, 20.0, 40.0)
    fits = {
        "two_tower_hgnn": balanced,
        "unbalanced": balanced._replace(graph_seconds=20.0, n_links=9_000.0, n_epochs=40.0),
    }
    (told,) = _cost_of_balance(fits)
    assert "balanced 300 links in 0.20 s" in told and "without 9,000 links in 0.50 s: -60%; in all -80%" in told
    bounded = fits | {"unbalanced": fits["unbalanced"]._replace(n_links=2_000.0)}
    assert "2,000 links (of 9,000: there is a bound)" in _cost_of_balance(bounded)[0]
    assert not _cost_of_balance({"two_tower_hgnn": balanced})
    assert balanced._replace(n_epochs=0.0).epoch_seconds == pytest.approx(0)


def test_fits_are_whole_at_80_columns(capsys):
    fit = Fit("(64, 0.01, 40.0)", 12_345.6, 12_345.6, 1_234_567.0, 12_345_678.0, 50.0, 123_456.0)
    fits = dict.fromkeys(known_methods(), fit)
    Console(width=80).print(_fits_grid(fits), *_graphs_grid(fits))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80 and "…" not in out
    assert not _graphs_grid(dict.fromkeys(known_methods(), fit._replace(n_links=0)))
