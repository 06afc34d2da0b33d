"""The command line as a user meets it: help, exit codes, JSON, errors in one line."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from pipeline.catalog import load
from tests.conftest import KEY, run_all


@pytest.fixture(scope="module")
def study_file(city, tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "study.toml"
    path.write_text(city.toml())
    return path


@pytest.fixture(scope="module")
def root(city, study_file):
    os.environ["SOJOURN_KEY"] = KEY
    folder = study_file.parent / "tables"
    run_all(city.study(), folder, n_buckets=8)
    return folder


def sojourn(*arguments, key=KEY, cwd=None):
    """The command as a process of its own: those of this file are started so once, `export` by its help alone."""
    env = {**os.environ, "SOJOURN_KEY": key, "COLUMNS": "200"}
    if not key:
        del env["SOJOURN_KEY"]
    command = [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, check=False)


@pytest.fixture(name="called")
def fixture_called(sojourn, monkeypatch):
    """The same command in this process, where another start would tell nothing new and take seconds."""

    def call(*arguments, key=KEY):
        if not key:
            monkeypatch.delenv("SOJOURN_KEY")
        return subprocess.CompletedProcess(arguments, *sojourn(*arguments))

    return call


@pytest.mark.parametrize(
    "command",
    ["run", "backfill", "status", "runs", "check", "lineage", "catalog", "demo", "reference", "verify", "export"],
)
def test_every_command_has_help(called, command):
    done = called(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_help_needs_no_key_and_no_root_in_a_process_of_its_own():
    done = sojourn("export", "--help", key="")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_run_prints_the_balance_and_json_is_only_json(study_file, root):
    done = sojourn("run", study_file, "--root", root)
    assert done.returncode == 0, done.stderr
    assert "rows read from" in done.stdout
    done = sojourn("run", study_file, "--root", root, "--json")
    stages = {s["stage"]: s for s in json.loads(done.stdout)}
    counts = stages["pings"]["details"]
    assert counts["n_read"] == counts["n_pings"] + counts["n_duplicates"] + counts["n_rejected"]
    assert set(stages["visits"]["shards"]) == {"current"}


def test_status_is_0_when_current_and_3_when_not(called, study_file, root):
    done = sojourn("status", study_file, "--root", root, "--json")
    assert done.returncode == 0, done.stderr
    assert {shard["state"] for shard in json.loads(done.stdout)["shards"]} == {"current"}
    done = called("status", study_file, "--root", root, "--set", "params.locations.eps_m=80")
    assert done.returncode == 3
    assert "waiting" in done.stdout


def test_a_dry_backfill_names_what_is_due_and_computes_nothing(called, study_file, root):
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*.parquet")}
    done = called(
        "backfill",
        study_file,
        "--root",
        root,
        "--dry-run",
        "--json",
        "--set",
        "params.gyration.windows=['day']",
    )
    assert done.returncode == 0, done.stderr
    due = {shard["table"]: (shard["path"], shard["why"]) for shard in json.loads(done.stdout)}
    assert set(due) == {"gyration", "employment_effects"}
    assert due["employment_effects"] == ("all.parquet", ["8 shards of gyration may change"])
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*.parquet")} == before


def test_runs_are_listed_and_the_last_is_told_by_stage(called, study_file, root):
    first = json.loads(sojourn("runs", "--root", root, "--json").stdout)[0]
    assert (first["state"], first["error"]) == ("finished", None)
    told = json.loads(called("runs", "--root", root, "--run", first["run_id"], "--json").stdout)
    stays = next(s for s in told["stages"] if s["stage"] == "stays")
    assert stays["n_rows_out"] == len(load("stays", root=root, columns=["n_pings"]))
    assert stays["n_rows_in"] >= len(load("pings", root=root, columns=["is_jump"]))
    assert stays["rows_per_s"] == pytest.approx(stays["n_rows_in"] / stays["seconds"])
    assert len(told["slowest"]) == 5
    assert called("runs", "--root", root, "--run", "nobody").returncode == 2
    shown = called("runs", "--root", root, "--run", "last")
    assert shown.returncode == 0 and "stays" in shown.stdout


def test_check_is_0_on_a_sound_root_and_1_with_a_line_for_each_damaged_file(called, root, tmp_path):
    done = sojourn("check", "--root", root, "--json", key="")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["findings"], told["is_sound"], told["writing"]) == ([], True, [])
    copy = shutil.copytree(root, tmp_path / "copy")
    shard = copy / "visits" / "bucket=0003.parquet"
    shard.write_bytes(shard.read_bytes()[:-20])
    done = called("check", "--root", copy, key="")
    assert done.returncode == 1
    line, total = done.stdout.splitlines()
    assert line == f"damaged: {shard} is damaged (ArrowInvalid); remove it and run again, and it is made again"
    assert total.endswith("1 damaged")


def test_a_log_of_json_lines_is_all_that_standard_error_holds(study_file, root):
    done = sojourn("run", study_file, "--root", root, "--json", "--log-format", "json", "--log-level", "info")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["run started", "run finished"]
    assert len({event["run_id"] for event in events}) == 1


def test_backfill_tells_what_it_left_as_it_was_and_downstream_leaves_nothing_below(called, study_file, root, tmp_path):
    copy = tmp_path / "tables"
    shutil.copytree(root, copy)
    given = ["backfill", study_file, "--root", copy, "--set", "params.gyration.windows=['day']", "--stage", "gyration"]
    done = called(*given)
    assert done.returncode == 0, done.stderr
    left = done.stdout.splitlines()[-1]
    assert left == "left as it was, since it was not asked for: employment_effects 1 stale"
    done = called(*given, "--downstream")
    assert done.stdout.splitlines()[-1] == "everything is current", done.stderr
    done = called(*given, "--downstream", "--force", "--dry-run", "--json")
    due = {shard["table"]: shard["why"] for shard in json.loads(done.stdout)}
    assert due == {"gyration": ["asked for"], "employment_effects": ["asked for"]}


def test_backfill_of_one_stage_runs_that_stage(study_file, root):
    done = sojourn("backfill", study_file, "--root", root, "--stage", "visits", "--json")
    assert [s["stage"] for s in json.loads(done.stdout)] == ["visits"]


def test_lineage_goes_back_to_the_source_files(study_file, root, city):
    done = sojourn("lineage", "visits", "--root", root, "--bucket", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert all(f.name in done.stdout for f in city.files)
    assert '"stays (' in done.stdout


def test_catalog_prints_and_exports(called):
    assert "radius of gyration" in called("catalog").stdout.lower()
    done = sojourn("catalog", "stays", "--odcs")
    assert done.returncode == 0
    assert "apiVersion" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "no-such.toml"], 2, "no study file at no-such.toml"),
        (["run", "STUDY", "--set", "zone=Europe/Amsterdm"], 2, "is not an IANA time zone"),
        (["run", "STUDY", "--set", "params.stays.roam=5"], 2, "fields of stays: preset, criterion, roam_m"),
        (["run", "STUDY", "--set", "params.stay.roam_m=5"], 2, "no such stage; accepted"),
        (["run", "STUDY", "--from", "2031-01-01"], 2, "is not a span inside the study"),
        (["run", "STUDY", "--from", "1/2/2020"], 2, "write YYYY-MM-DD"),
        (["run", "STUDY", "--buckets", "5"], 1, "was made with"),
        (["run", "STUDY", "--set", "sources=[{path='nowhere/*.csv'}]"], 1, "nowhere"),
        (["backfill", "STUDY", "--stage", "nothing"], 2, "no such stage; accepted"),
        (["lineage", "nothing"], 1, "no table 'nothing'"),
        (["run"], 2, "name a study file"),
    ],
)
def test_errors_are_one_line_with_what_is_accepted(called, study_file, root, arguments, code, words):
    arguments = [str(study_file) if a == "STUDY" else a for a in arguments]
    done = called(*arguments, "--root", root)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_key_it_says_how_to_make_one(study_file, root):
    done = sojourn("run", study_file, "--root", root, key="")
    assert done.returncode == 1
    assert "openssl rand -hex 32" in done.stderr


def test_a_study_from_flags_alone(city, tmp_path):
    sets = [f"{name}={value}" for name, value in (("name", "flags"), ("start", city.days[0]), ("end", city.days[-1]))]
    source = f'sources=[{{path="{city.folder}/raw", format="parquet", time_unit="s", columns={city.columns_toml()}}}]'
    flags = [part for text in [*sets, 'zone="America/New_York"', source] for part in ("--set", text)]
    done = sojourn("run", *flags, "--root", tmp_path / "tables", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["stage"] == "pings"


def test_the_demo_leaves_a_report(tmp_path):
    done = sojourn("demo", "--folder", tmp_path / "demo", "--devices", 20, "--days", 3, key="")
    assert done.returncode == 0, done.stderr
    assert "rows read from" in done.stdout
    assert "<html" in (tmp_path / "demo" / "report.html").read_text()


@pytest.mark.oracle
def test_verify_finds_no_difference_it_cannot_explain_and_tells_no_device(root, reference):
    done = sojourn("verify", "--root", root, "--people", 8, "--stay-people", 2, "--stay-days", 2, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {one["measure"]: one for one in json.loads(done.stdout)}
    assert all(one["is_explained"] for one in found.values())
    assert found["number_of_visits"]["n_equal"] == found["number_of_visits"]["n_people"] == 8
    assert found["radius_of_gyration"]["source"] == "gyration"
    ids = {str(value) for value in load("visits", root=root, columns=["device_id"])["device_id"]}
    assert not any(text in done.stdout for text in ids)


def test_verify_without_tables_says_so(called, tmp_path):
    done = called("verify", "--root", tmp_path)
    assert done.returncode == 2
    assert "visits is not computed" in done.stderr


def test_what_the_reference_can_be_asked_is_listed():
    found = json.loads(sojourn("reference", "list", "--json").stdout)
    assert found["location_attack"]["params"] == {"n_known": "required"}
    assert found["ditras"]["reads"] == ["tiles", "rows"]


@pytest.mark.oracle
def test_an_attack_on_visits_through_parquet(root, reference, tmp_path):
    visits = load("visits", root=root, columns=["device_id", "started_at", "lon", "lat"])
    visits[visits["device_id"] == visits["device_id"].iloc[0]].to_parquet(tmp_path / "visits.parquet")
    out = tmp_path / "risk.parquet"
    call = ("reference", "call", "location_attack", "--rows", tmp_path / "visits.parquet", "--out", out)
    done = sojourn(*call, "--param", "n_known=1")
    assert done.returncode == 0, done.stderr
    assert pd.read_parquet(out)["risk"].tolist() == [1.0]
    done = sojourn(*call)
    assert done.returncode == 2
    assert "n_known" in done.stderr
