"""The ledger of a root: how much privacy may be spent, and what was spent on what.

A spend is on the disk before the noise it pays for is drawn. A process that dies in between has lost budget and
released nothing. Losses add up (basic composition: sums of epsilon and of delta). One process at a time holds the
ledger's lock; it falls away with the process that held it, at once on a disk, when its lease is over on an object
store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import NamedTuple

from pipeline.engine.files import exists, names_below, read_json, write_json
from pipeline.engine.lock import Lock, hold
from pipeline.paths import as_path
from pipeline.private.trouble import BudgetError
from pipeline.study import StudyError

FOLDER = "_privacy"
"""Below the root; begins with "_", so that no reader takes it for a table."""
LOCK_WAIT_S = 600.0
"""How long a question waits for the one before it (ours): they take seconds."""
EXACT_DIGITS = 1_000
"""Digits of sums: any two floats differ in fewer places, so that nothing is rounded."""


class Spend(NamedTuple):
    """One loss of privacy."""

    what: str
    """What was asked, in words."""
    release_id: str
    epsilon: float
    delta: float
    spent_at: str
    """UTC, ISO 8601."""


class Budget(NamedTuple):
    """What a ledger says: the totals, fixed when it was made, and every spend so far."""

    epsilon: float
    delta: float
    spends: tuple[Spend, ...]

    def spent(self) -> tuple[Decimal, Decimal]:
        """Return (epsilon, delta) spent so far. Sums are decimal and exact: 0.1 and 0.2 leave nothing of 0.3."""
        with localcontext(prec=EXACT_DIGITS):
            return (
                sum((exactly(one.epsilon) for one in self.spends), Decimal(0)),
                sum((exactly(one.delta) for one in self.spends), Decimal(0)),
            )

    def left(self) -> tuple[Decimal, Decimal]:
        """Return (epsilon, delta) not spent yet, exact as well."""
        epsilon, delta = self.spent()
        with localcontext(prec=EXACT_DIGITS):
            return exactly(self.epsilon) - epsilon, exactly(self.delta) - delta


def exactly(loss: float) -> Decimal:
    """Return a loss as it is written: 0.1 is a tenth."""
    return Decimal(repr(loss))


class Ledger:
    """The ledger under one root."""

    def __init__(self, root: Path) -> None:
        """Use the ledger under `root`; nothing is created yet."""
        self.folder = as_path(root) / FOLDER
        self._path = self.folder / "ledger.json"

    def create(self, epsilon: float, delta: float = 0.0) -> Budget:
        """Write a ledger with nothing spent. BudgetError where there is, or was, one: totals are declared once."""
        check_loss(epsilon, delta)
        if not self.folder.parent.is_dir():
            raise StudyError(f"--root: no folder of tables at {self.folder.parent}")
        with self._locked():
            if exists(self._path):
                raise BudgetError("there is a ledger already: what may be spent is declared once")
            if names_below(self.folder, "*.parquet"):
                raise BudgetError("there are releases without a ledger: what they cost is not known")
            self._write(Budget(epsilon, delta, ()))
        return self.read()

    def read(self) -> Budget:
        """Return what the ledger says now; BudgetError where there is none or it cannot be read."""
        try:
            values = read_json(self._path)
            spends = tuple(Spend(**spend) for spend in values["spends"])
            return Budget(values["epsilon"], values["delta"], spends)
        except FileNotFoundError:
            raise BudgetError(
                "no budget is declared for these tables: sojourn budget --epsilon E --delta D declares it, once"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise BudgetError(f"the ledger cannot be read ({type(error).__name__}): nothing can be spent") from None

    @contextmanager
    def opened(self) -> Iterator[OpenLedger]:
        """Hold the ledger: no other process reads what is left, or spends, until the end."""
        self.read()
        with self._locked() as lock:
            yield OpenLedger(self, lock)

    @contextmanager
    def _locked(self) -> Iterator[Lock]:
        with hold(self.folder / "lock", "the ledger is in use", wait_s=LOCK_WAIT_S) as lock:
            yield lock

    def _write(self, budget: Budget) -> None:
        write_json(self._path, budget._asdict() | {"spends": [spend._asdict() for spend in budget.spends]})


class OpenLedger:
    """A ledger that this process alone holds."""

    def __init__(self, ledger: Ledger, lock: Lock) -> None:
        """Belongs to `Ledger.opened`."""
        self._ledger, self._lock = ledger, lock

    def spend(self, what: str, release_id: str, epsilon: float, delta: float) -> None:
        """Record a spend, on the disk before this returns; BudgetError where less is left."""
        check_loss(epsilon, delta)
        budget = self._ledger.read()
        left = budget.left()
        if exactly(epsilon) > left[0] or exactly(delta) > left[1]:
            raise BudgetError(
                f"{what} costs epsilon {epsilon:g} and delta {delta:g}; "
                f"left of the budget are {float(left[0]):g} and {float(left[1]):g}"
            )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        spend = Spend(what, release_id, epsilon, delta, now)
        self._lock.check()
        self._ledger._write(budget._replace(spends=(*budget.spends, spend)))


def check_loss(epsilon: float, delta: float) -> None:
    """Raise StudyError unless epsilon is above 0 and finite, and delta from 0 to below 1."""
    if not 0 < epsilon < float("inf"):
        raise StudyError(f"--epsilon: {epsilon} is not a finite number above 0")
    if not 0 <= delta < 1:
        raise StudyError(f"--delta: {delta} is not from 0 to below 1")
