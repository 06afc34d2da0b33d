"""What verify calls equal, explained and different, without the reference: its answers are made up."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import pipeline.verification.verify
from pipeline.cli import app
from pipeline.reference import Ask
from pipeline.verification.measures import SHARED, SharedMeasure
from pipeline.verification.verify import Agreement, Verified, agreement, verify
from tests.stay_rows import make_stays, places_and_visits


def _series(values):
    index = pd.MultiIndex.from_tuples(list(values), names=["device_id", "turn"])
    return pd.Series(list(values.values()), index=index)


def test_agreement_by_hand():
    """Device 1 agrees, both lacking one value; 2 is 0.5 off at 2.0; 3 has a value more on one side."""
    ours = _series({(1, 0): 1.0, (1, 1): np.nan, (2, 0): 2.5, (3, 0): 1.0})
    theirs = _series({(1, 0): 1.0, (1, 1): np.nan, (2, 0): 2.0, (3, 0): 1.0, (3, 1): 7.0})
    found = agreement(ours, theirs, 1e-9)
    assert found == (3, 1, 0.5, 0.25)


def test_a_value_that_one_side_lacks_is_a_difference():
    assert agreement(_series({(1, 0): np.nan}), _series({(1, 0): 1.0}), 1e-9).n_equal == 0


def test_nothing_in_common_has_no_largest_difference():
    found = agreement(_series({(1, 0): 1.0}), _series({(2, 0): 1.0}), 1e-9)
    assert found[:2] == (2, 0)
    assert np.isnan(found.max_absolute)


def _per_device(value):
    return lambda visits, _: visits.by_device(np.full(visits.device.size, value))


@pytest.mark.parametrize(
    ("ours", "alike", "is_explained"), [(3.0, None, True), (4.0, 3.0, True), (4.0, 3.5, False), (4.0, None, False)]
)
def test_a_difference_is_explained_where_our_variant_is_theirs(monkeypatch, tmp_path, ours, alike, is_explained):
    shared = SharedMeasure(
        "made_up",
        "m",
        Ask("number_of_visits"),
        _per_device(ours),
        lambda visits, _: _per_device(3.0)(visits, {}),
        None if alike is None else _per_device(alike),
        "a variant",
        "a reason",
    )
    _, visits = places_and_visits(make_stays([(0, 60, 0, False), (90, 500, 5000, False)]))
    monkeypatch.setattr(pipeline.verification.verify, "SHARED", (shared,))
    monkeypatch.setattr(pipeline.verification.verify, "ASKS", {"made_up": shared.ask})
    monkeypatch.setattr(pipeline.verification.verify, "load", lambda *_, **__: visits)
    monkeypatch.setattr(pipeline.verification.verify, "ask_reference", lambda asks, rows: dict.fromkeys(asks))
    (found,) = verify(tmp_path, 5, 0, 0, 0)
    assert found.is_explained is is_explained
    assert found.explanation == ("a reason; equal under a variant" if ours == 4.0 and is_explained else "")
    assert found.found.n_people == 1


@pytest.mark.parametrize(("is_explained", "code"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_fails_where_a_difference_is_not_explained(monkeypatch, is_explained, code, as_json):
    found = Verified("made_up", "m", "visits", Agreement(5, 4, float("nan"), 0.1), "", is_explained)
    monkeypatch.setattr(pipeline.verification.verify, "verify", lambda *_: [found])
    done = CliRunner().invoke(app, ["verify", *(["--json"] if as_json else [])])
    assert done.exit_code == code
    assert "made_up" in done.stdout
    assert as_json == ('"max_absolute": null' in done.stdout)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_measure_of_nobody_is_not_verified_and_fails(monkeypatch, as_json):
    nobody = Agreement(0, 0, float("nan"), float("nan"))
    found = Verified("made_up", "m", "visits", nobody, "nobody drawn has a value", False)
    monkeypatch.setattr(pipeline.verification.verify, "verify", lambda *_: [found])
    done = CliRunner().invoke(app, ["verify", *(["--json"] if as_json else [])], env={"COLUMNS": "200"})
    assert (done.exit_code, "not verified" in done.stdout) == (1, True)


def test_no_pings_and_no_values_are_not_verified(monkeypatch, tmp_path):
    """One visit: no jump. Pings of nobody: stays are named all the same."""
    module = pipeline.verification.verify
    _, visits = places_and_visits(make_stays([(0, 60, 0, False)]))
    (jumps,) = [shared for shared in SHARED if shared.name == "jump_lengths"]
    answer = pd.DataFrame({"device_id": pd.Series(dtype="int64"), "distance_m": pd.Series(dtype="float64")})
    monkeypatch.setattr(module, "SHARED", (jumps,))
    monkeypatch.setattr(module, "load", lambda *_, **__: visits)
    monkeypatch.setattr(module, "ask_reference", lambda asks, rows: dict.fromkeys(asks, answer))
    found = verify(tmp_path, 5, 0, 5, 7)
    assert [(one.measure, one.state, one.is_explained) for one in found] == [
        ("stay_locations", "not verified", False),
        ("jump_lengths", "not verified", False),
    ]


def test_homes_of_the_root_are_ours():
    """At home, 5 km from it, at home: the largest distance from home is that of the table's home, 5 km."""
    _, frame = places_and_visits(make_stays([(0, 60, 0, False), (90, 500, 5000, False), (530, 900, 0, False)]))
    home = pd.DataFrame({"device_id": [1], "location_id": [0]}).assign(span="baseline", role="home", rank=1)
    assert pipeline.verification.verify.Visits(frame).column("distances", "home_distance_max_m").isna().all()
    found = pipeline.verification.verify.Visits(frame, home).column("distances", "home_distance_max_m")
    assert found.tolist() == pytest.approx([5000.0], rel=1e-6)
