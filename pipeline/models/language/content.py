"""What texts are about, as vectors in a language model's input space: where a projector of embeddings may start."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.language.arms import Arm
from pipeline.models.language.causal_lm import CausalLM
from pipeline.models.language.projector import Projector


def content_vectors(lm: CausalLM, texts: Sequence[str]) -> torch.Tensor:
    """Return the mean input embedding of each text's tokens, (n, n_dims), those of few texts weighing more (ours).

    A token counts each time it occurs, by the square of ln(texts / texts that have it); of a text whose tokens all
    texts have it is 0.
    """
    tokens = [torch.tensor(lm.tokens.encode(f" {text}"), dtype=torch.long) for text in texts]
    n_texts = torch.zeros(lm.network.config.vocab_size)
    for each in tokens:
        n_texts[each.unique()] += 1
    weights = (len(texts) / n_texts.clamp_min(1)).log().clamp_min(0).square().to(lm.device)
    found = []
    with torch.no_grad():
        for each in tokens:
            weight = weights[each]
            sums = weight @ lm.embed(each.to(lm.device))
            found.append(sums / weight.sum().clamp_min(torch.finfo(sums.dtype).tiny))
    return torch.stack(found)


def start_at_content(
    arm: Arm, encode: Callable[[Sequence[str]], NDArray[np.float32]], embedded: Sequence[str], texts: Sequence[str]
) -> None:
    """Let the arm's projector, if it has one, start at what texts are about, each foretold by an embedded one.

    It is standardised as they are. No text passes through the network: it is a regression between two tables of
    vectors.
    """
    if isinstance(arm.module, Projector):
        embeddings = torch.from_numpy(encode(embedded)).to(arm.lm.device)
        arm.module.standardise(embeddings)
        arm.module.start_at(embeddings, content_vectors(arm.lm, texts))
