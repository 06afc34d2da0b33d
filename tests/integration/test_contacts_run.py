"""Contacts of a simulated city, run as a study: the pairs behind them, buckets, runs again, lineage, logs."""

import numpy as np
import pandas as pd
import pytest

from data_contracts import CONTACTS, VISITS
from pipeline.engine.run import open_run, status
from pipeline.engine.store import ShardKey, Store
from pipeline.engine.trace import trace
from pipeline.settings import Settings
from pipeline.simulation import CityParams, raw_dates, write_city, write_tracts
from pipeline.simulation.npi_params import Households
from pipeline.stages.contacts import ContactParams
from pipeline.study import Study
from pipeline.visit_days import day_pieces
from tests.conftest import COLUMNS, all_rows, shard_bytes
from tests.contact_pairs import list_meetings

CITY = CityParams(
    n_devices=40, n_days=4, pings_per_day=300.0, radius_m=1_500.0, density_decay_m=1_500.0, n_towns=1, town_share=0.0,
    n_places=50, n_workplaces=20, n_tracts=4, faults=0.0, households=Households(),
)  # fmt: skip
NEEDED = (
    "tracts", "pings", "coverage", "stays", "locations", "visits", "home_work", "panel_weights", "contacts",
)  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("dense")
    write_city(CITY, folder, 0, 1)
    days = raw_dates(CITY)
    source = {"path": str(folder / "raw"), "format": "parquet", "time_unit": "s", "columns": COLUMNS}
    tracts = {"path": str(write_tracts(CITY, folder)), "id_column": "tract_geoid", "population_column": "population"}
    fields = {"name": "dense", "start": days[0], "end": days[-1], "zone": CITY.zone}
    return Study.from_dict(fields | {"sources": [source], "tracts": tracts})


def run(study: Study, root, n_buckets: int, n_threads: int = 2, stages=NEEDED) -> dict:
    with open_run(study, Settings(root=root, n_buckets=n_buckets, n_threads=n_threads), "test") as opened:
        return {name: opened.execute(name) for name in stages}


@pytest.fixture(scope="module")
def done(study, tmp_path_factory, monkeypatch_module):
    root = tmp_path_factory.mktemp("root") / "tables"
    run(study, root, 3)
    return root


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOJOURN_KEY", "a key for tests that is long enough")
        yield patch


def test_the_table_adds_up_the_pairs_written_down(done):
    visits = pd.concat([Store(done).read(VISITS, key).to_pandas() for key in Store(done).keys(VISITS)])
    default = ContactParams()
    met = list_meetings(visits, day_pieces(visits), default.contact_m, default.overlap_s)
    table = all_rows(done, "contacts").to_pandas(date_as_object=False)
    day = table["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    found = table.assign(
        day=day, n=table["n_people"] + table["n_household"], s=table["contact_s"] + table["household_s"]
    )
    expected = met.groupby(["device_id", "day"])["together_s"].agg(["size", "sum"])
    sums = found.groupby(["device_id", "day"])[["n", "s"]].sum()
    assert sums["n"].to_dict() == expected["size"].to_dict()
    np.testing.assert_allclose(sums["s"], expected["sum"])
    assert table["n_people"].sum() > 50 and table["n_household"].sum() > 10 and table["n_repeated"].sum() > 5
    assert set(table["place_kind"]) >= {"home", "work", "other"}
    # 400,000 residents for at most 40 devices with a home: each of these is thousands, the others nobody.
    assert table["people_weighted"].sum() >= 5000 * table["n_people"].sum()
    assert (table["people_weighted"] <= 400_000 * table["n_people"]).all()


@pytest.mark.parametrize(("n_buckets", "n_threads"), [(1, 1), (7, 2)])
def test_buckets_and_threads_change_no_row(study, done, tmp_path, n_buckets, n_threads):
    run(study, tmp_path, n_buckets, n_threads)
    assert all_rows(tmp_path, "contacts").equals(all_rows(done, "contacts"))


def test_a_second_run_computes_nothing_and_a_lost_shard_comes_back_as_it_was(study, done):
    before = shard_bytes(done, "contacts")
    assert len(before) == 3
    assert run(study, done, 3, stages=["contacts"])["contacts"].shards == {"current": 3}
    Store(done).remove(CONTACTS, ShardKey(bucket=2))
    states = {r.path: r.state for r in status(study, Settings(root=done, n_buckets=3)) if r.table == "contacts"}
    assert states["bucket=0002.parquet"] == "missing" and states["bucket=0000.parquet"] == "current"
    assert run(study, done, 3, stages=["contacts"])["contacts"].shards == {"current": 2, "computed": 1}
    assert shard_bytes(done, "contacts") == before


def test_other_params_make_all_shards_stale_and_lineage_leads_to_all_buckets(study, done):
    other = study.model_copy(update={"params": {"contacts": {"contact_m": 10.0}}})
    reports = [r for r in status(other, Settings(root=done, n_buckets=3)) if r.table == "contacts"]
    assert {(r.state, r.why) for r in reports} == {("stale", ("parameter contact_m: 20.0 → 10.0",))}
    inputs = {node["name"] for node in trace(done, "contacts", None, 0)["inputs"]}
    assert {"visits (3 shards)", "home_work (3 shards)", "panel_weights/all.parquet"} <= inputs
