"""Slow and obvious twins of the language models' arithmetic: one answer, one word, one draw at a time."""

from __future__ import annotations

import torch


def answer_nll(arm, encoded, embedding):
    """Return the negative log-likelihood of one answer, its tokens scored one after the other without padding."""
    lm = arm.lm
    tokens = [lm.start_id, *encoded.prompt, *encoded.answer]
    total = 0.0
    for k in range(1 + len(encoded.prompt), len(tokens)):
        inputs = lm.embed(torch.tensor([tokens[:k]]))
        prefix = arm.prefix(torch.from_numpy(embedding)[None])
        if prefix is not None:
            inputs = torch.cat([inputs[:, :1], prefix, inputs[:, 1:]], dim=1)
        logits = arm.network(inputs_embeds=inputs).logits[0, -1]
        total -= float(torch.log_softmax(logits, 0)[tokens[k]])
    return total


def greedy(arm, prompt, embedding, n):
    """Return the likeliest tokens after a prompt, each found by reading everything again."""
    lm, written = arm.lm, []
    for _ in range(n):
        inputs = lm.embed(torch.tensor([[lm.start_id, *prompt, *written]]))
        prefix = arm.prefix(torch.from_numpy(embedding)[None])
        if prefix is not None:
            inputs = torch.cat([inputs[:, :1], prefix, inputs[:, 1:]], dim=1)
        token = int(arm.network(inputs_embeds=inputs).logits[0, -1].argmax())
        if token == lm.end_id:
            break
        written.append(token)
    return lm.tokens.decode(written).strip()


def rank_of_first(costs):
    """Return the rank of each row's first number, ties sharing their mean rank."""
    return [1 + sum(c < row[0] for c in row[1:]) + sum(c == row[0] for c in row[1:]) / 2 for row in costs]


def longest_common(a, b):
    """Return the length of the longest common subsequence."""
    if not a or not b:
        return 0
    if a[-1] == b[-1]:
        return 1 + longest_common(a[:-1], b[:-1])
    return max(longest_common(a[:-1], b), longest_common(a, b[:-1]))
