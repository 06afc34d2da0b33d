"""How right texts are by arm, and whether a model's own are more often right than others'. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binomtest

from pipeline.models.language.facts import Checked

CERTAIN = 0.05
"""Probability of a sign test below which one arm is said to beat another (ours; texts count as independent)."""
WORDS = {
    "e2p": "steered by the week's numbers",
    "template": "the template, right by construction",
    "told_in_prompt": "told the facts in the prompt",
    "none": "steered by nothing",
    "shuffled": "steered by another week's numbers",
}
"""What arms are called in sentences; the first is the model, the others what it has to beat."""
NAMES = {
    "template": "the template",
    "told_in_prompt": "facts in the prompt",
    "none": "no numbers",
    "shuffled": "other numbers",
}
"""What the others are called in the verdict."""


def metrics_of(checked: Mapping[str, Sequence[Checked]]) -> dict[str, float]:
    """Return by arm the share of texts whose facts all agree and of facts that do, fractions; and sign tests.

    `checked` has the same weeks in the same order for each arm. `e2p_and_<arm>_sign_test_p` is the two-sided
    probability, were both as good, of as uneven a split of the weeks that only one of the two is right on.
    """
    found = {}
    for name, each in checked.items():
        found[f"{name}_texts_right"] = float(np.mean([c.n_wrong == 0 for c in each]))
        right = sum(max(c.n_facts - c.n_wrong, 0) for c in each)
        found[f"{name}_facts_right"] = right / sum(c.n_facts for c in each)
    for name in checked.keys() - {"e2p"}:
        found[f"e2p_and_{name}_sign_test_p"] = _sign_test(checked["e2p"], checked[name])
    return dict(sorted(found.items()))


def summary_of(metrics: Mapping[str, float], n_weeks: int, n_areas: int) -> list[str]:
    """Return the metrics in a few lines, the model's own texts above, then whether they beat the others' by texts."""
    lines = [f"{n_weeks:,} weeks (areas: {n_areas:,}) that nothing was learnt from"]
    for name, words in WORDS.items():
        if f"{name}_texts_right" in metrics:
            texts, facts = metrics[f"{name}_texts_right"], metrics[f"{name}_facts_right"]
            lines.append(f"{words}: texts right {texts:.1%}, facts {facts:.1%}")
    return [*lines, verdict(metrics)]


def verdict(metrics: Mapping[str, float]) -> str:
    """Return in one line which of the others the model's own texts beat, and which beat them."""
    told: dict[str, list[str]] = {}
    for other, words in NAMES.items():
        probability = metrics.get(f"e2p_and_{other}_sign_test_p")
        if probability is None:
            continue
        ahead = metrics["e2p_texts_right"] > metrics[f"{other}_texts_right"]
        word = "does not beat" if probability >= CERTAIN else "beats" if ahead else "loses to"
        told.setdefault(word, []).append(words)
    return "the model's own text " + "; ".join(f"{word} {', '.join(each)}" for word, each in told.items()) + " (texts)"


def _sign_test(ours: Sequence[Checked], others: Sequence[Checked]) -> float:
    is_right = np.array([[c.n_wrong == 0 for c in each] for each in (ours, others)])
    n_ours, n_others = (int((is_right[k] & ~is_right[1 - k]).sum()) for k in (0, 1))
    return float(binomtest(n_ours, n_ours + n_others).pvalue) if n_ours + n_others else 1.0
