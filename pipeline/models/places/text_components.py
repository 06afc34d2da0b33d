"""Text embeddings turned to their principal components: fewer numbers per place, faster networks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class TextComponents(NamedTuple):
    """How text embeddings are turned: ``(text - mean) @ axes``, then times `scale`."""

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    """(width of the text, number of components)."""
    scale: NDArray[np.float32]
    """One number, which makes the rows' mean square 1 / width of what they were fitted on."""

    def turn(self, text: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the components of text embeddings, (n, number of components): a row's bits hang on no other row."""
        import torch

        from pipeline.models.inference import in_fixed_batches

        layer = torch.nn.Linear(*self.axes.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(self.axes.T * self.scale)))
            layer.bias.zero_()
        return in_fixed_batches(layer, (text - self.mean).astype(np.float32))


def fit_text_components(text: NDArray[np.float32], n_components: int) -> TextComponents:
    """Return the axes along which text embeddings (n, width) spread most, at most as many as the width (ours).

    Each axis points to where its largest entry is positive, so that it is the same on every machine.
    """
    mean = text.mean(axis=0, dtype=np.float64) if len(text) else np.zeros(text.shape[1])
    centred = text - mean
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :n_components]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    square = float(np.mean((centred @ axes) ** 2)) if len(text) else 0.0
    scale = (square * axes.shape[1]) ** -0.5 if square > 0 else 1.0
    return TextComponents(mean.astype(np.float32), axes.astype(np.float32), np.array([scale], np.float32))
