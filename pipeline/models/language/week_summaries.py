"""Week summaries: an area's numbers steer a frozen language model, and what it writes is checked to the word."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_contracts.models_text import WEEK_SUMMARIES
from pipeline.models.devices import keyed_seed, numpy_generator, pick_device
from pipeline.models.language import facts as f
from pipeline.models.language.arms import Arm, build_arm
from pipeline.models.language.causal_lm import CausalLM, load_smollm2, tiny_lm
from pipeline.models.language.declaration import WeekSummaryParams
from pipeline.models.language.generation import generate
from pipeline.models.language.learning import ArmLearner, epochs_of, standardise
from pipeline.models.language.sequences import Encoded, Limits, Written, encode_all
from pipeline.models.language.text_scores import metrics_of, summary_of
from pipeline.models.protocol import FitRun, ModelError, State
from pipeline.models.training import TrainingParams, train

PROMPT = "Mobility in the week:"
EXAMPLES = (
    (f.Fact("visits", -35), f.Fact("distance_m", 0), f.Fact("contacts", -60)),
    (f.Fact("visits", 10), f.Fact("distance_m", 25), f.Fact("gyration_m", -5), f.Fact("contacts", 15)),
)
"""Weeks in the prompt of the arm that is told the facts: made up."""
TOLD = "told_in_prompt"


class Described(NamedTuple):
    """What became of one week's text."""

    text: str
    written_by: str
    """model or template."""
    checked: f.Checked
    """Of the model's own text."""


def fit(changes: pd.DataFrame, params: WeekSummaryParams, run: FitRun) -> State:
    """Return the trained projector. ModelError where the table has fewer than two weeks of which something is known.

    It is trained on weeks that are drawn, and tested on weeks, drawn too, of regions whose numbers it was not drawn
    from. Metrics: share of texts whose facts all agree, and of facts that do, of the model steered by the week's
    numbers (e2p), by those of a week with other numbers (shuffled; left out where all weeks tested are alike), by
    nothing (none), told the facts and two examples in the prompt (told_in_prompt), and of the template, which is right
    by construction: no model can do better, only differ. The summary says which of them the model beats.
    """
    learnt_from, held_out = _split(f.weeks_of(changes), params.held_out_share, run.seed)
    tested = _tested(held_out, params.tested_weeks, run.seed)
    drawn = _draw(learnt_from, params.drawn_weeks, run.seed)
    lm = _load(params, run.device)
    arm = build_arm("e2p", lm, f.N_DIMS, params, run.seed)
    vectors = np.stack([f.as_vector(each) for each in drawn])
    standardise(arm, vectors)
    encoded = _encode(lm, [f.sentence(each, _style(each)) for each in drawn], params)
    n_held = min(max(len(encoded) // 10, 1), 4 * params.batch_size)
    history = _train(arm, encoded[n_held:], encoded[:n_held], vectors, params, run)
    metrics = metrics_of(_checked(arm, lm, [week.facts for week in tested], params, run.seed))
    n_areas = len({week.region_geoid for week in tested})
    tensors = {name: tensor.numpy() for name, tensor in arm.state().items()}
    learnt = {
        "language_model": lm.name, "weights": lm.weights,
        "params": params.model_dump(mode="json"), "n_steps": history.n_steps,
        "n_tested_weeks": len(tested), "metrics": metrics,
        "summary": summary_of(metrics, len(tested), n_areas),
    }  # fmt: skip
    return State(tensors, learnt)


def summarise(state: State, weeks: Sequence[f.Week], device: str = "auto") -> pd.DataFrame:
    """Return the rows of WEEK_SUMMARIES of weeks, in the order of the table's key."""
    described = describe(state, [week.facts for week in weeks], device)
    rows = [
        (w.region_geoid, w.started, w.n_devices, len(w.facts), d.text, d.written_by, d.checked.n_wrong)
        for w, d in zip(weeks, described, strict=True)
    ]
    found = pd.DataFrame(rows, columns=WEEK_SUMMARIES.names)
    return found.sort_values(list(WEEK_SUMMARIES.key), ignore_index=True)


def describe(state: State, told: Sequence[Sequence[f.Fact]], device: str = "auto") -> list[Described]:
    """Return a checked text for each list of facts: the model's where it agrees with them, else the template's.

    Facts may be of areas or of a cohort of people who consent to it, whose weeks the caller makes into facts: nothing
    here looks at a person. Where a list is empty, ModelError.
    """
    if not all(told):
        raise ModelError("there is nothing to tell of a week without facts")
    params = WeekSummaryParams(**state.facts["params"])
    arm = _restore(state, _load(params, device), params)
    prompt = arm.lm.tokens.encode(PROMPT)
    vectors = np.stack([f.as_vector(each) for each in told])
    texts = generate(arm, [prompt] * len(told), range(len(told)), vectors, params.max_answer_tokens)
    return [_or_template(text, each) for text, each in zip(texts, told, strict=True)]


def _or_template(text: str, facts: Sequence[f.Fact]) -> Described:
    checked = f.check(text, facts)
    if checked.n_wrong:
        return Described(f.sentence(facts), "template", checked)
    return Described(text, "model", checked)


def _load(params: WeekSummaryParams, device: str) -> CausalLM:
    lm = tiny_lm() if params.language_model == "tiny" else load_smollm2()
    lm.network.to(pick_device(device))
    return lm


def _restore(state: State, lm: CausalLM, params: WeekSummaryParams) -> Arm:
    import torch

    arm = build_arm("e2p", lm, f.N_DIMS, params)
    if arm.module is None:
        raise ModelError("nothing of this arm is trained")
    if lm.weights != state.facts.get("weights"):
        raise ModelError(f"it learnt in front of other weights of {lm.name} than are installed: train it again")
    arm.module.load_state_dict({name: torch.from_numpy(np.array(each)) for name, each in state.tensors.items()})
    return arm


def _split(weeks: list[f.Week], share: float, seed: int) -> tuple[list[f.Week], list[f.Week]]:
    """Return weeks to draw from and weeks to test on, of other regions where there are two; who is drawn by its key."""
    has_regions = len({week.region_geoid for week in weeks}) > 1
    keys = {week: week.region_geoid if has_regions else str(week.started.date()) for week in weeks}
    order = sorted(set(keys.values()), key=lambda key: keyed_seed(seed, "held out", key))
    if len(order) < 2:
        raise ModelError(f"changes are known of {len(weeks)} weeks: too few to learn from some and test on others")
    tested = set(order[: max(round(share * len(order)), 1)])
    return [w for w in weeks if keys[w] not in tested], [w for w in weeks if keys[w] in tested]


def _tested(weeks: Sequence[f.Week], n: int, seed: int) -> list[f.Week]:
    """Return up to n weeks of all that are held out: the first would be of few regions, and of the calm before."""
    return sorted(weeks, key=lambda w: keyed_seed(seed, "tested", w.region_geoid, str(w.started.date())))[:n]


def _draw(weeks: Sequence[f.Week], n: int, seed: int) -> list[tuple[f.Fact, ...]]:
    """Return weeks that never were: measures of one week, each with a change between those of two others.

    Between, so that numbers are drawn that no week of the table has, and no week of it is learnt by heart.
    """
    generator = numpy_generator(seed, "drawn weeks")
    known = {name: [fact.percent for w in weeks for fact in w.facts if fact.measure == name] for name in f.NAMES}
    drawn = []
    for _ in range(n):
        measures = [fact.measure for fact in weeks[int(generator.integers(len(weeks)))].facts]
        drawn.append(tuple(f.Fact(name, _between(known[name], generator)) for name in measures))
    return drawn


def _between(percents: Sequence[int], generator: np.random.Generator) -> int:
    low, high = sorted(generator.choice(percents, 2).tolist())
    steps = (high - low) // f.STEP_PERCENT
    return int(low + f.STEP_PERCENT * generator.integers(steps + 1))


def _style(facts: Sequence[f.Fact]) -> int:
    """Return the way in which drawn facts are put: any of them, drawn by the facts themselves."""
    return int.from_bytes(hashlib.blake2b(f.as_text(facts).encode(), digest_size=2).digest()) % f.N_STYLES


def _encode(lm: CausalLM, texts: Sequence[str], params: WeekSummaryParams) -> list[Encoded]:
    limits = Limits(params.max_text_tokens, params.max_prompt_tokens, params.max_answer_tokens)
    return encode_all(lm, [Written("", PROMPT, f" {text}", k) for k, text in enumerate(texts)], limits)


def _train(
    arm: Arm,
    encoded: Sequence[Encoded],
    held: Sequence[Encoded],
    vectors: NDArray[np.float32],
    params: WeekSummaryParams,
    run: FitRun,
) -> Any:
    epochs, per_epoch = epochs_of(params.steps, params.steps_per_epoch)
    how = TrainingParams(
        learning_rate=params.learning_rate, schedule="cosine", warmup_steps=min(20, params.steps // 5),
        max_epochs=epochs, patience=epochs, precision=params.precision,
    )  # fmt: skip
    return train(ArmLearner(arm, encoded, held, vectors, params.batch_size, per_epoch, run.seed), how, run, "writing")


def _checked(
    arm: Arm, lm: CausalLM, told: Sequence[Sequence[f.Fact]], params: WeekSummaryParams, seed: int
) -> dict[str, list[f.Checked]]:
    """Return by arm what its texts on some weeks say, held against their facts."""
    vectors = np.stack([f.as_vector(each) for each in told])
    none = build_arm("none", lm, f.N_DIMS, params)
    prompt = lm.tokens.encode(PROMPT)
    others = exchanged(vectors, seed)
    arms = {
        "e2p": (arm, [prompt] * len(told), vectors),
        "none": (none, [prompt] * len(told), vectors),
        TOLD: (none, [_told_prompt(lm, each, params) for each in told], vectors),
    }
    if others is not None:
        arms["shuffled"] = (arm, [prompt] * len(told), vectors[others])
    written = {"template": [f.sentence(each) for each in told]}
    for name, (each, prompts, steered_by) in arms.items():
        written[name] = generate(each, prompts, range(len(told)), steered_by, params.max_answer_tokens)
    return {
        name: [f.check(text, facts) for text, facts in zip(texts, told, strict=True)] for name, texts in written.items()
    }


def exchanged(vectors: NDArray[np.float32], seed: int) -> NDArray[np.int64] | None:
    """Return for each row another one with other numbers, drawn; None where all rows are alike.

    The row before or after would often be the same: the weeks of one region are.
    """
    generator = numpy_generator(seed, "exchanged vectors")
    differs = (vectors[:, None] != vectors[None]).any(axis=2)
    if not differs.any():
        return None
    return np.array([generator.choice(np.flatnonzero(row)) for row in differs], np.int64)


def _told_prompt(lm: CausalLM, facts: Sequence[f.Fact], params: WeekSummaryParams) -> list[int]:
    """Return the prompt that tells the facts, behind two examples, as tokens."""
    lines = [f"Facts: {f.as_text(each)}\n{PROMPT} {f.sentence(each)}\n" for each in EXAMPLES]
    text = f"{''.join(lines)}Facts: {f.as_text(facts)}\n{PROMPT}"
    return lm.tokens.encode(text)[-(params.max_text_tokens + params.max_prompt_tokens) :]
