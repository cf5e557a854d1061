"""Quantize one fusion group: its integer weights W, bias B and slope D.

`integer_layer_of` is the entry point. `level_codes.code_of` computes scale and zero point,
`slope_limits.largest_slopes` the slope D, and `rounding.rounded_layer` the weights W and the bias
B. If the membrane or the input of one step exceeds a limit of the target, `integer_layer_of` lowers
the slopes and tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from qcompiler.ir import Diagnostic, Spikes, UnsupportedModel
from qcompiler.ir.kernels import Array
from qcompiler.ir.snn import Synapse
from qcompiler.ir.spiking.input_bounds import Bounds, Drive, Incoming

from .alike_neurons import distinct
from .calibrated_bounds import CalibratedBounds
from .fusion_groups import FusionGroup
from .membrane_limits import Limits, MembraneLoad, per_slope
from .real_layer import LinearSynapse, RealLayer
from .rounding import Rounding, rounded_layer
from .slope_limits import common_slope, cost_of_proof, largest_slopes
from .slopes import ALIKE_PARTS, FINE_PARTS, best_slopes, ratios_of

Observe: TypeAlias = Callable[[Sequence[Incoming]], tuple[Bounds, int]]

_UNFIT = float(1 << 60)  # stands for any bias beyond all limits
_COSTLY = 2**0.25  # factor by which a proof may keep weights below what their bits allow
_ALIKE = 0.9  # share of the steepest slope that others have at least, where one suits them all
_ATTEMPTS = 12
_FEWEST = 3  # levels, and one: what membranes hold of neurons of two levels
_TOGETHER = 4  # attempts after which all slopes shrink: each also moves the common threshold
_STUCK = 8  # attempts after which they shrink by more than they must: small weights stay, rounded


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


def integer_layer_of(
    group: FusionGroup,
    real: RealLayer,
    sources: tuple[Spikes, ...],
    code: Spikes,
    limits: Limits,
    rounding: Rounding,
    observe: Observe | None,
) -> IntegerLayer:
    """Quantize one fusion group.

    ``real`` holds its weights, bias and gain in real numbers, ``sources`` the codes of the
    branches' sources in order, ``code`` that of the result. If a proof of the limits for all inputs
    would cost weight bits, ``observe`` measures the bounds on calibration data. Raises
    UnsupportedModel, with the ONNX nodes, if weights do not fit the limits, ExceededLimits if
    membrane potentials or inputs do not.
    """
    ratios = ratios_of(real, sources, code, limits.weight, limits.fine)
    slope = largest_slopes(ratios, real, limits, group, code.t_max)
    top = max(source.top for source in sources)
    look: Observe | None = None
    common, steepest = False, slope
    for attempt in range(_ATTEMPTS):
        weights, bias, neuron = rounded_layer(ratios, real, sources, code, slope, rounding, limits)
        incoming = tuple(map(incoming_of, real.branches, weights, sources))
        drive = distinct(Drive.of(incoming), bias, neuron)
        load = MembraneLoad(drive, top, bias, neuron, code.t_max, limits)
        excess, calibrated = load.excess(), None
        if attempt == 0 and observe and cost_of_proof(ratios, slope, excess, limits) > _COSTLY:
            look = observe
            if steeper := common_slope(ratios, code.t_max, limits):
                common, steepest = True, np.full_like(slope, steeper)
                slope = best_slopes(ratios, steepest, _ALIKE)
                continue
        if look and np.any(excess > 1):
            calibrated = CalibratedBounds.of(*look(incoming), load, slope.shape)
            excess = calibrated.excess
        if np.all(excess <= 1):
            bias = np.clip(bias, -_UNFIT, _UNFIT).astype(np.int64)
            alike = FINE_PARTS if limits.fine or limits.dear else ALIKE_PARTS
            parts = split_weights(real.branches, weights, limits.weight, alike)
            return IntegerLayer(tuple(parts), bias, neuron.astype(np.int64), calibrated)
        if common and attempt >= _TOGETHER:  # the best slopes, which exceed, lie below the steepest
            steepest = np.minimum(steepest, slope.min())
        if common or attempt >= _TOGETHER:
            excess = np.maximum(excess, excess.max())
        if attempt >= _STUCK:
            excess = excess * (1 + (attempt - _STUCK + 1) / 32)
        lower = np.floor(steepest / np.maximum(per_slope(excess, slope.shape), 1))
        if np.all(lower < 1):
            break
        lower = np.maximum(lower, 1)  # of a few, which need what the steepest others leave
        best = best_slopes(ratios, lower, _ALIKE) if common else best_slopes(ratios, lower)
        slope = np.where(lower < slope, best, slope)
        steepest = lower if common else slope
    raise ExceededLimits(_too_large(load, real.gain, group))


def _too_large(load: MembraneLoad, gain: Array, group: FusionGroup) -> Diagnostic:
    """What helps against membranes and inputs as large as these: not what cannot."""
    limits, least = load.limits, load.reach / np.maximum(load.slope * gain, 1)  # at a slope of 1
    chip = limits.input < limits.potential
    beyond = "the limits of the target" if chip else "what engines compute exactly"
    help_ = "use a smaller --t-max"
    if np.max(least) * _FEWEST > limits.exact * (load.t_max + 1):
        help_ = "scale the features of its inputs to like sizes, as a StandardScaler does"
    elif chip and np.max(least) <= limits.exact:
        help_ += ", or --target reference"
    what = f"the membrane potentials, or the inputs of one step, exceed {beyond}"
    return Diagnostic(what, group.origin, help_)


def split_weights(
    branches: tuple[LinearSynapse, ...],
    weights: tuple[Array, ...],
    limit: int,
    alike: int = ALIKE_PARTS,
) -> Iterator[BranchSynapses]:
    """Split weights beyond the limit over several parallel synapses.

    If that takes more than are ``alike``, one of them holds multiples of the number of positive
    weights and zero: a chip gives its synapses an exponent.
    """
    unit = limit + 1
    for index, (branch, weight) in enumerate(zip(branches, weights, strict=True)):
        rest = weight
        if max(rest.max(), -rest.min()) > alike * limit:
            units = rest - np.fmod(rest, unit)
            yield BranchSynapses(index, branch.synapse, units)
            rest = rest - units
        while rest.max() > limit or rest.min() < -limit:
            part = np.clip(rest, -limit, limit)
            yield BranchSynapses(index, branch.synapse, part)
            rest = rest - part
        yield BranchSynapses(index, branch.synapse, rest)


def incoming_of(branch: LinearSynapse, weight: Array, source: Spikes) -> Incoming:
    """The weights of a branch with the shape and highest level of its source."""
    return Incoming(branch.synapse, weight, source.shape, source.top)
