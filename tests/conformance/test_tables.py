"""What holds for every table of TABLES, so that a new table is checked by being declared."""

import importlib
import json
import pkgutil
import re
from collections import defaultdict
from dataclasses import replace

import pyarrow as pa
import pytest

import data_contracts
from data_contracts import TABLES, ContractError, Release, Shard, Table, conform
from data_contracts.columns import TIME
from tests.contract_rows import make_rows

NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
SUFFIX_UNITS = {
    "_m": {"m"},
    "_s": {"s"},
    "_us": {"µs"},
    "_bits": {"bit"},
    "_bytes": {"B"},
    "_e7": {"1e-7 degree"},
    "_at": {"UTC", "µs since 1970"},
}
DATE_NAMES = {"date", "window_started", "window_finished"}
"""Names of local dates, besides those that end `_on`; every other time is an instant and ends `_at`."""
ESTIMATES = {"n_persons", "n_jobs", "n_effective"}
"""Counts that are not whole numbers: of surveys, and effective sizes of weighted samples."""
SYNONYMS = {"user", "uid", "user_id", "positionfix", "staypoint", "lng", "latitude", "longitude", "datetime"}
PERSONAL = {"device_id", "location_id", "lon", "lat", "lon_e7", "lat_e7", "file"}
"""What points at one device or its places; no release table has it."""

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
every_column = pytest.mark.parametrize(
    ("table", "column"),
    [(t, c) for t in TABLES.values() for c in t.columns],
    ids=[f"{t.name}.{c.name}" for t in TABLES.values() for c in t.columns],
)


def test_every_declared_table_is_in_tables():
    declared = set()
    for module in pkgutil.iter_modules(data_contracts.__path__, "data_contracts."):
        values = vars(importlib.import_module(module.name)).values()
        declared |= {value.name for value in values if isinstance(value, Table)}
    assert declared == set(TABLES)


@every_table
def test_table_is_named_and_described(table):
    assert NAME.match(table.name)
    assert table.row.strip()
    assert table.row == table.row.strip(" .")
    assert table.columns


@every_column
def test_column_is_named_and_described(table, column):
    assert NAME.match(column.name)
    assert column.name not in SYNONYMS
    assert column.description.strip()
    assert column.description == column.description.strip(" .")


@every_column
def test_suffix_and_unit_agree(table, column):
    for suffix, units in SUFFIX_UNITS.items():
        if column.name.endswith(suffix):
            assert column.unit in units
        if column.unit in units:
            assert column.name.endswith(suffix)


@every_column
def test_type_and_name_agree(table, column):
    prefixed = column.name.startswith(("is_", "has_"))
    assert pa.types.is_boolean(column.dtype) == prefixed
    assert (column.dtype == pa.date32()) == (column.name in DATE_NAMES or column.name.endswith("_on"))
    if pa.types.is_timestamp(column.dtype):
        assert column.dtype == TIME
        assert column.name.endswith("_at")
    if column.name.startswith("n_"):
        assert column.dtype == (pa.float64() if column.name in ESTIMATES else pa.int64())
        assert column.unit
        assert column.minimum is not None
        assert column.minimum >= 0
    if column.name.endswith("_geoid"):
        assert column.dtype == pa.string()


@every_column
def test_floats_have_a_unit(table, column):
    """A float without a unit is a number nobody can use; ratios say "1"."""
    if pa.types.is_floating(column.dtype):
        assert column.unit


@every_column
def test_range_and_values_suit_the_type(table, column):
    bounds = [bound for bound in (column.minimum, column.maximum) if bound is not None]
    is_number = pa.types.is_integer(column.dtype) or pa.types.is_floating(column.dtype)
    assert is_number or not bounds
    assert bounds == sorted(bounds)
    for bound in bounds:
        assert pa.scalar(bound, column.dtype).as_py() == pytest.approx(bound)
    if column.values is not None:
        assert column.dtype == pa.string()
        assert len(set(column.values)) == len(column.values) > 0


@every_table
def test_key_is_declared_and_can_be_ordered(table):
    assert table.key
    assert len(set(table.key)) == len(table.key)
    for name in table.key:
        column = table.column(name)
        assert column.is_nullable is False
        assert not pa.types.is_nested(column.dtype)
        assert not pa.types.is_floating(column.dtype)


@every_table
def test_rows_of_one_device_stand_together(table):
    """Stages walk a shard device by device."""
    if "device_id" in table.key:
        assert table.key[0] == "device_id"
    if table.shard in (Shard.BUCKET, Shard.DATE_BUCKET):
        assert "device_id" in table.key


@every_table
def test_only_tables_of_devices_are_counted_privately_and_only_numbers_summed(table):
    clipped = [column for column in table.columns if column.clip]
    assert table.max_rows_per_device is not None or not clipped
    if table.max_rows_per_device is not None:
        assert table.release is Release.INTERNAL
        assert table.max_rows_per_device >= 1
    for column in clipped:
        assert pa.types.is_integer(column.dtype) or pa.types.is_floating(column.dtype)
        assert column.maximum is None or column.clip[1] <= column.maximum


def test_bounds_of_private_counts_that_bound_nothing_are_refused():
    days = TABLES["device_days"]
    with pytest.raises(ValueError, match="only where one file holds all of them"):
        replace(days, shard=Shard.DATE_BUCKET)
    with pytest.raises(ValueError, match="not 1 or more"):
        replace(days, max_rows_per_device=0)
    for clip in ((1.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="no range of finite numbers"):
            replace(days.column("distance_m"), clip=clip)


@every_table
def test_gathered_tables_are_about_groups_of_devices(table):
    """One file of the whole study is read whole by many: it must not grow with the devices."""
    assert table.shard is not Shard.STUDY or not PERSONAL & set(table.names)


@every_table
def test_carry_tables_are_kept_by_date(table):
    assert not table.is_carry or table.shard is Shard.DATE_BUCKET


@every_table
def test_schema_carries_units_descriptions_and_nullability(table):
    assert table.schema.names == table.names
    for column in table.columns:
        field = table.schema.field(column.name)
        assert field.type == column.dtype
        assert field.nullable == column.is_nullable
        assert field.metadata == {b"unit": column.unit.encode(), b"description": column.description.encode()}


def test_same_name_means_same_type_and_unit_everywhere():
    meanings = defaultdict(set)
    for table in TABLES.values():
        for column in table.columns:
            meanings[column.name].add((str(column.dtype), column.unit))
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


@every_table
def test_release_tables_hide_single_devices(table):
    if table.release is Release.INTERNAL:
        assert table.min_devices is None
        return
    assert table.min_devices >= 10
    assert table.column("n_devices").is_nullable is False
    assert not PERSONAL & set(table.names)


@every_table
def test_declaration_is_plain_values_and_every_part_enters_it(table):
    values = table.to_dict()
    assert json.loads(json.dumps(values)) == values
    changed = replace(table.columns[0], is_nullable=not table.columns[0].is_nullable)
    assert replace(table, columns=(changed, *table.columns[1:])).to_dict() != values
    assert replace(table, key=table.key[:-1]).to_dict() != values


@every_table
def test_rows_made_from_the_contract_conform(table):
    rows = make_rows(table, 200)
    assert rows.num_rows > 1
    assert conform(rows, table).equals(rows)
    assert conform(rows.slice(0, 0), table).num_rows == 0


@every_column
def test_every_declared_rule_is_enforced(table, column):
    """Break one rule of one column in the last row: the contract refuses and names the column."""
    sound = make_rows(table, 20)
    faults = {"null": None} if not column.is_nullable else {}
    if column.minimum is not None:
        faults["below"] = column.minimum - 1
    if column.maximum is not None:
        faults["above"] = column.maximum + 1
    if column.values is not None:
        faults["none of"] = "no such value"
    for word, value in faults.items():
        with pytest.raises(ContractError, match=f"{column.name} is {word}"):
            conform(_with_last(sound, column.name, value), table)


def _with_last(data, name, value):
    values = [*data[name].to_pylist()[:-1], value]
    at = data.column_names.index(name)
    return data.set_column(at, name, pa.array(values, data.schema.field(name).type))


@every_table
def test_rows_out_of_order_and_keys_given_twice_are_refused(table):
    rows = make_rows(table, 20)
    with pytest.raises(ContractError, match="not in the order"):
        conform(rows.take(list(range(rows.num_rows))[::-1]), table)
    with pytest.raises(ContractError, match="repeated by 1 rows"):
        conform(rows.take([0, 0]), table)
