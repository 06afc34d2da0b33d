"""`sojourn evaluate`: how good tables are on ground truth. One module per kind of truth, each adding its commands."""

from pipeline.evaluate import (  # noqa: F401  (commands)
    employment,
    home_work,
    npi,
    npi_truth,
    personal_text,
    places,
    recommend,
    unemployment,
)
from pipeline.evaluate.app import evaluate_app

__all__ = ["evaluate_app"]
