"""Whether this process is one of several that a launcher started to train together; no torch in here."""

from __future__ import annotations

import os


def n_processes() -> int:
    """Return how many processes train together, by what `torchrun` and `accelerate launch` set; 1 without them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Return whether this process is the one that holds the root, keeps what was learnt and prints."""
    return n_processes() == 1 or os.environ.get("RANK", "0") == "0"
