"""A little of the chaos that `python -m tests.chaos` makes at length: every kind of process is killed once."""

from tests.chaos import play

KINDS = {"worker", "machine", "scheduler", "run", "store"}


def test_whatever_is_killed_the_bytes_are_those_of_a_quiet_run(tmp_path):
    tally = play(tmp_path, n_kills=len(KINDS), seed=1, store="s3")
    assert set(tally.kills) == KINDS
    assert tally.n_roots >= 1
    assert tally.ends["finished"] == tally.n_roots
    assert tally.ends["killed"] == 1
