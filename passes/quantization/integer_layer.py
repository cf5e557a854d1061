"""Quantize one fusion group: its integer weights W, bias B and slope D.

`integer_layer_of` is the entry point. `code_of` computes scale and zero point, ``_slope`` the slope
D, and ``_rounded`` the weights W and the bias B. If the membrane or the input of one step exceeds a
limit of the target, `integer_layer_of` lowers the slopes and tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from math import floor
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from qcompiler.ir import Diagnostic, Range, Spikes, UnsupportedModel
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Synapse
from qcompiler.ir.spiking.input_bounds import Bounds, Drive, Incoming
from qcompiler.ir.spiking.synapse import weight_sums

from .fusion_groups import FusionGroup
from .membrane_limits import CalibratedBounds, Limits, MembraneLoad, per_slope
from .real_layer import LinearSynapse, RealLayer
from .slopes import ScaledWeights, best_slopes, bits_for, ratios_of

Weights: TypeAlias = tuple[Array, ...]
Observe: TypeAlias = Callable[[Sequence[Incoming]], tuple[Bounds, int]]

_MOST_LEVELS, _MOST_AT_ENDS = 1024, 1 << 16  # inputs and outputs may have more
_OUTPUT_LEVELS = (64, 256)  # fewest and most, unless t_max is larger
MAX_SLOPE = 1 << 15
_UNFIT = float(1 << 60)  # stands for any bias beyond all limits
MAX_SPAN = 1 << 22  # slope times levels: what single-precision engines divide exactly
_NARROW = 1e-25  # ranges narrower than this count as one value
_NO_WEIGHT = 1e-300  # smaller weights are none
_FAR_OFF = 1 << 30  # levels that a range may lie from zero
_COSTLY = 2.0  # factor by which a proof may keep weights below what their bits allow: one bit
_ALIKE = 0.9  # share of the steepest slope that others have at least, where one suits them all
_EVEN_BITS = 8  # most weight bits of Loihi
_TOGETHER = 4  # attempts after which all slopes shrink: each also moves the common threshold


class ExceededLimits(UnsupportedModel):
    """Membrane potentials or inputs beyond the limits of a target: with a coarser code they fit."""


class BranchSynapses(NamedTuple):
    """Synapses with integer weights W from the source of the branch with this index."""

    branch: int
    synapse: Synapse
    weight: Array


@dataclass(frozen=True)
class IntegerLayer:
    """Synapses, bias B and slope D of a population; B and D are int64 and broadcast over it.

    The limits of the target hold within the bounds ``calibrated``; None means for all inputs.
    """

    synapses: tuple[BranchSynapses, ...]
    bias: Array
    slope: Array
    calibrated: CalibratedBounds | None = None


def code_of(
    shape: tuple[int, ...], t_max: int, bounds: Range, highest: float | None = None
) -> Spikes:
    """Scale and zero point whose levels span a range; 0 is a level if the range contains it.

    ``highest`` is the upper bound of the clip in front, if any. Raises UnsupportedModel if the
    range is too wide or too far from zero.
    """
    low, high = bounds
    if not high - low > _NARROW:
        low, high = _around(low, t_max - 1, highest is not None and high >= highest)
    scale = (high - low) / (t_max - 1)
    if not (scale < 1 / _NARROW and abs(low) < scale * _FAR_OFF):
        raise UnsupportedModel(
            f"the range {low:g} to {high:g} is too wide, or too far from zero, for levels"
        )
    return Spikes(shape, t_max, scale, floor(-low / scale + 0.5))


def _around(value: float, top: int, is_bound: bool) -> Range:
    """A range about 1 wide in which a single value is a level: the lowest, or a clip's bound."""
    size = abs(value)
    width = top * size / max(1, round(top * size)) if size > _NARROW else 1.0
    return (value - width, value) if is_bound else (value, value + width)


def check_levels(t_max: int, **ends: int) -> None:
    """Raise ValueError unless ``t_max``, and ``ends`` (0: default), are supported level counts."""
    if not 2 <= t_max <= _MOST_LEVELS:
        raise ValueError(f"t_max must be between 2 and {_MOST_LEVELS}, not {t_max}")
    for name, levels in ends.items():
        if levels and not 2 <= levels <= _MOST_AT_ENDS:
            raise ValueError(f"{name} must be 0 or between 2 and {_MOST_AT_ENDS}, not {levels}")


def check_weight_bits(bits: int) -> None:
    """Raise ValueError unless integer weights of this many bits are supported."""
    if not 2 <= bits <= 16:
        raise ValueError(f"weight_bits must be between 2 and 16, not {bits}")


def output_levels(t_max: int, chosen: int, shape: tuple[int, ...]) -> int:
    """Levels of an output: ``chosen``, or if 0 the default.

    The default is t_max, but at least one level per channel between 64 and 256: the more classes,
    the more levels it takes to separate the largest logit from the second largest.
    """
    fewest, most = _OUTPUT_LEVELS
    return chosen or max(t_max, fewest, min(shape[0] if shape else 1, most))


class Rounding(Protocol):
    """How weights become integers."""

    def __call__(
        self, ratios: list[ScaledWeights], slope: Array, limit: int
    ) -> tuple[Weights, Array, Collection[int]]:
        """Integer weights of every branch, and a correction of the real bias.

        Also the indices of the branches whose rounding errors the correction makes up for.
        """
        ...


def nearest(
    ratios: list[ScaledWeights], slope: Array, limit: int
) -> tuple[Weights, Array, Collection[int]]:
    """Round every weight to the nearest integer."""
    return tuple(ratio.rounded(slope) for ratio in ratios), np.zeros(()), ()


def integer_layer_of(
    group: FusionGroup,
    real: RealLayer,
    sources: tuple[Spikes, ...],
    code: Spikes,
    limits: Limits,
    rounding: Rounding = nearest,
    observe: Observe | None = None,
) -> IntegerLayer:
    """Quantize one fusion group.

    ``real`` holds its weights, bias and gain in real numbers, ``sources`` the codes of the
    branches' sources in order, ``code`` that of the result. If a proof of the limits for all inputs
    would cost weight bits, ``observe`` measures the bounds on calibration data. Raises
    UnsupportedModel, with the ONNX nodes, if weights do not fit the limits, ExceededLimits if
    membrane potentials or inputs do not.
    """
    ratios = ratios_of(real, sources, code, limits.weight)
    slope = _slope(ratios, real, limits, group, code.t_max)
    top = max(source.top for source in sources)
    look: Observe | None = None
    common, steepest = False, slope
    for attempt in range(12):
        weights, bias, neuron = _rounded(ratios, real, sources, code, slope, rounding, limits)
        incoming = tuple(map(incoming_of, real.branches, weights, sources))
        load = MembraneLoad(Drive.of(incoming), top, bias, neuron, code.t_max, limits)
        excess, calibrated = load.excess(), None
        if attempt == 0 and observe and _cost(ratios, slope, excess, limits) > _COSTLY:
            look = observe
            if steeper := _common_slope(ratios, code.t_max, limits):
                common, steepest = True, np.full_like(slope, steeper)
                slope = best_slopes(ratios, steepest, _ALIKE)
                continue
        if look and np.any(excess > 1):
            calibrated = CalibratedBounds.of(*look(incoming), load, slope.shape)
            excess = calibrated.excess
        if np.all(excess <= 1):
            bias = np.clip(bias, -_UNFIT, _UNFIT).astype(np.int64)
            parts = split_weights(real.branches, weights, limits.weight)
            return IntegerLayer(tuple(parts), bias, neuron.astype(np.int64), calibrated)
        if common and attempt >= _TOGETHER:  # the best slopes, which exceed, lie below the steepest
            steepest = np.minimum(steepest, slope.min())
        if common or attempt >= _TOGETHER:
            excess = np.maximum(excess, excess.max())
        lower = np.floor(steepest / np.maximum(per_slope(excess, slope.shape), 1))
        if np.any(lower < 1):
            break
        best = best_slopes(ratios, lower, _ALIKE) if common else best_slopes(ratios, lower)
        slope = np.where(lower < slope, best, slope)
        steepest = lower if common else slope
    raise ExceededLimits(
        Diagnostic(
            "the membrane potentials, or the inputs of one step, exceed the limits of the target",
            group.origin,
            "use a smaller --t-max"
            + (", or --target reference" if limits.input < limits.potential else ""),
        )
    )


def _rounded(
    ratios: list[ScaledWeights],
    real: RealLayer,
    sources: tuple[Spikes, ...],
    code: Spikes,
    slope: Array,
    rounding: Rounding,
    limits: Limits,
) -> tuple[Weights, Array, Array]:
    """Integer weights W of every branch, bias B and slopes of the neurons, for channel slopes D.

    ``B = round(N (b / s_y + z_y)) + N // 2 - sum of z_x W``, where b is the corrected real bias and
    N the slope of the neuron, ``round(D / gain)``. With half a slope added, the floor of
    ``(W q + B) / N`` is the nearest level. If no level of a source
    stands for zero, rounding the weights would shift all sums. B then makes up for that at the
    middle level, unless the correction already does.
    """
    weights, bias_correction, corrected = rounding(ratios, slope, limits.weight)
    offset = ((real.bias + bias_correction) / code.scale).astype(np.float64)
    neuron_slope = np.maximum(np.rint(slope / real.gain), 1)
    bias = np.rint(neuron_slope * (offset + code.zero)) + neuron_slope // 2
    for index, (branch, weight, source) in enumerate(
        zip(real.branches, weights, sources, strict=True)
    ):
        if source.zero:
            bias = bias - source.zero * weight_sums(branch.synapse, weight, source.shape)
        if index not in corrected and not 0 <= source.zero <= source.top:
            lost = ratios[index].lost(slope, weight)
            missing = weight_sums(branch.synapse, lost, source.shape)
            bias = bias + np.rint(missing * (source.top / 2 - source.zero))
    return weights, bias, neuron_slope


def split_weights(
    branches: tuple[LinearSynapse, ...], weights: tuple[Array, ...], limit: int
) -> Iterator[BranchSynapses]:
    """Split weights beyond the limit over several parallel synapses."""
    for index, (branch, weight) in enumerate(zip(branches, weights, strict=True)):
        rest = weight
        while rest.max() > limit or rest.min() < -limit:
            part = np.clip(rest, -limit, limit)
            yield BranchSynapses(index, branch.synapse, part)
            rest = rest - part
        yield BranchSynapses(index, branch.synapse, rest)


def _slope(
    ratios: list[ScaledWeights], real: RealLayer, limits: Limits, group: FusionGroup, levels: int
) -> Array:
    """The largest slope of each output channel, or neuron, that keeps weights within their bits.

    Clocks lift neurons of smaller slopes to the common threshold in one step, so the limit of the
    input of one step bounds the slope as well.
    """
    _check_steepness(ratios, real, limits, group)
    highest = max(1, min(MAX_SLOPE, MAX_SPAN // (levels + 1), limits.input // levels))
    return best_slopes(ratios, np.clip(np.floor(_room(ratios, limits)), 1, highest))


def check_steepness(
    group: FusionGroup, real: RealLayer, sources: tuple[Spikes, ...], code: Spikes, limits: Limits
) -> None:
    """Raise UnsupportedModel if weights of a group exceed their limit at a slope of 1."""
    _check_steepness(ratios_of(real, sources, code, limits.weight), real, limits, group)


def _check_steepness(
    ratios: list[ScaledWeights], real: RealLayer, limits: Limits, group: FusionGroup
) -> None:
    if (worst := max(r.largest.max() / r.parts for r in ratios)) * (
        gain := real.gain.max()
    ) > limits.weight + 0.5:
        raise UnsupportedModel(
            Diagnostic(
                f"one input level changes an output by {worst * gain:.0f} levels, "
                f"but the largest integer weight is {limits.weight}",
                group.origin,
                _less_steep(max(float(r.largest.max()) for r in ratios) * gain),
            )
        )


def _less_steep(largest: float) -> str:
    """What helps against a weight as large as this at a slope of 1."""
    if (bits := bits_for(largest)) is None:
        return "give the layer smaller weights, or clip its result to a wider range"
    return f"use --weight-bits {bits}" + (", and --target reference" if bits > _EVEN_BITS else "")


def _common_slope(ratios: list[ScaledWeights], levels: int, limits: Limits) -> int:
    """One common slope for all channels, if their weights allow more than `_slope` does; else 0.

    It pays only with calibrated bounds: the bounds of a proof would lower it again.
    """
    highest = min(MAX_SLOPE, MAX_SPAN // (levels + 1), limits.potential // levels)
    found = int(np.clip(_room(ratios, limits).min(), 0, highest))
    return found if found > limits.input // levels else 0


def _cost(ratios: list[ScaledWeights], slope: Array, excess: Array, limits: Limits) -> float:
    """Median factor by which weights stay below their limit if slopes shrink by ``excess``."""
    left = slope / np.maximum(per_slope(excess, slope.shape), 1)
    return float(np.median(_room(ratios, limits) / left))


def _room(ratios: list[ScaledWeights], limits: Limits) -> Array:
    """Largest real-valued slope of each output channel, or neuron, that its weights allow."""
    largest = np.max(np.broadcast_arrays(*(r.largest / r.parts for r in ratios)), axis=0)
    room: Array = np.full_like(largest, np.inf)
    np.divide(limits.weight, largest, out=room, where=largest > _NO_WEIGHT)
    return room


def incoming_of(branch: LinearSynapse, weight: Array, source: Spikes) -> Incoming:
    """The weights of a branch with the shape and highest level of its source."""
    return Incoming(branch.synapse, weight, source.shape, source.top)
