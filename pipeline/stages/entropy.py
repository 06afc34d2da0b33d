"""`entropy`: how unevenly a device's visits fall on its locations, and how well the next is foretold."""

import numpy as np
import pandas as pd
from pydantic import Field

from data_contracts import ENTROPY, VISITS
from pipeline.kernels.entropy import location_entropy
from pipeline.kernels.place_sequences import place_sequences
from pipeline.kernels.sequence_entropy import Variant, entropy_rate, highest_predictability
from pipeline.stage import stage
from pipeline.study import Study
from pipeline.windows import VisitWindows, WindowKind, WindowParams, visits_by_window


class EntropyParams(WindowParams):
    """How the order of visits is looked at. Of entropy without order nothing is to be chosen."""

    merges_repeats: bool = True
    """Visits to one place that follow each other are one item of the sequence: what parts them is missing data, or a
    trip from which the person came back (ours; as in `routines`)."""
    min_sequence: int = Field(default=10, ge=2)
    """Items of a sequence below which it has no entropy rate and no predictability (ours). Of places without order the
    estimate is low, the more so the shorter the sequence: of 2.62 bits it finds 2.10 in 10, 2.30 in 40, 2.44 in 2,560
    visits (`bench_routines`), so fewer visits alone lower it a little. Compare windows of like n_visits."""
    variant: Variant = "ours"
    """Which pieces of a sequence the entropy rate counts as new: by the definition (ours), or as scikit-mobility 1.3.1
    ("skmob") or fastmob 0.3.2 ("fastmob") do, who differ at the end of a sequence and in overlaps (their code)."""


@stage(reads=(VISITS,), writes=ENTROPY, params=EntropyParams, needs=("study",))
def entropy(visits: pd.DataFrame, study: Study, params: EntropyParams) -> pd.DataFrame:
    """Return the entropies of a device's locations per device and window, in bits, and how well the next is foretold.

    Random entropy is log2(n_locations). Without order H = -sum(p log2 p) over the window's locations
    (`kernels.entropy.location_entropy`), each visit weighing one, or its dwell; over random entropy it is the
    normalised entropy. With order the entropy rate, in bits per place, is the Lempel-Ziv estimate, and predictability
    Fano's limit at it (`kernels.sequence_entropy`): the places that may come next are all of the window's, less the
    one where the person is if repeats are merged. The next place, not that of the next hour, which is easier to
    foretell.
    """
    return pd.concat([_of_windows(visits, kind, study, params) for kind in params.windows]).sort_values(
        list(ENTROPY.key), ignore_index=True
    )


def _of_windows(visits: pd.DataFrame, kind: WindowKind, study: Study, params: EntropyParams) -> pd.DataFrame:
    found = visits_by_window(visits, kind, study, params)
    return pd.DataFrame(
        {
            **found.columns,
            "random_entropy_bits": np.log2(found.columns["n_locations"]),
            "entropy_bits": location_entropy(found.start, found.place),
            "entropy_dwell_bits": location_entropy(found.start, found.place, found.visits["dwell_s"].to_numpy()),
            **_of_order(found, params),
        }
    )


def _of_order(found: VisitWindows, params: EntropyParams) -> dict[str, np.ndarray]:
    """Return entropy rate and predictability of each device × window; NaN of sequences that are too short."""
    sequences = place_sequences(found.start, found.place, params.merges_repeats)
    is_long = np.diff(sequences.start) >= params.min_sequence
    entropy_bits = np.where(is_long, entropy_rate(sequences.start, sequences.symbol, params.variant), np.nan)
    n_options = found.columns["n_locations"] - params.merges_repeats
    return {
        "entropy_rate_bits": entropy_bits,
        "predictability": highest_predictability(entropy_bits, n_options),
    }
