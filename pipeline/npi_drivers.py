"""What people may answer to, by region and day: stringency of policies, severity of the epidemic, adaptation to it.

The three drivers are those that the paper's abstract names; how it measures them is not known to us, so every
definition here is ours (method page 3.6, a template). *Adaptation* is what can lift mobility whatever the stringency,
once people have lived with the risk for a while. Four candidates, of which `panel_models` chooses:

- weeks: tens of weeks since the first local death, 0 before it; log_weeks: ln(1 + weeks, in single weeks).
- exposure: severity summed over the past, in units of one for ten weeks: what people have been through.
- forgetting: the mean of past severity, each day counting for less the longer it is ago. Where severity stays as it
  is, this comes to meet it, so that its coefficient is what wears off of the answer to severity. It lags behind:
  severity that is over is familiar still, and mobility then higher than without any.
"""

from collections.abc import Collection
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.id_join import longest_prefixes
from pipeline.params import Params
from pipeline.windows import to_dates, to_days

PERSONS = 100_000
WEEK_DAYS = 7
DECAWEEK_DAYS = 70
"""Ten weeks: the unit of time of adaptation, so that its coefficients are of the size of the others."""
STRINGENCY_RANGE = 100.0
EVERYWHERE = "all"
ADAPTATIONS: tuple["Adaptation", ...] = ("weeks", "log_weeks", "exposure", "forgetting")
TERMS = ("stringency", "severity", *ADAPTATIONS)

MEASURES = (
    "visits",
    "visits:venue",
    "visits:venue:*",
    "minutes:home",
    "minutes:venue",
    "distance_m",
    "gyration_m",
    "contacts",
    "routine_share",
    "predictability",
)
"""What is modelled unless a study says otherwise."""

Adaptation = Literal["weeks", "log_weeks", "exposure", "forgetting"]


class NpiParams(Params):
    """What mobility is explained by, and how models of it are fitted and compared.

    All defaults are ours: the method page found none of the paper's.
    """

    measures: tuple[str, ...] = MEASURES
    """Measures that are modelled, as far as there are any such; one that ends in * stands for all that begin so. Each
    is one more test that `p_adjusted` corrects for. (): all (ours)."""
    period: Literal["week", "day"] = "week"
    """What an observation is of: a region's mean log change over a week from Monday, or a day (ours)."""
    min_days: int = Field(default=3, ge=1, le=7)
    """Days of a week on which the change must be known (ours)."""
    stringency_lag_days: int = Field(default=0, ge=0, le=60)
    """Days from a policy to the answer to it: 0, since a policy counts from the day on which it holds (ours)."""
    severity: Literal["deaths", "cases"] = "deaths"
    """What severity counts: deaths, which depend less on how many are tested (ours)."""
    severity_scale: Literal["log1p", "linear"] = "log1p"
    """The logarithm of 1 + the weekly number per 100,000 residents, or that number itself (ours)."""
    smoothing_days: int = Field(default=7, ge=1, le=60)
    """Trailing days that counts are averaged over, so that nothing later than the day is used: a week, within which
    fewer are reported at weekends (ours)."""
    severity_lag_days: int = Field(default=0, ge=0, le=60)
    """Days from severity, and adaptation to it, to the answer; that of smoothing comes on top (ours)."""
    half_life_days: float = Field(default=28.0, gt=0)
    """After how long a day counts half in forgetting (ours)."""
    adaptations: tuple[Adaptation, ...] = ADAPTATIONS
    """Candidates for the term of adaptation (ours)."""
    model: Literal["chosen", "stringency", "severity", "weeks", "log_weeks", "exposure", "forgetting"] = "chosen"
    """The model that npi_response is of: the one with the least error in regions left out, or this (ours)."""
    effects: Literal["region", "region_and_period"] = "region"
    """What is taken out: the level of each region; or what all regions have in common in a period as well, so that only
    what differs between regions is left to explain, and the model of nothing is what the others did (ours)."""
    estimators: tuple[Literal["fixed", "mixed", "difference"], ...] = ("fixed", "mixed", "difference")
    """Estimators of npi_response (ours)."""
    min_left_out: int = Field(default=3, ge=3)
    """Parts of the study, each left out in turn, from which models are compared: the regions in which policies differ;
    of fewer than these, the regions of the table themselves (ours)."""
    n_replicates: int = Field(default=1000, ge=100, le=100_000)
    """Replicates of the bootstrap of the gain over the parts left out (ours)."""
    min_interval_parts: int = Field(default=6, ge=3)
    """Parts left out from which the gain has an interval. Of 3 and 4 the bootstrap is too narrow: where stringency
    alone matters, the best of five other models gains "certainly" in 15 and 6 % of simulated studies, of 6 in 2 %, of
    8 in 1 % (of 300 each; 2.5 % is nominal), the intervals being of all five at once (ours)."""

    def check_study(self, declared: Any) -> None:
        """Raise ValueError where the two tables of one model are to be made with different parameters."""
        if declared.params.get("npi_fits", {}) != declared.params.get("npi_response", {}):
            raise ValueError("params.npi_fits and params.npi_response are of one model: set both alike")


def drivers(
    npi_policies: pd.DataFrame,
    epidemic: pd.DataFrame,
    regions: Collection[str],
    first: date,
    last: date,
    params: NpiParams,
) -> pd.DataFrame:
    """Return what people of each region answer to on each day from `first` to `last`, by region and date.

    Columns: region_geoid, date, cluster (the region whose policies hold), stringency (0 to 1), severity, weeks,
    log_weeks, exposure, forgetting. A region has the policies and the epidemic of the region with the longest id
    that begins its own. Values are those of the lag before the date. Before the first row of a region the epidemic
    has counted nothing; counts that lack a date after it, or stringency that lacks any, are a ValueError that names
    region and date, as are regions without policies or epidemic.
    """
    names = sorted(set(regions))
    policy = _holders(names, npi_policies["region_geoid"], "npi_policies")
    outbreak = _holders(names, epidemic["region_geoid"], "epidemic")
    days = np.arange(_day(first), _day(last) + 1)
    stringency = _grid(npi_policies, "stringency", policy, days - params.stringency_lag_days, "npi_policies")
    told = days - params.severity_lag_days
    counts = epidemic[epidemic["region_geoid"].isin(outbreak)].groupby("region_geoid")
    parts = {str(name): _epidemic_terms(rows, str(name), told, params) for name, rows in counts}
    found = pd.DataFrame(
        {
            "region_geoid": pd.Series(np.repeat(names, days.size), dtype="str"),
            "date": np.tile(to_dates(days), len(names)),
            "cluster": pd.Series(np.repeat(policy, days.size), dtype="str"),
            "stringency": np.concatenate([stringency[name] for name in policy]) / STRINGENCY_RANGE,
        }
    )
    for term in TERMS[1:]:
        found[term] = np.concatenate([parts[name][term] for name in outbreak])
    return found


def _holders(regions: list[str], known: pd.Series, table: str) -> list[str]:
    """Return for each region the longest id in `known` that begins its own; ValueError naming those without any."""
    found = longest_prefixes(regions, known)
    missing = [region for region, name in zip(regions, found, strict=True) if not name]
    if missing:
        raise ValueError(f"{table} has no region that holds {_listed(missing)}")
    return found


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _day(value: date) -> int:
    return int(np.datetime64(value, "D").astype(np.int64))


def _grid(frame: pd.DataFrame, column: str, names: list[str], days: np.ndarray, table: str) -> dict[str, np.ndarray]:
    """Return the column's values on the days by region; ValueError naming the first region and date that is missing."""
    values = frame[column].set_axis([frame["region_geoid"], to_days(frame["date"])]) if len(frame) else frame[column]
    found = {}
    for name in sorted(set(names)):
        found[name] = values.loc[name].reindex(days).to_numpy(np.float64)
        _check_complete(np.isfinite(found[name]), days, name, table)
    return found


def _check_complete(is_known: np.ndarray, days: np.ndarray, region: str, table: str) -> None:
    missing = days[~is_known]
    if missing.size:
        first = np.datetime64(int(missing[0]), "D")
        more = f" and {missing.size - 1} more dates" if missing.size > 1 else ""
        raise ValueError(f"{table} lacks region {region} on {first}{more}")


def _epidemic_terms(rows: pd.DataFrame, region: str, told: np.ndarray, params: NpiParams) -> dict[str, np.ndarray]:
    """Return severity and the candidates for adaptation in one region on the days, none of which looks ahead."""
    rows = rows.set_axis(to_days(rows["date"]))
    begins = int(rows.index.min())
    days = np.arange(min(begins, told[0]), told[-1] + 1)
    counts = rows[["new_cases", "new_deaths", "population"]].reindex(days)
    counted = days >= begins
    _check_complete(counts.notna().all(axis=1).to_numpy() | ~counted, days, region, "epidemic")
    new = counts[f"new_{params.severity}"].fillna(0.0).rolling(params.smoothing_days, min_periods=1).sum()
    people = counts["population"].bfill().fillna(1.0)
    weekly = (new * WEEK_DAYS / params.smoothing_days / people * PERSONS).clip(lower=0).to_numpy(np.float64)
    severity = np.log1p(weekly) if params.severity_scale == "log1p" else weekly
    deaths = counts["new_deaths"].fillna(0.0).to_numpy() > 0
    since = np.maximum(days - days[deaths.argmax()], 0) if deaths.any() else np.zeros(days.size)
    past = np.concatenate([[0.0], severity[:-1]])
    terms = {
        "severity": severity,
        "weeks": since / DECAWEEK_DAYS,
        "log_weeks": np.log1p(since / WEEK_DAYS),
        "exposure": past.cumsum() / DECAWEEK_DAYS,
        "forgetting": _forgetting(past, params.half_life_days),
    }
    return {name: values[np.searchsorted(days, told)] for name, values in terms.items()}


def _forgetting(past: np.ndarray, half_life_days: float) -> np.ndarray:
    """Return the mean of what is past by day, a day counting half for every half-life that it is ago."""
    # ewm: the same recursion as kept = keep * kept + (1 - keep) * new, begun at past[0], which is 0.
    keep = 0.5 ** (1 / half_life_days)
    return pd.Series(past).ewm(alpha=1 - keep, adjust=False).mean().to_numpy()


def drivers_of(
    region_changes: pd.DataFrame, npi_policies: pd.DataFrame, epidemic: pd.DataFrame, params: NpiParams
) -> pd.DataFrame:
    """Return the drivers of the smallest regions of a table over its dates; without policies no rows.

    Policies that lack a region or a date, and an epidemic that does, are errors, see `drivers`.
    """
    regions = smallest_regions(region_changes["region_geoid"])
    if npi_policies.empty or not regions:
        return pd.DataFrame({"region_geoid": [], "date": [], "cluster": [], **{term: [] for term in TERMS}})
    dates = region_changes["date"]
    return drivers(npi_policies, epidemic, regions, dates.min().date(), dates.max().date(), params)


def smallest_regions(regions: pd.Series) -> list[str]:
    """Return the regions whose ids do not begin another's, without "all", the study as a whole."""
    ids = sorted(set(pd.unique(regions)) - {EVERYWHERE})
    # In order, the ids that begin with one follow it at once.
    return [one for one, following in zip(ids, [*ids, ""][1:], strict=True) if not following.startswith(one)]


def is_asked_for(measure: pd.Series, asked: tuple[str, ...]) -> np.ndarray:
    """Return which rows have a measure that is asked for: bool. One that ends in * asks for all that begin so."""
    if not asked:
        return np.ones(len(measure), bool)
    codes, names = pd.factorize(measure)
    prefixes = tuple(name[:-1] for name in asked if name.endswith("*"))
    return np.array([name in asked or name.startswith(prefixes) for name in names], bool)[codes]
