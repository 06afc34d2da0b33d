"""`sojourn evaluate`: how good tables are on ground truth. One module per kind of truth, each adding its commands."""

from pipeline.evaluate import employment, home_work, npi, npi_truth, places, unemployment  # noqa: F401  (commands)
from pipeline.evaluate.app import evaluate_app

__all__ = ["evaluate_app"]
