"""One export: a release table of a root, protected, registered and written beside its statement."""

import hashlib
import io
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from data_contracts import Release, Shard, Table
from pipeline.catalog import CatalogError, find_table
from pipeline.engine.records import read_runs, root_lock
from pipeline.engine.store import ALL, Store, atomic_file, write_json
from pipeline.export.protection import ExportParams, hidden_rows, in_steps, least_devices, topped
from pipeline.export.register import read_register, registered, write_register
from pipeline.export.statement import Counts, make_statement, to_markdown
from pipeline.export.vintages import settle
from pipeline.study import StudyError
from pipeline.suppression import COMPLEMENTARY, PRIMARY, SHOWN

FORMATS = ("parquet", "csv")


class Exported(NamedTuple):
    """What an export wrote."""

    table: str
    paths: list[Path]
    """Data, then the statement as JSON and as Markdown."""
    counts: Counts


def export_table(
    name: str, root: Path, folder: Path, params: ExportParams, formats: tuple[str, ...] = FORMATS[:1]
) -> Exported:
    """Write a release table of `root` to `folder` with a statement of protection; the same again: the same bytes.

    The register of the root is written first, then the data, then the statement, each all or nothing. StudyError where
    the table may not leave, is not there, or no finished run on the root says of which study it is.
    """
    table = _releasable(name)
    least = least_devices(table, params)
    span = _study_of(root)
    with root_lock(root):
        rows, n_left_out = _read(root, table)
        state = hidden_rows(rows, table, least)
        past = read_register(root, table)
        settled = settle(rows[state == SHOWN].reset_index(drop=True), past, table, least, params.is_final)
        write_register(root, table, registered(past, settled.rows, table))
        told, n_cut = topped(settled.rows, table)
        told = in_steps(told, table) if params.is_rounded else told
        hidden = [int((state == kind).sum()) for kind in (PRIMARY, COMPLEMENTARY)]
        counts = Counts(len(told), n_left_out, *hidden, settled.n_kept, settled.n_held_back, n_cut)
        paths, digests = _write_data(
            pa.Table.from_pandas(told, table.schema, preserve_index=False), table, folder, formats
        )
        statement = make_statement(table, params, least, counts, span, digests)
        return Exported(table.name, [*paths, *_write_statement(statement, table, folder)], counts)


def _releasable(name: str) -> Table:
    try:
        table = find_table(name)
    except CatalogError as error:
        raise StudyError(str(error)) from None
    if table.release is not Release.PUBLIC or table.shard is not Shard.STUDY:
        raise StudyError(f"{table.name} stays inside: its contract says {table.release}, only release tables may leave")
    return table


def _study_of(root: Path) -> dict[str, str]:
    """Return name and span of the study that ran last on the root."""
    studies = [run["study"] for run in read_runs(root) if run["state"] == "finished"]
    if not studies:
        raise StudyError(f"no finished run on {root}: nothing to export")
    return {name: str(studies[-1][name]) for name in ("name", "start", "end", "zone")}


def _read(root: Path, table: Table) -> tuple[pd.DataFrame, int]:
    """Return the table and how many rows were left out when it was written."""
    store = Store(root)
    footer = store.footer(table, ALL)
    if footer is None:
        raise StudyError(f"{table.name} is not computed under {root}: run the study first")
    return store.read(table, ALL).to_pandas(date_as_object=False), footer.n_suppressed


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
