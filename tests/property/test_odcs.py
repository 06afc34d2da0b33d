"""The exporter's YAML says to PyYAML and to ruamel what was meant, whatever the texts."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.odcs import _yaml_lines

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["yes", "No", "null", "~", "1e3", "1.0", "0x1f", "12:30", "2024-01-01", "=", "<<", "- a", "a: b"]),
    st.sampled_from(["a #b", "'", '"', "\\", "\n", "\u2028", "\ufeff", " a", "a ", "n", "on", "date × bucket"]),
)
SCALARS = st.one_of(TEXTS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXTS, v, max_size=3), max_leaves=12)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4) | st.lists(VALUES, min_size=1, max_size=4)


@settings(deadline=None, max_examples=400)
@given(DOCUMENTS)
def test_pyyaml_reads_back_what_was_written(value):
    read = yaml.safe_load("\n".join(_yaml_lines(value)))
    assert repr(read) == repr(value)


@pytest.mark.parametrize("value", [{"a": object()}, {"a": b"x"}])
def test_what_yaml_cannot_say_is_refused(value):
    with pytest.raises(TypeError, match="a contract holds no"):
        list(_yaml_lines(value))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="finite"):
        list(_yaml_lines({"a": value}))
