"""What arms are trained on and scored on: answers of people of each side of the split, with their embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.evaluation.personal_text_people import People, Split, find_people, normalise, split_people
from pipeline.evaluation.personal_text_reading import Answer, Dialogues, read_dialogues
from pipeline.params import Params, digest
from pipeline.study import StudyError

SAID_TOGETHER = 4
"""Utterances in the mean embedding that the alignment is steered by (ours: as many as lines of a persona)."""
MIN_PEOPLE = 6
"""Fewest people: two of each side of the split, so that embeddings can be exchanged."""


class PersonalTextParams(Params):
    """How personalised text is tested; sizes are ours, for two cores and no GPU."""

    seed: int = 0
    """Of everything that is drawn."""
    test_share: float = Field(default=0.35, gt=0, lt=1)
    """Share of the people of the file who are kept for the test."""
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    """Share of the other people whose answers say which epoch is kept."""
    steps: int = Field(default=100, ge=1)
    """Steps of training of each arm on answers."""
    alignment_steps: int = Field(default=100, ge=0)
    """Steps before, of each arm that is trained, on what people say without what was said before: e2p learns to tell it
    from the mean embedding of some of the person's utterances, that one among them (ours), starting where a regression
    of the words' vectors on embeddings puts it (ours); arms without an embedding learn how people talk just as long.
    0 leaves both out."""
    alignment_answers: int = Field(default=6_000, ge=2)
    """Most utterances that it is started and trained on, drawn by whole dialogues."""
    steps_per_epoch: int = Field(default=25, ge=1)
    """Steps between validations."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Step size of all arms (ours; 1e-3 to 1e-4 is the range of the method page [INF])."""
    answers_per_person: int = Field(default=6, ge=1)
    """Most answers of a person of the test, drawn."""
    validation_answers: int = Field(default=40, ge=1)
    """Most answers of the validation, drawn."""
    ranked_per_person: int = Field(default=1, ge=0)
    """Answers of each person under which all candidates are ranked; 0 leaves retrieval by likelihood out."""
    n_candidates: int = Field(default=20, ge=2)
    """Personas of which one is the true one."""
    generated_per_person: int = Field(default=1, ge=0)
    """Answers that each arm writes for each person."""
    max_new_tokens: int = Field(default=20, ge=1)
    """Most tokens of each."""
    drift_degrees: tuple[float, ...] = (30.0, 60.0)
    """Angles by which embeddings are turned into a direction drawn, to see what stale embeddings cost."""
    n_draws: int = Field(default=2_000, ge=100)
    """Bootstrap draws over people."""
    task_from: Literal["file", "both"] = "file"
    """Whether the steps on answers see the other file's, too; the alignment always does."""


class Prepared(NamedTuple):
    """The answers of each side, with rows of the embeddings of personas and of utterances."""

    people: People
    split: Split
    train: list[Answer]
    validation: list[Answer]
    test: list[Answer]
    test_people: NDArray[np.int64]
    """Person of each answer of the test."""
    personas: list[tuple[str, ...]]
    row_of: dict[tuple[str, ...], int]
    """Place of each in it."""
    embeddings: NDArray[np.float32]
    """One row for each persona: the mean of the embeddings of its lines, of length 1."""
    said: list[Answer]
    """Answers that the alignment is trained on."""
    said_embeddings: NDArray[np.float32]
    """For each of them, the mean embedding of itself and of others that the same person gave in the dialogue."""
    counts: dict[str, int]
    rejected: dict[str, int]

    def row(self, answer: Answer) -> int:
        """Return the row of an answer's persona."""
        return self.row_of[answer.persona]


Encoder = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts → their embeddings, one row each."""


def prepare(file: Path, more: Path | None, params: PersonalTextParams, encode: Encoder) -> Prepared:
    """Return the split answers of a file, and of another one for training; StudyError where people are too few.

    Nobody of the test answers in a dialogue trained on, nor is the other speaker where the file tells who that is: the
    layout of ConvAI2 may leave the partner's persona out, and then what is said before may be of anybody.
    """
    from pipeline.models.sentences import mean_embedding

    own = read_dialogues(file)
    other = read_dialogues(more) if more else Dialogues([], 0, 0, {})
    apart = [each._replace(dialogue=own.n_dialogues + each.dialogue) for each in other.answers]
    other = other._replace(answers=apart)
    people = find_people([each.persona for each in own.answers + other.answers])
    testable = sorted({people.of(each.persona) for each in own.answers})
    if len(testable) < MIN_PEOPLE:
        raise StudyError(f"{len(testable)} people share no persona line: {MIN_PEOPLE} or more are needed to split them")
    split = split_people(people, testable, params.test_share, params.validation_share, params.seed)
    task = own.answers + (other.answers if params.task_from == "both" else [])
    train = _of(task, people, split.train, split)
    said = _drawn_dialogues(_of(own.answers + other.answers, people, split.train, split), params)
    validation = _draw(_of(own.answers, people, split.validation, split), params.validation_answers, params.seed)
    test = _some_of_each(own.answers, people, split.test, params)
    personas = sorted({each.persona for each in [*train, *validation, *test]})
    lines = encode([line for persona in personas for line in persona])
    ends = np.cumsum([len(persona) for persona in personas])[:-1]
    embeddings = np.stack([mean_embedding(part) for part in np.split(lines, ends)])
    counts = {
        "n_rows": own.n_rows + other.n_rows, "n_dialogues": own.n_dialogues + other.n_dialogues,
        "n_answers": len(own.answers) + len(other.answers), "n_people": len(people.names),
        "n_train_people": len(split.train), "n_validation_people": len(split.validation),
        "n_test_people": len(split.test), "n_train": len(train), "n_alignment": len(said),
        "n_validation": len(validation), "n_test": len(test), "n_personas": len(personas),
    }  # fmt: skip
    rejected = {k: own.rejected.get(k, 0) + other.rejected.get(k, 0) for k in {**own.rejected, **other.rejected}}
    test_people = np.array([people.of(each.persona) for each in test], np.int64)
    return Prepared(
        people, split, train, validation, test, test_people, personas,
        {persona: row for row, persona in enumerate(personas)}, embeddings, said,
        _said_embeddings(said, encode, params.seed), counts, rejected,
    )  # fmt: skip


def data_digest(prepared: Prepared) -> str:
    """Return a digest of all that is trained and tested on: answers, their order, and what the encoder made of them."""
    answers = [prepared.train, prepared.validation, prepared.test, prepared.said]
    # Means, and rounded: sums of many numbers differ in their last digits by the number of threads.
    both = (prepared.embeddings, prepared.said_embeddings)
    means = [(each.sum(axis=0, dtype=float) / max(len(each), 1)).round(3).tolist() for each in both]
    return digest([prepared.counts, answers, prepared.personas, means])


def digest_of(answer: Answer, seed: int) -> bytes:
    """Return what answers are drawn by: it hangs on what is said, not on the order of rows."""
    text = "\n".join((str(seed), answer.said_before, answer.text, *answer.persona))
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _of(answers: Sequence[Answer], people: People, wanted: NDArray[np.int64], split: Split) -> list[Answer]:
    """Return the answers of wanted people to people who are not in the test."""
    is_wanted, is_test = set(wanted.tolist()), set(split.test.tolist())
    return [
        each
        for each in answers
        if people.of(each.persona) in is_wanted
        and not any(people.of_line.get(normalise(line)) in is_test for line in each.other_persona)
    ]


def _draw(answers: list[Answer], n: int, seed: int) -> list[Answer]:
    return sorted(answers, key=lambda each: digest_of(each, seed))[:n]


def _some_of_each(
    answers: Sequence[Answer], people: People, wanted: NDArray[np.int64], params: PersonalTextParams
) -> list[Answer]:
    """Return some answers of each wanted person, people in the order of their numbers."""
    of_person: dict[int, list[Answer]] = {int(person): [] for person in wanted}
    for each in answers:
        person = people.of(each.persona)
        if person in of_person:
            of_person[person].append(each)
    return [each for part in of_person.values() for each in _draw(part, params.answers_per_person, params.seed)]


def _drawn_dialogues(answers: list[Answer], params: PersonalTextParams) -> list[Answer]:
    """Return all answers of speakers in dialogues that are drawn until there are enough."""
    if not params.alignment_steps:
        return []
    groups: dict[tuple[int, tuple[str, ...]], list[Answer]] = {}
    for each in answers:
        groups.setdefault((each.dialogue, each.persona), []).append(each)
    order = sorted(groups.values(), key=lambda part: digest_of(part[0], params.seed))
    return [each for part in order for each in part][: params.alignment_answers]


def _said_embeddings(said: list[Answer], encode: Encoder, seed: int) -> NDArray[np.float32]:
    """Return for each answer the mean embedding of itself and of up to three others of its speaker in the dialogue."""
    vectors = encode([each.text for each in said])
    groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for k, each in enumerate(said):
        groups.setdefault((each.dialogue, each.persona), []).append(k)
    from pipeline.models.devices import numpy_generator

    generator = numpy_generator(seed, "said together")
    means = np.zeros_like(vectors)
    for k, each in enumerate(said):
        others = [j for j in groups[(each.dialogue, each.persona)] if j != k]
        chosen = generator.permutation(others)[: SAID_TOGETHER - 1].astype(int)
        means[k] = vectors[[k, *chosen.tolist()]].mean(axis=0)
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float32).tiny)
