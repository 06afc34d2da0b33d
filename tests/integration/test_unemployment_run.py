"""Panel weights and unemployment through the engine: rows whatever the buckets, small regions gone, bias mended."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data_contracts import TABLES
from pipeline.catalog import load
from pipeline.engine.run import open_run
from pipeline.engine.store import ShardKey, Store
from pipeline.evaluation.representativeness import compare_groups, panel_size
from pipeline.settings import Settings
from pipeline.study import Study
from tests.benchmarks import bench_panel_weights as bench
from tests.conftest import all_rows
from tests.stay_rows import empty

MONDAYS = pd.date_range("2020-03-02", periods=6, freq="7D")
N_AREAS = 40
CHANCE = np.random.default_rng(5)
IDS = [f"{4 if k < 20 else 36:02d}{k // 10 if k else 99:03d}{k:06d}" for k in range(N_AREAS)]
PEOPLE = CHANCE.uniform(2000, 8000, N_AREAS).round()
PEOPLE[0] = 300
"""The first area is a county by itself, of fewer than ten devices."""
POOR = np.linspace(0.1, 0.8, N_AREAS)[CHANCE.permutation(N_AREAS)]
"""Share of poor people by area; they lose jobs, and have fewer phones in the panel."""
LOSS = 0.05 + 0.3 * POOR
TRUE_RATE = (PEOPLE * LOSS).sum() / PEOPLE.sum()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of two states whose areas are squares, with residents and incomes on file."""
    folder = tmp_path_factory.mktemp("world")
    squares = [
        {
            "type": "Feature",
            "properties": {"GEOID": area, "POP": int(people)},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[k, 0], [k + 1, 0], [k + 1, 1], [k, 1], [k, 0]]],
            },
        }
        for k, (area, people) in enumerate(zip(IDS, PEOPLE, strict=True))
    ]
    (folder / "areas.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": squares}))
    rows = [f"{area},{share},{1 - share}\n" for area, share in zip(IDS, POOR, strict=True)]
    (folder / "income.csv").write_text("GEOID,poor,rich\n" + "".join(rows))
    values = {
        "name": "weights", "start": "2020-03-01", "end": "2020-04-30", "zone": "UTC", "sources": [],
        "tracts": {"path": "areas.geojson", "id_column": "GEOID", "population_column": "POP"},
        "demographics": {
            "path": "income.csv", "id_column": "GEOID",
            "groups": {"income": {"poor": "poor", "rich": "rich"}}, "totals": {"income": 1},
        },
    }  # fmt: skip
    return Study.from_dict(values, folder=folder)


def make_panel():
    """Homes and employment of 3,000 devices, fewer of them where people are poor, and 30 without a home area."""
    chance = np.random.default_rng(6)
    n_devices = chance.poisson(3000 * PEOPLE * np.exp(-2.5 * POOR) / (PEOPLE * np.exp(-2.5 * POOR)).sum())
    area = np.concatenate([np.repeat(np.arange(N_AREAS), n_devices), np.full(30, -1)])
    device_id = np.sort(chance.integers(-(2**63), 2**63, area.size))
    home = pd.Series([IDS[k] if k >= 0 else None for k in area], dtype="str")
    places = empty("home_work").reindex(range(area.size)).assign(
        device_id=device_id, span="baseline", role="home", rank=1, window_started=MONDAYS[0],
        window_finished=MONDAYS[-1], location_id=0, tract_geoid=home, n_days=20, share=1.0, confidence=1.0,
    )  # fmt: skip
    # half of those who lose the job do so in the fourth week
    lost = chance.random(area.size) < np.where(area >= 0, LOSS[area], 0.5)
    weeks = []
    for week, monday in enumerate(MONDAYS):
        loss = np.where(lost & (week >= 3), 1.0, 0.0)
        loss[chance.random(area.size) < 0.1] = np.nan
        status = np.where(np.isnan(loss), "unknown", np.where(loss == 1, "not_employed", "employed"))
        weeks.append(
            empty("employment").reindex(range(area.size)).assign(
                device_id=device_id, window_started=monday, home_tract_geoid=home,
                is_at_risk=loss == 1, is_undecided=False, loss_probability=loss, status=pd.Series(status, dtype="str"),
            )
        )  # fmt: skip
    work = pd.concat(weeks).sort_values(["device_id", "window_started"], ignore_index=True)
    return {"home_work": places, "employment": work}


def run(root, study, n_buckets):
    store = Store(root)
    for name, frame in make_panel().items():
        bucket = frame["device_id"].to_numpy().astype(np.uint64) % np.uint64(n_buckets)
        for number in range(n_buckets):
            rows = pa.Table.from_pandas(frame[bucket == number], schema=TABLES[name].schema, preserve_index=False)
            store.write(TABLES[name], ShardKey(bucket=number), rows, {})
    settings = Settings(root=root, n_buckets=n_buckets, n_threads=2)
    with open_run(study, settings, "test") as opened:
        return {name: opened.execute(name) for name in ("tracts", "demographics", "panel_weights", "unemployment")}


@pytest.fixture(scope="module")
def roots(study, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOJOURN_KEY", "a key for tests that is long enough")
        folder = tmp_path_factory.mktemp("roots")
        return {n: (folder / str(n), run(folder / str(n), study, n)) for n in (1, 5)}


def test_buckets_change_no_row(roots):
    for table in ("panel_weights", "unemployment"):
        one, other = (all_rows(roots[n][0], table) for n in (1, 5))
        assert one.num_rows > 0 and one.equals(other)


def test_regions_of_few_devices_are_gone_and_counted(roots):
    root, summaries = roots[1]
    rates = load("unemployment", root=root)
    assert rates["n_devices"].min() >= 10
    counties = rates[rates["region_geoid"].str.len() == 5]
    # county 04099 is small; the state less the two others would tell of it, so that 04000 is hidden too
    assert sorted(counties["region_geoid"].unique()) == ["04001", "36002", "36003"]
    assert set(rates["region_geoid"]) >= {"all", "04", "36"}
    assert set(rates["window"]) == {"week", "month"}
    assert summaries["unemployment"].details["n_suppressed"] > 0


def test_weights_mend_what_the_biased_panel_gets_wrong(roots):
    rates = load("unemployment", root=roots[1][0])
    last = rates[(rates["region_geoid"] == "all") & (rates["window_started"] == MONDAYS[-1])].set_index("weighting")
    off = (last["rate"] - TRUE_RATE).abs()
    assert off["none"] > 0.02
    assert off["area"] < 0.012 and off["raked"] < 0.012
    for weighting in ("area", "raked"):
        row = last.loc[weighting]
        assert row["rate_low"] <= TRUE_RATE <= row["rate_high"]
        assert row["n_effective"] < row["n_devices"]
    assert last.loc["none", "rate_high"] < TRUE_RATE
    # devices without a home area count in the plain rate of the whole study alone: 9 in 10 of 30 are known in a week
    assert last.loc["none", "n_devices"] - last.loc["area", "n_devices"] == pytest.approx(27, abs=3)


def test_population_beside_sample_from_the_root(roots):
    tables = {name: load(name, root=roots[1][0]) for name in ("panel_weights", "tracts", "demographics")}
    groups = compare_groups(**tables).set_index("group")
    assert groups.loc["poor", "population"] == pytest.approx((PEOPLE * POOR).sum() / PEOPLE.sum())
    assert groups.loc["poor", "unweighted"] < groups.loc["poor", "population"] - 0.1
    assert groups.loc["poor", "raked"] == pytest.approx(groups.loc["poor", "population"], abs=1e-3)
    size = panel_size(tables["panel_weights"], tables["tracts"])
    assert size.effective["raked"] < size.effective["unweighted"] == size.n_devices
    assert size.raked_gap < 1e-3


def test_weights_mend_bias_between_real_tracts_and_not_within_them(shared_data):
    tracts, demographics = bench.read_washington(shared_data)
    share = bench.shares_of_group(tracts, demographics)
    people = tracts["population"].to_numpy()
    truth = (people * ((1 - share) * bench.LOSS[0] + share * bench.LOSS[1])).sum() / people.sum()
    off = {}
    for name in ("tracts differ with their groups", "persons of one tract differ too"):
        errors = []
        for seed in range(5):
            chance = np.random.default_rng(seed)
            home, lost = bench.make_panel(chance, tracts, share, bench.SCENARIOS[name], 2000)
            weights, rates = bench.tables(chance, tracts, demographics, home, lost)
            errors.append(rates["rate"] - truth)
            assert weights["raked_gap"].max() < 1e-3
        off[name] = pd.concat(errors, axis=1).mean(axis=1)
    between, within = off.values()
    assert between["none"] < -0.03 and abs(between["area"]) < 0.015 and abs(between["raked"]) < 0.01
    assert within["none"] < -0.05 and within["raked"] < -0.02
