"""`conform` by example: every rule broken once, with the text and count that is reported."""

import pickle
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from data_contracts import Column, ContractError, Release, Shard, Table, conform
from data_contracts.columns import TIME

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
SMALL = Table(
    name="smalls",
    row="example row",
    columns=(
        Column("device_id", pa.int64(), "Who"),
        Column("started_at", TIME, "When", "UTC"),
        Column("date", pa.date32(), "Day", "local date"),
        Column("dwell_s", pa.float64(), "How long", "s", 0, 86_400, is_nullable=True),
        Column("n_devices", pa.int64(), "Devices", "devices", 0),
        Column("kind", pa.string(), "Which", values=("home", "work"), is_nullable=True),
        Column("is_new", pa.bool_(), "First"),
        Column("kept_at", pa.list_(pa.int64()), "Times", "µs since 1970"),
        Column("accuracy_m", pa.float32(), "Accuracy", "m", 0, is_nullable=True),
    ),
    key=("device_id", "started_at"),
    shard=Shard.BUCKET,
)
RELEASE = replace(SMALL, release=Release.PUBLIC, min_devices=10)


def rows(n=2, **changes):
    """Return `n` sound rows of SMALL, whole columns replaced by `changes`."""
    columns = {
        "device_id": pa.array(range(n), pa.int64()),
        "started_at": pa.array([NOON] * n, TIME),
        "date": pa.array([date(2024, 3, 1)] * n),
        "dwell_s": pa.array([60.0] * n, pa.float64()),
        "n_devices": pa.array([10] * n, pa.int64()),
        "kind": pa.array(["home"] * n, pa.string()),
        "is_new": pa.array([True] * n, pa.bool_()),
        "kept_at": pa.array([[1, 2]] * n, pa.list_(pa.int64())),
        "accuracy_m": pa.array([5.0] * n, pa.float32()),
    }
    return pa.table({**columns, **changes})


def broken(data, table=SMALL):
    with pytest.raises(ContractError) as caught:
        conform(data, table)
    assert caught.value.table == table.name
    return caught.value.broken


def test_sound_rows_pass_unchanged():
    data = rows()
    assert conform(data, SMALL).equals(data.cast(SMALL.schema))
    assert conform(data, RELEASE).equals(data.cast(SMALL.schema))


def test_result_has_the_schema_of_the_contract_with_units():
    out = conform(rows().replace_schema_metadata({"pandas": "x"}), SMALL)
    assert out.schema.equals(SMALL.schema, check_metadata=True)
    assert out.schema.field("dwell_s").metadata == {b"unit": b"s", b"description": b"How long"}
    assert not out.schema.field("device_id").nullable
    assert out.schema.metadata is None


def test_columns_are_put_in_the_contracts_order():
    data = rows()
    assert conform(data.select(data.column_names[::-1]), SMALL).equals(data.cast(SMALL.schema))


@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one_row_pass(n):
    assert conform(rows(n), SMALL).num_rows == n


def test_a_frame_without_rows_or_types_passes():
    """What pandas gives for an empty or all-null frame of objects: Arrow's null type."""
    data = pa.table({name: pa.nulls(0) for name in SMALL.names})
    assert conform(data, SMALL).schema == SMALL.schema
    assert conform(rows(kind=pa.nulls(2)), SMALL)["kind"].null_count == 2
    assert conform(rows(kept_at=pa.array([[], []])), SMALL)["kept_at"].to_pylist() == [[], []]


def test_missing_and_surplus_columns_are_all_named():
    data = rows().drop_columns(["kind", "is_new"]).append_column("mood", pa.array([1, 2]))
    assert broken(data) == [
        "column kind is missing",
        "column is_new is missing",
        "column mood is not declared",
    ]


def test_a_column_given_twice_is_named():
    assert broken(rows().append_column("kind", pa.array(["home", "work"]))) == ["column kind is there 2 times"]


LOSSLESS = [
    ("device_id", pa.array([1, 2], pa.int8())),
    ("device_id", pa.array([1.0, 2.0])),
    ("dwell_s", pa.array([1, 2], pa.int32())),
    ("dwell_s", pa.array([1.5, None], pa.float32())),
    ("kind", pa.array(["home", "work"], pa.large_string())),
    ("kind", pa.array(["home", "work"]).dictionary_encode()),
    ("started_at", pa.array([NOON, NOON], pa.timestamp("ns", tz="Europe/Rome"))),
    ("started_at", pa.array([NOON, NOON], pa.timestamp("s", tz="UTC"))),
    ("date", pa.array([datetime(2024, 3, 1)] * 2, pa.timestamp("ns"))),
    ("kept_at", pa.array([[1], []], pa.list_(pa.int32()))),
    ("accuracy_m", pa.array([0.1, 5.0])),
]


@pytest.mark.parametrize(("name", "values"), LOSSLESS, ids=lambda x: x if isinstance(x, str) else str(x.type))
def test_casts_that_lose_nothing_are_made(name, values):
    out = conform(rows(**{name: values}), SMALL)
    assert out.schema.field(name).type == SMALL.column(name).dtype
    expected = values.cast(SMALL.column(name).dtype) if name != "date" else pa.array([date(2024, 3, 1)] * 2)
    assert out[name].to_pylist() == expected.to_pylist()


LOSSY = [
    ("device_id", pa.array([1.5, 2.0]), "double"),
    ("device_id", pa.array(["1", "2"]), "string"),
    ("device_id", pa.array([2**63, 2], pa.uint64()), "uint64"),
    ("device_id", pa.array([[1], [2]]), "list<item: int64>"),
    ("kind", pa.array([1, 2]), "int64"),
    ("kind", pa.array([b"home", b"\xff"]), "binary"),
    ("is_new", pa.array([5, 0]), "int64"),
    ("n_devices", pa.array([True, True]), "bool"),
    ("dwell_s", pa.array([2**53 + 1, 0]), "int64"),
    ("started_at", pa.array([0, 1]), "int64"),
    ("started_at", pa.array([datetime(2024, 3, 1, 12)] * 2, pa.timestamp("us")), "timestamp[us]"),
    ("started_at", pa.array([1, 2], pa.timestamp("ns", tz="UTC")), "timestamp[ns, tz=UTC]"),
    ("date", pa.array([datetime(2024, 3, 1, 12)] * 2, pa.timestamp("us")), "timestamp[us]"),
    ("date", pa.array([NOON] * 2, pa.timestamp("us", tz="UTC")), "timestamp[us, tz=UTC]"),
    ("date", pa.array(["2024-03-01"] * 2), "string"),
    ("kept_at", pa.array([[1.5], []]), "list<item: double>"),
]


@pytest.mark.parametrize(("name", "values", "given"), LOSSY, ids=lambda x: x if isinstance(x, str) else "")
def test_casts_that_would_change_a_value_or_its_meaning_are_refused(name, values, given):
    wanted = SMALL.column(name).dtype
    assert broken(rows(**{name: values})) == [f"{name} is {given}, which is not {wanted} without loss"]


def test_a_float64_too_large_for_float32_is_caught_as_infinite():
    assert broken(rows(accuracy_m=pa.array([1e39, 1.0]))) == ["accuracy_m is not a finite number in 1 rows"]


def test_null_nan_infinity_and_range_are_counted():
    dwell_s = pa.array([None, float("nan"), float("inf"), -1.0, 86_401.0, 0.0, 86_400.0])
    assert broken(rows(7, dwell_s=dwell_s)) == [
        "dwell_s is not a finite number in 2 rows",
        "dwell_s is below 0 in 1 rows",
        "dwell_s is above 86400 in 2 rows",
    ]
    assert broken(rows(3, is_new=pa.array([None, True, None]))) == ["is_new is null in 2 rows"]


def test_other_values_are_counted_and_not_shown():
    kind = pa.array(["home", "secret", "secret", None])
    assert broken(rows(4, kind=kind)) == ["kind is none of home, work in 2 rows"]


def test_all_null_column_passes_its_range():
    assert conform(rows(dwell_s=pa.array([None, None], pa.float64())), SMALL).num_rows == 2


def test_order_and_repeats_are_counted_over_the_whole_key():
    later = NOON.replace(hour=13)
    data = rows(
        5,
        device_id=pa.array([1, 1, 1, 3, 2]),
        started_at=pa.array([later, NOON, NOON, NOON, later], TIME),
    )
    assert broken(data) == [
        "rows are not in the order of (device_id, started_at) at 2 places",
        "key (device_id, started_at) is repeated by 1 rows",
    ]


def test_order_is_seen_across_chunks():
    first, second = rows(1, device_id=pa.array([7])), rows(1, device_id=pa.array([3]))
    assert conform(pa.concat_tables([second, first]), SMALL).num_rows == 2
    assert broken(pa.concat_tables([first, second])) == [
        "rows are not in the order of (device_id, started_at) at 1 places"
    ]


def test_order_of_texts_is_by_code_point():
    by_kind = replace(SMALL, key=("kind",))
    assert conform(rows(kind=pa.array(["home", "work"])), by_kind).num_rows == 2
    assert broken(rows(kind=pa.array(["work", "home"])), by_kind)


def test_release_tables_need_enough_devices_in_every_row():
    assert broken(rows(4, n_devices=pa.array([10, 9, 0, 11])), RELEASE) == ["n_devices is below 10 in 2 rows"]


def test_release_tables_count_unknown_groups_as_too_small():
    loose = tuple(replace(c, is_nullable=True) if c.name == "n_devices" else c for c in RELEASE.columns)
    table = replace(RELEASE, columns=loose)
    assert broken(rows(n_devices=pa.array([None, 10])), table) == ["n_devices is below 10 in 1 rows"]


def test_the_message_carries_table_and_rules_and_no_values():
    data = rows(dwell_s=pa.array([-123.25, 1.0]), kind=pa.array(["devious", "home"]))
    with pytest.raises(ContractError) as caught:
        conform(data, SMALL)
    assert str(caught.value) == (
        "smalls breaks its contract: dwell_s is below 0 in 1 rows; kind is none of home, work in 1 rows"
    )


def test_the_error_crosses_process_borders():
    with pytest.raises(ContractError) as caught:
        conform(rows(is_new=pa.array([None, True])), SMALL)
    error = caught.value
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.table, copy.broken) == (
        ContractError,
        str(error),
        error.table,
        error.broken,
    )


def test_the_input_is_not_changed():
    data = rows(device_id=pa.array([1, 2], pa.int8()))
    before = data.schema
    conform(data, SMALL)
    assert data.schema == before


def test_a_declaration_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="not declared"):
        replace(SMALL, key=("colour",))
    with pytest.raises(ValueError, match="twice"):
        replace(SMALL, columns=SMALL.columns * 2)
    with pytest.raises(ValueError, match="min_devices"):
        replace(SMALL, release=Release.PUBLIC)
    with pytest.raises(KeyError, match="it has device_id"):
        SMALL.column("colour")
