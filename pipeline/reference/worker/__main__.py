"""Answer questions with scikit-mobility: worker FOLDER, which holds questions.json and the frames they read.

Runs in the reference environment (pandas 1) and therefore imports nothing of Sojourn. On failure it
writes where it failed and the kind of error, but not the error's message, which may quote a row.
"""

import json
import sys
import traceback
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from collective_measures import COLLECTIVE
from individual_measures import INDIVIDUAL
from mobility_models import MODELS
from places_and_stays import PREPROCESSING
from privacy_attacks import ATTACKS
from read_frames import READERS

ANSWERS = {**PREPROCESSING, **INDIVIDUAL, **COLLECTIVE, **MODELS, **ATTACKS}


def main(folder):
    """Answer every question of the folder; a function gets the frames its argument names ask for."""
    frames = {name: READERS[name](pq.read_table(folder / f"{name}.parquet")) for name in READERS if _has(folder, name)}
    for number, question in enumerate(json.loads((folder / "questions.json").read_text())):
        answer = ANSWERS[question["name"]]
        names = answer.__code__.co_varnames[: answer.__code__.co_argcount]
        # copies: some functions add columns to what they are given
        given = {name: frames[name].copy() for name in names if name in frames}
        columns = answer(**given, **question["params"])
        pq.write_table(pa.table(columns), folder / f"answer-{number}.parquet")


def _has(folder, name):
    return (folder / f"{name}.parquet").exists()


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except Exception as error:
        sys.stderr.write("".join(traceback.format_tb(error.__traceback__)))
        sys.stderr.write(f"{type(error).__module__}.{type(error).__qualname__}\n")
        sys.exit(1)
