"""Why a shard is not current, by name: which parameter, module, library, contract, fact of the study or input."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.engine.lineage import PART_NAMES, changed_parts
from pipeline.engine.origins import Origins, Values

MAX_VALUE = 60
"""Characters of a value that are told: longer ones (lists) are cut (ours)."""
ABSENT = object()


def explain(made_from: Mapping[str, Any], expected: Mapping[str, Any], origins: Origins, values: Values) -> list[str]:
    """Return one reason for each thing that changed between what a shard was and what it would be made from.

    `values` are those behind the digests of `expected`. Of a digest that the root's book does not know (it was
    made before there was one) only the part is named. Inputs are explained where they are compared, shard by shard.
    """
    found: list[str] = []
    for name in changed_parts(made_from, expected):
        if name not in TELLERS:
            continue
        old = origins.value(made_from.get(name)) if name in values else made_from.get(name)
        new = values.get(name, expected.get(name))
        if old is None:
            found.append(f"{PART_NAMES[name]} changed (of what it was this root keeps no note)")
        else:
            found += TELLERS[name](old, new)
    return found


def _tell_params(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return _tell_fields("parameter", old, new)


def _tell_study(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return _tell_fields("study's", old, new)


def _tell_fields(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [f"{what} {name}: {shown(old, name)} → {shown(new, name)}" for name in _differing(old, new)]


def shown(values: Mapping[str, Any], name: str) -> str:
    """Return a value as it is told, cut where it is long; "unset" where there is none."""
    if name not in values:
        return "unset"
    text = json.dumps(values[name])
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _tell_contracts(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [f"contract of {name} changed" for name in _differing(old, new)]


def _tell_code(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    modules = _differing(old["modules"], new["modules"])
    told = [f"code of {', '.join(modules)} changed"] if modules else []
    return told + _tell_fields("library", old["libraries"], new["libraries"])


def _tell_seed(old: str, new: str) -> list[str]:
    return [f"the study's seed: {old} → {new}"]


def _tell_artifact(old: str, new: str) -> list[str]:
    return [f"trained model: {old} → {new}"]


def _tell_last(old: bool, new: bool) -> list[str]:
    return ["the study now ends on this date" if new else "the study no longer ends on this date"]


def _tell_leaves(old: str, new: str) -> list[str]:
    return ["what the date leaves open is not what this shard was written with"]


TELLERS: dict[str, Callable[[Any, Any], list[str]]] = {
    "params": _tell_params,
    "contracts": _tell_contracts,
    "code": _tell_code,
    "study": _tell_study,
    "seed": _tell_seed,
    "artifact": _tell_artifact,
    "is_last": _tell_last,
    "leaves": _tell_leaves,
}
"""Part of a fingerprint → the words for its change, from the values before and now."""


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({*old, *new}) if old.get(name, ABSENT) != new.get(name, ABSENT)]
