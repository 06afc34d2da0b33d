"""Killed at any moment and run again: the bytes of an undisturbed run, and never a part of a file to see."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from data_contracts import TABLES, conform
from pipeline.engine.records import read_runs
from pipeline.engine.store import Store
from tests.conftest import run_all, shard_bytes

N_KILLS = 6


@pytest.fixture(scope="module")
def command(city, tmp_path_factory):
    """A study file over the city, the command that runs it, how long it takes, and its bytes."""
    folder = tmp_path_factory.mktemp("kill")
    study_file = folder / "study.toml"
    study_file.write_text(city.toml())

    def start(root):
        arguments = [
            sys.executable,
            "-m",
            "pipeline.cli",
            "run",
            str(study_file),
            "--root",
            str(root),
            "--buckets",
            "3",
        ]
        return subprocess.Popen(arguments, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    os.environ["SOJOURN_KEY"] = "a key for tests that is long enough"
    for name in ("warm", "undisturbed"):
        started = time.monotonic()
        process = start(folder / name)
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
        seconds = time.monotonic() - started
    return start, seconds, shard_bytes(folder / "undisturbed")


def read_everything(root) -> int:
    """Read every visible shard as an analyst would; return how many there were."""
    store, n = Store(root), 0
    for table in TABLES.values():
        for key in store.keys(table):
            conform(store.read(table, key), table)
            n += 1
    return n


@pytest.mark.parametrize("seed", range(N_KILLS))
def test_killed_and_run_again(command, city, tmp_path, seed):
    start, seconds, undisturbed = command
    root = tmp_path / "tables"
    process = start(root)
    time.sleep(random.Random(seed).uniform(0.15, 0.95) * seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    read_everything(root)
    if any((root / "_runs").glob("*.json")):
        # The kill may come in the moment between the end of the run and the end of its process.
        assert read_runs(root)[-1]["state"] in ("killed", "finished")
    again = start(root)
    _, errors = again.communicate()
    assert again.returncode == 0, errors.decode()
    assert read_runs(root)[-1]["state"] == "finished"
    assert shard_bytes(root) == undisturbed
    assert not list(root.rglob(".*.tmp"))


def test_a_reader_during_a_run_never_sees_a_part(command, tmp_path):
    start, _, undisturbed = command
    root = tmp_path / "tables"
    process = start(root)
    most = 0
    while process.poll() is None:
        most = max(most, read_everything(root))
    assert process.returncode == 0
    assert most > 0
    assert shard_bytes(root) == undisturbed


def test_the_command_line_gives_the_bytes_of_the_library(command, city, tmp_path):
    _, _, undisturbed = command
    run_all(city.study(), tmp_path / "tables")
    assert shard_bytes(tmp_path / "tables") == undisturbed
