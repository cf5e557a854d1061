"""The integers of one population: weights, bias and slope from real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import Any, NamedTuple

import numpy as np

from qcompiler.ir import Diagnostic, Range, Spikes, UnsupportedModel
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Relay, Synapse
from qcompiler.ir.synapse import fan_in

from .groups import Group
from .real import Linear, Real, real_of

_MAX_SLOPE = 1 << 15
_UNFIT = float(1 << 60)  # stands for any bias beyond all limits
_MAX_SPAN = 1 << 22  # slope times levels: what single-precision engines divide exactly
_SHARES = np.linspace(0.99, 0.6, 40)
_SAMPLE = 512
_NARROW = 1e-25  # ranges narrower than this count as one value
_NO_WEIGHT = 1e-300  # smaller weights are none
_FAR_OFF = 1 << 30  # levels that a range may lie from zero
_BLOCK = 1 << 15
_MOST_PARTS, _FEW_SYNAPSES = 8, 4


class Limits(NamedTuple):
    """What a weight, and a potential, may reach in absolute value."""

    weight: int
    potential: int


class Synapses(NamedTuple):
    """Synapses with integer weights W from the source of one of a group's branches."""

    branch: int
    synapse: Synapse
    weight: Array


@dataclass(frozen=True)
class Integers:
    """Synapses, bias B and slope D of a population; B and D, int64, spread over it."""

    synapses: tuple[Synapses, ...]
    bias: Array
    slope: Array


def code_of(
    shape: tuple[int, ...], t_max: int, bounds: Range, highest: float | None = None
) -> Spikes:
    """The code whose levels span a range, with a level that is exactly zero if the range has 0.

    ``highest`` is the upper bound of the clip that made the values, if there is one.
    """
    low, high = bounds
    if not high - low > _NARROW:
        # one value; the end of it that is a clip's bound stays
        low, high = (
            (low - 1.0, high) if highest is not None and high >= highest else (low, low + 1.0)
        )
    scale = (high - low) / (t_max - 1)
    if not (scale < 1 / _NARROW and abs(low) < scale * _FAR_OFF):
        raise UnsupportedModel(f"values from {low:g} to {high:g} cannot be told apart in levels")
    return Spikes(shape, t_max, scale, floor(-low / scale + 0.5))


def output_levels(t_max: int, chosen: int) -> int:
    """Levels of an output: as chosen, else enough to tell the largest from the second largest."""
    return chosen or max(t_max, 64)


def integers_of(
    group: Group, sources: tuple[Spikes, ...], code: Spikes, limits: Limits
) -> Integers:
    """Quantise one group; UnsupportedModel if a weight needs more bits than there are.

    ``sources`` are the codes of its branches' sources, in order.
    """
    real = real_of(group, sources)
    ratios = _ratios(real, sources, code)
    offset = (real.bias / code.scale).astype(np.float64)
    slope = _slope(ratios, real, limits, group, code.t_max)
    for _ in range(8):
        weights = tuple(ratio.rounded(slope) for ratio in ratios)
        neuron = np.maximum(np.rint(slope / real.gain), 1)
        bias = np.rint(neuron * (offset + code.zero)) + neuron // 2
        for branch, weight, source in zip(real.branches, weights, sources, strict=True):
            if source.zero:
                bias = bias - source.zero * fan_in(branch.synapse, weight, source.shape)
        reach = np.abs(bias) + neuron * (code.t_max + 1)
        for branch, weight, source in zip(real.branches, weights, sources, strict=True):
            reach = reach + source.top * fan_in(branch.synapse, np.abs(weight), source.shape)
        excess = reach / limits.potential
        if np.all(excess <= 1):
            bias = np.clip(bias, -_UNFIT, _UNFIT).astype(np.int64)
            parts = _parts(real.branches, weights, limits.weight)
            return Integers(tuple(parts), bias, neuron.astype(np.int64))
        lower = np.floor(slope / _per_slope(excess, slope))
        if np.any(lower < 1):
            break
        slope = np.where(lower < slope, _best(ratios, lower), slope)
    raise UnsupportedModel(
        Diagnostic(
            f"potentials of a population do not fit into +-{limits.potential}",
            group.origin,
            "use a smaller --t-max or fewer --weight-bits",
        )
    )


def _parts(
    branches: tuple[Linear, ...], weights: tuple[Array, ...], limit: int
) -> Iterator[Synapses]:
    """Weights beyond the limit are split over several synapses."""
    for index, (branch, weight) in enumerate(zip(branches, weights, strict=True)):
        rest, first = weight, True
        while first or rest.any():
            part = np.clip(rest, -limit, limit)
            yield Synapses(index, branch.synapse, part)
            rest, first = rest - part, False


class _Ratio:
    """Weights of a branch times the ratio of two codes' scales, of which few are held at once.

    ``largest`` is their largest magnitude for each slope, of which there is one an output or, if
    ``shape`` says so, one a neuron; ``parts`` is the number of synapses that one may be split into.
    """

    def __init__(self, branch: Linear, factor: float, shape: tuple[int, ...], parts: int) -> None:
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

    def sample(self, outputs: int) -> Array:
        """Some weights of each output, ``outputs x count``."""
        spread = np.broadcast_to(self.weight, (outputs, *self.weight.shape[1:]))
        flat = spread.reshape(outputs, -1)
        some = flat[:, :: max(1, flat.shape[1] // _SAMPLE)]
        result: Array = some.astype(np.float64) * self.factor
        return result

    def rounded(self, slope: Array) -> Array:
        """The nearest integers to the weights times a slope; their doubles fit their type, too."""
        if self.relay:
            whole: Array = np.rint(self.weight * self.factor * slope).astype(np.int64)
            return whole
        peak = int(np.max(self.largest * slope)) + 1
        found = np.empty(self.weight.shape, np.min_scalar_type(-2 * peak - 1))
        steep = slope.reshape(-1, *(1,) * (self.weight.ndim - 1))
        for at in _blocks(self.weight):
            found[at] = np.rint(self.weight[at].astype(np.float64) * self.factor * steep[at])
        return found


def _ratios(real: Real, sources: tuple[Spikes, ...], code: Spikes) -> list[_Ratio]:
    rank = len(code.shape)
    if all(isinstance(branch.synapse, Relay) for branch in real.branches):
        shape = np.broadcast_shapes(*(branch.weight.shape for branch in real.branches))
    else:
        shape = (*code.shape[:1], *(1,) * (rank - 1))
    fans = [_fan(branch) for branch in real.branches]
    room = max(sum(fans), _FEW_SYNAPSES) if len(fans) > 1 else 0
    return [
        _Ratio(branch, source.scale / code.scale, shape, _most_parts(fan, room))
        for branch, source, fan in zip(real.branches, sources, fans, strict=True)
    ]


def _fan(branch: Linear) -> float:
    """Synapses of a branch into a neuron."""
    if isinstance(branch.synapse, Relay):
        return 1.0
    return np.count_nonzero(branch.weight) / len(branch.weight)


def _most_parts(fan: float, room: float) -> int:
    """A branch of few synapses may have each of them several times, so that others keep their bits.

    This at most doubles the synapses of the population.
    """
    return int(np.clip(room // max(fan, 1), 1, _MOST_PARTS))


def _blocks(array: Array) -> Iterator[Any]:
    """Indices of runs of outputs that are quick to work through."""
    step = max(1, _BLOCK // max(1, array[0].size))
    yield from (slice(begin, begin + step) for begin in range(0, len(array), step))


def _slope(ratios: list[_Ratio], real: Real, limits: Limits, group: Group, levels: int) -> Array:
    """Largest slope of each output, or neuron, that keeps its weights within their bits."""
    if (worst := max(r.largest.max() / r.parts for r in ratios)) * (
        gain := real.gain.max()
    ) > limits.weight + 0.5:
        raise UnsupportedModel(
            Diagnostic(
                f"one level of an input moves an output by {worst * gain:.0f} levels, "
                f"weights go to {limits.weight}",
                group.origin,
                "use a larger --t-max or more --weight-bits, or calibrate with more typical data",
            )
        )
    largest = np.max(np.broadcast_arrays(*(r.largest / r.parts for r in ratios)), axis=0)
    room = np.full_like(largest, np.inf)
    np.divide(limits.weight, largest, out=room, where=largest > _NO_WEIGHT)
    highest = min(_MAX_SLOPE, _MAX_SPAN // (levels + 1))
    return _best(ratios, np.clip(np.floor(room), 1, highest))


def _best(ratios: list[_Ratio], steepest: Array) -> Array:
    """Of slopes up to the given ones, those with the least rounding; relays take the largest."""
    if all(ratio.relay for ratio in ratios):
        return steepest
    samples = [ratio.sample(len(steepest)) for ratio in ratios]
    sample, start = np.concatenate(samples, axis=1), steepest.reshape(-1, 1)
    best = [_closest(sample[at], start[at]) for at in _blocks(sample)]
    return np.concatenate(best).reshape(steepest.shape)


def _closest(ratio: Array, slope: Array) -> Array:
    """Of some slopes up to the largest, the one whose rounded weights are closest to the real."""
    best, least = slope, _error(ratio, slope)
    for share in _SHARES:
        tried = np.maximum(np.floor(slope * share), 1)
        error = _error(ratio, tried)
        best, least = np.where(error < least, tried, best), np.minimum(error, least)
    return best


def _error(ratio: Array, slope: Array) -> Array:
    result: Array = ((np.rint(ratio * slope) / slope - ratio) ** 2).sum(axis=1, keepdims=True)
    return result


def _per_slope(array: Array, slope: Array) -> Array:
    """Largest over the neurons that share a slope, but at least 1; shaped as the slopes are."""
    axes = tuple(axis for axis, length in enumerate(slope.shape) if length == 1)
    worst: Array = array.max(axis=axes, keepdims=True)
    return np.maximum(worst, 1)
