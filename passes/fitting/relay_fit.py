"""Round the weights of sums together: of segments of a function, of digits, of skip connections.

Each neuron has one synapse from each of a few sources, whose levels rise and fall together, as
those of segments do. Then rounding errors of one sign add up. With errors ``e`` of the weights the
sum has the squared error ``e G e``, where G is the covariance of the levels on calibration data;
its mean goes into the bias.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Relay
from qcompiler.passes.quantization.real_layer import RealLayer
from qcompiler.passes.quantization.rounding import Weights
from qcompiler.passes.quantization.slopes import ScaledWeights

from .samples import SamplePositions, sample_positions

_ENTRIES = 1 << 24  # of the levels that are looked at
_FEWEST = 8  # rows; fewer are too few to fit
_MOST = 64  # sources
_SWEEPS = 16  # over all weights, at most; a few do


class RelayFit:
    """The covariance of the levels of a sum's sources, ``channels x sources x sources``.

    There is one channel if all have the same weights. ``mean`` holds the mean levels above zero,
    ``sources x channels``.
    """

    def __init__(
        self, levels: Sequence[Array], codes: Sequence[Spikes], code: Spikes, channels: int
    ) -> None:
        self.scale, zeros = code.scale, [source.zero for source in codes]
        rows = max(1, _ENTRIES // (len(levels) * code.shape[0] if code.shape else len(levels)))
        shape = np.broadcast_shapes(*(array.shape for array in levels))
        places = sample_positions(shape[1:], shape[0], len(levels), rows)
        given = [_rows(array, places, channels) - z for array, z in zip(levels, zeros, strict=True)]
        seen = np.stack(np.broadcast_arrays(*given))
        self.mean = seen.mean(axis=1)
        seen = (seen - self.mean[:, None]).transpose(2, 0, 1)
        self.covariance = seen @ seen.transpose(0, 2, 1) / seen.shape[2]

    def rounded(
        self, ratios: list[ScaledWeights], slope: Array, limit: int
    ) -> tuple[Weights, Array, Collection[int]]:
        """Integer weights and a correction of the bias; implements `Rounding`."""
        exact = np.stack(
            [np.broadcast_to(r.weight * r.factor * slope, slope.shape).ravel() for r in ratios]
        )
        most = np.array([limit * ratio.parts for ratio in ratios], np.float64)[:, None]
        found = rounded_together(exact, most, self.covariance)
        lost = ((found - exact) * self.mean).sum(axis=0).reshape(slope.shape)
        weights = tuple(row.reshape(slope.shape).astype(np.int64) for row in found)
        return weights, -lost / slope * self.scale, range(len(ratios))


def relay_fit(
    real: RealLayer, levels: Sequence[Array], codes: Sequence[Spikes], code: Spikes
) -> RelayFit | None:
    """What a layer of relays alone rounds by; None if it is another, or there are too few data.

    ``levels`` holds ``images x shape`` of each source.
    """
    branches = real.branches
    if not 1 < len(branches) <= _MOST or any(not isinstance(b.synapse, Relay) for b in branches):
        return None
    shape = np.broadcast_shapes(*(branch.weight.shape for branch in branches))
    fixed = any(length > 1 for length in shape[1:]) or np.any(real.gain != 1)
    if fixed or max(map(len, levels)) * int(np.prod(code.shape[1:])) < _FEWEST:
        return None
    return RelayFit(levels, codes, code, shape[0] if shape else 1)


def rounded_together(exact: Array, most: Array, covariance: Array) -> Array:
    """Whole numbers near ``exact``, ``sources x channels``, of little error in their sum.

    From the nearest ones, and from each the nearest that makes up for those before it, one after
    another moves to the best as long as the error falls.
    """
    nearest = np.clip(np.rint(exact), -most, most)
    ahead = exact.copy()
    for at in np.argsort(-covariance.diagonal(axis1=1, axis2=2).mean(axis=0)):
        ahead[at] += _better(ahead - exact, at, covariance, exact[at])
        ahead[at] = np.clip(ahead[at], -most[at], most[at])
    ways = [_descended(start, exact, most, covariance) for start in (nearest, ahead)]
    errors = [np.einsum("ic,cij,jc->c", way - exact, covariance, way - exact) for way in ways]
    found: Array = np.where(errors[1] < errors[0], ways[1], ways[0])
    return found


def _descended(found: Array, exact: Array, most: Array, covariance: Array) -> Array:
    found = found.copy()
    for _ in range(_SWEEPS):
        before = found.copy()
        for at in range(len(found)):
            found[at] += _better(found - exact, at, covariance, found[at])
            found[at] = np.clip(found[at], -most[at], most[at])
        if np.array_equal(before, found):
            break
    return found


def _better(error: Array, at: int, covariance: Array, now: Array) -> Array:
    """By how much one row of whole numbers is best changed; ``now`` is what becomes whole."""
    own = covariance[:, at, at]
    slope = np.einsum("cj,jc->c", covariance[:, at], error)
    wanted = now - slope / np.where(own > 0, own, np.inf)
    found: Array = np.rint(wanted) - now
    return found


def _rows(levels: Array, places: SamplePositions, channels: int) -> Array:
    """The levels at some positions, ``rows x channels``."""
    found = places.of(levels).astype(np.float32)
    return found if channels > 1 else found.reshape(-1, 1)
