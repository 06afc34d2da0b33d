"""Scores of homes and workplaces: worked examples, and the figures of HoWDe's published code on real people."""

import math

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.home_work import FOUND_COLUMNS, STOP_COLUMNS, score_home_work
from pipeline.kernels.howde import DAY_S, howde_days

HOUR_S = 3600
MONDAY = pd.Timestamp("2024-03-04")


def at(day, hour):
    """Local seconds of an hour of a day, counted from a Monday."""
    return int(MONDAY.timestamp()) + day * DAY_S + int(hour * HOUR_S)


def make_stops(*rows):
    """Stops from (device, location, (day, hour) of start, (day, hour) of finish, label)."""
    return pd.DataFrame([(d, p, at(*a), at(*b), label) for d, p, a, b, label in rows], columns=STOP_COLUMNS)


def make_found(*rows):
    """Found rows from (device, role, first day, last day, location)."""
    days = [(d, role, MONDAY + pd.Timedelta(days=a), MONDAY + pd.Timedelta(days=b), p) for d, role, a, b, p in rows]
    return pd.DataFrame(days, columns=FOUND_COLUMNS)


# One is at home (0) until eight and from eighteen, at work (1) between, twice; two lives with a friend (3) for a day.
TWO_PEOPLE = make_stops(
    (1, 0, (0, 0), (0, 8), "home"),
    (1, 1, (0, 9), (0, 17), "work"),
    (1, 0, (0, 18), (1, 8), "home"),
    (1, 1, (1, 9), (1, 17), "work"),
    (2, 2, (0, 0), (0, 20), "home"),
    (2, 3, (0, 21), (1, 9), "home"),
)


def test_everything_right_scores_one():
    found = make_found((1, "home", 0, 1, 0), (1, "work", 0, 1, 1), (2, "home", 0, 0, 2), (2, "home", 0, 1, 3))
    scores = score_home_work(TWO_PEOPLE, found)
    assert scores.n_people == 2
    for role in (scores.home, scores.work):
        assert role.time == role.places == role.people == (1.0, 1.0, 1.0)
        assert (role.undetected_share, role.right_share, role.n_false_people) == (0.0, 1.0, 0)
    assert (scores.home.n_people, scores.work.n_people) == (2, 1)
    assert scores.home.true_h == scores.home.found_h == 22 + 32


def test_figures_of_a_half_right_answer():
    """Home of one is found on the first day only; the second's workplace is an invention, a home is not found."""
    found = make_found((1, "home", 0, 0, 0), (2, "home", 0, 1, 2), (2, "work", 1, 1, 3))
    home, work = score_home_work(TWO_PEOPLE, found)[1:]
    # One: 8 + 6 of 22 hours; two: 20 of 32.
    assert home.time == pytest.approx((1.0, 34 / 54, 68 / 88))
    assert home.people == pytest.approx((1.0, (14 / 22 + 20 / 32) / 2, (28 / 36 + 40 / 52) / 2))
    assert home.places == pytest.approx((1.0, 2 / 3, 0.8))
    assert home.right_share == pytest.approx(2 / 3)
    assert home.undetected_share == 0.0
    # Nine hours of the second, none of the first's sixteen.
    assert work.time == work.places == (0.0, 0.0, 0.0)
    assert (work.n_people, work.n_detected, work.n_false_people, work.undetected_share) == (1, 0, 1, 1.0)
    assert math.isnan(work.right_share)
    assert work.found_h == 9.0


def test_a_place_of_both_roles_counts_in_each():
    stops = make_stops((1, 0, (0, 0), (0, 8), "home"), (1, 0, (0, 8), (0, 18), "work"))
    scores = score_home_work(stops, make_found((1, "home", 0, 0, 0), (1, "work", 0, 0, 0)))
    assert scores.home.time == pytest.approx((8 / 18, 1.0, 16 / 26))
    assert scores.work.time == pytest.approx((10 / 18, 1.0, 20 / 28))
    assert scores.home.places == scores.work.places == (1.0, 1.0, 1.0)


def test_nothing_found_and_nothing_true():
    nothing = make_found()
    home, work = score_home_work(TWO_PEOPLE[TWO_PEOPLE["label"] == "home"], nothing)[1:]
    assert math.isnan(home.time.precision)
    assert home.time[1:] == (0.0, 0.0)
    assert home.places[1:] == (0.0, 0.0)
    assert all(math.isnan(value) for value in (*work.time, *work.places, *work.people, work.undetected_share))


def test_rows_that_overlap_count_once_and_other_people_are_passed_over():
    found = make_found((1, "home", 0, 0, 0), (1, "home", 0, 1, 0), (1, "home", 1, 1, 0), (9, "home", 0, 1, 4))
    home = score_home_work(TWO_PEOPLE, found).home
    assert (home.found_h, home.time.precision) == (22.0, 1.0)


def test_dates_may_be_dates():
    found = make_found((1, "home", 0, 1, 0))
    as_dates = found.assign(**{name: found[name].dt.date for name in ("window_started", "window_finished")})
    assert repr(score_home_work(TWO_PEOPLE, as_dates)) == repr(score_home_work(TWO_PEOPLE, found))


def test_refuses_what_cannot_be_scored():
    with pytest.raises(ValueError, match="1 found rows name a place at which their device has no stop"):
        score_home_work(TWO_PEOPLE, make_found((1, "home", 0, 1, 3)))
    with pytest.raises(ValueError, match="finishes before it starts"):
        score_home_work(make_stops((1, 0, (0, 2), (0, 1), "home")), make_found())


def test_howde_on_real_people(shared_data):
    """The published code with its defaults, by its own rule and by ours; places of work differ by a tie."""
    path = shared_data / "howde_worldbank" / "stops.parquet"
    if not path.exists():
        pytest.skip(f"the labelled stops of HoWDe are not here ({path})")
    stops = pd.read_parquet(path)
    stops.columns = STOP_COLUMNS
    stops["location_id"] = stops["location_id"].astype("int64")
    stops["label"] = stops["label"].map({"H": "home", "W": "work", "O": "other"})
    home, work = score_home_work(stops, howde_found(stops))[1:]
    assert (home.n_people, work.n_people) == (250, 153)
    assert home.right_share == pytest.approx(0.75, abs=5e-5)
    assert home.undetected_share == pytest.approx(0.12, abs=5e-5)
    assert work.right_share == pytest.approx(0.8025, abs=5e-5)
    assert work.undetected_share == pytest.approx(0.2092, abs=5e-5)
    assert home.time.f1 == pytest.approx(0.811, abs=5e-4)
    assert work.time.f1 == pytest.approx(0.723, abs=5e-4)
    assert home.places == pytest.approx((0.953, 0.663, 0.782), abs=5e-4)
    assert work.places == pytest.approx((0.594, 0.633, 0.613), abs=3e-3)


def howde_found(stops):
    """What HoWDe finds, one row per device, role and day."""
    stops = stops.sort_values(["device_id", "started_s"], kind="stable")
    devices, first = np.unique(stops["device_id"].to_numpy(), return_index=True)
    arrays = (stops[name].to_numpy(np.int64) for name in ("started_s", "finished_s", "location_id"))
    days = howde_days(np.append(first, len(stops)), *arrays)
    date = days.day.astype("datetime64[D]").astype("datetime64[s]")
    parts = [
        pd.DataFrame(dict(zip(FOUND_COLUMNS, (devices[days.device], role, date, date, place), strict=True)))
        for role, place in (("home", days.home), ("work", days.work))
    ]
    found = pd.concat(parts, ignore_index=True)
    return found[found["location_id"] >= 0]
