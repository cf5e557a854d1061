"""Remove weights for which others make up: the optimal brain surgeon, one output at a time.

Without a weight w the sum has a squared error of ``w^2 / G`` if all other weights change as is
best, where G is the weight's element on the diagonal of the inverse Gram matrix of the inputs that
stay (Hassibi and Stork, NIPS 1992). Where inputs are alike, as neighbouring pixels are, that is far
less than what the weight contributes.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir.kernels import Array

_RIDGE = 0.001  # relative to the mean square of an input
_MOST = 1024  # weights of an output that are looked at together


def compensated(weights: Array, gram: Array, worth: Array, most: Array) -> Array:
    """Weights of one group, ``outputs x inputs``, without those whose error is below ``worth``.

    ``gram`` is ``inputs x inputs``, ``worth`` that of each input. The errors of an output sum up
    to at most ``most``, that of each output. One weight of each output stays, at least.
    """
    found = weights.copy()
    ridged = gram + _RIDGE * gram.diagonal().mean() * np.eye(len(gram)) + 1e-20 * np.eye(len(gram))
    whole: Array | None = None
    for row, limit in zip(found, most, strict=True):
        at = np.flatnonzero(row)
        if not 1 < len(at) <= _MOST:
            continue
        if len(at) == len(row):
            whole = np.linalg.inv(ridged) if whole is None else whole
            inverse = whole.copy()
        else:
            inverse = np.linalg.inv(ridged[np.ix_(at, at)])
        row[at] = _eliminated(row[at], inverse, worth[at], float(limit))
    return found


def _eliminated(weights: Array, inverse: Array, worth: Array, most: float) -> Array:
    """The weights of an output; ``inverse`` is used up."""
    errors = weights**2 / inverse.diagonal()
    for _ in range(len(weights) - 1):
        least = int(np.argmin(errors / worth))
        if errors[least] > worth[least] or errors[least] > most:
            break
        most -= errors[least]
        column = inverse[:, least] / inverse[least, least]
        weights -= column * weights[least]
        inverse -= np.outer(column, inverse[least])
        inverse[least, least] = 1.0  # not looked at again
        errors = np.where(np.isinf(errors), np.inf, weights**2 / inverse.diagonal())
        errors[least], weights[least] = np.inf, 0.0
    weights[np.isinf(errors)] = 0.0
    return weights
