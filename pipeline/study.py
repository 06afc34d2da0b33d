"""`Study`: a declared span, place, set of sources, reference data and Params. One object for CLI, flows and files."""

import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator, model_validator

from pipeline.references import (
    Areas,
    Declared,
    Demographics,
    Epidemic,
    Jobs,
    NpiOrders,
    NpiPolicies,
    OfficialRates,
    Pois,
    Population,
    Telework,
)


class StudyError(ValueError):
    """A study that cannot be used: names the field, what was given and what is accepted."""


MODEL_NAME = r"^[a-z][a-z0-9_]*@[0-9a-f]{12}$"
"""A trained model: its name, and a version that follows from what was learnt."""

ColumnName = str | tuple[str, ...] | None
"""A column's name, or a list of names: then each file has exactly one of them."""
OPTIONAL_COLUMNS = ("accuracy_m", "utc_offset_s")


class ColumnMap(Declared):
    """Which column of the source holds what. None, or "" where a preset says otherwise: there is no such column.

    Files of two layouts are one source where a column has a list of names (`tracked_at = ["timestamp", "ts"]`). Of
    columns that need not be there the list may have "": a file with none of the names has no such column.
    """

    device_id: ColumnName = None
    """None: the device is named by the file (``device_from``)."""
    tracked_at: ColumnName = None
    lon: ColumnName = None
    lat: ColumnName = None
    accuracy_m: ColumnName = None
    utc_offset_s: ColumnName = None

    @field_validator("*")
    @classmethod
    def _tidy(cls, value: ColumnName, info: ValidationInfo) -> ColumnName:
        if not isinstance(value, tuple):
            return value or None
        if not any(value) or len(set(value)) < len(value):
            raise ValueError("a list of names must have a name, and each but once")
        if "" in value and info.field_name not in OPTIONAL_COLUMNS:
            raise ValueError(f'only {" and ".join(OPTIONAL_COLUMNS)} may be missing from a file ("")')
        return value if len(value) > 1 else value[0]

    @property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """Column → names of those that have several."""
        return {column: names for column, names in self if isinstance(names, tuple)}


class Source(Declared):
    """Raw files of one layout. Fields left out are filled from `preset`, then from the defaults here."""

    path: str
    """File, folder or glob, relative to the study file, or a URL (``s3://...``); ``**`` descends."""
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


class Study(Declared):
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
    npi_policies: NpiPolicies | None = None
    npi_orders: NpiOrders | None = None
    epidemic: Epidemic | None = None
    models: tuple[Annotated[str, Field(pattern=MODEL_NAME)], ...] = ()
    """Trained models whose tables are filled, each as name@version: what `sojourn train` prints."""
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
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
        return dates_between(self.start, self.end)

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
    "npi_policies": NpiPolicies,
    "npi_orders": NpiOrders,
    "epidemic": Epidemic,
    "population": Population,
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


def dates_between(first: date, last: date) -> list[date]:
    """Return every date from `first` to `last`, both included."""
    return [first + timedelta(days=k) for k in range((last - first).days + 1)]


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
