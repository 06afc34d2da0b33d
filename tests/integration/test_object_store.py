"""Tables and source files at an object store: the bytes of a disk, whole at every moment, whoever is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_contracts import PINGS, STAYS, TABLES, conform
from pipeline.catalog import load
from pipeline.cli import app
from pipeline.engine.files import StoreError
from pipeline.engine.lock import LockedError, root_lock
from pipeline.engine.records import read_runs
from pipeline.engine.run import open_run
from pipeline.engine.store import ShardKey, Store
from pipeline.paths import as_path
from pipeline.settings import Settings
from tests.conftest import KEY, run_all, shard_bytes
from tests.contract_rows import make_rows
from tests.s3_server import serving

N_BUCKETS = 1


@pytest.fixture(scope="module")
def local(city, tmp_path_factory):
    """The tables of the city on a disk."""
    os.environ["SOJOURN_KEY"] = KEY
    folder = tmp_path_factory.mktemp("local") / "tables"
    run_all(city.study(), folder, n_buckets=N_BUCKETS)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture(scope="module")
def root(city, server, local):
    """The tables of the city at the store; `local` computed first, so that nothing is compiled here."""
    url = f"s3://{server.bucket}/tables"
    run_all(city.study(), url, n_buckets=N_BUCKETS)
    return url


def on_disk(server, name) -> Path:
    """Return the folder in which the server keeps the objects below a prefix."""
    return server.folder / server.bucket / name


def test_the_bytes_are_those_of_a_disk(server, root, local):
    assert shard_bytes(on_disk(server, "tables")) == shard_bytes(local)
    assert not [p for p in on_disk(server, "tables").rglob("*") if p.name.endswith(".tmp")]


def test_a_second_run_finds_all_current(city, root):
    states = {
        state for summary in run_all(city.study(), root, n_buckets=N_BUCKETS).values() for state in summary.shards
    }
    assert states == {"current"}


def test_every_command_reads_it(city, root, local, tmp_path):
    study = tmp_path / "study.toml"
    study.write_text(city.toml())
    page = tmp_path / "page.html"
    for arguments in (
        ["status", str(study), "--buckets", str(N_BUCKETS)],
        ["lineage", "visits", "--bucket", "0"],
        ["report", "study", str(study), "--out", str(page)],
        ["audit", "visits"],
        ["export", "place_visits", "--out", str(tmp_path / "out")],
    ):
        told = CliRunner().invoke(app, [*arguments, "--root", root])
        assert told.exit_code == 0, (arguments, told.output, told.exception)
    assert page.stat().st_size > 10_000
    assert (tmp_path / "out" / "place_visits.parquet").exists()
    for table in ("visits", "pings"):
        assert load(table, root=root, columns=["device_id"]).equals(load(table, root=local, columns=["device_id"]))


def test_no_credential_is_written_down(server, root):
    for path in on_disk(server, "tables").rglob("*.json"):
        assert server.environment["AWS_SECRET_ACCESS_KEY"] not in path.read_text()
        assert server.url not in path.read_text()


def test_source_files_at_the_store_give_the_same_pings(city, server, local, tmp_path):
    for path in city.files:
        name = path.relative_to(city.folder).as_posix()
        as_path(f"s3://{server.bucket}/vendor/{name}").write_bytes(path.read_bytes())
    study = city.study()
    source = study.sources[0].model_copy(update={"path": f"s3://{server.bucket}/vendor/raw"})
    study = study.model_copy(update={"sources": (source,)})
    settings = Settings(root=tmp_path / "tables", n_buckets=N_BUCKETS)
    with open_run(study, settings, "test") as run:
        run.execute("pings")
    assert shard_bytes(settings.root, "pings") == shard_bytes(local, "pings")
    named = next(iter((settings.root / "_batches").glob("*.json")))
    assert json.loads(named.read_text())[0]["files"][0].startswith(f"s3://{server.bucket}/vendor/raw")
    glob = source.model_copy(update={"path": f"s3://{server.bucket}/vendor/raw/**/*.parquet"})
    with open_run(study.model_copy(update={"sources": (glob,)}), settings, "test") as run:
        assert set(run.execute("pings").shards) <= {"current"}


@pytest.fixture(params=["localbucket", "moto"])
def each_store(request, tmp_path):
    """A store of tables at either server."""
    with serving(tmp_path if request.param == "localbucket" else None) as found:
        yield Store(f"s3://{found.bucket}/tables")


def test_readers_during_writes_see_one_version(each_store):
    key, versions = ShardKey(bucket=1), [make_rows(PINGS, n, seed=n) for n in (20_000, 40_000)]
    each_store.write(PINGS, key, versions[0], {"version": 0})
    n_rows = {rows.num_rows for rows in versions}
    ended, seen, troubles = threading.Event(), set(), []

    def read():
        while not ended.is_set():
            try:
                rows, footer = each_store.read(PINGS, key), each_store.footer(PINGS, key)
                seen.add(rows.num_rows)
                assert rows.num_rows in n_rows and footer.n_rows in n_rows
                assert versions[footer.made_from["version"]].num_rows == footer.n_rows
                assert each_store.keys(PINGS) == [key]
            except Exception as error:
                troubles.append(repr(error))
                return

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for k in range(20):
        each_store.write(PINGS, key, versions[k % 2], {"version": k % 2})
    ended.set()
    for reader in readers:
        reader.join()
    assert not troubles
    assert seen <= n_rows


def test_of_two_writers_of_one_shard_one_wins_whole(each_store):
    key, versions = ShardKey(bucket=1), [make_rows(STAYS, n, seed=n) for n in (200, 3_000)]

    def write(k):
        for _ in range(10):
            each_store.write(STAYS, key, versions[k], {"version": k})

    writers = [threading.Thread(target=write, args=(k,)) for k in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    winner = versions[each_store.footer(STAYS, key).made_from["version"]]
    assert each_store.read(STAYS, key).equals(winner.cast(STAYS.schema))


def test_of_two_runs_that_start_one_is_refused(each_store):
    held, refused, all_tried = [], [], threading.Barrier(2, timeout=60)

    def take(name):
        try:
            with root_lock(each_store.root, name):
                held.append(name)
                all_tried.wait()
        except LockedError as error:
            refused.append(str(error))
            all_tried.wait()

    threads = [threading.Thread(target=take, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 1)


@pytest.fixture
def start(city, tmp_path):
    """Start the command that runs the city on a root."""
    study = tmp_path / "study.toml"
    study.write_text(city.toml())

    def run(root, **variables):
        command = ["run", str(study), "--root", str(root), "--buckets", str(N_BUCKETS)]
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *command],
            env={**os.environ, "SOJOURN_KEY": KEY, **variables},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def wait_for_shards(server, name, n, process):
    """Wait until a run has written so many shards of its tables."""
    while process.poll() is None and len(list(on_disk(server, name).rglob("[!.]*.parquet"))) < n:
        time.sleep(0.02)


def read_everything(url):
    store = Store(url)
    for table in TABLES.values():
        for key in store.keys(table):
            conform(store.read(table, key), table)


@pytest.mark.parametrize("whom", ["run", "server"])
def test_killed_and_run_again(whom, start, city, server, local, tmp_path):
    name = f"killed-{whom}"
    url = f"s3://{server.bucket}/{name}"
    process = start(url)
    wait_for_shards(server, name, random.Random(whom).randint(3, 20), process)
    if whom == "run":
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        read_everything(url)
        assert read_runs(as_path(url))[-1]["state"] == "killed"
    else:
        server.kill()
        time.sleep(0.5)
        server.start()
        _, errors = process.communicate()
        # The client tries again for some seconds, so most such runs finish; one that does not says why.
        assert process.returncode == 0 or "the store does not answer" in errors, errors
        read_everything(url)
    again = start(url)
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert shard_bytes(on_disk(server, name)) == shard_bytes(local)


def test_a_store_that_stays_away_is_named(start, city, tmp_path):
    (tmp_path / "s3").mkdir()
    with serving(tmp_path / "s3") as away:
        away.kill()
        process = start(f"s3://{away.bucket}/tables", AWS_MAX_ATTEMPTS="1")
        _, errors = process.communicate()
        assert process.returncode == 1
        assert "the store does not answer (EndpointConnectionError)" in errors.replace("\n", " ")
        assert "Traceback" not in errors
        away.start()
        with pytest.raises(StoreError, match="no such bucket"):
            Store("s3://no-such-bucket/tables").write(STAYS, ShardKey(bucket=1), make_rows(STAYS, 2, seed=1), {})
