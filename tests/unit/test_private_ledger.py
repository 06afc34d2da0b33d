"""The ledger: sums, refusals, and what it says after processes were killed or raced each other."""

import json
import multiprocessing
import os
import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.paths import as_path
from pipeline.private import BudgetError, Ledger, PrivateQuery, release
from pipeline.study import StudyError
from tests.private_rows import STUDY, random_visits, write_root

KILLED = 9
fork = multiprocessing.get_context("fork")


@pytest.fixture
def root(tmp_path):
    return write_root(tmp_path, random_visits(6, 1, 3), n_buckets=1)


def spend(root, epsilon, delta=0.0):
    with Ledger(root).opened() as opened:
        opened.spend("a test", "id", epsilon, delta)


def test_sums_are_exact(root):
    Ledger(root).create(0.3, 3e-6)
    spend(root, 0.1, 1e-6)
    spend(root, 0.2, 2e-6)
    assert Ledger(root).read().left() == (0.0, 0.0)
    with pytest.raises(BudgetError, match="left of the budget are 0 and 0"):
        spend(root, 1e-9)


def test_a_loss_too_small_for_a_float_of_the_sum_counts_as_well(root):
    """1 - 1e-17 is 1 as a float: after 1e-17 a loss of 1 is more than is left of 1."""
    Ledger(root).create(1.0)
    spend(root, 1e-17)
    with pytest.raises(BudgetError):
        spend(root, 1.0)
    assert Ledger(root).read().left()[0] == Decimal("0.99999999999999999")


def test_delta_is_kept_to_as_well(root):
    Ledger(root).create(1.0)
    with pytest.raises(BudgetError):
        spend(root, 0.1, 1e-9)
    assert Ledger(root).read().spends == ()


def test_a_budget_is_declared_once_and_a_lost_ledger_is_noticed(root):
    Ledger(root).create(1.0)
    with pytest.raises(BudgetError, match="a ledger already"):
        Ledger(root).create(2.0)
    release(PrivateQuery("visits", ("date",), 0.5), STUDY, root)
    (root / "_privacy" / "ledger.json").unlink()
    with pytest.raises(BudgetError, match="releases without a ledger"):
        Ledger(root).create(2.0)


@pytest.mark.parametrize("loss", [(0.0, 0.0), (-1.0, 0.0), (float("nan"), 0.0), (1.0, -0.1), (1.0, 1.0)])
def test_a_loss_that_is_none_is_refused(root, loss):
    with pytest.raises(StudyError):
        Ledger(root).create(*loss)


def test_a_ledger_that_cannot_be_read_pays_for_nothing(root):
    Ledger(root).create(1.0)
    (root / "_privacy" / "ledger.json").write_text('{"epsilon": 1.0')
    with pytest.raises(BudgetError, match="cannot be read"):
        spend(root, 0.1)


def die_at(call, done):
    """Let this process die at its `call`-th step that changes the disk or draws noise."""
    import pipeline.private.releases as module

    def dying(step):
        def stepped(*args, **kwargs):
            done.append(step)
            if len(done) == call:
                os._exit(KILLED)
            return step(*args, **kwargs)

        return stepped

    os.fsync, Path.replace, module.add_noise = dying(os.fsync), dying(Path.replace), dying(module.add_noise)


def release_and_die(root, call):
    done = []
    die_at(call, done)
    release(PrivateQuery("visits", ("date",), 0.5), STUDY, root)


def test_killed_at_any_step_nothing_is_released_without_a_recorded_spend(tmp_path):
    ends = []
    for call in range(1, 20):
        root = write_root(tmp_path / str(call), random_visits(3, 1, 2), n_buckets=1)
        Ledger(root).create(1.0)
        process = fork.Process(target=release_and_die, args=(root, call))
        process.start()
        process.join()
        n_released, n_spent = len(list((root / "_privacy").glob("*.parquet"))), len(Ledger(root).read().spends)
        assert n_released <= n_spent <= 1
        ends.append((process.exitcode, n_spent, n_released))
        if process.exitcode == 0:
            break
    assert ends[0] == (KILLED, 0, 0)
    assert (KILLED, 1, 0) in ends, "budget that a kill loses"
    assert ends[-1] == (0, 1, 1)


def release_on(root):
    for by in (("date",), ("tract_geoid",), ("date", "tract_geoid"), ("hour_of_week",)):
        for max_rows in range(1, 40):
            release(PrivateQuery("visits", by, 0.01, max_rows=max_rows), STUDY, root)


def test_killed_at_any_moment_every_release_is_paid_for(root):
    Ledger(root).create(100.0)
    for delay_s in (0.02, 0.05, 0.11, 0.17):
        process = fork.Process(target=release_on, args=(root,))
        process.start()
        time.sleep(delay_s)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        paid = {one.release_id for one in Ledger(root).read().spends}
        assert {path.stem for path in (root / "_privacy").glob("*.parquet") if path.name[0] != "."} <= paid


def spend_often(root, n_spent):
    for _ in range(8):
        try:
            spend(root, 0.1)
        except BudgetError:
            continue
        with n_spent.get_lock():
            n_spent.value += 1


def test_two_processes_at_once_never_overspend(root):
    Ledger(root).create(1.0)
    n_spent = fork.Value("i", 0)
    processes = [fork.Process(target=spend_often, args=(root, n_spent)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    budget = Ledger(root).read()
    assert (n_spent.value, len(budget.spends), budget.left()[0]) == (10, 10, 0.0)
    assert json.loads((root / "_privacy" / "ledger.json").read_text())["epsilon"] == 1.0


def test_a_ledger_at_an_object_store_keeps_to_its_budget():
    root = write_root(as_path("memory://spent/tables"), random_visits(6, 1, 3), n_buckets=1)
    Ledger(root).create(1.0)
    spend(root, 0.75)
    with pytest.raises(BudgetError, match="left of the budget"):
        spend(root, 0.5)
    assert [one.epsilon for one in Ledger(root).read().spends] == [0.75]
    with pytest.raises(BudgetError, match="declared once"):
        Ledger(root).create(2.0)
