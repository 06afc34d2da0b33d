"""Checkpoints of a training: one safetensors file, written whole or not at all, read only by the training it is of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pipeline.models.protocol import ModelError

FORMAT = "sojourn training 1"
"""Layout of the file; changes with what it holds."""
TEMPORARY_SUFFIX = ".part"


class CheckpointError(ModelError):
    """A checkpoint that cannot be gone on from: it is damaged, or of another training."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds: tensors on the CPU by name, and facts as JSON values."""

    tensors: dict[str, torch.Tensor]
    facts: dict[str, Any]


def checkpoint_path(folder: Path, phase: str) -> Path:
    """Return where the checkpoint of a phase of a training lies in its folder."""
    return folder / f"{file_name(phase)}.safetensors"


def file_name(phase: str) -> str:
    """Return the name of a phase for files and folders: letters, digits and hyphens."""
    return "".join(letter if letter.isalnum() else "-" for letter in phase)


def kept_tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return, by name, the tensors that training changes: parameters that require gradients, and persistent buffers.

    They are the module's own, not copies. Frozen parameters and buffers registered with persistent=False are left out:
    they are the same at the start of every run. Tied parameters are there once.
    """
    saved = module.state_dict(keep_vars=True).keys()
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    return trained | {name: b for name, b in module.named_buffers() if name in saved}


def copied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies of tensors on their device."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def restore(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors kept by `kept_tensors` back into their module, in place."""
    with torch.no_grad():
        for name, tensor in kept_tensors(module).items():
            tensor.copy_(tensors[name])


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Sequence[str]) -> dict[str, torch.Tensor]:
    """Return the state of an optimiser by "<parameter>/<entry>"; names are its parameters', in its order."""
    states = optimizer.state_dict()["state"]
    return {f"{names[index]}/{entry}": tensor for index, state in states.items() for entry, tensor in state.items()}


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Sequence[str], tensors: Mapping[str, torch.Tensor]
) -> None:
    """Give an optimiser the state that `optimizer_tensors` returned; its settings stay those it has."""
    states: dict[int, dict[str, torch.Tensor]] = {}
    index = {name: i for i, name in enumerate(names)}
    for key, tensor in tensors.items():
        name, entry = key.rsplit("/", 1)
        states.setdefault(index[name], {})[entry] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def write_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], training: str) -> None:
    """Write a checkpoint so that a reader finds the former one or this one, whole, whenever the machine stops.

    `training` is the digest of what is trained and how. A checksum of all bytes goes with it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts, sort_keys=True)
    head = {"format": FORMAT, "training": training, "facts": text, "checksum": _checksum(arrays, training, text)}
    part = path.with_name(path.name + TEMPORARY_SUFFIX)
    save_file(arrays, part, metadata=head)
    _sync(part)
    part.replace(path)
    _sync(path.parent)


def read_checkpoint(path: Path, training: str) -> Checkpoint | None:
    """Return the checkpoint of a training, None where there is none; CheckpointError where it is not of this training.

    A file that is cut short, or of which any bit has changed, raises CheckpointError too: nothing of it is used.
    """
    if not path.exists():
        return None
    head, tensors = _read(path)
    if head.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no checkpoint of this version of the program; {_way_out(path)}")
    if head.get("checksum") != _checksum(tensors, head.get("training", ""), head.get("facts", "")):
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum; {_way_out(path)}")
    if head["training"] != training:
        raise CheckpointError(
            f"{path} is of another training: the parameters, the seed, the number of batches or processes or the shape "
            f"of the network differ; {_way_out(path)}"
        )
    return Checkpoint(tensors, json.loads(head["facts"]))


def _way_out(path: Path) -> str:
    return f"to train from the start, remove {path.name}"


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return the text fields and the tensors of a safetensors file; CheckpointError where it is not readable as one."""
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); {_way_out(path)}") from error


def _checksum(tensors: Mapping[str, torch.Tensor], training: str, facts: str) -> str:
    """Return a digest over names, types, shapes and bytes of tensors, and the texts that go with them."""
    sums = hashlib.blake2b(f"{training}\n{facts}".encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        sums.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sums.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sums.hexdigest()


def _sync(path: Path) -> None:
    """Have a file's content, or a folder's entries, on disk before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
