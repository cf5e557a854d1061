"""How many predictions a compiled network changes, estimated from a few hundred images.

Counting changed predictions needs many images: most are far from any change. Here each image is
combined with the output errors of other images too: those where the real network has a similar
margin. Errors are matched by rank of the output, because the largest outputs behave alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array

_RANKS = 10  # largest outputs that are looked at
_DIGITS = 24  # binary, of the largest output
_NEAR = 40  # images whose errors each image is combined with


class LossEstimate(NamedTuple):
    """Percentages. ``accuracy`` is counted, ``drop`` and ``drift`` are estimated.

    ``drop`` is accuracy lost, ``drift`` the share of images whose largest output is another one;
    what needs labels is None without. ``standard_error`` is that of counting changed predictions
    or lost accuracy: the estimates have less, if their model holds.
    """

    drift: float
    standard_error: float
    accuracy: float | None = None
    drop: float | None = None


def estimate_loss(real: Array, found: Array, labels: Array | None) -> LossEstimate:
    """Compare outputs, ``images x classes``, of the real and of the compiled network.

    Outputs that are equal stay equal when errors are taken from the one and added to the other:
    all are multiples of one power of two, of which sums in double precision are exact.
    """
    real, found = _exact_sums(real, found)
    order = np.argsort(-real, axis=1, kind="stable")
    top = order[:, :_RANKS]
    outputs = np.take_along_axis(real, top, 1)
    errors = np.take_along_axis(found - real, top, 1)
    changed = real.argmax(axis=1) != found.argmax(axis=1)
    if labels is None:
        ranks = np.zeros(len(real), int)
    else:
        ranks = (order == labels[:, None]).argmax(axis=1)
    answers = _ranks_of_largest(outputs, errors, np.minimum(ranks, 2))
    drift = 100 * float(np.mean(answers != 0))
    if labels is None:
        return LossEstimate(drift, _standard_error(changed))
    lost = (real.argmax(axis=1) == labels).astype(int) - (found.argmax(axis=1) == labels)
    right = np.mean(answers == ranks[:, None])
    return LossEstimate(
        drift,
        _standard_error(lost),
        100 * float(np.mean(found.argmax(axis=1) == labels)),
        100 * float(np.mean(ranks == 0) - right),
    )


def _exact_sums(real: Array, found: Array) -> tuple[Array, Array]:
    """Outputs in double precision, but with no more digits than single precision has."""
    largest = max(float(np.abs(real).max()), float(np.abs(found).max()))
    step = 2.0 ** (np.frexp(largest)[1] - _DIGITS)
    return np.rint(real / step) * step, np.rint(found / step) * step


def _standard_error(counted: Array) -> float:
    """Standard error of a count, with one more either way: none seen is not none at all."""
    more = np.append(counted, (1, 0))
    return 100 * float(np.std(more) / np.sqrt(len(more)))


def _ranks_of_largest(outputs: Array, errors: Array, kinds: Array) -> Array:
    """Rank of the largest output of each image, with errors of images of its kind near it."""
    found = np.zeros((len(outputs), _NEAR), int)
    margin = outputs[:, 0] - outputs[:, min(1, outputs.shape[1] - 1)]
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        members = members[np.argsort(margin[members], kind="stable")]
        first = np.clip(np.arange(len(members)) - _NEAR // 2, 0, max(0, len(members) - _NEAR))
        near = members[(first[:, None] + np.arange(_NEAR)) % len(members)]
        disturbed = outputs[members, None] + errors[near]
        # of equal outputs the one that was smaller counts, to be on the safe side
        found[members] = disturbed.shape[2] - 1 - disturbed[:, :, ::-1].argmax(axis=2)
    return found
