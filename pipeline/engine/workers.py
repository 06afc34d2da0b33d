"""What a worker must have in common with the process that runs: the root, the key for device ids, the code.

A worker may be another machine. One that sees another folder under the root's path, or hashes with another key,
would not fail but compute something else, so every process is asked once a run, before it does anything.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, NamedTuple

from pipeline.engine.files import exists
from pipeline.engine.lineage import code_digest, code_modules
from pipeline.engine.trouble import RunError
from pipeline.params import digest
from pipeline.settings import KEY_VARIABLE, KeyMissingError, read_key
from pipeline.sources.hashing import key_check


class Terms(NamedTuple):
    """What every worker of a run is asked for."""

    witness: Path
    """A file under the root that was not there before this run."""
    key: str
    """Tells one key for device ids from another, and gives neither away."""
    code: str


def terms_of(witness: Path) -> Terms:
    """Return the terms of a run in this process, whose root has the new file `witness`."""
    return Terms(witness, key_check(read_key()), engine_digest())


@cache
def engine_digest() -> str:
    """Return the hash of all code that a worker may run: every module of the engine, and what these import."""
    modules = [f"pipeline.engine.{module.name}" for module in iter_modules([str(Path(__file__).parent)])]
    reached, digests = set[str](), list[str]()
    # Those that reach most first: what they reach is in their digests.
    for name in sorted(modules, key=lambda name: (-len(code_modules(name)), name)):
        if name not in reached:
            reached.update(code_modules(name))
            digests.append(code_digest(name))
    return digest(digests)


@lru_cache(maxsize=4)
def find_trouble(terms: Terms) -> str:
    """Return why this process cannot work for a run, "" when it can. Remembered: asking again costs nothing."""
    if engine_digest() != terms.code:
        return "has other code than the process that runs; install the same version there and restart it"
    if not exists(terms.witness):
        return f"does not see the root {terms.witness.parent.parent}; all workers must see one storage under one path"
    try:
        key = key_check(read_key())
    except KeyMissingError:
        return f"has no usable {KEY_VARIABLE}; start it with the key of this process in its environment"
    return "" if key == terms.key else f"has another {KEY_VARIABLE} than the process that runs"


async def look(terms: Terms) -> str:
    """Return what `find_trouble` does, beside the loop in which a worker says that it is alive."""
    return await asyncio.to_thread(find_trouble, terms)


class Checked:
    """A function that a worker calls once it was found fit; it keeps the name of what it calls."""

    def __init__(self, terms: Terms, function: Callable[[Any], Any]) -> None:
        """Call `function` under `terms`."""
        self._terms, self._function = terms, function
        self.__name__ = _name_of(function)

    def __call__(self, item: Any) -> Any:
        """Return the function's result; RunError where this worker cannot work for the run."""
        trouble = find_trouble(self._terms)
        if trouble:
            raise RunError(f"a worker on {platform.node()} {trouble}")
        return self._function(item)


def _name_of(function: Any) -> str:
    """Return the name under which Dask shows a function and learns how long it takes."""
    while hasattr(function, "func"):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))
