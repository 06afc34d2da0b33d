"""`sojourn evaluate home-work` as a user meets it: labelled stops, a root beside the simulated truth, no ids."""

import json

import pandas as pd
import pytest

from pipeline.settings import KEY_VARIABLE
from tests.conftest import KEY, all_rows, run_all

COLUMNS = "device_id=who,location_id=where,started_at=t0,finished_at=t1,label=why"
FIGURES = ["time", "places", "people"]


@pytest.fixture(scope="module")
def root(city, tmp_path_factory):
    root = tmp_path_factory.mktemp("home_work") / "tables"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        run_all(city.study(), root)
    return root


@pytest.fixture
def stops(tmp_path):
    """Five weeks of two people: one with a home and an office, one at home all the time."""
    rows = []
    start = pd.Timestamp("2024-03-04")
    for k in range(35):
        day = start + pd.Timedelta(days=k)
        rows.append(("id-17", "flat", day, day + pd.Timedelta(hours=8), "Wohnung"))
        if k % 7 < 5:
            rows.append(("id-17", "desk", day + pd.Timedelta(hours=9), day + pd.Timedelta(hours=17), "Arbeit"))
        rows.append(("id-18", "house", day, day + pd.Timedelta(hours=20), "Wohnung"))
    path = tmp_path / "stops.csv"
    pd.DataFrame(rows, columns=["who", "where", "t0", "t1", "why"]).to_csv(path, index=False)
    return path


OPTIONS = ["--columns", COLUMNS, "--home-value", "wohnung", "--work-value", "ARBEIT"]


@pytest.mark.parametrize("method", ["howde", "logit"])
@pytest.mark.parametrize("prefix", ["", "params."])
def test_stops_of_ones_own(sojourn, stops, method, prefix):
    setting = f"{prefix}home_work.method={method}"
    code, out, err = sojourn("evaluate", "home-work", "--stops", stops, *OPTIONS, "--set", setting, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["params"]["home_work"]["method"] == method
    assert result["rows"] == {
        "n_rows": 95, "n_unusable": 0, "n_without_place": 0, "n_stops": 95, "n_people": 2, "n_same_start": 0,
    }  # fmt: skip
    moving = result["results"]["moving"]
    assert (moving["home"]["n_people"], moving["work"]["n_people"]) == (2, 1)
    assert [moving["home"][name]["f1"] for name in FIGURES] == [1.0, 1.0, 1.0]
    assert moving["work"]["undetected_share"] == 0.0
    assert set(result["results"]) == {"moving", "baseline", "most_time", "night_and_day", "every_place"}
    assert not any(name in out for name in ("id-17", "id-18", "flat", "desk", "house"))


def test_figures_for_people_fit_a_terminal(sojourn, stops):
    code, out, err = sojourn("evaluate", "home-work", "--stops", stops, *OPTIONS, columns=80)
    assert code == 0, err
    assert "95 rows; 95 stops; 2 people" in out
    assert "home: 2 people with a true one, 980 h there" in out
    assert "night_and_day" in out and "every_place" in out
    assert max(map(len, out.splitlines())) <= 80
    assert not any(name in out for name in ("id-17", "id-18", "flat", "desk", "house"))


def test_a_root_beside_the_simulated_truth(sojourn, city, root):
    truth = ["--truth", city.folder / "truth" / "stays"]
    code, out, err = sojourn("evaluate", "home-work", "--root", root, *truth, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["rows"]["n_stops"] == city.counts["stays"]
    assert result["rows"]["n_people"] == 30
    moving = result["results"]["moving"]
    assert moving["home"]["n_people"] > 20
    assert moving["home"]["time"]["precision"] > 0.9
    assert 0.5 < result["seen_share"]["home"] <= 1.0
    hashes = all_rows(root, "visits").to_pandas()["device_id"].astype(str).unique()
    ids = pd.read_parquet(city.folder / "truth" / "stays")["device_id"].unique()
    for shown in (["--json"], []):
        _, out, err = sojourn("evaluate", "home-work", "--root", root, *truth, *shown)
        assert not any(name in out + err for name in (*hashes, *ids))


def test_a_truth_of_other_devices_is_refused(sojourn, city, root, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "another key that is long enough")
    code, _, err = sojourn("evaluate", "home-work", "--root", root, "--truth", city.folder / "truth" / "stays")
    assert code != 0
    assert "none of its 30 devices has a visit" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "either --stops FILE, or --root ROOT"),
        (["--stops", "a.csv", "--root", "b"], "either --stops FILE, or --root ROOT"),
        (["--root", "b"], "--root and --truth go together"),
        (["--stops", "a.csv", "--truth", "b.csv"], "--root and --truth go together"),
        (["--stops", "a.csv", "--truth-zone", "UTC"], "stops have local times"),
        (["--root", "b", "--truth", "a.csv", "--columns", "label=x"], "of the truth it is --truth-columns"),
        (["--root", "b", "--truth", "a.csv", "--set", "home_work.method=howde"], "--set changes nothing there"),
        (["--stops", "a.csv", "--home-value", "x", "--work-value", "X"], "x means both"),
        (["--stops", "a.csv", "--columns", "purpose=x"], "--columns 'purpose=x': write ROLE=COLUMN"),
        (["--stops", "nowhere.csv"], "--stops: "),
    ],
)
def test_options_that_make_no_sense_are_refused(sojourn, options, message):
    code, out, err = sojourn("evaluate", "home-work", *options)
    assert code != 0
    assert message in " ".join(err.split())
    assert not out


def test_a_root_without_the_tables_is_refused(sojourn, city, tmp_path):
    code, _, err = sojourn("evaluate", "home-work", "--root", tmp_path, "--truth", city.folder / "truth" / "stays")
    assert code != 0
    assert "--root: visits is not computed" in err
