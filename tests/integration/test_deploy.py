"""What is in flows/deploy, read by those it is for (schemas, shells, dask-jobqueue), and runs on what it starts."""

import os
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import dask
import kubernetes_validate
import pytest
import yaml
from dask.utils import parse_timedelta
from distributed.cli import dask_scheduler, dask_worker
from distributed.security import Security

from tests.conftest import KEY, run_all, shard_bytes
from tests.integration.dask_processes import PROJECT, kill
from tests.s3_server import free_port

DEPLOY = PROJECT / "flows" / "deploy"
BIN = Path(sys.executable).parent
KUBERNETES = "1.30"
"""The oldest release whose schemas are asked, in strict mode: fields it does not know are refused."""
SSH = """#!/bin/sh
# A machine for every host, all of them here.
HOME=$MACHINES/$1 && export HOME && mkdir -p "$HOME" && exec sh -c "$2"
"""
SBATCH = """#!/bin/sh
cp "$1" "$MACHINES/job-$$.sh"
setsid bash "$MACHINES/job-$$.sh" >>"$MACHINES/job.log" 2>&1 </dev/null &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -KILL -- "-$1"
"""


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("SOJOURN_KEY", KEY)


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """A folder with homes of machines and with commands that reach them; the environment that leads there."""
    folder = tmp_path / "machines"
    commands = {"ssh": SSH, "sbatch": SBATCH, "scancel": SCANCEL}
    (folder / "bin").mkdir(parents=True)
    for name, text in commands.items():
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(folder / "here"))
    monkeypatch.setenv("MACHINES", str(folder))
    # The project under test, wherever an installed one lies.
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return folder


@pytest.fixture
def certificate(machines, monkeypatch) -> Path:
    """What tls.sh makes, named to this process as it is to a shell."""
    if not shutil.which("openssl"):
        made = Security.temporary()
        path = machines / "here" / ".config" / "sojourn" / "tls.pem"
        path.parent.mkdir(parents=True)
        path.write_text(made.tls_client_cert + made.tls_client_key)
    shown = subprocess.run(
        ["sh", "-c", ". flows/deploy/tls.sh; env -0"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    values = dict(line.split("=", 1) for line in shown.stdout.split("\0") if "=" in line)
    for name, value in values.items():
        if name.startswith("DASK_") or name == "SOJOURN_TLS":
            monkeypatch.setenv(name, value)
    return Path(values["SOJOURN_TLS"])


def objects() -> list[dict]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


def pods() -> dict[str, dict]:
    return {
        found["metadata"]["name"]: found["spec"]["template"]["spec"]
        for found in objects()
        if found["kind"] in ("Deployment", "Job")
    }


@pytest.mark.parametrize("version", [KUBERNETES, kubernetes_validate.latest_version()])
def test_kubernetes_knows_every_field(version):
    for found in objects():
        kubernetes_validate.validate(found, version, strict=True)


def test_what_kubernetes_starts_names_what_is_there():
    of_kind = {found["kind"]: found for found in objects()}
    service = of_kind["Service"]
    scheduler, worker, run = (pods()[f"sojourn-{role}"]["containers"][0] for role in ("scheduler", "worker", "run"))
    address = f"tls://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert worker["args"][2] == run["args"][run["args"].index("--scheduler") + 1] == address
    assert of_kind["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] in pods()
    # Who hands out the work needs no key for device ids; who does it, and who plans it, do.
    has_key = {
        name: {"secretRef": {"name": "sojourn"}} in pod["containers"][0]["envFrom"] for name, pod in pods().items()
    }
    assert has_key == {"sojourn-scheduler": False, "sojourn-worker": True, "sojourn-run": True}
    for pod in pods().values():
        mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert dask_options(dask_scheduler, scheduler["args"][2:])["protocol"] == "tls"
    assert dask_options(dask_worker, [arg.replace("$(MEMORY_BYTES)", "3000000000") for arg in worker["args"][2:]])[
        "preload"
    ] == ("pipeline.engine.workers",)


def dask_options(command, args: list[str]) -> dict:
    """What Dask understands of a command line."""
    return command.main.make_context("dask", [*args]).params


def test_shells_find_nothing_in_the_scripts(certificate):
    scripts = [str(path) for path in sorted(DEPLOY.glob("*.sh"))]
    job = certificate.parent / "job.sh"
    job.write_text(job_script())
    check([str(BIN / "shellcheck"), *scripts, str(job)])
    for script in [*scripts, str(job)]:
        check(["bash", "-n", script])


def check(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def job_script() -> str:
    """The script that SLURM would be given."""
    with in_environment(), slurm().make_cluster() as cluster:
        return cluster.job_script()


def slurm() -> ModuleType:
    """The script as a module."""
    spec = spec_from_file_location("slurm_script", DEPLOY / "slurm.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_environment():
    """Dask's configuration as a process that starts now would read it."""
    names = ("ca-file", "scheduler.cert", "worker.cert", "client.cert")
    return dask.config.set({f"distributed.comm.tls.{name}": os.environ["SOJOURN_TLS"] for name in names})


def test_slurm_is_asked_for_what_the_workers_take(certificate):
    script = job_script()
    assert "#SBATCH --cpus-per-task=8\n#SBATCH --mem=23G\n#SBATCH -t 04:00:00" in script
    worker = next(line for line in script.splitlines() if "dask_worker" in line)
    options = dask_options(dask_worker, worker.split()[3:])
    assert (options["n_workers"], options["nthreads"], options["memory_limit"]) == ("8", 1, "2.79GiB")
    assert options["scheduler"].startswith("tls://")
    assert parse_timedelta(options["lifetime"]) == 230 * 60
    assert KEY not in script


@pytest.fixture(scope="module")
def quiet(city, tmp_path_factory):
    """The bytes that threads of this process give."""
    root = tmp_path_factory.mktemp("quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOJOURN_KEY", KEY)
        run_all(city.study(), root)
    return shard_bytes(root)


@pytest.fixture
def study_file(city, tmp_path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(city.toml())
    return path


@pytest.mark.slow
def test_a_run_on_machines_over_tls_has_the_same_bytes(
    city, quiet, study_file, machines, certificate, tmp_path, monkeypatch
):
    folder, port = machines / "folder", free_port()
    folder.mkdir()
    (folder / "flows").symlink_to(PROJECT / "flows")
    (folder / ".venv").symlink_to(BIN.parent)
    for name, value in {"FOLDER": folder, "PORT": port, "N_WORKERS": 2, "MEMORY": "1500MB"}.items():
        monkeypatch.setenv(name, str(value))
    script = f"sh {DEPLOY}/machines.sh scheduler 127.0.0.1; sh {DEPLOY}/machines.sh workers 127.0.0.1 127.0.0.1"
    started = subprocess.Popen(["sh", "-c", f"{script}; exec sleep 600"], start_new_session=True)
    try:
        done = sojourn(study_file, tmp_path / "tables", port)
        assert done.returncode == 0, done.stderr + (machines / "127.0.0.1" / "dask.log").read_text()
        assert shard_bytes(tmp_path / "tables") == quiet
        # Without the certificate nobody gets in, and says so in a line.
        for name in [name for name in os.environ if "COMM__TLS" in name]:
            monkeypatch.delenv(name)
        refused = sojourn(study_file, tmp_path / "other", port)
        assert refused.returncode == 1
        assert "tls:// needs certificates" in refused.stderr.splitlines()[-1]
        assert "Traceback" not in refused.stderr
        assert KEY not in (machines / "127.0.0.1" / "dask.log").read_text()
    finally:
        kill(started)


def sojourn(study_file: Path, root: Path, port: int) -> subprocess.CompletedProcess:
    options = ["--root", root, "--buckets", "3", "--scheduler", f"tls://127.0.0.1:{port}", "--json"]
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "run", study_file, *options], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_run_on_jobs_that_come_with_the_work_has_the_same_bytes(
    quiet, study_file, machines, certificate, tmp_path, monkeypatch
):
    key_file = machines / "here" / ".config" / "sojourn" / "key"
    key_file.write_text(f"export SOJOURN_KEY='{KEY}'\n")
    script = slurm()
    for name, value in {"CORES": 1, "MEMORY": "1500MB", "MAX_JOBS": 2}.items():
        monkeypatch.setattr(script, name, value)
    monkeypatch.setattr(
        sys, "argv", ["slurm.py", str(study_file), "--root", str(tmp_path / "tables"), "--buckets", "3"]
    )
    with in_environment():
        assert script.main() == 0, (machines / "job.log").read_text()
    assert shard_bytes(tmp_path / "tables") == quiet
