"""Absences, sectors, probabilities and status: the method page's worked numbers, and small tables made by hand."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline.engine.plan import params_of
from pipeline.kernels.job_loss import (
    ABSENT,
    BACK,
    BRIEF,
    LASTING,
    NO_ABSENCE,
    UNDECIDED,
    UNSEEN,
    follow_absence,
    loss_probability,
    telework_waves,
)
from pipeline.sectors import UNKNOWN, sector_weights, telework_shares, waves_of
from pipeline.stages.employment import EmploymentParams, employment
from pipeline.stages.sector_absence import SectorAbsenceParams, _finish, sector_absence
from pipeline.study import Study
from tests.employment_rows import MONDAY, make_jobs, make_telework, presence_rows
from tests.stay_rows import empty, through_contract

SEED = 7


def sectors_of(presence, jobs, telework, **params):
    """SECTOR_ABSENCE of one bucket; without `prior_devices` shares are the plain ones."""
    chosen = SectorAbsenceParams(**{"prior_devices": 0, **params})
    parts = sector_absence(presence, jobs, telework, SEED, chosen)
    return through_contract(_finish(parts, jobs, telework, SEED, chosen), "sector_absence")


def employment_of(presence, jobs, table, **params):
    return through_contract(
        employment(presence, jobs, table, empty("employment_scores"), SEED, EmploymentParams(**params)), "employment"
    )


# --- The formula --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("telework", "absent", "probability"),
    [
        (0.035365932, 0.50, 0.929268),  # NAICS 72
        (0.18559921, 0.25, 0.257603),  # NAICS 23
        (0.14343524, 0.40, 0.641412),  # NAICS 44-45
        (0.76203007, 0.50, 0.0),  # NAICS 52, clipped
        (0.25252154, 0.25252154, 0.0),  # equal
        (0.3, 0.0, 0.0),  # by convention
    ],
)
def test_vectors_of_the_method_page(telework, absent, probability):
    found = loss_probability(np.array([absent]), np.array([telework]))
    assert found[0] == pytest.approx(probability, abs=5e-7)


def test_the_two_readings_of_the_method_page():
    absent, telework = np.array([0.5]), np.array([0.3])
    assert loss_probability(absent, telework, 1)[0] == pytest.approx(0.4, abs=1e-12)
    assert loss_probability(absent, telework, 2)[0] == pytest.approx(0.2857142857, abs=1e-9)
    assert loss_probability(np.ones(1), np.ones(1), 2)[0] == 0  # everybody can telework: by convention


def test_what_the_formula_refuses():
    for bad in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            loss_probability(np.array([bad]), np.zeros(1))
    with pytest.raises(ValueError, match="reading"):
        loss_probability(np.zeros(1), np.zeros(1), 3)


def test_waves_of_telework():
    found = telework_waves(np.array([0, 0, 0, 0.4, 0.8, 0.8, 0.4, 0, 0, 0.2]), 1)
    assert found.first.tolist() == [2, 8] and found.last.tolist() == [4, 9]
    assert found.uptake[:, 0] == pytest.approx([0, 0, 0.4, 0.4, 0.8, 0.8, 0.4, 0, 0, 0])
    assert found.uptake[:, 1] == pytest.approx([0] * 8 + [0.2, 0.2])
    assert telework_waves(np.zeros(5), 1).first.size == 0
    assert telework_waves(np.full(5, 0.7), 0).last.tolist() == [0]


def test_absences_of_one_record():
    state = np.array([BACK, ABSENT, BACK, ABSENT, UNSEEN, ABSENT, ABSENT, BACK, ABSENT], np.int8)
    found = follow_absence(np.array([0, 9]), state, np.full(9, 5.0), 3, 4.6, 4)
    none = NO_ABSENCE
    assert found.verdict.tolist() == [none, BRIEF, none, LASTING, none, LASTING, LASTING, none, UNDECIDED]
    assert found.since.tolist() == [-1, 1, -1, 3, -1, 3, 3, -1, 8]
    assert found.known.tolist() == [-1, -1, -1, 6, -1, 6, 6, -1, -1]
    with pytest.raises(ValueError, match="same weeks"):
        follow_absence(np.array([0, 8]), state, np.full(9, 5.0), 3, 4.6, 4)
    with pytest.raises(ValueError, match="at least a week"):
        follow_absence(np.array([0, 9]), state, np.full(9, 5.0), 0, 4.6, 4)


def test_the_wave_of_an_absence():
    mondays = MONDAY + 7 * np.arange(6) * np.timedelta64(1, "D")
    since = pd.Series([*mondays, np.datetime64("NaT")])
    assert waves_of(since, mondays[[1, 4]], mondays[[2, 4]]).tolist() == [0, 1, 1, 0, 2, 0, 0]
    assert waves_of(since, mondays[:0], mondays[:0]).tolist() == [0] * 7


# --- Sectors ------------------------------------------------------------------------------------------


JOBS = make_jobs([("001", "23", 30.0), ("001", "72", 10.0), ("002", "72", 5.0), ("003", "72", 0.0)])
TELEWORK = make_telework({"23": 0.2, "52": 0.8, "72": 0.0})


def test_sectors_are_the_shares_of_the_jobs_of_the_area():
    tracts = pd.Series(["001", "002", "003", "004", None], dtype="str")
    found = sector_weights(JOBS, tracts, np.arange(5), "fractional", SEED)
    assert found.names == ["23", "72", UNKNOWN]
    assert found.weight.tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]
    nowhere = sector_weights(make_jobs([]), tracts, np.arange(5), "fractional", SEED)
    assert nowhere.names == [UNKNOWN] and nowhere.weight.tolist() == [[1.0]] * 5


def test_draws_have_those_shares_and_are_of_the_device():
    ids = np.arange(20_000)
    tracts = pd.Series(["001"] * ids.size, dtype="str")
    found = sector_weights(JOBS, tracts, ids, "draw", SEED).weight
    assert found.mean(axis=0) == pytest.approx([0.75, 0.25, 0], abs=0.01)
    alone = sector_weights(JOBS, tracts[:1], ids[5:6], "draw", SEED).weight
    assert alone[0].tolist() == found[5].tolist()
    assert (sector_weights(JOBS, tracts, ids, "draw", SEED + 1).weight != found).any()


def test_telework_of_sectors_without_a_figure_and_of_the_unknown():
    names = ["23", "72", "99", UNKNOWN]
    # 30 jobs in 23, 15 in 72, none in 52.
    assert telework_shares(names, JOBS, TELEWORK).tolist() == pytest.approx([0.2, 0.0, 0.0, 0.2 * 30 / 45])
    assert telework_shares(names, make_jobs([]), TELEWORK)[3] == pytest.approx(1 / 3)
    assert telework_shares(names, JOBS, make_telework({})).tolist() == [0.0] * 4


# --- The table of sectors -----------------------------------------------------------------------------


def people(*rows):
    """PRESENCE of observed devices of tract 001 or 002 in week 0: (device, tract, is at risk)."""
    return presence_rows([(device, 0, tract, True, is_at_risk, False) for device, tract, is_at_risk in rows])


def test_shares_at_risk_by_sector():
    presence = people((1, "001", True), (2, "001", False), (3, "002", True), (4, "002", False), (5, None, True))
    table = sectors_of(presence, JOBS, TELEWORK)
    assert table["sector"].tolist() == ["23", "72", UNKNOWN]
    assert table["n_devices"].tolist() == [2, 4, 1]
    assert table["weight"].tolist() == [1.5, 2.5, 1.0]
    assert table["at_risk_share"].tolist() == [0.5, 0.5, 1.0]
    assert table["telework_share"].tolist() == pytest.approx([0.2, 0.0, 0.2 * 30 / 45])
    assert table["loss_probability"].tolist() == pytest.approx([0.6, 1.0, 1 - 0.2 * 30 / 45])
    second = sectors_of(presence, JOBS, TELEWORK, reading=2)
    assert second["loss_probability"][0] == pytest.approx(0.3 / 0.8)


def test_shares_are_drawn_to_that_of_all():
    presence = people((1, "002", True), (2, "001", False), (3, "001", False), (4, "001", False))
    table = sectors_of(presence, JOBS, TELEWORK, prior_devices=2)
    # 72: 1 of 1.75 at risk, all: 1 of 4.
    assert table["at_risk_share"].tolist() == pytest.approx([(0 + 2 / 4) / (2.25 + 2), (1 + 2 / 4) / (1.75 + 2)])


def test_what_is_not_observed_or_undecided_does_not_count():
    rows = [(1, 0, "002", True, True, False), (2, 0, "002", False, False, False), (3, 0, "002", True, False, True)]
    table = sectors_of(presence_rows(rows), JOBS, TELEWORK)
    assert table["n_devices"].tolist() == [1] and table["at_risk_share"].tolist() == [1.0]


def test_telework_is_taken_up_in_spans():
    presence = presence_rows([(1, week, "001", True, True, False) for week in range(4)])
    first = MONDAY.astype(object)
    span = {"start": f"{first.replace(day=13)}", "end": f"{first.replace(day=22)}", "uptake": 1.0}
    uptake = {"telework_uptake": 0.5, "telework_spans": [span]}
    table = sectors_of(presence, JOBS, TELEWORK, absences="together", **uptake)
    # Week 1 lies in the span, of week 2 (20 to 26 January) three days do.
    expected = [0.5, 1.0, (3 + 4 * 0.5) / 7, 0.5]
    assert table.query("sector == '23'")["telework_share"].tolist() == pytest.approx([0.2 * u for u in expected])
    assert set(table["wave"]) == {"none"} and table["wave_started_on"].isna().all()
    table = sectors_of(presence, JOBS, TELEWORK, **uptake)
    by_wave = table.query("sector == '23'").set_index(["wave", "window_started"])["telework_share"]
    assert by_wave["none"].tolist() == pytest.approx([0.1] * 4)
    assert by_wave["2020-01-06"].tolist() == pytest.approx([0.1, 0.1, 0.1 * 3 / 7, 0.0])


def test_only_absences_that_began_with_telework_may_be_telework():
    rows = [(device, week, "001", True, week >= 1 + device // 10, False) for device in range(40) for week in range(8)]
    presence = presence_rows(rows)
    presence["absent_since_on"] = (
        presence.groupby("device_id")["absent_since_on"].transform("min").where(presence["is_at_risk"])
    )  # of ten devices each from week 1, 2, 3 and 4 on
    span = {"start": f"{MONDAY + np.timedelta64(21, 'D')}", "end": "2020-12-31", "uptake": 1.0}
    uptake = {"telework_uptake": 0, "telework_spans": [span]}
    table = sectors_of(presence, JOBS, TELEWORK, **uptake)
    last = table[table["window_started"] == table["window_started"].max()].set_index(["wave", "sector"])
    assert last["at_risk_share"].to_dict() == {
        ("2020-01-20", "23"): 0.5, ("2020-01-20", "72"): 0.5, ("none", "23"): 0.5, ("none", "72"): 0.5
    }  # fmt: skip
    assert last["loss_probability"]["2020-01-20", "23"] == pytest.approx(1 - 0.2 / 0.5)
    assert last["loss_probability"]["none", "23"] == 1
    found = employment_of(presence, JOBS, table)
    loss = found.groupby("device_id")["loss_probability"].last()
    assert loss[:10].tolist() == loss[30:].tolist() == [1.0] * 10
    assert loss[10:30].tolist() == pytest.approx([0.75 * 0.6 + 0.25] * 20)
    # Week 2 comes before the uptake rises; its absences are taken for early ones of the wave all the same.
    week_2 = found[found["window_started"] == pd.Timestamp(MONDAY) + pd.Timedelta(days=14)].set_index("device_id")
    assert week_2["loss_probability"][10] == pytest.approx(0.75 * (1 - 0.2 / 0.25) + 0.25)
    together = employment_of(presence, JOBS, sectors_of(presence, JOBS, TELEWORK, absences="together", **uptake))
    assert together.groupby("device_id")["loss_probability"].last().tolist() == pytest.approx([0.75 * 0.8 + 0.25] * 40)
    # What is expected over all devices is the same, whichever absences it is put down to.
    last_sum, together_sum = (
        frame[frame["window_started"] == frame["window_started"].max()]["loss_probability"].sum()
        for frame in (found, together)
    )
    assert last_sum == pytest.approx(together_sum)


def test_presence_compared_has_no_waves():
    presence = people((1, "001", True), (2, "001", False))
    span = {"start": f"{MONDAY}", "end": "2020-12-31", "uptake": 1.0}
    table = sectors_of(presence, JOBS, TELEWORK, reading=2, telework_uptake=0, telework_spans=[span])
    assert set(table["wave"]) == {"none"}
    assert table.query("sector == '23'")["loss_probability"].tolist() == pytest.approx([0.3 / 0.8])


def test_spans_of_telework_do_not_overlap_and_end_after_they_start():
    one = {"start": "2020-03-01", "end": "2020-03-31", "uptake": 1.0}
    with pytest.raises(ValidationError, match="two spans hold 2020-03-31"):
        SectorAbsenceParams(telework_spans=[{**one, "start": "2020-03-31", "end": "2020-04-02"}, one])
    with pytest.raises(ValidationError, match="is before start"):
        SectorAbsenceParams(telework_spans=[{**one, "end": "2020-02-01"}])


def test_spans_of_telework_are_read_from_a_study_file(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        'name = "x"\nstart = 2020-01-01\nend = 2020-09-30\nzone = "UTC"\nsources = []\n'
        "[params.sector_absence]\ntelework_uptake = 0\n"
        "telework_spans = [{ start = 2020-03-16, end = 2020-05-31, uptake = 0.9 }]\n"
    )
    params = params_of(Study.from_toml(path))["sector_absence"]
    assert params.uptake_on(pd.Timestamp("2020-03-16").date()) == 0.9
    assert params.uptake_on(pd.Timestamp("2020-06-01").date()) == 0


def test_without_jobs_all_are_of_one_unknown_sector_and_without_telework_absence_is_loss():
    presence = people((1, "001", True), (2, "001", False))
    table = sectors_of(presence, make_jobs([]), make_telework({}))
    assert table["sector"].tolist() == [UNKNOWN] and table["loss_probability"].tolist() == [1.0]
    found = employment_of(presence, make_jobs([]), table)
    assert found["status"].tolist() == ["not_employed", "employed"]
    assert found["sector"].isna().all()


# --- Persons ------------------------------------------------------------------------------------------


def test_a_person_at_risk_is_the_mean_of_its_sectors():
    rows = [(device, "001", device <= 5) for device in range(1, 11)]
    table = sectors_of(people(*rows), JOBS, TELEWORK)
    found = employment_of(people(*rows), JOBS, table)
    # r is 0.5 in both sectors: P is 0.6 in 23 and 1 in 72.
    assert found["loss_probability"].tolist() == pytest.approx([0.75 * 0.6 + 0.25] * 5 + [0.0] * 5)
    assert found["status"].tolist() == ["not_employed"] * 5 + ["employed"] * 5
    assert found["sector"].tolist() == ["23"] * 10
    assert found["lost_on"][:5].tolist() == [pd.Timestamp(MONDAY)] * 5
    assert found["known_on"][:5].tolist() == [pd.Timestamp(MONDAY + np.timedelta64(21, "D"))] * 5
    assert found[["lost_on", "known_on"]][5:].isna().all(axis=None)
    found = employment_of(people(*rows), JOBS, table, not_employed_from=0.8, remote_below=0.6)
    assert found["status"].tolist() == ["unknown"] * 5 + ["employed"] * 5
    found = employment_of(people(*rows), JOBS, table, not_employed_from=0.8, remote_below=0.8)
    assert found["status"].tolist() == ["remote"] * 5 + ["employed"] * 5
    assert found["lost_on"].isna().all()


def test_what_was_not_observed_is_unknown():
    rows = [(1, 0, "002", True, True, False), (2, 0, "002", False, False, False), (3, 0, "002", True, False, True)]
    presence = presence_rows(rows)
    found = employment_of(presence, JOBS, sectors_of(presence, JOBS, TELEWORK))
    assert found["status"].tolist() == ["not_employed", "unknown", "unknown"]
    assert found["loss_probability"].isna().tolist() == [False, True, True]
    assert found["is_undecided"].tolist() == [False, False, True]


def test_drawn_sectors_are_the_same_in_both_tables():
    rows = [(device, "001", device % 2 == 0) for device in range(200)]
    presence = people(*rows)
    table = sectors_of(presence, JOBS, TELEWORK, assignment="draw")
    assert table["weight"].sum() == 200
    found = employment_of(presence, JOBS, table)
    by_sector = found.groupby("sector").size()
    assert by_sector.to_dict() == dict(zip(table["sector"], table["n_devices"], strict=True))
    chance = table.set_index("sector")["loss_probability"]
    at_risk = found[found["is_at_risk"]]
    assert at_risk["loss_probability"].to_numpy() == pytest.approx(chance[at_risk["sector"]].to_numpy())


def test_thresholds_may_not_cross():
    with pytest.raises(ValidationError, match="would be both"):
        EmploymentParams(not_employed_from=0.3, remote_below=0.5)


def test_nobody_gives_empty_tables():
    nobody = people((1, "001", True)).iloc[:0]
    table = sectors_of(nobody, JOBS, TELEWORK)
    assert table.empty
    assert employment_of(nobody, JOBS, table).empty
