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

    @property
    def name(self) -> str:
        """The name of the stage, of its module, its function and the table it writes."""
        return self.writes.name

    @property
    def module(self) -> str:
        """Import path of the module that declares the stage."""
        return self.function.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the stage's function."""
        return self.function(*args, **kwargs)

    def __reduce__(self) -> tuple[Callable[[str, str], "Stage"], tuple[str, str]]:
        """Travel as an import path: the function under a decorator cannot be pickled by value."""
        return load_stage, (self.module, self.name)


def stage(
    *,
    reads: tuple[Table, ...],
    writes: Table,
    params: type[Params] = NoParams,
    carries: Table | None = None,
    rejects: Table | None = None,
    finish: Callable[..., Any] | None = None,
    needs: tuple[str, ...] = (),
) -> Callable[[Callable[..., Any]], Stage]:
    """Return a decorator that registers a function as the stage which writes `writes`.

    The function's arguments are, in this order and by these names: the tables it reads, the table
    it carries from date to date, the facts it `needs` of the run (``day_end``, ``is_last``,
    ``study``), and ``params``. It returns the frame of `writes`, followed by that of `carries` or
    `rejects` where declared. `finish` turns the rows that an exchange brought together for one
    shard into that shard. TypeError where the declaration and the function disagree.
    """

    def register(function: Callable[..., Any]) -> Stage:
        declared = Stage(function, writes, reads, params, carries, rejects, finish, needs)
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
    if function.__name__ != name or function.__module__.rsplit(".", 1)[-1] != name:
        raise TypeError(f"the stage that writes {name} must be a function {name} in a module {name}")
    expected = [table.name for table in declared.reads]
    expected += [declared.carries.name] if declared.carries else []
    expected += [*declared.needs, "params"]
    given = list(inspect.signature(function).parameters)
    if given != expected:
        raise TypeError(f"stage {name} takes ({', '.join(given)}); its declaration says ({', '.join(expected)})")
    if declared.carries and not declared.writes.shard == declared.carries.shard == Shard.DATE_BUCKET:
        raise TypeError(f"stage {name} carries {declared.carries.name}, so both must be kept by {Shard.DATE_BUCKET}")


def load_stage(module: str, name: str) -> Stage:
    """Return a stage by the module that declares it, importing that module if need be."""
    importlib.import_module(module)
    return STAGES[name]
