"""Time left, with a clock that the test moves."""

import random

import pytest

from pipeline.time_left import TimeLeft, in_words


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def follow(left, clock, stages, wobble=0.0, seed=0):
    """Go through stages of (name, shards, seconds a shard); yield foretold and true seconds left after each shard."""
    chance = random.Random(seed)
    times = [[seconds * (1 + wobble * chance.uniform(-1, 1)) for _ in range(n)] for _, n, seconds in stages]
    remaining = sum(map(sum, times))
    for (name, n, _), mine in zip(stages, times, strict=True):
        left.begin(name)
        left.expect(n)
        for seconds in mine:
            clock.now += seconds
            remaining -= seconds
            left.advance()
            yield name, left.of_stage(), left.of_run(), remaining
        left.end()


STAGES = [("pings", 10, 3.0), ("stays", 40, 0.5), ("visits", 8, 2.0), ("gyration", 8, 0.25)]
SECONDS = {name: n * seconds for name, n, seconds in STAGES}


@pytest.mark.parametrize("slower", [0.2, 1.0, 7.0])
def test_a_steady_run_is_foretold_whatever_the_size_of_the_earlier_one(slower):
    clock = Clock()
    left = TimeLeft([s[0] for s in STAGES], {n: s / slower for n, s in SECONDS.items()}, clock=clock)
    for name, _, run, remaining in follow(left, clock, STAGES):
        if name != "pings":
            assert run == pytest.approx(remaining, rel=0.05, abs=1e-6)
    assert left.of_run() == 0.0


def test_an_uneven_run_is_foretold_within_a_third_after_its_first_stage():
    clock = Clock()
    left = TimeLeft([s[0] for s in STAGES], SECONDS, clock=clock)
    for name, _, run, remaining in follow(left, clock, STAGES, wobble=0.6):
        if name != "pings":
            assert run == pytest.approx(remaining, rel=0.34, abs=1.5)


def test_without_earlier_runs_only_the_stage_is_foretold_until_the_last_one():
    clock = Clock()
    left = TimeLeft(["pings", "stays"], {}, clock=clock)
    left.begin("pings")
    assert (left.of_stage(), left.of_run()) == (None, None)
    left.expect(4)
    clock.now += 2.0
    left.advance()
    assert (left.of_stage(), left.of_run()) == (pytest.approx(6.0), None)
    left.end()
    left.begin("stays")
    left.expect(2)
    clock.now += 5.0
    left.advance()
    assert left.of_run() == pytest.approx(5.0)


def test_shares_of_another_machine_tell_the_run_once_its_first_stage_shows_the_rate():
    clock = Clock()
    left = TimeLeft([s[0] for s in STAGES], {n: s * 50 for n, s in SECONDS.items()}, is_to_scale=False, clock=clock)
    left.begin("pings")
    assert left.of_run() is None
    left.expect(10)
    clock.now += 3.0
    left.advance()
    assert left.of_run() == pytest.approx(sum(SECONDS.values()) - 3.0)


def test_time_left_is_never_negative_nor_grows_without_end():
    clock = Clock()
    left = TimeLeft(["stays"], {"stays": 10.0}, clock=clock)
    left.begin("stays")
    assert left.of_run() == 10.0
    clock.now += 500.0
    assert left.of_run() == 0.0
    left.advance()
    left.advance()
    assert (left.n_done, left.n_total, left.of_run()) == (2, 2, 0.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "?"), (0.4, "0 s"), (59, "59 s"), (61, "1 min"), (3570, "1 h 00 min"), (9000, "2 h 30 min")],
)
def test_words(seconds, words):
    assert in_words(seconds) == words
