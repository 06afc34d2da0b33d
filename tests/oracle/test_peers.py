"""Every cell of the table of measures and peers, on simulated people and on people of GeoLife; and its page."""

import json

import pytest

from tests.oracle.peer_cells import PEERS, Cell
from tests.oracle.peer_data import N_REAL, real, simulated
from tests.oracle.peers import ROWS
from tests.oracle.table import PAGE, RESULTS, measure, render

CELLS = [(row.measure, peer) for row in ROWS for peer, cell in row.cells.items() if isinstance(cell, Cell)]


@pytest.fixture(scope="module")
def of_simulated(reference):
    return measure(simulated())


@pytest.fixture(scope="module")
def of_real(reference, geolife_pings):
    return measure(real(geolife_pings(N_REAL)))


def _check(found, kept):
    """All are equal under the definition of the peer, and as many as the page says by default."""
    assert found["n_alike"] == found["n"]
    assert {name: found[name] for name in ("n", "n_equal", "n_alike")} == {
        name: kept[name] for name in ("n", "n_equal", "n_alike")
    }
    largest = kept["largest"]
    assert found["largest"] == (None if largest is None else pytest.approx(largest, rel=0.05))


def _kept(data):
    return json.loads(RESULTS.read_text())[data]


@pytest.mark.oracle
@pytest.mark.parametrize(("measure_name", "peer"), CELLS)
def test_simulated_people(of_simulated, measure_name, peer):
    found = of_simulated[measure_name][peer]
    assert found["n"] > 3 or measure_name == "mean_square_displacement"
    _check(found, _kept("simulated")[measure_name][peer])


@pytest.mark.oracle
@pytest.mark.parametrize(("measure_name", "peer"), CELLS)
def test_real_people(of_real, measure_name, peer):
    _check(of_real[measure_name][peer], _kept("real")[measure_name][peer])


def test_the_page_is_in_sync():
    """To renew it: python -m tests.oracle.table --write MEASURES.md."""
    assert render(json.loads(RESULTS.read_text())) == PAGE.read_text()


def test_the_declaration_is_whole():
    names = [row.measure for row in ROWS]
    assert len(set(names)) == len(names)
    for row in ROWS:
        assert row.cells and set(row.cells) <= set(PEERS), row.measure
        assert row.where, row.measure
        for cell in row.cells.values():
            if isinstance(cell, Cell):
                assert bool(cell.alike) == bool(cell.variant), row.measure
                assert cell.reason or not cell.alike, row.measure
