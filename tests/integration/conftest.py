"""Fixtures of the flows (one Prefect server for all tests of a process, a tiny study), and of the command line."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.integration.prefect_env import make_environment, running_server, write_study


@pytest.fixture
def sojourn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[object, str, str]]:
    """Runs the command line in this process; gives its exit code and what it printed and warned of."""
    from pipeline.cli import main

    def call(*arguments: object, columns: int = 200) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["sojourn", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """API address of one server for all tests of this process."""
    with running_server(tmp_path_factory.mktemp("server")) as api_url:
        yield api_url


@pytest.fixture(scope="session")
def embedded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefect home of the runs without a server; shared, because a new one costs seconds."""
    return tmp_path_factory.mktemp("embedded_home")


@pytest.fixture(scope="module")
def flows(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Package `flows`, imported in this process, talking to the server; afterwards the environment is as before."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        # Prefect reads its home when it is first imported: before that, the user's must be out of reach.
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            patch.delenv(name)
        for name, value in make_environment(home, server).items():
            patch.setenv(name, value)
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker
        from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

        import flows
        import flows.backfill
        import flows.daily
        import flows.tasks

        with temporary_settings({PREFECT_API_URL: server, PREFECT_HOME: home}):
            yield flows
            # Logs and events still in the queue would look for the server after its end.
            APILogWorker.drain_all()
            EventsWorker.drain_all()


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    return write_study(tmp_path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "tables"
