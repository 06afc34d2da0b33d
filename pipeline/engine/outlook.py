"""What a run would do, known before it runs: the fate of every shard, and what follows for the shards made of it.

Fingerprints compare contents, and what content a computation gives only it can tell. So a dry run knows two
kinds of shards to be computed: *stale* ones for certain, *waiting* ones if what they wait for comes out different.
Both together hold every shard that the run then computes or removes; the stale ones are all among these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from data_contracts import Table
from pipeline.engine.lineage import DETAILS, short_name
from pipeline.engine.metering import Cost
from pipeline.engine.store import ShardKey, Store

DIGITS = 8
"""Hexadecimal digits of a content kept in details: enough to tell two versions of one shard apart (ours)."""
MAX_DETAILS = 50_000
"""Inputs that a footer lists, some 30 bytes each, which every run reads (ours)."""


SHARD, PART, READ = "shard", "part", "read"
"""Steps of the work on a table: see `run_shards`."""


class ShardReport(NamedTuple):
    """The state in which one shard was found or left."""

    table: str
    path: str
    state: str
    """current, computed, removed. In a dry run stale and missing are computed or removed for certain, waiting ones
    perhaps."""
    why: tuple[str, ...] = ()
    n_rows: int = 0
    n_suppressed: int = 0
    cost: Cost | None = None
    """What computing it took; None where nothing was computed."""
    step: str = SHARD
    """What was done: a shard, or a part of the work on one, which counts as no shard."""


class Fate(StrEnum):
    """What becomes of one shard in the run that is foreseen."""

    STAYS = "stays"
    CHANGES = "changes"
    """Its content will be another for certain."""
    APPEARS = "appears"
    GOES = "goes"
    MAY_CHANGE = "may change"
    """It will be there, perhaps with other content."""
    DOUBTFUL = "doubtful"
    """It may be there or not."""


class Outlook:
    """The fates of the shards of a root; what is not noted stays as it is."""

    def __init__(self) -> None:
        """Begin with a root in which nothing happens."""
        self._fates: dict[str, dict[ShardKey, Fate]] = {}

    def note(self, table: Table, key: ShardKey, fate: Fate) -> None:
        """Note what becomes of a shard."""
        self._fates.setdefault(table.name, {})[key] = fate

    def fate(self, table: Table, key: ShardKey) -> Fate:
        """Return what becomes of a shard."""
        return self._fates.get(table.name, {}).get(key, Fate.STAYS)

    def keys(self, store: Store, table: Table, bucket: int | None = None) -> list[ShardKey]:
        """Return the shards of a table that will or may be there, in the store's order."""
        noted = self._fates.get(table.name, {})
        there = {key for key in store.keys(table, bucket) if noted.get(key) is not Fate.GOES}
        there |= {
            key for key, fate in noted.items() if fate in (Fate.APPEARS, Fate.DOUBTFUL) and bucket in (None, key.bucket)
        }
        return sorted(there, key=ShardKey.order)

    def gone(self, table: Table) -> list[ShardKey]:
        """Return a table's shards that go."""
        return [key for key, fate in self._fates.get(table.name, {}).items() if fate is Fate.GOES]


def count_due(reports: Iterable[ShardReport]) -> dict[str, dict[str, int]]:
    """Return table → state → number of shards (or source files) that are not current, in the order of the reports."""
    due: dict[str, dict[str, int]] = {}
    for report in reports:
        if report.state != "current":
            mine = due.setdefault(report.table, {})
            mine[report.state] = mine.get(report.state, 0) + 1
    return due


def due_words(due: Mapping[str, Mapping[str, int]]) -> str:
    """Return what `count_due` counted, in words; "" where all is current."""
    return "; ".join(
        f"{table} {', '.join(f'{n:,} {state}' for state, n in mine.items())}" for table, mine in due.items()
    )


class Seen(NamedTuple):
    """One input of a shard: what it was made of, what is there now, and what becomes of that."""

    table: str
    name: str
    recorded: str | None
    now: str | None
    fate: Fate


class Verdict(NamedTuple):
    """Reasons for which a shard will be computed for certain, and for which it may be."""

    certain: list[str]
    possible: list[str]


def details(contents: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, dict[str, dict[str, str]]]:
    """Return the part of a footer that has the first digits of the content of every input: table → shard → digits.

    Nothing where there are more than MAX_DETAILS: then only that a table changed is known, not in which shards.
    """
    if sum(map(len, contents.values())) > MAX_DETAILS:
        return {}
    told = {t: {short_name(path): content[:DIGITS] for path, content in found} for t, found in contents.items()}
    return {DETAILS: told}


def judge_inputs(
    made_from: Mapping[str, Any], expected: Mapping[str, Any], fates: Mapping[str, Mapping[str, Fate]]
) -> Verdict:
    """Return the `Verdict` on the inputs of a shard: `fates` are those of each table's shards, now or then there."""
    certain: list[str] = []
    possible: list[str] = []
    tables = sorted({*made_from.get("inputs", {}), *expected["inputs"], *fates})
    for table in tables:
        sure, may = _judge_table(table, made_from, expected, fates.get(table, {}))
        certain += sure
        possible += may
    return Verdict(certain, possible)


def _judge_table(
    table: str, made_from: Mapping[str, Any], expected: Mapping[str, Any], fates: Mapping[str, Fate]
) -> Verdict:
    digests = [parts.get("inputs", {}).get(table) for parts in (made_from, expected)]
    is_settled = all(fate is Fate.STAYS for fate in fates.values())
    if is_settled and digests[0] == digests[1]:
        return Verdict([], [])
    if DETAILS not in made_from or DETAILS not in expected:
        return _judge_blindly(table, is_settled, digests[0] == digests[1], fates)
    recorded, now = made_from[DETAILS].get(table, {}), expected[DETAILS].get(table, {})
    names = sorted({*recorded, *now, *fates})
    seen = [Seen(table, n, recorded.get(n), now.get(n), fates.get(n, Fate.STAYS)) for n in names]
    return Verdict(_tell(seen, _is_certain, TOLD), _tell(seen, _is_possible, TOLD_MAYBE))


def _judge_blindly(table: str, is_settled: bool, is_same: bool, fates: Mapping[str, Fate]) -> Verdict:
    """Judge a shard made before footers had details, of which only the digest over all inputs is known."""
    if is_settled:
        return Verdict([f"{table} changed (of which shards this footer keeps no note)"], [])
    moves = [fate for fate in fates.values() if fate is not Fate.STAYS]
    is_sure = is_same and any(fate in (Fate.CHANGES, Fate.APPEARS, Fate.GOES) for fate in moves)
    told = [f"{_count(len(moves))} of {table} to be computed or removed"]
    return Verdict(told, []) if is_sure else Verdict([], told)


def _is_certain(seen: Seen) -> bool:
    """Return whether what the input will be differs from what was recorded, whatever else happens."""
    match seen.fate:
        case Fate.STAYS:
            return seen.recorded != seen.now
        case Fate.CHANGES:
            return seen.recorded == seen.now
        case Fate.APPEARS | Fate.MAY_CHANGE:
            return seen.recorded is None
        case Fate.GOES:
            return seen.recorded is not None
        case Fate.DOUBTFUL:
            return False


def _is_possible(seen: Seen) -> bool:
    """Return whether it may differ and may not."""
    if seen.fate in (Fate.STAYS, Fate.GOES):
        return False
    return not _is_certain(seen)


TOLD = {
    Fate.STAYS: "changed since",
    Fate.CHANGES: "will change",
    Fate.APPEARS: "will be new",
    Fate.MAY_CHANGE: "will be new",
    Fate.GOES: "will be gone",
}
TOLD_MAYBE = dict.fromkeys(Fate, "may change")


def _tell(seen: Iterable[Seen], is_meant: Any, words: Mapping[Fate, str]) -> list[str]:
    counts: dict[str, int] = {}
    table = ""
    for one in seen:
        if is_meant(one):
            table, said = one.table, words[one.fate]
            counts[said] = counts.get(said, 0) + 1
    return [f"{_count(n)} of {table} {said}" for said, n in counts.items()]


def _count(n: int) -> str:
    return f"{n:,} shard{'' if n == 1 else 's'}"
