"""`Study`: a declared span, place, set of sources, reference data and Params. One object for CLI, flows and files."""

import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

Axis = Literal["sex", "age", "income", "race", "education"]
"""What people are divided by; the groups of an axis are the study's."""
Columns = str | tuple[str, ...]
"""A column, or several that are added up."""


class StudyError(ValueError):
    """A study that cannot be used: names the field, what was given and what is accepted."""


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnMap(_Declared):
    """Which column of the source holds what. None, or "" where a preset says otherwise: there is no such column."""

    device_id: str | None = None
    """None: the device is named by the file (``device_from``)."""
    tracked_at: str | None = None
    lon: str | None = None
    lat: str | None = None
    accuracy_m: str | None = None
    utc_offset_s: str | None = None

    @field_validator("*")
    @classmethod
    def _empty_is_none(cls, value: str | None) -> str | None:
        return value or None


class Source(_Declared):
    """Raw files of one layout. Fields left out are filled from `preset`, then from the defaults here."""

    path: str
    """File, folder or glob, relative to the study file; ``**`` descends."""
    format: Literal["delimited", "parquet", "geolife_plt"] = "delimited"
    preset: str | None = None
    columns: ColumnMap = ColumnMap()
    device_from: Literal["column", "file_stem", "constant"] = "column"
    """"file_stem": the file's name without its endings; "constant": all rows are of `device_name`."""
    device_name: str | None = None
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    has_header: bool = True
    """False: a delimited file starts with data, and its columns are named "0", "1", ... in `columns`."""
    crs: str = "EPSG:4326"
    """Coordinate system of lon and lat (x and y); anything pyproj knows."""
    time_unit: Literal["text", "s", "ms", "us", "ns"] = "text"
    """"text": an ISO 8601 text or `time_format`; else a number since 1970."""
    time_format: str | None = None
    """strptime format where the text is not ISO 8601."""
    time_zone: str = "UTC"
    """Zone of times that do not carry their own."""
    utc_offset_unit: Literal["s", "min", "h"] = "s"

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        return check_zone(value)


class Areas(_Declared):
    """Polygons that locations are joined to: any file geopandas reads."""

    path: str
    id_column: str
    population_column: str | None = None
    layer: str | None = None


class Pois(_Declared):
    """Places of interest that visits are joined to: delimited text, Parquet, or any file geopandas reads."""

    path: str
    """File or glob, relative to the study file. The ending says the format: .csv .tsv .txt .parquet, else geopandas."""
    id_column: str
    category_column: str
    lon_column: str | None = None
    """None, with `lat_column`: the position is the file's geometry, of a line or polygon its centroid."""
    lat_column: str | None = None
    usual_dwell_column: str | None = None
    """How long such a place is usually visited (median)."""
    usual_dwell_unit: Literal["s", "min", "h"] = "min"
    weight_column: str | None = None
    """How popular a place is beside others: a number above 0, of which only ratios matter."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """None: a tab in .tsv, else a comma."""
    crs: str = "EPSG:4326"
    """Coordinate system of `lon_column` and `lat_column`; a file's geometry brings its own."""
    layer: str | None = None

    @model_validator(mode="after")
    def _has_both_or_none(self) -> Self:
        if (self.lon_column is None) != (self.lat_column is None):
            raise ValueError("lon_column and lat_column go together")
        return self


class AreaFile(_Declared):
    """A table with an id of an area in every row: delimited text, Parquet, or any file geopandas reads."""

    path: str
    """File or glob, relative to the study file. The ending says the format: .csv .tsv .txt .parquet, else geopandas."""
    id_digits: int | None = Field(default=None, ge=1)
    """Ids are numbers of so many digits: leading zeros that were lost are put back. None: ids are texts as they are."""
    area_digits: int = Field(default=0, ge=0)
    """So many leading digits of an id are the area's; rows of one area are added up. 0: the whole id."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """None: a tab in .tsv, else a comma."""
    layer: str | None = None

    @model_validator(mode="after")
    def _area_is_part_of_the_id(self) -> Self:
        if self.id_digits is not None and self.area_digits > self.id_digits:
            raise ValueError(f"area_digits ({self.area_digits}) is more than id_digits ({self.id_digits})")
        return self


class Demographics(AreaFile):
    """Persons of each area by sex, age, income, race and education. Fields left out are the preset's."""

    preset: Literal["lodes_rac", "lodes_wac", "acs_dp05"] | None = None
    id_column: str | None = None
    groups: dict[Axis, dict[str, Columns]] = {}
    """Axis → group → column, or columns to be added up, of counts or of shares. Groups of an axis do not overlap.

    An axis stated here replaces the preset's; one without groups leaves it out.
    """
    totals: dict[Axis, float | Columns] = {}
    """Axis → what its groups add up to in every area: columns, or a number where the groups are shares (1, or 100)."""
    rests: dict[Axis, str] = {}
    """Axis → name of one more group: what its groups leave of the total."""

    @model_validator(mode="after")
    def _says_where_everything_is(self) -> Self:
        if self.preset is None and not (self.id_column and any(self.groups.values())):
            raise ValueError("without a preset, id_column and groups are needed")
        for axis, groups in self.groups.items():
            named = [name for columns in groups.values() for name in columns_of(columns)]
            twice = sorted({name for name in named if named.count(name) > 1})
            if twice:
                raise ValueError(f"groups.{axis}: {', '.join(twice)} counts twice, and groups do not overlap")
        return self

    @model_validator(mode="after")
    def _rests_are_of_something(self) -> Self:
        for field in ("totals", "rests"):
            homeless = [axis for axis in getattr(self, field) if not self.groups.get(axis)]
            if homeless:
                raise ValueError(f"{field}.{homeless[0]}: groups.{homeless[0]} is needed with it")
        for axis, name in self.rests.items():
            if axis not in self.totals or name in self.groups[axis]:
                raise ValueError(f"rests.{axis}: needs totals.{axis}, and a name that is not in groups.{axis}")
        return self


class Jobs(AreaFile):
    """Jobs of each area by industry, at the workplace. The defaults are those of LODES WAC."""

    id_column: str = "w_geocode"
    """Blocks, block groups or tracts."""
    area_digits: int = Field(default=11, ge=0)
    """So many leading digits of an id are the area's (11: census tract); an area's rows are added up. 0: all of it."""
    sectors: dict[str, Columns] = {}
    """Industry → column, or columns to be added up. Empty: LODES's CNS01 to CNS20 by two-digit NAICS."""


class Telework(_Declared):
    """Share of jobs of each industry that can be done at home. The defaults are those of Dingel and Neiman's table."""

    path: str
    """One file: delimited text or Parquet."""
    sector_column: str = "NAICS"
    share_column: str = "teleworkable_emp"
    """teleworkable_emp: from O*NET, weighted by employment, the usual choice; teleworkable_manual_emp is the other."""
    unit: Literal["share", "percent"] = "share"
    government: str = "99"
    """Row that stands for public administration where the file has no "92"; "": none does.

    Dingel and Neiman have no NAICS 92. Their 99 is government as the OES designates it, without state and local
    schools and hospitals and the postal service: near to NAICS 92, not the same.
    """
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)


class OfficialRates(_Declared):
    """Official unemployment rates and claims that results are compared with. At least one file."""

    laus_path: str | None = None
    """Excel file of states by month, seasonally adjusted, as the BLS publishes it (ststdsadata.xlsx)."""
    claims_path: str | None = None
    """Delimited file of states by week, as Opportunity Insights publish it (UI Claims - State - Weekly)."""
    claims: Literal["regular", "combined"] = "regular"
    """"regular": state programmes alone; "combined": with the federal ones of 2020 and 2021, where they are given."""

    @model_validator(mode="after")
    def _has_a_file(self) -> Self:
        if self.laus_path is None and self.claims_path is None:
            raise ValueError("laus_path or claims_path is needed")
        return self


class Study(_Declared):
    """What is studied. The same study over the same files gives the same bytes.

    `start` and `end` are UTC dates, both included.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    start: date
    end: date
    zone: str
    """Zone of pings that carry no offset, when `zone_from_coordinates` is off."""
    zone_from_coordinates: bool = False
    seed: int = 0
    sources: tuple[Source, ...]
    tracts: Areas | None = None
    pois: Pois | None = None
    demographics: Demographics | None = None
    jobs: Jobs | None = None
    telework: Telework | None = None
    official_rates: OfficialRates | None = None
    params: dict[str, dict[str, Any]] = {}
    """Stage name → parameter → value; what is left out keeps the stage's default."""
    folder: Path = Field(default=Path(), exclude=True)
    """Where relative paths start: the folder of the study file."""

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        return check_zone(value)

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"end ({self.end}) is before start ({self.start})")
        return self

    @property
    def n_dates(self) -> int:
        """Number of UTC dates in the span."""
        return (self.end - self.start).days + 1

    def shown(self) -> dict[str, Any]:
        """Return the study as it may be written down: plain values, without the names of devices."""
        return self.model_dump(mode="json", exclude={"sources": {"__all__": {"device_name"}}})

    def dates(self) -> list[date]:
        """Return every UTC date of the span in order."""
        return [self.start + timedelta(days=k) for k in range(self.n_dates)]

    @classmethod
    def from_dict(cls, values: dict[str, Any], folder: Path = Path()) -> Self:
        """Return the study described by plain values; StudyError names each bad field."""
        try:
            return cls(**values, folder=folder)
        except ValidationError as error:
            raise StudyError(_explain(error)) from None

    @classmethod
    def from_toml(cls, path: Path, overrides: dict[str, Any] | None = None) -> Self:
        """Return the study in a TOML file, fields replaced by those of `overrides`, tables merged."""
        try:
            values = tomllib.loads(path.read_text())
        except FileNotFoundError:
            raise StudyError(f"no study file at {path}") from None
        except tomllib.TOMLDecodeError as error:
            raise StudyError(f"{path} is not valid TOML: {error}") from None
        values = _merged(values, overrides or {})
        try:
            return cls.from_dict(values, folder=path.resolve().parent)
        except StudyError as error:
            raise StudyError(f"{path}: {error}") from None


def columns_of(columns: Columns) -> tuple[str, ...]:
    """Return the names that a declaration of one column or several holds."""
    return (columns,) if isinstance(columns, str) else columns


def check_zone(value: str) -> str:
    """Return `value` if it is an IANA zone; ValueError with near names otherwise."""
    if value not in available_timezones():
        near = sorted(z for z in available_timezones() if value.split("/")[-1].lower() in z.lower())[:5]
        raise ValueError(f"{value!r} is not an IANA time zone" + (f"; did you mean {', '.join(near)}?" if near else ""))
    ZoneInfo(value)
    return value


SECTIONS: dict[int | str, type[BaseModel]] = {
    "sources": Source,
    "columns": ColumnMap,
    "tracts": Areas,
    "pois": Pois,
    "demographics": Demographics,
    "jobs": Jobs,
    "telework": Telework,
    "official_rates": OfficialRates,
}
"""Part of a study → what it may hold."""


def _explain(error: ValidationError) -> str:
    """Return one line a field: its path, what is wrong, and what it takes."""
    lines = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"]) or "study"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"no such field; accepted: {', '.join(_accepted(problem['loc']))}"
        lines.append(f"{field}: {message}")
    return "; ".join(lines)


def _accepted(loc: tuple[int | str, ...]) -> list[str]:
    parents = [part for part in loc[:-1] if part in SECTIONS]
    model: type[BaseModel] = SECTIONS[parents[-1]] if parents else Study
    return [name for name in model.model_fields if name != "folder"]


def parse_date(text: str) -> date:
    """Return the date written as YYYY-MM-DD; StudyError when it is not one."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise StudyError(f"{text!r} is not a date; write YYYY-MM-DD") from None


def _merged(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with `overrides` put in, tables merged field by field."""
    merged = dict(values)
    for name, value in overrides.items():
        is_table = isinstance(value, dict) and isinstance(values.get(name), dict)
        merged[name] = _merged(values[name], value) if is_table else value
    return merged
