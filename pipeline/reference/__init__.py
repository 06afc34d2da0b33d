"""scikit-mobility in an environment of its own: an oracle that shares no code with ours.

It needs pandas 1 and numpy 1 and so cannot be imported here. `install` makes the environment,
`run_reference` hands it a data frame as Parquet and reads the answer back as Parquet.
"""

from pipeline.reference.environment import install, is_installed
from pipeline.reference.run import MEASURES, ReferenceAbsentError, ReferenceFailedError, run_reference

__all__ = [
    "MEASURES",
    "ReferenceAbsentError",
    "ReferenceFailedError",
    "install",
    "is_installed",
    "run_reference",
]
