"""Deployments of prefect.yaml: their forms, and a real pool and worker."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import httpx
import pytest
import yaml

from pipeline.engine.records import read_runs
from tests.integration.deployed_env import Deployed, deploy, kill
from tests.integration.prefect_env import REPOSITORY, STAGES, read_states, run_python, write_study


def read_deployments() -> dict[str, dict]:
    declared = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
    return {deployment["name"]: deployment for deployment in declared["deployments"]}


def test_deployments_name_flows_and_parameters_that_exist(flows: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.client.schemas.schedules import CronSchedule
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(REPOSITORY)
    deployments = read_deployments()
    assert sorted(deployments) == ["backfill", "daily", "weekly"]
    for name, deployment in deployments.items():
        loaded = load_flow_from_entrypoint(deployment["entrypoint"])
        assert loaded.name == {"weekly": "daily"}.get(name, name)
        assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
        validated = loaded.validate_parameters(deployment["parameters"])
        assert validated["study_file"] == Path("study.toml") and validated["settings"].root.name == "tables"
        assert sorted(loaded.parameters.required) == ["settings"]
    (schedule,) = deployments["daily"]["schedules"]
    assert CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"]).cron == "0 3 * * *"
    assert "schedules" not in deployments["backfill"]


@pytest.mark.slow
def test_what_the_server_knows_of_a_deployment_is_a_form(deployed: Deployed) -> None:
    """Types, bounds, choices and a description of every parameter, as the page that starts a run shows them."""
    found = {d.name: d for d in deployed.client.read_deployments() if d.work_pool_name == "sojourn"}
    for name, deployment in found.items():
        form = deployment.parameter_openapi_schema
        assert form["required"] == ["settings"] and deployment.description and "sojourn" in deployment.tags
        assert deployment.enforce_parameter_schema and deployment.global_concurrency_limit.limit == 1
        settings = form["definitions"]["Settings"]["properties"]
        shown = {**form["properties"], **{f"settings.{key}": value for key, value in settings.items()}}
        assert not [f"{name}: {key}" for key, value in shown.items() if not (value["title"] and value["description"])]
        assert (
            settings["n_buckets"] | {"minimum": 1, "maximum": 4096, "default": 8, "type": "integer"}
            == settings["n_buckets"]
        )
        assert {"type": "string", "format": "date"} in form["properties"]["start"]["anyOf"]
        assert "SOJOURN_KEY" not in str(form) and "key" not in settings
    (stages, _) = found["backfill"].parameter_openapi_schema["properties"]["stages"]["anyOf"]
    assert set(stages["items"]["enum"]) >= set(STAGES)
    assert found["daily"].parameters["only_dated"] is True
    assert [bool(found[name].schedules) for name in ("daily", "weekly", "backfill")] == [True, True, False]


@pytest.fixture(scope="module")
def deployed(flows: ModuleType, server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The project on the server, from its own prefect.yaml and automations.yaml."""
    from prefect import get_client

    folder = tmp_path_factory.mktemp("deployed")
    write_study(folder)
    with get_client(sync_client=True) as client:
        yield deploy(folder, server, client)


@pytest.fixture(scope="module")
def worker(deployed: Deployed) -> Iterator[None]:
    with deployed.worker("worker"):
        yield


@pytest.mark.slow
def test_one_run_of_a_root_goes_on_and_others_wait_or_refuse(deployed: Deployed, worker: None, root: Path) -> None:
    deployed.hold.touch()
    first = deployed.start("daily", root, only_dated=True)
    deployed.wait_for_stays(root)

    second = deployed.start("daily", root, only_dated=True)
    refused = deployed.start("backfill", root, stages=["pings"])
    deployed.wait_for_state(second, "AwaitingConcurrencySlot")
    assert deployed.wait_for_state(refused, "Refused").startswith(f"another run is writing to {root}")
    waiting = deployed.start("backfill", root, stages=["pings"], settings={"lock_wait_s": 600})
    deployed.wait_for_state(waiting, "Running")
    arguments = [
        "-m",
        "pipeline.cli",
        "run",
        str(deployed.folder / "study.toml"),
        "--root",
        str(root),
        "--buckets",
        "2",
    ]
    code, output = run_python(arguments, deployed.environment, root.parent)
    assert code == 1 and "sojourn: another run is writing to" in output and "Traceback" not in output
    assert read_states(root) == ["running"]

    deployed.hold.unlink()
    for run in (first, second, waiting):
        deployed.wait_for_state(run, "Completed")
    assert read_states(root) == ["finished"] * 3


@pytest.mark.slow
def test_a_run_cancelled_at_the_server_goes_on_where_it_was(deployed: Deployed, worker: None, root: Path) -> None:
    from prefect.states import Cancelling, Scheduled

    deployed.hold.touch()
    run = deployed.start("daily", root, only_dated=True)
    deployed.wait_for_stays(root)
    deployed.client.set_flow_run_state(run, Cancelling())
    deployed.wait_for_state(run, "Cancelled")
    assert "a line of the engine" in deployed.read_logs(run)
    assert read_states(root) == ["cancelled"]

    deployed.hold.unlink()
    deployed.client.set_flow_run_state(run, Scheduled())
    deployed.wait_for_state(run, "Completed")
    assert read_states(root) == ["cancelled", "finished"]
    assert read_runs(root)[1]["stages"][1]["shards"] == {"current": 2}, "coverage was there"


@pytest.mark.slow
def test_a_killed_run_goes_on_by_itself(deployed: Deployed, worker: None, root: Path) -> None:
    """The worker tells that the process died; the automation lets the run go on."""
    deployed.automate("sojourn-crashed")
    deployed.hold.touch()
    run = deployed.start("daily", root, only_dated=True)
    kill(deployed.wait_for_stays(root))
    deployed.wait_for_state(run, "Crashed")
    deployed.hold.unlink()
    deployed.wait_for_state(run, "Completed")
    assert deployed.client.read_flow_run(run).run_count >= 2
    # The worker's second report of the kill may come late and end the run once more: it then goes on once more.
    states = read_states(root)
    assert states[0] == "killed" and "finished" in states


@pytest.mark.slow
def test_a_run_that_is_not_heard_of_is_told_to_have_crashed(deployed: Deployed, server: str, root: Path) -> None:
    """Its worker and machine are gone after one sign of life: nobody but the automation can tell."""
    from prefect.states import Running, Scheduled

    deployed.automate("sojourn-lost")
    later = datetime.now(UTC) + timedelta(days=1)
    run = deployed.start("weekly", root, state=Scheduled(scheduled_time=later))
    deployed.client.set_flow_run_state(run, Running(), force=True)
    pool = {"prefect.resource.id": "prefect.work-pool.any", "prefect.resource.role": "work-pool"}
    heard = {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        "related": [pool | {"prefect.resource.name": "sojourn"}],
    }
    httpx.post(f"{server}/events", json=[heard]).raise_for_status()
    assert deployed.wait_for_state(run, "Crashed") == "Not heard of for ten minutes."
