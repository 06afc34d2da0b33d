"""Each arm trained and scored, its outcome kept as soon as it is there, without a word of anybody."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.personal_text_data import Encoder, PersonalTextParams, Prepared
from pipeline.evaluation.personal_text_people import derange
from pipeline.evaluation.personal_text_reading import Answer
from pipeline.evaluation.personal_text_scores import distinct_n, rouge_l

if TYPE_CHECKING:
    from pipeline.models.language.arms import Arm
    from pipeline.models.language.causal_lm import CausalLM
    from pipeline.models.language.declaration import ArmName, PrefixParams
    from pipeline.models.language.sequences import Encoded, Written
    from pipeline.models.training import History

RANKED = ("text", "e2p", "e2p_text", "e2p_trained_shuffled")
"""Arms that hold an answer as likely as the persona they are told makes it: to others all candidates are alike."""
N_LATENCY_RUNS = 15
"""Times that a prompt is processed to time it; the median is told."""


class ArmScores(NamedTuple):
    """What is kept of an arm: numbers alone."""

    name: str
    n_trainable: int
    n_added_tokens: float
    """Mean over prompts of the test of tokens added to them."""
    nll: list[float]
    """Of each answer of the test, summed over its tokens."""
    n_tokens: list[int]
    n_steps: int
    train_s: float
    train_loss: list[float]
    validation: list[float]


class Extras(NamedTuple):
    """What takes longer and is looked at when all arms have their scores."""

    distinct_1: float
    distinct_2: float
    rouge_l: float
    candidate_distance: list[list[float]]
    """Of each person: one minus the cosine of what the arm wrote to the true persona and to those of the candidates."""
    candidate_nll: list[list[float]]
    """Of each person: summed over ranked answers, with the true persona and with those of the candidates; of arms that
    are told it, as RANKED."""
    drift_nll: dict[str, list[float]]
    """The same as nll with embeddings turned, by degrees; of e2p."""


class Bench(NamedTuple):
    """What arms are run with."""

    prepared: Prepared
    lm: CausalLM
    encode: Encoder
    prefix: PrefixParams
    params: PersonalTextParams
    keep: Path | None
    device: str


class Trained(NamedTuple):
    """An arm that has learnt what it can, and what training went through."""

    arm: Arm
    history: dict[str, Any]


def written(answer: Answer, row: int, has_text: bool) -> Written:
    """Return an answer as text: a description if wanted, what the other said, and what is answered.

    Plain lines with speakers A and B, no chat template: its markers would be a third of the tokens, and an instructed
    model answers as an assistant (ours).
    """
    from pipeline.models.language.sequences import Written

    about = f"About B: {' '.join(answer.persona)}\n" if has_text else ""
    return Written(about, f"A: {answer.said_before}\nB:", f" {answer.text}", row)


def run_arm(bench: Bench, name: ArmName, trained: dict[str, Trained]) -> tuple[Arm, ArmScores]:
    """Return an arm and its scores, from `keep` where they are there already; what is trained is added to `trained`.

    Nothing more is trained for arms that are e2p with other embeddings or with the text.
    """
    from pipeline.models.language.arms import AS_E2P, WITH_TEXT

    source: ArmName = "e2p" if name in AS_E2P else name
    if source not in trained:
        trained[source] = _train_or_read(bench, source)
    arm = replace(trained[source].arm, name=name, has_text=name in WITH_TEXT)
    found = _kept(bench, f"{name}.json", lambda: _score(bench, arm, trained[source].history)._asdict())
    return arm, ArmScores(**found)


def extras_of(bench: Bench, arm: Arm) -> Extras:
    """Return what an arm writes, ranks and loses by stale embeddings, from `keep` where it is there already."""
    return Extras(**_kept(bench, f"{arm.name}.extras.json", lambda: _extras(bench, arm)._asdict()))


def _kept(bench: Bench, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    path = bench.keep / name if bench.keep else None
    if path is not None and path.exists():
        return json.loads(path.read_text())
    found = make()
    if path is not None:
        write_whole(path, found)
    return found


def write_whole(path: Path, value: Any) -> None:
    """Write a value as JSON; whoever is killed leaves the old file or the new one."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(json.dumps(value))
    beside.replace(path)


def latencies_ms(bench: Bench, arms: Sequence[Arm]) -> dict[str, float]:
    """Return the median time to process one prompt, up to the first token of the answer, of each arm.

    Arms take turns, so that what else the machine does meets all of them.
    """
    from pipeline.models.language.generation import generate

    answer = bench.prepared.test[0]
    row = bench.prepared.row(answer)
    times: dict[str, list[float]] = {arm.name: [] for arm in arms}
    for _ in range(N_LATENCY_RUNS):
        for arm in arms:
            prompt = _encode(bench, [written(answer, row, arm.has_text)])[0].prompt
            started = time.perf_counter()
            generate(arm, [prompt], [row], bench.prepared.embeddings, 1, n_at_a_time=1)
            times[arm.name].append(1_000 * (time.perf_counter() - started))
    return {name: float(np.median(of_arm)) for name, of_arm in times.items()}


def _encode(bench: Bench, texts: Sequence[Written]) -> list[Encoded]:
    from pipeline.models.language.sequences import Limits, encode_all

    p = bench.prefix
    return encode_all(bench.lm, texts, Limits(p.max_text_tokens, p.max_prompt_tokens, p.max_answer_tokens))


def _train_or_read(bench: Bench, name: ArmName) -> Trained:
    """Return a trained arm: what was learnt is read where it is kept."""
    from pipeline.models.language.arms import build_arm
    from pipeline.models.language.learning import read_state, write_state

    arm = build_arm(name, bench.lm, bench.prepared.embeddings.shape[1], bench.prefix, bench.params.seed)
    if arm.module is None:
        return Trained(arm, {"n_steps": 0, "train_s": 0.0, "train_loss": [], "validation": []})
    state, told = (bench.keep / f"{name}{end}" if bench.keep else None for end in (".safetensors", ".history.json"))
    if state is not None and told is not None and told.exists():
        read_state(arm, state)
        return Trained(arm, json.loads(told.read_text()))
    history = _train(bench, arm)
    if state is not None and told is not None:
        write_state(arm, state)
        write_whole(told, history)
    return Trained(arm, history)


def _train(bench: Bench, arm: Arm) -> dict[str, Any]:
    """Return what training went through; all arms take the same steps on the same texts, so that none has learnt more
    of how people talk."""
    from pipeline.models.language.learning import standardise

    prepared, params = bench.prepared, bench.params
    is_shuffled = arm.name == "e2p_trained_shuffled"
    aligned = _align(bench, arm, is_shuffled) if params.alignment_steps else None
    standardise(arm, prepared.embeddings[sorted({prepared.row(each) for each in prepared.train})])
    rows = _rows(prepared, prepared.train, params.seed, is_shuffled)
    train = _encode(bench, [written(a, r, arm.has_text) for a, r in zip(prepared.train, rows, strict=True)])
    held_rows = _rows(prepared, prepared.validation, params.seed, is_shuffled)
    held = _encode(bench, [written(a, r, arm.has_text) for a, r in zip(prepared.validation, held_rows, strict=True)])
    history = _fit(bench, arm, train, held, prepared.embeddings, params.steps, "answers")
    phases = [each for each in (aligned, history) if each is not None]
    return {
        "n_steps": sum(each.n_steps for each in phases), "train_s": sum(each.seconds for each in phases),
        "train_loss": [loss for each in phases for loss in each.train_loss], "validation": history.validation,
    }  # fmt: skip


def _align(bench: Bench, arm: Arm, is_shuffled: bool) -> History:
    """Train an arm on what people say by itself, a projector from what its words are on."""
    from pipeline.models.language.content import start_at_content
    from pipeline.models.language.learning import standardise
    from pipeline.models.language.sequences import Written

    prepared, params = bench.prepared, bench.params
    rows = said_rows(prepared, params.seed, is_shuffled)
    texts = [each.text for each in prepared.said]
    start_at_content(arm, bench.encode, [texts[row] for row in rows], texts)
    standardise(arm, prepared.said_embeddings)
    encoded = _encode(
        bench, [Written("", "B:", f" {each.text}", row) for each, row in zip(prepared.said, rows, strict=True)]
    )
    n_held = min(max(round(params.validation_share * len(encoded)), 1), params.validation_answers)
    train, held = encoded[n_held:], encoded[:n_held]
    return _fit(bench, arm, train, held, prepared.said_embeddings, params.alignment_steps, "alignment")


def said_rows(prepared: Prepared, seed: int, is_shuffled: bool) -> list[int]:
    """Return the row of embeddings for each answer of the alignment: its own, or shuffled that of another person's."""
    if not is_shuffled:
        return list(range(len(prepared.said)))
    return derange(np.array([prepared.people.of(each.persona) for each in prepared.said], np.int64), seed).tolist()


def _fit(
    bench: Bench, arm: Arm, train: list[Encoded], held: list[Encoded], embeddings: Any, steps: int, phase: str
) -> History:
    from pipeline.models.devices import keyed_seed
    from pipeline.models.language.learning import ArmLearner, epochs_of
    from pipeline.models.protocol import FitRun
    from pipeline.models.training import TrainingParams
    from pipeline.models.training import train as run_training

    epochs, per_epoch = epochs_of(steps, bench.params.steps_per_epoch)
    how = TrainingParams(
        learning_rate=bench.params.learning_rate, weight_decay=0.01, warmup_steps=min(10, steps // 5),
        schedule="cosine", max_epochs=epochs, patience=epochs,
    )  # fmt: skip
    # By the phase, not by the arm: all arms see the same batches.
    seed = keyed_seed(bench.params.seed, phase)
    learner = ArmLearner(arm, train, held, embeddings, bench.prefix.batch_size, per_epoch, seed)
    checkpoints = bench.keep / "checkpoints" / f"{arm.name}-{phase}" if bench.keep else None
    run = FitRun(seed=bench.params.seed, device=bench.device, checkpoints=checkpoints, checkpoint_minutes=3.0)
    return run_training(learner, how, run, phase)


def _rows(prepared: Prepared, answers: Sequence[Answer], seed: int, is_shuffled: bool) -> list[int]:
    """Return the row of embeddings for each answer; shuffled: that of another person's answer."""
    rows = np.array([prepared.row(each) for each in answers], np.int64)
    if is_shuffled:
        rows = rows[derange(np.array([prepared.people.of(each.persona) for each in answers], np.int64), seed)]
    return rows.tolist()


def _texts(bench: Bench, arm: Arm, has_text: bool) -> list[Encoded]:
    """Return the answers of the test as the arm sees them."""
    test, is_shuffled = bench.prepared.test, arm.name.endswith("shuffled")
    rows = _rows(bench.prepared, test, bench.params.seed, is_shuffled)
    return _encode(bench, [written(a, r, has_text) for a, r in zip(test, rows, strict=True)])


def _embeddings(prepared: Prepared, arm: Arm) -> NDArray[np.float32]:
    """Return what rows stand for: personas, or for e2p_mean each time the mean over answers trained on."""
    if arm.name != "e2p_mean":
        return prepared.embeddings
    mean = prepared.embeddings[[prepared.row(each) for each in prepared.train]].mean(axis=0)
    return np.tile(mean, (len(prepared.embeddings), 1))


def _score(bench: Bench, arm: Arm, history: dict[str, Any]) -> ArmScores:
    encoded, bare = _texts(bench, arm, arm.has_text), _texts(bench, arm, False)
    nll, n_tokens = _nll(bench, arm, encoded, _embeddings(bench.prepared, arm))
    added = np.mean([len(a.prompt) - len(b.prompt) for a, b in zip(encoded, bare, strict=True)]) + arm.n_prefix_tokens
    return ArmScores(
        name=arm.name, n_trainable=arm.n_trainable, n_added_tokens=float(added), nll=nll.tolist(),
        n_tokens=n_tokens.tolist(), **history,
    )  # fmt: skip


def _extras(bench: Bench, arm: Arm) -> Extras:
    encoded = _texts(bench, arm, arm.has_text)
    pairs, distance = _generate(bench, arm, encoded)
    own = [text for text, _ in pairs]
    drift = {}
    for degrees in bench.params.drift_degrees if arm.name == "e2p" else ():
        turned = turn(bench.prepared.embeddings, degrees, bench.params.seed)
        drift[f"{degrees:g}"] = _nll(bench, arm, encoded, turned)[0].tolist()
    return Extras(
        distinct_1=distinct_n(own, 1), distinct_2=distinct_n(own, 2),
        rouge_l=float(np.mean([rouge_l(*pair) for pair in pairs])) if pairs else math.nan,
        candidate_distance=distance,
        candidate_nll=_rank(bench, arm),
        drift_nll=drift,
    )  # fmt: skip


def turn(embeddings: NDArray[np.float32], degrees: float, seed: int) -> NDArray[np.float32]:
    """Return unit vectors turned by an angle, each into a direction of its own that is drawn."""
    from pipeline.models.devices import numpy_generator

    drawn = numpy_generator(seed, "turned embeddings", round(degrees * 1_000)).normal(size=embeddings.shape)
    drawn -= (drawn * embeddings).sum(axis=1, keepdims=True) * embeddings
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    angle = math.radians(degrees)
    return (math.cos(angle) * embeddings + math.sin(angle) * drawn).astype(np.float32)


def _nll(
    bench: Bench, arm: Arm, encoded: Sequence[Encoded], embeddings: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from pipeline.models.language.scoring import score

    return score(arm, encoded, embeddings)


def _first_of_each(people: NDArray[np.int64], n: int) -> list[list[int]]:
    """Return up to n rows of each person, people in the order of their numbers."""
    return [np.flatnonzero(people == person)[:n].tolist() for person in np.unique(people)]


def candidates(prepared: Prepared, n: int, seed: int) -> NDArray[np.int64]:
    """Return rows of embeddings for each person of the test: the own first, then one of each of n - 1 others drawn."""
    from pipeline.models.devices import numpy_generator

    firsts = [part[0] for part in _first_of_each(prepared.test_people, 1)]
    rows = np.array([prepared.row(prepared.test[k]) for k in firsts], np.int64)
    n_others = min(n, len(rows)) - 1
    drawn = numpy_generator(seed, "candidates")
    others = [drawn.permutation(np.delete(np.arange(len(rows)), k))[:n_others] for k in range(len(rows))]
    return np.array([[row, *rows[part]] for row, part in zip(rows, others, strict=True)], np.int64)


def _rank(bench: Bench, arm: Arm) -> list[list[float]]:
    """Return the summed negative log-likelihood of each person's answers with each candidate's persona, the own first.

    The own is the persona of each answer; the others are those of other people, as embedding, as text or as both.
    """
    prepared, params = bench.prepared, bench.params
    if not params.ranked_per_person or arm.name not in RANKED:
        return []
    of_person = _first_of_each(prepared.test_people, params.ranked_per_person)
    asked = [prepared.test[k] for part in of_person for k in part]
    rows = np.repeat(candidates(prepared, params.n_candidates, params.seed), [len(p) for p in of_person], axis=0)
    rows[:, 0] = [prepared.row(answer) for answer in asked]
    told = [
        written(answer._replace(persona=prepared.personas[row]), row, arm.has_text)
        for answer, of_answer in zip(asked, rows.tolist(), strict=True)
        for row in of_answer
    ]
    found = _nll(bench, arm, _encode(bench, told), prepared.embeddings)[0].reshape(rows.shape)
    ends = np.cumsum([len(part) for part in of_person])[:-1]
    return [part.sum(axis=0).tolist() for part in np.split(found, ends)]


def _generate(bench: Bench, arm: Arm, encoded: Sequence[Encoded]) -> tuple[list[tuple[str, str]], list[list[float]]]:
    """Return what the arm writes beside what was said, and how far it is from the candidates' personas, by person."""
    from pipeline.models.language.generation import generate
    from pipeline.models.sentences import mean_embedding

    prepared, params = bench.prepared, bench.params
    if not params.generated_per_person:
        return [], []
    of_person = _first_of_each(prepared.test_people, params.generated_per_person)
    asked = [k for part in of_person for k in part]
    texts = generate(
        arm, [encoded[k].prompt for k in asked], [encoded[k].row for k in asked], _embeddings(prepared, arm),
        params.max_new_tokens,
    )  # fmt: skip
    ends = np.cumsum([len(part) for part in of_person])[:-1]
    means = [mean_embedding(part) for part in np.split(bench.encode(texts), ends)]
    rows = candidates(prepared, params.n_candidates, params.seed)
    distance = [
        (1 - prepared.embeddings[row] @ mean).astype(float).tolist() for row, mean in zip(rows, means, strict=True)
    ]
    return list(zip(texts, [prepared.test[k].text for k in asked], strict=True)), distance
