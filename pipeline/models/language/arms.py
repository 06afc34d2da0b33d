"""Arms: ways to tell a frozen language model who speaks, each with what of it is trained."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import nn

from pipeline.models.devices import keyed_seed, torch_generator
from pipeline.models.language.causal_lm import CausalLM
from pipeline.models.language.declaration import ArmName, PrefixParams
from pipeline.models.language.projector import Projector, StaticPrefix

ARMS: tuple[ArmName, ...] = get_args(ArmName)
WITH_TEXT = ("text", "e2p_text")
AS_E2P = ("e2p_text", "e2p_mean", "e2p_shuffled")
"""Arms that are e2p, trained as it is and used otherwise."""
WITH_PROJECTOR = ("e2p", *AS_E2P, "e2p_trained_shuffled")


@dataclass(frozen=True)
class Arm:
    """A language model with one way of personalising it."""

    name: str
    lm: CausalLM
    network: Any
    """The frozen network; of the arm with LoRA a copy of it with adapters."""
    module: nn.Module | None
    """What is trained; None: nothing."""
    n_prefix_tokens: int
    has_text: bool
    """Whether prompts hold the description as text."""

    @property
    def n_trainable(self) -> int:
        """Numbers that are trained."""
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad) if self.module else 0

    def prefix(self, embeddings: torch.Tensor) -> torch.Tensor | None:
        """Return the soft tokens for rows of embeddings, (n, n_prefix_tokens, n_dims); None where it has none."""
        return self.module(embeddings) if self.module is not None and self.n_prefix_tokens else None

    def state(self) -> dict[str, torch.Tensor]:
        """Return what was learnt, by name, on the CPU."""
        return {k: v.detach().cpu() for k, v in self.module.state_dict().items()} if self.module else {}


class Adapters(nn.Module):
    """The low-rank matrices that LoRA put into a network, without the frozen rest of it."""

    def __init__(self, network: nn.Module) -> None:
        """Take hold of the matrices: they stay the network's own."""
        super().__init__()
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        self.matrices = nn.ParameterDict({name.replace(".", "/"): p for name, p in named})


def build_arm(name: ArmName, lm: CausalLM, n_in: int, params: PrefixParams, seed: int = 0) -> Arm:
    """Return an untrained arm for embeddings of n_in numbers; ValueError for a name that is none.

    none: nothing is added. text: the description is in the prompt. static: a soft prompt, the same for everybody. lora:
    the network's attention is fine-tuned with low-rank matrices (LoRA, by peft), the same for everybody. e2p:
    embedding to prefix. e2p_text: both. e2p_mean: with the mean embedding of all, so that the prefix is the same for
    everybody and trained as long as that of e2p. e2p_shuffled and e2p_trained_shuffled: with other people's embeddings.
    """
    if name not in ARMS:
        raise ValueError(f"there is no arm {name}; there are {', '.join(ARMS)}")
    generator = torch_generator(seed, "first weights")
    norm = lm.embedding_norm() if params.is_rescaled else None
    n_tokens, has_text = params.n_prefix_tokens, name in WITH_TEXT
    if name in WITH_PROJECTOR:
        projector = Projector(n_in, lm.n_dims, n_tokens, generator, params.dropout, norm).to(lm.device)
        return Arm(name, lm, lm.network, projector, n_tokens, has_text)
    if name == "static":
        return Arm(
            name, lm, lm.network, StaticPrefix(lm.n_dims, n_tokens, generator, norm).to(lm.device), n_tokens, False
        )
    if name == "lora":
        network = _with_lora(lm.network, params, seed)
        return Arm(name, lm, network, Adapters(network), 0, False)
    return Arm(name, lm, lm.network, None, 0, has_text)


def _with_lora(network: Any, params: PrefixParams, seed: int) -> Any:
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=params.lora_rank, lora_alpha=params.lora_alpha, target_modules=list(params.lora_layers), lora_dropout=0.0
    )
    # peft draws from the global generator: it is put back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_seed(seed, "first weights of adapters"))
        adapted = inject_adapter_in_model(config, copy.deepcopy(network))
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return adapted.eval()
