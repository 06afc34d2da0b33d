"""Which candidate model wins, and whether that is certain: one rule for tables, commands and pages."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.npi_panel import MODELS, NOTHING, STRINGENCY


class Verdict(NamedTuple):
    """Which candidate foretells parts left out best, of one measure and group."""

    model: str | None
    """The candidate with the least error; None where none could be left out."""
    is_certain: bool
    """The winner was not picked by chance alone: see `judge_models`."""


def find_least(errors: Mapping[str, float]) -> str | None:
    """Return the model with the least error, of equal ones the first with the fewest terms; None where none is known.

    The order of equal ones with as many terms is that of `MODELS`, whatever that of `errors` is.
    """
    order = [NOTHING, *MODELS]
    known = [model for model in order if np.isfinite(errors.get(model, np.nan))]
    return min(known, key=lambda model: (errors[model], len(MODELS.get(model, ()))), default=None)


def judge_models(fits: pd.DataFrame) -> Verdict:
    """Return the verdict on rows of NPI_FITS of one measure and group.

    Certain is that severity or adaptation adds to stringency alone, or that nothing foretells better than it, where the
    interval of the gain is above 0; that stringency adds to nothing where that of nothing's gain is below. Where an
    interval is not known nothing is certain. The winner was picked by the very error that is compared, for which the
    intervals of the gain allow; p-values of its coefficients (NPI_RESPONSE) do not know of the choice.
    """
    by_model = fits.set_index("model")
    best = find_least(by_model["left_out_error"].to_dict())
    if best is None:
        return Verdict(None, False)
    if best != STRINGENCY:
        return Verdict(best, bool(by_model.loc[best, "gain_low"] > 0))
    return Verdict(best, bool(NOTHING in by_model.index and by_model.loc[NOTHING, "gain_high"] < 0))
