"""The integers of one population: weights, bias and slope from real ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import Any, NamedTuple

import numpy as np

from qcompiler.ir import Constant, Diagnostic, Node, Range, Spikes, UnsupportedModel
from qcompiler.ir.ann import Affine, Conv, Dense, Pad, SumPool
from qcompiler.ir.dynamics import Dynamics, clock_weights, lines_of
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Connect, Convolve, Relay, Synapse, Window
from qcompiler.ir.synapse import fan_in

from .groups import Group

_MAX_SLOPE = 1 << 15
_UNFIT = float(1 << 60)  # stands for any bias beyond all limits
_MAX_SPAN = 1 << 22  # slope times levels: what single-precision engines divide exactly
_SHARES = np.linspace(0.99, 0.6, 40)
_SAMPLE = 512
_NARROW = 1e-25  # ranges narrower than this count as one value
_NO_WEIGHT = 1e-300  # smaller weights are none
_FAR_OFF = 1 << 30  # levels that a range may lie from zero
_FAR = 1e37  # beyond it a number stands for infinity
_BLOCK = 1 << 15
_TOGETHER = 4  # attempts after which all slopes shrink: each also moves the common threshold


class Limits(NamedTuple):
    """What a weight, a potential, and the input of one step may reach in absolute value."""

    weight: int
    potential: int
    input: int


class Real(NamedTuple):
    """A linear map as a synapse: weights, bias, and a positive gain behind both."""

    synapse: Synapse
    weight: Array
    bias: Array
    gain: Array


@dataclass(frozen=True)
class Integers:
    """Synapse, weight W, bias B and slope D of a population, integers; B and D spread over it."""

    synapse: Synapse
    weight: Array
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


def integers_of(group: Group, source: Spikes, code: Spikes, limits: Limits) -> Integers:
    """Quantise one group; UnsupportedModel if a weight needs more bits than there are."""
    real = _real(group, source)
    ratio = _Ratio(real.weight, source.scale / code.scale, isinstance(real.synapse, Relay))
    offset = (real.bias / code.scale).astype(np.float64)
    slope = _slope(ratio, real, limits, group, code.t_max)
    for attempt in range(12):
        found = _rounded(real, ratio, offset, slope, source, code)
        excess = _excess(found, source, code, limits)
        if np.all(excess <= 1):
            return found
        if attempt >= _TOGETHER:
            excess = np.maximum(excess, excess.max())
        slope = np.floor(slope / _per_output(excess, slope))
        if np.any(slope < 1):
            break
    raise UnsupportedModel(
        Diagnostic(
            f"potentials of a population do not fit into +-{limits.potential}",
            group.origin,
            "use a smaller --t-max or fewer --weight-bits",
        )
    )


def _real(group: Group, source: Spikes) -> Real:
    node = group.linear
    shape = group.result.type.shape
    if node is None:
        one = np.ones((1,) * len(shape))
        return Real(Relay(), one, np.zeros_like(one), one)
    real = _linear(node, source)
    if group.gain is None:
        return real
    scale, shift = (c.data.astype(np.float64) for c in _constants(group.gain))
    scale, shift = (_full_rank(array, len(shape)) for array in (scale, shift))
    return Real(real.synapse, real.weight, real.bias * scale + shift, scale)


def _linear(node: Node, source: Spikes) -> Real:
    rank = len(node.result.type.shape)
    one = np.ones((1,) * rank)
    channels = source.shape[0] if source.shape else 1
    match node.op:
        case Conv() as op:
            weight, bias = (c.data for c in _constants(node))
            synapse = Convolve(op.strides, op.pads, op.dilations, op.groups)
            return Real(synapse, weight, _full_rank(bias, rank), one)
        case Dense():
            weight, bias = (c.data for c in _constants(node))
            return Real(Connect(), weight, bias, one)
        case Affine():
            scale, shift = (c.data for c in _constants(node))
            return Real(Relay(), _full_rank(scale, rank), _full_rank(shift, rank), one)
        case SumPool() as op:
            synapse = Convolve(op.strides, op.pads, op.dilations, channels)
            return Real(synapse, np.ones((channels, 1, *op.kernel)), 0 * one, one)
        case Pad() as op:
            return _pad(node, op, channels)
    raise UnsupportedModel(Diagnostic(f"{node.op.mnemonic} has no spiking form", node.origin))


def _pad(node: Node, op: Pad, channels: int) -> Real:
    rank = len(op.pads) // 2
    if rank < 2 or op.pads[0] or op.pads[rank]:
        raise UnsupportedModel(
            Diagnostic("padding of the channel axis has no spiking form yet", node.origin)
        )
    if abs(op.value) > _FAR:
        raise UnsupportedModel(
            Diagnostic("padding with minus infinity stands before no max pool", node.origin)
        )
    space = rank - 1
    pads = (*op.pads[1:rank], *op.pads[rank + 1 :])
    synapse = Convolve((1,) * space, pads, (1,) * space, channels)
    filling = np.full(node.result.type.shape, op.value)
    ends = zip(filling.shape[1:], pads, pads[space:], strict=False)
    inner = (slice(None), *(slice(before, n - after) for n, before, after in ends))
    filling[inner] = 0
    one = np.ones((1,) * rank)
    return Real(
        synapse, np.ones((channels, 1, *(1,) * space)), filling if op.value else 0 * one, one
    )


def _constants(node: Node) -> tuple[Constant, ...]:
    return tuple(operand for operand in node.operands if isinstance(operand, Constant))


def _full_rank(array: Array, rank: int) -> Array:
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


class _Ratio:
    """Weights times the ratio of two codes' scales, in float64, of which few are held at once.

    ``largest`` is their largest magnitude for each output, or each of them if ``relay``.
    """

    def __init__(self, weight: Array, factor: float, relay: bool) -> None:
        self.weight, self.factor, self.relay = weight, factor, relay
        axes = () if relay else tuple(range(1, weight.ndim))
        ends = weight.max(axis=axes, keepdims=True), -weight.min(axis=axes, keepdims=True)
        self.largest: Array = np.maximum(*ends).astype(np.float64) * factor

    def sample(self) -> Array:
        """Some weights of each output, ``O x count``."""
        flat = self.weight.reshape(len(self.weight), -1)
        some = flat[:, :: max(1, flat.shape[1] // _SAMPLE)]
        result: Array = some.astype(np.float64) * self.factor
        return result

    def rounded(self, slope: Array) -> Array:
        """The nearest integers to the weights times a slope; their doubles fit their type, too."""
        peak = int(np.max(self.largest * slope)) + 1
        found = np.empty(self.weight.shape, np.min_scalar_type(-2 * peak - 1))
        for at in _blocks(self.weight):
            found[at] = np.rint(self.weight[at].astype(np.float64) * self.factor * slope[at])
        return found


def _blocks(array: Array) -> Iterator[Any]:
    """Indices of runs of outputs that are quick to work through."""
    if not array.ndim:
        yield ()
        return
    step = max(1, _BLOCK // max(1, array[0].size))
    yield from (slice(begin, begin + step) for begin in range(0, len(array), step))


def _slope(ratio: _Ratio, real: Real, limits: Limits, group: Group, levels: int) -> Array:
    """Largest slope of each output (or relay weight) that keeps its weights within their bits."""
    largest = ratio.largest
    if (worst := largest.max() * real.gain.max()) > limits.weight + 0.5:
        raise UnsupportedModel(
            Diagnostic(
                f"one level of an input moves an output by {worst:.0f} levels, "
                f"weights go to {limits.weight}",
                group.origin,
                "use a larger --t-max or more --weight-bits, or calibrate with more typical data",
            )
        )
    room = np.full_like(largest, np.inf)
    np.divide(limits.weight, largest, out=room, where=largest > _NO_WEIGHT)
    highest = min(_MAX_SLOPE, _MAX_SPAN // (levels + 1), limits.input // levels)
    steepest: Array = np.clip(np.floor(room), 1, highest)
    if ratio.relay:
        return steepest
    sample, start = ratio.sample(), steepest.reshape(-1, 1)
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


def _per_output(array: Array, slope: Array) -> Array:
    """Largest over the neurons that share a slope, but at least 1; shaped as the slopes are."""
    if array.ndim == slope.ndim:
        axes = tuple(axis for axis, length in enumerate(slope.shape) if length == 1)
        worst: Array = array.max(axis=axes, keepdims=True)
    else:
        worst = array.reshape(len(array), -1).max(axis=1)
        worst = np.broadcast_to(worst, slope.shape[:1]).reshape(slope.shape)
    return np.maximum(worst, 1)


def _rounded(
    real: Real, ratio: _Ratio, offset: Array, slope: Array, source: Spikes, code: Spikes
) -> Integers:
    weight = ratio.rounded(slope)
    over = (
        slope.reshape(-1, *(1,) * (len(code.shape) - 1))
        if weight.ndim > 1 and not ratio.relay
        else slope
    )
    neuron_slope = np.maximum(np.rint(over / real.gain), 1)
    bias = np.rint(neuron_slope * (offset + code.zero)) + neuron_slope // 2
    if source.zero:
        bias = bias - source.zero * fan_in(real.synapse, weight, source.shape)
    return Integers(
        real.synapse,
        weight,
        np.clip(bias, -_UNFIT, _UNFIT).astype(np.int64),
        neuron_slope.astype(np.int64),
    )


def _excess(found: Integers, source: Spikes, code: Spikes, limits: Limits) -> Array:
    """How far a neuron goes beyond its limits, as a factor that spreads over the neurons."""
    excite = fan_in(found.synapse, np.maximum(found.weight, 0), source.shape)
    net = fan_in(found.synapse, found.weight, source.shape)
    inhibit, top, t_max = excite - net, source.top, code.t_max
    slope = found.slope.astype(np.float64)
    reach = top * (excite + inhibit) + np.abs(found.bias) + slope * (t_max + 1)
    excess: Array = reach / limits.potential
    if limits.input < limits.potential:
        drive = clock_weights(top * excite, top * inhibit, net, found.bias, slope, t_max)
        window = Window(0, top, top + code.top)
        threshold = int(slope.max()) * t_max - 1
        lines = lines_of(drive, window)
        worst = Dynamics(excite, inhibit, top * inhibit, lines, window, threshold)
        excess = np.maximum(excess, worst.extremes(worst.silence()).input / limits.input)
    return excess
