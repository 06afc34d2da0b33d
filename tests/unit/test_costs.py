"""The cost model: fits recover what was planted, schedules are those of the naive twin, words tell how far it goes."""

import json
from itertools import pairwise

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.costs import RunFacts, Scale, Task, fit_costs, shipped_costs, simulate
from pipeline.costs.facts import facts_from_dict, facts_to_dict
from pipeline.costs.fit import costs_from_dict, costs_to_dict
from pipeline.costs.schedule import schedule, uneven
from pipeline.plan_commands import how_far
from tests.naive_costs import naive_schedule

FIXED_S, S_PER_MILLION, BETWEEN_S, BYTES_PER_ROW = 0.25, 3.0, 1.5, 40
N_BUCKETS, N_THREADS = 4, 2


def planted_run(n_pings):
    """A run in which `gyration` reads every fifth ping, by buckets of different sizes."""
    rows = np.array([0.8, 0.9, 1.1, 1.2]) / N_BUCKETS * n_pings / 5
    seconds = FIXED_S + S_PER_MILLION * rows / 1e6
    n_out = int(n_pings / 100)
    task = Task(tuple(rows), tuple(seconds), n_out, n_out * BYTES_PER_ROW, 0.0)
    stages = {"gyration": BETWEEN_S + naive_schedule(list(seconds), N_THREADS)}
    return RunFacts(Scale(n_pings, n_pings / 1000, 10), N_BUCKETS, N_THREADS, 1, stages, {"gyration": {"shard": task}})


def test_the_fit_recovers_planted_costs():
    cost = fit_costs([planted_run(n) for n in (1e6, 5e6, 20e6)]).stages["gyration"]
    step = cost.steps["shard"]
    assert step.fixed_s == pytest.approx(FIXED_S)
    assert step.s_per_million == pytest.approx(S_PER_MILLION)
    assert cost.between_s[0] == pytest.approx(BETWEEN_S, rel=1e-6)
    assert cost.bytes_per_row == pytest.approx(BYTES_PER_ROW)
    assert step.spread == pytest.approx(0.0, abs=1e-9)


def test_a_larger_run_is_foretold_from_smaller_ones():
    costs = fit_costs([planted_run(1e6), planted_run(5e6)])
    size = planted_run(50e6)
    told = simulate(costs, size.scale, N_BUCKETS, 1)
    alone = BETWEEN_S + sum(size.tasks["gyration"]["shard"].seconds)
    assert told.seconds == pytest.approx(alone, rel=1e-6)
    assert told.table_bytes == pytest.approx(size.tasks["gyration"]["shard"].written_bytes, rel=1e-6)


def test_schedules_worked_by_hand():
    pieces = [3.0, 1.0, 1.0, 4.0]
    assert schedule(pieces, 1) == 9.0
    assert schedule(pieces, 2) == 6.0  # 3 and 1, 1, 4
    assert schedule(pieces, 100) == 4.0
    assert schedule([], 3) == 0.0


@pytest.mark.parametrize("n_workers", [1, 2, 3, 16, 64])
def test_schedules_are_those_of_the_naive_twin(n_workers):
    rng = np.random.default_rng(n_workers)
    for n_pieces in (1, 5, 40, 200):
        seconds = list(rng.lognormal(0.0, 1.0, n_pieces))
        assert schedule(seconds, n_workers) == pytest.approx(naive_schedule(seconds, n_workers))


def test_uneven_pieces_keep_their_average():
    pieces = uneven(2.0, 500, 0.5)
    assert pieces.mean() == pytest.approx(2.0)
    assert np.std(np.log(pieces)) == pytest.approx(0.5, rel=0.05)


def test_more_workers_are_never_slower_and_never_faster_than_what_is_alone():
    costs, scale = shipped_costs(), Scale(1e9, 50_000, 270)
    runs = [simulate(costs, scale, 64, n) for n in (1, 2, 4, 16, 64, 1024)]
    seconds = [run.seconds for run in runs]
    assert all(more <= fewer * (1 + 1e-9) for fewer, more in pairwise(seconds))
    assert runs[0].seconds == pytest.approx(runs[0].core_s)
    for run in runs:
        for stage in run.stages:
            assert stage.seconds >= stage.alone_s * (1 - 1e-9)


def test_facts_and_costs_survive_being_written():
    run = planted_run(2e6)
    assert facts_from_dict(json.loads(json.dumps(facts_to_dict(run)))) == run
    costs = fit_costs([run])
    assert costs_from_dict(json.loads(json.dumps(costs_to_dict(costs)))) == costs


def test_what_if_says_what_it_rests_on():
    asked = ["plan", "--what-if", "--pings", "27e9", "--days", "270", "--workers", "16"]
    said = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert said.exit_code == 0
    on = shipped_costs().measured_on
    largest = max(s["n_pings"] for s in on["sizes"])
    assert how_far(Scale(27e9, 1.0, 270), largest) in said.output
    assert "preliminary" not in on or f"PRELIMINARY: {on['preliminary']}" in said.output


def test_how_far_a_size_lies_beyond_the_runs():
    assert "extrapolation of 13.5 times" in how_far(Scale(27e9, 1.0, 270), 2e9)
    assert "lies within" in how_far(Scale(1e6, 1.0, 1), 2e9)
