"""Real S3 servers on loopback for tests: started on a free port, killed, and started again on what they kept.

`localbucket` keeps every object as a file, so it outlives a kill; `moto` keeps all in memory, is the better kept
project of the two, and checks conditional writes in full.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fsspec
import pytest

BUCKET = "sojourn-tests"
START_S = 30
"""How long a server may take to answer."""


class S3Server:
    """One server process; `kill` and `start` keep the port and, where the server has a folder, its objects."""

    bucket = BUCKET

    def __init__(self, folder: Path | None) -> None:
        """Serve `folder` from disk, or with None from memory."""
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which S3 clients of any process find the server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }

    def start(self) -> None:
        """Start the process and wait until it answers."""
        place = ["--host", "127.0.0.1", "--port", str(self.port)]
        command = ["moto.server", *place] if self.folder is None else ["localbucket", *place, str(self.folder)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_S
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not answer on {self.url}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the process outright, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process in good order."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill the process and start it again on the same port with the same objects."""
        self.kill()
        self.start()

    def make_bucket(self) -> None:
        """Make the bucket of the tests."""
        fsspec.filesystem("s3", skip_instance_cache=True, endpoint_url=self.url, key="tests", secret="any").mkdir(
            BUCKET
        )

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def serving(folder: Path | None) -> Iterator[S3Server]:
    """Run a server with an empty bucket, this process and those it starts being its clients."""
    server = S3Server(folder)
    server.start()
    before = dict(os.environ)
    os.environ.update(server.environment)
    forget_clients()
    try:
        server.make_bucket()
        yield server
    finally:
        os.environ.clear()
        os.environ.update(before)
        forget_clients()
        server.stop()


def forget_clients() -> None:
    """Forget clients made so far: fsspec keeps one for as long as the process lives, whatever the environment says."""
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture
def s3_server(tmp_path: Path) -> Iterator[S3Server]:
    """A server that keeps its objects on disk: it may be killed and started again."""
    folder = tmp_path / "s3"
    folder.mkdir()
    with serving(folder) as server:
        yield server
