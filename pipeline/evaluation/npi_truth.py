"""Coefficients of how people answer to policies and risk, beside those of the people of an artificial city."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.npi_drivers import NpiParams
from pipeline.study import StudyError

EVERYBODY, VENUE = "all", "visits:venue"
TERMS = ("stringency", "severity", "adaptation")
COLUMNS = ("measure", "estimator", "model", "term", "truth", "log_effect", "log_effect_low", "log_effect_high")


def read_truth(path: Path) -> dict[str, Any]:
    """Return the coefficients in a city's truth/response.json, and of what; StudyError where the file is none."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        raise StudyError(f"no truth at {path}") from None
    except ValueError as error:
        raise StudyError(f"{path} is not JSON: {error}") from None
    effects = found.get("log_effects") if isinstance(found, dict) else None
    if not isinstance(effects, dict) or not set(TERMS) <= effects.keys():
        raise StudyError(f"{path} names no log_effects of {', '.join(TERMS)}")
    if not isinstance(found.get("driver_params"), dict):
        raise StudyError(f"{path} does not say what people answer to (driver_params): simulate the city again")
    return found


def find_differences(params: NpiParams, truth: Mapping[str, Any]) -> list[str]:
    """Return in words what makes the coefficients of a study others than those of the people; empty: nothing does.

    A parameter of the drivers, which then are another quantity; or people who answer unlike each other.
    """
    found = [
        f"{name} is {getattr(params, name)}, of the people {theirs}"
        for name, theirs in truth["driver_params"].items()
        if getattr(params, name) != theirs
    ]
    return found + (["people of rich and poor areas answer unlike each other (tilt)"] if truth["tilt"] else [])


def compare_with_truth(npi_response: pd.DataFrame, truth: Mapping[str, Any], params: NpiParams) -> pd.DataFrame:
    """Return the coefficients of visits to venues, all and by category, beside the true ones, in order of all columns.

    Columns: COLUMNS and is_inside (whether the truth is in the 95 % interval). Only rows of everybody, of a level. The
    truth is null, and is_inside False, where the model has another term of adaptation than the people, and everywhere
    if `find_differences` finds any to `params`, those of the table: then no coefficient of theirs is the one looked
    for.
    """
    is_venue = (npi_response["measure"] == VENUE) | npi_response["measure"].str.startswith(f"{VENUE}:")
    is_level = (npi_response["axis"] == EVERYBODY) & (npi_response["estimator"] != "difference")
    rows = npi_response[is_venue & is_level].copy()
    is_theirs = (rows["model"] == truth["adaptation_term"]) & (not find_differences(params, truth))
    rows["truth"] = np.where(is_theirs, rows["term"].map(truth["log_effects"]).astype(np.float64), np.nan)
    found = rows[list(COLUMNS)].sort_values(["measure", "estimator", "term"], ignore_index=True)
    return found.assign(is_inside=found["truth"].between(found["log_effect_low"], found["log_effect_high"]))
