"""Counts or shares of persons by group, a column each, to the table `demographics`.

Presets say which columns of well-known tables hold what. Their groups do not overlap:

- ``lodes_rac`` (LEHD LODES, residence): employed residents by sex, age (to 29, 30 to 54, from 55), monthly
  earnings (to $1,250, to $3,333, above), race and education. Race is race alone, whatever the
  ethnicity: Hispanic or not (CT01, CT02) is a division of its own, which a study may state in its place.
  Education is known of those from 30 on, so their number is its total. Columns as in method page 2.4.
- ``lodes_wac`` (LEHD LODES, workplace): the same of the people who *work* in an area; nobody's home.
- ``acs_dp05`` (ACS 5-year profile DP05): all residents by sex, age and race, alone and whatever the ethnicity.
  DP05 is numbered anew from time to time; this is the numbering of the 2020 tracts of Washington (94
  estimates), in which the sums are exact. Under another numbering the totals do not come out, which is an error.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from data_contracts import DEMOGRAPHICS
from pipeline.references import Axis, Columns, Demographics, columns_of
from pipeline.sources.errors import SourceError
from pipeline.sources.geo_files import members_digest
from pipeline.sources.pieces import expand
from pipeline.sources.reference_files import read_area_file

LOG = logging.getLogger(__name__)
TOTAL_TOLERANCE = 0.01
"""By how much of the total the sum of an axis's groups may miss it (ours): published shares are rounded."""

_LODES: dict[str, Any] = {
    "groups": {
        "sex": {"male": "CS01", "female": "CS02"},
        "age": {"to_29": "CA01", "30_to_54": "CA02", "from_55": "CA03"},
        "income": {"to_1250": "CE01", "1251_to_3333": "CE02", "above_3333": "CE03"},
        "race": {
            "white": "CR01",
            "black": "CR02",
            "native": "CR03",
            "asian": "CR04",
            "pacific": "CR05",
            "several": "CR07",
        },
        "education": {
            "below_high_school": "CD01",
            "high_school": "CD02",
            "some_college": "CD03",
            "bachelor": "CD04",
        },
    },
    "totals": {"sex": "C000", "age": "C000", "income": "C000", "race": "C000", "education": ("CA02", "CA03")},
}


def _dp05(*numbers: int) -> tuple[str, ...]:
    return tuple(f"DP05_{number:04d}E" for number in numbers)


PRESETS: dict[str, dict[str, Any]] = {
    "lodes_rac": {"id_column": "h_geocode", **_LODES},
    "lodes_wac": {"id_column": "w_geocode", **_LODES},
    "acs_dp05": {
        "id_column": "GEOID",
        "groups": {
            "sex": {"male": _dp05(2), "female": _dp05(3)},
            "age": {
                "to_14": _dp05(5, 6, 7),
                "15_to_24": _dp05(8, 9),
                "25_to_34": _dp05(10),
                "35_to_44": _dp05(11),
                "45_to_54": _dp05(12),
                "55_to_64": _dp05(13, 14),
                "from_65": _dp05(15, 16, 17),
            },
            "race": {
                "white": _dp05(37),
                "black": _dp05(38),
                "native": _dp05(39),
                "asian": _dp05(47),
                "pacific": _dp05(55),
                "other": _dp05(60),
                "several": _dp05(61),
            },
        },
        "totals": {"sex": _dp05(1), "age": _dp05(1), "race": _dp05(33)},
    },
}
"""Preset → the fields of `Demographics` that it fills."""


def read_demographics(section: Demographics, folder: Path) -> pa.Table:
    """Return DEMOGRAPHICS: a row per area, axis and group, in key order; the metadata counts areas left out.

    Rows of one area (block groups of a tract) are added up. An area in which a figure of an axis is
    missing, or in which nobody is counted, has no rows of that axis; how many have none is in
    the metadata as ``n_areas_without_<axis>``. SourceError names the file and what is wrong: a column that is not
    there, an id that is there twice, a figure below 0, groups that do not add up to their total, shares
    that would be added up, no axis at all.
    """
    section = fill(section)
    if not any(section.groups.values()):
        raise SourceError(f"{section.path}: every axis is left out; at least one has to have groups")
    assert section.id_column is not None  # a study has it, or its preset
    columns = [name for axis in section.groups for name in _columns_of_axis(section, axis)]
    areas, amounts = read_area_file(section, section.id_column, columns, folder, "demographics")
    _check_shares(section, areas, amounts)
    # With skipna=False an area whose one figure is missing has no sum, instead of one that is too small.
    sums = amounts.groupby(areas.to_numpy(), sort=True).sum(skipna=False)
    parts, n_without = [], {}
    for axis in sorted(axis for axis, groups in section.groups.items() if groups):
        groups = _groups_of_axis(sums, section, axis)
        is_known = groups.notna().all(axis=1) & (groups.sum(axis=1) > 0)
        n_without[f"n_areas_without_{axis}"] = str(int((~is_known).sum()))
        parts.append(_long(groups[is_known], axis))
    LOG.info("%s: %d areas, %s", section.path, len(sums), ", ".join(f"{k} {n}" for k, n in n_without.items()))
    table = pa.Table.from_pandas(pd.concat(parts, ignore_index=True), preserve_index=False).cast(DEMOGRAPHICS.schema)
    table = table.sort_by([(name, "ascending") for name in DEMOGRAPHICS.key])
    return table.replace_schema_metadata({"n_areas": str(len(sums)), **n_without})


def demographics_digest(section: Demographics, folder: Path) -> str:
    """Return a hash of the contents of the files of demographics."""
    return members_digest(expand(section.path, folder))


def fill(section: Demographics) -> Demographics:
    """Return `section` with what it does not state taken from its preset, axis by axis."""
    if section.preset is None:
        return section
    preset = PRESETS[section.preset]
    stated = {name: getattr(section, name) for name in section.model_fields_set}
    filled = {**preset, **stated}
    filled["groups"] = {**preset["groups"], **section.groups}
    # The preset's total is that of its own groups, so an axis the study states brings its own total or has none.
    kept = {axis: total for axis, total in preset["totals"].items() if axis not in section.groups}
    filled["totals"] = {**kept, **section.totals}
    return Demographics(**filled)


def _columns_of_axis(section: Demographics, axis: Axis) -> list[str]:
    total = section.totals.get(axis, ())
    declared: list[Columns] = [*section.groups[axis].values(), () if isinstance(total, float) else total]
    return [name for columns in declared for name in columns_of(columns)]


def _check_shares(section: Demographics, areas: "pd.Series[str]", amounts: pd.DataFrame) -> None:
    """SourceError where shares, which cannot be added up, would be: what is declared to be shares or looks like it."""
    if areas.is_unique:
        return
    shares = [axis for axis, total in section.totals.items() if isinstance(total, float)]
    if shares:
        raise SourceError(
            f"{section.path}: {shares[0]} is shares, and several rows are of one area: shares cannot be added up"
        )
    n_shared = int(areas.duplicated(keep=False).sum())
    for axis in (axis for axis, groups in section.groups.items() if groups and axis not in section.totals):
        if _look_like_shares(amounts[list(dict.fromkeys(_columns_of_axis(section, axis)))]):
            raise SourceError(
                f"{section.path}: the values of {axis} look like shares, and {n_shared} of {len(areas)} rows share "
                f"their area with another: shares cannot be added up. If they are counts, declare totals.{axis}"
            )


def _look_like_shares(values: pd.DataFrame) -> bool:
    """Return whether all values are 1 or less, or every row without a gap adds up to about 1 or 100 (ours)."""
    if not (values > 0).any(axis=None):
        return False  # nothing to be added up
    if values.max(axis=None) <= 1:
        return True
    sums = values.sum(axis=1, skipna=False).dropna()
    return not sums.empty and any(((sums - whole).abs() <= TOTAL_TOLERANCE * whole).all() for whole in (1, 100))


def _groups_of_axis(sums: pd.DataFrame, section: Demographics, axis: Axis) -> pd.DataFrame:
    """Return the amounts of an axis by group, the rest among them, NaN where one is missing."""
    declared = section.groups[axis]
    groups = pd.DataFrame(
        {name: sums[list(columns_of(columns))].sum(axis=1, skipna=False) for name, columns in declared.items()}
    )
    if axis not in section.totals:
        return groups
    declared_total = section.totals[axis]
    if isinstance(declared_total, float):
        total = pd.Series(declared_total, index=sums.index)
    else:
        total = sums[list(columns_of(declared_total))].sum(axis=1, skipna=False)
    left = total - groups.sum(axis=1, skipna=False)
    _check_total(left, total, section, axis)
    if axis in section.rests:
        groups[section.rests[axis]] = left.clip(lower=0)
    return groups.where(total.notna(), np.nan)


def _check_total(left: "pd.Series[float]", total: "pd.Series[float]", section: Demographics, axis: Axis) -> None:
    """SourceError where groups exceed their total, or fall short of it and nothing is declared to be the rest."""
    is_off = left < -TOTAL_TOLERANCE * total
    if axis not in section.rests:
        is_off |= left > TOTAL_TOLERANCE * total
    if is_off.any():
        named = ", ".join(_columns_of_axis(section, axis))
        raise SourceError(
            f"{section.path}: the groups of {axis} do not add up to their total in {int(is_off.sum())} of {len(total)} "
            f"areas; do the columns mean the same here ({named})?"
        )


def _long(groups: pd.DataFrame, axis: Axis) -> pd.DataFrame:
    """Return a row per area and group with the columns of DEMOGRAPHICS."""
    n_areas, n_groups = groups.shape
    return pd.DataFrame(
        {
            "tract_geoid": np.repeat(groups.index.to_numpy(), n_groups),
            "axis": axis,
            "group": np.tile(groups.columns.to_numpy(), n_areas),
            "n_persons": groups.to_numpy().ravel(),
        }
    )
