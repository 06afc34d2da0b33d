"""Slow, obvious twins of the training loop and of streamed rows."""

import numpy as np
import torch

from pipeline.kernels.keyed_random import keyed_bits
from pipeline.models.devices import numpy_generator
from pipeline.models.training import learning_rate


def naive_training(learner, params, n_epochs):
    """The loop as a textbook has it, without dropout."""
    optimizer = torch.optim.AdamW(learner.module.parameters(), lr=1.0, weight_decay=params.weight_decay)
    step = 0
    for epoch in range(n_epochs):
        learner.module.train()
        for batch in learner.batches(epoch):
            optimizer.zero_grad()
            learner.loss(batch).backward()
            torch.nn.utils.clip_grad_norm_(learner.module.parameters(), params.max_grad_norm)
            optimizer.param_groups[0]["lr"] = learning_rate(params, step, learner.n_batches * params.max_epochs)
            optimizer.step()
            step += 1
    return learner.module


def naive_batches(frame, seed, epoch, batch_size, chunk_rows):
    """All rows in memory, ordered by chunk and key: the slow twin."""
    number = frame.groupby("device_id").cumcount().to_numpy()
    keys = [
        int(keyed_bits(np.array([d]), "streaming", seed, int(k))[0])
        for d, k in zip(frame["device_id"], number, strict=True)
    ]
    n_chunks = max(1, -(-len(frame) // chunk_rows))
    place = {chunk: k for k, chunk in enumerate(numpy_generator(seed, "chunks", epoch).permutation(n_chunks))}
    rows = []
    for key, value in zip(keys, frame["value"], strict=True):
        chunk = max(k for k in range(n_chunks) if key >= (1 << 64) * k // n_chunks)
        order = int(keyed_bits(np.array([key], np.uint64).view(np.int64), "order", seed, epoch)[0])
        rows.append((place[chunk], order, value))
    ordered = [value for *_, value in sorted(rows)]
    return [ordered[k : k + batch_size] for k in range(0, len(ordered), batch_size)]
