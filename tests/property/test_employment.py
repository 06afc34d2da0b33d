"""Employment of random people: against the twins, and what must hold whatever happens to them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.job_loss import (
    ABSENT,
    BACK,
    UNSEEN,
    follow_absence,
    loss_probability,
    telework_waves,
)
from pipeline.kernels.presence import cut_at_midnights, day_rates, expected, time_between
from pipeline.sectors import sector_weights
from pipeline.stages.employment import EmploymentParams, employment
from pipeline.stages.sector_absence import SectorAbsenceParams, _finish, sector_absence
from tests.employment_rows import make_jobs, make_telework, presence_of, presence_rows, week_of
from tests.naive_employment import (
    DAY_S,
    naive_absences,
    naive_expected,
    naive_loss_probability,
    naive_pieces,
    naive_sector_shares,
    naive_waves,
)
from tests.stay_rows import empty

SHARE = st.floats(0, 1)
SECOND_US = 1_000_000
STATES = {"unseen": UNSEEN, "absent": ABSENT, "back": BACK}
VERDICTS = ("none", "brief", "undecided", "lasting")


# --- Kernels ------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-3 * DAY_S, 3 * DAY_S), st.integers(0, 3 * DAY_S)), max_size=8))
@settings(max_examples=200, deadline=None)
def test_pieces_equal_the_twin_and_add_up(visits):
    started = np.array([start for start, _ in visits], np.int64)
    finished = started + np.array([length for _, length in visits], np.int64)
    pieces = cut_at_midnights(started * SECOND_US, finished * SECOND_US)
    twin = [naive_pieces(int(a), int(b)) for a, b in zip(started, finished, strict=True)]
    assert pieces.row.tolist() == [row for row, found in enumerate(twin) for _ in found]
    found = zip(pieces.day, pieces.start_us // SECOND_US, pieces.finish_us // SECOND_US, strict=True)
    assert [tuple(map(int, piece)) for piece in found] == [piece for each in twin for piece in each]
    assert time_between(pieces, 0, 24).sum() == (finished - started).sum() * SECOND_US
    assert (time_between(pieces, 0, 9) + time_between(pieces, 9, 24) == time_between(pieces, 0, 24)).all()


@given(st.data(), st.integers(1, 3), st.booleans())
@settings(max_examples=100, deadline=None)
def test_expectation_equals_the_twin(data, n_weeks, apart):
    n_days = 7 * n_weeks
    values = data.draw(st.lists(st.integers(0, 3), min_size=n_days, max_size=n_days))
    is_observed = data.draw(st.lists(st.booleans(), min_size=n_days, max_size=n_days))
    is_baseline = [day < 7 * data.draw(st.integers(1, n_weeks)) for day in range(n_days)]
    kinds = [int(apart and day % 7 >= 5) for day in range(n_days)]
    observed, kind = np.array([is_observed]), np.array(kinds)
    rates = day_rates(np.array([values]), np.zeros((1, n_days), np.int64), observed & np.array(is_baseline), kind, 2)
    found = expected(rates.visits, observed, kind)[0]
    twin = [naive_expected(values, is_baseline, is_observed, kinds, range(7 * w, 7 * w + 7)) for w in range(n_weeks)]
    assert found == pytest.approx(np.array(twin))
    assert rates.hours.tolist() == [[0.0, 0.0]]


@given(
    st.lists(st.lists(st.sampled_from(list(STATES)), min_size=1, max_size=14), max_size=4),
    st.integers(1, 4),
    st.sampled_from([0.0, 2.0, 4.6]),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=300, deadline=None)
def test_absences_equal_the_twin(records, min_weeks, min_expected, max_unseen, chance):
    due = [[chance.choice([0.25, 1.0, 5.0]) for _ in record] for record in records]
    start = np.cumsum([0, *map(len, records)])
    state = np.array([STATES[s] for record in records for s in record], np.int8)
    found = follow_absence(start, state, np.concatenate([np.empty(0), *due]), min_weeks, min_expected, max_unseen)
    for first, record, visits in zip(start, records, due, strict=False):
        twin = naive_absences(record, visits, min_weeks, min_expected, max_unseen)
        rows = slice(first, first + len(record))
        assert [VERDICTS[v] for v in found.verdict[rows]] == [verdict for verdict, _, _ in twin]
        for column, k in ((found.since, 1), (found.known, 2)):
            assert column[rows].tolist() == [-1 if each[k] is None else each[k] + first for each in twin]


@given(st.lists(st.tuples(SHARE, SHARE), min_size=1, max_size=20), st.sampled_from([1, 2]))
def test_probabilities_equal_the_twin_and_keep_the_invariants(shares, reading):
    absent, telework = (np.array(column) for column in zip(*shares, strict=True))
    found = loss_probability(absent, telework, reading)
    twin = [naive_loss_probability(a, t, reading) for a, t in shares]
    assert found == pytest.approx(np.array(twin), abs=1e-9)
    assert ((found >= 0) & (found <= 1)).all()
    whole = absent if reading == 1 else 1 - telework
    assert whole * found == pytest.approx(np.maximum(absent - telework, 0), abs=1e-12)


@given(SHARE, SHARE, SHARE, st.sampled_from([1, 2]))
def test_probability_falls_in_telework_and_rises_in_absence(one, other, fixed, reading):
    low, high = sorted([one, other])
    by_telework = loss_probability(np.array([fixed, fixed]), np.array([low, high]), reading)
    assert by_telework[0] >= by_telework[1] - 1e-12
    by_absence = loss_probability(np.array([low, high]), np.array([fixed, fixed]), reading)
    assert by_absence[0] <= by_absence[1] + 1e-12


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), min_size=1, max_size=14),
    st.integers(0, 3),
)
@settings(max_examples=300, deadline=None)
def test_waves_equal_the_twin(excess, lead):
    found, twin = telework_waves(np.array(excess), lead), naive_waves(excess, lead)
    assert list(zip(found.first.tolist(), found.last.tolist(), strict=True)) == [weeks for weeks, _ in twin]
    for k, (_, level) in enumerate(twin):
        assert found.uptake[:, k] == pytest.approx(np.array(level))
    if lead == 0:  # else the weeks before a rise count twice
        assert found.uptake.sum(axis=1) == pytest.approx(np.array(excess))


# --- Presence -----------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([0, 1, 3, 5]), min_size=1, max_size=10), st.booleans())
@settings(max_examples=40, deadline=None)
def test_presence_of_random_weeks(n_days, apart):
    weeks = [5, 5, 5, 5, *n_days]
    rows = [visit for week, n in enumerate(weeks) for visit in week_of(week, days=range(n))]
    found = presence_of(rows, len(weeks), params={"apart_weekends": apart})
    assert found["visit_ratio"].to_numpy() == pytest.approx(np.array(weeks) / 5)
    assert found["hours_ratio"].to_numpy() == pytest.approx(np.array(weeks) / 5)
    assert found["is_absent"].tolist() == [n <= 1 for n in weeks]
    states = ["absent" if n <= 1 else "back" for n in weeks]
    twin = naive_absences(states, [5.0] * len(weeks), 3, 4.6, 4)
    assert found["is_at_risk"].tolist() == [verdict == "lasting" for verdict, _, _ in twin]
    assert found["is_undecided"].tolist() == [verdict == "undecided" for verdict, _, _ in twin]


# --- Sectors and persons --------------------------------------------------------------------------------

NO_SCORES = empty("employment_scores")
TRACTS = ("001", "002", "003")
JOBS = make_jobs([("001", "23", 3.0), ("001", "52", 1.0), ("001", "72", 1.0), ("002", "72", 2.0), ("002", "92", 1.0)])
TELEWORK = make_telework({"23": 0.2, "52": 0.8, "72": 0.05})


@st.composite
def people(draw):
    """PRESENCE of up to a dozen devices over up to four weeks."""
    n_weeks = draw(st.integers(1, 4))
    rows = []
    for device_id in range(draw(st.integers(1, 12))):
        tract = draw(st.sampled_from([*TRACTS, None]))
        for week in range(n_weeks):
            is_observed, is_at_risk, is_undecided = draw(st.sampled_from(KINDS))
            rows.append((device_id * 1_000_003, week, tract, is_observed, is_at_risk, is_undecided))
    return presence_rows(rows)


SPANS = [{"start": "2020-01-20", "end": "2020-01-26", "uptake": 0.9}]
KINDS = [(False, False, False), (True, False, False), (True, True, False), (True, False, True)]


def gathered(presence, params, n_buckets=1):
    parts = [
        sector_absence(
            presence[presence["device_id"] % n_buckets == k].reset_index(drop=True), JOBS, TELEWORK, 3, params
        )
        for k in range(n_buckets)
    ]
    return _finish(pd.concat([part for part in parts if len(part)] or parts[:1]), JOBS, TELEWORK, 3, params)


@given(people(), st.sampled_from(["fractional", "draw"]))
@settings(max_examples=60, deadline=None)
def test_shares_at_risk_equal_the_twin(presence, assignment):
    table = gathered(presence, SectorAbsenceParams(assignment=assignment, prior_devices=0))
    assert set(table["wave"]) <= {"none"}
    devices = presence.drop_duplicates("device_id")
    names, weight = sector_weights(JOBS, devices["work_tract_geoid"], devices["device_id"].to_numpy(), assignment, 3)
    weights = {d: dict(zip(names, row, strict=True)) for d, row in zip(devices["device_id"], weight, strict=True)}
    known = presence[presence["is_observed"] & ~presence["is_undecided"]]
    twin = naive_sector_shares(
        list(known[["device_id", "window_started", "is_at_risk"]].itertuples(index=False)), weights
    )
    assert len(table) == len(twin)
    for row in table.itertuples():
        n, total, share = twin[row.window_started, row.sector]
        assert row.n_devices == n
        assert row.weight == pytest.approx(total, abs=1e-6)
        assert row.at_risk_share == pytest.approx(share, abs=1e-6)


@given(people(), st.sampled_from(["fractional", "draw"]), st.sampled_from([1, 2]), st.sampled_from([0.0, 5.0]))
@settings(max_examples=60, deadline=None)
def test_buckets_change_nothing_and_probabilities_are_such(presence, assignment, reading, prior):
    params = SectorAbsenceParams(
        assignment=assignment, reading=reading, prior_devices=prior, telework_uptake=0.1, telework_spans=SPANS
    )
    table = gathered(presence, params)
    assert set(table["wave"]) <= {"none", "2020-01-13"}
    for n_buckets in (2, 5):
        pd.testing.assert_frame_equal(table, gathered(presence, params, n_buckets), check_exact=True)
    assert table["at_risk_share"].between(0, 1).all()
    found = employment(presence, JOBS, table, NO_SCORES, 3, EmploymentParams())
    is_known = presence["is_observed"] & ~presence["is_undecided"]
    assert found["loss_probability"].notna().tolist() == is_known.tolist()
    assert found["loss_probability"].dropna().between(0, 1).all()
    assert (found.loc[is_known & ~presence["is_at_risk"], "loss_probability"] == 0).all()
    assert ((found["status"] == "unknown") == ~is_known).all()
    assert (found["lost_on"].notna() == (found["status"] == "not_employed")).all()
    parts = [
        employment(
            presence[presence["device_id"] % 2 == k].reset_index(drop=True),
            JOBS,
            table,
            NO_SCORES,
            3,
            EmploymentParams(),
        )
        for k in range(2)
    ]
    whole = pd.concat(parts).sort_values(["device_id", "window_started"], ignore_index=True)
    pd.testing.assert_frame_equal(found, whole, check_exact=True, check_dtype=False)


@given(people(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_expected_losses_are_absence_beyond_telework(presence, is_by_wave):
    """Summed over devices, reading 1 gives each sector's weight times max(r - R, 0), in every wave."""
    spans = {"telework_uptake": 0.1, "telework_spans": SPANS} if is_by_wave else {}
    table = gathered(presence, SectorAbsenceParams(prior_devices=0, **spans))
    found = employment(presence, JOBS, table, NO_SCORES, 3, EmploymentParams())
    beyond = table["weight"] * (table["at_risk_share"] - table["telework_share"]).clip(lower=0)
    assert found["loss_probability"].sum() == pytest.approx(beyond.sum(), abs=1e-5)
