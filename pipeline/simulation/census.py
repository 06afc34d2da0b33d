"""Census files of the artificial city, laid out as LODES and Dingel-Neiman lay theirs out.

Jobs are where the city's workplaces are. Residents are divided by shares that follow the affluence
of their tract and chance; nobody in the city has a sex or an age of their own.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.simulation import random_streams as streams
from pipeline.simulation.areas import Areas, areas_at_metres, areas_of
from pipeline.simulation.city import City, build_city
from pipeline.simulation.events import Employment
from pipeline.simulation.params import CityParams
from pipeline.simulation.sectors import N_SECTORS, SECTORS, by_sector
from pipeline.simulation.tracts import simulate_tracts

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_BLOCK_GROUPS = 2  # that every tract is divided into
_GOVERNMENT = {"92": "99"}  # what Dingel and Neiman call public administration
_SPREAD = 0.25  # standard deviation of what chance adds to the logarithms of shares


class _Axis(NamedTuple):
    """A division of residents: columns of LODES RAC, shares in a tract of affluence 0, slopes of their logarithms."""

    columns: tuple[str, ...]
    shares: tuple[float, ...]
    slopes: tuple[float, ...]


_AXES = (
    _Axis(("CS01", "CS02"), (0.49, 0.51), (0.0, 0.0)),
    _Axis(("CA01", "CA02", "CA03"), (0.24, 0.55, 0.21), (-0.4, 0.1, 0.3)),
    _Axis(("CE01", "CE02", "CE03"), (0.22, 0.33, 0.45), (-0.8, -0.2, 0.8)),
    _Axis(
        ("CR01", "CR02", "CR03", "CR04", "CR05", "CR07"),
        (0.62, 0.22, 0.01, 0.09, 0.005, 0.055),
        (0.5, -0.7, -0.2, 0.3, -0.2, 0.0),
    ),
)
_EDUCATION = _Axis(("CD01", "CD02", "CD03", "CD04"), (0.12, 0.26, 0.31, 0.31), (-0.9, -0.3, 0.0, 0.9))


def _whole(shares: Floats, totals: Integers) -> Integers:
    """Return whole numbers near shares (rows sum to 1) x totals that sum to the totals, by largest remainder."""
    exact = shares * totals[:, np.newaxis]
    counts = np.floor(exact).astype(np.int64)
    rank = np.argsort(np.argsort(counts - exact, axis=1, kind="stable"), axis=1)
    return counts + (rank < (totals - counts.sum(axis=1))[:, np.newaxis])


def _divide(axis: _Axis, affluence: Floats, totals: Integers, generator: np.random.Generator) -> pd.DataFrame:
    logs = np.log(axis.shares) + np.outer(affluence, axis.slopes)
    weights = np.exp(logs + _SPREAD * generator.standard_normal(logs.shape))
    return pd.DataFrame(_whole(weights / weights.sum(axis=1, keepdims=True), totals), columns=list(axis.columns))


def _in_block_groups(tracts: NDArray[np.object_], counts: pd.DataFrame, id_column: str) -> pd.DataFrame:
    """Return counts shared out among the block groups of each tract, ids of 12 digits first."""
    parts = []
    for number in range(_BLOCK_GROUPS):
        part = counts // _BLOCK_GROUPS + (counts % _BLOCK_GROUPS > number)
        part.insert(0, id_column, [f"{tract}{number + 1}" for tract in tracts])
        parts.append(part)
    return pd.concat(parts).sort_values(id_column, ignore_index=True)


def _shares_of_sectors(params: CityParams, city: City, areas: Areas) -> Floats:
    """Return the share of each sector's jobs in each tract: (tract, sector), columns sum to 1.

    To 0 where no workplace of the city is of the sector: its jobs are nowhere.
    """
    size = np.diff(city.work_pull, prepend=0.0)
    area = areas_at_metres(params, areas, city.work_x_m, city.work_y_m)
    shares = np.zeros((areas.geoid.size, N_SECTORS))
    np.add.at(shares, (area, city.work_sector), size)
    totals = shares.sum(axis=0)
    return np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)


def simulate_jobs(params: CityParams) -> pd.DataFrame:
    """Return jobs at the workplace by block group as in LODES WAC: w_geocode, C000, CNS01 to CNS20.

    As many as there are employed residents, by sector and place as the city's people find them; fewer where the city
    has so few workplaces that a sector has none.
    """
    city, areas = build_city(params), areas_of(params)
    n_jobs = params.population * params.employed_share * city.sector_share / city.sector_share.sum()
    counts = np.rint(_shares_of_sectors(params, city, areas) * n_jobs).astype(np.int64)
    table = pd.DataFrame(counts, columns=[f"CNS{number:02d}" for number in range(1, N_SECTORS + 1)])
    table.insert(0, "C000", table.sum(axis=1))
    return _in_block_groups(areas.geoid, table, "w_geocode")


def simulate_demographics(params: CityParams) -> pd.DataFrame:
    """Return employed residents by block group as in LODES RAC: h_geocode, C000, CA, CE, CR, CD and CS columns.

    Education is that of residents from 30 on, as there.
    """
    areas, residents = areas_of(params), simulate_tracts(params)["population"].to_numpy()
    generator = np.random.default_rng([params.seed, streams.DEMOGRAPHICS])
    workers = np.rint(residents * params.employed_share).astype(np.int64)
    parts = [_divide(axis, areas.affluence, workers, generator) for axis in _AXES]
    from_30 = parts[1][["CA02", "CA03"]].sum(axis=1).to_numpy()
    parts.append(_divide(_EDUCATION, areas.affluence, from_30, generator))
    return _in_block_groups(areas.geoid, pd.concat([pd.DataFrame({"C000": workers}), *parts], axis=1), "h_geocode")


def simulate_telework(params: CityParams) -> pd.DataFrame:
    """Return shares of teleworkable jobs by sector as Dingel and Neiman give them: NAICS, teleworkable_emp."""
    overrides = (params.employment or Employment()).telework_shares
    shares = by_sector(overrides, np.array([sector.telework_share for sector in SECTORS]))
    naics = [_GOVERNMENT.get(sector.naics, sector.naics) for sector in SECTORS]
    return pd.DataFrame({"NAICS": naics, "teleworkable_emp": shares})


def write_census(params: CityParams, folder: Path) -> list[Path]:
    """Return the paths of jobs.csv, demographics.csv and telework.csv in `folder`; equal params give equal bytes."""
    tables = {
        "jobs": simulate_jobs(params),
        "demographics": simulate_demographics(params),
        "telework": simulate_telework(params),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.csv" for name in tables]
    for path, table in zip(paths, tables.values(), strict=True):
        partial = path.with_name(f".{path.name}.partial")
        table.to_csv(partial, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")
        partial.replace(path)
    return paths
