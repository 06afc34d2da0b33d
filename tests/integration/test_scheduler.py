"""An existing cluster of worker processes gives the bytes of threads in this process."""

from distributed import LocalCluster

from pipeline.engine.run import open_run
from pipeline.settings import Settings
from tests.conftest import run_all, shard_bytes


def test_worker_processes_over_tcp_give_the_same_bytes(city, tmp_path, monkeypatch):
    run_all(city.study(), tmp_path / "threads")
    monkeypatch.chdir(tmp_path)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster:
        # A relative root must mean the same folder to workers that stand elsewhere.
        settings = Settings(root="processes", n_buckets=3, scheduler=cluster.scheduler_address)
        with open_run(city.study(), settings, "test") as run:
            for stage in run.stages:
                run.execute(stage)
    assert shard_bytes(tmp_path / "processes") == shard_bytes(tmp_path / "threads")
