"""Worker processes give the bytes of threads in this process: those started here, and those of an existing cluster."""

import json
import subprocess
import sys

import pytest
from distributed import LocalCluster
from pydantic import ValidationError

from pipeline.engine.run import open_run
from pipeline.settings import Settings
from tests.conftest import run_all, shard_bytes


@pytest.fixture(scope="module")
def threads(city, tmp_path_factory):
    """The bytes that threads of this process give."""
    root = tmp_path_factory.mktemp("threads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOJOURN_KEY", "a key for tests that is long enough")
        run_all(city.study(), root)
    return shard_bytes(root)


def test_an_existing_cluster_over_tcp_gives_the_same_bytes(city, threads, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster:
        # A relative root must mean the same folder to workers that stand elsewhere.
        settings = Settings(root="processes", n_buckets=3, scheduler=cluster.scheduler_address)
        with open_run(city.study(), settings, "test") as run:
            for stage in run.stages:
                run.execute(stage)
    assert shard_bytes(tmp_path / "processes") == threads


def test_worker_processes_started_by_the_command_line_give_the_same_bytes(city, threads, tmp_path):
    study_file, root = tmp_path / "study.toml", tmp_path / "tables"
    study_file.write_text(city.toml())
    options = ["--root", root, "--buckets", "3", "--workers", "2", "--memory-gb", "1.5", "--json"]
    command = [sys.executable, "-m", "pipeline.cli", "run", study_file, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {summary["stage"] for summary in json.loads(done.stdout)} >= {"pings", "stays", "contacts"}
    assert shard_bytes(root) == threads


def test_a_scheduler_and_workers_of_ones_own_are_two_clusters(tmp_path):
    with pytest.raises(ValidationError, match="two clusters"):
        Settings(root=tmp_path, scheduler="tcp://127.0.0.1:8786", n_workers=2)
