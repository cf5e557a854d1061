"""How many predictions a compiled network changes, estimated from a few hundred images.

Counting changed predictions needs many images: most are far from any change. Here each image is
combined with the output errors of other images too: those where the real network has a similar
margin. Errors are matched by rank of the output, because the largest outputs behave alike.

The few images of least margin decide how many predictions change, and training pushes just these
away from a tie. Near a tie the density of margins is flat, as the two largest outputs may come in
either order: so the least margins are taken as evenly spread from zero on, as those of unseen
images may be.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qcompiler.ir.kernels import Array

_RANKS = 10  # largest outputs that are looked at
_DIGITS = 24  # binary, of the largest output
_NEAR = 40  # images whose errors each image is combined with
_SHARE = 10  # they are spread over this part of all, so that large errors, which are rare, count


class LossEstimate(NamedTuple):
    """Percentages. ``accuracy`` is counted, ``drop`` and ``drift`` are estimated.

    ``drop`` is accuracy lost, ``drift`` the share of images whose largest output is another one;
    what needs labels is None without. ``standard_error`` is that of counting changed predictions
    or lost accuracy, ``drift_error`` always that of changed predictions, if as many change as
    expected: the estimates have less, if their model holds.
    """

    drift: float
    standard_error: float
    drift_error: float
    accuracy: float | None = None
    drop: float | None = None


class Outputs(NamedTuple):
    """Outputs of the real and of the compiled network, ``images x classes``, and labels if any."""

    real: Array
    found: Array
    labels: Array | None

    def every_second(self, first: int) -> Outputs:
        """Those of half of the images."""
        labels = None if self.labels is None else self.labels[first::2]
        return Outputs(self.real[first::2], self.found[first::2], labels)

    def loss(self, scale: float = 1.0) -> LossEstimate:
        """What is lost, or would be if all errors were so many times as large."""
        found = self.found if scale == 1 else self.real + scale * (self.found - self.real)
        return estimate_loss(self.real, found, self.labels)


def estimate_loss(real: Array, found: Array, labels: Array | None) -> LossEstimate:
    """Compare outputs, ``images x classes``, of the real and of the compiled network.

    Outputs that are equal stay equal when errors are taken from the one and added to the other:
    all are multiples of one power of two, of which sums in double precision are exact.
    """
    real, found = _exact_sums(real, found)
    order = np.argsort(-real, axis=1, kind="stable")
    top = order[:, :_RANKS]
    outputs = _spread(np.take_along_axis(real, top, 1))
    errors = np.take_along_axis(found - real, top, 1)
    if labels is None:
        ranks = np.zeros(len(real), int)
    else:
        ranks = (order == labels[:, None]).argmax(axis=1)
    answers = _ranks_of_largest(outputs, errors, np.minimum(ranks, 2))
    drift = 100 * float(np.mean(answers != 0))
    drift_error = _binomial_error(drift, len(real))
    if labels is None:
        return LossEstimate(drift, drift_error, drift_error)
    lost = (real.argmax(axis=1) == labels).astype(int) - (found.argmax(axis=1) == labels)
    right = np.mean(answers == ranks[:, None])
    return LossEstimate(
        drift,
        _standard_error(lost),
        drift_error,
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


def _binomial_error(percent: float, images: int) -> float:
    """Standard error of counting what so many percent of the images have, with one more."""
    rate = (images * percent / 100 + 1) / (images + 2)
    return 100 * float(np.sqrt(rate * (1 - rate) / (images + 2)))


def _spread(outputs: Array) -> Array:
    """The same with the least margins, as many as a root of the images, evenly from zero on.

    ``outputs`` has the largest first. No margin grows.
    """
    margin = outputs[:, 0] - outputs[:, min(1, outputs.shape[1] - 1)]
    count = int(np.ceil(np.sqrt(len(margin))))
    least = np.argsort(margin, kind="stable")[:count]
    even = margin[least[-1]] * (np.arange(count) + 0.5) / count
    spread = outputs.copy()
    spread[least, 0] -= np.maximum(margin[least] - even, 0)
    return spread


def _ranks_of_largest(outputs: Array, errors: Array, kinds: Array) -> Array:
    """Rank of the largest output of each image, with errors of images of its kind near it."""
    found = np.zeros((len(outputs), _NEAR), int)
    margin = outputs[:, 0] - outputs[:, min(1, outputs.shape[1] - 1)]
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        members = members[np.argsort(margin[members], kind="stable")]
        near = members[_neighbours(len(members))]
        disturbed = outputs[members, None] + errors[near]
        # of equal outputs the one that was smaller counts, to be on the safe side
        found[members] = disturbed.shape[2] - 1 - disturbed[:, :, ::-1].argmax(axis=2)
    return found


def _neighbours(count: int) -> Array:
    """Places of `_NEAR` of the nearest of so many in a row, others for each: ``count x _NEAR``."""
    apart = max(1, count // (_SHARE * _NEAR))
    at, width = np.arange(count), apart * _NEAR
    first = np.clip(at - width // 2, 0, max(0, count - width)) + at % apart
    found: Array = (first[:, None] + apart * np.arange(_NEAR)) % count
    return found
