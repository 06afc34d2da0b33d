"""Deployments of prefect.yaml: their forms, and a real pool and worker."""

from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.integration.prefect_env import REPOSITORY, make_environment, read_states, run_python


def read_deployments() -> dict[str, dict]:
    declared = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
    return {deployment["name"]: deployment for deployment in declared["deployments"]}


def test_deployments_name_flows_and_parameters_that_exist(flows: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(REPOSITORY)
    deployments = read_deployments()
    assert sorted(deployments) == ["backfill", "daily"]
    for name, deployment in deployments.items():
        loaded = load_flow_from_entrypoint(deployment["entrypoint"])
        assert loaded.name == name
        validated = loaded.validate_parameters(deployment["parameters"])
        assert validated["study_file"] == Path("study.toml") and validated["settings"].root.name == "tables"
        assert sorted(loaded.parameters.required) == ["settings"]
    (schedule,) = deployments["daily"]["schedules"]
    assert CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"]).cron == "0 3 * * *"
    assert "schedules" not in deployments["backfill"]


@pytest.mark.slow
def test_deployments_are_accepted_by_a_server_and_run_by_a_worker(
    flows: ModuleType, server: str, study_file: Path, tmp_path: Path
) -> None:
    """As prefect.yaml tells: make the pool, deploy, and let a worker run the daily flow in the folder."""
    from prefect import get_client

    environment = make_environment(tmp_path / "home", server)
    for name in ("prefect.yaml", "flows"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    prefect = ["-m", "prefect", "--no-prompt"]
    for arguments in (["work-pool", "create", "sojourn", "--type", "process"], ["deploy", "--all"]):
        code, output = run_python([*prefect, *arguments], environment, tmp_path)
        assert code == 0, output
    with get_client(sync_client=True) as client:
        deployed = {d.name: d for d in client.read_deployments() if d.work_pool_name == "sojourn"}
        assert sorted(deployed) == sorted(read_deployments())
        (schedule,) = deployed["daily"].schedules
        assert (schedule.schedule.cron, schedule.schedule.timezone, schedule.active) == (
            "0 3 * * *",
            "UTC",
            True,
        )
        assert not deployed["backfill"].schedules
        assert deployed["daily"].parameters == {"study_file": "study.toml", "settings": {"root": "tables"}}
        wanted = client.create_flow_run_from_deployment(deployed["daily"].id)
        code, output = run_python(
            [*prefect, "worker", "start", "--pool", "sojourn", "--run-once"], environment, tmp_path
        )
        assert code == 0, output
        run = client.read_flow_run(wanted.id)
    assert (run.name, run.state_type.value) == ("beijing 2020-01-05..2020-01-06", "COMPLETED"), output
    assert read_states(tmp_path / "tables") == ["finished"]
