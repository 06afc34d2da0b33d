"""`@stage`: the declaration of one stage, and the registry of all of them.

A stage is a pure function of the data frames of one shard. What it reads, what it writes and its
Params are declared; run order, tasks, checks, backfill, lineage and catalogue follow from that.
"""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data_contracts import Table
from data_contracts.spec import Shard
from pipeline.params import NoParams, Params

FACTS = ("day_end", "is_last", "study", "seed", "artifact")
"""What a stage may need of the run, besides tables: the end of its date (UTC), whether that is the study's last, the
study, the seed of random streams, and the trained model that the study names for its table."""

MEETS_AT = "meets_at"
"""Column of what a stage with a meet returns of each bucket: rows that agree in it come together."""

STAGES: dict[str, "Stage"] = {}
"""Every stage by name, in the order of import; `pipeline.stages` imports them all."""


@dataclass(frozen=True)
class Stage:
    """A declared stage: calling it calls the function."""

    function: Callable[..., Any]
    writes: Table
    reads: tuple[Table, ...]
    params: type[Params]
    carries: Table | None = None
    rejects: Table | None = None
    finish: Callable[..., Any] | None = None
    needs: tuple[str, ...] = ()
    meet: Callable[..., Any] | None = None
    code: str | None = None
    """Package whose code it computes with, where that is not the module that declares it: a family of models."""

    @property
    def is_whole(self) -> bool:
        """Whether the stage makes one table of the whole study from tables that are whole themselves."""
        return self.writes.shard is Shard.STUDY and all(table.shard.is_single for table in self.reads)

    @property
    def is_gather(self) -> bool:
        """Whether the stage makes one table of the whole study from all device buckets."""
        return self.writes.shard is Shard.STUDY and not self.is_whole

    @property
    def name(self) -> str:
        """The name of the stage, of its module, its function and the table it writes."""
        return self.writes.name

    @property
    def module(self) -> str:
        """Import path of the code that the stage computes with."""
        return self.code or self.function.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the stage's function."""
        return self.function(*args, **kwargs)

    def __reduce__(self) -> tuple[Callable[[str, str], "Stage"], tuple[str, str]]:
        """Travel as an import path: the function under a decorator cannot be pickled by value."""
        return load_stage, (self.function.__module__, self.name)


def stage(
    *,
    reads: tuple[Table, ...],
    writes: Table,
    params: type[Params] = NoParams,
    carries: Table | None = None,
    rejects: Table | None = None,
    finish: Callable[..., Any] | None = None,
    needs: tuple[str, ...] = (),
    meet: Callable[..., Any] | None = None,
    code: str | None = None,
) -> Callable[[Callable[..., Any]], Stage]:
    """Return a decorator that registers a function as the stage which writes `writes`.

    The function's arguments are, in this order and by these names: the tables it reads, the table
    it carries from date to date, the facts it `needs` of the run (`FACTS`), and ``params``. It
    returns the frame of `writes`, followed by that of `carries` or `rejects` where declared. Of
    tables kept per date or bucket it gets the rows of its shard, of static and study tables all.

    *Exchange*: `finish` turns the rows brought together for one shard into that shard.

    *Gather*, when `writes` is kept per whole study: the function is called once per device bucket
    and returns a part, a frame of any columns that stays small however many devices there are.
    `finish` takes ``parts`` (those of all buckets together, empty ones left out, in the order of
    the buckets), the static and study tables among `reads`, what the stage `needs`, and ``params``,
    and returns the frame of `writes`. Its result must not depend on how devices are spread over
    buckets: sum fixed point numbers (`pipeline.sums`), or sort by device before adding floats.

    *Meeting*, when rows of different devices have to come together: the function is called once per device bucket and
    returns rows of numbers with a column `MEETS_AT` (int64). ``meet(rows, params)`` takes all rows that agree in it,
    of one or several of its values, in any order, and returns rows with a ``device_id``; ``finish(rows, params)``
    takes all of those of one device bucket and returns the frame of `writes`. All three take frames without rows. The
    result must not depend on how devices are spread over buckets, nor places over parts: add up whole numbers only.

    *Whole*, when all tables it reads are static or of the study as well: the function is called once and returns
    the frame of `writes`. Without its first table there is nothing to do.

    TypeError where the declaration and the function disagree.
    """

    def register(function: Callable[..., Any]) -> Stage:
        declared = Stage(function, writes, reads, params, carries, rejects, finish, needs, meet, code)
        _check(declared)
        if STAGES.setdefault(declared.name, declared).function.__module__ != function.__module__:
            raise TypeError(
                f"two stages write {declared.name}: {STAGES[declared.name].module} and {function.__module__}"
            )
        STAGES[declared.name] = declared
        return declared

    return register


def _check(declared: Stage) -> None:
    name, function = declared.name, declared.function
    is_homeless = declared.code is None and function.__module__.rsplit(".", 1)[-1] != name
    if function.__name__ != name or is_homeless:
        raise TypeError(f"the stage that writes {name} must be a function {name} in a module {name}")
    if not set(declared.needs) <= set(FACTS):
        raise TypeError(f"stage {name} needs {', '.join(declared.needs)}; there are {', '.join(FACTS)}")
    carried = [declared.carries.name] if declared.carries else []
    _check_arguments(f"stage {name}", function, [*(t.name for t in declared.reads), *carried, *declared.needs])
    if declared.is_gather:
        _check_gather(declared)
    if declared.meet:
        _check_meeting(declared)
    if declared.is_whole and (declared.finish or declared.carries or declared.rejects):
        raise TypeError(f"stage {name} reads whole tables only: it has neither finish nor carries nor rejects")
    if declared.carries and not declared.writes.shard == declared.carries.shard == Shard.DATE_BUCKET:
        raise TypeError(f"stage {name} carries {declared.carries.name}, so both must be kept by {Shard.DATE_BUCKET}")


def _check_arguments(what: str, function: Callable[..., Any], names: list[str]) -> None:
    expected, given = [*names, "params"], list(inspect.signature(function).parameters)
    if given != expected:
        raise TypeError(f"{what} takes ({', '.join(given)}); its declaration says ({', '.join(expected)})")


def _check_gather(declared: Stage) -> None:
    name = declared.name
    if declared.finish is None or declared.carries or declared.rejects:
        raise TypeError(f"stage {name} gathers: it needs a finish, and neither carries nor rejects")
    wholes = [table.name for table in declared.reads if table.shard.is_single]
    _check_arguments(f"finish of stage {name}", declared.finish, ["parts", *wholes, *declared.needs])


def _check_meeting(declared: Stage) -> None:
    name, buckets = declared.name, Shard.BUCKET
    if declared.writes.shard is not buckets or declared.reads[0].shard is not buckets:
        raise TypeError(f"stage {name} has a meet, so what it writes and reads first must be kept by {buckets}")
    if declared.meet is None or declared.finish is None or declared.carries or declared.rejects:
        raise TypeError(f"stage {name} has a meet: it needs a finish, and neither carries nor rejects")
    for what in ("meet", "finish"):
        _check_arguments(f"{what} of stage {name}", getattr(declared, what), ["rows"])


def load_stage(module: str, name: str) -> Stage:
    """Return a stage by the module that declares it, importing that module if need be."""
    importlib.import_module(module)
    return STAGES[name]
