"""`conform` agrees with its row-by-row twin on any rows, in any chunks."""

from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from data_contracts import Column, ContractError, Release, Shard, Table, conform
from tests.naive import naive_broken_rules

COLUMNS = (
    Column("device_id", pa.int64(), "Who"),
    Column("name", pa.string(), "What"),
    Column("dwell_s", pa.float64(), "How long", "s", 0, 10, is_nullable=True),
    Column("accuracy_m", pa.float32(), "Accuracy", "m", 0.1),
    Column("n_devices", pa.int64(), "Devices", "devices", maximum=30),
    Column("kind", pa.string(), "Which", values=("home", "work"), is_nullable=True),
)
INTERNAL = Table("smalls", "example row", COLUMNS, ("device_id", "name"), Shard.BUCKET)
RELEASE = replace(INTERNAL, release=Release.PUBLIC, min_devices=10)
WITHOUT_KEY = replace(INTERNAL, key=())

# Few distinct values, so that ties, repeats and orders of every kind occur; mostly sound ones, so
# that the rules on the whole table are reached.
VALUES = {
    "device_id": st.integers(0, 3),
    "name": st.sampled_from(["", "a", "b", "é", "𐍈", "~"]),
    "dwell_s": st.sampled_from([None, 0.0, 5.0, 10.0]),
    "accuracy_m": st.sampled_from([0.5, 1.0]),
    "n_devices": st.sampled_from([10, 11, 30]),
    "kind": st.sampled_from([None, "home", "work"]),
}
FAULTY = {
    "device_id": st.none(),
    "dwell_s": st.sampled_from([float("nan"), float("inf"), -float("inf"), -0.5, 10.5]),
    "accuracy_m": st.sampled_from([0.0, 0.1, float("nan"), None]),
    "n_devices": st.sampled_from([9, -1, 31]),
    "kind": st.sampled_from(["", "Home"]),
}


@st.composite
def tables(draw, max_rows=12):
    """Rows with at most a few faults, sorted or not, in up to three chunks."""
    rows = draw(st.lists(st.fixed_dictionaries(VALUES), max_size=max_rows))
    if draw(st.booleans()):
        rows.sort(key=lambda row: (row["device_id"], row["name"]))
    for _ in range(draw(st.sampled_from([0, 0, 1, 3])) if rows else 0):
        name = draw(st.sampled_from(sorted(FAULTY)))
        draw(st.sampled_from(rows))[name] = draw(FAULTY[name])
    data = pa.Table.from_pylist(rows, schema=pa.schema([(c.name, c.dtype) for c in COLUMNS]))
    cuts = sorted(draw(st.lists(st.integers(0, len(rows)), max_size=2)))
    edges = [0, *cuts, len(rows)]
    return pa.concat_tables([data.slice(a, b - a) for a, b in pairwise(edges)])


def rules(data, table):
    try:
        return conform(data, table), []
    except ContractError as error:
        return None, error.broken


@settings(deadline=None, max_examples=300)
@given(tables(), st.sampled_from([INTERNAL, RELEASE, WITHOUT_KEY]))
def test_broken_rules_are_those_of_the_twin(data, table):
    out, broken = rules(data, table)
    event(f"{len(broken)} rules broken")
    assert broken == naive_broken_rules(data, table)
    if out is not None:
        assert out.cast(data.schema).equals(data)


@settings(deadline=None, max_examples=60)
@given(tables(), st.sets(st.sampled_from([c.name for c in COLUMNS])), st.sets(st.sampled_from(["mood", "uid"])))
def test_broken_names_are_those_of_the_twin(data, dropped, added):
    data = data.drop_columns(sorted(dropped))
    for name in sorted(added):
        data = data.append_column(name, pa.nulls(data.num_rows))
    assert rules(data, INTERNAL)[1] == naive_broken_rules(data, INTERNAL)


@settings(deadline=None, max_examples=60)
@given(tables())
def test_conforming_twice_changes_nothing(data):
    out, _ = rules(data, INTERNAL)
    assume(out is not None)
    assert conform(out, INTERNAL).equals(out, check_metadata=True)


@settings(deadline=None, max_examples=60)
@given(tables())
def test_chunks_change_nothing(data):
    assert rules(data, RELEASE)[1] == rules(data.combine_chunks(), RELEASE)[1]
