"""Choose the slope D of each neuron so that rounding the weights costs least."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Relay

from .real_layer import LinearSynapse, RealLayer

_SHARES = np.linspace(0.99, 0.6, 40)
_SAMPLE = 512
_BLOCK = 1 << 14
MOST_PARTS = 64  # times the largest weight, in parallel synapses: see `split_weights`
ALIKE_PARTS, FINE_PARTS = 8, 2  # parallel synapses whose weights have the same unit; of fine ones
_FEW_SYNAPSES = 4
_SMALL_FAN = 64  # synapses of a neuron up to which parallel ones are added for precision
_MORE_SYNAPSES = 2  # times the synapses of a neuron whose branches are all so small
# Squared error of rounding weights, in that of rounding to levels; the latter if precision counts.
_COARSE, _FINE = 4.0, 1.0
_MOST_BITS = 16


class ScaledWeights:
    """The weights of a branch, times the ratio of input scale to output scale (``factor``).

    ``largest`` holds the largest magnitude per slope; ``shape`` is the shape of the slopes: one per
    output channel or per neuron. ``parts`` is the number of parallel synapses per weight.
    """

    def __init__(
        self, branch: LinearSynapse, factor: float, shape: tuple[int, ...], parts: int
    ) -> None:
        self.weight, self.factor, self.parts = branch.weight, factor, parts
        self.relay = isinstance(branch.synapse, Relay)
        weight = branch.weight
        if self.relay:
            axes = tuple(axis for axis, length in enumerate(shape) if length == 1)
        else:
            axes = tuple(range(1, weight.ndim))
        ends = weight.max(axis=axes, keepdims=True), -weight.min(axis=axes, keepdims=True)
        largest = np.maximum(*ends).astype(np.float64) * factor
        self.largest: Array = largest if self.relay else largest.reshape(shape)

    def split(self, limit: float) -> None:
        """Raise ``parts`` until no weight exceeds the limit at slope 1, if possible."""
        needed = int(np.ceil(self.largest.max() / (limit + 0.5)))
        if needed <= MOST_PARTS:
            self.parts = max(self.parts, needed)

    def sample(self, outputs: int) -> Array:
        """Some weights of each output, ``outputs x count``."""
        spread = np.broadcast_to(self.weight, (outputs, *self.weight.shape[1:]))
        flat = spread.reshape(outputs, -1)
        some = flat[:, :: max(1, flat.shape[1] // _SAMPLE)]
        result: Array = some.astype(np.float64) * self.factor
        return result

    def rounded(self, slope: Array) -> Array:
        """The weights times the slope, rounded to nearest; the type also holds twice the values."""
        if self.relay:
            whole: Array = np.rint(self.weight * self.factor * slope).astype(np.int64)
            return whole
        peak = int(np.max(self.largest * slope)) + 1
        found = np.empty(self.weight.shape, np.min_scalar_type(-2 * peak - 1))
        steep = slope.reshape(-1, *(1,) * (self.weight.ndim - 1))
        for at in _blocks(self.weight):
            found[at] = np.rint(self.weight[at].astype(np.float64) * self.factor * steep[at])
        return found

    def lost(self, slope: Array, weight: Array) -> Array:
        """The real weights times the slope, less these integer weights."""
        steep = slope if self.relay else slope.reshape(-1, *(1,) * (self.weight.ndim - 1))
        exact = self.weight.astype(np.float64) * self.factor * steep
        found: Array = exact - weight
        return found


def bits_for(largest: float) -> int | None:
    """The fewest weight bits that hold a weight in parallel synapses; None if there are none."""
    bits = (b for b in range(2, _MOST_BITS + 1) if largest <= MOST_PARTS * ((1 << (b - 1)) - 0.5))
    return next(bits, None)


def ratios_of(
    real: RealLayer, sources: tuple[Spikes, ...], code: Spikes, limit: int, fine: bool = False
) -> list[ScaledWeights]:
    """The scaled weights of each branch, in levels of the result per level of the source.

    ``limit`` is the largest integer weight. Where layers are small, ``fine`` ones are as precise as
    levels.
    """
    rank = len(code.shape)
    if all(isinstance(branch.synapse, Relay) for branch in real.branches):
        shape = np.broadcast_shapes(*(branch.weight.shape for branch in real.branches))
    else:
        shape = (*code.shape[:1], *(1,) * (rank - 1))
    fans = [_fan(branch) for branch in real.branches]
    room = max(*fans, _FEW_SYNAPSES) if len(fans) > 1 else 0
    found = [
        ScaledWeights(branch, source.scale / code.scale, shape, _most_parts(fan, room))
        for branch, source, fan in zip(real.branches, sources, fans, strict=True)
    ]
    for ratio in found:
        ratio.split(limit)
    if len(found) > 1 or fine:
        _sharpen(found, fans, sources, limit, fine)
    return found


def _sharpen(
    ratios: list[ScaledWeights],
    fans: list[float],
    sources: tuple[Spikes, ...],
    limit: float,
    fine: bool,
) -> None:
    """Raise ``parts`` of the branches that hold down the slope of a layer of few inputs.

    The digits of an input and the bits of a product have weights of very unlike size. If the
    largest alone determined the slope, the small ones would become 0 or 1.
    """
    noise = sum(fan * source.top**2 for fan, source in zip(fans, sources, strict=True)) / 3
    most = max(_SMALL_FAN, _MORE_SYNAPSES * sum(fans) if max(fans) <= _SMALL_FAN else 0)
    coarse, alike = (_FINE, FINE_PARTS) if fine else (_COARSE, ALIKE_PARTS)
    peaks = [float(ratio.largest.max()) for ratio in ratios]
    while True:
        room = [limit * r.parts / max(p, 1e-100) for r, p in zip(ratios, peaks, strict=True)]
        at = int(np.argmin(room))
        used = sum(f * min(r.parts, alike) for f, r in zip(fans, ratios, strict=True))
        more = fans[at] if ratios[at].parts < alike else 0.0
        if noise <= coarse * room[at] ** 2 or used + more > most:
            break
        if ratios[at].parts >= MOST_PARTS:
            break
        ratios[at].parts += 1


def _fan(branch: LinearSynapse) -> float:
    """Mean fan-in of a neuron from this branch."""
    if isinstance(branch.synapse, Relay):
        return 1.0
    return np.count_nonzero(branch.weight) / len(branch.weight)


def _most_parts(fan: float, room: float) -> int:
    """How many parallel synapses a branch may use per weight.

    A branch of small fan-in may use several, so that the others keep their weight bits. Its fan-in
    then stays below that of the branch with the largest.
    """
    return int(np.clip(room // max(fan, 1), 1, ALIKE_PARTS))


def _blocks(array: Array) -> Iterator[Any]:
    """Slices of outputs, sized for speed."""
    step = max(1, _BLOCK // max(1, array[0].size))
    yield from (slice(begin, begin + step) for begin in range(0, len(array), step))


def best_slopes(ratios: list[ScaledWeights], steepest: Array, least: float = _SHARES[-1]) -> Array:
    """The slopes with the least rounding error, between ``least`` and 1 times ``steepest``.

    If all branches are relays, the steepest slopes.
    """
    if all(ratio.relay for ratio in ratios):
        return steepest
    samples = [ratio.sample(len(steepest)) for ratio in ratios]
    sample, start = np.concatenate(samples, axis=1), steepest.reshape(-1, 1)
    best = [_closest(sample[at], start[at], least) for at in _blocks(sample)]
    return np.concatenate(best).reshape(steepest.shape)


def _closest(ratio: Array, slope: Array, alike: float) -> Array:
    """Of some slopes up to the largest, the one with the least squared rounding error."""
    best, least = slope, _error(ratio, slope)
    for share in _SHARES[alike <= _SHARES]:
        tried = np.maximum(np.floor(slope * share), 1)
        error = _error(ratio, tried)
        best, least = np.where(error < least, tried, best), np.minimum(error, least)
    return best


def _error(ratio: Array, slope: Array) -> Array:
    apart: Array = ratio * slope
    apart -= np.rint(apart)
    result: Array = np.einsum("oi,oi->o", apart, apart)[:, None] / slope**2
    return result
