"""Every table exports to a valid Open Data Contract Standard document that keeps the whole declaration."""

import json
from dataclasses import replace

import jsonschema
import pyarrow as pa
import pytest
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from data_contracts import STAYS, TABLES, Column, Release
from data_contracts.odcs import to_odcs

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
SCHEMA = json.loads(OpenDataContractStandard.json_schema())
ALIASES = {"double": "float64", "float": "float32", "bool": "bool_", "date32[day]": "date32"}
RELEASED = replace(
    STAYS,
    name="released",
    columns=(Column("n_devices", pa.int64(), "Devices: at least ten", "devices", 0), *STAYS.columns[1:]),
    key=("started_at",),
    release=Release.PUBLIC,
    min_devices=10,
)


def properties(document):
    return {p["name"]: p for p in yaml.safe_load(document)["schema"][0]["properties"]}


def custom(values):
    return {p["property"]: p["value"] for p in values.get("customProperties", [])}


@every_table
def test_document_satisfies_the_standards_schema(table):
    jsonschema.validate(yaml.safe_load(to_odcs(table, "1.0.0")), SCHEMA)


@every_table
def test_document_passes_unchanged_through_the_standards_model(table):
    document = to_odcs(table, "1.0.0")
    model = OpenDataContractStandard.from_string(document)
    assert yaml.safe_load(model.to_yaml()) == yaml.safe_load(document)
    assert (model.name, model.version, model.apiVersion) == (table.name, "1.0.0", "v3.2.0")


@every_table
def test_declaration_can_be_read_back(table):
    document = to_odcs(table, "1.0.0")
    read = properties(document)
    assert list(read) == table.names
    for column in table.columns:
        values = read[column.name]
        options = values.get("logicalTypeOptions", {})
        assert values["description"] == column.description
        assert values["physicalType"] == str(column.dtype)
        assert values["required"] is not column.is_nullable
        assert values["classification"] == str(table.release)
        assert custom(values).get("unit", "") == column.unit
        assert (custom(values).get("clipLow"), custom(values).get("clipHigh")) == (column.clip or (None, None))
        is_group = table.min_devices is not None and column.name == "n_devices"
        low = table.min_devices if is_group else column.minimum
        assert (options.get("minimum"), options.get("maximum")) == (low, column.maximum)
        assert [e["value"] for e in values.get("enum", [])] == list(column.values or ())
    keyed = sorted((p["primaryKeyPosition"], name) for name, p in read.items() if p.get("primaryKey"))
    assert keyed == list(enumerate(table.key, 1))
    facts = custom(yaml.safe_load(document))
    assert (facts["shard"], facts["release"], facts["isCarry"]) == (
        table.shard,
        table.release,
        table.is_carry,
    )
    assert facts.get("maxRowsPerDevice") == table.max_rows_per_device


@every_table
def test_document_is_block_style_and_the_same_each_time(table):
    document = to_odcs(table, "1.0.0")
    assert document == to_odcs(table, "1.0.0")
    assert document.startswith("apiVersion: v3.2.0\nkind: DataContract\n")
    assert document.endswith("\n")
    assert not any(line.rstrip() != line for line in document.splitlines())


def test_logical_types_by_example():
    read = properties(to_odcs(TABLES["open_stays"], "1.0.0")) | properties(to_odcs(TABLES["tracts"], "1.0.0"))
    assert read["kept_at"]["logicalType"] == "array"
    assert read["kept_at"]["items"]["logicalTypeOptions"] == {"format": "i64"}
    assert read["anchor_lon_e7"]["logicalTypeOptions"]["format"] == "i32"
    assert read["is_qualified"]["logicalType"] == "boolean"
    assert read["started_at"]["logicalTypeOptions"]["timezone"] is True
    assert (read["geometry"]["logicalType"], read["geometry"]["logicalTypeOptions"]) == (
        "string",
        {"format": "binary"},
    )


def test_smallest_group_of_a_release_table_is_a_bound():
    document = to_odcs(RELEASED, "2.1.0")
    jsonschema.validate(yaml.safe_load(document), SCHEMA)
    assert properties(document)["n_devices"]["logicalTypeOptions"]["minimum"] == 10
    assert properties(document)["n_devices"]["classification"] == "release"
    assert custom(yaml.safe_load(document))["minDevices"] == 10
    assert yaml.safe_load(document)["description"]["limitations"] == "Every row stands for at least 10 devices."


def test_a_version_that_looks_like_a_number_stays_a_text():
    assert yaml.safe_load(to_odcs(STAYS, "1.0"))["version"] == "1.0"


def test_a_type_the_standard_lacks_is_an_error():
    odd = replace(STAYS, columns=(*STAYS.columns, Column("n_odd", pa.decimal128(9, 2), "Odd")))
    with pytest.raises(TypeError, match="decimal128"):
        to_odcs(odd, "1.0.0")
