"""Pings with their labels out of a study's sources, every row accounted for."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

import pipeline.stages  # noqa: F401  (fills the registry)
from data_contracts import PINGS
from pipeline.evaluation.columns import read_columns, to_texts
from pipeline.evaluation.detection import as_us, merge_by_date
from pipeline.params import Params
from pipeline.sources import SourceError, find_files, read_blocks, split_file
from pipeline.stage import STAGES
from pipeline.study import Source, Study, StudyError

MOVE, UNLABELLED, CONFLICT, EMPTY = -1, -2, -3, -4
STOP_TEXTS = frozenset(["true", "t", "1", "yes", "y", "stop", "stay", "stationary", "staying"])
MOVE_TEXTS = frozenset(["false", "f", "0", "no", "n", "move", "moving", "trip", "travel"])
IDENTITY = ["device_id", "tracked_at", "lon_e7", "lat_e7"]

Coder = Callable[[list[str | None]], NDArray[np.int64]]
"""Distinct texts of a label column → numbers: a place from 0, MOVE, UNLABELLED, or EMPTY.

EMPTY is MOVE unless another row of the same ping says more.
"""


class LabelledPings(NamedTuple):
    """The pings a run would accept, sorted by device and time, with the place each is labelled with."""

    pings: pa.Table
    """Columns of PINGS."""
    place: NDArray[np.int64]
    """Place from 0 (a stop), MOVE, UNLABELLED, or CONFLICT where rows of one ping disagree."""
    rows: dict[str, int]
    """What became of the rows: n_read, n_rejected, n_duplicates, n_pings."""
    reasons: dict[str, int]
    """Rejected rows by reason."""

    @property
    def device_id(self) -> NDArray[np.int64]:
        """Device of each ping."""
        return self.pings["device_id"].to_numpy()

    @property
    def at_us(self) -> NDArray[np.int64]:
        """Time of each ping in µs."""
        return as_us(self.pings["tracked_at"])


def read_labelled(
    study: Study, params: Mapping[str, Params], key: bytes, label: str | None = None, code: Coder | None = None
) -> LabelledPings:
    """Return all accepted pings of a study's sources, with the values of the column `label` if one is named.

    Rows are accepted, rejected and merged by the stage `pings`. Of rows that are one ping (alike in
    device, time and position) those without a label say nothing; if the others disagree the ping has
    none. SourceError where a file cannot be read to its end, which stops the evaluation.
    """
    stage, blocks, reasons, n_read = STAGES[PINGS.name], [], Counter[str](), 0
    for raw, place in _raw_blocks(study, key, label, code):
        accepted, refused = stage(raw, study, params[PINGS.name])
        is_kept = ~np.isin(raw["row_number"].to_numpy(), refused["row_number"].to_numpy())
        blocks.append((accepted, place[is_kept]))
        reasons.update(refused["reason"].to_pylist())
        n_read += raw.num_rows
    if not any(accepted.num_rows for accepted, _ in blocks):
        raise StudyError(f"none of {n_read:,} rows read is an accepted ping; rejected: {dict(reasons) or 'none'}")
    rows = pa.concat_tables([accepted for accepted, _ in blocks])
    return _merge(rows, np.concatenate([place for _, place in blocks]), params, n_read, reasons)


def _raw_blocks(
    study: Study, key: bytes, label: str | None, code: Coder | None
) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
    """Yield blocks of RAW_PINGS of all sources with the number of each row's place."""
    for source in study.sources:
        for path in find_files(source, study.folder):
            pieces = split_file(path, source)
            place_of_row = np.full(1, UNLABELLED)
            if label and code and pieces:
                place_of_row = _places(path, pieces[0].source, label, code)
            for piece in pieces:
                for raw in read_blocks(piece, key):
                    # Rows past the end of the labels have none, which the last entry says.
                    yield raw, place_of_row[np.minimum(raw["row_number"].to_numpy(), place_of_row.size - 1)]


def _places(path: Path, source: Source, label: str, code: Coder) -> NDArray[np.int64]:
    """Return the place of each row of a file by row number; one entry more, without label, at the end."""
    rows, places = [np.zeros(1, np.int64)], [np.full(1, UNLABELLED)]
    try:
        for row, columns, _ in read_columns(path, source, [label]):
            texts = to_texts(columns[label]).dictionary_encode("encode")
            rows.append(row)
            places.append(code(texts.dictionary.to_pylist())[texts.indices.to_numpy()])
    except SourceError as error:
        raise StudyError(f"--label: {error}") from None
    row = np.concatenate(rows)
    place_of_row = np.full(row.max() + 2, UNLABELLED)
    place_of_row[row] = np.concatenate(places)
    return place_of_row


def _merge(
    rows: pa.Table, place: NDArray[np.int64], params: Mapping[str, Params], n_read: int, reasons: Counter[str]
) -> LabelledPings:
    pings = pa.concat_tables(merge_by_date(rows, params).values())
    order = np.lexsort((as_us(pings["tracked_at"]), pings["device_id"].to_numpy()))
    pings = pings.take(pa.array(order)).combine_chunks()
    counts = {
        "n_read": n_read,
        "n_rejected": reasons.total(),
        "n_duplicates": n_read - reasons.total() - pings.num_rows,
        "n_pings": pings.num_rows,
    }
    return LabelledPings(pings, _join(rows, place, pings), counts, dict(reasons.most_common()))


def _join(rows: pa.Table, place: NDArray[np.int64], pings: pa.Table) -> NDArray[np.int64]:
    """Return the place of each ping from those of the rows it was merged from."""
    if (place == UNLABELLED).all():
        return np.full(pings.num_rows, UNLABELLED)
    labelled = rows.select(IDENTITY).to_pandas().assign(place=place)
    empty = labelled[labelled["place"] == EMPTY].assign(place=MOVE)
    labelled = labelled[~labelled["place"].isin([UNLABELLED, EMPTY])].drop_duplicates()
    is_one = ~labelled.duplicated(IDENTITY, keep=False)
    labelled["place"] = labelled["place"].where(is_one, CONFLICT)
    asked = pings.select(IDENTITY).to_pandas()
    of_ping = pd.concat([labelled, empty]).drop_duplicates(IDENTITY)
    joined = asked.merge(of_ping, on=IDENTITY, how="left")["place"]
    return joined.fillna(UNLABELLED).to_numpy(np.int64)


def stop_coder(label: str, stop_texts: list[str]) -> Coder:
    """Return the coder of a column of stop and move: 0, MOVE, or UNLABELLED where it is empty.

    With `stop_texts` these are stop and every other text is move; without, both take the usual
    spellings, and a text that is none of them is a StudyError (which does not quote it).
    """
    wanted = frozenset(text.lower() for text in stop_texts) or STOP_TEXTS

    def code(texts: list[str | None]) -> NDArray[np.int64]:
        lower = [None if text is None else text.lower() for text in texts]
        if not stop_texts and any(text not in wanted | MOVE_TEXTS for text in lower if text is not None):
            raise StudyError(
                f"column {label} holds other words than stop and move, true and false or 1 and 0: "
                "name those that mean a stop with --stop-value"
            )
        return np.array([UNLABELLED if t is None else 0 if t in wanted else MOVE for t in lower], np.int64)

    return code


def place_coder() -> Coder:
    """Return the coder of a column that names places: a number per text, EMPTY where there is none."""
    numbers: dict[str, int] = {}

    def code(texts: list[str | None]) -> NDArray[np.int64]:
        return np.array([EMPTY if t is None else numbers.setdefault(t, len(numbers)) for t in texts], np.int64)

    return code


def count_labels(place: NDArray[np.int64]) -> dict[str, int]:
    """Return how many pings have no label, and how many have none because their rows disagree."""
    return {"n_unlabelled": int((place == UNLABELLED).sum()), "n_conflicts": int((place == CONFLICT).sum())}
