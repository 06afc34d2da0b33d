"""Errors that may be shown: which shard or file, which kind of trouble, never a row's values."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from data_contracts import ContractError
from pipeline.engine.files import StoreError, UnreachableError
from pipeline.settings import KeyMissingError
from pipeline.sources import SourceError
from pipeline.study import StudyError


class ClusterError(RuntimeError):
    """A part of a stage's work that workers cannot do; names the part, while the stage is named around it."""


SAFE = (ContractError, StoreError, StudyError, SourceError, KeyMissingError, ClusterError)
"""Our own errors: their messages carry names and counts only."""


PASSING = frozenset(
    getattr(errno, name)
    for name in (
        "EAGAIN",
        "EBUSY",
        "EIO",
        "ENETDOWN",
        "ENETRESET",
        "ENETUNREACH",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ESTALE",
    )
)
"""Error numbers of storage and networks that waiting may mend; a full disk or a missing permission is none."""


class RunError(RuntimeError):
    """A run that cannot go on; the message may be shown to anyone."""


class PassingError(RunError):
    """A run that cannot go on for a reason that may pass by itself, so that trying again is worth it."""


@contextmanager
def named(what: str) -> Iterator[None]:
    """Turn an error inside into a RunError that says where, without the values it may carry.

    A library's message may quote a row, so of foreign errors only the type and the line of code
    are told.
    """
    try:
        yield
    except RunError:
        raise
    except SAFE as error:
        kind = PassingError if isinstance(error, UnreachableError) else RunError
        raise kind(f"{what}: {error}") from None
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/pipeline/" in f.filename or "/data_contracts/" in f.filename] or frames
        place = f"{ours[-1].filename.rsplit('/pipeline/', 1)[-1]} line {ours[-1].lineno}"
        kind = PassingError if _may_pass(error) else RunError
        raise kind(f"{what}: {type(error).__name__} in {place} (message withheld: it may quote data)") from None


def _may_pass(error: Exception) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in PASSING)
