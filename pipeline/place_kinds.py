"""What a place is to the device that visits it: one definition for every table that tells places apart by kind."""

import numpy as np
import pandas as pd

from pipeline.windows import to_days

HOME, WORK, VENUE, OTHER = "home", "work", "venue", "other"
"""Kinds of place in the order in which they win: a workplace in a shop is work to those who work there."""


def place_kinds(visits: pd.DataFrame, home_work: pd.DataFrame) -> np.ndarray:
    """Return the kind of place of each visit, in the order of `visits`: str.

    A location is home or work on a date when a row of `home_work` with a moving span says so of that date, whatever
    its rank; else a venue where the visit has a `poi_category`, else other. The order is ours: the method page finds
    no rule in the paper.
    """
    kind = np.where(visits["poi_category"].notna(), VENUE, OTHER)
    roles = home_work[home_work["span"] == "moving"]
    for role in (WORK, HOME):
        kind[_has_role(visits, roles[roles["role"] == role])] = role
    return kind


def _has_role(visits: pd.DataFrame, roles: pd.DataFrame) -> np.ndarray:
    """Return whether each visit falls into one of the spans in which its location has the role: bool."""
    spans = pd.DataFrame(
        {
            "device_id": roles["device_id"].to_numpy(),
            "location_id": roles["location_id"].to_numpy(),
            "first": to_days(roles["window_started"]),
            "last": to_days(roles["window_finished"]),
        }
    )
    places = visits[["device_id", "location_id"]].assign(day=to_days(visits["date"]), row=np.arange(len(visits)))
    pairs = places.merge(spans, on=["device_id", "location_id"])
    found = np.zeros(len(visits), bool)
    found[pairs.loc[pairs["day"].between(pairs["first"], pairs["last"]), "row"]] = True
    return found
