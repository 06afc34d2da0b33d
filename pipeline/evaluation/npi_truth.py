"""Coefficients of how people answer to policies and risk, beside those of the people of an artificial city."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.study import StudyError

EVERYBODY, VENUE = "all", "visits:venue"
TERMS = ("stringency", "severity", "adaptation")
COLUMNS = ("measure", "estimator", "model", "term", "truth", "log_effect", "log_effect_low", "log_effect_high")


def read_truth(path: Path) -> dict[str, Any]:
    """Return the coefficients in a city's truth/response.json; StudyError where the file is none."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        raise StudyError(f"no truth at {path}") from None
    except ValueError as error:
        raise StudyError(f"{path} is not JSON: {error}") from None
    effects = found.get("log_effects") if isinstance(found, dict) else None
    if not isinstance(effects, dict) or not set(TERMS) <= effects.keys():
        raise StudyError(f"{path} names no log_effects of {', '.join(TERMS)}")
    return found


def compare_with_truth(npi_response: pd.DataFrame, truth: Mapping[str, Any]) -> pd.DataFrame:
    """Return the coefficients of visits to venues, all and by category, beside the true ones, in order of all columns.

    Columns: COLUMNS and is_inside (whether the truth is in the 95 % interval). Only rows of everybody, of a level. The
    truth is null, and is_inside False, where the model has another term of adaptation or other lags than the people:
    then no coefficient of theirs is the one looked for.
    """
    is_venue = (npi_response["measure"] == VENUE) | npi_response["measure"].str.startswith(f"{VENUE}:")
    is_level = (npi_response["axis"] == EVERYBODY) & (npi_response["estimator"] != "difference")
    rows = npi_response[is_venue & is_level].copy()
    lags = dict.fromkeys(TERMS, truth["severity_lag_days"]) | {"stringency": truth["stringency_lag_days"]}
    is_theirs = (rows["model"] == truth["adaptation_term"]) & (rows["lag_days"] == rows["term"].map(lags))
    rows["truth"] = np.where(is_theirs, rows["term"].map(truth["log_effects"]).astype(np.float64), np.nan)
    found = rows[list(COLUMNS)].sort_values(["measure", "estimator", "term"], ignore_index=True)
    return found.assign(is_inside=found["truth"].between(found["log_effect_low"], found["log_effect_high"]))
