"""Texts that an arm writes itself, word after word, the likeliest each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.models.language.arms import Arm

GENERATION_BATCH = 8
"""Texts written at a time (ours). A smaller group is filled up, so that a text does not hang on how many there are."""


def generate(
    arm: Arm,
    prompts: Sequence[list[int]],
    rows: Sequence[int],
    embeddings: NDArray[np.float32],
    max_new_tokens: int,
    n_at_a_time: int = GENERATION_BATCH,
) -> list[str]:
    """Return one text for each prompt (tokens without the start token), up to the first line break, not with it.

    `rows`: row of `embeddings` that steers each. Prompts are written to in batches of like length, padded in
    front and hidden there, so that what else is in a batch changes a text only where rounding decides.
    """
    texts = [""] * len(prompts)
    known = torch.from_numpy(embeddings).to(arm.lm.device)
    order = sorted(range(len(prompts)), key=lambda k: (len(prompts[k]), k))
    for start in range(0, len(order), n_at_a_time):
        block = order[start : start + n_at_a_time]
        filled = (block * n_at_a_time)[:n_at_a_time]
        inputs, is_seen = _inputs(arm, [prompts[k] for k in filled], known[[rows[k] for k in filled]])
        found = _write(arm, inputs, is_seen, max_new_tokens)
        for k, tokens in zip(block, found, strict=False):
            texts[k] = arm.lm.tokens.decode(tokens).strip()
    return texts


def _write(
    arm: Arm,
    inputs: torch.Tensor,
    is_seen: torch.Tensor,
    max_new_tokens: int,
) -> list[list[int]]:
    """Return the tokens that follow each row of inputs, up to its first line break; `is_seen`: what is no padding."""
    lm, cache = arm.lm, None
    written: list[list[int]] = [[] for _ in inputs]
    is_open = np.ones(len(inputs), bool)
    with torch.inference_mode():
        for _ in range(max_new_tokens):
            places = (is_seen.cumsum(1) - 1).clamp(min=0)[:, -inputs.shape[1] :]
            found = arm.network.model(
                inputs_embeds=inputs, attention_mask=is_seen, position_ids=places, cache=cache, use_cache=True
            )
            cache = found.cache
            chosen = arm.network.lm_head(found.last_hidden_state[:, -1]).float().argmax(-1)
            for k, token in enumerate(chosen.tolist()):
                is_open[k] &= token != lm.end_id
                if is_open[k]:
                    written[k].append(token)
            if not is_open.any():
                break
            inputs = lm.embed(chosen[:, None])
            is_seen = torch.cat([is_seen, is_seen.new_ones(len(is_seen), 1)], dim=1)
    return written


def _inputs(arm: Arm, prompts: list[list[int]], embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return start token, prefix and prompt of each row as embeddings, padded in front, and where there is no padding.

    Shapes (n, length, n_dims) and (n, length).
    """
    if arm.module is not None:
        arm.module.eval()
    lm, length = arm.lm, max(len(prompt) for prompt in prompts)
    with torch.inference_mode():
        prefix = arm.prefix(embeddings)
        start = lm.embed(torch.full((len(prompts), 1), lm.start_id, device=lm.device))
        head = start if prefix is None else torch.cat([start, prefix], dim=1)
        rows, is_seen = [], torch.zeros(len(prompts), head.shape[1] + length, dtype=torch.long, device=lm.device)
        for k, prompt in enumerate(prompts):
            padding = head.new_zeros(length - len(prompt), lm.n_dims)
            rows.append(
                torch.cat([padding, head[k], lm.embed(torch.tensor(prompt, dtype=torch.long, device=lm.device))])
            )
            is_seen[k, len(padding) :] = 1
    return torch.stack(rows), is_seen
