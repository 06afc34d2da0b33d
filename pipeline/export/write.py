"""One export: a release table of a root, protected, registered and written beside its statement."""

import hashlib
import io
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from data_contracts import TRACTS, Release, Shard, Table
from pipeline.catalog import CatalogError, find_table
from pipeline.engine.files import atomic_file, write_json
from pipeline.engine.lineage import STUDY_FACTS
from pipeline.engine.lock import root_lock
from pipeline.engine.records import read_runs
from pipeline.engine.store import ALL, Footer, Store
from pipeline.export.protection import coarse, n_cut
from pipeline.export.register import Register, check_facts, read_register, write_register
from pipeline.export.statement import make_statement, to_markdown
from pipeline.export.vintages import is_among, last_date, settle
from pipeline.params import digest
from pipeline.study import StudyError

FORMATS = ("parquet", "csv")
FROM_FOOTER = {"params": "parameters", "contracts": "contracts"}
FROM_STUDY = {"start": "start of the study", "zone": "zone", "zone_from_coordinates": "way to find zones"}


class Counts(NamedTuple):
    """Rows of an export and of what did not leave. Internal: one device may change them where it changes no row."""

    n_rows: int
    n_left_out: int
    """Left out when the table was written, too few devices being behind them."""
    n_kept: int
    """Of those told, rows that the table now has otherwise, or no more."""
    n_held_back: int
    """Rows of the table that are not told, as rows of their dates were released without them."""
    n_top_coded: int
    """Values of the table, not rows."""


class Exported(NamedTuple):
    """What an export wrote."""

    table: str
    paths: list[Path]
    """Data, then the statement as JSON and as Markdown."""
    internal: Counts
    """Not to be passed on."""


def export_table(name: str, root: Path, folder: Path, formats: tuple[str, ...] = FORMATS[:1]) -> Exported:
    """Write a release table of `root` to `folder` with a statement of protection; the same again: the same bytes.

    The register of the root is written first, then the data, then the statement, each all or nothing. StudyError where
    the table may not leave, is not there, is made from something else than what was released of it, or no finished run
    on the root says of which study it is.
    """
    table = _releasable(name)
    study = _study_of(root)
    with root_lock(root):
        rows, footer = _read(root, table)
        past = read_register(root, table)
        facts = _facts(root, table, footer, study)
        check_facts(past, facts, table)
        released = _release(coarse(rows, table), past, table, facts, date.fromisoformat(study["end"]))
        counts = _count(rows, released.rows, table, footer.n_suppressed)
        write_register(root, table, released, counts._asdict())
        data = pa.Table.from_pandas(released.rows, table.schema, preserve_index=False)
        paths, digests = _write_data(data, table, folder, formats)
        span = {key: str(study[key]) for key in ("name", "start", "end", "zone")}
        span["whole_study_end"] = str(released.study_end or study["end"])
        statement = make_statement(table, counts.n_rows, span, digests)
        return Exported(table.name, [*paths, *_write_statement(statement, table, folder)], counts)


def _release(told: pd.DataFrame, past: Register, table: Table, facts: dict[str, str], study_end: date) -> Register:
    """Return the register with what may be added to it."""
    rows = settle(told, past.rows, table, past.until)
    if rows.empty:
        return Register(rows, facts)
    new = rows[~is_among(rows, past.rows, list(table.key))]
    ends = [end for end in (past.until, last_date(new, table, study_end)) if end]
    return Register(rows, facts, max(ends, default=None), past.study_end or study_end)


def _count(rows: pd.DataFrame, released: pd.DataFrame, table: Table, n_left_out: int) -> Counts:
    n_kept = int((~is_among(released, coarse(rows, table), table.names)).sum())
    n_held_back = int((~is_among(rows, released, list(table.key))).sum())
    return Counts(len(released), n_left_out, n_kept, n_held_back, n_cut(rows, table))


def _facts(root: Path, table: Table, footer: Footer, study: dict[str, Any]) -> dict[str, str]:
    """Return what the table is made from, but for the end of the study: digests and dates by name.

    StudyError where the table is not of the study that ran last: its start would not be known.
    """
    made_from = footer.made_from
    known = {key: study[key] for key in STUDY_FACTS if key in study}
    if "study" in made_from and made_from["study"] != digest(known):
        raise StudyError(f"{table.name} was made for another span or zone than the last run had: run the study first")
    areas = Store(root).footer(TRACTS, ALL)
    return {
        **{said: str(made_from.get(part, "")) for part, said in FROM_FOOTER.items()},
        **{said: str(study.get(key, "")) for key, said in FROM_STUDY.items()},
        "areas": areas.content if areas else "",
    }


def _releasable(name: str) -> Table:
    try:
        table = find_table(name)
    except CatalogError as error:
        raise StudyError(str(error)) from None
    if table.release is not Release.PUBLIC or table.shard is not Shard.STUDY:
        raise StudyError(f"{table.name} stays inside: its contract says {table.release}, only release tables may leave")
    return table


def _study_of(root: Path) -> dict[str, Any]:
    """Return the study that ran last on the root, as its record has it."""
    studies = [run["study"] for run in read_runs(root) if run["state"] == "finished"]
    if not studies:
        raise StudyError(f"no finished run on {root}: nothing to export")
    return dict(studies[-1])


def _read(root: Path, table: Table) -> tuple[pd.DataFrame, Footer]:
    """Return the table and what its shard says of itself."""
    store = Store(root)
    footer = store.footer(table, ALL)
    if footer is None:
        raise StudyError(f"{table.name} is not computed under {root}: run the study first")
    return store.read(table, ALL).to_pandas(date_as_object=False), footer


def _write_data(
    data: pa.Table, table: Table, folder: Path, formats: tuple[str, ...]
) -> tuple[list[Path], dict[str, str]]:
    """Write the rows in each format; return the files and their SHA-256 by name."""
    paths, digests = [], {}
    for kind in formats:
        sink = io.BytesIO()
        if kind == "parquet":
            pq.write_table(data, sink, compression="zstd", store_schema=True)
        else:
            pyarrow.csv.write_csv(data, sink)
        path = folder / f"{table.name}.{kind}"
        with atomic_file(path) as file:
            file.write(sink.getvalue())
        paths.append(path)
        digests[path.name] = hashlib.sha256(sink.getvalue()).hexdigest()
    return paths, digests


def _write_statement(statement: dict[str, Any], table: Table, folder: Path) -> list[Path]:
    paths = [folder / f"{table.name}.protection.json", folder / f"{table.name}.protection.md"]
    write_json(paths[0], statement)
    with atomic_file(paths[1]) as file:
        file.write(to_markdown(statement).encode())
    return paths
