"""What a shard is made from: the parts of its fingerprint, and how two of them differ.

A shard is current when the parts it was made from are the parts it would be made from now:
Params, contracts, source code, facts of the study, and the *contents* of its input shards. As
contents and not histories are compared, work stops where a change stops changing anything.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grimp

from data_contracts import Table
from pipeline.params import Params, digest
from pipeline.stage import Stage
from pipeline.stages.predict import named_models
from pipeline.study import Study

DECLARATIONS = (
    "pipeline", "pipeline.stage", "pipeline.stages", "pipeline.params", "pipeline.references", "pipeline.study",
)  # fmt: skip
"""Modules that declare and do not compute: what they say enters a fingerprint as values."""

DATA_LIBRARIES = ("timezonefinder", "pyproj", "shapely")
"""Libraries whose releases bring other borders, zones or projections. Those that only calculate are left out:
their last digits may differ between releases, and every upgrade would make every shard stale."""

PART_NAMES = {
    "params": "parameters",
    "contracts": "contracts",
    "code": "code",
    "study": "the study's span or zone",
    "seed": "the study's seed",
    "artifact": "the trained model",
    "is_last": "the study's end",
    "inputs": "input shards",
    "carry": "what the date before left open",
    "leaves": "what the date leaves open",
    "batches": "source files",
}


def stage_parts(stage: Stage, params: Params, study: Study) -> dict[str, str]:
    """Return the parts of a fingerprint that all shards of a stage share."""
    parts = {
        "params": digest(params.model_dump()),
        "contracts": digest([table.to_dict() for table in _tables_of(stage)]),
        "code": code_digest(stage.module),
    }
    if "study" in stage.needs:
        parts["study"] = digest(study.model_dump(mode="json", include=set(STUDY_FACTS)))
    if "seed" in stage.needs:
        parts["seed"] = str(study.seed)
    if "artifact" in stage.needs:
        parts["artifact"] = named_models(study).get(stage.name, "")
    return parts


def stage_values(stage: Stage, params: Params, study: Study) -> dict[str, Any]:
    """Return what the digests among `stage_parts` are made of, as plain values that can be compared by name."""
    values: dict[str, Any] = {
        "params": plain(params.model_dump()),
        "contracts": {table.name: digest(table.to_dict()) for table in _tables_of(stage)},
        "code": code_values(stage.module),
    }
    if "study" in stage.needs:
        values["study"] = study.model_dump(mode="json", include=set(STUDY_FACTS))
    return values


def plain(value: Any) -> Any:
    """Return a value as JSON would give it back."""
    return json.loads(json.dumps(value, default=str))


def _tables_of(stage: Stage) -> list[Table]:
    return [*stage.reads, stage.writes, *(t for t in (stage.carries, stage.rejects) if t)]


STUDY_FACTS = ("start", "end", "zone", "zone_from_coordinates")
"""What a stage may learn of the study. Its seed is a fact of its own: another one must not make all stages stale."""


@cache
def code_digest(module: str, apart: tuple[str, ...] = ()) -> str:
    """Return the hash of what a module computes with: the source of every project module it imports,
    however deep (those of `apart` left out), and the versions of the libraries that bring data along."""
    sources = [(name, _source(name)) for name in code_modules(module) if name not in apart]
    libraries = [(name, version(name)) for name in DATA_LIBRARIES if name in _closure(module)]
    return digest([sources, libraries])


@cache
def code_values(module: str, apart: tuple[str, ...] = ()) -> dict[str, dict[str, str]]:
    """Return what `code_digest` is made of: a digest of each module's source, the version of each library."""
    return {
        "modules": {name: digest(_source(name))[:16] for name in code_modules(module) if name not in apart},
        "libraries": {name: version(name) for name in DATA_LIBRARIES if name in _closure(module)},
    }


def code_modules(module: str) -> list[str]:
    """Return the modules whose code a module computes with: itself and what it imports, declarations apart."""
    return sorted(m for m in _closure(module) if m.startswith("pipeline.") and m not in DECLARATIONS)


def _closure(module: str) -> set[str]:
    graph = _import_graph()
    inside = {module, *graph.find_descendants(module)}
    return inside.union(*(graph.find_upstream_modules(name) for name in inside))


@cache
def _import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("pipeline", "data_contracts", include_external_packages=True, cache_dir=None)


def _source(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of {module}, which a stage imports")
    return Path(spec.origin).read_text()


DETAILS = "input_shards"
"""Part of a footer that says of which contents an input was made. It is told, and compared in `inputs` only."""


def short_name(path: str) -> str:
    """Return a shard's path as details name it, which are long lists."""
    return path.replace("date=", "").replace("bucket=", "").removesuffix(".parquet")


def changed_parts(made_from: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Return the names of the parts in which a fingerprint differs; empty when the shard is current."""
    names = sorted({*made_from, *expected} - {DETAILS})
    return [name for name in names if made_from.get(name) != expected.get(name)]


def differences(made_from: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Return in words which parts of a fingerprint changed; empty when the shard is current."""
    return [f"{PART_NAMES[name]} changed" for name in changed_parts(made_from, expected)]
