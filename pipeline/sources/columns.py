"""Which columns of one file are meant, where a source declares several names for a column."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from pipeline.sources import delimited, parquet
from pipeline.sources.errors import SourceError
from pipeline.sources.presets import fill
from pipeline.study import Source


def settle_columns(path: Path, source: Source) -> Source:
    """Return `source` with the one name of each column that the file has.

    A source without lists of names comes back as it is, and the file is not opened. SourceError, which names file and
    columns, where the file has none of the names, or two of them: guessing would load another column than was meant.
    """
    lists = source.columns.lists
    if not lists:
        return source
    filled = fill(source)
    if filled.format == "parquet":
        names, described = parquet.column_names(path)
    else:
        names, described = delimited.column_names(path, filled)
    found = {role: _pick(path, role, accepted, names, described) for role, accepted in lists.items()}
    return _with(source, found)


def possible_columns(source: Source) -> Iterator[Source]:
    """Yield `source` with each choice of names that a file of it may have."""
    lists = source.columns.lists
    for names in product(*lists.values()):
        yield _with(source, {role: name or None for role, name in zip(lists, names, strict=True)})


def _with(source: Source, found: dict[str, str | None]) -> Source:
    return source.model_copy(update={"columns": source.columns.model_copy(update=found)})


def _pick(path: Path, role: str, accepted: tuple[str, ...], names: list[str], described: str) -> str | None:
    found = [name for name in accepted if name and name in names]
    if len(found) > 1:
        raise SourceError(f"{path}: it has both {' and '.join(found)}, and columns.{role} takes one of them")
    if not found and "" not in accepted:
        raise SourceError(f"{path}: no column {' or '.join(accepted)}, as columns.{role} has it; {described}")
    return found[0] if found else None
