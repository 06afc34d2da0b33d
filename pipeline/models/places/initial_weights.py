"""First weights of a network, from a stream of their own."""

from __future__ import annotations

import torch

from pipeline.models.devices import torch_generator


def set_initial_weights(module: torch.nn.Module, seed: int, purpose: str) -> None:
    """Set every weight, in the order of their names, to uniform numbers within 1 / sqrt(inputs), biases to 0.

    Tables of codes (`Embedding`) get normal numbers of deviation 0.1. What torch's global generator holds does not
    matter (ours: torch's own bounds).
    """
    tables = {f"{name}.weight" for name, part in module.named_modules() if isinstance(part, torch.nn.Embedding)}
    generator = torch_generator(seed, purpose)
    with torch.no_grad():
        for name, weight in sorted(module.named_parameters()):
            if name in tables:
                weight.normal_(0.0, 0.1, generator=generator)
            elif weight.ndim > 1:
                bound = weight.shape[1] ** -0.5
                weight.uniform_(-bound, bound, generator=generator)
            else:
                weight.zero_()
