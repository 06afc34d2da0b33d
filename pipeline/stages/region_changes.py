"""`region_changes`: how a region's day differs from the same weekday before the epidemic."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from data_contracts import REGION_CHANGES, REGION_DAY
from pipeline.params import Params
from pipeline.small_differences import without_small_differences
from pipeline.stage import stage
from pipeline.study import Study

EVERYBODY = "all"
MIN_DEVICES = REGION_CHANGES.min_devices or 0
SERIES = ["region_geoid", "axis", "group", "measure"]
DEFAULT_DAYS = 28
"""The study's first four weeks: each weekday four times."""


class RegionChangeParams(Params):
    """What a day is compared with. All defaults are ours: the paper's baseline is not known."""

    baseline_start: date | None = None
    """First local date of the baseline. None: the study's first (ours)."""
    baseline_end: date | None = None
    """Last local date of the baseline. None: four weeks from its start (ours)."""
    min_baseline_days: int = Field(default=2, ge=1)
    """Days of the baseline, each with enough devices, that a weekday needs (ours)."""

    max_zero_share: float = Field(default=0.05, ge=0, le=1)
    """Share of a series' published days with a baseline on which it, or the baseline, may be 0. Beyond it there are no
    changes: 0 has no logarithm, and of the days left those are missing on which people answered most (ours)."""

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "RegionChangeParams":
        if self.baseline_start and self.baseline_end and self.baseline_end < self.baseline_start:
            raise ValueError("baseline_end is before baseline_start")
        return self

    def check_study(self, study: Any) -> None:
        """Raise ValueError where the baseline is not inside the study."""
        first, last = self.baseline(study)
        if first < study.start or last > study.end or last < first:
            raise ValueError(
                f"the baseline ({first} to {last}) must be inside the study ({study.start} to {study.end})"
            )

    def baseline(self, study: Any) -> tuple[date, date]:
        """Return the first and last local date of the baseline; by default not beyond the study's end."""
        first = self.baseline_start or study.start
        return first, self.baseline_end or min(first + timedelta(days=DEFAULT_DAYS - 1), study.end)


@stage(reads=(REGION_DAY,), writes=REGION_CHANGES, params=RegionChangeParams, needs=("study",))
def region_changes(region_day: pd.DataFrame, study: Study, params: RegionChangeParams) -> pd.DataFrame:
    """Return the mean over devices by region, group, day and measure beside its baseline, and the log of their ratio.

    The baseline is the median of the means of the same weekday, of days that are published. Everybody else's change,
    of a group, is made in the same way of the sums of all less those of the group, of days on which the group is
    published. Local dates outside the study, which is of UTC dates, are parts of days and left out.

    Rows whose differences to a few others would tell of 1 to `min_devices` - 1 devices are left out; which differences
    are looked at says `pipeline.small_differences`. Devices that count with a 0 count. Rows of fewer devices are left
    to the store, which counts them.
    """
    is_inside = region_day["date"].between(pd.Timestamp(study.start), pd.Timestamp(study.end))
    rows = without_small_differences(region_day[is_inside], MIN_DEVICES)
    everybody = rows.loc[rows["axis"] == EVERYBODY, ["region_geoid", "date", "measure", "n_devices", "total"]]
    both = rows.merge(everybody, on=["region_geoid", "date", "measure"], how="left", suffixes=("", "_all"))
    found = both[["region_geoid", "axis", "group", "date", "measure", "n_devices"]].copy()
    mean = both["total"] / both["n_devices"]
    is_shown = both["n_devices"] >= MIN_DEVICES
    n_others = both["n_devices_all"] - both["n_devices"]
    mean_others = (both["total_all"] - both["total"]) / n_others
    baseline, log_change = _change(both, mean.where(is_shown), params.baseline(study), params)
    # Others of days on which the group is not shown would tell of it.
    others = _change(both, mean_others.where(is_shown & (n_others >= MIN_DEVICES)), params.baseline(study), params)[1]
    found = found.assign(mean=mean, baseline=baseline, log_change=log_change, log_change_others=others)
    return found.sort_values(list(REGION_CHANGES.key), ignore_index=True)[REGION_CHANGES.names]


def _change(
    rows: pd.DataFrame, mean: pd.Series, baseline_span: tuple[date, date], params: RegionChangeParams
) -> tuple[pd.Series, pd.Series]:
    """Return baseline and log change of means by row, NaN where there is none; of series that are often 0 no change."""
    is_before = rows["date"].between(*(pd.Timestamp(day) for day in baseline_span))
    series = [rows[name] for name in SERIES]
    weekdays = [*series, rows["date"].dt.day_of_week.rename("weekday")]
    by_weekday = mean.where(is_before).groupby(weekdays, sort=False)
    baseline = by_weekday.transform("median").where(by_weekday.transform("count") >= params.min_baseline_days)
    is_zero = ((mean == 0) | (baseline == 0)).where(mean.notna() & baseline.notna())
    is_often_zero = is_zero.astype(float).groupby(series, sort=False).transform("mean") > params.max_zero_share
    is_known = (mean > 0) & (baseline > 0) & ~is_often_zero
    return baseline, np.log(mean.where(is_known) / baseline.where(is_known))
