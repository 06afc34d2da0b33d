"""How well one soft token made of an embedding personalises a frozen language model, beside other ways to do it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.evaluation.personal_text_arms import (
    ArmScores,
    Bench,
    Extras,
    Trained,
    extras_of,
    latencies_ms,
    run_arm,
    write_whole,
)
from pipeline.evaluation.personal_text_data import Encoder, PersonalTextParams, Prepared, data_digest, prepare
from pipeline.evaluation.personal_text_scores import (
    Difference,
    hit_rate,
    mean_by_person,
    paired_difference,
    perplexity,
    rank_of_first,
)
from pipeline.study import StudyError

if TYPE_CHECKING:
    from pipeline.models.language.causal_lm import CausalLM
    from pipeline.models.language.declaration import ArmName, PrefixParams

BARS = ("none", "static", "e2p_shuffled")
"""Arms that e2p is to beat; static is trained as long as e2p, on the same texts."""
SETTINGS = "settings.json"


class ArmResult(NamedTuple):
    """One arm."""

    name: str
    perplexity: float
    """Exponential of the mean over people of the negative log-likelihood per token of their true answers."""
    n_trainable: int
    n_added_tokens: float
    latency_ms: float
    """Median time to process one prompt."""
    n_steps: int
    train_s: float
    distinct_1: float
    distinct_2: float
    rouge_l: float
    hit_rate_likelihood: float
    """Share of people whose true answers are likeliest with their own persona told; NaN of arms that are told none, or
    that of another."""
    mean_rank_likelihood: float
    hit_rate_written: float
    """Share of people whose persona is nearest to what the arm wrote for them."""
    mean_rank_written: float


class PersonalTextResult(NamedTuple):
    """All arms, and what e2p gains over each: differences are e2p less the other, in nats per token."""

    model: str
    counts: dict[str, int]
    rejected: dict[str, int]
    n_candidates: int
    arms: list[ArmResult]
    differences: dict[str, Difference]
    drift: dict[str, Difference]
    """e2p with embeddings turned by so many degrees, less e2p."""
    bars: dict[str, bool]
    """Whether e2p is better than each arm it is to beat, the whole interval below zero."""


def evaluate_personal_text(
    file: Path,
    more: Path | None,
    arms: Sequence[ArmName],
    params: PersonalTextParams,
    prefix: PrefixParams,
    load: Callable[[], tuple[CausalLM, Encoder]],
    keep: Path | None = None,
    code: str = "",
    device: str = "auto",
    on_progress: Callable[[str], None] = lambda what: None,
) -> PersonalTextResult:
    """Return how arms do on people of a dialogue file who are unseen in training; StudyError where it holds too few.

    `more`: another file to train on. `load`: returns the language model and the encoder of lines. `keep`: folder in
    which what is learnt and scored is kept arm by arm, numbers only; a second call goes on from there, and is refused
    with other settings, data or `code` (what tells one version of this code from another).
    """
    from pipeline.models.devices import pick_device

    lm, encode = load()
    lm.network.to(pick_device(device))
    prepared = prepare(file, more, params, encode)
    if keep is not None:
        _claim(keep, lm, prepared, params, prefix, code)
    bench = Bench(prepared, lm, encode, prefix, params, keep, device)
    trained: dict[str, Trained] = {}
    found = []
    for name in arms:
        on_progress(name)
        found.append(run_arm(bench, name, trained))
    scores = {each.name: each for _, each in found}
    on_progress("all, once more: what they write")
    extras = {arm.name: extras_of(bench, arm) for arm, _ in found}
    latency = latencies_ms(bench, [arm for arm, _ in found])
    return PersonalTextResult(
        model=lm.name, counts=prepared.counts, rejected=prepared.rejected,
        n_candidates=min(params.n_candidates, prepared.counts["n_test_people"]),
        arms=[_arm_result(each, extras[name], prepared, latency[name]) for name, each in scores.items()],
        **_compare(scores, extras, prepared, params),
    )  # fmt: skip


def _claim(
    keep: Path, lm: CausalLM, prepared: Prepared, params: PersonalTextParams, prefix: PrefixParams, code: str
) -> None:
    """Write what a folder's outcomes are of; StudyError where they are of something else."""
    keep.mkdir(parents=True, exist_ok=True)
    settings = {
        "model": lm.name, "weights": lm.weights, "data": data_digest(prepared), "code": code,
        "params": params.model_dump(mode="json"), "prefix": prefix.model_dump(mode="json"),
    }  # fmt: skip
    path = keep / SETTINGS
    if path.exists() and json.loads(path.read_text()) != json.loads(json.dumps(settings)):
        raise StudyError(f"--keep: {keep} holds outcomes of other settings, data or code: name another folder")
    write_whole(path, settings)


def _arm_result(scores: ArmScores, extras: Extras, prepared: Prepared, latency_ms: float) -> ArmResult:
    likelihood, written = np.array(extras.candidate_nll), np.array(extras.candidate_distance)
    return ArmResult(
        name=scores.name, perplexity=perplexity(_by_person(scores, scores.nll, prepared)),
        n_trainable=scores.n_trainable, n_added_tokens=scores.n_added_tokens, latency_ms=latency_ms,
        n_steps=scores.n_steps, train_s=scores.train_s, distinct_1=extras.distinct_1, distinct_2=extras.distinct_2,
        rouge_l=extras.rouge_l,
        hit_rate_likelihood=hit_rate(likelihood), mean_rank_likelihood=_mean_rank(likelihood),
        hit_rate_written=hit_rate(written), mean_rank_written=_mean_rank(written),
    )  # fmt: skip


def _mean_rank(costs: np.ndarray) -> float:
    return float(rank_of_first(costs).mean()) if len(costs) else math.nan


def _by_person(scores: ArmScores, nll: Sequence[float], prepared: Prepared) -> np.ndarray:
    return mean_by_person(np.array(nll), np.array(scores.n_tokens), prepared.test_people)


def _compare(
    scores: dict[str, ArmScores], extras: dict[str, Extras], prepared: Prepared, params: PersonalTextParams
) -> dict[str, dict]:
    """Return the differences of e2p to the other arms; nothing where it is not among them."""
    if "e2p" not in scores:
        return {"differences": {}, "drift": {}, "bars": {}}
    e2p = scores["e2p"]
    ours = _by_person(e2p, e2p.nll, prepared)

    def less(theirs: np.ndarray, first: np.ndarray = ours) -> Difference:
        return paired_difference(first, theirs, params.n_draws, params.seed)

    differences = {name: less(_by_person(each, each.nll, prepared)) for name, each in scores.items() if name != "e2p"}
    drift = {angle: less(ours, _by_person(e2p, nll, prepared)) for angle, nll in extras["e2p"].drift_nll.items()}
    bars = {name: differences[name].is_below_zero for name in BARS if name in differences}
    return {"differences": differences, "drift": drift, "bars": bars}
