"""Official series of Arizona, Kentucky, New York and Oklahoma in 2020, and `sojourn evaluate unemployment` as a user
meets it."""

import json
from datetime import date, timedelta
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data_contracts import TABLES
from pipeline.engine.store import ALL, Store
from pipeline.references import OfficialRates
from pipeline.sources import read_official_rates

STATES = {"04": "Arizona", "21": "Kentucky", "36": "New York", "40": "Oklahoma"}
LAUS = "bls_laus_states/ststdsadata.xlsx"
CLAIMS = "oi_economic_tracker/UI Claims - State - Weekly.csv.gz"


@pytest.fixture
def sojourn(sojourn):
    return partial(sojourn, "evaluate", "unemployment", columns=100)


@pytest.fixture
def study_file(shared_data, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        'name = "official"\nstart = 2020-01-01\nend = 2020-12-31\nzone = "America/New_York"\nsources = []\n'
        f'[official_rates]\nlaus_path = "{shared_data / LAUS}"\nclaims_path = "{shared_data / CLAIMS}"\n'
    )
    return path


@pytest.fixture(scope="module")
def real(shared_data):
    rates = read_official_rates(OfficialRates(laus_path=LAUS, claims_path=CLAIMS), shared_data)
    return rates.to_pandas(date_as_object=False)


def by_cell(out):
    return {(row["region"], row["official"], row["lag"]): row for row in json.loads(out)["correlations"]}


def test_laus_goes_with_claims_in_the_four_states(sojourn, study_file, real):
    chosen = [option for state in STATES for option in ("--region", state)]
    code, out, err = sojourn(study_file, "--official-only", *chosen, "--json")
    assert code == 0, err
    cells = by_cell(out)
    assert {region for region, _, _ in cells} == {*STATES, "pooled"}
    # stock with stock: high in every state at lag 0, and nowhere as high three months off
    for state in STATES:
        row = cells[state, "continued_claims", 0]
        assert row["n_pairs"] == 12
        assert row["pearson"] > 0.75 and row["spearman"] > 0.85
        assert row["pearson_low"] > 0.3
        assert abs(cells[state, "continued_claims", 3]["pearson"]) < 0.5
        assert row["pearson"] == pytest.approx(_plain_correlation(real, state), abs=1e-9)
    pooled = cells["pooled", "continued_claims", 0]
    assert (pooled["n_pairs"], round(pooled["pearson"], 2), round(pooled["spearman"], 2)) == (48, 0.82, 0.83)
    # change with flow: January has no month before in the span
    assert cells["36", "initial_claims", 0]["n_pairs"] == 11
    assert all(cells[state, "initial_claims", 0]["pearson"] > 0.4 for state in STATES)


def _plain_correlation(rates, state):
    """LAUS's rate of each month of 2020 with the mean of its weeks, in plain steps."""
    rows = rates[(rates["region_geoid"] == state) & (rates["window_started"].dt.year == 2020)]
    month = rows["window_started"].dt.month
    laus = rows[rows["series"] == "laus_rate"].groupby(month)["value"].mean()
    claims = rows[rows["series"] == "continued_claims"].groupby(month)["value"].mean()
    return np.corrcoef(laus, claims)[0, 1]


def test_the_printed_table_names_states_lags_and_what_the_interval_is(sojourn, study_file):
    code, out, err = sojourn(study_file, "--official-only", "--region", "36")
    assert code == 0, err
    assert "laus_rate with continued_claims, by month" in out
    assert "change of laus_rate with initial_claims, by month" in out
    assert "0.91" in out and "block bootstrap" in out


# --- A root of one's own --------------------------------------------------------------------------------


WEEKS = [date(2020, 1, 6) + timedelta(weeks=k) for k in range(30)]
MONTHS = [date(2020, k, 1) for k in range(1, 8)]


def wave(k):
    return 0.05 + 0.1 * np.exp(-(((k - 12) / 4) ** 2))


@pytest.fixture
def root(tmp_path):
    """Rates of two states that come three weeks before continued claims, and as LAUS; a third state has no rates."""
    ours, official = [], []
    for state, level in (("04", 1.0), ("36", 1.5)):
        for k, monday in enumerate(WEEKS):
            for weighting, off in (("none", 0.01 * (-1) ** k), ("area", 0.0)):
                ours.append((state, "week", monday, weighting, level * wave(k) + off))
            official.append((state, "continued_claims", "week", monday, level * wave(k - 3)))
        for k, first in enumerate(MONTHS):
            ours.append((state, "month", first, "area", level * wave(4 * k)))
            official.append((state, "laus_rate", "month", first, level * wave(4 * k) + 0.02))
    official.append(("40", "laus_rate", "month", MONTHS[0], 0.05))
    store = Store(tmp_path / "tables")
    rates = pd.DataFrame(ours, columns=["region_geoid", "window", "window_started", "weighting", "rate"])
    rates = rates.assign(
        n_devices=100, n_effective=100.0, rate_low=rates["rate"], rate_high=rates["rate"], is_provisional=False
    )
    write(store, "unemployment", rates)
    names = ["region_geoid", "series", "window", "window_started", "value"]
    write(store, "official_rates", pd.DataFrame(official, columns=names))
    return tmp_path / "tables"


def write(store, name, frame):
    table = TABLES[name]
    frame = frame.sort_values(list(table.key), ignore_index=True)
    store.write(table, ALL, pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False), {})


def test_rates_of_a_root_against_its_official_rates(sojourn, root):
    code, out, err = sojourn("--root", root, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["weighting"], result["n_regions"], result["n_regions_official"]) == ("area", 2, 3)
    cells = by_cell(out)
    for state in ("04", "36"):
        assert cells[state, "continued_claims", 3]["pearson"] == pytest.approx(1)
        assert cells[state, "continued_claims", 3]["pearson_low"] == pytest.approx(1)
        assert cells[state, "continued_claims", 0]["pearson"] < 0.95
        assert cells[state, "laus_rate", 0]["pearson"] == pytest.approx(1)
    # seven months are no three blocks of three
    assert cells["04", "laus_rate", 0]["pearson_low"] is None
    unweighted = by_cell(sojourn("--root", root, "--weighting", "none", "--json")[1])
    assert unweighted["04", "continued_claims", 3]["pearson"] < 0.999
    assert {region for region, _, _ in by_cell(sojourn("--root", root, "--region", "04", "--json")[1])} == {
        "04",
        "pooled",
    }


def test_rates_of_a_root_against_a_file(sojourn, root, tmp_path):
    rows = [f"36,laus_rate,month,{first},{0.04 + 0.01 * k}\n" for k, first in enumerate(MONTHS)]
    (tmp_path / "own.csv").write_text("region_geoid,series,window,window_started,value\n" + "".join(rows))
    code, out, err = sojourn("--root", root, "--rates", tmp_path / "own.csv")
    assert code == 0, err
    assert "1 regions of 2 digits with both series, of 2 and 1; weighting: area" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--root", "."], "unemployment"),
        ([], "name the tables with --root"),
        (["--official-only", "--root", "."], "leave out --root"),
        (["--official-only"], "study file"),
    ],
)
def test_what_cannot_be_compared_is_said(sojourn, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = sojourn(*arguments)
    assert code != 0 and message in err and out == ""


def test_a_study_without_official_rates(sojourn, tmp_path):
    (tmp_path / "s.toml").write_text('name = "x"\nstart = 2020-01-01\nend = 2020-12-31\nzone = "UTC"\nsources = []\n')
    code, _, err = sojourn(tmp_path / "s.toml", "--official-only")
    assert code != 0 and "[official_rates]" in err
