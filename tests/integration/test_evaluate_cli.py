"""`sojourn evaluate` as a user meets it: the same stays as a run's, every row accounted for, no ids."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from pipeline.engine.plan import params_of
from pipeline.evaluation.detection import detect_stays, find_locations, place_of_stays
from pipeline.evaluation.reading import read_labelled
from pipeline.settings import KEY_VARIABLE, read_key
from tests.conftest import KEY, all_rows, run_all

STUDY = """
name = "own"
start = 2024-03-01
end = 2024-03-02
zone = "Europe/Berlin"
[[sources]]
path = "pings.csv.gz"
time_unit = "s"
columns = { device_id = "who", tracked_at = "t", lon = "x", lat = "y" }
"""
START_S = 1_709_280_000  # 2024-03-01 08:00 UTC
HEAD = "who,t,x,y,doing,where\n"


@pytest.fixture(scope="module")
def study_file(city, tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluate") / "study.toml"
    path.write_text(city.toml())
    return path


@pytest.fixture(scope="module")
def root(city, study_file):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        run_all(city.study(), study_file.parent / "tables")
    return study_file.parent / "tables"


@pytest.fixture
def own(tmp_path):
    """A study of one's own: half an hour at home, a ride of ten minutes, half an hour at work, two devices."""
    rows = []
    for who, lon in (("ann", 13.0), ("bob", 14.0)):
        for minute in range(70):
            is_riding = 30 <= minute < 40
            x = lon + 0.02 * np.clip((minute - 29) / 11, 0, 1)
            doing, where = ("move", "") if is_riding else ("stop", "home" if minute < 30 else "work")
            rows.append(f"{who},{START_S + 60 * minute},{x:.6f},52.0,{doing},{where}\n")
    write_pings(tmp_path, rows)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path, rows


def write_pings(folder, rows):
    (folder / "pings.csv.gz").write_bytes(gzip.compress((HEAD + "".join(rows)).encode()))


def only(out):
    return json.loads(out)["results"][0]["result"]


# --- The same stays as a run's ----------------------------------------------------------------------


def test_stays_and_places_are_exactly_those_of_a_run(city, root):
    study = city.study()
    params = params_of(study)
    pings = read_labelled(study, params, read_key())
    assert pings.rows["n_pings"] == all_rows(root, "pings").num_rows
    assert pings.rows["n_rejected"] == all_rows(root, "rejected_pings").num_rows
    found = detect_stays(pings.pings, study, params)
    expected = all_rows(root, "stays").to_pandas()
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    visits = all_rows(root, "visits").to_pandas()
    placed = found.assign(location_id=place_of_stays(found, find_locations(found, study, params)))
    joined = visits.merge(placed, on=["device_id", "started_at"], suffixes=("", "_found"))
    assert len(joined) == len(visits)
    assert (joined["location_id"] == joined["location_id_found"]).all()


def test_a_study_and_its_tables_score_alike(sojourn, city, study_file, root):
    truth = ["--truth", city.folder / "truth" / "stays"]
    code, out, err = sojourn("evaluate", "stays", study_file, *truth, "--thin", "0,30", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert result["params"]["stays"]["roam_m"] > 0 and result["asked"]["thin_s"] == [0, 1800]
    assert result["rows"]["n_read"] == city.counts["rows"]
    assert (
        result["rows"]["n_pings"] + result["rows"]["n_duplicates"] + result["rows"]["n_rejected"] == city.counts["rows"]
    )
    full, sparse = (each["result"] for each in result["results"])
    assert full["pings"]["pooled"]["macro_f1"] > full["pings"]["always_stop"]["macro_f1"]
    assert sparse["minutes"]["pooled"]["n"] == full["minutes"]["pooled"]["n"]
    assert sparse["pings"]["pooled"]["n"] < full["pings"]["pooled"]["n"]
    for table in ("stays", "visits"):
        code, out, err = sojourn("evaluate", "stays", "--root", root, *truth, "--table", table, "--json")
        assert code == 0, err
        assert not {"thin_s", "gap_s"} & set(json.loads(out)["asked"])
        assert only(out)["minutes"]["pooled"]["n"] == full["minutes"]["pooled"]["n"]
        assert table == "visits" or only(out) == full


def test_places_of_a_study_and_of_its_tables_score_alike(sojourn, city, study_file, root):
    truth = ["--truth", city.folder / "truth" / "stays"]
    code, out, err = sojourn("evaluate", "locations", study_file, *truth, "--thin", "0", "--json")
    assert code == 0, err
    code, from_root, err = sojourn("evaluate", "locations", "--root", root, *truth, "--json")
    assert code == 0, err
    assert only(from_root) == only(out)
    assert only(out)["stays"]["n_devices"] > 0 and only(out)["n_places_true"] > 0


def test_no_id_is_ever_told(sojourn, city, study_file, root):
    truth = pd.read_parquet(city.folder / "truth" / "stays")
    hashes = all_rows(root, "stays").to_pandas()["device_id"].astype(str)
    for command in ("stays", "locations"):
        for shown in (["--json"], ["--per-device"]):
            options = [study_file, "--truth", city.folder / "truth" / "stays", "--thin", "0", *shown]
            _, out, err = sojourn("evaluate", command, *options)
            assert "rank" in out or "device" in out
            assert not any(text in out + err for text in {*truth["device_id"], *hashes})


# --- Labels of one's own ----------------------------------------------------------------------------


def test_labels_of_ones_own_without_a_key(sojourn, own, monkeypatch):
    folder, _ = own
    monkeypatch.delenv(KEY_VARIABLE)
    code, out, err = sojourn("evaluate", "stays", folder / "study.toml", "--label", "doing", "--thin", "0,5")
    assert code == 0, err
    assert "140 rows = 140 pings" in out and "always" in out and "5 min" in out
    code, out, err = sojourn("evaluate", "stays", folder / "study.toml", "--label", "doing", "--json")
    full = only(out)
    assert full["stays"]["n_true"] == full["stays"]["n_found"] == full["stays"]["n_matched"] == 4
    assert full["minutes"]["pooled"]["n"] == full["pings"]["pooled"]["n"] == 140
    assert full["pings"]["pooled"]["macro_f1"] > 0.9
    assert full["pings"]["never_stop"]["recall_move"] == 1
    assert [device["rank"] for device in full["devices"]] == [1, 2]


@pytest.mark.parametrize("command", ["stays", "locations"])
def test_figures_fit_a_terminal(sojourn, city, study_file, command):
    options = [study_file, "--truth", city.folder / "truth" / "stays", "--per-device"]
    wide = sojourn("evaluate", command, *options)[1]
    narrow = sojourn("evaluate", command, *options, columns=80)[1]
    assert "…" not in narrow and max(map(len, narrow.splitlines())) <= 80
    assert sorted(narrow.split()) == sorted(wide.split())


def test_copies_agree_contradict_or_say_nothing(sojourn, own):
    folder, rows = own
    copies = [rows[0], rows[1].replace("stop", "move"), rows[2].replace("stop", ""), "too,few\n", "cat,x,1,1,stop,\n"]
    write_pings(folder, [*rows, *copies])
    code, out, err = sojourn("evaluate", "stays", folder / "study.toml", "--label", "doing", "--json")
    assert code == 0, err
    told = json.loads(out)["rows"]
    assert (told["n_read"], told["n_pings"], told["n_duplicates"], told["n_rejected"]) == (145, 140, 3, 2)
    assert told["rejected"] == {"malformed_row": 1, "bad_time": 1}
    assert (told["n_conflicts"], told["n_unlabelled"], told["n_scored"]) == (1, 0, 139)


def test_labels_stay_with_their_rows_behind_malformed_ones(sojourn, own):
    folder, rows = own
    write_pings(folder, [*rows[:20], "too,few\n", *rows[20:]])
    _, out, _ = sojourn("evaluate", "stays", folder / "study.toml", "--label", "doing", "--thin", "0", "--json")
    write_pings(folder, rows)
    _, clean, _ = sojourn("evaluate", "stays", folder / "study.toml", "--label", "doing", "--thin", "0", "--json")
    assert only(out) == only(clean)


def test_words_for_a_stop_can_be_named(sojourn, own):
    folder, _ = own
    study = folder / "study.toml"
    code, _, err = sojourn("evaluate", "stays", study, "--label", "where")
    assert code == 2 and "--stop-value" in err and "home" not in err
    options = ["--label", "where", "--stop-value", "Home", "--stop-value", "work", "--json", "--thin", "0"]
    _, out, _ = sojourn("evaluate", "stays", study, *options)
    assert only(out)["pings"]["pooled"]["n"] == 120  # the ride has no label and is not scored


def test_places_named_ping_by_ping(sojourn, own):
    folder, _ = own
    options = ["--label", "where", "--thin", "0"]
    code, out, err = sojourn("evaluate", "locations", folder / "study.toml", *options, "--json")
    assert code == 0, err
    assert only(out)["n_places_true"] == only(out)["n_places_found"] == 4
    assert only(out)["minutes"]["mean"] == only(out)["stays"]["mean"] == 1
    assert "ARI" in sojourn("evaluate", "locations", folder / "study.toml", *options, "--per-device")[1]


def test_a_copy_without_a_place_says_nothing(sojourn, own):
    folder, rows = own
    write_pings(folder, [rows[0].replace("home", ""), *rows, rows[1].replace("home", ""), rows[2].replace("home", "x")])
    options = [folder / "study.toml", "--label", "where", "--thin", "0", "--json"]
    code, out, err = sojourn("evaluate", "locations", *options)
    assert code == 0, err
    told = json.loads(out)["rows"]
    assert (told["n_duplicates"], told["n_conflicts"], told["n_unlabelled"], told["n_scored"]) == (3, 1, 0, 139)


def test_a_table_of_stays_with_columns_and_times_of_its_own(sojourn, own):
    folder, _ = own
    begin, end = START_S, START_S + 60 * 29
    lines = ["uid;begin;end;poi", f"ann;{begin};{end};a", f"ann;{begin + 2400};{begin + 4140};b"]
    lines += [f"bob;{end};{begin};a", f"eve;{begin};{end};a", f";{begin};{end};a"]
    (folder / "truth.csv").write_text("\n".join(lines) + "\n")
    names = "device_id=uid,started_at=begin,finished_at=end,place_id=poi"
    truth = ["--truth", folder / "truth.csv", "--truth-columns", names, "--truth-time-unit", "s", "--thin", "0"]
    code, out, err = sojourn("evaluate", "stays", folder / "study.toml", *truth, "--json")
    assert code == 0, err
    told = json.loads(out)["rows"]
    assert (told["n_true_rows"], told["n_true_unusable"], told["n_true_devices_without_pings"]) == (5, 2, 1)
    assert (told["n_devices"], told["n_true_stays"]) == (1, 2)
    assert only(out)["stays"]["n_matched"] == 2
    assert abs(only(out)["stays"]["finish_error_s"]["median_s"]) <= 60
    code, out, err = sojourn("evaluate", "locations", folder / "study.toml", *truth, "--json")
    assert only(out)["n_places_true"] == 2


def test_a_true_stay_without_end(sojourn, own):
    folder, _ = own
    lines = ["device_id,started_at,finished_at,place_id", "ann,2024-03-01T08:40:00Z,9999-12-31T00:00:00Z,b"]
    (folder / "truth.csv").write_text("\n".join(lines) + "\n")
    for command in ("stays", "locations"):
        options = [folder / "study.toml", "--truth", folder / "truth.csv", "--thin", "0", "--json"]
        code, out, err = sojourn("evaluate", command, *options)
        assert code == 0, err
    assert only(out)["devices"][0]["n_true_minutes"] == 29  # 08:40 to the last ping at 09:09


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ([], 2, "--label"),
        (["--label", "doing", "--truth", "t.csv"], 2, "either"),
        (["--label", "nosuch"], 2, "no column nosuch"),
        (["--label", "doing", "--thin", "1,x"], 2, "--thin"),
        (["--label", "doing", "--thin", "-1"], 2, "--thin"),
        (["--truth", "nosuch.csv"], 2, "nosuch.csv"),
        (["--truth", "study.toml"], 2, "no column"),
        (["--truth", "t.csv", "--truth-columns", "place=p"], 2, "ROLE=COLUMN"),
        (["--truth", "t.csv", "--truth-time-unit", "weeks"], 2, "time_unit"),
        (["--truth", "t.csv"], 2, "none of its 1 devices"),
        (["--label", "doing", "--set", "params.stays.nosuch=1"], 2, "nosuch"),
        (["--label", "doing", "--set", "start=2030-01-01", "--set", "end=2030-01-02"], 2, "outside_study"),
        (["--label", "doing", "--root", "tables"], 2, "--truth"),
        (["--truth", "t.csv", "--root", "tables"], 2, "leave out"),
        (["--truth", "header.csv"], 2, "no row"),
        (["--label", "doing", "--gap-s", "inf"], 2, "--gap-s"),
        (["--label", "doing", "--overlap-s", "inf"], 2, "--overlap-s"),
        (["--label", "doing", "--min-stay-s", "inf"], 2, "--min-stay-s"),
        (["--truth", "t.csv", "--gap-s", "60"], 2, "--gap-s"),
        (["--label", "doing", "--truth-zone", "UTC"], 2, "--truth-zone"),
        (["--label", "doing", "--truth-time-unit", "s"], 2, "--truth-time-unit"),
        (["--label", "doing", "--table", "visits"], 2, "--table"),
    ],
)
def test_wrong_use_is_told_in_one_line(sojourn, own, monkeypatch, options, code, says):
    folder, _ = own
    monkeypatch.chdir(folder)
    (folder / "t.csv").write_text("device_id,started_at,finished_at\nzoe,2024-03-01T08:00:00Z,2024-03-01T09:00:00Z\n")
    (folder / "header.csv").write_text("device_id,started_at,finished_at\n")
    found, out, err = sojourn("evaluate", "stays", "study.toml", *options)
    assert (found, out) == (code, "")
    assert says in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("command", [[], ["stays"], ["locations"]])
def test_help(sojourn, command):
    code, out, _ = sojourn("evaluate", *command, "--help")
    assert code == 0 and "Usage" in out


def test_a_root_that_is_not_there(sojourn, own):
    folder, _ = own
    (folder / "t.csv").write_text("device_id,started_at,finished_at\nann,2024-03-01T08:00:00Z,2024-03-01T09:00:00Z\n")
    code, _, err = sojourn("evaluate", "stays", "--root", folder / "nosuch", "--truth", folder / "t.csv")
    assert code == 2 and len(err.strip().splitlines()) == 1
    code, _, err = sojourn("evaluate", "stays", "--root", folder, "--truth", folder / "t.csv", "--thin", "5")
    assert code == 2 and "--thin" in err


# --- Real diaries -----------------------------------------------------------------------------------


def test_a_real_diary(sojourn, shared_data, tmp_path):
    folder = shared_data / "ssi_open_geodata"
    columns = '{ device_id = "user_id", tracked_at = "timestamp", lon = "longitude", lat = "latitude" }'
    (tmp_path / "study.toml").write_text(
        'name = "ssi"\nstart = 2024-05-29\nend = 2024-06-30\nzone = "Europe/Amsterdam"\n'
        f'[[sources]]\npath = "{folder}"\ncolumns = {columns}\n'
    )
    code, out, err = sojourn("evaluate", "stays", tmp_path / "study.toml", "--label", "stop", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["rows"]["n_read"] == 200_102 and told["rows"]["n_devices"] == 3
    assert told["rows"]["n_scored"] + told["rows"]["n_conflicts"] == told["rows"]["n_pings"]
    assert [each["every_s"] for each in told["results"]] == [0, 60, 300, 900, 1800]
    for each in told["results"]:
        pings, minutes = each["result"]["pings"], each["result"]["minutes"]
        assert pings["pooled"]["macro_f1"] > pings["always_stop"]["macro_f1"]
        assert minutes["pooled"]["mcc"] > 0
        assert each["result"]["stays"]["n_true"] == 39
    assert "Utrecht" not in out
