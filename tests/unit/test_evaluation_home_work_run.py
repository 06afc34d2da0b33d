"""Labelled stops out of tables, trivial rules, and roles found in visits beside true stays: worked examples."""

import numpy as np
import pandas as pd
import pytest

from data_contracts import VISITS
from pipeline.evaluation.home_work import FOUND_COLUMNS, score_known_time
from pipeline.evaluation.home_work_run import evaluate_root, evaluate_stops, know_visits
from pipeline.evaluation.labelled_stops import (
    STOP_ROLES,
    LabelledStops,
    LabelTexts,
    read_labelled_stops,
    visits_of_stops,
)
from pipeline.evaluation.tables import TruthFile
from pipeline.evaluation.trivial_roles import trivial_roles
from pipeline.kernels.howde import DAY_S
from pipeline.stages.home_work import HomeWorkParams
from pipeline.study import Study, StudyError

HOUR_S = 3_600
MONDAY = pd.Timestamp("2024-03-04")
MONDAY_S = int(MONDAY.timestamp())
HEAD = "device_id,location_id,started_at,finished_at,label\n"


def read(folder, text, key=None, **options):
    path = folder / "stops.csv"
    path.write_text(HEAD + text)
    file = TruthFile(str(path), dict(zip(STOP_ROLES, STOP_ROLES, strict=True)), **options)
    return read_labelled_stops(file, STOP_ROLES, "--stops", LabelTexts(), key)


# --- Reading -----------------------------------------------------------------------------------------


def test_stops_are_sorted_numbered_and_every_row_is_accounted_for(tmp_path):
    rows = [
        "bob,cafe,2024-03-04 10:00,2024-03-04 11:00,other",
        "ann,cafe,2024-03-04 18:00,2024-03-04 19:00,",
        "ann,flat,2024-03-04 00:00,2024-03-04 08:00,HOME",
        "ann,desk,2024-03-04 09:00,2024-03-04 17:00,w",
        "ann,-1,2024-03-04 17:10,2024-03-04 17:20,o",
        "ann,,2024-03-04 17:30,2024-03-04 17:40,o",
        "ann,flat,2024-03-05 08:00,2024-03-05 07:00,h",
        ",flat,2024-03-05 08:00,2024-03-05 09:00,h",
        "ann,flat,never,2024-03-05 09:00,h",
        "ann,flat,2024-03-05 08:00",
    ]
    stops, counts = read(tmp_path, "\n".join(rows) + "\n")
    assert counts == {"n_rows": 10, "n_unusable": 4, "n_without_place": 2, "n_stops": 4, "n_people": 2}
    assert stops["device_id"].tolist() == [0, 1, 1, 1]
    assert stops["location_id"].tolist() == [0, 0, 1, 2]
    assert stops["label"].tolist() == ["other", "home", "work", "other"]
    assert stops["started_us"].tolist()[1] == MONDAY_S * 1_000_000


def test_ids_are_hashed_where_there_is_a_key(tmp_path):
    row = "ann,flat,2024-03-04T00:00:00Z,2024-03-04T08:00:00Z,home\n"
    with_key, other = (read(tmp_path, row, key).stops["device_id"].tolist() for key in (b"k" * 16, b"l" * 16))
    assert with_key != other
    assert with_key != [0]


@pytest.mark.parametrize("time", ["2024-03-04T00:00:00Z", "2024-03-04 00:00:00+01:00"])
def test_local_times_carry_no_offset(tmp_path, time):
    with pytest.raises(StudyError, match="--stops: times carry an offset"):
        read(tmp_path, f"ann,flat,{time},{time},home\n")


def test_refuses_what_it_cannot_read(tmp_path):
    with pytest.raises(StudyError, match=r"--stops: .*holds no row that can be read"):
        read(tmp_path, "")
    with pytest.raises(StudyError, match=r"--stops: .*no column purpose"):
        file = TruthFile(
            str(tmp_path / "stops.csv"), dict(zip(STOP_ROLES, STOP_ROLES, strict=True)) | {"label": "purpose"}
        )
        read_labelled_stops(file, STOP_ROLES, "--stops", LabelTexts())
    with pytest.raises(StudyError, match="--stops"):
        read(tmp_path, "ann,flat,1,2,home\n", time_unit="years")


def test_numbers_of_a_unit_are_times(tmp_path):
    stops = read(tmp_path, f"1,2.0,{MONDAY_S},{MONDAY_S + 60},H\n", time_unit="s").stops
    assert stops["finished_us"].tolist() == [(MONDAY_S + 60) * 1_000_000]


# --- Stops as visits -----------------------------------------------------------------------------------


def test_visits_of_stops_keep_their_contract_and_the_longest_of_a_start():
    start = MONDAY_S * 1_000_000
    hour = HOUR_S * 1_000_000
    stops = pd.DataFrame(
        {
            "device_id": [1, 1, 1],
            "location_id": [0, 1, 0],
            "started_us": [start, start, start + 33 * hour],
            "finished_us": [start, start + hour, start + 34 * hour],
        }
    )
    visits = visits_of_stops(stops)
    assert visits.columns.tolist() == VISITS.names
    assert visits["location_id"].tolist() == [1, 0]
    assert visits["dwell_s"].tolist() == [3600.0, 3600.0]
    assert visits["hour_of_week"].tolist() == [0, 33]
    assert visits["date"].tolist() == [MONDAY, MONDAY + pd.Timedelta(days=1)]
    assert visits["is_new"].tolist() == [True, True]


# --- Trivial rules -------------------------------------------------------------------------------------


def stops_of(*rows):
    """Stops from (device, location, day, from hour, until hour)."""
    values = [(d, p, MONDAY_S + k * DAY_S + a * HOUR_S, MONDAY_S + k * DAY_S + b * HOUR_S) for d, p, k, a, b in rows]
    return pd.DataFrame(values, columns=["device_id", "location_id", "started_s", "finished_s"])


def named(found):
    """(device, role, location) of each row."""
    return sorted(zip(found["device_id"], found["role"], found["location_id"], strict=True))


def test_trivial_rules_by_time_and_by_clock():
    """One works at night and sleeps at noon; the café on Saturday is no workplace for the clock."""
    stops = stops_of((1, 5, 0, 22, 31), (1, 6, 1, 10, 20), (1, 7, 5, 9, 18), (2, 3, 0, 2, 4))
    found = trivial_roles(stops)
    assert named(found["most_time"]) == [(1, "home", 6), (1, "work", 5), (2, "home", 3)]
    assert named(found["night_and_day"]) == [(1, "home", 5), (1, "work", 6), (2, "home", 3)]
    assert len(found["every_place"]) == 8
    rows = found["most_time"]
    assert (rows["window_started"] == MONDAY).all()
    assert (rows["window_finished"] == MONDAY + pd.Timedelta(days=5)).all()


def test_most_time_of_equals_is_the_lower_number():
    found = trivial_roles(stops_of((1, 9, 0, 0, 5), (1, 4, 0, 6, 11)))
    assert named(found["most_time"]) == [(1, "home", 4), (1, "work", 9)]


# --- Visits beside true stays ------------------------------------------------------------------------------


def visits_from(*rows, offset_s=0):
    """Visits from (device, location, start and finish in UTC hours from Monday)."""
    values = [(d, p, *(MONDAY + pd.Timedelta(hours=h) for h in (a, b)), offset_s) for d, p, a, b in rows]
    frame = pd.DataFrame(values, columns=["device_id", "location_id", "started_at", "finished_at", "utc_offset_s"])
    return frame.assign(**{n: frame[n].dt.tz_localize("UTC").dt.as_unit("us") for n in ("started_at", "finished_at")})


def truth_from(*rows):
    """True stays from (device, place, start and finish in UTC hours from Monday, label)."""
    us = [(d, p, *((MONDAY_S + h * HOUR_S) * 1_000_000 for h in (a, b)), label) for d, p, a, b, label in rows]
    frame = pd.DataFrame(us, columns=["device_id", "location_id", "started_us", "finished_us", "label"])
    return LabelledStops(frame, {"n_rows": len(rows), "n_people": frame["device_id"].nunique()})


def found_from(*rows):
    """HOME_WORK rows of span moving from (device, role, first day, last day, location)."""
    days = [(d, role, MONDAY + pd.Timedelta(days=a), MONDAY + pd.Timedelta(days=b), p) for d, role, a, b, p in rows]
    return pd.DataFrame(days, columns=FOUND_COLUMNS).assign(span="moving")


def test_time_is_shared_out_between_visits_and_true_stays():
    """At home from 0 to 8, seen from 1 to 6; at work from 9 to 17, seen there from 8 to 12."""
    visits = visits_from((1, 0, 1, 6), (1, 1, 8, 12), (1, 0, 18, 20))
    truth = truth_from((1, 70, 0, 8, "home"), (1, 71, 9, 17, "work"), (1, 70, 18, 30, "home"))
    known = know_visits(visits, truth.stops)
    hours = [s / 3600 for s in known.seconds]
    # From the first visit (1) to the last one's end (20): 5 h home, 2 unseen, 1 on the way, 3 and 5 of work, 2 home.
    assert hours == [5, 2, 1, 3, 5, 2]
    assert known.role.tolist() == [0, 0, -1, 1, 1, 0]
    assert (known.found_place >= 0).tolist() == [True, False, True, True, False, True]
    found = found_from((1, "home", 0, 0, 0), (1, "work", 0, 0, 1))
    home, work = score_known_time(known, found)[1:]
    assert home.time == pytest.approx((1.0, 7 / 9, 14 / 16))
    assert work.time == pytest.approx((3 / 4, 3 / 8, 6 / 12))
    assert home.places == work.places == (1.0, 1.0, 1.0)


def test_a_found_place_stands_for_where_most_of_its_time_was_spent():
    """Location 0 is the flat, but for an hour that was spent at the neighbour's."""
    visits = visits_from((1, 0, 0, 10), (1, 1, 11, 12))
    truth = truth_from((1, 5, 0, 9, "home"), (1, 6, 9, 10, "work"), (1, 6, 11, 12, "work"))
    scores = score_known_time(know_visits(visits, truth.stops), found_from((1, "home", 0, 0, 0), (1, "work", 0, 0, 0)))
    assert scores.home.places == (1.0, 1.0, 1.0)
    # The neighbour's is a true workplace; the flat, found as work, is not.
    assert scores.work.places == (0.0, 0.0, 0.0)
    assert scores.work.time.precision == pytest.approx(1 / 10)


def test_dates_are_local():
    """From 22 to 26 hours UTC in a zone two hours ahead: all of it is Tuesday."""
    visits, truth = visits_from((1, 0, 22, 26), offset_s=7_200), truth_from((1, 5, 22, 26, "home"))
    known = know_visits(visits, truth.stops)
    for first, last, share in ((0, 0, 0.0), (1, 1, 1.0)):
        assert score_known_time(known, found_from((1, "home", first, last, 0))).home.time.recall == share


def test_a_root_is_judged_where_truth_and_visits_meet():
    visits = visits_from((1, 0, 0, 8), (1, 1, 9, 17), (3, 0, 0, 8))
    truth = truth_from((1, 5, 0, 8, "home"), (1, 6, 9, 17, "work"), (2, 5, 0, 8, "home"))
    baseline = found_from((1, "home", 0, 0, 0)).assign(span="baseline")
    home_work = pd.concat([found_from((1, "home", 0, 6, 0), (1, "home", 0, 6, 9), (3, "home", 0, 6, 0)), baseline])
    evaluation = evaluate_root(visits, home_work, truth)
    assert evaluation.rows["n_true_devices_without_visits"] == 1
    assert evaluation.seen_share == {"home": 1.0, "work": 1.0}
    assert list(evaluation.results) == ["moving", "baseline", "most_time", "night_and_day", "every_place"]
    assert evaluation.results["moving"].home.time == evaluation.results["baseline"].home.time == (1.0, 1.0, 1.0)
    assert evaluation.results["moving"].work.undetected_share == 1.0
    assert evaluation.results["night_and_day"].work.time == (1.0, 1.0, 1.0)
    with pytest.raises(StudyError, match="none of its 1 devices has a visit"):
        evaluate_root(visits, home_work, truth_from((2, 5, 0, 8, "home")))


# --- The stage on stops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["howde", "logit"])
def test_the_stage_finds_an_ordinary_life_in_stops(method):
    days = [(1, 5, k, 0, 8, "home") for k in range(40)] + [(1, 3, k, 9, 17, "work") for k in range(40) if k % 7 < 5]
    stops = stops_of(*(row[:5] for row in sorted(days, key=lambda row: row[2:4])))
    labels = [row[5] for row in sorted(days, key=lambda row: row[2:4])]
    frame = pd.DataFrame({"device_id": stops["device_id"], "location_id": stops["location_id"], "label": labels})
    for name in ("started", "finished"):
        frame[f"{name}_us"] = stops[f"{name}_s"].to_numpy() * np.int64(1_000_000)
    study = Study.from_dict({"name": "x", "start": "2024-03-04", "end": "2024-04-13", "zone": "UTC", "sources": []})
    evaluation = evaluate_stops(LabelledStops(frame, {}), study, HomeWorkParams(method=method))
    for scores in (evaluation.results["moving"], evaluation.results["night_and_day"]):
        assert scores.home.time.f1 == scores.work.time.f1 == 1.0
