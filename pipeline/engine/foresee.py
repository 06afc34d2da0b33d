"""A dry run's word on one shard: what a run would do with it, why, and what that makes of the shards after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_contracts import Table
from pipeline.engine.lineage import DETAILS, PART_NAMES, short_name
from pipeline.engine.origins import Origins
from pipeline.engine.outlook import Fate, ShardReport, judge_inputs
from pipeline.engine.store import Footer, ShardKey
from pipeline.engine.why import explain

if TYPE_CHECKING:
    from pipeline.engine.plan import Work


def note(work: Work, key: ShardKey, fate: Fate) -> None:
    """Note what becomes of a shard of the stage's table."""
    if work.outlook is not None:
        work.outlook.note(work.stage.writes, key, fate)


def wait_for(work: Work, key: ShardKey, why: list[str], fate: Fate = Fate.DOUBTFUL) -> ShardReport:
    """Report a shard of a dry run that is computed or removed only if what it waits for changes."""
    note(work, key, fate)
    return ShardReport(work.stage.writes.name, key.path, "waiting", tuple(why))


def foresee(
    work: Work,
    key: ShardKey,
    inputs: Sequence[tuple[Table, ShardKey]],
    footer: Footer | None,
    expected: Mapping[str, Any],
    is_settled: bool,
) -> ShardReport:
    """Report what a run would do with a shard and why, and note what becomes of it."""
    table = work.stage.writes
    if footer is None:
        note(work, key, Fate.APPEARS)
        return ShardReport(table.name, key.path, "missing", ("never computed",))
    verdict = judge_inputs(footer.made_from, expected, _fates(work, footer, inputs))
    certain = explain(footer.made_from, expected, work.origins or Origins(work.store), work.values) + verdict.certain
    possible = verdict.possible
    if not is_settled:
        possible = [*possible, "what the date before leaves open may change"]
    elif footer.made_from.get("carry") != expected.get("carry"):
        certain.append(f"{PART_NAMES['carry']} changed")
    if work.is_forced and not certain and (key.date is None or key.date in work.dates):
        certain = ["asked for"]
    if certain:
        note(work, key, Fate.MAY_CHANGE)
        return ShardReport(table.name, key.path, "stale", tuple(certain), footer.n_rows)
    if possible:
        return wait_for(work, key, possible, Fate.MAY_CHANGE)._replace(n_rows=footer.n_rows)
    return ShardReport(table.name, key.path, "current", (), footer.n_rows, n_suppressed=footer.n_suppressed)


def _fates(work: Work, footer: Footer, inputs: Sequence[tuple[Table, ShardKey]]) -> dict[str, dict[str, Fate]]:
    """Return what becomes of each input, those included that the shard was made of and that go."""
    found: dict[str, dict[str, Fate]] = {}
    for table, key in inputs:
        found.setdefault(table.name, {})[short_name(key.path)] = work.fate(table, key)
    for table in work.stage.reads:
        recorded = footer.made_from.get(DETAILS, {}).get(table.name, {})
        gone = [short_name(k.path) for k in work.outlook.gone(table)] if work.outlook else []
        found.setdefault(table.name, {}).update({name: Fate.GOES for name in gone if name in recorded})
    return found
