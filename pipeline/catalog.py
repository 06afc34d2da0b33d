"""Tables for analysts: `load("visits")` reads one, `render()` writes the catalogue of all of them.

`load` reads what the engine wrote under a root folder: ``ROOT/TABLE/date=YYYY-MM-DD/bucket=0003.parquet``,
``ROOT/TABLE/bucket=0003.parquet``, ``ROOT/TABLE/FILE.parquet`` or ``ROOT/TABLE/all.parquet``. Names
that begin with "." or "_" are never data.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from data_contracts import SIGNIFICANT_DIGITS, TABLES, Column, Release, Shard, Table
from pipeline.paths import as_path, dataset_source
from pipeline.stage import STAGES, Stage
from pipeline.study import dates_between, parse_date

if TYPE_CHECKING:
    import geopandas as gpd

ROOT_VARIABLE = "SOJOURN_ROOT"
CRS = "EPSG:4326"

Day = date | str
Dates = Day | tuple[Day, Day] | Iterable[Day]
"""One date, a pair (first, last) with both included, or any other collection of dates."""


class CatalogError(LookupError):
    """A table, column, date or root that is not there; says what is."""


# --- Reading ------------------------------------------------------------------------------------


def load(
    table: str,
    dates: Dates | None = None,
    columns: Sequence[str] | None = None,
    root: str | Path | None = None,
    geometry: bool = False,
) -> pd.DataFrame | gpd.GeoDataFrame:
    """Return the rows of a table in the order of its key, over all its shards.

    Only `columns` are read (all of them by default), and the frame is held in memory whole: pings of
    many dates are large, so name the columns and dates you need. Times are UTC, local dates are
    datetime64 at midnight. `dates` is one date, a pair (first, last) or a list, and means

    - the local `date` column, where a table has one (``coverage``, ``visits``);
    - else, for tables kept per date, the UTC date a row is filed under: for ``pings`` the date it was
      measured, for ``stays`` the date on which it was known to be over. Each must have been computed;
    - else it is an error.

    Tables of state that one date hands to the next (``open_stays``) need exactly one date.

    `root` is the folder of tables or their URL, by default the environment variable SOJOURN_ROOT. With `geometry`
    the result is a GeoDataFrame in EPSG:4326: points from lon and lat (for ``pings``, whose degrees
    are added), polygons for ``tracts``. CatalogError where something asked for is not there.
    """
    contract = find_table(table)
    wanted = _find_columns(contract, columns)
    sources = _geometry_sources(contract) if geometry else ()
    days = None if dates is None else _days(dates)
    paths, condition = _select(contract, days, _find_root(root))
    data = _read(contract, paths, [*wanted, *sources], condition)
    frame = data.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
    return _to_geo(frame, sources, wanted) if geometry else frame


def find_table(name: str) -> Table:
    """Return the declaration of a table; CatalogError with near names where there is none."""
    if name not in TABLES:
        raise CatalogError(f"no table {name!r}{_near(name, TABLES)}; there are {', '.join(TABLES)}")
    return TABLES[name]


def _find_columns(table: Table, names: Sequence[str] | None) -> list[str]:
    if names is None:
        return table.names
    if isinstance(names, str) or not names:
        raise CatalogError(f'columns takes a list with at least one name, such as ["{table.names[0]}"]')
    for name in names:
        if name not in table.names:
            near = _near(name, table.names)
            raise CatalogError(f"{table.name} has no column {name!r}{near}; it has {', '.join(table.names)}")
    return list(dict.fromkeys(names))


def _near(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=3)
    return f", did you mean {' or '.join(near)}?" if near else ""


def _find_root(root: str | Path | None) -> Path:
    given = root if root is not None else os.environ.get(ROOT_VARIABLE)
    if not given:
        raise CatalogError(
            f'which root? Name the folder of tables: load("visits", root="demo/tables"), '
            f"or set the environment variable {ROOT_VARIABLE} to it"
        )
    folder = as_path(given)
    if not folder.is_dir():
        raise CatalogError(f"no folder of tables at {folder}")
    return folder


_PATTERNS = {
    Shard.FILE: "*.parquet",
    Shard.DATE_BUCKET: "date=*/bucket=*.parquet",
    Shard.BUCKET: "bucket=*.parquet",
    Shard.STATIC: "all.parquet",
    Shard.STUDY: "all.parquet",
    Shard.RUN: "*.parquet",
}


def _shard_paths(table: Table, root: Path) -> list[Path]:
    found = (root / table.name).glob(_PATTERNS[table.shard])
    return sorted((path for path in found if not path.name.startswith((".", "_"))), key=str)


def _select(table: Table, days: list[date] | None, root: Path) -> tuple[list[Path], ds.Expression | None]:
    """Return the shards to read, and which of their rows where that is a matter of a column."""
    paths = _shard_paths(table, root)
    if not paths:
        present = [t.name for t in TABLES.values() if not t.is_carry and _shard_paths(t, root)]
        raise CatalogError(f"{table.name} is not computed under {root}; there are {', '.join(present) or 'no tables'}")
    if table.is_carry and (days is None or len(days) != 1):
        raise CatalogError(f"{table.name} is the state at the end of one UTC date: ask for exactly one date")
    if days is None:
        return paths, None
    if "date" in table.names and not table.is_carry:
        return paths, ds.field("date").isin(days)
    if table.shard is Shard.DATE_BUCKET:
        return _of_days(table, paths, days), None
    raise CatalogError(f"{table.name} has no date: it is kept per {table.shard}; leave dates out")


def _of_days(table: Table, paths: list[Path], days: list[date]) -> list[Path]:
    by_day: dict[str, list[Path]] = {}
    for path in paths:
        by_day.setdefault(path.parent.name.removeprefix("date="), []).append(path)
    missing = [day.isoformat() for day in days if day.isoformat() not in by_day]
    if missing:
        raise CatalogError(
            f"{table.name} is not computed for {len(missing)} of the {len(days)} UTC dates asked for "
            f"(first {missing[0]}); there are {len(by_day)}, from {min(by_day)} to {max(by_day)}"
        )
    return [path for day in days for path in by_day[day.isoformat()]]


def _days(dates: Dates) -> list[date]:
    """Return distinct dates in order."""
    if isinstance(dates, str | date):
        return [_day(dates)]
    if not isinstance(dates, tuple):
        found = sorted({_day(day) for day in dates})
        if not found:
            raise CatalogError("dates is an empty collection; leave it out to read every date")
        return found
    if len(dates) != 2:
        raise CatalogError(f"dates as a tuple is (first, last), not {len(dates)} dates; give a list for single dates")
    first, last = _day(dates[0]), _day(dates[1])
    if last < first:
        raise CatalogError(f"dates ends ({last}) before it starts ({first})")
    return dates_between(first, last)


def _day(day: Day) -> date:
    if isinstance(day, str):
        return parse_date(day)
    if not isinstance(day, date):
        raise CatalogError(f"a date is a datetime.date or a text YYYY-MM-DD, not {type(day).__name__}")
    return date(day.year, day.month, day.day)


def _read(table: Table, paths: list[Path], columns: list[str], condition: ds.Expression | None) -> pa.Table:
    """Return `columns` of the shards, in the order of the key whatever the number of shards."""
    shown = list(dict.fromkeys(columns))
    needed = shown if len(paths) == 1 else list(dict.fromkeys([*shown, *table.key]))
    schema = pa.schema([table.schema.field(name) for name in table.names])
    names, place = dataset_source(paths)
    found = ds.dataset(names, schema=schema, format="parquet", partitioning=None, filesystem=place)
    _check_shards(table, found, needed)
    data = found.to_table(columns=needed, filter=condition)
    if len(paths) > 1:
        data = data.sort_by([(name, "ascending") for name in table.key])
    return data.select(shown).replace_schema_metadata(None)


def _check_shards(table: Table, shards: ds.FileSystemDataset, columns: list[str]) -> None:
    """Refuse shards that another contract wrote: pyarrow would fill what they lack with nulls."""
    for shard in shards.get_fragments():
        try:
            given = {field.name: field.type for field in shard.physical_schema}
        except (pa.ArrowInvalid, OSError) as error:
            raise CatalogError(f"{shard.path} cannot be read ({type(error).__name__}); compute it again") from None
        other = [name for name in columns if given.get(name) != table.column(name).dtype]
        if other:
            raise CatalogError(
                f"{shard.path} was written under another contract: {', '.join(other)} missing or of another "
                f"type; compute {table.name} again"
            )


def _geometry_sources(table: Table) -> tuple[str, ...]:
    for names in (("geometry",), ("lon", "lat"), ("lon_e7", "lat_e7")):
        if set(names) <= set(table.names):
            return names
    raise CatalogError(f"{table.name} has no position, so no geometry; its columns are {', '.join(table.names)}")


def _to_geo(frame: pd.DataFrame, sources: tuple[str, ...], wanted: list[str]) -> gpd.GeoDataFrame:
    import geopandas as gpd

    shown = frame[[name for name in wanted if name != "geometry"]].copy()
    if sources == ("geometry",):
        shapes = gpd.GeoSeries.from_wkb(frame["geometry"], crs=CRS)
        return gpd.GeoDataFrame(shown, geometry=shapes, crs=CRS)
    lon, lat = (frame[name] for name in sources)
    if sources == ("lon_e7", "lat_e7"):
        lon, lat = lon / 1e7, lat / 1e7
        shown = shown.assign(lon=lon, lat=lat)
    return gpd.GeoDataFrame(shown, geometry=gpd.points_from_xy(lon, lat), crs=CRS)


# --- The catalogue ------------------------------------------------------------------------------

_HEAD = """\
# Catalogue of tables

Generated from the declarations in `data_contracts/` and `pipeline/stages/`; do not edit. To renew it:
`sojourn catalog --write data_contracts/CATALOG.md`.

**Words.** A *ping* is what trackintel calls a positionfix, a *stay* what it calls a staypoint; a *device*
is whatever a source gives one id. Times (`…_at`) are UTC; `date` and `window_started` are local dates.
Suffixes are units: `_m` metres, `_s` seconds, `_us` microseconds, `_e7` 1e-7 degree, `_bytes` bytes; `n_` counts.

**Reading.** `from pipeline.catalog import load`, then `load("stays", dates=("2024-03-01", "2024-03-07"),
columns=["device_id", "dwell_s"], geometry=True)`. `dates` means the local `date` column where a table has
one, else the UTC date a row is filed under. Tables marked *{public}* may leave; all others stay inside.

## How tables follow from each other

An arrow leads from what a stage reads to what it writes. Slanted boxes come from outside, double ones may be
released; a dotted arrow leads to the state from which the stage starts on the next date. Where a thick arrow
leads, the shards of all devices are gathered into one table of the study, or meet before they part again.
"""


def render(tables: Sequence[Table] | None = None) -> str:
    """Return the catalogue as Markdown: lineage and a page for each table, or the pages of `tables` alone."""
    import pipeline.stages  # noqa: F401  (fills the registry)

    if tables is not None:
        return "\n".join(_page(table) for table in tables)
    head = _HEAD.format(public=Release.PUBLIC)
    return "\n".join([head, _lineage(), _index(), *(_page(table) for table in TABLES.values())])


def _writers() -> dict[str, Stage]:
    """Return the stage behind each table, be it written, carried or made of what was refused."""
    return {
        table.name: stage
        for stage in STAGES.values()
        for table in (stage.writes, stage.carries, stage.rejects)
        if table is not None
    }


def _readers(table: Table) -> list[str]:
    return [name for name in TABLES if name in STAGES and table in STAGES[name].reads]


def _lineage() -> str:
    nodes = [f"  {_node(table)}" for table in TABLES.values() if table.name in _writers() or _readers(table)]
    arrows = []
    for stage in (STAGES[name] for name in TABLES if name in STAGES):
        for read in stage.reads:
            arrow = "==>" if (stage.is_gather or stage.meet) and not read.shard.is_single else "-->"
            arrows.append(f"  {read.name} {arrow} {stage.name}")
            if stage.rejects:
                arrows.append(f"  {read.name} -- refused --> {stage.rejects.name}")
        if stage.carries:
            arrows.append(f"  {stage.name} -. next date .-> {stage.carries.name}")
    return "\n".join(["```mermaid", "flowchart LR", *nodes, *arrows, "```", ""])


def _node(table: Table) -> str:
    if table.name not in _writers():
        return f"{table.name}[/{table.name}/]"
    return f"{table.name}[[{table.name}]]" if table.release is Release.PUBLIC else f"{table.name}[{table.name}]"


def _index() -> str:
    rows = [[f"[`{t.name}`](#{t.name})", t.row, str(t.shard), str(t.release)] for t in TABLES.values()]
    return _markdown_table(["table", "one row per", "one file per", "class"], rows)


def _page(table: Table) -> str:
    rows = [
        [f"`{c.name}`", f"`{c.dtype}`", c.unit, _values(c), "yes" if c.is_nullable else "", c.description]
        for c in table.columns
    ]
    facts = [
        f"One row per {table.row}.",
        "",
        *([table.notes, ""] if table.notes else []),
        f"- Key and order: {', '.join(f'`{name}`' for name in table.key)}",
        f"- One file per: {table.shard}",
        f"- Class: {_release(table)}",
        *_bounds(table),
        *_exported(table),
        *_origin(table),
    ]
    columns = _markdown_table(["column", "type", "unit", "range or values", "null", "meaning"], rows)
    return "\n".join([f"## {table.name}", "", *facts, "", columns])


def _release(table: Table) -> str:
    if table.release is Release.PUBLIC:
        return f"{table.release}, every row from at least {table.min_devices} devices"
    return str(table.release)


def _bounds(table: Table) -> list[str]:
    """Return how much of one device may enter a private count or sum, where there may be one."""
    if table.max_rows_per_device is None:
        return []
    clips = [f"`{c.name}` {c.clip[0]:g} to {c.clip[1]:g} {c.unit}" for c in table.columns if c.clip]
    return [f"- Private counts: at most {table.max_rows_per_device} rows of a device; sums of {', '.join(clips)}"]


def _exported(table: Table) -> list[str]:
    """Return how an export tells counts, decimals and large values of a release table."""
    if table.release is not Release.PUBLIC:
        return []
    steps = [f"`{c.name}` in steps of {c.round_to:g}" for c in table.columns if c.round_to]
    tops = [f"`{c.name}` up to {_number(c.top_code)} {c.unit}" for c in table.columns if c.top_code is not None]
    return [f"- Exported: {', '.join([*steps, *tops])}; other decimals to {SIGNIFICANT_DIGITS} digits"]


def _origin(table: Table) -> list[str]:
    """Return which stages stand before and after a table, and what the one before may be set to."""
    stage = _writers().get(table.name)
    lines = [f"- Read by: {', '.join(f'`{name}`' for name in _readers(table)) or 'no stage'}"]
    if stage is None:
        return ["- Written by: no stage", *lines]
    reads = ", ".join(f"`{read.name}`" for read in stage.reads)
    lines.insert(0, f"- Written by: `{stage.module.replace('.', '/')}.py` from {reads}")
    if table is stage.writes and stage.params.model_fields:
        lines += ["- Params:", *(f"  - {line}" for line in _params(stage))]
    return lines


def _params(stage: Stage) -> list[str]:
    return [
        f"`{name}` = `{field.get_default(call_default_factory=True)!r}`"
        + (f": {' '.join(field.description.split())}" if field.description else "")
        for name, field in stage.params.model_fields.items()
    ]


def _values(column: Column) -> str:
    if column.values is not None:
        return ", ".join(f"`{value}`" for value in column.values)
    low, high = column.minimum, column.maximum
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    return f"≥ {_number(low)}" if low is not None else f"≤ {_number(high)}" if high is not None else ""


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else str(value)


def _markdown_table(head: list[str], rows: list[list[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [head, ["---"] * len(head), *rows]]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells) + "\n"
