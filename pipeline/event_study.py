"""Event study: what changes with the months since an event, beside matched people whom it did not happen to.

The stacked design. Everybody with the event is compared with a few matched people without, over the same calendar
weeks, and every such set is a small experiment of its own: what happens to all of a region or an industry at once
happens to both sides and cancels out. Nobody is compared with people who had the event already, which is what goes
wrong in a regression with effects of persons and periods where events are spread over time.

*Matching.* Exactly on stratum (region and industry) and on the weeks in question; then the nearest by the outcome's
mean over the months before the month of reference. That month itself is left out: people chosen because their
noise resembled somebody's fall back to their own mean as soon as one looks at other weeks, and if the month of
reference were among those chosen by, every later month would be off by that. Estimates of the months that were
matched on are small by construction, and are no evidence of parallel paths: the placebo is.

*Standard errors.* A set's difference D_s is one observation of the effect. Two sets depend on each other where they
share a control, so the variance of their mean is that of clusters by set plus what controls add by standing in
several sets:

    V = [ n / (n - 1) sum_s (D_s - mean D)^2 + sum_c ( (sum_s e_cs)^2 - sum_s e_cs^2 ) ] / n^2
    e_cs = (change of c - mean change of the set's controls) sqrt(k_s / (k_s - 1)) / k_s

(where those with an event may be controls before it, also - 2 sum_i (D_i - mean D) sum_s e_is over every i who is both)
which is two-way clustering by set and by person (set + person - both). It is not clustering by person alone: within a
set the person with the event and the controls share the set's mean, and taking their residuals for independent
would give half the variance. The residual of a control is its distance to the other controls of the set, so that it
holds no part of what all of the set have in common. The rules are ours, worked out for this design.
"""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from pipeline.kernels.keyed_random import keyed_uniform
from pipeline.kernels.matched_sets import (
    Changes,
    Grid,
    Sets,
    compare,
    mean_of,
    monthly_means,
    nearest,
    shared_squares,
)
from pipeline.multiple_tests import holm
from pipeline.params import Params

WEEKS = 4
"""Weeks in a month of an event study: 28 days, so that each has as many weekends."""
REFERENCE = -1
"""The month that differences are taken from: the last before the event."""
JITTER_SD = 1e-3
"""Ties of matching are broken at random: baselines are moved by up to half of this many standard deviations."""
STREAM = "event_study"
FITTED = ("estimate", "std_error", "estimate_low", "estimate_high", "p_value")
COLUMNS = ["measure", "axis", "group", "months_since_loss", "n_devices", "n_controls", *FITTED, "control_mean"]
TIES, PLACEBO_DATES, PLACEBO_PEOPLE = range(3)


class EventStudyParams(Params):
    """Who is compared with whom, and over which months. All defaults are ours: the papers' are not known."""

    months_before: int = Field(default=3, ge=2, le=12)
    """Months (28 days) before the event that are shown; the last is the reference, those before are matched on."""
    months_after: int = Field(default=6, ge=0, le=24)
    """Last month after the event that is shown; the event's own weeks begin month 0."""
    min_weeks: int = Field(default=2, ge=1, le=WEEKS)
    """Observed weeks that a month of a device needs to count."""
    n_controls: int = Field(default=5, ge=2)
    """Controls of each device with the event: the nearest. A control may serve several."""
    caliper_sd: float = Field(default=0.5, gt=0)
    """How far a control's baseline may be off, in standard deviations of the baselines of all who are in during the
    months that they are taken over, whatever their stratum."""
    controls: Literal["never", "not_yet"] = "never"
    """Devices that never have the event and are in during all the months compared; or whoever is in up to the event's
    own month, for as long as that lasts, those who have the event later among them."""
    after_return: Literal["keep", "leave"] = "keep"
    """Weeks of a device with the event after its state has ended (back at work): kept, so that the estimate is of
    the event whatever followed; or left out, so that it is of those for whom it lasts, who are others each month."""
    cap_quantile: float = Field(default=0.99, gt=0, le=1)
    """Weekly values above this quantile of all are set to it: one flight would outweigh a hundred devices. 1: none."""
    placebo: Literal["none", "before_event", "not_affected"] = "none"
    """To check the method where there is no effect to find. "before_event": dates are shuffled among the devices with
    the event, and only their weeks before their own count. "not_affected": dates are given to devices without the
    event, of the same stratum, and those with it are left out."""


class People(NamedTuple):
    """Devices by row, weeks by column; weeks are padded so that every month compared is inside."""

    device_id: NDArray[np.int64]
    stratum: NDArray[np.int64]
    event: NDArray[np.int64]
    """Column of the event's week; -1: none."""
    is_control: NDArray[np.bool_]
    """May serve as a control at all."""
    is_out: NDArray[np.bool_]
    """Weeks in which a device may not serve as a control."""
    is_hidden: NDArray[np.bool_]
    """Weeks that do not count."""


def estimate_effects(
    panel: pd.DataFrame,
    devices: pd.DataFrame,
    groups: pd.DataFrame,
    measures: tuple[str, ...],
    seed: int,
    params: EventStudyParams,
    min_devices: int = 2,
) -> pd.DataFrame:
    """Return the effect of an event per measure, group of devices and month since: the columns of `employment_effects`.

    ``panel`` has a row per device and week: device_id, window_started (Mondays), ``measures`` (NaN: not
    observed), is_out (the device may not serve as a control in that week) and is_back (its state has ended).
    ``devices`` has a row per device: device_id, stratum (any value; equal ones are matched), event_on (a Monday,
    missing: none), is_control and area. ``groups`` names the areas of each group of devices: axis, group, area;
    a row "all", "all" of all devices is added. Neither the order of rows nor other devices' ids matter.

    Rows of fewer than `min_devices` devices with the event, or as many controls, are left out, those of a group that
    differs from everybody or a group before it by fewer (the difference would tell of them), and `p_adjusted`
    (Holm) is over the rows that stay, those of the reference month apart, which are 0 by definition.
    """
    devices = devices.sort_values("device_id", ignore_index=True)
    panel = panel[panel["device_id"].isin(devices["device_id"])].sort_values(["device_id", "window_started"])
    found: list[pd.DataFrame] = []
    if len(panel):
        people, at = _lay_out(panel, devices, params)
        people = _with_placebo(people, seed, params)
        members = _members(devices, groups)
        for measure in measures:
            values = _spread(panel[measure].to_numpy(np.float64), at, people.is_hidden, params.cap_quantile)
            found += _effects_of(measure, values, people, members, seed, params, max(min_devices, 2))
    return _adjusted(found)


def _lay_out(
    panel: pd.DataFrame, devices: pd.DataFrame, params: EventStudyParams
) -> tuple[People, tuple[np.ndarray, np.ndarray]]:
    """Return the devices on a grid of weeks, and (row, column) of every row of the panel."""
    first = panel["window_started"].min()
    padding = WEEKS * params.months_before
    n_weeks = _weeks(panel["window_started"], first).max() + 1 + padding + WEEKS * (params.months_after + 1)
    row = np.searchsorted(devices["device_id"].to_numpy(), panel["device_id"].to_numpy())
    column = _weeks(panel["window_started"], first) + padding
    is_out, is_back = np.zeros((2, len(devices), n_weeks), np.bool_)
    is_out[row, column], is_back[row, column] = panel["is_out"], panel["is_back"]
    has_event = devices["event_on"].notna().to_numpy()
    event = np.where(has_event, _weeks(devices["event_on"].fillna(first), first) + padding, -1)
    # An event outside the weeks of the panel cannot be looked at from both sides.
    event[(event < padding) | (event >= n_weeks - WEEKS * (params.months_after + 1))] = -1
    week = np.arange(n_weeks)
    is_after = has_event[:, None] & (week >= event[:, None])
    has_returned = np.logical_or.accumulate(is_back & is_after, axis=1)
    people = People(
        devices["device_id"].to_numpy(np.int64),
        pd.factorize(devices["stratum"], sort=True)[0],
        event,
        devices["is_control"].to_numpy(np.bool_) & (~has_event | (params.controls == "not_yet")),
        is_out | is_after,
        has_returned & (params.after_return == "leave"),
    )
    return people, (row, column)


def _weeks(mondays: pd.Series, first: pd.Timestamp) -> NDArray[np.int64]:
    return ((mondays - first).dt.days // 7).to_numpy(np.int64)


def _with_placebo(people: People, seed: int, params: EventStudyParams) -> People:
    """Return the devices with dates at which nothing happened, where such a placebo is asked for."""
    treated = np.flatnonzero(people.event >= 0)
    if params.placebo == "none" or not treated.size:
        return people
    event = np.full_like(people.event, -1)
    if params.placebo == "before_event":
        dealt = _shuffled(treated, people, PLACEBO_DATES, seed)
        event[_shuffled(treated, people, PLACEBO_PEOPLE, seed)] = people.event[dealt]
        is_late = np.arange(people.is_hidden.shape[1]) >= people.event[:, None]
        is_late &= (people.event >= 0)[:, None]
        return people._replace(event=event, is_hidden=people.is_hidden | is_late)
    is_pseudo = np.zeros(event.size, np.bool_)
    for stratum in np.unique(people.stratum[treated]):
        dates = people.event[treated[people.stratum[treated] == stratum]]
        free = np.flatnonzero(people.is_control & (people.event < 0) & (people.stratum == stratum))
        # At least half stay controls.
        chosen = _shuffled(free, people, PLACEBO_PEOPLE, seed)[: min(dates.size, free.size // 2)]
        event[chosen], is_pseudo[chosen] = dates[: chosen.size], True
    return people._replace(event=event, is_control=people.is_control & (people.event < 0) & ~is_pseudo)


def _shuffled(rows: NDArray[np.int64], people: People, draw: int, seed: int) -> NDArray[np.int64]:
    return rows[np.argsort(keyed_uniform(people.device_id[rows], STREAM, seed, draw), kind="stable")]


def _members(devices: pd.DataFrame, groups: pd.DataFrame) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Return which devices (by row) belong to each group."""
    members = {("all", "all"): np.ones(len(devices), np.bool_)}
    for (axis, group), areas in groups.groupby(["axis", "group"], sort=True):
        members[str(axis), str(group)] = devices["area"].isin(areas["area"]).to_numpy(np.bool_)
    return members


def _spread(values: Grid, at: tuple[np.ndarray, np.ndarray], is_hidden: NDArray[np.bool_], cap: float) -> Grid:
    """Return the values of one measure as devices × weeks, NaN where there is none, large ones capped."""
    grid = np.full(is_hidden.shape, np.nan)
    grid[at] = values
    if cap < 1 and np.isfinite(values).any():
        grid = np.minimum(grid, np.nanquantile(values, cap))
    grid[is_hidden] = np.nan
    return grid


def _effects_of(
    measure: str,
    values: Grid,
    people: People,
    members: dict[tuple[str, str], NDArray[np.bool_]],
    seed: int,
    params: EventStudyParams,
    min_devices: int,
) -> list[pd.DataFrame]:
    monthly = monthly_means(values, WEEKS, params.min_weeks)
    months = np.arange(-params.months_before, params.months_after + 1)
    sets = match(monthly, people, seed, params)
    at = people.event[sets.treated, None] + WEEKS * months
    in_only = monthly_means(np.where(people.is_out, np.nan, values), WEEKS, params.min_weeks)
    changes = compare(monthly, in_only, sets, at, params.months_before + REFERENCE)
    # The same devices before as after: those seen at least once since the event.
    is_followed = np.isfinite(changes.difference[:, months >= 0]).any(axis=1)
    found: list[pd.DataFrame] = []
    shown: list[NDArray[np.bool_]] = []
    for (axis, group), is_member in members.items():
        rows = is_followed & is_member[sets.treated]
        part = Changes(changes.difference[rows], changes.share[rows], changes.is_used[rows], changes.level[rows])
        frame = estimate(part, Sets(sets.treated[rows], sets.controls[rows]), months, min_devices)
        is_seen = np.isfinite(changes.difference) & rows[:, None]
        is_shown = np.isin(months, frame["months_since_loss"]) & ~_tells_of_few(is_seen, shown, min_devices)
        frame = frame[frame["months_since_loss"].isin(months[is_shown])]
        shown.append(is_seen & is_shown)
        frame.insert(0, "measure", measure)
        frame.insert(1, "axis", axis)
        frame.insert(2, "group", group)
        found.append(frame)
    return found


def _tells_of_few(is_seen: NDArray[np.bool_], shown: list[NDArray[np.bool_]], min_devices: int) -> NDArray[np.bool_]:
    """Return the months in which a group (sets × months) less one that is shown would tell of too few devices."""
    found = np.zeros(is_seen.shape[1], np.bool_)
    for other in shown:
        n_apart = (is_seen ^ other).sum(axis=0)
        found |= other.any(axis=0) & (n_apart > 0) & (n_apart < min_devices)
    return found


def match(monthly: Grid, people: People, seed: int, params: EventStudyParams) -> Sets:
    """Return the matched sets of at least two controls, by the column of the event and then by row.

    A control has the same stratum, is in for every week from the first month to the end of the last (of the event's
    own where `params.controls` is "not_yet"), and is observed in the reference month and in one of those before. Taken
    are the `n_controls` nearest by the mean of the months before the reference, within the caliper.
    """
    jitter_sd = (keyed_uniform(people.device_id, STREAM, seed, TIES) - 0.5) * JITTER_SD
    n_out = np.concatenate([np.zeros((len(jitter_sd), 1), np.int32), people.is_out.cumsum(1, dtype=np.int32)], axis=1)
    n_months_in = params.months_after if params.controls == "never" else 0
    treated, controls = [np.empty(0, np.int64)], [np.empty((0, params.n_controls), np.int64)]
    for event in np.unique(people.event[people.event >= 0]):
        first, last = event - WEEKS * params.months_before, event + WEEKS * (n_months_in + 1)
        baseline = mean_of([monthly[:, event + WEEKS * m] for m in range(-params.months_before, REFERENCE)])
        is_seen = np.isfinite(monthly[:, event + WEEKS * REFERENCE]) & np.isfinite(baseline)
        # Nothing that follows an event widens the caliper: not even those of others, earlier.
        is_usual = is_seen & (n_out[:, event + WEEKS * REFERENCE] == n_out[:, first])
        spread = baseline[is_usual].std() if is_usual.any() else 0.0
        baseline += jitter_sd * spread
        free = np.flatnonzero(is_seen & people.is_control & (n_out[:, last] == n_out[:, first]))
        asked = np.flatnonzero(is_seen & (people.event == event))
        free, asked = (rows[np.argsort(people.stratum[rows], kind="stable")] for rows in (free, asked))
        for stratum, rows in _runs(people.stratum[asked], asked):
            a, b = np.searchsorted(people.stratum[free], [stratum, stratum + 1])
            near = nearest(baseline[rows], baseline[free[a:b]], params.n_controls, params.caliper_sd * spread)
            treated.append(rows)
            controls.append(np.where(near >= 0, np.append(free[a:b], -1)[near], -1))
    sets = Sets(np.concatenate(treated), np.concatenate(controls))
    return Sets(*(array[(sets.controls >= 0).sum(axis=1) >= 2] for array in sets))


def _runs(keys: NDArray[np.int64], rows: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """Return (key, its rows) of each run of equal keys."""
    if not keys.size:
        return []
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return list(zip(keys[starts].tolist(), np.split(rows, starts[1:]), strict=True))


def estimate(changes: Changes, sets: Sets, months: NDArray[np.int64], min_devices: int) -> pd.DataFrame:
    """Return mean difference, standard error, interval and p-value per month, for months with enough behind them."""
    n_devices = np.isfinite(changes.difference).sum(axis=0)
    n_controls = np.array([np.unique(sets.controls[changes.is_used[:, :, m]]).size for m in range(months.size)])
    shared = shared_squares(changes, sets)
    is_enough = (n_devices >= min_devices) & (n_controls >= min_devices)
    fitted = np.zeros((months.size, len(FITTED)))
    fitted[:, -1] = 1.0
    for m in np.flatnonzero(is_enough & (months != REFERENCE)):
        difference = changes.difference[:, m]
        fitted[m] = _fit(difference[np.isfinite(difference)], shared[m])
    frame = pd.DataFrame({"months_since_loss": months.astype(np.int16), "n_devices": n_devices})
    frame["n_controls"] = n_controls
    frame[list(FITTED)] = fitted
    frame["control_mean"] = mean_of(list(changes.level)) if len(changes.level) else np.nan
    return frame[is_enough]


def _fit(difference: Grid, shared: float) -> tuple[float, ...]:
    """Return (estimate, standard error, low, high, p-value) of one month, of one difference per set.

    Ordinary least squares (statsmodels) with the variance that is robust to sets of unlike spread, to which is added
    what shared controls add, where that is more than nothing; t distribution, sets less 1 degrees of freedom.
    """
    # Importing statsmodels takes seconds, which every other command would wait for.
    from statsmodels.regression.linear_model import OLS

    n = difference.size
    fit = OLS(difference, np.ones(n)).fit(cov_type="HC1", use_t=True)
    test = fit.t_test([[1.0]], cov_p=fit.cov_params() + max(shared, 0.0) / n**2)
    effect, std_error, p_value = float(fit.params[0]), float(np.ravel(test.sd)[0]), float(np.ravel(test.pvalue)[0])
    if std_error == 0:
        # A difference without any spread is certain, whatever x / 0 is taken for.
        p_value = float(effect == 0)
    return effect, std_error, *np.ravel(test.conf_int(alpha=0.05)), p_value


def _adjusted(found: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all measures and groups together, p-values corrected by Holm's rule."""
    effects = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)
    is_tested = (effects["months_since_loss"] != REFERENCE).to_numpy()
    adjusted = np.ones(len(effects))
    if is_tested.any():
        adjusted[is_tested] = holm(effects["p_value"].to_numpy()[is_tested])
    effects.insert(effects.columns.get_loc("p_value") + 1, "p_adjusted", adjusted)
    return effects.sort_values(["measure", "axis", "group", "months_since_loss"], ignore_index=True)
