"""Layouts by name: what a source's declaration may leave out.

Where the column names come from:

- ``trackintel``, ``skmob``, ``movingpandas``, ``nomad``, ``nomad_mercator``, ``geolife``: the
  libraries' own readers and the example files they ship. trackintel's reader takes "elevation" and
  "accuracy" along; scikit-mobility and trackintel write times of GeoLife in GMT.
- ``cuebiq_like``, ``veraset_like``, ``safegraph_like``, ``quadrant_like``: after their column names
  as commonly seen, from memory. Deliveries differ by customer and year: check against yours, and
  give the fields that differ, which always win over the preset.
"""

from typing import Any

from pipeline.sources.errors import SourceError
from pipeline.study import ColumnMap, Source

PRESETS: dict[str, dict[str, Any]] = {
    "geolife": {"format": "geolife_plt", "device_from": "file_stem"},
    "trackintel": {
        "delimiter": ";",
        "columns": {
            "device_id": "user_id",
            "tracked_at": "tracked_at",
            "lon": "longitude",
            "lat": "latitude",
            "accuracy_m": "accuracy",
        },
    },
    "skmob": {"columns": {"device_id": "uid", "tracked_at": "datetime", "lon": "lng", "lat": "lat"}},
    "movingpandas": {
        "delimiter": ";",
        "columns": {"device_id": "tracker", "tracked_at": "t", "lon": "X", "lat": "Y"},
    },
    "nomad": {
        "format": "parquet",
        "time_unit": "s",
        "columns": {"device_id": "uid", "tracked_at": "timestamp", "lon": "longitude", "lat": "latitude"},
    },
    "nomad_mercator": {
        "format": "parquet",
        "time_unit": "s",
        "crs": "EPSG:3857",
        "columns": {
            "device_id": "gc_identifier",
            "tracked_at": "unix_ts",
            "lon": "dev_x",
            "lat": "dev_y",
            "accuracy_m": "ha",
            "utc_offset_s": "tz_offset",
        },
    },
    "cuebiq_like": {
        "time_unit": "s",
        "columns": {
            "device_id": "cuebiq_id",
            "tracked_at": "timestamp",
            "lon": "lng",
            "lat": "lat",
            "accuracy_m": "accuracy",
            "utc_offset_s": "tz_offset",
        },
    },
    "veraset_like": {
        "format": "parquet",
        "time_unit": "s",
        "columns": {
            "device_id": "caid",
            "tracked_at": "utc_timestamp",
            "lon": "longitude",
            "lat": "latitude",
            "accuracy_m": "horizontal_accuracy",
        },
    },
    "safegraph_like": {
        "time_unit": "s",
        "columns": {
            "device_id": "safegraph_id",
            "tracked_at": "utc_timestamp",
            "lon": "longitude",
            "lat": "latitude",
            "accuracy_m": "horizontal_accuracy",
        },
    },
    "quadrant_like": {
        "time_unit": "ms",
        "columns": {
            "device_id": "device_id",
            "tracked_at": "timestamp",
            "lon": "longitude",
            "lat": "latitude",
            "accuracy_m": "horizontal_accuracy",
        },
    },
}
"""Preset name → fields of `Source` that it fills."""


def fill(source: Source) -> Source:
    """Return `source` with every field it does not state itself taken from its preset.

    Single columns of ``columns`` are filled one by one. Without a preset the source comes back as
    it is. SourceError on an unknown preset, and on a device or column that nothing names.
    """
    if source.preset is not None:
        source = _merge(source, _find(source.preset))
    _check(source)
    return source


def _find(name: str) -> dict[str, Any]:
    if name not in PRESETS:
        raise SourceError(f"no preset {name!r}; there are {', '.join(sorted(PRESETS))}")
    return PRESETS[name]


def _merge(source: Source, preset: dict[str, Any]) -> Source:
    stated = {name: getattr(source, name) for name in source.model_fields_set}
    columns = dict(preset.get("columns", {}))
    columns |= {name: getattr(source.columns, name) for name in source.columns.model_fields_set}
    return Source(**{**preset, **stated, "columns": ColumnMap(**columns)})


def _check(source: Source) -> None:
    if source.device_from == "constant" and not source.device_name:
        raise SourceError(f"source {source.path}: device_from is constant, so device_name must be given")
    if source.format == "geolife_plt":
        return
    needed = ["tracked_at", "lon", "lat"] + (["device_id"] if source.device_from == "column" else [])
    missing = [name for name in needed if getattr(source.columns, name) is None]
    if missing:
        raise SourceError(
            f"source {source.path}: say which column holds {', '.join(missing)} (columns.{missing[0]} = ...)"
        )
