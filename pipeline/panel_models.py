"""Models of how mobility answers to policies and risk, of a panel of regions and periods.

    log(Y / Y_base) = b1 stringency + b2 severity + b3 adaptation + effect of the region [+ of the period] + error

The shape is the template of the method page (3.6, inferred): what the paper fits is not known. Models differ in which
of the terms they have. They are compared by how well they foretell regions that they were not fitted to, since a term
that rises for a year fits any other such series of the same regions. Policies are those of few large regions, so
whatever hangs together within one of these (a county's next week, another county) is one cluster.
"""

import numpy as np
import pandas as pd

from data_contracts import NPI_FITS, NPI_RESPONSE, Table
from pipeline.kernels.cluster_errors import cluster_errors
from pipeline.kernels.keyed_random import keyed_uniform
from pipeline.multiple_tests import holm
from pipeline.npi_drivers import ADAPTATIONS, NpiParams
from pipeline.npi_panel import (
    EVERYBODY,
    GROUP,
    MODELS,
    NOTHING,
    SEVERITY,
    STRINGENCY,
    Design,
    Panel,
    design,
    free_columns,
    is_estimable,
    islands,
    less_region,
    panels,
    region_means,
)
from pipeline.npi_verdicts import find_least

STREAM = "npi_fits"
INTERVAL = (0.025, 0.975)
ROUNDING = 1e-6
"""A standard error that is less than this of one of rows that do not hang together is rounding."""


def compare_models(changes: pd.DataFrame, drivers: pd.DataFrame, params: NpiParams, seed: int) -> pd.DataFrame:
    """Return the rows of NPI_FITS: how well each candidate model foretells regions that it was not fitted to.

    `changes` and `drivers` as `panels` takes them. Parts of the study are left out in turn: the regions whose policies
    differ, or, of fewer than `params.min_left_out` of these, the regions of the table, which then share policies with
    those fitted to. A region left out has no effect of its own, and is foretold with the mean of the others' effects:
    as a region about which nothing but policies and epidemic is known, and, where effects of periods are taken out,
    what the others did in the period. A period that none of the others has is not foretold, and is in no error.

    The gain over stringency alone has percentiles of a bootstrap over the parts left out, fits held as they are. With
    95 % the intervals of all candidates with more terms hold at once (Bonferroni), since the best of them is looked at:
    where nothing but stringency matters, the best gains "certainly" in 2 % of simulated studies of 6 parts, and in
    fewer of more. Of fewer than `params.min_interval_parts` there are none.

    Chosen is the model with the smallest such error among those with stringency, of equal ones that with fewer terms;
    where nothing can be left out, stringency and severity; or `params.model`. A model whose terms cannot be told apart
    from each other or from the effects (no death, so no weeks since the first) has neither R² nor error, and is not
    chosen.
    """
    rows = [_fits(key, panel, params, seed) for key, panel in panels(changes, drivers, params)]
    return _table([row for fits in rows for row in fits], NPI_FITS)


def _table(rows: list[dict], table: Table) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=table.names)
    return frame.sort_values(list(table.key), ignore_index=True)


def _fits(key: tuple[str, ...], panel: Panel, params: NpiParams, seed: int) -> list[dict]:
    shares, squares, parts = _of_models(panel, params)
    errors = {model: float(np.sqrt(values.mean())) for model, values in squares.items()}
    chosen = _choose(errors, shares, params)
    common = dict(zip(GROUP, key, strict=True)) | sizes(panel) | {"n_left_out": _count(parts)}
    intervals = _gain_intervals(squares, parts, seed, params)
    return [
        common
        | dict(zip(("model", "r2", "within_r2", "left_out_error"), (model, *of, errors[model]), strict=True))
        | {"gain": errors[STRINGENCY] - errors[model], "is_chosen": model == chosen}
        | dict(zip(("gain_low", "gain_high"), intervals.get(model, (np.nan, np.nan)), strict=True))
        for model, of in shares.items()
    ]


def _count(parts: np.ndarray) -> int:
    return int(parts.max()) + 1 if parts.size else 0


def sizes(panel: Panel) -> dict[str, int]:
    """Return how much is behind what is fitted to a panel."""
    return {"n_regions": panel.n_regions, "n_devices": panel.n_devices, "n_observations": panel.change.size}


def _of_models(
    panel: Panel, params: NpiParams
) -> tuple[dict[str, tuple[float, float]], dict[str, np.ndarray], np.ndarray]:
    """Return R² and within R² of each model, its squared errors of rows left out, and the part of each such row.

    Errors are NaN where a model cannot be fitted; where too few parts are foretold, one NaN and no parts.
    """
    parts = left_out_parts(panel, params)
    unknown = np.full(panel.change.size, np.nan)
    shares, squares = {NOTHING: (np.nan, np.nan)}, {NOTHING: unknown}
    if parts is not None:
        is_bare = params.effects == "region"
        alone = design(panel, NOTHING, params)
        squares[NOTHING] = panel.change**2 if is_bare else _left_out_squares(panel, alone, parts)
    for model in MODELS:
        if model not in ADAPTATIONS or model in params.adaptations:
            found = design(panel, model, params)
            is_known = is_estimable(found.within_x)
            shares[model] = _explained(panel, found) if is_known else (np.nan, np.nan)
            squares[model] = _left_out_squares(panel, found, parts) if is_known and parts is not None else unknown
    is_foretold = np.isfinite(squares[NOTHING])
    if parts is None or np.unique(parts[is_foretold]).size < params.min_left_out:
        return shares, dict.fromkeys(squares, unknown[:1]), np.empty(0, np.int64)
    parts = np.unique(parts[is_foretold], return_inverse=True)[1]
    return shares, {model: values[is_foretold] for model, values in squares.items()}, parts


def left_out_parts(panel: Panel, params: NpiParams) -> np.ndarray | None:
    """Return the part that each row is left out with, from 0; None where there are too few."""
    for of in (panel.cluster, panel.region):
        parts = np.unique(of, return_inverse=True)[1]
        if parts.max() + 1 >= params.min_left_out:
            return parts
    return None


def _explained(panel: Panel, found: Design) -> tuple[float, float]:
    """Return R² with and without the effects of regions; NaN where nothing varies."""
    b = np.linalg.lstsq(found.within_x, found.within_change, rcond=None)[0]
    rest = np.sum((found.within_change - found.within_x @ b) ** 2)
    around = np.sum((panel.change - panel.change.mean()) ** 2), np.sum(found.within_change**2)
    return tuple(float(1 - rest / total) if total > 0 else np.nan for total in around)  # type: ignore[return-value]


def _left_out_squares(panel: Panel, found: Design, parts: np.ndarray) -> np.ndarray:
    """Return the squared error of each row, foretold by the model fitted to the other parts; NaN where it is not."""
    squares = np.empty(panel.change.size)
    within = less_region(found.x, panel.region)
    means = region_means(found.x, panel.region), region_means(panel.change, panel.region)
    cross = within.T @ np.column_stack([within, found.within_change])
    for part in range(parts.max() + 1):
        is_out = parts == part
        x, change = within[is_out], found.within_change[is_out]
        left = cross - x.T @ np.column_stack([x, change])
        region, period = panel.region[~is_out], found.period[~is_out]
        island = islands(region, period)
        is_free = free_columns(period, island, len(cross), found.n_terms)
        b = np.zeros(len(cross))
        b[is_free] = np.linalg.lstsq(left[:, :-1][np.ix_(is_free, is_free)], left[is_free, -1], rcond=None)[0]
        level = np.full(found.period.max() + 1, np.nan)
        level[period] = _mean_effects(means[1] - means[0] @ b, region, island)[island]
        squares[is_out] = (panel.change[is_out] - level[found.period[is_out]] - found.x[is_out] @ b) ** 2
    return squares


def _mean_effects(effects: np.ndarray, region: np.ndarray, island: np.ndarray) -> np.ndarray:
    """Return the mean effect of the regions of each island, of rows of region and island."""
    regions, first = np.unique(region, return_index=True)
    return np.bincount(island[first], weights=effects[regions]) / np.bincount(island[first])


def _gain_intervals(
    squares: dict[str, np.ndarray], parts: np.ndarray, seed: int, params: NpiParams
) -> dict[str, tuple[float, float]]:
    """Return the interval of each model's gain over stringency alone from a bootstrap over parts; none of few parts."""
    known = {model: values for model, values in squares.items() if np.isfinite(values).all()}
    if STRINGENCY not in known or _count(parts) < params.min_interval_parts:
        return {}
    drawn = keyed_uniform(np.arange(_count(parts))[:, None], STREAM, seed, np.arange(params.n_replicates))
    drawn = (drawn * _count(parts)).astype(np.int64)
    n = np.bincount(parts)[drawn].sum(axis=0)
    errors = {name: np.sqrt(np.bincount(parts, weights=known[name])[drawn].sum(axis=0) / n) for name in known}
    n_richer = sum(model not in (NOTHING, STRINGENCY) for model in known)
    found = {}
    for model, error in errors.items():
        tail = INTERVAL[0] / (1 if model in (NOTHING, STRINGENCY) else n_richer)
        low, high = np.quantile(errors[STRINGENCY] - error, (tail, 1 - tail))
        found[model] = float(low), float(high)
    return found


def _choose(errors: dict[str, float], shares: dict[str, tuple[float, float]], params: NpiParams) -> str | None:
    """Return the chosen model; None where none can be fitted."""
    known = [model for model, (r2, _) in shares.items() if np.isfinite(r2)]
    if params.model != "chosen":
        return params.model if params.model in known else None
    if not np.isfinite(errors[NOTHING]):
        return next((model for model in (SEVERITY, STRINGENCY) if model in known), None)
    return find_least({model: errors[model] for model in known})


def fit_response(changes: pd.DataFrame, drivers: pd.DataFrame, fits: pd.DataFrame, params: NpiParams) -> pd.DataFrame:
    """Return the rows of NPI_RESPONSE: the coefficients of the chosen model of each measure and group.

    `fits` is what `compare_models` returns for the same changes and drivers. *fixed*: least squares with an effect for
    each region. *mixed*: the effects of regions are draws from a normal, their variance by restricted maximum
    likelihood (`random_effects`). *difference*, of a group: the fixed model of the difference between the changes of
    the group and of everybody else, whose coefficients are the interactions of the group with each term; it has the
    group's chosen model.

    Standard errors are clustered by the regions in which policies differ (`kernels.cluster_errors`), and say nothing of
    shocks that all regions have in common: for these there is `params.effects`. Of one such region there are none, nor
    intervals. p-values are of t tests; adjusted ones are corrected for all rows together (Holm), so that it matters
    which measures are asked for.
    """
    chosen = fits[fits["is_chosen"]].set_index(list(GROUP))["model"]
    rows: list[dict] = []
    for key, panel in panels(changes, drivers, params):
        if key in chosen.index and chosen[key] != NOTHING:
            for estimator in params.estimators:
                rows += _response(key, panel, chosen[key], estimator, params)
    frame = _table(rows, NPI_RESPONSE)
    frame["p_adjusted"] = _holm(frame["p_value"].to_numpy(np.float64))
    return frame.astype({"lag_days": np.int16, "n_clusters": np.int64})


def _response(key: tuple[str, ...], panel: Panel, model: str, estimator: str, params: NpiParams) -> list[dict]:
    change = panel.change
    if estimator == "difference":
        is_known = np.isfinite(panel.others)
        if key[1] == EVERYBODY or not is_known.any():
            return []
        panel = panel.rows(is_known)
        change = panel.change - panel.others
    found = design(panel, model, params, change)
    if not is_estimable(found.within_x):
        return []
    x, y = (
        random_effects(change, found, panel.region) if estimator == "mixed" else (found.within_x, found.within_change)
    )
    estimates = _least_squares(x, y, panel.cluster)[-found.n_terms :]
    common: dict = dict(zip(GROUP, key, strict=True)) | {"estimator": estimator, "model": model}
    common |= sizes(panel) | {"n_clusters": np.unique(panel.cluster).size}
    names = ("log_effect", "log_std_error", "log_effect_low", "log_effect_high", "p_value")
    return [
        common
        | {"term": "adaptation" if term in ADAPTATIONS else term, "lag_days": _lag_days(term, params)}
        | dict(zip(names, values, strict=True))
        for term, values in zip(MODELS[model], estimates, strict=True)
    ]


def _lag_days(term: str, params: NpiParams) -> int:
    return params.stringency_lag_days if term == "stringency" else params.severity_lag_days


def _least_squares(x: np.ndarray, y: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Return (coefficient, standard error, low, high, p-value) by column, the latter four NaN where they are not known.

    They are not of one cluster, nor of two whose residuals mirror each other, as those of two regions do when effects
    of periods are taken out: their spread is 0 whatever the data are.
    """
    # Importing statsmodels takes seconds, which every other command would wait for.
    from scipy.stats import t
    from statsmodels.regression.linear_model import OLS

    fit = OLS(y, x).fit()
    found = np.full((x.shape[1], 5), np.nan)
    found[:, 0] = fit.params
    if np.unique(cluster).size > 1:
        variance, freedom = cluster_errors(x, fit.resid, cluster)
        error = np.sqrt(np.maximum(np.diag(variance), 0.0))
        error[error <= ROUNDING * fit.bse] = np.nan
        reach = t.ppf(INTERVAL[1], freedom) * error
        p_value = 2 * t.sf(np.abs(fit.params / error), freedom)
        found[:, 1:] = np.column_stack([error, fit.params - reach, fit.params + reach, p_value])
    return found


def random_effects(change: np.ndarray, found: Design, region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return columns, a constant first, and changes of which least squares is that with random effects of regions.

    Each less a part of its region's mean, 1 - 1 / sqrt(1 + n v) of n rows, v being the variance of effects by that of
    errors with the greatest restricted likelihood: statsmodels's MixedLM with a random intercept, of which only one
    number has to be searched for. v is 0 where regions do not differ beyond their errors.
    """
    from scipy.optimize import minimize_scalar

    x = np.column_stack([np.ones(change.size), found.x])
    n_rows = np.bincount(region)
    means = region_means(np.column_stack([x, change]), region)[region]

    def transformed(v: float) -> np.ndarray:
        part = 1 - 1 / np.sqrt(1 + n_rows * v)
        return np.column_stack([x, change]) - part[region, None] * means

    def lost(log_v: float) -> float:
        v = np.exp(log_v)
        values = transformed(v)
        cross = values[:, :-1].T @ values[:, :-1]
        b = np.linalg.solve(cross, values[:, :-1].T @ values[:, -1])
        squares = np.sum((values[:, -1] - values[:, :-1] @ b) ** 2)
        freedom = change.size - x.shape[1]
        return freedom * np.log(max(squares, TINY)) + np.log1p(n_rows * v).sum() + np.linalg.slogdet(cross)[1]

    best = minimize_scalar(lost, bounds=LOG_V, method="bounded", options={"xatol": 1e-6})
    values = transformed(float(np.exp(best.x)))
    return values[:, :-1], values[:, -1]


LOG_V = (np.log(1e-8), np.log(1e6))
"""Where the variance of effects is searched for, in logarithms of that of errors."""
TINY = 1e-300


def _holm(p_value: np.ndarray) -> np.ndarray:
    """Return p-values corrected by Holm's rule for all that are known."""
    adjusted, is_known = np.full(p_value.size, np.nan), np.isfinite(p_value)
    if is_known.any():
        adjusted[is_known] = holm(p_value[is_known])
    return adjusted
