"""What changes after a job loss: which month is shown group by group, and what is said of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from data_contracts import EMPLOYMENT_EFFECTS
from pipeline.engine.store import Store
from pipeline.report.effects import ALL, MEASURES, group_rows
from pipeline.report.groups import MIN_DEVICES
from pipeline.report.missing import Missing, not_computed
from pipeline.report.reading import read_whole

LEVEL = 0.05
"""Corrected p-values below this are marked."""


class Losses(NamedTuple):
    """What `employment_effects` says of a study."""

    effects: pd.DataFrame
    """The table."""
    month: int
    """Month since the loss that is shown group by group: the last with all that other months have, or nearly."""
    n_devices: int
    """Most devices with a job loss behind a row of everybody."""
    n_estimates: int
    n_clear: int
    """Estimates, and of these those whose corrected p-value is below `LEVEL`."""


def measure_losses(store: Store) -> Losses | Missing:
    """Return the effects of job loss, and the month for which they are shown by group."""
    effects = read_whole(store, EMPLOYMENT_EFFECTS)
    if effects is None:
        return not_computed(EMPLOYMENT_EFFECTS)
    if effects.empty or not (effects["months_since_loss"] >= 0).any():
        return Missing(
            f"fewer than {MIN_DEVICES} devices with a job loss, or fewer matched ones without, are seen then."
        )
    estimates = effects[effects["std_error"] > 0]
    everybody = effects[effects["axis"] == ALL]
    n_clear = int((estimates["p_adjusted"] < LEVEL).sum())
    return Losses(effects, choose_month(effects), int(everybody["n_devices"].max()), len(estimates), n_clear)


def choose_month(effects: pd.DataFrame) -> int:
    """Return the last month since the loss that has as many rows as any, but for a tenth (ours)."""
    n_rows = effects.loc[effects["months_since_loss"] >= 0, "months_since_loss"].value_counts().sort_index()
    return int(n_rows.index[n_rows >= 0.9 * n_rows.max()][-1])


def tabulate_groups(losses: Losses) -> list[dict[str, Any]]:
    """Return one row a group in the month shown, as drawn: ``label``, ``n_least`` and ``n_most`` devices by measure.

    And the words of each measure; None where the group has no estimate of it.
    """
    tables = {name: group_rows(losses.effects, name, losses.month) for name in measures_of(losses)}
    labels = pd.concat(tables.values()).drop_duplicates(["axis", "group"])
    rows = []
    for label in _ordered(labels).itertuples():
        row: dict[str, Any] = {"label": label.label}
        n_devices = []
        for name, table in tables.items():
            of_group = table[table["label"] == label.label]
            row[name] = estimate_words(of_group.iloc[0], MEASURES[name].divisor) if len(of_group) else None
            n_devices += of_group["n_devices"].tolist()
        rows.append(row | {"n_least": min(n_devices), "n_most": max(n_devices)})
    return rows


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(is_group=rows["axis"] != ALL).sort_values(["is_group", "axis", "group"])


def measures_of(losses: Losses) -> list[str]:
    """Return the measures with an estimate in the month shown, in the order they are drawn."""
    there = losses.effects.loc[losses.effects["months_since_loss"] == losses.month, "measure"]
    return [name for name in MEASURES if name in set(there)]


def estimate_words(row: pd.Series, divisor: float) -> str:
    """Return an estimate with half the width of its interval, and a star where the corrected p-value is small."""
    half = (row["estimate_high"] - row["estimate_low"]) / 2 / divisor
    return f"{signed(row['estimate'] / divisor)} ± {half:.2f}{'*' if row['p_adjusted'] < LEVEL else ''}"


def signed(value: float) -> str:
    """Return a difference with its sign and two decimals."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
