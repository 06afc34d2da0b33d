"""What `sojourn plan` lists as due is what a run then does."""

import shutil

import pytest

from pipeline.engine.forecast import FILES
from pipeline.options import read_study
from pipeline.plan_commands import due_stages
from pipeline.settings import KEY_VARIABLE
from tests.conftest import KEY, run_all
from tests.integration.test_loading import day, write

N_BUCKETS = 2
STUDY = """
name = "x"
start = 2020-01-01
end = 2020-01-04
zone = "UTC"
[[sources]]
path = "raw/*.csv"
time_unit = "s"
columns = {device_id = "id", tracked_at = "t", lon = "lon", lat = "lat", utc_offset_s = "offset"}
"""


def run(folder, *sets):
    """Run everything; return how many shards of each table were computed or removed."""
    study = read_study(folder / "study.toml", list(sets))
    summaries = run_all(study, folder / "t", n_buckets=N_BUCKETS, n_threads=1)
    return {name: s.shards.get("computed", 0) + s.shards.get("removed", 0) for name, s in summaries.items()}


def plan(folder, *sets):
    """Return how many shards of each table are due, and how many are only if what they wait for changes."""
    rows = due_stages(folder / "study.toml", folder / "t", N_BUCKETS, list(sets))
    return {r["table"]: r["n_due"] for r in rows}, {r["table"]: r["n_waiting"] for r in rows}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planned")
    (folder / "study.toml").write_text(STUDY)
    places = [(name, k, 10.0 + shift) for name in "ABCD" for k in range(3) for shift in (0.0, 0.001, 0.5)]
    rows = [(n, t + 7_200 * i, *rest) for i, (n, k, lon) in enumerate(places) for (n, t, *rest) in day(n, k, lon)[:25]]
    write(folder / "raw" / "a.csv", [(n, 1_577_880_000 + j * 300, *rest) for j, (n, _, *rest) in enumerate(rows)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        run(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def test_nothing_is_due_after_a_run_and_nothing_is_done(folder):
    due, waiting = plan(folder)
    assert set(due.values()) == set(waiting.values()) == {0}
    assert set(run(folder).values()) == {0}


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("gyration", "params.gyration.windows=['day']"),
        ("locations", "params.locations.eps_m=80"),
        ("stays", "params.stays.roam_m=40"),
    ],
)
def test_what_a_changed_parameter_makes_due_is_done_and_nothing_else(folder, table, change):
    due, waiting = plan(folder, change)
    done = run(folder, change)
    assert done[table] == due[table] > 0
    # What follows waits, and is found to be current where its input came out as it was.
    assert all(due.get(name, 0) <= n <= due.get(name, 0) + waiting.get(name, 0) for name, n in done.items())
    assert not any(plan(folder, change)[0].values())


def test_a_late_file_is_due_and_what_it_reaches_with_it(folder):
    write(folder / "raw" / "late.csv", day("E", 1))
    due, waiting = plan(folder)
    assert due[FILES] == due["pings"] == 1
    done = run(folder)
    assert done["pings"] == 1
    assert all(due[name] <= n <= due[name] + waiting[name] for name, n in done.items())
    assert not any(n for counts in plan(folder) for n in counts.values())
