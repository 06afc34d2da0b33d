"""Differentially private counts, sums and flows: bounded per device, noised by OpenDP, paid for from a ledger.

The unit of privacy is a device, and so a person: two data sets are neighbours when one is the other without all rows
of one device. The noise is OpenDP's own, drawn from the system's entropy: no seed brings it back, which is what keeps
it secret. What was released is kept, so that asking again gives the same release and costs nothing.
"""

from pipeline.private.aggregate import PrivateQuery
from pipeline.private.ledger import Budget, Ledger
from pipeline.private.releases import PrivateRelease, release
from pipeline.private.trouble import BudgetError, PrivacyError

__all__ = ["Budget", "BudgetError", "Ledger", "PrivacyError", "PrivateQuery", "PrivateRelease", "release"]
