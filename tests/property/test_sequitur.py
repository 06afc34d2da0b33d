"""Sequitur against its naive twin, and what makes a grammar one of Sequitur's."""

import time
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kernels.sequitur import sequitur
from tests.naive_routines import NaiveSequitur, naive_expansion

sequences = st.integers(1, 6).flatmap(lambda m: st.lists(st.integers(0, m - 1), max_size=60))


def bodies_of(found):
    return [found.body[a:b].tolist() for a, b in zip(found.body_start[:-1], found.body_start[1:], strict=True)]


@st.composite
def places(draw):
    """Sequences in which no symbol follows itself, as those of places are."""
    steps, m = draw(st.lists(st.integers(0, 5), max_size=80)), draw(st.integers(2, 7))
    sequence = [0]
    for step in steps:
        sequence.append((sequence[-1] + 1 + step % (m - 1)) % m)
    return sequence


@given(st.one_of(sequences, places()))
@settings(max_examples=300, deadline=None)
def test_the_grammar_is_that_of_the_naive_twin(sequence):
    assert bodies_of(sequitur(np.array(sequence, np.int64))) == NaiveSequitur(sequence).bodies()


@given(st.one_of(sequences, places()))
@settings(max_examples=200, deadline=None)
def test_rules_stand_for_pieces_of_the_sequence_and_the_first_for_all_of_it(sequence):
    found = sequitur(np.array(sequence, np.int64))
    bodies = bodies_of(found)
    for rule, (start, length) in enumerate(zip(found.start, found.length, strict=True)):
        assert naive_expansion(bodies, rule) == sequence[start : start + length]
    assert found.length[0] == len(sequence)


@given(st.one_of(sequences, places()))
@settings(max_examples=200, deadline=None)
def test_rules_are_of_use(sequence):
    """Every rule but the first is used twice or more and is two symbols or longer."""
    bodies = bodies_of(sequitur(np.array(sequence, np.int64)))
    uses = [~value for body in bodies for value in body if value < 0]
    for rule in range(1, len(bodies)):
        assert uses.count(rule) >= 2
        assert len(bodies[rule]) >= 2


@given(places())
@settings(max_examples=200, deadline=None)
def test_no_pair_of_different_symbols_is_twice_in_a_grammar(sequence):
    bodies = bodies_of(sequitur(np.array(sequence, np.int64)))
    pairs = [pair for body in bodies for pair in pairwise(body) if pair[0] != pair[1]]
    assert len(pairs) == len(set(pairs))


@given(sequences, st.permutations(range(6)))
@settings(max_examples=100, deadline=None)
def test_names_of_symbols_do_not_matter(sequence, names):
    found = sequitur(np.array(sequence, np.int64))
    renamed = sequitur(np.array([names[symbol] for symbol in sequence], np.int64))
    assert (found.start == renamed.start).all()
    assert (found.length == renamed.length).all()
    assert (np.minimum(found.body, 0) == np.minimum(renamed.body, 0)).all()


def test_a_long_sequence_of_one_symbol_takes_no_time():
    """Its grammar is as deep as can be: a counterexample to recursion and to rooms of fixed size."""
    began = time.perf_counter()
    for sequence in (np.zeros(2**17, np.int64), np.tile([0, 1, 2], 2**15), np.arange(2**17) % 1000):
        found = sequitur(sequence)
        assert found.length[0] == sequence.size
        assert found.body.size < 2100
    assert time.perf_counter() - began < 20
