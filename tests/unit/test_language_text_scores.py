"""Shares of right texts, and the verdict of which arm writes more of them."""

from math import comb

import pytest

from pipeline.models.language.facts import Checked
from pipeline.models.language.text_scores import metrics_of, summary_of, verdict

RIGHT, WRONG = Checked(4, 0), Checked(4, 3)


def texts(n_right, n=24):
    return [RIGHT] * n_right + [WRONG] * (n - n_right)


def naive_sign_test(n_one, n_other):
    """Chance of a split at least as uneven, by counting all splits."""
    n = n_one + n_other
    return sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(n_one - n_other)) / 2**n


def test_shares_and_sign_tests_of_worked_texts():
    found = metrics_of({"e2p": texts(20), "template": texts(24), "none": texts(12)})
    assert found["e2p_texts_right"] == pytest.approx(20 / 24)
    assert found["none_facts_right"] == pytest.approx((12 * 4 + 12) / 96)
    assert found["e2p_and_template_sign_test_p"] == pytest.approx(naive_sign_test(0, 4))
    assert found["e2p_and_none_sign_test_p"] == pytest.approx(naive_sign_test(8, 0))
    # More told wrongly than there are facts is no fewer than none right.
    assert metrics_of({"e2p": [Checked(2, 3)]}) == {"e2p_texts_right": 0.0, "e2p_facts_right": 0.0}
    # It is the weeks that count, not the shares: here each is right where the other is wrong.
    crossed = metrics_of({"e2p": texts(12), "none": texts(12)[::-1]})
    assert crossed["e2p_and_none_sign_test_p"] == pytest.approx(1)
    assert metrics_of({"e2p": texts(9), "none": texts(9)})["e2p_and_none_sign_test_p"] == 1


def test_the_verdict_says_who_is_ahead_for_certain():
    found = metrics_of({"e2p": texts(14), "template": texts(24), "told_in_prompt": texts(12), "none": texts(0)})
    assert verdict(found) == (
        "the model's own text loses to the template; does not beat facts in the prompt; beats no numbers (texts)"
    )
    told = summary_of(found, 24, 3)
    assert told[0] == "24 weeks (areas: 3) that nothing was learnt from"
    assert told[1] == "steered by the week's numbers: texts right 58.3%, facts 68.8%"
    assert len(told) == 6 and not any("another week" in line for line in told)
