"""Where networks run, and the random numbers they draw: everything keyed, nothing from global state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from pipeline.models.protocol import ModelError

SEED_BITS = 63
"""Bits of a seed: what torch and numpy both take as a whole number that is not negative."""


class NoDeviceError(ModelError):
    """A device was asked for that is not there."""


def pick_device(device: str = "auto") -> torch.device:
    """Return the device to run on: "cpu", "cuda", or for "auto" CUDA where there is one and else the CPU.

    NoDeviceError where CUDA is asked for and torch finds none; ValueError on any other word.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device is {device!r}, not auto, cpu or cuda")
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        built = "finds no GPU" if torch.version.cuda else "is built without CUDA"
        raise NoDeviceError(f"device cuda was asked for, but torch {torch.__version__} {built}: use auto or cpu")
    return torch.device("cuda" if has_cuda and device != "cpu" else "cpu")


def keyed_seed(seed: int, *purpose: str | int) -> int:
    """Return a seed of 63 bits for the key (seed, purpose…): unlike keys give unrelated seeds (BLAKE2b)."""
    key = "\0".join(f"{type(part).__name__}:{part}" for part in (int(seed), *purpose))
    word = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(word, "big") >> (64 - SEED_BITS)


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return numpy's generator for the key (seed, purpose…)."""
    return np.random.default_rng(keyed_seed(seed, *purpose))


def torch_generator(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return torch's generator on a device for the key (seed, purpose…)."""
    return torch.Generator(device).manual_seed(keyed_seed(seed, *purpose))


def set_default_generators(word: int) -> None:
    """Seed torch's default generators directly: torch.manual_seed takes ten times as long, too long for every step."""
    torch.default_generator.manual_seed(word)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(word)


@contextmanager
def kept_torch_state() -> Iterator[None]:
    """Put torch's default generators back, afterwards, to where they were."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        yield
