"""Routines end to end: planted ones are found, none where there is no order, and buckets change nothing."""

import numpy as np
import pandas as pd
import pytest

from pipeline.engine.run import open_run
from pipeline.kernels.keyed_random import keyed_bits
from pipeline.kernels.place_sequences import place_sequences
from pipeline.kernels.routines import find_routines
from pipeline.settings import Settings
from pipeline.stages.routines import RoutineParams
from tests.conftest import all_rows
from tests.planted_routines import is_found, orderless, place_shares, planted

NEEDED = ("tracts", "pois", "pings", "stays", "locations", "visits", "routines", "entropy")
PARAMS = RoutineParams()
N_PEOPLE = 150
SHARE = place_shares(15, 1.0)
MONTH = 120
"""Visits of a month."""


def find(sequences):
    start = np.cumsum([0, *(len(one) for one in sequences)])
    rows = place_sequences(start, np.concatenate(sequences).astype(np.int64), True)
    assert (rows.start == start).all()
    stream = keyed_bits(np.arange(len(sequences)), "test", 3)
    return find_routines(rows.start, rows.symbol, stream, PARAMS.n_shuffles, PARAMS.n_above, False), start


def test_planted_routines_are_found():
    """Routines of four and of five places, each followed six times in a month of 120 visits to 15 places."""
    rng = np.random.default_rng(1)
    people = [planted(rng, MONTH, SHARE, [4, 5], 6) for _ in range(N_PEOPLE)]
    found, start = find([one.sequence for one in people])
    patterns = [[] for _ in people]
    for g, a, length in zip(found.group, found.start, found.length, strict=True):
        within = a - start[g]
        patterns[g].append(people[g].sequence[within : within + length])
    hits = [is_found(routine, patterns[g]) for g, one in enumerate(people) for routine in one.routines]
    print(f"recall {np.mean(hits):.3f} of {len(hits)} planted routines")
    assert np.mean(hits) >= 0.9
    assert found.group.size / N_PEOPLE < 2.5


@pytest.mark.parametrize("n", [30, MONTH])
def test_where_there_is_no_order_routines_are_as_rare_as_they_should_be(n):
    """Within three standard errors of the nominal rate, from both sides."""
    rng, n_people = np.random.default_rng(2), 600
    found, _ = find([orderless(rng, n, SHARE) for _ in range(n_people)])
    nominal = (PARAMS.n_above + 1) / (PARAMS.n_shuffles + 1)
    rate = np.unique(found.group).size / n_people
    print(f"a routine in {rate:.4f} of sequences without order, nominal {nominal:.4f}")
    assert abs(rate - nominal) < 3 * np.sqrt(nominal * (1 - nominal) / n_people)


def test_the_count_of_buckets_changes_nothing(city, tmp_path):
    tables = []
    for n_buckets in (1, 4):
        root = tmp_path / str(n_buckets)
        with open_run(city.study(), Settings(root=root, n_buckets=n_buckets, n_threads=2), "test") as run:
            for name in run.stages:
                if name in NEEDED:
                    run.execute(name)
        tables.append(all_rows(root, "routines").to_pandas(date_as_object=False))
    pd.testing.assert_frame_equal(*tables)
    visits = all_rows(tmp_path / "4", "visits").to_pandas()
    whole = tables[0][tables[0]["window"] == "study"]
    assert len(whole) == visits["device_id"].nunique() > 10
    assert whole["n_visits"].sum() == len(visits)
    assert all_rows(tmp_path / "4", "entropy").to_pandas()["predictability"].notna().any()
