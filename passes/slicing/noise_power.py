"""The power of errors in the sums of layers: mean squares, in total and for each channel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qcompiler.ir import Node
from qcompiler.ir.kernels import Array
from qcompiler.passes.folding.linear import elements_summed, weights_by_channel
from qcompiler.passes.quantization.fusion_groups import FusionGroup


def power_by_channel(group: FusionGroup, errors: Mapping[str, Array]) -> Array | float:
    """Power of the errors of some sources in a group's sums, per source channel.

    ``errors`` are mean squares over images and positions, per channel.
    """
    total: Array | float = 0.0
    for branch in group.branches:
        if branch.source.name in errors:
            powers = errors[branch.source.name]
            total = total + (powers if branch.linear is None else powers * _gains(branch.linear))
    return total


def power_of_weights(group: FusionGroup, reach: Array, squares: Mapping[str, float]) -> float:
    """Power of the errors by rounding the weights from some sources, if a level counts 1.

    ``squares`` are mean squares of the levels of each. The largest sums, which ``reach`` holds for
    each channel, then take a membrane of one unit.
    """
    linears = [(b.source.name, b.linear) for b in group.branches if b.source.name in squares]
    total = sum((elements_summed(node) if node else 1) * squares[name] for name, node in linears)
    return float(total * np.square(reach, dtype=np.float64).sum() / 12)


def _gains(node: Node) -> Array | float:
    """Power gain of a layer per input channel; NaN if it has no weights per channel."""
    weight = weights_by_channel(node)
    if weight is None:
        return np.nan
    gains: Array = np.square(weight, dtype=np.float64).sum(axis=(0, *range(2, weight.ndim)))
    return gains
