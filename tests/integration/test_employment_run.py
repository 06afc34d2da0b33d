"""A small city in which jobs are lost, from raw pings to employment and its evaluation; buckets change nothing."""

import json
import sys
from datetime import date

import pandas as pd
import pytest

from data_contracts import TABLES
from pipeline.catalog import load
from pipeline.cli import main
from pipeline.demo import make_employment_study
from pipeline.engine.plan import params_of
from pipeline.engine.store import ALL, Store
from pipeline.settings import KEY_VARIABLE
from pipeline.stages.employment import employment
from pipeline.stages.presence import presence
from pipeline.stages.sector_absence import _finish, sector_absence
from tests.conftest import KEY, run_all
from tests.stay_rows import empty, through_contract

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """(study, folder) of sixty people over fourteen weeks, the last eight of them in a lockdown; tables computed."""
    folder = tmp_path_factory.mktemp("town")
    study = make_employment_study(folder, 60, 98, start=date(2020, 2, 3), pings_per_day=60.0, phones=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        run_all(study, folder / "tables", n_buckets=2)
    return study, folder


def test_losses_and_telework_are_seen(town, monkeypatch, capsys):
    _, folder = town
    arguments = ["evaluate", "employment", "--root", folder / "tables", "--truth", folder / "city/truth/employment"]
    monkeypatch.setattr(sys, "argv", ["sojourn", *map(str, arguments), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    told = json.loads(capsys.readouterr().out)
    confusion = told["confusion"]
    assert told["rows"]["n_true_unusable"] == 0 and told["rows"]["n_true_devices"] == 60
    assert told["n_devices"] >= 20
    assert confusion["employed"]["employed"] > 0.9 * sum(confusion["employed"].values())
    away = {found: confusion["remote"][found] + confusion["not_employed"][found] for found in confusion["remote"]}
    assert away["employed"] < 0.15 * sum(away.values())
    assert told["inferred"]["brier"] < told["baselines"]["at_risk"]["brier"]
    assert told["inferred"]["auc"] > 0.75


def test_other_buckets_give_the_same(town):
    study, folder = town
    root, params = folder / "tables", params_of(study)
    visits, coverage, home_work = (load(name, root=root) for name in ("visits", "coverage", "home_work"))
    jobs, telework = (Store(root).read(TABLES[name], ALL).to_pandas() for name in ("jobs", "telework"))
    everybody = through_contract(presence(visits, coverage, home_work, study, params["presence"]), "presence")
    parts = [
        sector_absence(people.reset_index(drop=True), jobs, telework, study.seed, params["sector_absence"])
        for _, people in everybody.groupby(everybody["device_id"] % 5)
    ]
    table = _finish(pd.concat(parts, ignore_index=True), jobs, telework, study.seed, params["sector_absence"])
    table = through_contract(table, "sector_absence")
    found = employment(everybody, jobs, table, empty("employment_scores"), study.seed, params["employment"])
    whole = {"presence": everybody, "sector_absence": table, "employment": through_contract(found, "employment")}
    for name, frame in whole.items():
        kept = Store(root)
        rows = [kept.read(TABLES[name], key).to_pandas(date_as_object=False) for key in kept.keys(TABLES[name])]
        stored = pd.concat(rows).sort_values(list(TABLES[name].key), ignore_index=True)
        pd.testing.assert_frame_equal(frame, stored, check_exact=True)
