"""Remove the weights that matter least: each is a synaptic event a frame, or several.

Without a weight w the sum of a layer has an error of ``w^2`` times the variance of what it reads;
the mean goes into the bias. The fit of the other weights makes up for a part of it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array


class Pruning(NamedTuple):
    """How many weights a layer may lose: those whose errors have this share of the sums' variance.

    Weights whose squared error in the sums, for each of their synapses, is above ``worth`` stay.
    """

    share: float = 0.0
    worth: float = np.inf


NOTHING: Final = Pruning()


def kept(weights: Array, variances: Array, most: float, worth: Array | float = np.inf) -> Array:
    """Which weights, ``groups x outputs x inputs``, stay: the errors of the others sum up to most.

    ``variances`` are those of the inputs, ``groups x inputs``. Of no output all are removed.
    Those with errors above ``worth``, that of each input, stay, too.
    """
    errors = weights**2 * variances[:, None]
    ordered = np.sort(errors, axis=None)
    count = int(np.searchsorted(np.cumsum(ordered), most, side="right"))
    least = ordered[min(count, len(ordered) - 1)]
    found: Array = (errors >= np.minimum(least, worth)) | (
        errors >= errors.max(axis=2, keepdims=True)
    )
    return found
