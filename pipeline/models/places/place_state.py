"""What a place model has learnt, as the arrays and facts of a State, and back.

Kept are weights, vectors of places, and how many places each is linked with: no visit, no device, and no link of the
graph. Vectors and counts are of links that `n_persons_per_kept_link` persons made, so a place of few visitors has a
vector from its category and area alone. Weights learnt from everybody: an artifact stays inside like its tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.places.group_types import NodeTypes
from pipeline.models.places.hgnn import Hgnn
from pipeline.models.places.params import PlaceTraining
from pipeline.models.places.place_frames import Vocabulary
from pipeline.models.places.text_components import TextComponents
from pipeline.models.places.towers import TowerShape, TwoTowers
from pipeline.models.protocol import ModelError, State

ID_END = b"\0"
"""Ends each id of a place in the bytes that hold all of them."""


class Learnt(NamedTuple):
    """A place model that serves."""

    params: PlaceTraining
    vocabulary: Vocabulary
    poi_ids: NDArray[Any]
    """Ids of the places it knows, rising."""
    vectors: NDArray[np.float32]
    """Their graph vectors."""
    n_links: NDArray[np.int64]
    """Links of each; without any its vector is from category and area alone."""
    hgnn: Hgnn
    towers: TwoTowers
    shape: TowerShape


def to_state(learnt: Learnt, metrics: Mapping[str, float], sizes: Mapping[str, int], summary: list[str]) -> State:
    """Return the state of a model."""
    vocabulary = learnt.vocabulary
    ids = b"".join(str(poi_id).encode() + ID_END for poi_id in learnt.poi_ids)
    tensors = {
        "poi_ids": np.frombuffer(ids, np.uint8).copy(),
        "graph_vectors": learnt.vectors,
        "n_links": learnt.n_links.astype(np.int64),
        "areas": vocabulary.areas.astype(np.int64),
        "category_vectors": vocabulary.vectors,
        **{f"components.{name}": values for name, values in vocabulary.components._asdict().items()},
        **_weights("hgnn", learnt.hgnn),
        **_weights("towers", learnt.towers),
    }
    facts = {
        "metrics": dict(metrics),
        "summary": summary,
        "sizes": dict(sizes),
        "params": learnt.params.model_dump(mode="json"),
        "shape": learnt.shape._asdict(),
        "encoder_weights": vocabulary.encoder,
        "categories": vocabulary.categories.tolist(),
        "place_types": list(vocabulary.types.names),
    }
    return State({name: np.ascontiguousarray(values) for name, values in tensors.items()}, facts)


def from_state(state: State) -> Learnt:
    """Return the model that a state holds, on the CPU."""
    tensors, facts = {name: np.asarray(values) for name, values in state.tensors.items()}, state.facts
    params, shape = PlaceTraining.model_validate(facts["params"]), TowerShape(**facts["shape"])
    names, encoder = tuple(facts["place_types"]), facts.get("encoder_weights")
    if encoder is None:
        raise ModelError("it does not tell which weights of the text encoder it learnt in front of: train it again")
    vocabulary = Vocabulary(
        NodeTypes(np.empty(0, np.int8), names),
        np.array(facts["categories"], dtype=str),
        tensors["category_vectors"],
        encoder,
        tensors["areas"],
        TextComponents(*(tensors[f"components.{name}"] for name in TextComponents._fields)),
    )
    n_types = 1 if params.hgnn.only_type is not None else len(names)
    hgnn = Hgnn(n_types, shape.text_width, params.hgnn.width, params.hgnn.is_last_rectified)
    towers = TwoTowers(shape, params.towers.widths, params.towers.code_width)
    _load(hgnn, "hgnn", tensors)
    _load(towers, "towers", tensors)
    ids = tensors["poi_ids"].tobytes().split(ID_END)[:-1]
    poi_ids = np.array([poi_id.decode() for poi_id in ids], dtype=object)
    return Learnt(params, vocabulary, poi_ids, tensors["graph_vectors"], tensors["n_links"], hgnn, towers, shape)


def _weights(prefix: str, module: torch.nn.Module) -> dict[str, NDArray[Any]]:
    return {f"{prefix}.{name}": values.detach().cpu().numpy() for name, values in module.state_dict().items()}


def _load(module: torch.nn.Module, prefix: str, tensors: Mapping[str, NDArray[Any]]) -> None:
    start = f"{prefix}."
    weights = {name[len(start) :]: torch.from_numpy(v.copy()) for name, v in tensors.items() if name.startswith(start)}
    module.load_state_dict(weights)
    module.eval()
