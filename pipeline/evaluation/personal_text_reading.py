"""Dialogues of people with a persona, from files: every row that is not used is counted by its reason."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.evaluation.personal_text_people import normalise
from pipeline.study import StudyError

SPEAKER = re.compile(r"user ([12]):\s*(.*)", re.IGNORECASE)
NUMBERED = re.compile(r"(\d+) (.*)")
OWN_PERSONA, OTHER_PERSONA = "your persona:", "partner's persona:"
CSV_COLUMNS = ("user 1 personas", "user 2 personas", "best generated conversation")


class Answer(NamedTuple):
    """What a person answers to what was said before."""

    persona: tuple[str, ...]
    """Lines about the person who answers."""
    other_persona: tuple[str, ...]
    """Lines about the other, where the file has them."""
    said_before: str
    """Last utterance of the other."""
    text: str
    dialogue: int
    """Number of the dialogue in its file."""


class Dialogues(NamedTuple):
    """Answers of a file."""

    answers: list[Answer]
    n_dialogues: int
    n_rows: int
    """Rows read: lines of a text, utterances of a CSV file."""
    rejected: dict[str, int]
    """Rows that are not used, by reason."""


def read_dialogues(path: Path) -> Dialogues:
    """Return the answers of a dialogue file; StudyError where it cannot be read or holds none.

    Two layouts, told apart by the first line. ConvAI2 (Persona-Chat): numbered lines, `1 your persona: …` and
    `5 utterance<tab>answer`, candidates behind that ignored. Synthetic-Persona-Chat: CSV with the columns "user 1
    personas", "user 2 personas" and "Best Generated Conversation"; there both speakers answer.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            is_csv = _columns(next(csv.reader(file), [])) is not None
            file.seek(0)
            found = _read_csv(csv.reader(file)) if is_csv else _read_numbered(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"{path}: cannot be read ({type(error).__name__})") from None
    if not found.answers:
        raise StudyError(f"{path}: none of {found.n_rows:,} rows is an answer; not used: {found.rejected or 'none'}")
    return found


def _read_numbered(lines: Iterable[str]) -> Dialogues:
    answers: list[Answer] = []
    rejected: Counter[str] = Counter()
    n_rows, dialogue = 0, -1
    own: list[str] = []
    other: list[str] = []
    for line in lines:
        n_rows += 1
        match = NUMBERED.match(line.rstrip("\r\n"))
        if match is None:
            rejected["no number"] += 1
            continue
        number, text = match.groups()
        if int(number) == 1:
            dialogue, own, other = dialogue + 1, [], []
        persona = _persona_line(text)
        if persona is not None:
            if normalise(persona):
                (own if text.startswith(OWN_PERSONA) else other).append(persona)
            else:
                rejected["empty persona line"] += 1
            continue
        said, _, rest = text.partition("\t")
        answer = rest.partition("\t")[0].strip()
        if not answer or not own:
            rejected["no answer" if not answer else "no persona"] += 1
        else:
            answers.append(Answer(tuple(own), tuple(other), said.strip(), answer, dialogue))
    return Dialogues(answers, dialogue + 1, n_rows, dict(rejected.most_common()))


def _persona_line(text: str) -> str | None:
    for start in (OWN_PERSONA, OTHER_PERSONA):
        if text.startswith(start):
            return text[len(start) :].strip()
    return None


def _read_csv(rows: Iterator[list[str]]) -> Dialogues:
    columns = _columns(next(rows)) or []
    answers: list[Answer] = []
    rejected: Counter[str] = Counter()
    n_rows = n_dialogues = 0
    for row in rows:
        if len(row) <= max(columns):
            rejected["too few columns"] += 1
            n_rows += 1
            continue
        lines = [[line.strip() for line in row[k].splitlines() if line.strip()] for k in columns[:2]]
        personas = [tuple(filter(normalise, own)) for own in lines]
        if n_empty := sum(map(len, lines)) - sum(map(len, personas)):
            rejected["empty persona line"] += n_empty
        utterances = [line for line in row[columns[2]].splitlines() if line.strip()]
        n_rows += len(utterances)
        answers += _answers(utterances, personas, n_dialogues, rejected)
        n_dialogues += 1
    return Dialogues(answers, n_dialogues, n_rows, dict(rejected.most_common()))


def _answers(
    utterances: list[str], personas: list[tuple[str, ...]], dialogue: int, rejected: Counter[str]
) -> Iterator[Answer]:
    """Yield what follows an utterance of the other; the first of a dialogue and one that follows the own is none."""
    before: tuple[int, str] | None = None
    for line in utterances:
        match = SPEAKER.match(line.strip())
        if match is None:
            rejected["no speaker"] += 1
            continue
        speaker, text = int(match[1]) - 1, match[2].strip()
        if before is None or before[0] == speaker or not text:
            rejected["no answer"] += 1
        elif not personas[speaker]:
            rejected["no persona"] += 1
        else:
            yield Answer(personas[speaker], personas[1 - speaker], before[1], text, dialogue)
        before = (speaker, text)


def _columns(header: list[str]) -> list[int] | None:
    """Return the places of the columns of a CSV file; None where it has others."""
    names = [name.strip().lower() for name in header]
    return [names.index(name) for name in CSV_COLUMNS] if set(CSV_COLUMNS) <= set(names) else None
