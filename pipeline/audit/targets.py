"""What is audited: a table under a root, or Parquet files of any origin, by the columns that are there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from data_contracts import TABLES
from pipeline.audit.groups import HOME_WORK_COLUMNS, FewDevices, HomeWork, audit_home_work, audit_n_devices
from pipeline.audit.params import AuditParams
from pipeline.audit.points import has_points, read_points
from pipeline.audit.uniqueness import Unique, audit_uniqueness
from pipeline.engine.files import footer_source
from pipeline.engine.store import Store
from pipeline.paths import as_path
from pipeline.study import StudyError


class Audit(NamedTuple):
    """What was found; None or nothing where the columns do not allow a question."""

    what: str
    """Table, or name of the file."""
    few_devices: FewDevices | None
    home_work: HomeWork | None
    uniqueness: list[Unique]

    @property
    def is_too_small(self) -> bool:
        """Whether rows stand for fewer devices than they must."""
        return self.few_devices is not None and self.few_devices.n_rows_below > 0


def audit(target: str, root: Path, params: AuditParams) -> Audit:
    """Return what a table under `root`, a Parquet file or a folder of them tells of single devices.

    Rows with `n_devices` are held to the contract's minimum, of other files to that of the params. StudyError where
    there is nothing of that name, or nothing in it that tells of devices.
    """
    paths = _find(target, root)
    names = pq.read_schema(footer_source(paths[0])).names
    table = TABLES.get(target)
    least = (table.min_devices if table else None) or params.min_devices
    found = Audit(
        table.name if table else Path(target).name,
        audit_n_devices(paths, least) if "n_devices" in names else None,
        audit_home_work(paths, least) if set(HOME_WORK_COLUMNS) <= set(names) else None,
        audit_uniqueness(read_points(paths, params), params) if has_points(names, params) else [],
    )
    if found.few_devices is None and found.home_work is None and not found.uniqueness:
        raise StudyError(
            f"{found.what} has neither n_devices, nor homes and workplaces, nor device_id with a time and a "
            f"{params.place}: there is nothing to audit"
        )
    return found


def _find(target: str, root: Path) -> list[Path]:
    """Return the Parquet files of a table, else those at a path."""
    if target in TABLES:
        store = Store(root)
        paths = [store.path(TABLES[target], key) for key in store.keys(TABLES[target])]
    else:
        given = as_path(target)
        found = sorted(given.rglob("*.parquet"), key=str)
        inside = [p for p in found if not any(part[0] in "._" for part in p.relative_to(given).parts)]
        paths = [given] if given.is_file() else inside
    if not paths:
        raise StudyError(f"{target}: neither a table computed under {root} nor a Parquet file or folder")
    return paths
