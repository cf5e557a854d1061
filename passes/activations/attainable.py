"""Jumps of functions whose variable has few values: between these, as far from both as can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qcompiler.ir import Graph, Tensor, Value
from qcompiler.ir.ann import Affine, Clip
from qcompiler.ir.kernels import Array
from qcompiler.ir.view import View
from qcompiler.passes.quantization.level_codes import code_in
from qcompiler.passes.quantization.levels import coded_inputs, levels_of

from .piecewise import Jump, PiecewiseLinear


@dataclass(frozen=True)
class Attainable:
    """The values that levels give: of inputs, clips, and one scale and shift of these."""

    graph: Graph
    t_max: int
    output_t_max: int

    def of(self, value: Value) -> Array | None:
        """The values in ascending order; None if they are those of a sum, or not known."""
        node = self.graph.producer(value)
        if value in coded_inputs(self.graph) or (node is not None and isinstance(node.op, Clip)):
            return self._levels(value)
        if node is None or not isinstance(node.op, Affine | View):
            return None
        source = node.operands[0]
        found = self.of(source) if isinstance(source, Value) else None
        if found is None or isinstance(node.op, View):
            return found
        scale, shift = (np.unique(array) for array in node.arrays)
        if len(scale) > 1 or len(shift) > 1:
            return None
        return np.sort(found * float(scale[0]) + float(shift[0]))

    def _levels(self, value: Value) -> Array | None:
        if not isinstance(value.type, Tensor) or value.type.range is None:
            return None
        levels = levels_of(self.graph, value, self.t_max, self.output_t_max)
        code = code_in(self.graph, value, levels, value.type.range)
        found: Array = (np.arange(levels) - code.zero) * code.scale
        return found


def between(found: PiecewiseLinear, values: Array | None) -> PiecewiseLinear:
    """The function with each jump in the middle of the values around it, if these are known.

    Rounded weights then move no value across it.
    """
    if values is None:
        return found
    return found._replace(jumps=tuple(_moved(jump, values) for jump in found.steps))


def _moved(jump: Jump, values: Array) -> Jump:
    above = int(np.searchsorted(values, jump.begin + jump.width / 2))
    if not 0 < above < len(values):
        return jump
    middle = float(values[above - 1] + values[above]) / 2
    return jump._replace(begin=middle - jump.width / 2)
