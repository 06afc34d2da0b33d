"""What is told of an error: our own words, and of others no more than where and which kind."""

import errno

import pytest

from pipeline.engine.trouble import PassingError, RunError, named
from pipeline.models.protocol import ModelError


def told(error):
    with pytest.raises(RunError) as raised, named("place_embeddings"):
        raise error
    return str(raised.value), type(raised.value)


def test_our_own_words_are_told_and_others_are_withheld():
    assert told(ModelError("pip install it")) == ("place_embeddings: pip install it", RunError)
    text, kind = told(ValueError("device 4711 at 41.7"))
    assert "4711" not in text and "ValueError in " in text and kind is RunError


def test_what_the_operating_system_refuses_may_pass():
    text, kind = told(OSError(errno.EIO, "secret", "a.parquet"))
    assert text.startswith("place_embeddings: Input/output error: a.parquet") and kind is PassingError
