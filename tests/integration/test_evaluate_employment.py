"""`sojourn evaluate employment` as a user meets it: truth of one's own, ids hashed alike, figures without ids."""

import json
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts import EMPLOYMENT, PRESENCE
from pipeline.engine.store import ShardKey, Store
from pipeline.settings import read_key
from pipeline.sources.hashing import hash_id
from pipeline.stages.employment import EmploymentParams, employment
from tests.conftest import KEY
from tests.employment_rows import MONDAY, make_jobs, presence_rows
from tests.stay_rows import empty, through_contract

HEAD = "device_id,started_on,finished_on,status,is_remote\n"
TRUTH = HEAD + (
    "ann,2020-01-06,2020-01-28,employed,false\nann,2020-01-29,2020-03-01,not_employed,false\n"
    "bob,2020-01-06,2020-03-01,employed,true\n"
    "eve,2020-01-06,2020-03-01,employed,false\n"
    "zoe,2020-01-06,2020-03-01,none,\n,2020-01-06,2020-03-01,employed,\nann,2020-03-02,2020-03-01,employed,\n"
    "bob,2020-03-02,2020-03-03,retired,\n"
)


@pytest.fixture
def sojourn(sojourn):
    return partial(sojourn, "evaluate", "employment")


@pytest.fixture
def folder(tmp_path):
    """Tables of three people over eight weeks: ann is away from week 3 on, bob in weeks 4 to 7, eve never."""
    ids = {name: hash_id(name.encode(), read_key()) for name in ("ann", "bob", "eve")}
    away = {"ann": range(3, 8), "bob": range(4, 8), "eve": range(0)}
    rows = [(ids[name], week, None, True, week in away[name], False) for name in ids for week in range(8)]
    presence = presence_rows(rows)
    table = pd.DataFrame(
        {
            "window_started": [pd.Timestamp(MONDAY) + pd.Timedelta(weeks=week) for week in range(8)],
            "wave": "none",
            "sector": "unknown",
            "wave_started_on": pd.NaT,
            "wave_finished_on": pd.NaT,
            "n_devices": 3,
            "assignment": "fractional",
            "weight": 3.0,
            "at_risk_share": 0.5,
            "telework_share": 0.1,
            "loss_probability": 0.8,
        }
    )
    found = employment(
        presence,
        make_jobs([]),
        through_contract(table, "sector_absence"),
        empty("employment_scores"),
        0,
        EmploymentParams(),
    )
    for declared, frame in ((PRESENCE, presence), (EMPLOYMENT, found)):
        Store(tmp_path / "tables").write(
            declared, ShardKey(bucket=0), pa.Table.from_pandas(frame, preserve_index=False), {}
        )
    (tmp_path / "truth.csv").write_text(TRUTH)
    return tmp_path


def asked(folder, *options):
    return ["--root", folder / "tables", "--truth", folder / "truth.csv", *options]


def test_every_row_is_accounted_for_and_the_figures_are_right(sojourn, folder):
    code, out, err = sojourn(*asked(folder, "--json", "--span", "2020-02-03:2020-02-10"))
    assert code == 0, err
    told = json.loads(out)
    assert told["rows"] == {"n_true_rows": 8, "n_true_unusable": 3, "n_true_devices": 4}
    assert (told["n_devices"], told["n_device_weeks"], told["n_known"]) == (3, 24, 24)
    assert told["true_share"] == pytest.approx(5 / 24)
    assert told["confusion"]["remote"] == {"employed": 4, "remote": 0, "not_employed": 4, "unknown": 0}
    assert told["inferred"]["brier"] == pytest.approx((5 * 0.04 + 4 * 0.64) / 24)
    assert told["baselines"]["never"] == {"auc": 0.5, "brier": pytest.approx(5 / 24)}
    assert told["losses"]["dated"] == {"n": 1, "median_d": -2, "q25_d": -2, "q75_d": -2}
    assert told["false_losses"]["inferred"]["share_of_devices"] == 0.5
    assert told["spans"][0]["n_weeks"] == 2
    for name in ("ann", "bob", "eve", str(hash_id(b"ann", KEY.encode()))):
        assert f'"{name}"' not in out and f" {name} " not in out


def test_figures_fit_a_terminal(sojourn, folder):
    options = asked(folder, "--span", "2020-02-03:2020-02-10")
    wide, narrow = (sojourn(*options, columns=n)[1] for n in (200, 80))
    assert "…" not in narrow and max(map(len, narrow.splitlines())) <= 80
    assert sorted(narrow.split()) == sorted(wide.split())


def test_parquet_and_columns_of_its_own_and_no_column_of_telework(sojourn, folder):
    rows = pd.read_csv(folder / "truth.csv").drop(columns="is_remote")
    rows = rows.rename(columns={"device_id": "who", "status": "what"})
    for name in ("started_on", "finished_on"):
        rows[name] = pd.to_datetime(rows[name]).dt.date
    (folder / "truth.csv").unlink()
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), folder / "truth.parquet")
    options = ["--root", folder / "tables", "--truth", folder / "truth.parquet", "--json"]
    code, out, err = sojourn(*options, "--truth-columns", "device_id=who,status=what")
    assert code == 0, err
    assert json.loads(out)["confusion"]["remote"]["not_employed"] == 0
    assert json.loads(out)["confusion"]["employed"]["not_employed"] == 4
    code, _, err = sojourn(*options)
    assert code == 2 and "no column" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--span", "2020-02-03"], "START:END"),
        (["--span", "2020-02-03:then"], "write YYYY-MM-DD"),
        (["--span", "2020-02-03:2020-02-01"], "before it starts"),
        (["--truth-columns", "place_id=p"], "ROLE=COLUMN"),
        (["--truth", "nosuch.csv"], "nosuch.csv"),
        (["--root", "nosuch"], "no folder of tables"),
        (["--truth", "header.csv"], "no row"),
        (["--truth", "others.csv"], "baseline workplace"),
    ],
)
def test_wrong_use_is_told_in_one_line(sojourn, folder, monkeypatch, options, says):
    monkeypatch.chdir(folder)
    (folder / "header.csv").write_text(HEAD)
    (folder / "others.csv").write_text(HEAD + "max,2020-01-06,2020-03-01,employed,false\n")
    code, out, err = sojourn(*asked(folder, *options))
    assert (code, out) == (2, "")
    assert says in err and len(err.strip().splitlines()) == 1


def test_a_root_without_employment(sojourn, folder):
    for path in (folder / "tables" / "employment").glob("*.parquet"):
        path.unlink()
    code, _, err = sojourn(*asked(folder))
    assert code == 2 and "employment is not computed" in err


def test_help(sojourn):
    code, out, _ = sojourn("--help")
    assert code == 0 and "--span" in out


def test_empty_frames_have_the_columns_read():
    from pipeline.evaluation.employment import EMPLOYMENT_COLUMNS, PRESENCE_COLUMNS

    assert set(EMPLOYMENT_COLUMNS) <= set(empty("employment").columns)
    assert set(PRESENCE_COLUMNS) <= set(empty("presence").columns)
