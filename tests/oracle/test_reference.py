"""The reference engine itself: what it refuses, what it hands over, and what its failures say."""

import re

import numpy as np
import pandas as pd
import pytest

from pipeline.reference import (
    QUESTIONS,
    Ask,
    ReferenceAbsentError,
    ReferenceFailedError,
    ask_reference,
    install,
    is_installed,
    run_reference,
)
from pipeline.reference.environment import MARKER, REQUIREMENTS, python_of
from pipeline.reference.questions import Required


def _pings(device_ids, minutes, lon, lat):
    tracked_at = pd.Timestamp("2024-03-01", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    return pd.DataFrame({"device_id": device_ids, "tracked_at": tracked_at, "lon": lon, "lat": lat})


# a value for each parameter that has no default
GIVEN = {
    "roam_m": 200.0,
    "dwell_s": 600.0,
    "gap_s": None,
    "eps_m": 100.0,
    "min_samples": 1.0,
    "start": "2024-01-01",
    "end": "2024-01-03",
    "n_people": 4,
    "n_known": 2,
}


@pytest.fixture
def pings():
    """Device 7 stays twenty minutes at one place, then is two kilometres away; rows are not in order."""
    minutes = np.array([25, 0, 5, 10, 15, 20, 30])
    lon = np.where(minutes >= 25, 10.02, 10.0)
    return _pings(np.full(7, 7), minutes, lon, np.full(7, 1.0))


def test_a_folder_is_installed_only_with_an_interpreter_and_the_pins_of_today(tmp_path):
    assert not is_installed(tmp_path)
    (tmp_path / MARKER).write_text("0" * 64)
    python_of(tmp_path).parent.mkdir()
    python_of(tmp_path).touch()
    assert not is_installed(tmp_path)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "thesis.txt").write_text("kept")
    with pytest.raises(FileExistsError):
        install(tmp_path / "env")
    assert (tmp_path / "env" / "thesis.txt").read_text() == "kept"


def test_every_requirement_is_pinned():
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    assert "scikit-mobility==1.3.1" in lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9a-z.]+", line)] == []


def test_questions_that_make_no_sense_are_refused(pings):
    with pytest.raises(ValueError, match="unknown measure"):
        run_reference("entropy_of_soup", pings)
    with pytest.raises(ValueError, match="gap_s"):
        run_reference("stay_locations", pings, roam_m=200.0, dwell_s=600.0)
    with pytest.raises(ValueError, match="missing"):
        run_reference("radius_of_gyration", pings.drop(columns="lat"))
    with pytest.raises(ValueError, match="time zone"):
        run_reference("radius_of_gyration", pings.assign(tracked_at=pings["tracked_at"].dt.tz_localize(None)))


def test_an_absent_environment_is_said_to_be_absent(pings, monkeypatch, tmp_path):
    monkeypatch.setenv("SOJOURN_REFERENCE", str(tmp_path / "nowhere"))
    with pytest.raises(ReferenceAbsentError):
        run_reference("radius_of_gyration", pings)


@pytest.mark.oracle
def test_an_installed_environment_is_not_made_again(reference):
    assert is_installed(install())


@pytest.mark.oracle
def test_a_stay_comes_back_in_our_units(reference, pings):
    before = pings.copy()
    stays = run_reference("stay_locations", pings, roam_m=200.0, dwell_s=600.0, gap_s=None)
    pd.testing.assert_frame_equal(pings, before)
    assert stays.columns.tolist() == ["device_id", "started_at", "finished_at", "lon", "lat"]
    assert stays["device_id"].tolist() == [7]
    # it leaves at the first ping outside, at minute 25
    start = pd.Timestamp("2024-03-01", tz="UTC")
    assert stays["started_at"].tolist() == [start]
    assert stays["finished_at"].tolist() == [start + pd.Timedelta(minutes=25)]
    assert stays[["lon", "lat"]].to_numpy().tolist() == [[10.0, 1.0]]


@pytest.mark.oracle
def test_the_gap_rule_reaches_scikit_mobility(reference, pings):
    stays = run_reference("stay_locations", pings, roam_m=200.0, dwell_s=600.0, gap_s=240)
    assert len(stays) == 0


@pytest.mark.oracle
def test_clusters_come_back_in_the_order_asked(reference):
    shuffled = _pings([2, 1, 2, 1, 2], np.array([9, 3, 1, 2, 5]), [0.1, 0.3, 0.0, 0.3, 0.1], np.zeros(5))
    found = run_reference("cluster", shuffled, eps_m=100.0, min_samples=1)
    assert found["device_id"].tolist() == [2, 1, 2, 1, 2]
    # the most visited place of a device is 0
    assert found["cluster"].tolist() == [0, 0, 1, 0, 0]


@pytest.mark.oracle
def test_a_failure_names_the_error_and_no_row(reference):
    secret = _pings([555444333] * 2, np.array([0, 1]), [12.3456789, 98.7654321], [1.0, 2.0])
    with pytest.raises(ReferenceFailedError) as caught:
        run_reference("cluster", secret, eps_m=-5.0, min_samples=1)
    assert "Error" in str(caught.value)
    for text in ("555444333", "12.3456789", "98.7654321"):
        assert text not in str(caught.value)


def _tiles():
    n = np.arange(5)
    places = {"lon": 10 + n * 0.01, "lat": 50.0 + n % 2 * 0.02}
    return pd.DataFrame({"tile_id": n.astype(str), **places, "relevance": n + 2.0, "outflow": 20 + 5 * n})


def _flows():
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    names = ["origin_tile_id", "destination_tile_id", "flow"]
    return pd.DataFrame([(i, j, 10 * i + j + 1.0) for i, j in pairs], columns=names)


@pytest.mark.oracle
def test_every_question_answers_what_it_declares_and_the_same_again(reference):
    rng = np.random.default_rng(0)
    places = {"lon": 10 + rng.integers(0, 4, 24) * 0.01, "lat": np.full(24, 50.0)}
    rows = _pings(np.repeat([3, 5], 12), rng.integers(0, 3000, 24), **places)
    asks = {
        name: Ask(name, {k: GIVEN[k] for k, default in question.params.items() if isinstance(default, Required)})
        for name, question in QUESTIONS.items()
    }
    again = {f"{name} again": asks[name] for name in ("density_epr", "ditras", "geosim")}
    found = ask_reference({**asks, **again}, rows=rows, tiles=_tiles(), flows=_flows())
    for name, question in QUESTIONS.items():
        assert found[name].columns.tolist() == list(question.answers), name
        assert len(found[name]) > 0, name
    for name in ("density_epr", "ditras", "geosim"):
        pd.testing.assert_frame_equal(found[name], found[f"{name} again"])


@pytest.mark.oracle
def test_units_are_ours_by_hand(reference):
    """Device 7 goes 0.01 degrees east along the equator (1,111.95 m) every ten minutes, and back, twice."""
    rows = _pings([7] * 4, np.array([0, 10, 20, 30]), [0.0, 0.01, 0.0, 0.01], [0.0] * 4)
    names = ("jump_lengths", "distance_straight_line", "waiting_times", "location_frequency", "random_entropy")
    attacks = {"attack": Ask("location_attack", {"n_known": 1})}
    found = ask_reference({name: Ask(name) for name in names} | attacks, rows=rows)
    np.testing.assert_allclose(found["jump_lengths"]["distance_m"], [1111.949] * 3, atol=1e-3)
    np.testing.assert_allclose(found["distance_straight_line"]["distance_m"], [3335.848], atol=1e-3)
    assert found["waiting_times"]["duration_s"].tolist() == [600.0] * 3
    assert found["location_frequency"]["visit_share"].tolist() == [0.5, 0.5]
    assert found["random_entropy"]["entropy_bits"].tolist() == [1.0]
    assert found["attack"]["risk"].tolist() == [1.0]


@pytest.mark.oracle
def test_the_two_places_of_the_home_work_attack_are_the_least_visited(reference):
    """Both devices live at 0 and work at 1; each has one place of its own, seen once, which tells them apart."""
    lon = [0.0] * 5 + [1.0] * 4 + [2.0] + [0.0] * 5 + [1.0] * 4 + [3.0]
    rows = _pings(np.repeat([1, 2], 10), np.arange(20), lon, [0.0] * 20)
    assert run_reference("home_work_attack", rows)["risk"].tolist() == [1.0, 1.0]


def test_a_question_says_what_it_reads(pings):
    with pytest.raises(ValueError, match="tiles"):
        ask_reference({"a": Ask("radiation")}, rows=pings)
