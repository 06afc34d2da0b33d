"""scikit-mobility in an environment of its own: an oracle that shares no code with ours, its models and its attacks.

It needs pandas 1 and numpy 1 and so cannot be imported here. `install` makes the environment, `run_reference` and
`ask_reference` hand it data frames as Parquet and read the answers back as Parquet. `worker/` runs over there.
"""

from pipeline.reference.environment import install, is_installed
from pipeline.reference.questions import QUESTIONS, Kind, Question
from pipeline.reference.run import Ask, ReferenceAbsentError, ReferenceFailedError, ask_reference, run_reference

__all__ = [
    "QUESTIONS",
    "Ask",
    "Kind",
    "Question",
    "ReferenceAbsentError",
    "ReferenceFailedError",
    "ask_reference",
    "install",
    "is_installed",
    "run_reference",
]
