"""Where the real data is: beside the project, or where SOJOURN_SHARED says; it may not be copied into the project."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("SOJOURN_SHARED", Path(__file__).parents[2] / "shared")).resolve()
"""Holds a folder `data`."""
DATA = SHARED / "data"
