"""Sequitur: grammars worked out by hand."""

import numpy as np
import pytest

from pipeline.kernels.sequitur import sequitur


def grammar(text):
    """The rules of a text as (body, what it stands for); a use of rule r is its number."""
    letters = sorted(set(text))
    found = sequitur(np.array([letters.index(letter) for letter in text], np.int64))
    rules = []
    for r, (a, b) in enumerate(zip(found.body_start[:-1], found.body_start[1:], strict=True)):
        body = "".join(letters[value] if value >= 0 else str(~value) for value in found.body[a:b])
        rules.append((body, text[found.start[r] : found.start[r] + found.length[r]]))
    return rules


def test_what_repeats_is_a_rule():
    assert grammar("abcdbc") == [("a1d1", "abcdbc"), ("bc", "bc")]


def test_a_rule_may_hold_a_rule():
    assert grammar("abcdbcabcdbc") == [("11", "abcdbcabcdbc"), ("a2d2", "abcdbc"), ("bc", "bc")]


def test_a_rule_left_with_one_use_is_written_out():
    """On the way "ab" is a rule; "abc" takes both its uses."""
    assert grammar("abcabc") == [("11", "abcabc"), ("abc", "abc")]


def test_no_pair_twice_no_rule():
    assert grammar("abcacbd") == [("abcacbd", "abcacbd")]
    assert grammar("a") == [("a", "a")]
    assert grammar("") == [("", "")]


def test_pairs_that_overlap_are_no_repetition():
    assert grammar("aaa") == [("aaa", "aaa")]
    assert grammar("aaaa") == [("11", "aaaa"), ("aa", "aa")]


def test_negative_symbols_are_refused():
    with pytest.raises(ValueError, match="from 0"):
        sequitur(np.array([1, -1]))
