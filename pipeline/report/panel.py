"""Who is in the panel: its groups beside those of the population, and what weights cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from data_contracts import DEMOGRAPHICS, PANEL_WEIGHTS, TRACTS
from pipeline.engine.store import Store
from pipeline.evaluation.representativeness import WEIGHTS, PanelSize, compare_groups, panel_size
from pipeline.report.groups import MIN_DEVICES
from pipeline.report.missing import Missing, not_computed
from pipeline.report.reading import read_whole
from pipeline.study import Study

WEIGHT_WORDS = {"unweighted": "Unweighted", "area": "By area", "raked": "Raked"}


class Panel(NamedTuple):
    """What `panel_weights` says of a study."""

    size: PanelSize
    groups: pd.DataFrame | Missing
    """``axis``, ``group``, and shares: ``population`` and the sample's under each weighting; NaN without weights."""


def measure_panel(store: Store, study: Study) -> Panel | Missing:
    """Return how the panel compares with the population of its areas."""
    if study.tracts is None:
        return Missing("no [tracts] in the study, so it is not known which areas devices are of.")
    weights, tracts = read_whole(store, PANEL_WEIGHTS), read_whole(store, TRACTS, ["tract_geoid", "population"])
    if weights is None or tracts is None:
        return not_computed(PANEL_WEIGHTS)
    if weights["n_devices"].sum() < MIN_DEVICES:
        return Missing(f"fewer than {MIN_DEVICES} devices have a baseline home inside an area.")
    demographics = read_whole(store, DEMOGRAPHICS)
    return Panel(panel_size(weights, tracts), measure_groups(weights, tracts, demographics, study))


def measure_groups(
    weights: pd.DataFrame, tracts: pd.DataFrame, demographics: pd.DataFrame | None, study: Study
) -> pd.DataFrame | Missing:
    """Return the population-versus-sample table, without axes that are known for the homes of few devices."""
    if study.demographics is None or demographics is None:
        return Missing("no [demographics] in the study, so shares of groups are not compared.")
    if not tracts["population"].sum() > 0:
        return Missing("the number of residents of the areas is not known: [tracts] has no population_column.")
    groups = compare_groups(weights, tracts, demographics)
    n_behind = devices_behind(weights, demographics)
    groups = groups[groups["axis"].map(n_behind).fillna(0) >= MIN_DEVICES].reset_index(drop=True)
    if groups.empty:
        return Missing(f"no demographics are known for the home areas of {MIN_DEVICES} devices.")
    return groups


def devices_behind(weights: pd.DataFrame, demographics: pd.DataFrame) -> pd.Series:
    """Return by axis the devices whose home area has figures of it."""
    known = demographics[["tract_geoid", "axis"]].drop_duplicates()
    homes = weights.rename(columns={"home_tract_geoid": "tract_geoid"})[["tract_geoid", "n_devices"]]
    return known.merge(homes).groupby("axis")["n_devices"].sum()


def differences(groups: pd.DataFrame) -> pd.DataFrame:
    """Return by how much each share of the sample is above that of the population; weightings that are known."""
    known = [name for name in WEIGHTS if groups[name].notna().any()]
    return groups[known].sub(groups["population"], axis=0)


def widest(groups: pd.DataFrame, name: str) -> tuple[str, float]:
    """Return the group, in words, whose share of the sample is farthest off under a weighting, and how far."""
    gap = groups[name] - groups["population"]
    k = int(np.nanargmax(gap.abs()))
    return group_words(groups["axis"][k], groups["group"][k]), float(gap[k])


def group_words(axis: str, group: str) -> str:
    """Return a group as it is told: codes of studies without underscores."""
    return f"{axis}: {group.replace('_', ' ')}"
