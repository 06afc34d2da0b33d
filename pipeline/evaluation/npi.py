"""What explains published series of mobility: the models of `npi_fits` and `npi_response`, without any ping.

Nothing is fitted here that the stages do not fit: changes, policies and an epidemic go into the same functions. What
comes on top is a scan of lags, and that everything is done twice: with what all states have in common left in, and
taken out week by week. A term that rises with the calendar, as weeks since the first death do, is told apart from
spring only by the latter.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.npi_drivers import ADAPTATIONS, TERMS, NpiParams, drivers
from pipeline.npi_panel import SEVERITY, STRINGENCY
from pipeline.npi_verdicts import judge_models
from pipeline.panel_models import compare_models, fit_response
from pipeline.study import StudyError

EVERYWHERE, CHOSEN = "all", "chosen"
EFFECT_WORDS = {"region": "levels of states taken out", "region_and_period": "levels of states and of weeks taken out"}
"""What is taken out → how it is told. Everything is done with each."""
PAPER_STATES = ("04", "21", "36", "40")
"""Arizona, Kentucky, New York and Oklahoma: what is known of the four states of the paper is New York; the others are
recalled."""
LEAST_REPLICATES = 100
SCANS: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    (TERMS, {STRINGENCY: "stringency", SEVERITY: "both"}),
    (TERMS[1:], {SEVERITY: "severity"}),
)
"""Columns that are taken from other days; model whose error is shown → what is called late."""


class Asked(NamedTuple):
    """What a comparison is asked for."""

    chosen: tuple[str, ...]
    """Regions that are looked at by themselves, besides all together."""
    max_lag_days: int = 28
    """Up to how many days after its driver an answer is looked for."""
    max_lead_days: int = 14
    """Up to how many days before."""
    seed: int = 0


class NpiComparison(NamedTuple):
    """What was found. Every frame has `scope`: "all" regions, or the "chosen" ones."""

    fits: pd.DataFrame
    """Columns of NPI_FITS, and which `effects` are taken out."""
    response: pd.DataFrame
    """Columns of NPI_RESPONSE, and `effects`."""
    lags: pd.DataFrame
    """scope, driver (stringency, severity or both), measure, lag_days, left_out_error."""
    verdicts: pd.DataFrame
    """scope, effects, measure, model, best (nothing, stringency, severity or adaptation), is_certain."""


def compare_series(
    changes: pd.DataFrame, npi_policies: pd.DataFrame, epidemic: pd.DataFrame, params: NpiParams, asked: Asked
) -> NpiComparison:
    """Return how series of changes answer to policies and an epidemic, over all regions and over the chosen ones.

    `changes` has the columns of REGION_CHANGES. StudyError where no region is left, or where policies or the epidemic
    lack a region or a date, which may be as early as the longest lag before the first change.
    """
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in NpiComparison._fields}
    for scope, regions in ((EVERYWHERE, None), (CHOSEN, asked.chosen)):
        rows = changes if regions is None else changes[changes["region_geoid"].isin(regions)]
        if rows.empty:
            raise StudyError(f"no change of any region ({scope}) in the study's span")
        told = _drivers_around(rows, npi_policies, epidemic, params, asked)
        for effects in EFFECT_WORDS:
            of = params.model_copy(update={"effects": effects})
            fits = compare_models(rows, told, of, asked.seed)
            at = {"scope": scope, "effects": effects}
            found["fits"].append(fits.assign(**at))
            found["response"].append(fit_response(rows, told, fits, of).assign(**at))
            found["verdicts"].append(judge(fits).assign(**at))
        found["lags"].append(scan_lags(rows, told, params, asked).assign(scope=scope))
    return NpiComparison(*(pd.concat(parts, ignore_index=True) for parts in found.values()))


def _drivers_around(
    changes: pd.DataFrame, npi_policies: pd.DataFrame, epidemic: pd.DataFrame, params: NpiParams, asked: Asked
) -> pd.DataFrame:
    """Return the drivers of the regions, from the longest lag before the first change to the longest lead after."""
    first = changes["date"].min().date() - timedelta(days=asked.max_lag_days)
    last = changes["date"].max().date() + timedelta(days=asked.max_lead_days)
    try:
        return drivers(npi_policies, epidemic, changes["region_geoid"].unique(), first, last, params)
    except ValueError as error:
        raise StudyError(str(error)) from None


def scan_lags(changes: pd.DataFrame, told: pd.DataFrame, params: NpiParams, asked: Asked) -> pd.DataFrame:
    """Return the error in regions left out by what is late and by how many days: driver, measure, lag_days, error.

    Late is stringency in the model of stringency alone ("stringency"); or severity, stringency being of the day
    ("severity"), or both ("both"), in that of stringency and severity. Days come on top of the lags of `params`;
    where they are negative the answer comes before its driver. The observations are the same at all lags.
    """
    quick = params.model_copy(update={"adaptations": (), "model": "chosen", "n_replicates": LEAST_REPLICATES})
    rows = []
    for lag in range(-asked.max_lead_days, asked.max_lag_days + 1):
        for terms, late in SCANS:
            fits = compare_models(changes, delay(told, terms, lag), quick, asked.seed)
            fits = fits.assign(driver=fits["model"].map(late), lag_days=lag)
            rows.append(fits.loc[fits["driver"].notna(), ["driver", "measure", "lag_days", "left_out_error"]])
    return pd.concat(rows).sort_values(["driver", "measure", "lag_days"], ignore_index=True)


def delay(told: pd.DataFrame, terms: Sequence[str], lag_days: int) -> pd.DataFrame:
    """Return drivers with some terms as they were so many days before; NaN on days for which that is not known.

    `told` has every date of a region, in order of region and date, as `drivers` returns it.
    """
    return told.assign(**{term: told.groupby("region_geoid")[term].shift(lag_days) for term in terms})


def judge(fits: pd.DataFrame) -> pd.DataFrame:
    """Return what foretells each measure best in regions left out: measure, model, best, is_certain.

    `model` is the candidate, `best` what it adds; both null where none could be left out. `judge_models` has the rule.
    """
    rows = []
    for measure, models in fits.groupby("measure", sort=True):
        model, is_certain = judge_models(models)
        best = "adaptation" if model in ADAPTATIONS else model
        rows.append({"measure": measure, "model": model, "best": best, "is_certain": is_certain})
    return pd.DataFrame(rows, columns=["measure", "model", "best", "is_certain"])


def best_lags(lags: pd.DataFrame) -> pd.DataFrame:
    """Return the lag with the least error of each scope, driver and measure, the earliest of equal ones.

    `is_at_end`: it is the first or last that was looked at, so that there may be a better one beyond.
    """
    order = ["scope", "driver", "measure", "left_out_error", "lag_days"]
    least = lags.dropna(subset="left_out_error").sort_values(order).drop_duplicates(order[:3])
    return least.assign(is_at_end=least["lag_days"].isin([lags["lag_days"].min(), lags["lag_days"].max()]))


def write_tables(tables: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write each table as Parquet under `folder`, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, rows in tables.items():
        paths.append(folder / f"{name}.parquet")
        rows.to_parquet(paths[-1], index=False)
    return paths


def count_unknown(changes: pd.DataFrame) -> dict[str, int]:
    """Return of each measure how many values have no logarithm, where there are any: they are in no model."""
    n_unknown = changes["log_change"].isna().groupby(changes["measure"]).sum()
    return {str(name): int(n) for name, n in n_unknown.items() if n}
