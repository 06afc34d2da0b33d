"""Errors of private releases; their messages carry names and counts of what was asked only."""

from pipeline.engine.trouble import RunError


class PrivacyError(RunError):
    """A private release that cannot be made."""


class BudgetError(PrivacyError):
    """No ledger, one that cannot be read, or not enough left in it."""
