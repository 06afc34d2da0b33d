"""One run on workers that are SLURM jobs, as many as there is work for.

    . flows/deploy/tls.sh
    python flows/deploy/slurm.py study.toml --root /shared/tables

from the repository on a file system that all nodes share; what follows the script goes to `sojourn run`. It needs
`pip install dask-jobqueue`. The key is read on each node from KEY_FILE (`export SOJOURN_KEY=...`, chmod 600), so that
no job script and no list of processes shows it. The scheduler lives in this process: start it in a job of its own,
or where long processes are allowed.
"""

import subprocess
import sys
from pathlib import Path

from dask_jobqueue import SLURMCluster

FOLDER = Path(__file__).parents[2]
KEY_FILE = "$HOME/.config/sojourn/key"
CORES = 8
"""Cores of a job, and its workers: each of one thread."""
MEMORY = "24GB"
"""Of a job: 3 GB a worker, of which libraries take 0.5."""
WALLTIME, LIFETIME = "04:00:00", "230m"
"""Workers leave in good order before their job is ended."""
MAX_JOBS = 16


def make_cluster() -> SLURMCluster:
    """Return a cluster without jobs. Partition, account and the like: `queue`, `account`, `job_extra_directives`."""
    return SLURMCluster(
        job_name="sojourn",
        cores=CORES,
        processes=CORES,
        memory=MEMORY,
        walltime=WALLTIME,
        protocol="tls://",
        local_directory='"${TMPDIR:-/tmp}"',
        job_script_prologue=[
            f"cd '{FOLDER}' || exit",
            # The first path is this user's own, which no checker can follow.
            "# shellcheck disable=SC1090,SC1091",
            f'. "{KEY_FILE}"',
            ". flows/deploy/tls.sh",
            "export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False",
        ],
        worker_extra_args=[
            "--preload",
            "pipeline.engine.workers",
            "--no-dashboard",
            "--lifetime",
            LIFETIME,
            "--lifetime-stagger",
            "5m",
        ],
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
    )


def main() -> int:
    """Run `sojourn run` on jobs that come with the work and go after a minute without; return its exit code."""
    with make_cluster() as cluster:
        cluster.adapt(minimum_jobs=0, maximum_jobs=MAX_JOBS, interval="2s", wait_count=30)
        command = [sys.executable, "-m", "pipeline.cli", "run", *sys.argv[1:], "--scheduler", cluster.scheduler_address]
        return subprocess.run(command, cwd=FOLDER, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
