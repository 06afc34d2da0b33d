"""No sum or difference of rows that suppression leaves tells of a hidden row or of a few devices."""

from collections import defaultdict
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pipeline import known_sets as known_sets_module
from pipeline.suppression import Margin, hide
from tests.naive_release import is_made, naive_told, span_of

FEW = 4
SHAPES = ((("o", (1,)),), (("o", ()), ("d", ())), (("o", (1,)), ("d", ())), (("o", ()), ("d", ()), ("t", ())))


def levels_of(value, digits):
    return [value, *(value[:n] for n in digits), "all"]


def random_cells(chance, margins, n_times):
    """Return the devices of each base cell, a device in `n_times` cells at most, with repetitions."""
    cells = defaultdict(list)
    for device in range(chance.integers(6, 40)):
        for _ in range(n_times):
            most = 2 if len(margins) == 3 else 3
            values = [str(min(chance.geometric(0.4), most)) for _ in margins]
            ends = [str(chance.integers(2)) if digits else "" for _, digits in margins]
            cells[tuple(v + e for v, e in zip(values, ends, strict=True))].append(device)
    return dict(cells)


def all_rows(cells, margins):
    """Return for each row of the table with margins the base cells below it."""
    rows = defaultdict(set)
    for cell in cells:
        for key in product(*(levels_of(value, digits) for value, (_, digits) in zip(cell, margins, strict=True))):
            rows[key].add(cell)
    return dict(rows)


def to_frame(rows, cells, margins):
    frame = pd.DataFrame(list(rows), columns=[name for name, _ in margins], dtype="str")
    frame["n_devices"] = [len({d for cell in of for d in cells[cell]}) for of in rows.values()]
    frame["n_trips"] = [float(sum(len(cells[cell]) for cell in of)) for of in rows.values()]
    return frame


@given(st.integers(0, 2**32), st.sampled_from(SHAPES), st.integers(1, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_sum_of_shown_rows_tells_of_hidden_ones(seed, margins, n_times, has_rest):
    chance = np.random.default_rng(seed)
    cells = random_cells(chance, margins, n_times)
    rows = all_rows(cells, margins)
    if has_rest:  # of one origin only the margins are told
        rows = {key: of for key, of in rows.items() if key[0][0] != "2"}
    frame = to_frame(rows, cells, margins)
    keys = [name for name, _ in margins]
    named = [Margin(name, digits=digits, is_partition=n_times == 1) for name, digits in margins]
    state = hide(frame, keys, named, ["n_trips"], FEW)
    shuffled = frame.sample(frac=1, random_state=seed % 2**32)
    assert hide(shuffled, keys, named, ["n_trips"], FEW).sort_index().equals(state)
    assert (state[frame["n_devices"] < FEW] == "primary").all()
    assert (frame["n_devices"][state == "complementary"] >= FEW).all()
    shown, hidden = (
        {key: of for key, of, s in zip(rows, rows.values(), state, strict=True) if (s == "shown") == is_it}
        for is_it in (True, False)
    )
    assert not naive_told(shown, {cell: set(devices) for cell, devices in cells.items()}, hidden, FEW)


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_two_overlapping_cuts_published_as_one_table_tell_nothing_together(seed):
    """Regions at two resolutions, each for everybody and for a group: what one cut hides the other does not tell."""
    chance = np.random.default_rng(seed)
    cells = defaultdict(list)
    for device in range(chance.integers(15, 60)):
        cells[f"{min(chance.geometric(0.5), 3)}{chance.integers(3)}", "poor" if chance.random() < 0.6 else "-"].append(
            device
        )
    margins = (("region", (1,)), ("group", ()))
    rows = {key: of for key, of in all_rows(cells, margins).items() if key[1] != "-"}
    frame = to_frame(rows, cells, margins)
    named = [Margin("region", digits=(1,), is_partition=True), Margin("group", is_partition=True)]
    state = hide(frame, ["region", "group"], named, [], FEW)
    shown = {key: of for key, of, s in zip(rows, rows.values(), state, strict=True) if s == "shown"}
    hidden = {key: of for key, of, s in zip(rows, rows.values(), state, strict=True) if s != "shown"}
    assert not naive_told(shown, {cell: set(devices) for cell, devices in cells.items()}, hidden, FEW)


def states(rows, *margins):
    """State by key of rows (key..., devices, trips)."""
    names = [margin.column for margin in margins]
    frame = pd.DataFrame(rows, columns=[*names, "n_devices", "n_trips"])
    found = hide(frame, names, margins, ["n_trips"], 10)
    return dict(zip(frame[names].itertuples(index=False, name=None), found, strict=True))


def test_the_smallest_sibling_is_hidden_beside_a_hidden_one():
    rows = [("all", 100, 300.0), ("a", 60, 180.0), ("b", 33, 100.0), ("c", 7, 20.0)]
    assert states(rows, Margin("o")) == {("all",): "shown", ("a",): "shown", ("b",): "complementary", ("c",): "primary"}


def test_two_hidden_ones_of_enough_devices_protect_each_other():
    rows = [("all", 108, 330.0), ("a", 60, 180.0), ("b", 33, 100.0), ("c", 7, 20.0), ("d", 8, 30.0)]
    assert states(rows, Margin("o", is_partition=True))["b",] == "shown"
    # Of 101 devices some count twice: c and d may be of the same eight.
    rows[0] = ("all", 101, 330.0)
    assert states(rows, Margin("o"))["b",] == "complementary"


def test_what_a_margin_holds_beyond_its_parts_is_a_cell_too():
    # 4 devices are in no region: all less a less b would tell their trips
    rows = [("all", 97, 292.0), ("a", 60, 180.0), ("b", 33, 100.0)]
    assert states(rows, Margin("o"))["b",] == "complementary"
    rows[0] = ("all", 93, 280.0)
    assert set(states(rows, Margin("o")).values()) == {"shown"}


def test_a_bridge_between_two_blocks_of_hidden_cells_is_found():
    # Two hidden cells in each row and column, and yet (b, y) follows: rows a and b less columns x and y leave it.
    small = {("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("b", "z"), ("c", "z"), ("c", "w"), ("d", "z"), ("d", "w")}
    cells = {(o, d): 6 if (o, d) in small else 40 for o in "abcd" for d in "xyzw"}
    whole = [
        (o, d, sum(n for (p, q), n in cells.items() if o in (p, "all") and d in (q, "all")))
        for o in (*"abcd", "all")
        for d in (*"xyzw", "all")
    ]
    found = states([(*row, 3.0 * row[2]) for row in whole], *(Margin(k, is_partition=True) for k in "od"))
    assert sum(s == "primary" for s in found.values()) == len(small)
    assert "complementary" in found.values()


def test_what_does_not_add_up_is_refused():
    with pytest.raises(ValueError, match="more than their margin"):
        states([("all", 50, 10.0), ("a", 30, 11.0)], Margin("o"))
    with pytest.raises(ValueError, match="not unique"):
        states([("all", 50, 10.0), ("all", 30, 11.0)], Margin("o"))
    with pytest.raises(ValueError, match="nothing adds up"):
        hide(pd.DataFrame({"o": ["all"], "n_devices": [1]}), ["o"], [Margin("o")], [], 10)


def test_a_table_without_rows_has_no_states():
    assert hide(pd.DataFrame({"o": [], "n_devices": [], "n": []}), ["o"], [Margin("o")], ["n"], 10).empty


def many_small(n_more):
    """States by key where r1 + r2 - c1 - c2 may leave three cells of one device, beside many more small cells."""
    cells = {(o, d): 9 for o in ("r1", "r2") for d in ("c1", "c2")}
    cells |= {("r1", "z1"): 1, ("r1", "z2"): 1, ("r2", "z3"): 1}
    cells |= {(f"s{k % 12}", f"z{1 + k // 12}"): 4 for k in range(n_more)}
    rows = all_rows(cells, (("o", ()), ("d", ())))
    n = [(*key, sum(cells[cell] for cell in of)) for key, of in rows.items()]
    return cells, rows, states([(*row, 3.0 * row[2]) for row in n], Margin("o"), Margin("d"))


@pytest.mark.parametrize("n_more", [96, 720])
def test_three_cells_of_one_device_do_not_follow_beside_many_small_cells(n_more):
    cells, rows, found = many_small(n_more)
    names = list(cells)
    shown = [[float(cell in of) for cell in names] for key, of in rows.items() if found[key] == "shown"]
    few = np.array([cell in (("r1", "z1"), ("r1", "z2"), ("r2", "z3")) for cell in names], float)
    assert not is_made(span_of(shown), few)


def test_sets_are_those_that_trying_all_finds(monkeypatch):
    monkeypatch.setattr(known_sets_module, "ALIKE", 99)
    for seed in range(40):
        chance = np.random.default_rng(seed)
        n_cells = int(chance.integers(3, 10))
        known = (chance.random((int(chance.integers(1, 6)), n_cells)) < 0.5).astype(float)
        known[0, :2] = 1.0
        known = known[known.sum(axis=1) > 0]
        check_sets(known, known_sets_module.moves_of(sparse.csr_matrix(known)))


def check_sets(known, moves):
    n_cells, basis = known.shape[1], span_of(known)
    all_sets = (set(s) for size in range(1, n_cells + 1) for s in combinations(range(n_cells), size))
    told = [s for s in all_sets if is_made(basis, np.isin(np.arange(n_cells), list(s)).astype(float))]
    cells = np.array([cell for cell in range(n_cells) if {cell} not in told], int)
    smallest = {tuple(sorted(s)) for s in told if len(s) > 1 and not any(t < s for t in told)}
    n = np.ones(cells.size, int)
    found = known_sets_module.known_sets(moves[:, cells], n, n, 10)
    assert {tuple(sorted(cells[one].tolist())) for sets in found for one in sets} == smallest


def test_steps_from_one_known_sum_to_the_next_find_one_of_three_cells():
    cells, rows, _ = many_small(96)
    margins = [of for key, of in rows.items() if "all" in key and key not in cells]
    known = sparse.csr_matrix([[float(cell in of) for cell in cells] for of in margins])
    found = {tuple(np.array(list(cells))[some, 1]) for some in map(np.sort, known_sets_module.combined_sets(known, 4))}
    assert ("z1", "z2", "z3") in found
