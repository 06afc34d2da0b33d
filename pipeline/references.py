"""Reference data that a study may declare, a section each: areas, places of interest, census tables, series."""

from datetime import date
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Axis = Literal["sex", "age", "income", "race", "education"]
"""What people are divided by; the groups of an axis are the study's."""
Columns = str | tuple[str, ...]
"""A column, or several that are added up."""
DateFormat = str | tuple[str, ...] | None
"""A strptime format, or several of which one suits; None: YYYY-MM-DD."""


class Declared(BaseModel):
    """A part of a study: cannot be changed, and takes only the fields it names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Areas(Declared):
    """Polygons that locations are joined to: any file geopandas reads."""

    path: str
    id_column: str
    population_column: str | None = None
    layer: str | None = None


class Pois(Declared):
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


class AreaFile(Declared):
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


class Telework(Declared):
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


class OfficialRates(Declared):
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


class RegionFile(Declared):
    """A table with a region in every row. A region is the leading digits of the ids of its areas."""

    path: str
    """File or glob, relative to the study file. The ending says the format: .csv .tsv .txt .parquet."""
    region_column: str = "region_geoid"
    region_digits: int | None = Field(default=None, ge=1)
    """Ids are numbers of so many digits: leading zeros that were lost are put back. None: ids are texts as they are."""
    date_format: DateFormat = None
    """strptime format of dates that are not written as YYYY-MM-DD; of several, the first that suits all of a file."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """None: a tab in .tsv, else a comma."""


class NpiPolicies(RegionFile):
    """Stringency of policies against an epidemic, 0 to 100, by region and date."""

    preset: Literal["oxcgrt_index", "oxcgrt_indicators"] | None = None
    """OxCGRT's Excel file of US states, a sheet an indicator and a column a day, of which columns are known.

    "oxcgrt_index": the sheet stringency_index; "oxcgrt_indicators": the index from sheets C1 to C8 and H1.
    """
    date_column: str = "date"
    stringency_column: str = "stringency"

    @model_validator(mode="after")
    def _preset_knows_columns(self) -> Self:
        if self.preset is not None and self.model_fields_set - {"path", "preset"}:
            raise ValueError(f"preset {self.preset} takes a path alone")
        return self


class NpiOrders(RegionFile):
    """Dates of orders (to stay at home, to close schools), by region. Fields left out are the preset's."""

    preset: Literal["county_npi"] | None = None
    """A file of US counties with a column a kind of order and dates as day numbers, as Johns Hopkins compiled it."""
    order_column: str = "order"
    date_column: str = "ordered_on"
    orders: dict[str, str] = {}
    """Kind of order → column of its dates, where every kind has one; `order_column` and `date_column` are not read."""
    dates_are: Literal["text", "ordinal"] = "text"
    """"ordinal": days since 1 January of the year 1, which is day 1, as Python counts them."""
    state_ending: str = ""
    """Ids that end so are of a state, the first two digits; "": none."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, values: Any) -> Any:
        return _fill(values, ORDER_PRESETS)


class Population(AreaFile):
    """Residents of areas, added up to regions by the leading digits of the ids.

    Of an area and others inside it, as a state beside its counties, the former alone counts.
    """

    id_column: str
    population_column: str


class Epidemic(RegionFile):
    """Cases and deaths by region and date. Fields left out are the preset's."""

    preset: Literal["nyt_states"] | None = None
    """The New York Times' file of US states (us-states.csv)."""
    date_column: str = "date"
    cases_column: str = "new_cases"
    deaths_column: str = "new_deaths"
    counts: Literal["new", "cumulative"] = "new"
    """"cumulative": all until the date; new are those since the date before that the region has."""
    zero_from: date | None = None
    """A region without a row from this date until its first had no case until then. None: that is not known.

    Of cumulative counts, all of a region's first row are new where that is of this date or a later one; else it is not
    known how many are, and the first date is left out.
    """
    population_column: str | None = None
    population: Population | None = None
    """Residents out of another file. Without it and `population_column` there is "population" in this one."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, values: Any) -> Any:
        return _fill(values, EPIDEMIC_PRESETS)

    @model_validator(mode="after")
    def _has_one_population(self) -> Self:
        if self.population_column is not None and self.population is not None:
            raise ValueError("population_column and population are two ways to say one thing")
        return self


COUNTY_ORDERS = (
    "stay at home",
    ">50 gatherings",
    ">500 gatherings",
    "public schools",
    "restaurant dine-in",
    "entertainment/gym",
    "federal guidelines",
    "foreign travel ban",
    "stay at home rollback",
    ">50 gatherings rollback",
    ">500 gatherings rollback",
    "restaurant dine-in rollback",
    "entertainment/gym rollback",
)
"""Columns of orders in the file of US counties; they are called so here, too."""
ORDER_PRESETS: dict[str, dict[str, Any]] = {
    "county_npi": {
        "region_column": "FIPS",
        "region_digits": 5,
        "orders": {name: name for name in COUNTY_ORDERS},
        "dates_are": "ordinal",
        "state_ending": "000",
    },
}
EPIDEMIC_PRESETS: dict[str, dict[str, Any]] = {
    "nyt_states": {
        "region_column": "fips",
        "region_digits": 2,
        "date_format": ("%Y-%m-%d", "%m/%d/%Y"),
        "cases_column": "cases",
        "deaths_column": "deaths",
        "counts": "cumulative",
        "zero_from": date(2020, 1, 1),
    },
}
"""The file begins on 21 January 2020, with the first case of the country; copies that went through a spreadsheet have
1/21/2020."""


def _fill(values: Any, presets: dict[str, dict[str, Any]]) -> Any:
    """Return a section's fields with those of its preset where they are left out; anything but fields as it is."""
    return {**presets.get(values.get("preset") or "", {}), **values} if isinstance(values, dict) else values


def columns_of(columns: Columns) -> tuple[str, ...]:
    """Return the names that a declaration of one column or several holds."""
    return (columns,) if isinstance(columns, str) else columns
