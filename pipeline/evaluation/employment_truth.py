"""True spells of employment as weeks: what a model that learns job loss is trained with."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from data_contracts import EMPLOYMENT_TRUTH
from pipeline.evaluation.spells import (
    EMPLOYED,
    NOT_EMPLOYED,
    REMOTE,
    SPELL_ROLES,
    TrueSpells,
    read_true_spells,
    status_by_day,
    status_by_week,
)
from pipeline.evaluation.tables import TruthFile
from pipeline.settings import read_key
from pipeline.study import Study, StudyError
from pipeline.windows import WEEK_DAYS, monday_of, to_dates


def read_employment_truth(path: Path, study: Study) -> pd.DataFrame:
    """Return EMPLOYMENT_TRUTH of a table of true spells, in the weeks of a study.

    The table is that of `sojourn evaluate employment` (`read_true_spells`), its columns named as there by default, ids
    the source's own: they are hashed with the SOJOURN_KEY of the tables. StudyError where it cannot be read, or says
    nothing of anybody with a job that could be lost in these weeks.
    """
    true = read_true_spells(TruthFile(str(path), dict(zip(SPELL_ROLES, SPELL_ROLES, strict=True))), read_key())
    found = employment_truth(true, study.start, study.end)
    if found.empty:
        raise StudyError(f"--truth: {path} has no week from {study.start} to {study.end} of anybody with a job to lose")
    return found


def employment_truth(true: TrueSpells, start: date, end: date) -> pd.DataFrame:
    """Return one row per device and Monday-week that holds a date from `start` to `end`, in order of both.

    A week's status is that of most of its known days (`status_by_week`), as in the evaluation of `employment`. Weeks of
    unknown status, and those without a job that could be lost, have no row.
    """
    device_id = np.unique(true.spells["device_id"].to_numpy(np.int64))
    first, last = (int(np.datetime64(day, "D").astype(np.int64)) for day in (start, end))
    monday = monday_of(first)
    n_weeks = (last - monday) // WEEK_DAYS + 1
    status = status_by_week(status_by_day(true.spells, device_id, monday, n_weeks * WEEK_DAYS))
    row, week = np.nonzero(np.isin(status, (EMPLOYED, REMOTE, NOT_EMPLOYED)))
    return pd.DataFrame(
        {
            "device_id": device_id[row],
            "window_started": to_dates(monday + WEEK_DAYS * week),
            "is_employed": status[row, week] != NOT_EMPLOYED,
        }
    )[EMPLOYMENT_TRUTH.names]
