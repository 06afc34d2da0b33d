"""What an export does to the rows of a release table: smallest group, counts in steps, values cut off at the top."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import Table
from pipeline.params import Params
from pipeline.study import StudyError
from pipeline.suppression import COMPLEMENTARY, PRIMARY, SHOWN, Margin, hide

EVERYTHING = "all"


class ExportParams(Params):
    """How what leaves is protected. Steps and highest values are the contract's: `Column.round_to` and `top_code`."""

    min_devices: int | None = Field(default=None, ge=2)
    """Devices that a row needs. None: the contract's, below which nothing may go."""
    is_rounded: bool = True
    """Whether counts go to the nearest step of the contract (ours: 5)."""
    is_final: bool = False
    """Whether rows that were released stay as they are, and none is added beside them, whatever is known since. Else
    they are renewed when enough devices changed (ours)."""


def least_devices(table: Table, params: ExportParams) -> int:
    """Return how many devices a row needs; StudyError below the contract's, or where more cannot be asked for."""
    least = table.min_devices or 0
    wanted = params.min_devices or least
    if wanted < least:
        raise StudyError(f"{table.name} may be released from {least} devices a row on, not from {wanted}")
    if wanted > least and not table.partitions and _has_margins(table):
        raise StudyError(
            f"{table.name} is made for {least} devices a row: what {wanted} would hide is found from its margins, "
            "in which devices count more than once"
        )
    return wanted


def _has_margins(table: Table) -> bool:
    return any(name in table.key for name in ("group", "origin_area", "destination_area", "area", "region_geoid"))


def hidden_rows(rows: pd.DataFrame, table: Table, least: int) -> pd.Series:
    """Return for each row whether it is "shown", "primary" (too few devices) or "complementary" (would tell of these).

    At the contract's own minimum the table's stage has seen to the second already.
    """
    is_small = rows["n_devices"] < least
    state = pd.Series(np.where(is_small, PRIMARY, SHOWN), index=rows.index, dtype="str")
    if least == table.min_devices or not table.partitions or rows.empty:
        return state
    name = table.partitions[0]
    lengths = tuple(sorted(set(rows[name].str.len()) - {0}))
    found = hide(rows, list(table.key), [Margin(name, EVERYTHING, lengths, is_partition=True)], [], least)
    # Groups overlap: where a row of everybody is hidden, none of a group of the same place and day is shown.
    others = [key for key in table.key if key not in ("axis", "group")]
    if len(others) < len(table.key):
        is_everybody = rows["group"] == EVERYTHING
        of_hidden = (found != SHOWN).where(is_everybody, False).groupby([rows[key] for key in others]).transform("any")
        found = found.where(~(of_hidden & (found == SHOWN)), COMPLEMENTARY)
    return found


def in_steps(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the rows with counts at the nearest step of the contract, halves up; nulls stay."""
    steps = {c.name: c.round_to for c in table.columns if c.round_to}
    return rows.assign(
        **{name: (np.floor(rows[name] / step + 0.5) * step).astype(rows[name].dtype) for name, step in steps.items()}
    )


def topped(rows: pd.DataFrame, table: Table) -> tuple[pd.DataFrame, int]:
    """Return the rows with values cut off at the highest that the contract lets go, and how many values were."""
    tops = {c.name: c.top_code for c in table.columns if c.top_code is not None}
    n_cut = sum(int((rows[name] > top).sum()) for name, top in tops.items())
    return rows.assign(**{name: rows[name].clip(upper=top) for name, top in tops.items()}), n_cut
