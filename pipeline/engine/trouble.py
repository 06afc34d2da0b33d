"""Errors that may be shown: which shard or file, which kind of trouble, never a row's values."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from data_contracts import ContractError
from pipeline.engine.files import StoreError, UnreachableError
from pipeline.models.protocol import ModelError
from pipeline.settings import KeyMissingError
from pipeline.sources import SourceError
from pipeline.study import StudyError


class ClusterError(RuntimeError):
    """A part of a stage's work that workers cannot do; names the part, while the stage is named around it."""


SAFE = (ContractError, StoreError, StudyError, SourceError, KeyMissingError, ClusterError, ModelError)
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


def refusal(error: BaseException | None) -> str:
    """Return why the operating system refused and which file (no space left, permission denied); "" for other errors.

    The refusal may lie behind errors that were raised because of it. Its own text is never told.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return os.strerror(error.errno) + (f": {error.filename}" if error.filename else "")
        error = error.__cause__ or error.__context__
    return ""


@contextmanager
def named(what: str) -> Iterator[None]:
    """Turn an error inside into a RunError that says where, without the values it may carry.

    A library's message may quote a row, so of foreign errors only what the operating system refused is told, or
    the type and the line of code.
    """
    try:
        yield
    except RunError:
        raise
    except SAFE as error:
        kind = PassingError if isinstance(error, UnreachableError) else RunError
        raise kind(f"{what}: {error}") from None
    except Exception as error:
        if refused := refusal(error):
            kind = PassingError if _may_pass(error) else RunError
            raise kind(f"{what}: {refused}; nothing is lost, mend it and run again") from None
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/pipeline/" in f.filename or "/data_contracts/" in f.filename] or frames
        place = f"{ours[-1].filename.rsplit('/pipeline/', 1)[-1]} line {ours[-1].lineno}"
        kind = PassingError if _may_pass(error) else RunError
        raise kind(f"{what}: {type(error).__name__} in {place} (message withheld: it may quote data)") from None


def _may_pass(error: Exception) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in PASSING)
