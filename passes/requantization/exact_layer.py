"""Layers of a quantised model: its own integer weights, and slopes that round as it does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Relay
from qcompiler.ir.spiking.input_bounds import Drive
from qcompiler.ir.spiking.synapse import weight_sums
from qcompiler.passes.quantization.calibrated_bounds import CalibratedBounds
from qcompiler.passes.quantization.integer_layer import (
    IntegerLayer,
    Observe,
    incoming_of,
    split_weights,
)
from qcompiler.passes.quantization.membrane_limits import Limits, MembraneLoad, per_slope
from qcompiler.passes.quantization.real_layer import RealLayer
from qcompiler.passes.quantization.slope_limits import MAX_SLOPE, MAX_SPAN

from .relay_sums import RelaySums
from .requantization import Requantization, Sums, requantization_of
from .weight_grids import coarser_weights, joint_grid

_MOST_PARTS = 16  # parallel synapses a weight
_SMALL_FAN = 8  # synapses of a neuron up to which parallel ones are cheap on a chip, too
_WORTH = 2  # times fewer sums that round otherwise
_ATTEMPTS = 8
_FAINT = 0.01  # levels, too few to tell from the rounding of a model in single precision


class ExactLayer(NamedTuple):
    """A layer, and of how many attainable sums how many round otherwise than in the model.

    ``apart`` says whether any of these rounds to a level that is not next to the model's.
    """

    layer: IntegerLayer
    sums: int
    otherwise: int
    apart: bool


def exact_layer_of(
    real: RealLayer,
    sources: tuple[Spikes, ...],
    code: Spikes,
    limits: Limits,
    observe: Observe | None,
) -> ExactLayer | None:
    """The integer layer with the weights of a quantised model.

    None if the weights are no integers times one number for each channel, or the layer does not fit
    the limits with them.
    """
    rank = len(code.shape)
    outputs = max(len(branch.weight) for branch in real.branches)
    if np.any(real.gain != 1) or real.bias.size not in (1, outputs) or not rank:
        return None
    factors = [source.scale / code.scale for source in sources]
    if (grid := joint_grid(real.branches, factors, outputs)) is None:
        return _relay_layer(
            _Search(real, sources, code, limits, observe, [], np.ones(1), np.zeros(1))
        )
    steepest = min(MAX_SLOPE, MAX_SPAN // (code.t_max + 1))
    integers, unit, missed = coarser_weights(*grid, sources, steepest)
    largest = np.max([np.abs(w).reshape(outputs, -1).max(axis=1) for w in integers], axis=0)
    if largest.max() > limits.weight * _MOST_PARTS:
        return None
    search = _Search(real, sources, code, limits, observe, integers, unit, missed)
    found = search.layer(limits.weight // np.maximum(largest, 1))
    on_chip = limits.input < limits.potential
    few = max(np.count_nonzero(w) for w in integers) <= _SMALL_FAN * outputs
    if found is not None and (found.otherwise == 0 or (on_chip and not few)):
        return found
    split = search.layer(_MOST_PARTS * limits.weight // np.maximum(largest, 1))
    if split is None or split.otherwise == 0:
        return split or found
    if found is None:
        return None
    worth = on_chip and split.otherwise < found.otherwise / _WORTH
    return split if worth or (found.apart and not split.apart) else found


@dataclass(frozen=True)
class _Search:
    """The layer with these integer weights, times a factor for each channel.

    ``missed`` bounds by how many levels these weights change the model's sums.
    """

    real: RealLayer
    sources: tuple[Spikes, ...]
    code: Spikes
    limits: Limits
    observe: Observe | None
    integers: list[Array]
    unit: Array
    missed: Array

    def layer(self, most: Array) -> ExactLayer | None:
        """The best layer within the limits; ``most`` are the largest factors."""
        sums = _sums(self.real, self.sources, self.code, self.integers, self.unit)
        levels = self.code.t_max
        steepest, most = min(MAX_SLOPE, MAX_SPAN // (levels + 1)), np.maximum(most, 1)
        unsure = self.missed > _FAINT
        for _ in range(_ATTEMPTS):
            chosen = requantization_of(sums, levels, self.code.zero, most, steepest)
            if chosen is None:
                return None
            layer, excess = self.within(chosen)
            if layer is not None:
                every = sums.high - sums.low + 1
                otherwise = int(np.where(unsure, every, chosen.otherwise).sum())
                apart = chosen.apart or bool(np.any(self.missed >= 1))
                return ExactLayer(layer, int(every.sum()), otherwise, apart)
            if chosen.times.max() <= 1:
                return None
            most = np.maximum(np.floor(np.minimum(most, chosen.times) / np.maximum(excess, 1)), 1)
        return None

    def within(self, chosen: Requantization) -> tuple[IntegerLayer | None, Array]:
        """The layer, None if it exceeds the limits; and by how much each channel exceeds them."""
        code, sources, branches = self.code, self.sources, self.real.branches
        shape = (-1, *(1,) * (len(code.shape) - 1))
        slope, bias = chosen.slope.reshape(shape), chosen.bias.reshape(shape)
        weights = tuple(_times(w, chosen.times) for w in self.integers)
        for branch, weight, source in zip(branches, weights, sources, strict=True):
            if source.zero:
                bias = bias - source.zero * weight_sums(branch.synapse, weight, source.shape)
        incoming = tuple(map(incoming_of, branches, weights, sources))
        top = max(source.top for source in sources)
        load = MembraneLoad(Drive.of(incoming), top, bias, slope, code.t_max, self.limits)
        excess, calibrated = load.excess(), None
        if self.observe and np.any(excess > 1):
            calibrated = CalibratedBounds.of(*self.observe(incoming), load, slope.shape)
            excess = calibrated.excess
        over = per_slope(excess + 0 * slope, slope.shape)
        if np.any(over > 1):
            return None, over.reshape(-1)
        parts = tuple(split_weights(branches, weights, self.limits.weight))
        layer = IntegerLayer(parts, bias.astype(np.int64), slope.astype(np.int64), calibrated)
        return layer, over.reshape(-1)


def _relay_layer(search: _Search) -> ExactLayer | None:
    """A sum of values of unlike scales; None if it is none, or does not fit."""
    real, sources, code, limits = search.real, search.sources, search.code, search.limits
    weights = [branch.weight for branch in real.branches]
    alike = all(w.size == 1 for w in weights) and real.bias.size == 1
    if not alike or not all(isinstance(branch.synapse, Relay) for branch in real.branches):
        return None
    scales = [source.scale / code.scale for source in sources]
    ratios = np.array([float(w.reshape(())) * s for w, s in zip(weights, scales, strict=True)])
    offset = float(real.bias.reshape(())) / code.scale + code.zero
    sums = RelaySums(ratios, offset, sources, code)
    largest = np.abs(ratios).max()
    if not sums.countable or not largest > 0:
        return None
    room = int(_MOST_PARTS * limits.weight / largest)
    steepest = min(MAX_SLOPE, MAX_SPAN // (code.t_max + 1), room)
    while steepest >= 1:
        integers, chosen = sums.best(steepest)
        shaped = [np.full(w.shape, n) for w, n in zip(weights, integers, strict=True)]
        layer, _ = replace(search, integers=shaped).within(chosen)
        if layer is not None:
            return ExactLayer(layer, sums.count, int(chosen.otherwise[0]), chosen.apart)
        steepest //= 2
    return None


def _sums(
    real: RealLayer,
    sources: tuple[Spikes, ...],
    code: Spikes,
    integers: list[Array],
    unit: Array,
) -> Sums:
    outputs = len(unit)
    low, high = np.zeros(outputs), np.zeros(outputs)
    for weight, source in zip(integers, sources, strict=True):
        rows = weight.reshape(outputs, -1)
        excite, inhibit = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
        below, above = min(-source.zero, 0), max(source.top - source.zero, 0)
        low += excite * below + inhibit * above
        high += excite * above + inhibit * below
    offset = real.bias.reshape(-1).astype(np.float64) / code.scale + code.zero
    return Sums(low, high, unit, np.broadcast_to(offset, (outputs,)))


def _times(weight: Array, times: Array) -> Array:
    found: Array = weight * times.reshape(-1, *(1,) * (weight.ndim - 1))
    return found.astype(np.int64)
