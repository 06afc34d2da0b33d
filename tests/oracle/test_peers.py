"""Every cell of the table of measures and peers, on simulated people and on people of GeoLife; and its page."""

import json

import fastmob
import fastmob.privacy
import pytest
import trackintel.analysis

from tests.oracle.peer_cells import FASTMOB, PEERS, SKMOB, TRACKINTEL, Cell
from tests.oracle.peer_data import N_REAL, real, simulated
from tests.oracle.peer_outside import OUTSIDE, SAME_AS, SKMOB_MEASURES
from tests.oracle.peers import ROWS
from tests.oracle.table import PAGE, RESULTS, measure, render

CELLS = [(row.measure, peer) for row in ROWS for peer, cell in row.cells.items() if isinstance(cell, Cell)]

BY_NAME = {row.measure: row for row in ROWS}


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
    assert found["n"] > (0 if BY_NAME[measure_name].is_one else 2)
    _check(found, _kept("simulated")[measure_name][peer])


@pytest.mark.oracle
@pytest.mark.parametrize(("measure_name", "peer"), CELLS)
def test_real_people(of_real, measure_name, peer):
    found = of_real[measure_name][peer]
    assert (found["n"] > 0) != BY_NAME[measure_name].is_release, "of five people a release shows nothing"
    _check(found, _kept("real")[measure_name][peer])


def test_the_page_is_in_sync():
    """To renew it: python -m tests.oracle.table --write MEASURES.md."""
    assert render(json.loads(RESULTS.read_text())) == PAGE.read_text()


PUBLIC = {
    SKMOB: SKMOB_MEASURES,
    FASTMOB: [name for name in fastmob.measures.__all__ + fastmob.privacy.__all__ if name[0].islower()],
    TRACKINTEL: trackintel.analysis.__all__,
}
"""Functions of the modules of measures; fastmob's classes hold results."""


@pytest.mark.parametrize("peer", PEERS)
def test_every_public_measure_of_a_peer_has_a_cell_or_a_reason(peer):
    for name in PUBLIC[peer]:
        row = BY_NAME.get(SAME_AS.get(name, name))
        assert (row is not None and peer in row.cells) != (name in OUTSIDE), name


def test_no_reason_is_given_for_what_no_peer_has():
    public = {name for names in PUBLIC.values() for name in names}
    assert set(OUTSIDE) | set(SAME_AS) <= public


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
