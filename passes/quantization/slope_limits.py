"""How steep the neurons of a layer may be: slopes D within the limits of weights and inputs.

The slope D is the number of membrane units per level, so weights grow with it.
"""

from __future__ import annotations

import numpy as np

from qcompiler.ir import Diagnostic, Spikes, UnsupportedModel
from qcompiler.ir.kernels import Array

from .fusion_groups import FusionGroup
from .membrane_limits import Limits, per_slope
from .real_layer import RealLayer
from .slopes import ScaledWeights, best_slopes, bits_for, ratios_of

MAX_SLOPE = 1 << 15
MAX_SPAN = 1 << 22  # slope times levels: what single-precision engines divide exactly
_NO_WEIGHT = 1e-300  # smaller weights are none
_EVEN_BITS = 8  # most weight bits of Loihi


def check_weight_bits(bits: int) -> None:
    """Raise ValueError unless integer weights of this many bits are supported."""
    if not 2 <= bits <= 16:
        raise ValueError(f"weight_bits must be between 2 and 16, not {bits}")


def largest_slopes(
    ratios: list[ScaledWeights], real: RealLayer, limits: Limits, group: FusionGroup, levels: int
) -> Array:
    """The largest slope of each output channel, or neuron, that keeps weights within their bits.

    Clocks lift neurons of smaller slopes to the common threshold in one step, so the limit of the
    input of one step bounds the slope as well.
    """
    _check_steepness(ratios, limits, group)
    highest = max(1, min(MAX_SLOPE, MAX_SPAN // (levels + 1), limits.input // levels))
    return best_slopes(ratios, np.clip(np.floor(_room(ratios, limits)), 1, highest))


def check_steepness(
    group: FusionGroup, real: RealLayer, sources: tuple[Spikes, ...], code: Spikes, limits: Limits
) -> None:
    """Raise UnsupportedModel if weights of a group exceed their limit at a slope of 1."""
    ratios = ratios_of(real, sources, code, limits.weight, limits.fine)
    _check_steepness(ratios, limits, group)


def _check_steepness(ratios: list[ScaledWeights], limits: Limits, group: FusionGroup) -> None:
    if (worst := max(r.largest.max() / r.parts for r in ratios)) > limits.weight + 0.5:
        raise UnsupportedModel(
            Diagnostic(
                f"one input level changes an output by {worst:.0f} levels, "
                f"but the largest integer weight is {limits.weight}",
                group.origin,
                _less_steep(max(float(r.largest.max()) for r in ratios)),
            )
        )


def _less_steep(largest: float) -> str:
    """What helps against a weight as large as this at a slope of 1."""
    if (bits := bits_for(largest)) is None:
        return "give the layer smaller weights, or clip its result to a wider range"
    more = f"use --weight-bits {bits}" + (" with --target reference" if bits > _EVEN_BITS else "")
    return (
        f"{more}, or more calibration data if so few make ranges narrow, or --percentile 99.9 if "
        "outliers of the calibration data make them wide, or a lower percentile makes them narrow"
    )


def common_slope(ratios: list[ScaledWeights], levels: int, limits: Limits) -> int:
    """One common slope of all channels, if weights allow more than `largest_slopes` does; else 0.

    It pays only with calibrated bounds: the bounds of a proof would lower it again.
    """
    highest = min(MAX_SLOPE, MAX_SPAN // (levels + 1), limits.potential // levels)
    found = int(np.clip(_room(ratios, limits).min(), 0, highest))
    return found if found > limits.input // levels else 0


def cost_of_proof(
    ratios: list[ScaledWeights], slope: Array, excess: Array, limits: Limits
) -> float:
    """Median factor by which weights stay below their limit if slopes shrink by ``excess``."""
    left = slope / np.maximum(per_slope(excess, slope.shape), 1)
    return float(np.median(_room(ratios, limits) / left))


def _room(ratios: list[ScaledWeights], limits: Limits) -> Array:
    """Largest real-valued slope of each output channel, or neuron, that its weights allow."""
    largest = np.max(np.broadcast_arrays(*(r.largest / r.parts for r in ratios)), axis=0)
    room: Array = np.full_like(largest, np.inf)
    np.divide(limits.weight, largest, out=room, where=largest > _NO_WEIGHT)
    return room
