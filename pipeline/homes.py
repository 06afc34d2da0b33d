"""The home and the workplace that a device has in the baseline: one rule for all stages that need one of each."""

import pandas as pd


def baseline_homes(home_work: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of HOME_WORK that are the main home of the baseline: one of a device, none of who has no home."""
    return _main(home_work, "home")


def baseline_workplaces(home_work: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of HOME_WORK that are the main workplace of the baseline: one of a device at most."""
    return _main(home_work, "work")


def _main(home_work: pd.DataFrame, role: str) -> pd.DataFrame:
    return home_work[(home_work["span"] == "baseline") & (home_work["role"] == role) & (home_work["rank"] == 1)]
