"""From real weights to integer weights W and the bias B of a layer, for given slopes D."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, TypeAlias

import numpy as np

from qcompiler.ir import Spikes
from qcompiler.ir.kernels import Array
from qcompiler.ir.spiking.synapse import weight_sums

from .membrane_limits import Limits
from .real_layer import RealLayer
from .slopes import ScaledWeights

Weights: TypeAlias = tuple[Array, ...]


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


def rounded_layer(
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
