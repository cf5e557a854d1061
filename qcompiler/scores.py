"""Which outputs are scores of classes, and whether predictions are better than guesses."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

_UNLIKE = 0.05  # of the largest spread of an element: scores of classes have like spreads
_FEWEST = 50  # frames
_SIGMAS = 3
_GAIN = 0.1  # of what there is to gain over guessing


def predictions(output: Array, labels: Array | None) -> Array | None:
    """The class of every frame that an output ``frames x shape`` names; None if it names none.

    Whole numbers name themselves. A vector of real numbers names the place of its largest element
    if there are labels; without, if that place changes from frame to frame, as it does not where
    elements have unlike units, and elements vary alike.
    """
    flat = output.reshape(len(output), -1)
    if output.dtype.kind in "iu":
        return flat[:, 0] if flat.shape[1] == 1 else None
    if output.ndim < 2 or flat.shape[1] < 2 or flat.shape[1] != max(output.shape[1:]):
        return None
    found: Array = flat.argmax(axis=1)
    if labels is None and len(flat) > 1:
        spreads = flat.std(axis=0, dtype=np.float64)
        if found.min() == found.max() or spreads.min() < _UNLIKE * spreads.max():
            return None
    return found


def near_guessing(accuracy: float, classes: int, labels: Array) -> bool:
    """Whether enough labelled frames show that predictions are hardly better than guesses."""
    if len(labels) < _FEWEST or classes < 2 or len(np.unique(labels)) < 2:
        return False
    chance = 1 / classes
    noise = _SIGMAS * np.sqrt(chance * (1 - chance) / len(labels))
    return bool(accuracy <= chance + max(noise, _GAIN * (1 - chance)))
