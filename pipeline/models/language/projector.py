"""From an embedding to soft tokens, and soft tokens that are the same for everybody. No more than this is trained."""

from __future__ import annotations

import torch
from torch import nn

INITIAL_STD = 0.02
"""Standard deviation of a soft prompt before training (ours: that of the language model's own embeddings)."""


RIDGE = 0.2
"""Penalty of the regression that a projector may start at, per row (ours)."""
OWN_TO_COMMON = 3.0
"""Length of what is of u in a soft token beside c, where it starts at a regression (ours)."""


class Projector(nn.Module):
    """p = c + s (W2 SiLU(h) + b2 + h) with h = W1 u + b1, for n soft tokens in the input space of a language model.

    Embedding-to-Prefix projects a pre-computed embedding to one soft token (2505.17051 [READ]). Depth, width and
    activation are not in what could be read of it: the formula, dropout and the rescaling are ours ([INF], after a
    related system; what is added is the whole first layer, its bias with it). So is that embeddings are centred and
    scaled as those trained on: without it the part of u in W1 u is small beside b1, and all people get nearly one
    prefix. And so are c, a soft prompt for everybody, and s = INITIAL_STD: c is learnt as fast as a static prompt is,
    and what is of u starts no larger. Without them the part that is the same for all is learnt slowly beside that of
    single people. W2 starts at 0, so that what `start_at` sets is what a soft token starts as.
    """

    def __init__(
        self,
        n_in: int,
        n_dims: int,
        n_tokens: int,
        generator: torch.Generator,
        dropout: float = 0.05,
        token_norm: float | None = None,
    ) -> None:
        """Draw the weights; `token_norm`: length that each soft token is scaled to, None leaves it as it is."""
        super().__init__()
        self.inner = nn.Linear(n_in, n_tokens * n_dims)
        self.outer = nn.Linear(n_tokens * n_dims, n_tokens * n_dims)
        bound = n_in**-0.5
        with torch.no_grad():
            self.inner.weight.uniform_(-bound, bound, generator=generator)
            for start_at_zero in (self.inner.bias, self.outer.weight, self.outer.bias):
                start_at_zero.zero_()
        self.common = nn.Parameter(torch.randn(n_tokens * n_dims, generator=generator) * INITIAL_STD)
        self.dropout = dropout
        self.n_tokens, self.n_dims, self.token_norm = n_tokens, n_dims, token_norm
        self.drop_key = 0
        """Seed of the dropout of the next call in training: whoever trains sets it for each batch."""
        self.centre: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("centre", torch.zeros(n_in))
        self.register_buffer("scale", torch.ones(()))

    def standardise(self, embeddings: torch.Tensor) -> None:
        """Take centre and scale (one number for all dimensions: directions stay) from embeddings; shape (n, n_in)."""
        centre = embeddings.mean(0)
        spread = (embeddings - centre).square().mean().sqrt()
        self.centre.copy_(centre)
        self.scale.fill_(float(spread) if spread > 0 else 1.0)

    def start_at(self, embeddings: torch.Tensor, wanted: torch.Tensor) -> None:
        """Let what is of u start as the wanted token of each embedding, as a ridge regression foretells it (ours).

        Shapes (n, n_in) and (n, n_dims); `standardise` comes before. Directions alone are taken from what is wanted:
        what is of u starts OWN_TO_COMMON times as long as c.
        """
        units = ((embeddings - self.centre) / self.scale).double()
        ridge = (RIDGE * len(units)) ** 0.5 * torch.eye(units.shape[1], dtype=units.dtype, device=units.device)
        centred = wanted.double() - wanted.double().mean(0)
        targets = torch.cat([centred, centred.new_zeros(len(ridge), centred.shape[1])])
        found = torch.linalg.lstsq(torch.cat([units, ridge]), targets).solution
        length = (units @ found).norm(dim=1).square().mean().sqrt()
        found = found * (OWN_TO_COMMON * self.n_dims**0.5 / length.clamp_min(torch.finfo(found.dtype).tiny))
        with torch.no_grad():
            self.inner.weight.copy_(found.T.repeat(self.n_tokens, 1))

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the soft tokens of embeddings; shapes (n, n_in) → (n, n_tokens, n_dims)."""
        inner = self.inner((embeddings - self.centre) / self.scale)
        own = self.outer(self._drop(nn.functional.silu(inner))) + inner
        prefix = self.common + INITIAL_STD * own
        prefix = prefix.unflatten(1, (self.n_tokens, self.n_dims))
        if self.token_norm is None:
            return prefix
        return nn.functional.normalize(prefix, dim=-1) * self.token_norm

    def _drop(self, values: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.dropout:
            return values
        # Drawn on the CPU from a key, so that a resumed run and another device drop the same.
        generator = torch.Generator().manual_seed(self.drop_key)
        is_kept = torch.rand(values.shape, generator=generator) >= self.dropout
        return values * is_kept.to(values) / (1 - self.dropout)


class StaticPrefix(nn.Module):
    """Soft tokens that are trained and do not depend on who speaks (a soft prompt)."""

    def __init__(self, n_dims: int, n_tokens: int, generator: torch.Generator, token_norm: float | None = None) -> None:
        """Draw the tokens; `token_norm` as of the projector."""
        super().__init__()
        self.prompt = nn.Parameter(torch.randn(n_tokens, n_dims, generator=generator) * INITIAL_STD)
        self.token_norm = token_norm

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the soft tokens for each row of embeddings, which are not looked at; (n, n_tokens, n_dims)."""
        prompt: torch.Tensor = self.prompt
        if self.token_norm is not None:
            prompt = nn.functional.normalize(prompt, dim=-1) * self.token_norm
        return prompt.expand(len(embeddings), *prompt.shape)
