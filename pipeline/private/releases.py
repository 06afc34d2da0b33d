"""Private releases: asked once, paid for, noised, kept, and given again to who asks again."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.files import atomic_file, exists, whole_source
from pipeline.engine.lock import root_lock
from pipeline.engine.store import Store
from pipeline.params import digest
from pipeline.private.aggregate import PrivateQuery, bounded_sums
from pipeline.private.domain import Domain, make_domain
from pipeline.private.ledger import Ledger, OpenLedger
from pipeline.private.noise import Noise, add_noise, add_threshold_noise, make_noise, make_threshold_noise
from pipeline.private.trouble import PrivacyError
from pipeline.study import Study, StudyError

FACTS_KEY = b"sojourn_private"
MAX_CELLS = 2_000_000
"""Most cells of a public domain that are released (ours): some 20 seconds of noise."""


class PrivateRelease(NamedTuple):
    """What may leave: noisy values, and how they came about."""

    rows: pd.DataFrame
    """The columns asked by, and `noisy_count` (int64) or `noisy_sum` (float64, unit of the column); may be negative."""
    facts: dict[str, Any]
    """What was asked, the loss, the mechanism, its scale; nothing here depends on the data."""
    is_repeated: bool
    """Asked before: given again, nothing spent."""


def release(query: PrivateQuery, study: Study, root: Path) -> PrivateRelease:
    """Return a private release of a table under `root`, a row for each cell, in order.

    What was asked of the same data before is given again, from the root's records. Else the budget is charged, on the
    disk, and only then noise is drawn. Without `delta` there is a row for every cell of the public domain; with it
    only cells with rows are looked at, and those below the threshold are left out. Rows without an area, or on local
    dates outside the study, are in no cell. RunError while a run holds the root, BudgetError where too little is left,
    StudyError for a wrong question.
    """
    Ledger(root).read()
    # A run that rewrites shards meanwhile would mix two states of a table.
    with root_lock(root):
        return _release(query, study, Store(root), Ledger(root))


def _release(query: PrivateQuery, study: Study, store: Store, ledger: Ledger) -> PrivateRelease:
    domain = make_domain(query.contract, query.by, study, store, query.area_digits)
    noise = _noise(query, domain)
    release_id = _release_id(query, domain, store, study.seed)
    path = ledger.folder / f"{release_id}.parquet"
    if exists(path):
        return _read(path)
    sums = bounded_sums(_shards(query, store), query, domain, study.seed)
    with ledger.opened() as opened:
        return _draw(query, domain, noise, sums, opened, path)


def _noise(query: PrivateQuery, domain: Domain) -> Noise:
    if query.delta:
        return make_threshold_noise(query.sensitivity(), query.epsilon, query.delta)
    if domain.n_cells > MAX_CELLS:
        raise StudyError(
            f"{', '.join(query.by)} have {domain.n_cells:,} cells, more than {MAX_CELLS:,}: a --delta above 0 releases "
            "only those above a threshold"
        )
    return make_noise(query.sensitivity(), query.epsilon)


def _draw(
    query: PrivateQuery, domain: Domain, noise: Noise, sums: pd.DataFrame, ledger: OpenLedger, path: Path
) -> PrivateRelease:
    """Spend, draw noise and keep the release, in this order."""
    if noise.epsilon > query.epsilon or noise.delta > query.delta:
        raise PrivacyError("OpenDP states a larger loss than was asked for: nothing is released")
    ledger.spend(query.words(), path.stem, query.epsilon, query.delta)
    cell, steps = sums["cell"].to_numpy(), sums["steps"].to_numpy()
    if noise.threshold is None:
        values = np.zeros(domain.n_cells, np.int64)
        values[cell] = steps
        cell, steps = np.arange(domain.n_cells), add_noise(noise, values)
    else:
        noisy = add_threshold_noise(noise, dict(zip(cell.tolist(), steps.tolist(), strict=True)))
        cell, steps = np.array(list(noisy), np.int64), np.array(list(noisy.values()), np.int64)
    rows = domain.rows_of(cell)
    rows["noisy_sum" if query.is_sum else "noisy_count"] = steps * query.step if query.is_sum else steps
    _write(path, rows, _facts(query, domain, noise))
    return _read(path)._replace(is_repeated=False)


def _release_id(query: PrivateQuery, domain: Domain, store: Store, seed: int) -> str:
    """Return what identifies question and data. It is made from the data, and so stays in the root."""
    keys = store.keys(query.contract)
    if not keys:
        raise StudyError(f"{query.table} is not computed under {store.root}")
    contents = [footer.content for key in keys if (footer := store.footer(query.contract, key))]
    values = [[str(value) for value in values] for values in domain.values]
    asked = asdict(query) | {"max_rows": query.rows_per_device, "clip": query.clip if query.is_sum else None}
    return digest([asked, values, contents, seed])


def _shards(query: PrivateQuery, store: Store) -> Any:
    table = query.contract
    names = list(dict.fromkeys(["device_id", *query.by, *([query.counted] if query.is_sum else [])]))
    return (store.read(table, key, names).to_pandas(date_as_object=False) for key in store.keys(table))


def _facts(query: PrivateQuery, domain: Domain, noise: Noise) -> dict[str, Any]:
    """Return how a release came about. 95 % of noise lies within `noise_within_95`, in `unit`."""
    unit = query.contract.column(query.counted).unit if query.is_sum else query.counted
    return {
        "asked": query.words(),
        "table": query.table,
        "by": list(query.by),
        "area_digits": query.area_digits,
        "counted": query.counted,
        "unit": unit,
        "unit_of_privacy": "device",
        "max_rows_per_device": query.rows_per_device,
        "clip": list(query.clip) if query.is_sum else None,
        "epsilon": query.epsilon,
        "delta": query.delta,
        "mechanism": "discrete Laplace" + ("" if noise.threshold is None else " above a threshold"),
        "drawn_by": f"opendp {version('opendp')}",
        "scale": noise.scale * query.step,
        "threshold": None if noise.threshold is None else noise.threshold * query.step,
        "noise_within_95": noise.scale * query.step * math.log(20),
        "n_cells_possible": domain.n_cells,
    }


def _write(path: Path, rows: pd.DataFrame, facts: dict[str, Any]) -> None:
    data = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata({FACTS_KEY: json.dumps(facts)})
    with atomic_file(path) as file:
        pq.write_table(data, file, compression="zstd")


def _read(path: Path) -> PrivateRelease:
    data = pq.read_table(whole_source(path), partitioning=None)
    facts = json.loads(data.schema.metadata[FACTS_KEY])
    return PrivateRelease(data.to_pandas(), facts, True)
