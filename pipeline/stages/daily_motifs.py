"""`daily_motifs`: the network of places and moves that a device's local day makes, whatever the places are."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import COVERAGE, DAILY_MOTIFS, VISITS
from pipeline.kernels.grouping import group_starts
from pipeline.kernels.motifs import MOST_NODES, motif_names, pack_networks
from pipeline.kernels.place_sequences import place_sequences
from pipeline.params import Params
from pipeline.stage import stage
from pipeline.visit_days import day_pieces
from pipeline.windows import to_dates

KEY = list(DAILY_MOTIFS.key)
TOO_LARGE = "other"


class DailyMotifParams(Params):
    """Which days count, and how large a network is told apart."""

    min_hours_observed: int = Field(default=8, ge=1, le=24)
    """A local day counts when it has pings in so many clock hours (of UTC, `coverage`): of others it is not known which
    places are missing (ours; as in `region_day`). In a simulated city 27 % of the days with 8 to 12 such hours have
    their true motif, 56 % of those with 17 and more: places missed make days simpler (`bench_motifs`)."""
    max_nodes: int = Field(default=6, ge=1, le=MOST_NODES)
    """Days with more places than this are "other" (recalled, unverified: nearly all days have fewer)."""


@stage(reads=(VISITS, COVERAGE), writes=DAILY_MOTIFS, params=DailyMotifParams)
def daily_motifs(visits: pd.DataFrame, coverage: pd.DataFrame, params: DailyMotifParams) -> pd.DataFrame:
    """Return the motif of each device × local day that was observed enough and has a visit.

    After Schneider et al. 2013 (recalled, unverified): the nodes are the day's locations, an edge leads from each
    visit's to the next one's; visits are cut at local midnight and those to one place that follow each other are one.
    Days have one motif where their directed networks are isomorphic (`kernels.motifs`); neither which place is home
    nor how often a way was gone counts. A day that does not end where it began is kept as it is, `is_closed` tells.
    fastmob 0.3.2 ends every day at home, leaves out days without it, and tells motifs apart by which node home is.
    """
    pieces = day_pieces(visits)
    names = ["device_id", "started_at", "location_id"]
    rows = visits[names].iloc[pieces.row].assign(date=to_dates(pieces.day).astype("datetime64[ms]"))
    is_observed = coverage["hours_observed"] >= params.min_hours_observed
    rows = rows.merge(coverage.loc[is_observed, KEY], on=KEY, how="inner")
    rows = rows.sort_values([*KEY, "started_at"], ignore_index=True)
    start = group_starts(*(rows[name].to_numpy() for name in KEY))
    found = rows.loc[start[:-1], KEY].reset_index(drop=True)
    return found.assign(**_networks(start, rows["location_id"].to_numpy().astype(np.int64), params.max_nodes))


def _networks(start: np.ndarray, place: np.ndarray, max_nodes: int) -> dict[str, np.ndarray | pd.Series]:
    """Return n_nodes, n_edges, motif and is_closed of each group of visits in order of time."""
    sequences = place_sequences(start, place, merges_repeats=True)
    n_days = start.size - 1
    n_nodes = np.zeros(n_days, np.int64)
    np.maximum.at(n_nodes, np.repeat(np.arange(n_days), np.diff(sequences.start)), sequences.symbol + 1)
    matrix, n_edges = pack_networks(sequences.start, sequences.symbol, n_nodes)
    is_small = n_nodes <= max_nodes
    motif = np.full(n_days, TOO_LARGE, object)
    motif[is_small] = motif_names(n_nodes[is_small], matrix[is_small])
    return {
        "n_nodes": n_nodes,
        "n_edges": n_edges,
        "motif": pd.Series(motif, dtype="str"),
        "is_closed": place[start[:-1]] == place[start[1:] - 1],
    }
