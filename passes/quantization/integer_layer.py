"""The integers of one population: weights, bias and slope from real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import floor
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from qcompiler.ir import Diagnostic, Range, Spikes, UnsupportedModel
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Synapse
from qcompiler.ir.spiking.input_bounds import Bounds, Drive, Incoming
from qcompiler.ir.spiking.synapse import fan_in

from .fusion_groups import FusionGroup
from .membrane_limits import CalibratedBounds, Limits, MembraneLoad, per_slope
from .real_layer import LinearSynapse, RealLayer
from .slopes import ScaledWeights, best_slopes, ratios_of

Weights: TypeAlias = tuple[Array, ...]
Observe: TypeAlias = Callable[[Sequence[Incoming]], tuple[Bounds, int]]

_MOST_LEVELS, _MOST_AT_ENDS = 1024, 1 << 16  # inputs and outputs may have more
_OUTPUT_LEVELS = (64, 256)  # fewest and most, unless t_max is larger
_MAX_SLOPE = 1 << 15
_UNFIT = float(1 << 60)  # stands for any bias beyond all limits
_MAX_SPAN = 1 << 22  # slope times levels: what single-precision engines divide exactly
_NARROW = 1e-25  # ranges narrower than this count as one value
_NO_WEIGHT = 1e-300  # smaller weights are none
_FAR_OFF = 1 << 30  # levels that a range may lie from zero
_COSTLY = 2.0  # factor by which a proof may keep weights below what their bits allow: one bit
_ALIKE = 0.9  # share of the steepest slope that others have at least, where one suits them all
_TOGETHER = 4  # attempts after which all slopes shrink: each also moves the common threshold


class BranchSynapses(NamedTuple):
    """Synapses with integer weights W from the source of one of a group's branches."""

    branch: int
    synapse: Synapse
    weight: Array


@dataclass(frozen=True)
class IntegerLayer:
    """Synapses, bias B and slope D of a population; B and D, int64, spread over it.

    It fits its target for inputs that are ``calibrated``, or for all.
    """

    synapses: tuple[BranchSynapses, ...]
    bias: Array
    slope: Array
    calibrated: CalibratedBounds | None = None


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
        raise UnsupportedModel(
            f"the range {low:g} to {high:g} is too wide, or too far from zero, for levels"
        )
    return Spikes(shape, t_max, scale, floor(-low / scale + 0.5))


def check_levels(t_max: int, **ends: int) -> None:
    """Raise ValueError unless values, and the ends, can have so many levels; 0 is no choice."""
    if not 2 <= t_max <= _MOST_LEVELS:
        raise ValueError(f"t_max must be between 2 and {_MOST_LEVELS}, not {t_max}")
    for name, levels in ends.items():
        if levels and not 2 <= levels <= _MOST_AT_ENDS:
            raise ValueError(f"{name} must be 0 or between 2 and {_MOST_AT_ENDS}, not {levels}")


def output_levels(t_max: int, chosen: int, shape: tuple[int, ...]) -> int:
    """Levels of an output: as chosen, else enough to tell the largest from the second largest.

    That takes more, the more channels there are: one for each, from 64 to 256.
    """
    fewest, most = _OUTPUT_LEVELS
    return chosen or max(t_max, fewest, min(shape[0] if shape else 1, most))


class Rounding(Protocol):
    """How weights become integers."""

    def __call__(
        self, ratios: list[ScaledWeights], slope: Array, limit: int
    ) -> tuple[Weights, Array]:
        """Integer weights of every branch, and what to add to the real bias."""
        ...


def nearest(ratios: list[ScaledWeights], slope: Array, limit: int) -> tuple[Weights, Array]:
    """Round every weight to the nearest integer."""
    return tuple(ratio.rounded(slope) for ratio in ratios), np.zeros(())


def integer_layer_of(
    group: FusionGroup,
    real: RealLayer,
    sources: tuple[Spikes, ...],
    code: Spikes,
    limits: Limits,
    rounding: Rounding = nearest,
    observe: Observe | None = None,
) -> IntegerLayer:
    """Quantise one group, given in real numbers.

    ``sources`` are the codes of its branches' sources, in order. Where a proof for all inputs would
    cost bits of weights, ``observe`` says what calibration data do with given weights. Raises
    UnsupportedModel if a weight needs more bits than there are.
    """
    ratios = ratios_of(real, sources, code, limits.weight)
    slope = _slope(ratios, real, limits, group, code.t_max)
    top = max(source.top for source in sources)
    look: Observe | None = None
    common, steepest = False, slope
    for attempt in range(12):
        weights, bias, neuron = _rounded(ratios, real, sources, code, slope, rounding, limits)
        incoming = tuple(map(_incoming, real.branches, weights, sources))
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
            parts = _parts(real.branches, weights, limits.weight)
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
    raise UnsupportedModel(
        Diagnostic(
            "the membrane potentials, or the inputs of one step, exceed the limits of the target",
            group.origin,
            "use a smaller --t-max or fewer --weight-bits",
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
    """Integer weights of every branch, and bias and slope of the neurons, with given slopes."""
    weights, shift = rounding(ratios, slope, limits.weight)
    offset = ((real.bias + shift) / code.scale).astype(np.float64)
    neuron = np.maximum(np.rint(slope / real.gain), 1)
    bias = np.rint(neuron * (offset + code.zero)) + neuron // 2
    for branch, weight, source in zip(real.branches, weights, sources, strict=True):
        if source.zero:
            bias = bias - source.zero * fan_in(branch.synapse, weight, source.shape)
    return weights, bias, neuron


def _parts(
    branches: tuple[LinearSynapse, ...], weights: tuple[Array, ...], limit: int
) -> Iterator[BranchSynapses]:
    """Weights beyond the limit are split over several synapses."""
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
    """Largest slope of each output, or neuron, that keeps its weights within their bits.

    In one step clocks lift neurons of smaller slopes to the threshold of the steepest: none is
    steeper than that allows.
    """
    if (worst := max(r.largest.max() / r.parts for r in ratios)) * (
        gain := real.gain.max()
    ) > limits.weight + 0.5:
        raise UnsupportedModel(
            Diagnostic(
                f"one input level changes an output by {worst * gain:.0f} levels, "
                f"but the largest integer weight is {limits.weight}",
                group.origin,
                "use a larger --t-max or more --weight-bits, or calibrate with more typical data",
            )
        )
    highest = min(_MAX_SLOPE, _MAX_SPAN // (levels + 1), limits.input // levels)
    return best_slopes(ratios, np.clip(np.floor(_room(ratios, limits)), 1, highest))


def _common_slope(ratios: list[ScaledWeights], levels: int, limits: Limits) -> int:
    """One slope, or nearly, for all, where their weights leave room for more than `_slope` allows.

    0 if they do not. It pays only if bounds are calibrated: those of a proof would shrink it.
    """
    highest = min(_MAX_SLOPE, _MAX_SPAN // (levels + 1), limits.potential // levels)
    found = int(np.clip(_room(ratios, limits).min(), 0, highest))
    return found if found > limits.input // levels else 0


def _cost(ratios: list[ScaledWeights], slope: Array, excess: Array, limits: Limits) -> float:
    """The factor by which weights stay below their limit if slopes shrink; of most outputs."""
    left = slope / np.maximum(per_slope(excess, slope.shape), 1)
    return float(np.median(_room(ratios, limits) / left))


def _room(ratios: list[ScaledWeights], limits: Limits) -> Array:
    """Largest real slope of each output, or neuron, that keeps its weights within their bits."""
    largest = np.max(np.broadcast_arrays(*(r.largest / r.parts for r in ratios)), axis=0)
    room: Array = np.full_like(largest, np.inf)
    np.divide(limits.weight, largest, out=room, where=largest > _NO_WEIGHT)
    return room


def _incoming(branch: LinearSynapse, weight: Array, source: Spikes) -> Incoming:
    return Incoming(branch.synapse, weight, source.shape, source.top)
