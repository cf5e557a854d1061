"""The classes that outputs name, and whether they are scores of classes."""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

_UNLIKE = 0.05  # of the largest spread of an element: scores of classes have like spreads


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


def are_scores(array: Array) -> bool:
    """Whether many of the features are the largest now and then, as scores of classes are."""
    rows = array.reshape(len(array), -1)
    winners = len(np.unique(rows.argmax(axis=1)))
    return winners >= max(2, min(rows.shape) / 4)
